//! Dropout on any runtime of CubeCL, with Burn's own buffers and queue.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::prelude::{BufferArg, CubeCount, CubeDim};
use burn_cubecl::cubecl::server::BufferBinding;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use wgpu_dropout::launch::{self, LaunchLimits, Part};
use wgpu_dropout::{Direction, DropoutCall, Effect, ElementType, MaskLayout};

use crate::error::DropoutError;
use crate::kernel::dropout::{ELEMENTS, Variant, WORKGROUP_SIZE, dropout};
use crate::kernel::index::dimensions;
use crate::kernel::mask::mask;
use crate::operation::{DropoutBackend, element_type};

/// The parts into which a tensor is cut for the limits of `client`.
pub(crate) fn parts(
    client: &Client,
    layout: &MaskLayout,
    element: ElementType,
    call: &DropoutCall,
) -> Result<impl Iterator<Item = Part> + use<>, DropoutError> {
    let properties = client.properties();
    let limits = LaunchLimits {
        max_binding_bytes: properties.memory.max_page_size,
        // CubeCL's alignment of a buffer's offset is a small power of two.
        offset_alignment_bytes: properties.memory.alignment as u32,
        max_workgroups: properties.hardware.max_cube_count.0,
        ..LaunchLimits::default()
    };
    Ok(launch::parts(layout, element, call, limits)?)
}

impl DropoutBackend for CubeBackend {
    fn fused_dropout(
        tensor: FloatTensor<Self>,
        layout: MaskLayout,
        call: DropoutCall,
        direction: Direction,
    ) -> FloatTensor<Self> {
        // The output has the bits of the input [M11].
        if call.rate.drops_nothing() {
            return tensor;
        }
        let input = into_contiguous(tensor);
        let output = empty_device_contiguous_dtype(
            input.client.clone(),
            input.device.clone(),
            input.shape(),
            input.dtype,
        );
        let effect = Effect::of(call.kind, direction);
        let parts = element_type(input.dtype).and_then(|element| {
            let parts = parts(&input.client, &layout, element, &call)?;
            Ok(parts.map(move |part| (part, element)))
        });
        for (part, element) in parts.unwrap_or_else(|error| panic!("{error}")) {
            launch_part(&input, &output, &part, element, effect);
        }
        output
    }
}

fn launch_part(
    input: &CubeTensor,
    output: &CubeTensor,
    part: &Part,
    element: ElementType,
    effect: Effect,
) {
    let variant = Variant {
        element,
        effect,
        decisions: part.decisions,
    };
    let elements = (part.elements.end - part.elements.start) as u32;
    let words = elements.div_ceil(variant.per_word());
    let width = match elements * element.bytes() as u32 % 16 {
        0 => 4,
        _ => 1,
    };
    let workgroups = elements.div_ceil(WORKGROUP_SIZE * ELEMENTS);
    let buffer = |tensor| {
        // SAFETY: the binding has this number of words. If the number of 16-bit elements is odd, it
        // also has the spare half of the last word, since CubeCL aligns buffers.
        #[expect(unsafe_code, reason = "CubeCL checks no length")]
        unsafe {
            BufferArg::from_raw_parts_binding(window(tensor, part), words as usize)
        }
    };
    let (input_words, output_words) = (buffer(input), buffer(output));
    // SAFETY: the kernel's loops end, and it accesses no word outside of these buffers.
    #[expect(unsafe_code, reason = "a bounds check for each load costs time")]
    unsafe {
        dropout::launch_unchecked(
            &input.client,
            CubeCount::Static(workgroups, 1, 1),
            CubeDim::new_1d(WORKGROUP_SIZE),
            width,
            input_words,
            output_words,
            mask(&part.mask),
            dimensions(&part.dimensions),
            words / width as u32,
            variant,
        );
    }
}

/// The part of a contiguous tensor that a launch sees.
fn window(tensor: &CubeTensor, part: &Part) -> BufferBinding {
    let bytes = tensor.elem_size() as u64;
    let (start, end) = (part.elements.start * bytes, part.elements.end * bytes);
    let behind = tensor.handle.size_in_used().saturating_sub(end);
    let handle = tensor.handle.clone();
    handle.offset_start(start).offset_end(behind).binding()
}
