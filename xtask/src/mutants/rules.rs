//! The mutants of a WGSL text: every place where a simple rule finds something to change.

use std::ops::Range;

/// One change of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutant {
    pub kind: Kind,
    /// Its line, counted from 1.
    pub line: usize,
    /// Bytes of the file.
    range: Range<usize>,
    /// The text before the change.
    pub from: String,
    /// The text after the change.
    pub to: String,
}

/// The kind of text that is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Literal,
    Comparison,
    Arithmetic,
    Shift,
    Bits,
    Logic,
    Lane,
    Index,
    Arguments,
    Statement,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Literal => "literal",
            Self::Comparison => "comparison",
            Self::Arithmetic => "arithmetic",
            Self::Shift => "shift",
            Self::Bits => "bits",
            Self::Logic => "logic",
            Self::Lane => "lane",
            Self::Index => "index",
            Self::Arguments => "arguments",
            Self::Statement => "statement",
        }
    }
}

/// Operators, none before one that it begins.
const OPERATORS: [(&str, Kind, &[&str]); 24] = [
    ("->", Kind::Arithmetic, &[]),
    ("++", Kind::Arithmetic, &["--"]),
    ("+=", Kind::Arithmetic, &["-="]),
    ("-=", Kind::Arithmetic, &["+="]),
    ("|=", Kind::Bits, &["&="]),
    ("&=", Kind::Bits, &["|="]),
    ("<<", Kind::Shift, &[">>"]),
    (">>", Kind::Shift, &["<<"]),
    ("<=", Kind::Comparison, &["<", ">"]),
    (">=", Kind::Comparison, &[">", "<"]),
    ("==", Kind::Comparison, &["!="]),
    ("!=", Kind::Comparison, &["=="]),
    ("&&", Kind::Logic, &["||"]),
    ("||", Kind::Logic, &["&&"]),
    ("<", Kind::Comparison, &["<=", ">="]),
    (">", Kind::Comparison, &[">=", "<="]),
    ("+", Kind::Arithmetic, &["-"]),
    ("-", Kind::Arithmetic, &["+"]),
    ("*", Kind::Arithmetic, &["+"]),
    ("/", Kind::Arithmetic, &["*"]),
    ("%", Kind::Arithmetic, &["/"]),
    ("&", Kind::Bits, &["|"]),
    ("|", Kind::Bits, &["&"]),
    ("^", Kind::Bits, &["|"]),
];

/// Members and other words.
const WORDS: [(&str, Kind, &str); 7] = [
    (".x", Kind::Lane, ".y"),
    (".y", Kind::Lane, ".x"),
    (".z", Kind::Lane, ".w"),
    (".w", Kind::Lane, ".z"),
    (".even", Kind::Lane, ".odd"),
    (".odd", Kind::Lane, ".even"),
    ("true", Kind::Logic, "false"),
];

/// All mutants, line by line.
pub fn mutants(text: &str) -> Vec<Mutant> {
    let mut mutants = Vec::new();
    let mut start = 0;
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let code = line.split("//").next().unwrap_or_default().trim_end();
        let mut found = Found {
            code,
            start,
            number,
            mutants: &mut mutants,
        };
        found.tokens();
        found.indices();
        found.selects();
        found.statements();
        start += line.len();
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
            let line = text.lines().nth(number - 1).unwrap_or_default();
            line.trim().to_owned()
        };
        let above = match self.line {
            1 => String::new(),
            number => line(text, number - 1),
        };
        [
            above,
            line(text, self.line),
            line(&self.apply(text), self.line),
        ]
    }
}

/// Where mutants of a line go.
struct Found<'a> {
    /// Without its comment.
    code: &'a str,
    /// Its first byte in the file.
    start: usize,
    number: usize,
    mutants: &'a mut Vec<Mutant>,
}

