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
#[should_panic(expected = "byte 2 is 0x03, expected 0x02")]
fn one_flipped_bit_is_found() {
    assert_same("flipped", &[1, 2, 3], &[1, 2, 2]);
}
