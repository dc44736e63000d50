//! The sizes of a network, and where its parameters lie in the buffers.

/// Rows and columns of every matrix are padded with zeros to a multiple of this. The padding stays
/// zero.
pub const TILE: u32 = 8;

/// The parameters of a tensor begin at a multiple of 64 elements: 256 bytes, the largest offset
/// alignment of a binding.
const GRANULE: u64 = 64;

/// The sizes of the layers and of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// Features, then hidden widths, then logits. A single logit means two classes.
    pub widths: Vec<u32>,
    /// Number of examples in a step.
    pub batch: u32,
}

/// The offsets of a layer's weights and bias, in elements.
#[derive(Clone, Copy, Debug)]
pub struct LayerOffsets {
    pub weights: u64,
    pub bias: u64,
}

/// The offsets of all parameters: the weights of every layer, then the biases of every layer.
#[derive(Clone, Debug)]
pub struct ParameterOffsets {
    pub layers: Vec<LayerOffsets>,
    /// Number of elements before the first bias.
    pub weights_len: u64,
    pub len: u64,
}

impl Architecture {
    /// Number of dense layers.
    pub fn layers(&self) -> usize {
        self.widths.len() - 1
    }

    /// Rows of the batch's padded matrices.
    pub fn rows(&self) -> u32 {
        self.batch.next_multiple_of(TILE)
    }

    /// Columns of the padded matrices of a width.
    pub fn columns(&self, width: usize) -> u32 {
        self.widths[width].next_multiple_of(TILE)
    }

    /// Number of elements in the padded activations of a width.
    pub fn activations(&self, width: usize) -> u64 {
        u64::from(self.rows()) * u64::from(self.columns(width))
    }

    pub fn logits(&self) -> u32 {
        self.widths[self.layers()]
    }

    pub fn classes(&self) -> u32 {
        self.logits().max(2)
    }

    pub fn offsets(&self) -> ParameterOffsets {
        let columns = |width| u64::from(self.columns(width));
        let mut len = 0;
        let mut begin = |elements: u64| {
            let begin = len;
            len += elements.next_multiple_of(GRANULE);
            begin
        };
        let layers = 0..self.layers();
        let weights: Vec<_> = layers
            .clone()
            .map(|i| begin(columns(i) * columns(i + 1)))
            .collect();
        let weights_len = begin(0);
        let layers = layers
            .zip(weights)
            .map(|(i, weights)| LayerOffsets {
                weights,
                bias: begin(columns(i + 1)),
            })
            .collect();
        ParameterOffsets {
            layers,
            weights_len,
            len,
        }
    }
}
