//! The network's parameters: the whole tensors, and this process's parts of them.

use anyhow::{Result, ensure};
use wgpu_dropout::MaskLayout;

use crate::grid::{Axis, Grid};
use crate::mlp::{State, random};
use crate::network::CLASSES;

/// The parameters of a tensor begin at a multiple of 64 elements: 256 bytes, the largest offset
/// alignment of a binding.
const GRANULE: u64 = 64;

/// The weights of both layers, then the biases of both, as they lie in a process's buffers.
pub struct Parameters {
    pub list: [Parameter; 4],
    /// Number of elements in a buffer.
    pub len: u64,
}

/// A whole tensor, this process's part of it, and where the part begins in a buffer. A mask layout
/// describes the part, as it does a part of a mask.
pub struct Parameter {
    whole: MaskLayout,
    pub part: MaskLayout,
    pub begin: u64,
}

impl Parameters {
    /// The first layer is split by columns, the second by rows. The bias of the second layer is not
    /// split.
    pub fn new([inputs, hidden, logits]: [u32; 3], parts: u64, part: u64) -> Result<Self> {
        let mut len = 0;
        let mut parameter = |rows: u32, columns: u32, cut: Option<usize>| {
            let whole = MaskLayout::elementwise(&[rows.into(), columns.into()])?;
            let cut = cut.map(|dimension| (dimension, parts, part));
            let part = whole.mesh(cut.as_slice())?;
            let begin = len;
            len += part.len().next_multiple_of(GRANULE);
            anyhow::Ok(Parameter { whole, part, begin })
        };
        Ok(Self {
            list: [
                parameter(inputs, hidden, Some(1))?,
                parameter(hidden, logits, Some(0))?,
                parameter(1, hidden, Some(1))?,
                parameter(1, logits, None)?,
            ],
            len,
        })
    }

    /// The first weights of the whole network.
    pub fn draw(&self, seed: u64, features: u32) -> Result<State> {
        let [first, second, biases @ ..] = &self.list;
        let mut values = Vec::new();
        for (layer, Parameter { whole, .. }) in (0..).zip([first, second]) {
            let columns = whole.shape()[1] as usize;
            let (inputs, outputs) = match layer {
                0 => (features, columns),
                _ => (whole.shape()[0] as u32, CLASSES as usize),
            };
            let drawn = random::weights(seed, layer, inputs, inputs as usize * outputs)?;
            let mut tensor = vec![0.0; whole.len() as usize];
            for (row, drawn) in tensor.chunks_mut(columns).zip(drawn.chunks(outputs)) {
                row[..outputs].copy_from_slice(drawn);
            }
            values.extend(tensor);
        }
        values.extend(
            biases
                .iter()
                .flat_map(|bias| vec![0.0; bias.whole.len() as usize]),
        );
        let zeros = vec![0.0; values.len()];
        Ok(State([values, zeros.clone(), zeros]))
    }

    /// This process's parts of the whole network's state.
    pub fn cut(&self, state: &State) -> Result<[Vec<f32>; 3]> {
        let expected: u64 = self.list.iter().map(|of| of.whole.len()).sum();
        let [values, ..] = &state.0;
        ensure!(
            values.len() as u64 == expected,
            "{} parameters for a network of {expected}: give the widths that it was saved with",
            values.len()
        );
        Ok(state.0.each_ref().map(|values| {
            let mut own = vec![0.0; self.len as usize];
            let mut rest = &values[..];
            for Parameter { whole, part, begin } in &self.list {
                let (tensor, behind) = rest.split_at(whole.len() as usize);
                for (i, own) in (0..part.len()).zip(&mut own[*begin as usize..]) {
                    *own = tensor[part.index(i) as usize];
                }
                rest = behind;
            }
            own
        }))
    }

    /// The whole network's state, gathered from the parts of all processes.
    pub fn join(&self, grid: &Grid, parts: &[&[f32]]) -> State {
        let join = |own: &[f32]| {
            let tensor = |Parameter { whole, part, begin }: &Parameter| {
                let own = &own[*begin as usize..][..part.len() as usize];
                if part.len() == whole.len() {
                    return own.to_vec();
                }
                let [rows, columns] = [0, 1].map(|dimension| part.shape()[dimension] as usize);
                let all = grid.gather(Axis::Tensor, own);
                match part.shape()[0] == whole.shape()[0] {
                    true => beside(&all, rows, columns),
                    false => all,
                }
            };
            self.list.iter().flat_map(tensor).collect()
        };
        State([0, 1, 2].map(|i| join(parts[i])))
    }
}

/// Puts concatenated matrices of `rows` x `columns` side by side.
pub fn beside<N: Copy>(matrices: &[N], rows: usize, columns: usize) -> Vec<N> {
    let row = |row| {
        let matrices = matrices.chunks_exact(rows * columns);
        matrices.flat_map(move |matrix| &matrix[row * columns..][..columns])
    };
    (0..rows).flat_map(row).copied().collect()
}
