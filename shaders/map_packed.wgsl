// A packed mask from outside [M15] in place of a drawn one.
@group(0) @binding(2) var<storage, read> mask: array<u32>;

fn mask_word(word: u32) -> u32 {
    return mask[params.first_block.x + word];
}
