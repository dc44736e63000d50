//! What is audited: something that makes blocks and masks and applies dropout.

use std::sync::OnceLock;

use crate::job::{self, Content};
use crate::{
    CreateError, Dropout, DropoutCall, KeepMask, KernelDescriptor, MaskLayout, PhiloxBlocks,
    RunError, mask::mask_words,
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

/// The two methods of [`Dropout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

/// One application of dropout in the middle of larger buffers.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Features left unused.
    pub avoid: wgpu::Features,
    pub layout: Layout,
    pub direction: Direction,
    /// Elements.
    pub len: usize,
    /// Their mask indices; as long as they are.
    pub mask: MaskLayout,
    /// What all buffers hold before, words of 32 bits.
    pub image: Vec<u32>,
    pub call: DropoutCall,
}

impl Run {
    /// Words before and at least so many behind the elements: any device's alignment.
    pub const MARGIN: usize = 64;

    /// Words of one input or output with its margins, so that the next one is aligned.
    pub fn stride(len: usize) -> usize {
        len.next_multiple_of(Self::MARGIN) + 2 * Self::MARGIN
    }

    /// First word of the input's elements and of the output's.
    pub fn starts(&self) -> (usize, usize) {
        match self.layout {
            Layout::Separate | Layout::Pooled => {
                (Self::MARGIN, Self::stride(self.len) + Self::MARGIN)
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
        call: &DropoutCall,
    ) -> Result<Vec<u32>, SubjectError>;

    /// The image after the run.
    async fn dropout(&self, run: &Run) -> Result<Vec<u32>, SubjectError>;
}

/// A device.
pub(super) struct Gpu<'a> {
    device: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    /// By the features avoided: none, one, the other, both.
    dropouts: [OnceLock<Result<Dropout, CreateError>>; 4],
    masks: [OnceLock<Result<KeepMask, CreateError>>; 4],
}

impl<'a> Gpu<'a> {
    pub fn new(device: &'a wgpu::Device, queue: &'a wgpu::Queue) -> Self {
        Self {
            device,
            queue,
            dropouts: Default::default(),
            masks: Default::default(),
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
        let content = [Content::Zeros { bytes: 16 * len }];
        job::run(
            self.device,
            self.queue,
            &content,
            &mut blocks,
            |pass, buffers| {
                let binding = kernel.bind(buffers[0].as_entire_buffer_binding(), len)?;
                kernel.encode(pass, &binding, counter, key);
                Ok(())
            },
        )
        .await?;
        Ok(blocks)
    }

    async fn mask(
        &self,
        avoid: wgpu::Features,
        layout: &MaskLayout,
        call: &DropoutCall,
    ) -> Result<Vec<u32>, SubjectError> {
        let kernel = self.masks[slot(avoid)]
            .get_or_init(|| KeepMask::new(self.device, &descriptor(avoid)))
            .as_ref()
            .map_err(Clone::clone)?;
        let mut mask = Vec::new();
        let content = [Content::Zeros {
            bytes: 4 * mask_words(layout.len()),
        }];
        job::run(
            self.device,
            self.queue,
            &content,
            &mut mask,
            |pass, buffers| {
                let binding = kernel.bind_layout(buffers[0].as_entire_buffer_binding(), layout)?;
                Ok(kernel.encode(pass, &binding, call)?)
            },
        )
        .await?;
        Ok(mask)
    }

    async fn dropout(&self, run: &Run) -> Result<Vec<u32>, SubjectError> {
        let kernel = self.dropouts[slot(run.avoid)]
            .get_or_init(|| Dropout::new(self.device, &descriptor(run.avoid)))
            .as_ref()
            .map_err(Clone::clone)?;
        let content: Vec<_> = match run.layout {
            Layout::Separate => {
                let (input, output) = run.image.split_at(Run::stride(run.len));
                [input, output]
                    .map(|half| Content::Bytes(bytemuck::cast_slice(half)))
                    .into()
            }
            Layout::Pooled | Layout::InPlace => {
                vec![Content::Bytes(bytemuck::cast_slice(&run.image))]
            }
        };
        let (input_start, output_start) = run.starts();
        let len = run.len as u64;
        let mut image = Vec::with_capacity(run.image.len());
        job::run(
            self.device,
            self.queue,
            &content,
            &mut image,
            |pass, buffers| {
                let binding = |buffer, start| wgpu::BufferBinding {
                    buffer,
                    offset: 4 * start as u64,
                    size: wgpu::BufferSize::new(4 * len),
                };
                let bound = match (run.layout, buffers) {
                    (Layout::Separate, [input, output]) => kernel.bind(
                        binding(input, Run::MARGIN),
                        binding(output, Run::MARGIN),
                        &run.mask,
                    )?,
                    (Layout::InPlace, [data, ..]) => {
                        kernel.bind_in_place(binding(data, input_start), &run.mask)?
                    }
                    (_, [pool, ..]) => kernel.bind(
                        binding(pool, input_start),
                        binding(pool, output_start),
                        &run.mask,
                    )?,
                    (_, []) => return Ok(()),
                };
                match run.direction {
                    Direction::Forward => kernel.encode_forward(pass, &bound, &run.call)?,
                    Direction::Backward => kernel.encode_backward(pass, &bound, &run.call)?,
                }
                Ok(())
            },
        )
        .await?;
        Ok(image)
    }
}
