//! Words that are no longer used, each with those that are.

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

/// What stays: terms of others, and names kept in hashes and in the database.
const KEPT: [&str; 4] = ["foreign key", "foreign_key", "tsio book v1", "A record was called a *book*"];

/// Files that may name them: this list, and what changed.
const EXEMPT: [&str; 2] = ["tests/tidy/words.rs", "CHANGELOG.md"];

/// Every retired word of a file: code, comments, strings and prose.
pub(crate) fn check(file: &Source) -> Vec<Finding> {
    if EXEMPT.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    lines.flat_map(|(index, line)| retired(line).map(move |why| file.finding(index + 1, why))).collect()
}

fn retired(line: &str) -> impl Iterator<Item = String> {
    let line = KEPT.iter().fold(line.to_owned(), |line, kept| line.replace(kept, ""));
    RETIRED.into_iter().flat_map(move |(old, new)| {
        let line = line.clone();
        let found = old.iter().filter(move |word| is_in(&line, word));
        found.map(move |word| format!("{word}: {new}"))
    })
}

/// Whether the words stand in the line, not as a part of others.
fn is_in(line: &str, words: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(words).any(|(at, _)| !line[..at].ends_with(part) && !line[at + words.len()..].starts_with(part))
}
