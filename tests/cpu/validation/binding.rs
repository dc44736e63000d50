//! Refused buffers: each error with its numbers, and the nearest binding that is accepted.

use wgpu::BufferUsages;
use wgpu_dropout::wgsl::Role;
use wgpu_dropout::{BindError, ElementType, Elements, GaussianDropout, MaskLayout};

use super::device::{Noop, range, refused, too_short, two_devices, whole};

#[test]
fn buffers_without_storage() {
    let noop = Noop::downlevel();
    let usage = BufferUsages::COPY_SRC | BufferUsages::UNIFORM;
    let (bad, good) = (noop.buffer_for(64, usage), noop.buffer(64));
    let (bad, good) = (|| range(&bad, 0, 64), || range(&good, 0, 64));
    let expected = |role| BindError::MissingStorageUsage { role, usage };
    let message = |role| {
        format!(
            "the {role} buffer has usages BufferUsages(COPY_SRC | UNIFORM): create it with STORAGE among them"
        )
    };
    noop.without_errors(|| {
        for (role, got) in [
            (Role::Input, noop.bind(bad(), good(), 1)),
            (Role::Output, noop.bind(good(), bad(), 1)),
            (Role::Data, noop.bind_in_place(bad(), 1)),
            // The usage is checked even for 0 elements.
            (Role::Data, noop.bind_in_place(bad(), 0)),
        ] {
            refused(got, expected(role), &message(role));
        }
        refused(
            noop.keep_mask.bind(bad(), 1),
            expected(Role::Mask),
            &message(Role::Mask),
        );
        refused(
            noop.philox.bind(bad(), 1),
            expected(Role::Blocks),
            &message(Role::Blocks),
        );
    });
}

#[test]
fn offsets_follow_the_devices_rule() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(4096);
    noop.without_errors(|| {
        for offset_bytes in [1, 2, 4, 128, 255, 257, 260] {
            refused(
                noop.bind_in_place(range(&buffer, offset_bytes, 0), 1),
                BindError::UnalignedOffset {
                    role: Role::Data,
                    offset_bytes,
                    alignment_bytes: 256,
                },
                &format!(
                    "the data offset is {offset_bytes} bytes; the device binds at multiples of 256 \
                     (min_storage_buffer_offset_alignment)"
                ),
            );
        }
        for offset in [0, 256, 512, 4096 - 256] {
            noop.bind_in_place(range(&buffer, offset, 0), 64).unwrap();
        }
    });

    // A device that allows smaller multiples.
    let noop = Noop::limited(|limits| limits.min_storage_buffer_offset_alignment = 32);
    let buffer = noop.buffer(4096);
    noop.without_errors(|| {
        noop.bind_in_place(range(&buffer, 32, 0), 64).unwrap();
        let error = noop.bind_in_place(range(&buffer, 16, 0), 64);
        let expected = BindError::UnalignedOffset {
            role: Role::Data,
            offset_bytes: 16,
            alignment_bytes: 32,
        };
        assert_eq!(error.unwrap_err(), expected);
    });
}

#[test]
fn ranges_end_in_their_buffer() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(1024);
    noop.without_errors(|| {
        let aligned_last = u64::MAX - 255;
        for (offset, bytes, end_bytes) in [
            (0, 1025, 1025),
            (256, 769, 1025),
            (1024, 1, 1025),
            // Size 0 means up to the end of the buffer. The error then names where the range
            // begins.
            (1280, 0, 1280),
            (aligned_last, 0, aligned_last),
            (aligned_last, 255, u64::MAX),
            (aligned_last, 256, u64::MAX),
            (0, u64::MAX, u64::MAX),
            (256, u64::MAX, u64::MAX),
        ] {
            for len in [0, 1] {
                refused(
                    noop.bind_in_place(range(&buffer, offset, bytes), len),
                    BindError::PastBuffer {
                        role: Role::Data,
                        end_bytes,
                        buffer_bytes: 1024,
                    },
                    &format!(
                        "the data range ends at byte {end_bytes} of a buffer of 1024: \
                         shorten it or make the buffer larger"
                    ),
                );
            }
        }
        for (offset, bytes, len) in [(0, 1024, 256), (768, 256, 64), (768, 0, 64), (1024, 0, 0)] {
            noop.bind_in_place(range(&buffer, offset, bytes), len)
                .unwrap();
        }
    });
}

