//! Layouts, sample ids and packed masks that binding and recording refuse.

use wgpu::BufferUsages;
use wgpu_dropout::wgsl::Role;
use wgpu_dropout::{BindError, DropoutCall, Elements, IndexOverflow, MaskLayout, PlanError};

use super::device::{Noop, range, refused, too_short, whole};
use crate::common::inputs::call;

fn small_bindings() -> Noop {
    Noop::limited(|limits| limits.max_storage_buffer_binding_size = 4096)
}

/// The two sources with a buffer of their own, in 256 bytes: 64 sample ids, or 2048 mask bits.
fn with_buffers<'a>(
    layout: &'a MaskLayout,
    buffer: wgpu::BufferBinding<'a>,
) -> [(Role, Elements<'a>); 2] {
    let (ids, mask) = (buffer.clone(), buffer);
    [
        (Role::SampleIds, Elements::samples(layout, ids)),
        (Role::Mask, Elements::packed(mask, layout.len())),
    ]
}

fn rows() -> MaskLayout {
    MaskLayout::elementwise(&[64, 32]).unwrap()
}

#[test]
fn buffers_of_ids_and_masks_are_checked() {
    let noop = Noop::downlevel();
    let data = noop.buffer(8192);
    let usage = BufferUsages::UNIFORM;
    let (bad, short, good) = (
        noop.buffer_for(256, usage),
        noop.buffer(252),
        noop.buffer(512),
    );
    let layout = rows();
    noop.without_errors(|| {
        let bind = |elements| noop.bind_in_place(whole(&data), elements);
        for (role, elements) in with_buffers(&layout, whole(&bad)) {
            let message = format!(
                "the {role} buffer has usages BufferUsages(UNIFORM): create it with STORAGE among them"
            );
            refused(bind(elements), BindError::MissingStorageUsage { role, usage }, &message);
        }
        for (role, elements) in with_buffers(&layout, range(&good, 4, 0)) {
            let error = BindError::UnalignedOffset { role, offset_bytes: 4, alignment_bytes: 256 };
            let message = format!(
                "the {role} offset is 4 bytes; the device binds at multiples of 256 \
                 (min_storage_buffer_offset_alignment)"
            );
            refused(bind(elements), error, &message);
        }
        for (role, elements) in with_buffers(&layout, range(&good, 256, 257)) {
            let error = BindError::PastBuffer { role, end_bytes: 513, buffer_bytes: 512 };
            let message = format!(
                "the {role} range ends at byte 513 of a buffer of 512: \
                 shorten it or make the buffer larger"
            );
            refused(bind(elements), error, &message);
        }
        for window in [whole(&short), range(&good, 256, 252)] {
            for (role, elements) in with_buffers(&layout, window.clone()) {
                // 64 samples of 32 elements.
                let (len, counted) = match role {
                    Role::Mask => (2048, "elements"),
                    _ => (64, "samples"),
                };
                let error =
                    too_short(role, 252, 256, len);
                let message = format!(
                    "the {role} range is 252 bytes, 256 needed for {len} {counted}: \
                     bind a longer range, or fewer {counted}"
                );
                refused(bind(elements), error, &message);
            }
        }
        for (_, elements) in with_buffers(&layout, range(&good, 256, 0)) {
            bind(elements).unwrap();
        }
    });
}

#[test]
fn the_mask_kernel_checks_its_ids() {
    let noop = small_bindings();
    let (mask, ids) = (noop.buffer(1024), noop.buffer(8200));
    let bind = |samples, ids| {
        let layout = MaskLayout::drop_path(&[samples, 2]).unwrap();
        noop.keep_mask
            .bind_samples(range(&mask, 0, 512), &layout, ids)
    };
    noop.without_errors(|| {
        bind(1024, range(&ids, 256, 4096)).unwrap();
        bind(0, range(&ids, 1, 0)).unwrap();
        let error = too_short(Role::SampleIds, 4092, 4096, 1024);
        let message = "the sample ids range is 4092 bytes, 4096 needed for 1024 samples: \
             bind a longer range, or fewer samples";
        refused(bind(1024, range(&ids, 256, 4092)), error, message);
        let error = BindError::TooLong {
            role: Role::SampleIds,
            bytes: 4100,
            max_bytes: 4096,
        };
        let message = "the sample ids take 4100 bytes, the device binds 4096: bind fewer samples";
        refused(bind(1025, whole(&ids)), error, message);
        let error = BindError::WrittenBuffer {
            role: Role::SampleIds,
        };
        let message =
            "the sample ids buffer is also written by dropout: keep it in a buffer of its own";
        refused(bind(16, range(&mask, 512, 0)), error, message);
    });
}

#[test]
fn ids_and_masks_are_not_written() {
    let noop = Noop::downlevel();
    let (a, b) = (noop.buffer(32_768), noop.buffer(32_768));
    let layout = rows();
    let (a, b) = (|offset| range(&a, offset, 0), |offset| range(&b, offset, 0));
    noop.without_errors(|| {
        for (role, elements) in with_buffers(&layout, a(16_384)) {
            let message = format!(
                "the {role} buffer is also written by dropout: keep it in a buffer of its own"
            );
            let error = || BindError::WrittenBuffer { role };
            for got in [
                noop.bind_in_place(a(0), elements.clone()),
                noop.bind(b(0), a(0), elements.clone()),
                noop.bind(a(0), a(8192), elements.clone()),
            ] {
                refused(got, error(), &message);
            }
            // An input may share the buffer, since dropout only reads it.
            noop.bind(a(0), b(0), elements).unwrap();
        }
    });
}

#[test]
fn all_ids_fit_one_binding() {
    let noop = small_bindings();
    let (data, ids) = (noop.buffer(8200), noop.buffer(8200));
    let bind = |samples| {
        let layout = MaskLayout::drop_path(&[samples, 2]).unwrap();
        let ids = whole(&ids);
        noop.bind_in_place(whole(&data), Elements::samples(&layout, ids))
    };
    noop.without_errors(|| {
        assert_eq!(bind(1024).unwrap().dispatches(), 2);
        let error = BindError::TooLong {
            role: Role::SampleIds,
            bytes: 4100,
            max_bytes: 4096,
        };
        refused(
            bind(1025),
            error,
            "the sample ids take 4100 bytes, the device binds 4096: bind fewer samples",
        );
    });
}

#[test]
fn the_largest_id_has_indices() {
    let noop = Noop::downlevel();
    let (data, ids) = (noop.buffer(256), noop.buffer(256));
    let bind = |shape: &[u64], strides: &[u64], first_index| {
        let layout = MaskLayout::strided(shape, strides)
            .unwrap()
            .offset(first_index)
            .unwrap();
        let (data, ids, layout) = (whole(&data), whole(&ids), &layout);
        let mask = noop
            .keep_mask
            .bind_samples(data.clone(), layout, ids.clone());
        let samples = Elements::samples(layout, ids);
        (noop.bind_in_place(data, samples), mask)
    };
    const SIDE: u64 = 1 << 32;
    noop.without_errors(|| {
        // The last index is (2^32 - 1) * 2^32 + 2^32 - 1 = 2^64 - 1.
        for (dropout, mask) in [
            bind(&[1, 2], &[SIDE, SIDE - 1], 0),
            bind(&[3, 2], &[SIDE, SIDE - 1], 0),
            bind(&[3, 2], &[SIDE, 1], SIDE - 2),
        ] {
            dropout.unwrap();
            mask.unwrap();
        }
        for (shape, strides, first_index, last_index) in [
            (&[1, 2], &[SIDE, SIDE], 0, SIDE),
            (&[3, 2], &[SIDE, SIDE], 0, SIDE),
            (&[3, 2], &[SIDE, 1], SIDE - 1, SIDE),
            (&[1, 2], &[SIDE + 2, 1], 0, 1),
            (&[1, 2], &[u64::MAX, 1], 0, 1),
        ] {
            let stride = strides[0];
            let message = format!(
                "mask indices of sample id 2^32 - 1 pass 2^64 - 1, with {stride} indices a sample \
                 and {last_index} as the largest of sample id 0: \
                 give samples fewer elements, or the layout a lower first index"
            );
            let overflow = PlanError::IndexOverflow(IndexOverflow::Samples { stride, last_index });
            let error = || BindError::Layout(overflow.clone());
            let (dropout, mask) = bind(shape, strides, first_index);
            refused(dropout, error(), &message);
            refused(mask, error(), &message);
        }
    });
}

#[test]
fn dimensions_are_counted_in_31_bits() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(256);
    let bind = |layout: &MaskLayout| noop.bind_in_place(whole(&buffer), layout);
    let mask = |layout: &MaskLayout| noop.keep_mask.bind_layout(whole(&buffer), layout);
    let short = |error| matches!(error, BindError::RangeTooShort { .. });
    noop.without_errors(|| {
        for shape in [
            &[2, 1 << 31][..],
            &[2, 1 << 16, 1 << 15],
            &[2, 1 << 20, 1, 1 << 11],
        ] {
            let layout = MaskLayout::drop_path(shape).unwrap();
            let too_long = PlanError::DimensionTooLong {
                size: 1 << 31,
                max: (1 << 31) - 1,
            };
            let error = || BindError::Layout(too_long.clone());
            let message = "a dimension, or neighbours that the mask treats alike, has 2147483648 \
                 elements, and the kernels take 2147483647 at most: bind it in shards";
            refused(bind(&layout), error(), message);
            refused(mask(&layout), error(), message);
        }
        // These layouts are accepted, and only the buffer is too short. Consecutive indices need no
        // dimension.
        for layout in [
            MaskLayout::drop_path(&[2, (1 << 31) - 1]),
            MaskLayout::elementwise(&[2, 1 << 31]),
            MaskLayout::elementwise(&[1 << 40]).and_then(|layout| layout.offset(5)),
        ] {
            let layout = layout.unwrap();
            assert!(short(bind(&layout).unwrap_err()));
            assert!(short(mask(&layout).unwrap_err()));
        }
    });
}

