// Decisions of any layout or of a packed mask.
fn mask_word(word: u32) -> u32 {
    switch params.mode & 7u {
        case DECIDE_ROWS: {
            return row_word(word);
        }
        case DECIDE_RUNS: {
            return run_word(word);
        }
        case DECIDE_SCATTERED: {
            return scattered_word(word);
        }
        case DECIDE_PACKED: {
            return side[params.first_word + word];
        }
        default: {
            return 0xffffffffu;
        }
    }
}