impl Found<'_> {
    fn push(&mut self, kind: Kind, range: Range<usize>, to: &str) {
        self.mutants.push(Mutant {
            kind,
            line: self.number,
            from: self.code[range.clone()].to_owned(),
            to: to.to_owned(),
            range: self.start + range.start..self.start + range.end,
        });
    }

    fn tokens(&mut self) {
        let mut at = 0;
        while at < self.code.len() {
            let rest = &self.code[at..];
            let word = word_len(rest);
            at += if rest.starts_with(|c: char| c.is_ascii_digit()) {
                self.literal(at..at + word);
                word
            } else if word > 0 {
                self.word(at..at + word);
                word
            } else {
                self.operator(at)
            };
        }
    }

    fn literal(&mut self, range: Range<usize>) {
        let literal = &self.code[range.clone()];
        let digits = literal.trim_end_matches('u');
        let suffix = &literal[digits.len()..];
        let value = match digits.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => digits.parse(),
        };
        let Ok(value) = value else { return };
        let write = |value: u64| match digits.starts_with("0x") {
            true => format!("{value:#x}{suffix}"),
            false => format!("{value}{suffix}"),
        };
        self.push(Kind::Literal, range.clone(), &write(value + 1));
        if value > 0 {
            self.push(Kind::Literal, range, &write(value - 1));
        }
    }

    fn word(&mut self, range: Range<usize>) {
        let member = range.start - usize::from(self.code[..range.start].ends_with('.'));
        for (from, kind, to) in WORDS {
            if self.code[member..range.end] == *from {
                self.push(kind, member..range.end, to);
            }
        }
    }

    /// The length of what stands at `at`: an operator or one other character.
    fn operator(&mut self, at: usize) -> usize {
        let rest = &self.code[at..];
        let operator = OPERATORS.iter().find(|(from, ..)| rest.starts_with(from));
        let Some((from, kind, replacements)) = operator else {
            if rest.starts_with('!') {
                self.push(Kind::Logic, at..at + 1, "");
            }
            return 1;
        };
        // Template brackets have no blanks around them.
        let is_binary = self.code[..at].ends_with(' ') && rest[from.len()..].starts_with(' ');
        if is_binary || *from == "++" {
            for to in *replacements {
                self.push(*kind, at..at + from.len(), to);
            }
        }
        from.len()
    }

    fn indices(&mut self) {
        for (at, _) in self.code.match_indices(']') {
            self.push(Kind::Index, at..at + 1, " + 1u]");
        }
    }

    /// The first two arguments exchanged.
    fn selects(&mut self) {
        for (at, name) in self.code.match_indices("select(") {
            let start = at + name.len();
            let arguments = arguments(&self.code[start..]);
            if let [first, second, ..] = &arguments[..] {
                let end = start + first.len() + ", ".len() + second.len();
                self.push(Kind::Arguments, start..end, &format!("{second}, {first}"));
            }
        }
    }

    /// Removes statements, but none that declares something.
    fn statements(&mut self) {
        if self.code.trim_start().starts_with("for ") {
            return;
        }
        let mut start = 0;
        for statement in self.code.split_inclusive(';') {
            let end = start + statement.len();
            let text = statement.trim_start();
            let first = text.split([' ', ';']).next().unwrap_or_default();
            let declares = first.starts_with('@')
                || ["let", "var", "const", "alias"].contains(&first)
                || first.starts_with("var<");
            let leaves = first == "return" && text != "return;";
            if text.ends_with(';') && !declares && !leaves {
                self.push(Kind::Statement, end - text.len()..end, "");
            }
            start = end;
        }
    }
}

/// Length of the word or number at the beginning.
fn word_len(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

/// The arguments, separated by `, `, up to the closing parenthesis.
fn arguments(text: &str) -> Vec<&str> {
    let mut arguments = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => {
                arguments.push(&text[start..at]);
                break;
            }
            ')' => depth -= 1,
            ',' if depth == 0 && text[at..].starts_with(", ") => {
                arguments.push(&text[start..at]);
                start = at + 2;
            }
            _ => {}
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that a line becomes.
    fn changed(line: &str) -> Vec<String> {
        let mutants = mutants(line);
        mutants
            .iter()
            .map(|mutant| {
                let [_, before, after] = mutant.lines(line);
                assert_eq!(before, line);
                after
            })
            .collect()
    }

    #[test]
    fn literals_go_up_and_down() {
        let expected = ["let a = 0x10u;", "let a = 0xeu;"];
        assert_eq!(changed("let a = 0xfu;"), expected);
        assert_eq!(changed("let a = 0u;"), ["let a = 1u;"]);
    }

    #[test]
    fn names_and_templates_are_no_operators_and_no_literals() {
        let declarations = [
            "fn philox4x32(counter: vec4<u32>) -> vec4<u32> {",
            "var<storage, read_write> blocks: array<vec4<u32>>;",
            "let c0 = u32(k1);",
        ];
        for line in declarations {
            assert_eq!(changed(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn comments_stay() {
        assert_eq!(changed("// 1 + 2 < 3"), [""; 0]);
        assert_eq!(changed("}  // [M4] 8u"), [""; 0]);
    }

    #[test]
    fn operators_become_their_neighbours() {
        for (line, expected) in [
            ("a < b", &["a <= b", "a >= b"][..]),
            ("a == b", &["a != b"]),
            ("a + b", &["a - b"]),
            ("a >> b", &["a << b"]),
            ("a ^ b", &["a | b"]),
            ("a && !b", &["a || !b", "a && b"]),
            ("i++", &["i--"]),
        ] {
            assert_eq!(changed(line), expected, "{line}");
        }
    }

    #[test]
    fn lanes_indices_and_arguments_are_exchanged() {
        assert_eq!(changed("let a = p.x;"), ["let a = p.y;"]);
        assert_eq!(changed("return a[i];"), ["return a[i + 1u];"]);
        let expected = ["let a = select(g(b, c), V(), d);"];
        assert_eq!(changed("let a = select(V(), g(b, c), d);"), expected);
    }

    #[test]
    fn statements_go_one_by_one() {
        assert_eq!(changed("f(a); g(b);"), ["g(b);", "f(a);"]);
        assert_eq!(changed("return;"), [""]);
        assert_eq!(changed("return a;"), [""; 0]);
    }
}
