//! Retired words, each with the words that replace it.

use crate::source::{Finding, Source};

/// Old words or phrases, and the words to use in their place. Case counts: a sentence that begins with one has a row of its own.
const RETIRED: [(&[&str], &str); 14] = [
    (&["whoever", "Whoever"], "say who: the caller, the requester, a person who"),
    (&["whatever", "Whatever"], "any"),
    (&["anew"], "again"),
    (&["lane", "lanes"], "worker"),
    (&["pen"], "appender"),
    (&["door", "doors"], "admission, authentication, parser"),
    (&["room", "rooms"], "headroom for an amount, directory for files, space"),
    (&["torn"], "broken, interrupted, cut off"),
    (&["foreign"], "unexpected"),
    (&["rests on", "rest on"], "depends on"),
    (&["for the sake of"], "because of"),
    (&["the book", "The book", "a book", "A book", "its book", "book's"], "the programme, or its record"),
    (&["as the database has it", "As the database has it"], "name the error"),
    (&["are wanted", "is wanted"], "must have, got"),
];

/// Phrases that stay: terms of databases, and names in hashes and in the glossary.
const KEPT: [&str; 4] = ["foreign key", "foreign_key", "tsio book v1", "A record was called a *book*"];

/// Files that may use retired words: this list, the rows that show how it fails, and the list of changes.
const EXEMPT: [&str; 3] = ["tests/tidy/words.rs", "tests/tidy.rs", "CHANGELOG.md"];

/// Finds every retired word of a file: in code, comments, strings and prose. In Rust also as a part of a name: `let torn_page`.
pub(crate) fn check(file: &Source) -> Vec<Finding> {
    if EXEMPT.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let is_rust = file.path.ends_with(".rs");
    let lines = file.text.lines().enumerate();
    lines.flat_map(|(index, line)| retired(line, is_rust).map(move |why| file.finding(index + 1, why))).collect()
}

fn retired(line: &str, splits_names: bool) -> impl Iterator<Item = String> {
    let line = KEPT.iter().fold(line.to_owned(), |line, kept| line.replace(kept, ""));
    let line = if splits_names { line.replace('_', " ") } else { line };
    RETIRED.into_iter().flat_map(move |(old, new)| {
        let line = line.clone();
        let found = old.iter().filter(move |word| is_in(&line, word));
        found.map(move |word| format!("{word}: {new}"))
    })
}

/// Whether the line contains the words, not only as a part of longer ones.
fn is_in(line: &str, words: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(words).any(|(at, _)| !line[..at].ends_with(part) && !line[at + words.len()..].starts_with(part))
}