#[test]
fn the_last_index_is_taken_and_the_next_refused() {
    let noop = Noop::downlevel();
    let (data, ids) = (noop.buffer(1024), noop.buffer(256));
    let all = || whole(&data);
    let strided = |stride| MaskLayout::strided(&[2, 3], &[stride, 1]).unwrap();
    // A layout, true if its first dimension has sample ids, and its largest index.
    for (layout, samples, last) in [
        (strided(10), false, 12),
        (strided(3).offset(100).unwrap(), false, 105),
        (strided(10).offset(100).unwrap(), false, 112),
        (strided(10).offset(u64::MAX - 12).unwrap(), false, u64::MAX),
        (strided(3).offset(u64::MAX - 5).unwrap(), false, u64::MAX),
        (strided(u64::MAX - 2), false, u64::MAX),
        (strided(10), true, 10 * u64::from(u32::MAX) + 2),
        (
            strided(1 << 32).offset((1 << 32) - 3).unwrap(),
            true,
            u64::MAX,
        ),
    ] {
        let elements = match samples {
            true => Elements::samples(&layout, whole(&ids)),
            false => Elements::from(&layout),
        };
        let binding = noop.bind_in_place(all(), elements).unwrap();
        let mask = match samples {
            true => noop.keep_mask.bind_samples(all(), &layout, whole(&ids)),
            false => noop.keep_mask.bind_layout(all(), &layout),
        };
        let mask = mask.unwrap();
        let good = call(0.5, u64::MAX - last);
        let record = |call: DropoutCall| {
            let mut results = Vec::new();
            let recorded = noop.records(|pass| {
                results.push(noop.dropout.encode_forward(pass, &binding, &call));
                results.push(noop.dropout.encode_backward(pass, &binding, &call));
                results.push(noop.keep_mask.encode(pass, &mask, &call));
            });
            results.dedup();
            (results, recorded)
        };
        assert_eq!(record(good), (vec![Ok(())], true), "{layout:?}");
        if let Some(origin) = good.origin.checked_add(1) {
            for p in [0.0, 0.5, 1.0] {
                let len = last.saturating_add(1);
                let max = u64::MAX;
                let overflow = IndexOverflow::Call { origin, len, max }.into();
                assert_eq!(
                    record(call(p, origin)),
                    (vec![Err(overflow)], false),
                    "{layout:?}"
                );
            }
        }
    }
}

