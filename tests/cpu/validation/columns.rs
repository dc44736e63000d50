//! Refused uses of `ColumnSums`. A refused call records nothing.

use wgpu_dropout::wgsl::Role;
use wgpu_dropout::{
    BindError, CallError, ColumnSums, DropoutAdd, DropoutKind, ElementType, KernelDescriptor,
    Operation, PlanError, Vectors,
};

use super::device::{Noop, range, too_short, whole};
use crate::common::inputs::kind_call;

fn sums(noop: &Noop) -> ColumnSums {
    ColumnSums::new(&noop.device, &KernelDescriptor::default()).unwrap()
}

#[test]
fn memory_for_a_sum_is_a_64th_and_named_where_it_is_too_short() {
    assert_eq!(ColumnSums::scratch_bytes(64 * 100, 768), 100 * 768 * 4);
    assert_eq!(ColumnSums::scratch_bytes(65, 3), 2 * 3 * 4);
    assert_eq!(ColumnSums::scratch_bytes(0, 3), 0);
    assert_eq!(ColumnSums::scratch_bytes(u64::MAX, u32::MAX), u64::MAX);
    let noop = Noop::downlevel();
    let sums = sums(&noop);
    let [matrix, scratch, total] = [(); 3].map(|()| noop.buffer(4096));
    let bind = |rows, columns, scratch_bytes, sums_bytes| {
        let (matrix, scratch) = (whole(&matrix), range(&scratch, 0, scratch_bytes));
        let total = range(&total, 0, sums_bytes);
        noop.without_errors(|| sums.bind(matrix, scratch, total, (rows, columns), ElementType::F16))
    };
    bind(65, 3, 24, 12).unwrap();
    bind(0, 3, 4, 12).unwrap();
    let short =
        |role, range_bytes, required_bytes, len| too_short(role, range_bytes, required_bytes, len);
    let error = bind(65, 3, 20, 12).unwrap_err();
    assert_eq!(error, short(Role::Scratch, 20, 24, 6));
    assert_eq!(
        error.to_string(),
        "the scratch range is 20 bytes, 24 needed for 6 numbers: bind a longer range, or fewer numbers"
    );
    assert_eq!(bind(65, 3, 24, 8).unwrap_err(), short(Role::Sums, 8, 12, 3));
    let error = bind(4096, 3, 0, 0).unwrap_err();
    assert_eq!(error, short(Role::Input, 4096, 24_576, 12_288));
}

#[test]
fn what_a_sum_writes_lies_in_buffers_of_its_own() {
    let noop = Noop::downlevel();
    let sums = sums(&noop);
    let [a, b, c] = [(); 3].map(|()| noop.buffer(4096));
    let at = |buffer, offset| range(buffer, offset, 256);
    noop.without_errors(|| {
        for (matrix, scratch, total, role) in [
            (at(&a, 0), at(&a, 256), at(&b, 0), Role::Scratch),
            (at(&a, 0), at(&b, 0), at(&a, 256), Role::Sums),
            (at(&a, 0), at(&b, 0), at(&b, 256), Role::Scratch),
        ] {
            let error = sums.bind(matrix, scratch, total, (8, 4), ElementType::F32);
            assert_eq!(error.unwrap_err(), BindError::WrittenBuffer { role });
        }
        sums.bind(at(&a, 0), at(&b, 0), at(&c, 0), (8, 4), ElementType::F32)
            .unwrap();
    });
}

#[test]
fn rows_longer_than_a_dispatch_takes_are_refused() {
    let noop = Noop::limited(|limits| limits.max_storage_buffer_binding_size = 1 << 16);
    let sums = sums(&noop);
    let [matrix, scratch, total] = [(); 3].map(|()| noop.buffer(1 << 20));
    let bind = |rows, columns| {
        let [matrix, scratch, total] = [&matrix, &scratch, &total].map(|buffer| whole(buffer));
        noop.without_errors(|| sums.bind(matrix, scratch, total, (rows, columns), ElementType::F32))
    };
    let error = bind(100, 257).unwrap_err();
    let (columns, max_columns) = (257, 256);
    assert_eq!(
        error,
        PlanError::RowTooLong {
            columns,
            max_columns
        }
        .into()
    );
    assert_eq!(
        error.to_string(),
        "a row has 257 elements, the device sums the columns of rows of 256 at most: sum parts of the columns, \
         or request the device with higher limits"
    );
    bind(100, 256).unwrap();
    // One dispatch takes all 63 rows, so the length of a row is not limited.
    bind(63, 257).unwrap();
}

#[test]
fn the_gradient_of_a_scale_needs_a_scale_and_dropout_that_scales() {
    let noop = Noop::downlevel();
    let add = DropoutAdd::new(&noop.device, &KernelDescriptor::default()).unwrap();
    let buffers = [(); 5].map(|()| noop.buffer(4096));
    let at = |place: usize| whole(&buffers[place]);
    let bind = |vectors| {
        noop.without_errors(|| add.bind_scale_gradient(at(0), at(1), vectors, at(3), at(4), 64))
    };
    let error = bind(Vectors::bias(at(2), 8)).unwrap_err();
    assert_eq!(error, BindError::NoScale);
    assert_eq!(
        error.to_string(),
        "the vectors have no scale, and so no gradient of one: give the forward's vectors"
    );
    let bound = bind(Vectors::scale(at(2), 8)).unwrap();
    for kind in DropoutKind::ALL {
        let (call, operation) = (kind_call(0.5, 0, *kind), Operation::DropoutAdd);
        let scales = matches!(kind, DropoutKind::Inverted | DropoutKind::Classic);
        let recorded = noop.records(|pass| {
            let done = add.encode_scale_gradient(pass, &bound, &call, false);
            let error = CallError::Kind {
                kind: *kind,
                operation,
            };
            assert_eq!(done, if scales { Ok(()) } else { Err(error) });
        });
        assert_eq!(recorded, scales);
    }
}
