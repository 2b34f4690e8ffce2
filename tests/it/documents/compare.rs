//! Compares the output of a command with what its page shows.
//!
//! Ids, hashes and local addresses differ from run to run. Such a value in the page is bound to the value that is
//! printed in its place at its first appearance; it must mean the same afterwards, also in later commands. The last eight
//! digits of an id, by which people name it, are a value of their own, which belongs to the id. Any time
//! matches a time, and any day since 2026 matches a day since 2026, because the samples end before that. A line `...`
//! in the page matches any number of lines. Warnings about dates in the past are ignored, because the samples are from
//! 2021. Everything else must be equal.

use std::collections::HashMap;

/// The form of an id.
const ID: &str = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";

/// How a printed line ends that is not compared.
const LEFT_OUT: &str = "(DATE_IN_THE_PAST)";

/// The values of this run for the ids, hashes and addresses of a page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bindings {
    /// The value of this run for each value of the page.
    live: HashMap<String, String>,
    /// The value of the page for each value of this run.
    shown: HashMap<String, String>,
}

/// A piece of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Id(&'a str),
    Hash(&'a str),
    Address(&'a str),
    Time(&'a str),
    /// A day after all samples: a day on which the page was run.
    Today(&'a str),
}

impl Bindings {
    /// A command of the page, with the ids, hashes and addresses of this run.
    pub(crate) fn live(&self, text: &str) -> String {
        translated(text, &self.live)
    }

    /// Printed text, with the ids, hashes and addresses of the page.
    pub(crate) fn shown(&self, text: &str) -> String {
        translated(text, &self.shown)
    }

    /// Printed lines as the page has to show them. New values are bound to themselves.
    pub(crate) fn learn(&mut self, printed: &[String]) -> Vec<String> {
        let lines: Vec<String> = compared(printed).map(|line| self.shown(line)).collect();
        for line in &lines {
            for piece in pieces(line) {
                if let Piece::Id(new) | Piece::Hash(new) | Piece::Address(new) = piece
                    && !self.live.contains_key(new)
                {
                    self.bind(new, new);
                }
            }
        }
        lines
    }

    /// Binds a shown value to a printed one, and the ending of a shown id to that of the printed id. Returns false if any of them
    /// is bound to another value already.
    pub(crate) fn bind(&mut self, shown: &str, live: &str) -> bool {
        let endings = ending(shown).zip(ending(live));
        endings.is_none_or(|(shown, live)| self.bind_one(shown, live)) && self.bind_one(shown, live)
    }

    fn bind_one(&mut self, shown: &str, live: &str) -> bool {
        let known = self.live.entry(shown.to_owned()).or_insert_with(|| live.to_owned());
        let back = self.shown.entry(live.to_owned()).or_insert_with(|| shown.to_owned());
        known == live && back == shown
    }

    /// Returns whether the shown lines match the printed ones. If they do, keeps the new bindings.
    pub(crate) fn agree(&mut self, shown: &[String], printed: &[String]) -> bool {
        let printed: Vec<&str> = compared(printed).collect();
        let found = matched(self, shown, &printed);
        found.map(|bindings| *self = bindings).is_some()
    }

    fn line_agrees(&mut self, shown: &str, printed: &str) -> bool {
        let (shown, printed) = (pieces(shown.trim_end()), pieces(printed.trim_end()));
        let same = |(shown, printed): (&Piece<'_>, &Piece<'_>)| match (shown, printed) {
            (Piece::Text(shown), Piece::Text(printed)) => shown == printed,
            (Piece::Time(_), Piece::Time(_)) | (Piece::Today(_), Piece::Today(_)) => true,
            (Piece::Id(shown), Piece::Id(live))
            | (Piece::Hash(shown), Piece::Hash(live))
            | (Piece::Address(shown), Piece::Address(live)) => self.bind(shown, live),
            _ => false,
        };
        shown.len() == printed.len() && shown.iter().zip(&printed).all(same)
    }
}

/// The last eight digits of an id; `None` for another value.
fn ending(id: &str) -> Option<&str> {
    if id.len() == ID.len() { id.len().checked_sub(8).and_then(|start| id.get(start..)) } else { None }
}

/// The lines that are compared.
fn compared(printed: &[String]) -> impl Iterator<Item = &str> {
    printed.iter().map(String::as_str).filter(|line| !line.ends_with(LEFT_OUT))
}

/// Matches all shown lines with all printed ones, and returns the bindings with the new ones. `None` if they differ.
fn matched(bindings: &Bindings, shown: &[String], printed: &[&str]) -> Option<Bindings> {
    let Some((first, rest)) = shown.split_first() else {
        return printed.is_empty().then(|| bindings.clone());
    };
    if first == "..." {
        return (0..=printed.len()).find_map(|skipped| matched(bindings, rest, &printed[skipped..]));
    }
    let (line, more) = printed.split_first()?;
    let mut bindings = bindings.clone();
    if bindings.line_agrees(first, line) { matched(&bindings, rest, more) } else { None }
}

/// The text with each id, hash and address replaced by its value in this map. Values that are not in the map stay.
fn translated(text: &str, by: &HashMap<String, String>) -> String {
    let word = |piece: Piece<'_>| match piece {
        Piece::Text(text) | Piece::Time(text) | Piece::Today(text) => text.to_owned(),
        Piece::Id(text) | Piece::Hash(text) | Piece::Address(text) => {
            by.get(text).map_or(text, String::as_str).to_owned()
        }
    };
    pieces(text).into_iter().map(word).collect()
}

/// Splits a line into its pieces.
fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while at < line.len() {
        let inside = line[..at].ends_with(|it: char| it.is_ascii_alphanumeric());
        if let Some(piece) = special(&line[at..]).filter(|_| !inside) {
            let length = text_of(piece).len();
            found.extend((begin < at).then(|| Piece::Text(&line[begin..at])));
            found.push(piece);
            at += length;
            begin = at;
        } else {
            at += line[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    found.extend((begin < at).then(|| Piece::Text(&line[begin..])));
    found
}

fn text_of(piece: Piece<'_>) -> &str {
    match piece {
        Piece::Text(text) | Piece::Id(text) | Piece::Hash(text) => text,
        Piece::Address(text) | Piece::Time(text) | Piece::Today(text) => text,
    }
}

/// The piece at the beginning of a text, if it differs from run to run.
fn special(text: &str) -> Option<Piece<'_>> {
    /// In a form, `h` matches a hexadecimal digit and `d` a decimal one; every other character matches itself.
    fn form<'a>(text: &'a str, form: &str) -> Option<&'a str> {
        let begin = text.get(..form.len())?;
        let fits = |(form, it): (char, char)| match form {
            'h' => matches!(it, '0'..='9' | 'a'..='f'),
            'd' => it.is_ascii_digit(),
            _ => form == it,
        };
        form.chars().zip(begin.chars()).all(fits).then_some(begin)
    }
    if let Some(id) = form(text, ID) {
        return Some(Piece::Id(id));
    }
    if let Some(hash) = form(text, &"h".repeat(64)) {
        return Some(Piece::Hash(hash));
    }
    if let Some(time) = form(text, "dddd-dd-ddTdd:dd:dd") {
        let rest = text[time.len()..].trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
        return rest.starts_with('Z').then(|| Piece::Time(&text[..=text.len() - rest.len()]));
    }
    let is_alone = |it: &str| !text[it.len()..].starts_with(|it: char| it.is_ascii_alphanumeric() || it == '-');
    let has_digit = |it: &str| it.contains(|it: char| it.is_ascii_digit());
    if let Some(ending) = form(text, "hhhhhhhh").filter(|it| is_alone(it) && has_digit(it)) {
        return Some(Piece::Id(ending));
    }
    if let Some(day) = form(text, "dddd-dd-dd").filter(|day| *day >= "2026") {
        return Some(Piece::Today(day));
    }
    let port = text.strip_prefix("127.0.0.1:")?.trim_start_matches(|it: char| it.is_ascii_digit());
    Some(Piece::Address(&text[..text.len() - port.len()]))
}

mod tests {
    use super::{Bindings, ending};

    const A: &str = "01a209bb-09cb-73b8-9b37-61d69ada57d5";
    const B: &str = "01a209bb-09e0-7295-a54a-5c6c18298a40";
    const LIVE: &str = "01a228c3-767c-71ce-bfac-34843f686bec";
    const HASH: &str = "fdf3a3b1a575df59902f3067ef6939cff93ca1c02e15adee9970f1e2a2237aae";

    fn agree(shown: &str, printed: &str) -> bool {
        let lines = |text: &str| text.lines().map(ToOwned::to_owned).collect::<Vec<_>>();
        Bindings::default().agree(&lines(shown), &lines(printed))
    }

    #[test]
    fn output_that_differs_is_found() {
        let row = |text: &str| text.replace("{A}", A).replace("{B}", B).replace("{L}", LIVE).replace("{H}", HASH);
        let row = |text: &str| row(text).replace("{a}", ending(A).unwrap()).replace("{l}", ending(LIVE).unwrap());
        #[rustfmt::skip]
        let rows = [
            ("£6,000 is left",              "£6,000 is left  ",                  true),
            ("£6,000 is left",              "£7,000 is left",                    false),
            ("a\nb",                        "a",                                 false),
            ("a",                           "a\nb",                              false),
            ("a\n...\nd",                   "a\nb\nc\nd",                        true),
            ("a\n...\nd",                   "a\nb\nc",                           false),
            ("...",                         "",                                  true),
            ("offer {A}",                   "offer {L}",                         true),
            ("offer {A}\noffer {A}",        "offer {L}\noffer {L}",              true),
            ("offer {A}\noffer {A}",        "offer {L}\noffer {B}",              false),
            ("offer {A}\noffer {B}",        "offer {L}\noffer {L}",              false),
            ("offer {A}",                   "offer none",                        false),
            ("show ada57d5a\nshow ada57d5a", "show 0f686bec\nshow 0f686bec",      true),
            ("show ada57d5a\nshow ada57d5a", "show 0f686bec\nshow 1f686bec",      false),
            ("offer {A}\nshow {a}",         "offer {L}\nshow 12345678",          false),
            ("offer {A}\nshow {a}",         "offer {L}\nshow {l}",               true),
            ("show {a}\noffer {A}",         "show {l}\noffer {L}",               true),
            ("show {a}\noffer {A}",         "show 12345678\noffer {L}",          false),
            ("head 3:{H}",                  "head 3:{H}",                        true),
            ("head 3:{H}",                  "head 4:{H}",                        false),
            ("head 3:{H}",                  "head 3:{L}",                        false),
            ("made 2026-11-23T18:46:22Z",   "made 2026-11-29T19:23:48.426047Z",  true),
            ("made 2026-11-23T18:46:22Z",   "made 2026-11-23",                   false),
            ("on 2021-09-13",               "on 2021-09-14",                     false),
            ("on 2026-11-29",               "on 2027-01-04",                     true),
            ("on 2026-11-29",               "on 2021-09-14",                     false),
            ("LISTENING 127.0.0.1:50051",   "LISTENING 127.0.0.1:41267",         true),
            ("a",                           "warning: old (DATE_IN_THE_PAST)\na", true),
            ("a",                           "warning: odd (DIOCESE_UNKNOWN)\na", false),
        ];
        for (shown, printed, same) in rows {
            assert_eq!(agree(&row(shown), &row(printed)), same, "{shown:?} beside {printed:?}");
        }
    }

    #[test]
    fn a_later_command_has_the_id_of_this_run() {
        let mut bindings = Bindings::default();
        assert!(bindings.agree(&[format!("offer {A}")], &[format!("offer {LIVE}")]));
        assert_eq!(bindings.live(&format!("tsio offers show {A} {B}")), format!("tsio offers show {LIVE} {B}"));
        assert_eq!(bindings.shown(&format!("offer {LIVE}")), format!("offer {A}"));
    }
}
