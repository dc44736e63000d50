//! Texts from outside in messages: short, on one line, and with nothing that a terminal obeys.

use std::path::Path;

/// A quotation is a header, a name, a value.
const MAX_CHARS: usize = 200;

/// A message has many lines where an audit fails.
const MAX_LINE_CHARS: usize = 1000;

/// A text that a file or a user brought.
pub fn quote(text: &str) -> String {
    shorten(&escape(text), MAX_CHARS)
}

/// The name of a file.
pub fn path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// A message that may quote without care: its lines stay.
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

/// Neither a control character nor one of Unicode's format characters, which hide or reorder what
/// stands beside them.
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

/// Begin and end of what is longer than `max` characters.
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
        // Escapes count as they are shown.
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