#[test]
fn nothing_has_no_index_to_overflow() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(256);
    let all = || whole(&buffer);
    let layout = MaskLayout::elementwise(&[2, 0]).unwrap().offset(7).unwrap();
    let ids = Elements::samples(&layout, all());
    let packed = Elements::packed(all(), 0);
    let call = call(0.5, u64::MAX);
    for elements in [Elements::from(&layout), ids, packed] {
        let other = noop.buffer(256);
        let binding = noop.bind_in_place(whole(&other), elements).unwrap();
        assert_eq!((binding.len(), binding.dispatches()), (0, 0));
        assert!(!noop.records(|pass| noop.dropout.encode_forward(pass, &binding, &call).unwrap()));
    }
    let mask = noop.keep_mask.bind_layout(all(), &layout).unwrap();
    assert!(!noop.records(|pass| noop.keep_mask.encode(pass, &mask, &call).unwrap()));
}

/// A packed mask has no indices, so no origin is too large.
#[test]
fn packed_masks_know_no_origin() {
    let noop = Noop::downlevel();
    let (data, mask) = (noop.buffer(256), noop.buffer(256));
    let packed = Elements::packed(whole(&mask), 64);
    let binding = noop.bind_in_place(whole(&data), packed).unwrap();
    // At rate 0 a packed mask still drops elements, so even in place there is work.
    for p in [0.0, 0.5, 1.0] {
        let call = call(p, u64::MAX);
        assert!(noop.records(|pass| noop.dropout.encode_forward(pass, &binding, &call).unwrap()));
    }
}
