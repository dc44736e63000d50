//! Philox counters.

/// Returns `counter` plus `blocks`. The counter is one 128-bit number that wraps, and its word 0 is
/// the lowest.
pub fn advance_counter(counter: [u32; 4], blocks: u64) -> [u32; 4] {
    let words = counter
        .iter()
        .rev()
        .fold(0u128, |sum, &word| sum << 32 | u128::from(word));
    let sum = words.wrapping_add(blocks.into());
    [0, 32, 64, 96].map(|shift| (sum >> shift) as u32)
}
