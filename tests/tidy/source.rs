//! The files that the rules check, and the code in them.
//!
//! There are no rules here: this module finds files, and blanks comments and literals.

use std::fmt;
use std::fs;
use std::path::Path;

/// A violation of a rule, printed as `FILE:LINE: why`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) why: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.why)
    }
}

/// A file: its path from the root of the repository, its text, and for Rust its code alone.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the insides of literals blanked; every line keeps its number.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: code_of(text) }
    }

    pub(crate) fn finding(&self, line: usize, why: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, why: why.into() }
    }

    /// The line (from 1) of a byte of the code.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        1 + self.code.bytes().take(offset).filter(|b| *b == b'\n').count()
    }

    /// Returns the offsets in the code where `word` is a whole word.
    pub(crate) fn words(&self, word: &str) -> Vec<usize> {
        let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
        let opens = word.starts_with(part_of_name);
        let closes = word.ends_with(part_of_name);
        self.code
            .match_indices(word)
            .filter(|(at, _)| !(opens && self.code[..*at].ends_with(part_of_name)))
            .filter(|(at, _)| !(closes && self.code[at + word.len()..].starts_with(part_of_name)))
            .map(|(at, _)| at)
            .collect()
    }
}

/// Reads every Rust file.
pub(crate) fn rust() -> Vec<Source> {
    ["src", "crates", "migrations", "tests", "benches", "examples"]
        .iter()
        .flat_map(|folder| walk(folder, "rs"))
        .collect()
}

/// Reads every Markdown page.
pub(crate) fn markdown() -> Vec<Source> {
    walk("", "md")
}

/// Reads a file by its path from the root.
pub(crate) fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Reads the files of the contract.
pub(crate) fn proto() -> Vec<Source> {
    walk("proto", "proto")
}

/// Tells whether this path from the root exists.
pub(crate) fn exists(path: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
}

fn walk(folder: &str, extension: &str) -> Vec<Source> {
    let Ok(entries) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if entry.path().is_dir() {
            if name != "target" && !name.starts_with('.') {
                found.extend(walk(&path, extension));
            }
        } else if entry.path().extension().is_some_and(|e| e == extension) {
            let bytes = fs::read(entry.path()).unwrap_or_default(); // an unreadable file has no `//!`, and fails for it
            found.push(Source::new(&path, &String::from_utf8_lossy(&bytes)));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Blanks comments and the insides of string and character literals.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let opaque = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if !code.ends_with(|p: char| p.is_alphanumeric() || p == '_') => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if opaque == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            let (gone, after) = rest.split_at(opaque);
            code.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = after;
        }
    }
    code
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let two = rest.as_bytes().get(at..at + 2);
        match two {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") if depth == 1 => return at + 2,
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn string(rest: &str) -> usize {
    let mut escaped = true; // the opening quote itself
    for (at, c) in rest.char_indices() {
        match c {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// Returns the length of a raw string, 0 if this `r` opens none.
fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
    let body = &rest[1 + hashes..];
    if !body.starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    body[1..].find(&close).map_or(rest.len(), |at| 1 + hashes + 1 + at + close.len())
}

/// Returns the length of a character literal, 0 if this quote opens a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some((at, c))) => {
            let after = at + c.len_utf8();
            rest[after..].find('\'').map_or(0, |end| after + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}
