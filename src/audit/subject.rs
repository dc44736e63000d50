//! What is audited: something that makes blocks and masks and applies dropout.

use std::sync::OnceLock;

use crate::host::round_trip::{self, Content};
use crate::{
    CreateError, Direction, Dropout, DropoutCall, ElementType, Elements, GaussianDropout, KeepMask,
    KernelDescriptor, MaskLayout, PhiloxBlocks, RunError,
};

/// Why a run gave no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum SubjectError {
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Where the elements lie, in whole buffers of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// In two buffers of one size, the output behind the input.
    Separate,
    /// In the two halves of one buffer.
    Pooled,
    /// In one buffer, read and overwritten.
    InPlace,
}

/// Where decisions come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Layout(MaskLayout),
    /// A layout and the ids of its samples.
    Samples(MaskLayout, Vec<u32>),
    /// A packed mask from outside.
    Packed(Vec<u32>),
}

impl Source {
    /// Words in a buffer of their own.
    fn words(&self) -> Option<&[u32]> {
        match self {
            Self::Layout(_) => None,
            Self::Samples(_, words) | Self::Packed(words) => Some(words),
        }
    }
}

/// One application of dropout in the middle of larger buffers.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Features left unused.
    pub avoid: wgpu::Features,
    pub layout: Layout,
    pub direction: Direction,
    pub element: ElementType,
    /// Elements.
    pub len: usize,
    /// As long as they are.
    pub source: Source,
    /// What all buffers hold before, words of 32 bits.
    pub image: Vec<u32>,
    pub call: DropoutCall,
}

impl Run {
    /// Words before and at least so many behind the elements: any device's alignment.
    pub const MARGIN: usize = 64;

    /// Words of the elements; of the last one a half may be spare.
    pub fn words(&self) -> usize {
        (self.len * self.element.bytes() as usize).div_ceil(4)
    }

    /// Words of one input or output with its margins, so that the next one is aligned.
    pub fn stride(words: usize) -> usize {
        words.next_multiple_of(Self::MARGIN) + 2 * Self::MARGIN
    }

    /// First word of the input's elements and of the output's.
    pub fn starts(&self) -> (usize, usize) {
        match self.layout {
            Layout::Separate | Layout::Pooled => {
                (Self::MARGIN, Self::stride(self.words()) + Self::MARGIN)
            }
            Layout::InPlace => (Self::MARGIN, Self::MARGIN),
        }
    }
}

pub(super) trait Subject {
    /// The optional features it can use.
    fn features(&self) -> wgpu::Features;

    async fn blocks(
        &self,
        rounds: u32,
        counter: [u32; 4],
        key: [u32; 2],
        len: u64,
    ) -> Result<Vec<[u32; 4]>, SubjectError>;

    async fn mask(
        &self,
        avoid: wgpu::Features,
        layout: &MaskLayout,
        ids: Option<&[u32]>,
        call: &DropoutCall,
    ) -> Result<Vec<u32>, SubjectError>;

    /// The image after the run.
    async fn dropout(&self, run: &Run) -> Result<Vec<u32>, SubjectError>;

    /// Gaussian dropout of `input`.
    async fn gaussian(&self, input: &[f32], call: &DropoutCall) -> Result<Vec<f32>, SubjectError>;
}

/// A device.
pub(super) struct Gpu<'a> {
    device: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    /// By the features avoided: none, one, the other, both.
    dropouts: [OnceLock<Result<Dropout, CreateError>>; 4],
    masks: [OnceLock<Result<KeepMask, CreateError>>; 4],
    gaussian: OnceLock<Result<GaussianDropout, CreateError>>,
}

impl<'a> Gpu<'a> {
    pub fn new(device: &'a wgpu::Device, queue: &'a wgpu::Queue) -> Self {
        Self {
            device,
            queue,
            dropouts: Default::default(),
            masks: Default::default(),
            gaussian: OnceLock::new(),
        }
    }
}

fn slot(avoid: wgpu::Features) -> usize {
    usize::from(avoid.contains(wgpu::Features::SHADER_INT64))
        + 2 * usize::from(avoid.contains(wgpu::Features::IMMEDIATES))
}

fn descriptor(avoid: wgpu::Features) -> KernelDescriptor<'static> {
    KernelDescriptor {
        label: Some("wgpu-dropout audit"),
        avoid,
        ..Default::default()
    }
}

