//! The mutants of a WGSL text: every place where a simple rule finds something to change.

use std::ops::Range;

/// One change of one file.
pub struct Mutant {
    /// The kind of text that is changed.
    pub kind: &'static str,
    /// Its line, counted from 1.
    pub line: usize,
    /// Bytes of the file.
    range: Range<usize>,
    /// The text before the change.
    pub from: String,
    /// The text after the change.
    pub to: String,
}

/// Operators, their kinds and what each becomes, separated by blanks. None stands before one that it begins.
const OPERATORS: [(&str, &str, &str); 24] = [
    ("->", "arithmetic", ""),
    ("++", "arithmetic", "--"),
    ("+=", "arithmetic", "-="),
    ("-=", "arithmetic", "+="),
    ("|=", "bits", "&="),
    ("&=", "bits", "|="),
    ("<<", "shift", ">>"),
    (">>", "shift", "<<"),
    ("<=", "comparison", "< >"),
    (">=", "comparison", "> <"),
    ("==", "comparison", "!="),
    ("!=", "comparison", "=="),
    ("&&", "logic", "||"),
    ("||", "logic", "&&"),
    ("<", "comparison", "<= >="),
    (">", "comparison", ">= <="),
    ("+", "arithmetic", "-"),
    ("-", "arithmetic", "+"),
    ("*", "arithmetic", "+"),
    ("/", "arithmetic", "*"),
    ("%", "arithmetic", "/"),
    ("&", "bits", "|"),
    ("|", "bits", "&"),
    ("^", "bits", "|"),
];

/// Members and other words.
const WORDS: [(&str, &str, &str); 7] = [
    (".x", "lane", ".y"),
    (".y", "lane", ".x"),
    (".z", "lane", ".w"),
    (".w", "lane", ".z"),
    (".even", "lane", ".odd"),
    (".odd", "lane", ".even"),
    ("true", "logic", "false"),
];

/// All mutants, line by line.
pub fn mutants(text: &str) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let mut start = 0;
    for (text, line) in text.split_inclusive('\n').zip(1..) {
        let code = text.split("//").next().unwrap_or_default().trim_end();
        let changes = [tokens(code), indices(code), selects(code), statements(code)];
        let changes = changes.into_iter().flatten();
        mutants.extend(changes.map(|(kind, range, to)| Mutant {
            kind,
            line,
            from: code[range.clone()].to_owned(),
            to,
            range: start + range.start..start + range.end,
        }));
        start += text.len();
    }
    mutants
}

impl Mutant {
    pub fn apply(&self, text: &str) -> String {
        let Range { start, end } = self.range;
        [&text[..start], &self.to, &text[end..]].concat()
    }

    /// The line above, then its line before and after the change, without indentation.
    pub fn lines(&self, text: &str) -> [String; 3] {
        let line = |text: &str, number: usize| {
            let line = number.checked_sub(1).and_then(|at| text.lines().nth(at));
            line.unwrap_or_default().trim().to_owned()
        };
        let (at, mutated) = (self.line, self.apply(text));
        [line(text, at - 1), line(text, at), line(&mutated, at)]
    }
}