#[test]
fn ranges_hold_their_elements() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(1024);
    let message = |role, range, required, len| {
        format!(
            "the {role} range is {range} bytes, {required} needed for {len} elements: \
             bind a longer range, or fewer elements"
        )
    };
    noop.without_errors(|| {
        for (offset, bytes, range_bytes, required_bytes, len) in [
            (0, 0, 1024, 1028, 257),
            (0, 20, 20, 24, 6),
            (0, 23, 23, 24, 6),
            (768, 0, 256, 260, 65),
            (768, 255, 255, 256, 64),
            (1024, 0, 0, 4, 1),
            // Lengths whose size in bytes overflows 64 bits.
            (0, 0, 1024, 1 << 63, 1 << 61),
            (0, 0, 1024, u64::MAX, 1 << 62),
            (0, 0, 1024, u64::MAX, (1 << 62) + 1),
            (0, 0, 1024, u64::MAX, u64::MAX),
        ] {
            let expected = too_short(Role::Data, range_bytes, required_bytes, len);
            let got = noop.bind_in_place(range(&buffer, offset, bytes), len);
            refused(
                got,
                expected,
                &message(Role::Data, range_bytes, required_bytes, len),
            );
        }
        for (offset, bytes, len) in [(0, 0, 256), (0, 24, 6), (0, 27, 6), (0, 1000, 6)] {
            noop.bind_in_place(range(&buffer, offset, bytes), len)
                .unwrap();
        }
    });
}

#[test]
fn both_roles_of_dropout_are_checked() {
    let noop = Noop::downlevel();
    let (long, short) = (noop.buffer(64), noop.buffer(60));
    let (long, short) = (|| whole(&long), || whole(&short));
    noop.without_errors(|| {
        for (role, got) in [
            (Role::Input, noop.bind(short(), long(), 16)),
            (Role::Output, noop.bind(long(), short(), 16)),
        ] {
            let expected = too_short(role, 60, 64, 16);
            assert_eq!(got.unwrap_err(), expected);
        }
        noop.bind(short(), long(), 15).unwrap();
    });
}

#[test]
fn masks_are_words_and_blocks_are_four() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(64);
    let all = || whole(&buffer);
    let too_short = |role, required_bytes, len| too_short(role, 64, required_bytes, len);
    noop.without_errors(|| {
        noop.keep_mask.bind(all(), 512).unwrap();
        for (len, required_bytes) in [(513, 68), (u64::MAX, 1 << 61)] {
            let message = format!(
                "the mask range is 64 bytes, {required_bytes} needed for {len} elements: bind a \
                 longer range, or fewer elements"
            );
            let error = too_short(Role::Mask, required_bytes, len);
            refused(noop.keep_mask.bind(all(), len), error, &message);
        }
        noop.philox.bind(all(), 4).unwrap();
        for (len, required_bytes) in [(5, 80), (1 << 60, u64::MAX), (u64::MAX, u64::MAX)] {
            let message = format!(
                "the blocks range is 64 bytes, {required_bytes} needed for {len} blocks: bind a \
                 longer range, or fewer blocks"
            );
            let error = too_short(Role::Blocks, required_bytes, len);
            refused(noop.philox.bind(all(), len), error, &message);
        }
    });
}

#[test]
fn buffers_that_are_destroyed_or_another_devices_are_refused() {
    let [own, other] = two_devices(wgpu::Features::empty()).map(Noop::on);
    let noise = GaussianDropout::new(&own.device, &Default::default()).unwrap();
    let layout = MaskLayout::drop_path(&[4, 4]).unwrap();
    let [good, destroyed] = [(); 2].map(|()| own.buffer(64));
    destroyed.destroy();
    let (dropout, mask) = (&own.dropout, &own.keep_mask);
    own.without_errors(|| {
        for (bad, cause) in [
            (&destroyed, "destroyed"),
            (&other.buffer(64), "doesn't match"),
        ] {
            let (bad, good) = (|| whole(bad), || whole(&good));
            let samples = Elements::samples(&layout, bad());
            let packed = Elements::packed(bad(), 16);
            for got in [
                dropout.bind(bad(), good(), 16).err(),
                dropout.bind(good(), bad(), 16).err(),
                dropout.bind_in_place(bad(), 16).err(),
                dropout.bind_in_place(bad(), &layout).err(),
                dropout.bind_in_place(good(), samples).err(),
                dropout.bind_in_place(good(), packed).err(),
                mask.bind(bad(), 16).err(),
                mask.bind_layout(bad(), &layout).err(),
                mask.bind_samples(good(), &layout, bad()).err(),
                mask.bind_samples(bad(), &layout, good()).err(),
                own.philox.bind(bad(), 4).err(),
                noise.bind(bad(), good(), 16).err(),
                noise.bind_in_place(bad(), 16).err(),
            ] {
                let error = got.unwrap();
                let text = error.to_string();
                assert!(matches!(error, BindError::Refused { .. }), "{text}");
                let start = "the device takes only buffers of its own that are not destroyed: ";
                assert!(text.starts_with(start) && text.contains(cause), "{text}");
                assert!(!text.contains('\n'), "{text}");
            }
        }
    });
}

