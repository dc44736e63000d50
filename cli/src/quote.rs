//! Texts from outside in messages: made short, put on one line, and freed of terminal control
//! sequences.

use std::path::Path;

/// The longest quotation, such as a header, a name or a value.
const MAX_CHARS: usize = 200;

/// The longest line of a message. A failed audit has many lines.
const MAX_LINE_CHARS: usize = 1000;

/// Quotes a text from a file or a user.
pub fn quote(text: &str) -> String {
    shorten(&escape(text), MAX_CHARS)
}

/// Quotes the name of a file.
pub fn path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// Makes a message harmless that may contain raw quotations. Its line breaks stay.
pub fn message(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| shorten(&escape(line), MAX_LINE_CHARS));
    lines.collect::<Vec<_>>().join("\n")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) {
            escaped.push(c);
        } else {
            escaped.extend(c.escape_default());
        }
    }
    escaped
}

/// Returns true unless `c` is a control character, or a format character of Unicode, which hides or
/// reorders its neighbours.
fn is_harmless(c: char) -> bool {
    let formats = matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    !c.is_control() && !formats
}

/// Shortens a text of more than `max` characters to its beginning and its end.
fn shorten(text: &str, max: usize) -> String {
    let chars = text.chars().count();
    if chars <= max {
        return text.to_owned();
    }
    let mark = format!("…({} more)…", chars - max);
    let end = max / 4;
    let first = text.chars().take(max - end);
    let last = text.chars().skip(chars - end);
    first.chain(mark.chars()).chain(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        for (text, escaped) in [
            ("\x1b[31mred", "\\u{1b}[31mred"),
            ("\u{9b}2J\x07\x08\x7f", "\\u{9b}2J\\u{7}\\u{8}\\u{7f}"),
            ("a\r\nerror: b", "a\\r\\nerror: b"),
            ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
        ] {
            assert_eq!(quote(text), escaped);
        }
    }

    #[test]
    fn other_texts_stay() {
        for text in [r"C:\a 'b' `c`", "größe e\u{301} 形 🙂", ""] {
            assert_eq!(quote(text), text);
        }
    }

    #[test]
    fn the_middle_of_long_texts_is_left_out() {
        let text = format!("begin{}end", "ä".repeat(1_000_000));
        let quoted = quote(&text);
        assert!(quoted.starts_with("beginä") && quoted.ends_with("äend"));
        assert!(quoted.contains("…(999808 more)…"), "{quoted}");
        assert!(quoted.chars().count() < 2 * MAX_CHARS);
        // The bound counts escapes by the characters that are shown.
        assert!(quote(&"\0".repeat(MAX_CHARS)).chars().count() < 2 * MAX_CHARS);
    }

    #[test]
    fn lines_of_a_message_stay_lines() {
        let text = format!("first\n  second\x1b\n{}", "x".repeat(10_000));
        let message = message(&text);
        assert!(message.starts_with("first\n  second\\u{1b}\nxxx"));
        assert!(message.len() < 2 * MAX_LINE_CHARS);
    }
}