impl Subject for Gpu<'_> {
    fn features(&self) -> wgpu::Features {
        self.device.features()
    }

    async fn blocks(
        &self,
        rounds: u32,
        counter: [u32; 4],
        key: [u32; 2],
        len: u64,
    ) -> Result<Vec<[u32; 4]>, SubjectError> {
        let kernel = PhiloxBlocks::new(self.device, &descriptor(wgpu::Features::empty()), rounds)?;
        let mut blocks = Vec::new();
        kernel
            .generate(self.queue, counter, key, len, &mut blocks)
            .await?;
        Ok(blocks)
    }

    async fn mask(
        &self,
        avoid: wgpu::Features,
        layout: &MaskLayout,
        ids: Option<&[u32]>,
        call: &DropoutCall,
    ) -> Result<Vec<u32>, SubjectError> {
        let kernel = self.masks[slot(avoid)]
            .get_or_init(|| KeepMask::new(self.device, &descriptor(avoid)))
            .as_ref()
            .map_err(Clone::clone)?;
        let mut mask = Vec::new();
        kernel
            .generate(self.queue, layout, ids, call, &mut mask)
            .await?;
        Ok(mask)
    }

    async fn dropout(&self, run: &Run) -> Result<Vec<u32>, SubjectError> {
        let kernel = self.dropouts[slot(run.avoid)]
            .get_or_init(|| Dropout::new(self.device, &descriptor(run.avoid)))
            .as_ref()
            .map_err(Clone::clone)?;
        let (first, second) = match run.layout {
            Layout::Separate => run.image.split_at(Run::stride(run.words())),
            Layout::Pooled | Layout::InPlace => (&run.image[..], &[][..]),
        };
        let contents = [
            Content::Bytes(bytemuck::cast_slice(first)),
            Content::Bytes(bytemuck::cast_slice(second)),
            // Unused by a layout, and never empty.
            Content::Constant(bytemuck::cast_slice(run.source.words().unwrap_or(&[0]))),
        ];
        let (input_start, output_start) = run.starts();
        let len = run.len as u64;
        let mut image = Vec::with_capacity(run.image.len());
        round_trip::run(
            self.device,
            self.queue,
            &contents,
            &mut image,
            |pass, buffers| {
                let [first, second, side] = [0, 1, 2].map(|i| &buffers[i]);
                let binding = |buffer, start| wgpu::BufferBinding {
                    buffer,
                    offset: 4 * start as u64,
                    size: None,
                };
                let side = side.as_entire_buffer_binding();
                let elements = match &run.source {
                    Source::Layout(layout) => Elements::from(layout),
                    Source::Samples(layout, _) => Elements::samples(layout, side),
                    Source::Packed(_) => Elements::packed(side, len),
                };
                let elements = elements.of_type(run.element);
                let input = binding(first, input_start);
                let bound = match run.layout {
                    Layout::Separate => {
                        kernel.bind(input, binding(second, Run::MARGIN), elements)?
                    }
                    Layout::Pooled => kernel.bind(input, binding(first, output_start), elements)?,
                    Layout::InPlace => kernel.bind_in_place(input, elements)?,
                };
                Ok(kernel.encode(pass, &bound, &run.call, run.direction)?)
            },
        )
        .await?;
        Ok(image)
    }

    async fn gaussian(&self, input: &[f32], call: &DropoutCall) -> Result<Vec<f32>, SubjectError> {
        let kernel = self.gaussian.get_or_init(|| {
            GaussianDropout::new(self.device, &descriptor(wgpu::Features::empty()))
        });
        let kernel = kernel.as_ref().map_err(Clone::clone)?;
        let mut output = Vec::with_capacity(input.len());
        let contents = [Content::Bytes(bytemuck::cast_slice(input))];
        round_trip::run(
            self.device,
            self.queue,
            &contents,
            &mut output,
            |pass, buffers| {
                let data = buffers[0].as_entire_buffer_binding();
                let binding = kernel.bind_in_place(data, input.len() as u64)?;
                Ok(kernel.encode(pass, &binding, call)?)
            },
        )
        .await?;
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_of_features_has_kernels_that_avoid_it() {
        let sets = [
            wgpu::Features::empty(),
            wgpu::Features::SHADER_INT64,
            wgpu::Features::IMMEDIATES,
            wgpu::Features::SHADER_INT64 | wgpu::Features::IMMEDIATES,
        ];
        for (place, avoid) in sets.into_iter().enumerate() {
            assert_eq!(slot(avoid), place);
            assert_eq!(descriptor(avoid).avoid, avoid);
        }
    }
}