#[test]
fn the_same_range_twice_is_in_place_by_another_name() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(1024);
    noop.without_errors(|| {
        for (input, output, len) in [
            (range(&buffer, 256, 0), range(&buffer, 256, 0), 64),
            // The ranges of the elements are equal; those of the bindings need not be.
            (range(&buffer, 256, 256), range(&buffer, 256, 512), 64),
        ] {
            refused(
                noop.bind(input, output, len),
                BindError::SameRange {
                    roles: [Role::Input, Role::Output],
                    range: 256..512,
                },
                "input and output are both bytes 256..512 of one buffer: use bind_in_place",
            );
        }
    });
}

#[test]
fn elements_may_touch_but_not_overlap() {
    let noop = Noop::downlevel();
    let buffer = noop.buffer(1024);
    let at = |offset| range(&buffer, offset, 0);
    noop.without_errors(|| {
        // 65 elements reach 4 bytes into the next range.
        for (input, output) in [(0, 256), (256, 0), (512, 256)] {
            let end = |start: u64| start..start + 260;
            refused(
                noop.bind(at(input), at(output), 65),
                BindError::Overlap {
                    roles: [Role::Input, Role::Output],
                    ranges: [end(input), end(output)],
                },
                &format!(
                    "input bytes {:?} and output bytes {:?} of one buffer overlap: \
                     move them apart, or use bind_in_place for one range",
                    end(input),
                    end(output)
                ),
            );
            noop.bind(at(input), at(output), 64).unwrap();
        }
        // The same ranges of two buffers do not overlap.
        let other = noop.buffer(1024);
        noop.bind(at(0), whole(&other), 256).unwrap();
    });
}

#[test]
fn nothing_can_be_bound_anywhere() {
    let noop = Noop::downlevel();
    let (buffer, empty) = (noop.buffer(1024), noop.buffer(0));
    noop.without_errors(|| {
        for (input, output) in [
            (whole(&buffer), whole(&buffer)),
            (range(&buffer, 256, 256), range(&buffer, 256, 256)),
            (range(&buffer, 1024, 0), whole(&buffer)),
            (whole(&empty), whole(&empty)),
            (whole(&buffer), whole(&empty)),
        ] {
            let bound = noop.bind(input, output.clone(), 0).unwrap();
            assert_eq!(
                (bound.len(), bound.dispatches(), bound.is_empty()),
                (0, 0, true)
            );
            let bound = noop.bind_in_place(output.clone(), 0).unwrap();
            assert_eq!(
                (bound.len(), bound.dispatches(), bound.is_empty()),
                (0, 0, true)
            );
            noop.keep_mask.bind(output.clone(), 0).unwrap();
            noop.philox.bind(output, 0).unwrap();
        }
    });
}

#[test]
fn elements_of_16_bits_need_their_last_whole_word() {
    let noop = Noop::downlevel();
    // wgpu rejects bindings of 6 bytes. The library's own error comes first.
    let (cut, buffer) = (noop.buffer(518), noop.buffer(1024));
    noop.without_errors(|| {
        for element in [ElementType::F16, ElementType::Bf16] {
            let bind = |range, len| {
                let elements = Elements::from(len).of_type(element);
                noop.bind_in_place(range, elements)
            };
            for offset_bytes in [2, 4, 6] {
                refused(
                    bind(range(&buffer, offset_bytes, 0), 1),
                    BindError::UnalignedOffset {
                        role: Role::Data,
                        offset_bytes,
                        alignment_bytes: 256,
                    },
                    &format!(
                        "the data offset is {offset_bytes} bytes; the device binds at multiples \
                         of 256 (min_storage_buffer_offset_alignment)"
                    ),
                );
            }
            for (got, range_bytes, required_bytes, len) in [
                (bind(range(&buffer, 256, 8), 5), 8, 12, 5),
                (bind(range(&buffer, 256, 6), 3), 6, 8, 3),
                // The buffer ends inside the last word.
                (bind(range(&cut, 256, 0), 131), 262, 264, 131),
                (bind(whole(&buffer), u64::MAX), 1024, u64::MAX, u64::MAX),
            ] {
                refused(
                    got,
                    too_short(Role::Data, range_bytes, required_bytes, len),
                    &format!(
                        "the data range is {range_bytes} bytes, {required_bytes} needed for {len} \
                         elements: bind a longer range, or fewer elements"
                    ),
                );
            }
            bind(range(&buffer, 256, 8), 3).unwrap();
            bind(range(&cut, 256, 0), 130).unwrap();
        }
    });
}
