//! What a dispatch is told, and how: the only file that touches immediates.

use bytemuck::{Pod, Zeroable};

use crate::call::DropoutCall;
use crate::layout::MaskLayout;
use crate::mask::{MaskPosition, split};

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
    pub keep_shift: f32,
    pub dropped_value: f32,
    pub tail: u32,
}

impl MaskParams {
    /// `len` elements of a call, the first of them at `position`.
    pub fn new(call: &DropoutCall, position: MaskPosition, len: u32) -> Self {
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
            keep_shift: call.rate.keep_shift(),
            dropped_value: call.rate.dropped_value(),
            tail: 0,
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

/// Twin of `Dimension` in shaders/strided.wgsl.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct DimensionParams {
    pub size: u32,
    pub start: u32,
    pub stride: [u32; 2],
}

/// The uniform buffer of a strided layout.
pub(crate) const DIMENSIONS_BYTES: u64 =
    (MaskLayout::MAX_DIMENSIONS * size_of::<DimensionParams>()) as u64;

/// Both are right at any time and in any number of dispatches of one command buffer. Writing to
/// one buffer through the queue would not be: all dispatches would see the last write.
#[derive(Clone, Debug)]
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
        let buffer = uniform_buffer(device, label, params);
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

/// A uniform buffer that holds `content`: mapped at creation, since there is no queue here.
pub(crate) fn uniform_buffer(device: &wgpu::Device, label: &str, content: &[u8]) -> wgpu::Buffer {
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: content.len() as u64,
        usage: wgpu::BufferUsages::UNIFORM,
        mapped_at_creation: true,
    });
    // Fails only where the buffer could not be created, which the device has reported then.
    if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
        view.copy_from_slice(content);
    }
    buffer.unmap();
    buffer
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;
    use crate::element::ElementType;
    use crate::source::{
        Access, BufferLayout, Family, Kernel, MaskSource, Multiply, ParamsSource, Strided,
        ValueMap, assemble,
    };

    /// Names and offsets of the WGSL struct `name`, and its size in bytes.
    fn wgsl_struct(source: &str, name: &str) -> (Vec<(String, usize)>, usize) {
        let module = naga::front::wgsl::parse_str(source).unwrap();
        let (_, ty) = module
            .types
            .iter()
            .find(|(_, ty)| ty.name.as_deref() == Some(name))
            .unwrap();
        let naga::TypeInner::Struct { members, span } = &ty.inner else {
            panic!("{name} is a struct");
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
        let kernel = Kernel::KeepMask(MaskSource::Linear);
        let (offsets, bytes) = wgsl_struct(
            &assemble(kernel, Multiply::Halves, ParamsSource::Uniform),
            "Params",
        );
        assert_eq!(
            offsets,
            offsets!(MaskParams: seed, stream, first_block, first_lane, len, drop_threshold_high,
                drop_threshold_low, keep_scale, keep_shift, dropped_value, tail)
        );
        assert_eq!(bytes, size_of::<MaskParams>());
        // As the kernels take that the recording is compared with: tests/cpu/validation/recording.rs,
        // benches/recording.rs, cli/src/bench/recording.rs.
        assert_eq!(bytes, 56);
    }

    #[test]
    fn bound_params_have_the_dimensions_behind_them() {
        let kernel = Kernel::Dropout {
            element: ElementType::F32,
            buffers: BufferLayout::Pooled,
            mask: MaskSource::Strided(Strided {
                family: Family::Rows,
                whole_words: false,
                dimensions: 2,
                sample_ids: false,
            }),
            value: ValueMap::Scale,
            access: Access::Words,
        };
        let source = assemble(kernel, Multiply::Halves, ParamsSource::Bound);
        let (offsets, bytes) = wgsl_struct(&source, "Params");
        assert_eq!(
            offsets.last(),
            Some(&(String::from("tail"), size_of::<MaskParams>()))
        );
        assert_eq!(
            bytes as u64,
            size_of::<MaskParams>() as u64 + DIMENSIONS_BYTES
        );
    }

    #[test]
    fn block_params_lie_as_in_the_shader() {
        let kernel = Kernel::PhiloxBlocks { rounds: 10 };
        let (offsets, bytes) = wgsl_struct(
            &assemble(kernel, Multiply::Halves, ParamsSource::Uniform),
            "Params",
        );
        assert_eq!(offsets, offsets!(BlockParams: counter, key, len, padding));
        assert_eq!(bytes, size_of::<BlockParams>());
    }

    #[test]
    fn dimensions_lie_as_in_the_shader() {
        let strided = Strided {
            family: Family::Scattered,
            whole_words: false,
            dimensions: 8,
            sample_ids: false,
        };
        let source = assemble(
            Kernel::KeepMask(MaskSource::Strided(strided)),
            Multiply::Halves,
            ParamsSource::Uniform,
        );
        let (offsets, bytes) = wgsl_struct(&source, "Dimension");
        assert_eq!(offsets, offsets!(DimensionParams: size, start, stride));
        assert_eq!(bytes, size_of::<DimensionParams>());
        assert!(source.contains(&format!("array<Dimension, {}>", MaskLayout::MAX_DIMENSIONS)));
    }
}
