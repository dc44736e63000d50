//! The comparison that the other modules use.

/// Checks that two outputs have the same bytes. The message names the first byte that differs.
#[track_caller]
pub fn assert_same(what: &str, actual: &[u8], expected: &[u8]) {
    assert_eq!(actual.len(), expected.len(), "{what}: lengths in bytes");
    if let Some(at) = (0..actual.len()).find(|&at| actual[at] != expected[at]) {
        let (actual, expected) = (actual[at], expected[at]);
        panic!("{what}: byte {at} is {actual:#04x}, expected {expected:#04x}");
    }
}

#[test]
fn equal_bytes_pass() {
    assert_same("equal", &[1, 2, 3], &[1, 2, 3]);
    assert_same("empty", &[], &[]);
}

#[test]
#[should_panic(expected = "byte 2 is 0x03, expected 0x02")]
fn one_flipped_bit_is_found() {
    assert_same("flipped", &[1, 2, 3], &[1, 2, 2]);
}

#[test]
#[should_panic(expected = "lengths in bytes")]
fn a_missing_byte_is_found() {
    assert_same("short", &[1, 2], &[1, 2, 3]);
}

#[test]
#[should_panic(expected = "lengths in bytes")]
fn nothing_is_not_something() {
    assert_same("empty", &[], &[1]);
}
