//! Reads the files that the rules check, and separates their code from comments and literals.

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

/// A file that the rules check.
pub(crate) struct Source {
    /// The path from the root of the repository.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with blanks in place of comments and literals. Every line keeps its number. Makes sense for Rust files only.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: code_of(text) }
    }

    /// Makes a finding about a line of this file.
    pub(crate) fn finding(&self, line: usize, why: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, why: why.into() }
    }

    /// Returns the line, from 1, of an offset in the code.
    pub(crate) fn line_at(&self, offset: usize) -> usize {
        1 + self.code.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    /// Returns the offsets in the code where `word` is a whole word.
    pub(crate) fn words(&self, word: &str) -> Vec<usize> {
        let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
        // Only a word that begins with a character of a name could be the end of a longer name. The same holds at its end.
        let forbids_name_before = word.starts_with(part_of_name);
        let forbids_name_after = word.ends_with(part_of_name);
        self.code
            .match_indices(word)
            .filter(|(offset, _)| !(forbids_name_before && self.code[..*offset].ends_with(part_of_name)))
            .filter(|(offset, _)| !(forbids_name_after && self.code[offset + word.len()..].starts_with(part_of_name)))
            .map(|(offset, _)| offset)
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

/// Reads the `.proto` files, which define the contract between clients and server.
pub(crate) fn proto() -> Vec<Source> {
    walk("proto", "proto")
}

/// Tells whether this path from the root exists.
pub(crate) fn exists(path: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
}

/// Reads all files with this extension in a folder and its subfolders, ordered by path. Skips `target` and hidden folders.
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
            // A file that cannot be read counts as empty. For a Rust file, the check of its first line then reports it.
            let bytes = fs::read(entry.path()).unwrap_or_default();
            found.push(Source::new(&path, &String::from_utf8_lossy(&bytes)));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Replaces comments, and string and character literals, by blanks.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let blanked = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if !code.ends_with(|p: char| p.is_alphanumeric() || p == '_') => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if blanked == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            let (gone, after) = rest.split_at(blanked);
            code.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = after;
        }
    }
    code
}

/// Returns the length of the block comment at the start of `rest`. The comment may contain other block comments, and ends after
/// them.
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

/// Returns the length of the string literal at the start of `rest`.
fn string(rest: &str) -> usize {
    let mut escaped = true; // so that the opening quote does not end the literal
    for (at, c) in rest.char_indices() {
        match c {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// Returns the length of the raw string at the start of `rest`, or 0 if this `r` does not open one.
fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
    let body = &rest[1 + hashes..];
    if !body.starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    body[1..].find(&close).map_or(rest.len(), |at| 1 + hashes + 1 + at + close.len())
}

/// Returns the length of the character literal at the start of `rest`, or 0 if this quote begins a lifetime.
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
