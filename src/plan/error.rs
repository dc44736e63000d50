//! Errors of a device or a tensor, found before anything is created.

use core::fmt;

use crate::contract::error::IndexOverflow;

/// A layout that the kernels cannot take. Nothing was created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A dimension that is too long for the strided kernels, which count in 32 bits.
    #[error(
        "a dimension, or neighbours that the mask treats alike, has {size} elements, \
         and the kernels take {max} at most: bind it in shards"
    )]
    DimensionTooLong {
        /// Number of elements.
        size: u64,
        /// The most elements that the kernels can count.
        max: u64,
    },
    /// A sum of columns whose rows are so long that a dispatch cannot take even one tile of rows.
    #[error(
        "a row has {columns} elements, the device sums the columns of rows of {max_columns} \
         at most: sum parts of the columns, or request the device with higher limits"
    )]
    RowTooLong {
        /// Number of elements.
        columns: u64,
        /// The most columns that a dispatch takes.
        max_columns: u64,
    },
    /// Rows of a norm or of a softmax that are too long. A dispatch cannot take even the rows from
    /// one aligned offset to the next.
    #[error(
        "a row has {columns} elements, the device takes rows of {max_columns} at most: \
         give fewer rows at a time, columns that a higher power of two divides, \
         or request the device with higher limits"
    )]
    WholeRowTooLong {
        /// Number of elements.
        columns: u64,
        /// The most columns that a dispatch takes.
        max_columns: u64,
    },
    /// Sample ids could lead past mask index 2^64 - 1.
    #[error(transparent)]
    IndexOverflow(#[from] IndexOverflow),
}

/// A bias, a scale or rows that do not fit a tensor. Nothing was created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A bias or a scale that does not repeat over the elements.
    #[error(
        "{len} numbers do not repeat over {elements} elements: \
         give as many as the tensor's last dimension has, or whole rows of them"
    )]
    VectorLength {
        /// The tensor's elements.
        elements: u64,
        /// Numbers of the bias or of the scale.
        len: u32,
    },
    /// The elements are not whole rows of a gate and its other factor.
    #[error("{elements} elements are not whole rows of {columns}: give the size of half a row")]
    Columns {
        /// Elements of the gate.
        elements: u64,
        /// Elements of half a row.
        columns: u32,
    },
    /// The elements are not whole rows, or the rows are too long for a norm.
    #[error(
        "{elements} elements do not divide into rows of {columns} (1 to {max} are allowed): \
         give the columns of the last dimension"
    )]
    NormColumns {
        /// Elements of the tensor.
        elements: u64,
        /// Elements of a row.
        columns: u32,
        /// [`Norm::MAX_COLUMNS`](crate::Norm::MAX_COLUMNS).
        max: u32,
    },
    /// The two halves of a row share a `u32`.
    #[error(
        "halves of {columns} elements of 16 bits share a u32: \
         give an even number of columns, or gate and up in two ranges"
    )]
    OddHalves {
        /// Elements of half a row.
        columns: u32,
    },
    /// Rows that the device cannot bind in parts which begin at aligned offsets.
    #[error(
        "rows of two halves of {columns} elements are too long to be cut \
         where the device's bindings may begin: give a number of columns that a higher power of two \
         divides, or gate and up in two ranges"
    )]
    LongHalves {
        /// Elements of half a row.
        columns: u32,
    },
}

/// A device that cannot run the kernels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// A limit of the device is too low.
    #[error(
        "the device's {limit} is {available}, {required} needed: \
         request the device with a higher limit, or another adapter"
    )]
    Limit {
        /// The limit.
        limit: Limit,
        /// The value that the kernels need.
        required: u64,
        /// The value that the device has.
        available: u64,
    },
    /// A Philox variant that does not exist.
    #[error("Philox with {rounds} rounds is not offered: ask for 7 or 10")]
    Rounds {
        /// The rounds asked for.
        rounds: u32,
    },
}

/// A limit that the kernels need. Its text is the name that wgpu has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of a storage binding.
    StorageBufferBindingSize,
    /// Workgroups in a dimension of a dispatch.
    ComputeWorkgroupsPerDimension,
    /// Storage buffers of a kernel.
    StorageBuffersPerShaderStage,
    /// Bind groups of a kernel.
    BindGroups,
    /// Uniform buffers of a kernel.
    UniformBuffersPerShaderStage,
    /// Bindings in a bind group.
    BindingsPerBindGroup,
    /// Invocations in a workgroup.
    ComputeInvocationsPerWorkgroup,
    /// Invocations in the first dimension of a workgroup.
    ComputeWorkgroupSizeX,
    /// Bytes of a uniform binding.
    UniformBufferBindingSize,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StorageBufferBindingSize => "max_storage_buffer_binding_size",
            Self::ComputeWorkgroupsPerDimension => "max_compute_workgroups_per_dimension",
            Self::StorageBuffersPerShaderStage => "max_storage_buffers_per_shader_stage",
            Self::BindGroups => "max_bind_groups",
            Self::UniformBuffersPerShaderStage => "max_uniform_buffers_per_shader_stage",
            Self::BindingsPerBindGroup => "max_bindings_per_bind_group",
            Self::ComputeInvocationsPerWorkgroup => "max_compute_invocations_per_workgroup",
            Self::ComputeWorkgroupSizeX => "max_compute_workgroup_size_x",
            Self::UniformBufferBindingSize => "max_uniform_buffer_binding_size",
        })
    }
}