/// The kind, the bytes of the line and what replaces them.
type Change = (&'static str, Range<usize>, String);

fn tokens(code: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let rest = &code[at..];
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = at + rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            literal(code, at..end, &mut changes);
            at = end;
        } else if end > at {
            let start = at - usize::from(code[..at].ends_with('.'));
            let found = WORDS.iter().filter(|(from, ..)| *from == &code[start..end]);
            changes.extend(found.map(|(_, kind, to)| (*kind, start..end, (*to).to_owned())));
            at = end;
        } else if let Some((from, kind, to)) = OPERATORS.iter().find(|o| rest.starts_with(o.0)) {
            // Template brackets have no blanks around them.
            let is_binary = code[..at].ends_with(' ') && rest[from.len()..].starts_with(' ');
            let end = at + from.len();
            if is_binary || *from == "++" {
                let to = to.split_whitespace();
                changes.extend(to.map(|to| (*kind, at..end, to.to_owned())));
            }
            at = end;
        } else {
            if rest.starts_with('!') {
                changes.push(("logic", at..at + 1, String::new()));
            }
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    changes
}

/// One more and one less.
fn literal(code: &str, range: Range<usize>, changes: &mut Vec<Change>) {
    let literal = &code[range.clone()];
    let digits = literal.trim_end_matches('u');
    let suffix = &literal[digits.len()..];
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let Ok(value) = value else { return };
    for value in [Some(value + 1), value.checked_sub(1)]
        .into_iter()
        .flatten()
    {
        let to = match digits.starts_with("0x") {
            true => format!("{value:#x}{suffix}"),
            false => format!("{value}{suffix}"),
        };
        changes.push(("literal", range.clone(), to));
    }
}

fn indices(code: &str) -> Vec<Change> {
    let ends = code.match_indices(']');
    ends.map(|(at, _)| ("index", at..at + 1, " + 1u]".to_owned()))
        .collect()
}

/// The first two arguments exchanged.
fn selects(code: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    for (at, name) in code.match_indices("select(") {
        let start = at + name.len();
        if let [first, second, ..] = &arguments(&code[start..])[..] {
            let end = start + first.len() + ", ".len() + second.len();
            changes.push(("arguments", start..end, format!("{second}, {first}")));
        }
    }
    changes
}

/// Statements removed, but none that declares something.
fn statements(code: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    if code.trim_start().starts_with("for ") {
        return changes;
    }
    let mut end = 0;
    for statement in code.split_inclusive(';') {
        end += statement.len();
        let text = statement.trim_start();
        let first = text.split([' ', ';']).next().unwrap_or_default();
        let declares = first.starts_with('@')
            || ["let", "var", "const", "alias"].contains(&first)
            || first.starts_with("var<");
        let leaves = first == "return" && text != "return;";
        if text.ends_with(';') && !declares && !leaves {
            changes.push(("statement", end - text.len()..end, String::new()));
        }
    }
    changes
}

/// The arguments up to the closing parenthesis, and parts of what follows it.
fn arguments(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let ends = |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth < 0 || depth == 0 && c == ','
    };
    text.split(ends).map(str::trim_start).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_changes_what_it_should() {
        for (line, expected) in [
            (
                "let a = 0xfu;",
                &["let a = 0x10u;", "let a = 0xeu;"] as &[_],
            ),
            ("let a = 0u;", &["let a = 1u;"]),
            ("a < b", &["a <= b", "a >= b"]),
            ("a == b", &["a != b"]),
            ("a + b", &["a - b"]),
            ("a >> b", &["a << b"]),
            ("a ^ b", &["a | b"]),
            ("a && !b", &["a || !b", "a && b"]),
            ("i++", &["i--"]),
            ("let a = p.x;", &["let a = p.y;"]),
            ("return a[i];", &["return a[i + 1u];"]),
            (
                "let a = select(V(), g(b, c), d);",
                &["let a = select(g(b, c), V(), d);"],
            ),
            ("f(a); g(b);", &["g(b);", "f(a);"]),
            ("return;", &[""]),
            ("return a;", &[]),
            ("// 1 + 2 < 3", &[]),
            ("}  // [M4] 8u", &[]),
            ("fn philox4x32(counter: vec4<u32>) -> vec4<u32> {", &[]),
            ("var<storage, read_write> blocks: array<vec4<u32>>;", &[]),
            ("let c0 = u32(k1);", &[]),
        ] {
            let mutants = mutants(line);
            let changed = mutants.iter().map(|mutant| mutant.lines(line));
            let changed: Vec<_> = changed.map(|[_, _, changed]| changed).collect();
            assert_eq!(changed, expected, "{line}");
        }
    }
}
