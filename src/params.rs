//! What a dispatch is told, and how: the only file that touches immediates.

use bytemuck::{Pod, Zeroable};

use crate::call::DropoutCall;
use crate::mask::split;

/// Twin of `Params` in shaders/params_mask.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct MaskParams {
    pub seed: [u32; 2],
    pub stream: [u32; 2],
    pub first_block: [u32; 2],
    pub first_lane: u32,
    pub len: u32,
    pub drop_threshold_high: u32,
    pub drop_threshold_low: u32,
    pub keep_scale: f32,
    pub padding: u32,
}

impl MaskParams {
    /// Elements `start .. start + len` of a call whose indices were checked.
    pub fn new(call: &DropoutCall, start: u64, len: u32) -> Self {
        let position = call.position(start);
        let drop_threshold = call.rate.drop_threshold();
        Self {
            seed: split(call.key.seed),
            stream: split(call.key.stream),
            first_block: split(position.block),
            first_lane: position.lane,
            len,
            drop_threshold_high: (drop_threshold >> 16) as u32,
            drop_threshold_low: (drop_threshold & 0xffff) as u32,
            keep_scale: call.rate.keep_scale(),
            padding: 0,
        }
    }
}

/// Twin of `Params` in shaders/params_blocks.wgsl.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct BlockParams {
    pub counter: [u32; 4],
    pub key: [u32; 2],
    pub len: u32,
    pub padding: u32,
}

/// Both are right at any time and in any number of dispatches of one command buffer. Writing to
/// one buffer through the queue would not be: all dispatches would see the last write.
#[derive(Debug)]
pub(crate) enum ParamsPath {
    /// Recorded in the pass: 0.5 to 0.7 microseconds a dispatch on the recording thread.
    Immediates,
    /// A fresh uniform buffer a dispatch, in bind group 1: about 3.3 microseconds.
    Uniform(wgpu::BindGroupLayout),
}

impl ParamsPath {
    /// Immediates where `features`, the usable ones, and the limit of `device` offer them.
    pub fn new(device: &wgpu::Device, features: wgpu::Features, label: &str, bytes: u32) -> Self {
        if features.contains(wgpu::Features::IMMEDIATES)
            && device.limits().max_immediate_size >= bytes
        {
            return Self::Immediates;
        }
        Self::Uniform(
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(&format!("{label}: params")),
                entries: &[wgpu::BindGroupLayoutEntry {
                    binding: 0,
                    visibility: wgpu::ShaderStages::COMPUTE,
                    ty: wgpu::BindingType::Buffer {
                        ty: wgpu::BufferBindingType::Uniform,
                        has_dynamic_offset: false,
                        min_binding_size: wgpu::BufferSize::new(bytes.into()),
                    },
                    count: None,
                }],
            }),
        )
    }

    /// Tells the next dispatch of `pass` its `params`.
    pub fn set(
        &self,
        device: &wgpu::Device,
        pass: &mut wgpu::ComputePass<'_>,
        label: &str,
        params: &[u8],
    ) {
        let layout = match self {
            Self::Immediates => return pass.set_immediates(0, params),
            Self::Uniform(layout) => layout,
        };
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: params.len() as u64,
            usage: wgpu::BufferUsages::UNIFORM,
            mapped_at_creation: true,
        });
        // Fails only where the buffer could not be created, which the device has reported then.
        if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
            view.copy_from_slice(params);
        }
        buffer.unmap();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label),
            layout,
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: buffer.as_entire_binding(),
            }],
        });
        pass.set_bind_group(1, &group, &[]);
    }
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;
    use crate::source::{Access, BufferLayout, Kernel, Multiply, ValueMap, assemble};

    /// Names and offsets of the WGSL `Params`, and its size in bytes.
    fn wgsl_params(source: &str) -> (Vec<(String, usize)>, usize) {
        let module = naga::front::wgsl::parse_str(source).unwrap();
        let (_, params) = module
            .types
            .iter()
            .find(|(_, ty)| ty.name.as_deref() == Some("Params"))
            .unwrap();
        let naga::TypeInner::Struct { members, span } = &params.inner else {
            panic!("Params is a struct");
        };
        let offsets = members
            .iter()
            .map(|member| (member.name.clone().unwrap(), member.offset as usize))
            .collect();
        (offsets, *span as usize)
    }

    macro_rules! offsets {
        ($ty:ident: $($field:ident),+) => {
            vec![$((stringify!($field).to_owned(), offset_of!($ty, $field))),+]
        };
    }

    #[test]
    fn mask_params_lie_as_in_the_shader() {
        let kernel = Kernel::Dropout(BufferLayout::Separate, ValueMap::Scale, Access::Blocks);
        let (offsets, bytes) = wgsl_params(&assemble(kernel, Multiply::Halves, false));
        assert_eq!(
            offsets,
            offsets!(MaskParams: seed, stream, first_block, first_lane, len, drop_threshold_high,
                drop_threshold_low, keep_scale, padding)
        );
        assert_eq!(bytes, size_of::<MaskParams>());
    }

    #[test]
    fn block_params_lie_as_in_the_shader() {
        let kernel = Kernel::PhiloxBlocks { rounds: 10 };
        let (offsets, bytes) = wgsl_params(&assemble(kernel, Multiply::Halves, false));
        assert_eq!(offsets, offsets!(BlockParams: counter, key, len, padding));
        assert_eq!(bytes, size_of::<BlockParams>());
    }
}
