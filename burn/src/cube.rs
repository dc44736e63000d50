//! On the GPU: the library's WGSL, launched by CubeCL on Burn's own buffers and queue.

use burn::backend::TensorMetadata;
use burn::backend::tensor::FloatTensor;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::client::Client;
use burn_cubecl::cubecl::ir::attributes::BufferIOAttr;
use burn_cubecl::cubecl::ir::metadata::Info;
use burn_cubecl::cubecl::ir::settings::Dim3;
use burn_cubecl::cubecl::ir::{ElemType, UIntKind};
use burn_cubecl::cubecl::prelude::{
    AddressType, CubeCount, ExecutionMode, KernelDefinition, KernelId, KernelMetadata,
    KernelSettings, Scope,
};
use burn_cubecl::cubecl::server::{BufferBinding, KernelArguments, MetadataBindingInfo};
use burn_cubecl::cubecl::{CubeKernel, PrecompiledSource};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use wgpu_dropout::launch::{self, Launch, LaunchLimits};
use wgpu_dropout::wgsl::{Variant, Way};
use wgpu_dropout::{Direction, DropoutCall, ElementType, MaskLayout};

use crate::error::DropoutError;
use crate::operation::{DropoutBackend, element_type};

/// The launches of `client` for a call.
pub(crate) fn launches(
    client: &Client,
    layout: &MaskLayout,
    element: ElementType,
    call: &DropoutCall,
    direction: Direction,
) -> Result<impl Iterator<Item = Launch> + use<>, DropoutError> {
    let name = client.name();
    if name != "wgpu<wgsl>" {
        return Err(DropoutError::Compiler { name: name.into() });
    }
    let properties = client.properties();
    let limits = LaunchLimits {
        max_binding_bytes: properties.memory.max_page_size,
        // CubeCL's alignment of a buffer's offset is a small power of two.
        offset_alignment_bytes: properties.memory.alignment as u32,
        max_workgroups: properties.hardware.max_cube_count.0,
        int64: properties.supports_type(ElemType::UInt(UIntKind::U64)),
    };
    Ok(launch::launches(layout, element, call, direction, limits)?)
}

impl DropoutBackend for CubeBackend {
    fn fused_dropout(
        tensor: FloatTensor<Self>,
        layout: MaskLayout,
        call: DropoutCall,
        direction: Direction,
    ) -> FloatTensor<Self> {
        let input = into_contiguous(tensor);
        let client = input.client.clone();
        let output = empty_device_contiguous_dtype(
            client.clone(),
            input.device.clone(),
            input.shape(),
            input.dtype,
        );
        let launches = element_type(input.dtype)
            .and_then(|element| launches(&client, &layout, element, &call, direction))
            .unwrap_or_else(|error| panic!("{error}"));
        for launch in launches {
            let mut arguments = KernelArguments::new()
                .with_buffer_io(window(&input, &launch), BufferIOAttr::ReadOnly)
                .with_buffer_io(window(&output, &launch), BufferIOAttr::WriteOnly);
            arguments.info = MetadataBindingInfo::custom(launch.params);
            client.launch(
                Box::new(Kernel {
                    variant: launch.kernel,
                    way: launch.way,
                }),
                CubeCount::Static(launch.workgroups, 1, 1),
                arguments,
            );
        }
        output
    }
}

/// The part of a contiguous tensor that `launch` sees.
fn window(tensor: &CubeTensor, launch: &Launch) -> BufferBinding {
    let bytes = tensor.elem_size() as u64;
    let (start, end) = (launch.elements.start * bytes, launch.elements.end * bytes);
    let behind = tensor.handle.size_in_used().saturating_sub(end);
    let handle = tensor.handle.clone();
    handle.offset_start(start).offset_end(behind).binding()
}

/// A kernel of the library as one of CubeCL.
struct Kernel {
    variant: Variant,
    way: Way,
}

impl KernelMetadata for Kernel {
    fn id(&self) -> KernelId {
        // Its loops end; no guard of theirs is needed.
        KernelId::new::<Self>()
            .info((self.variant, self.way))
            .mode(ExecutionMode::Unchecked)
    }

    fn address_type(&self) -> ElemType {
        ElemType::UInt(UIntKind::U32)
    }
}

impl CubeKernel for Kernel {
    /// Nothing: the text is the kernel.
    fn define(&self) -> KernelDefinition {
        let settings = KernelSettings::new(
            Dim3::new_single(),
            ExecutionMode::Unchecked,
            AddressType::U32,
        );
        KernelDefinition {
            body: Scope::root(settings.clone()),
            settings,
            info: Info::default(),
        }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        Some(PrecompiledSource {
            source: self.variant.text(self.way),
            entrypoint_name: self.variant.entry_point().into(),
            lang: "wgsl",
        })
    }
}
