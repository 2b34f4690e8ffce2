//! Defines the characters that a text must not have, and makes a text with such characters safe to display.
//!
//! Control characters, escape sequences and controls of writing direction can deceive the reader: they move the cursor,
//! hide words or reverse their order. Invisible characters make two different texts look the same.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// Whether a text may have several lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// One line, for a name, an id or a reference: line feeds and tabs are forbidden.
    One,
    /// Several lines, for a note or a reason: line feeds and tabs are allowed, and CR LF counts as a line feed.
    Many,
}

/// Whether a character is a control character (C0, DEL, C1), a control of writing direction, a separator of lines or
/// paragraphs, or invisible. The joiners U+200C and U+200D are allowed, because several scripts need them.
#[must_use]
pub const fn is_unsafe(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            // Soft hyphen; Arabic letter mark; Mongolian vowel separator.
            | '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            // Zero width space, then the marks of direction.
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            // Separators, embeddings and overrides; word joiner, invisible operators, isolates.
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            // Byte order mark, interlinear annotation, tags.
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// A forbidden character and its position. Lines and characters are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden {
    /// The character.
    pub character: char,
    /// Its line.
    pub line: usize,
    /// Its position in that line.
    pub place: usize,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { character, line, place } = self;
        write!(f, "U+{:04X} at character {place}", u32::from(*character))?;
        if *line > 1 { write!(f, " of line {line}") } else { Ok(()) }
    }
}

/// Finds the first character that a text must not have; `None` if there is none.
#[must_use]
pub fn forbidden(text: &str, lines: Lines) -> Option<Forbidden> {
    let (mut line, mut place) = (1_usize, 0_usize);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        place = place.saturating_add(1);
        let allowed = match (lines, character) {
            (Lines::Many, '\n' | '\t') => true,
            (Lines::Many, '\r') => characters.peek() == Some(&'\n'),
            _ => !is_unsafe(character),
        };
        if !allowed {
            return Some(Forbidden { character, line, place });
        }
        if character == '\n' {
            (line, place) = (line.saturating_add(1), 0);
        }
    }
    None
}

/// Replaces each CR LF by a line feed.
#[must_use]
pub fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if text.contains("\r\n") { text.replace("\r\n", "\n").into() } else { text.into() }
}

/// Makes a text safe to display: writes each [unsafe](is_unsafe) character as `\uXXXX`. This is the escape of JSON, so
/// a string in a JSON document keeps its value. Line feeds and tabs stay in a text of several lines.
#[must_use]
pub fn shown(text: &str, lines: Lines) -> Cow<'_, str> {
    let is_safe = |it: char| !is_unsafe(it) || (lines == Lines::Many && matches!(it, '\n' | '\t'));
    if text.chars().all(is_safe) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len().saturating_add(16));
    for character in text.chars() {
        if is_safe(character) {
            shown.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").unwrap_or_default();
            }
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks every character against ranges that are written by hand.
    #[test]
    fn controls_and_invisible_characters_are_unsafe_and_letters_are_not() {
        let unsafe_ranges = [
            (0x00, 0x1f),
            (0x7f, 0x9f),
            (0xad, 0xad),
            (0x61c, 0x61c),
            (0x180e, 0x180e),
            (0x200b, 0x200b),
            (0x200e, 0x200f),
            (0x2028, 0x202e),
            (0x2060, 0x206f),
            (0xfeff, 0xfeff),
            (0xfff9, 0xfffb),
            (0xe_0000, 0xe_007f),
        ];
        let in_unsafe_range =
            |code_point: u32| unsafe_ranges.iter().any(|(first, last)| (*first..=*last).contains(&code_point));
        for character in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            assert_eq!(is_unsafe(character), in_unsafe_range(character.into()), "U+{:04X}", u32::from(character));
        }
        // Every control character of the standard library is unsafe.
        assert!((0..=u32::from(char::MAX)).filter_map(char::from_u32).filter(|it| it.is_control()).all(is_unsafe));
    }

    #[test]
    fn a_forbidden_character_is_reported_with_its_position() {
        let rows = [
            ("St Wilfreda's – “école”", None, None),
            ("👩\u{200d}🏫 ✔\u{fe0f}", None, None),
            ("a\u{1b}[31m", Some("U+001B at character 2"), Some("U+001B at character 2")),
            ("é\u{85}", Some("U+0085 at character 2"), Some("U+0085 at character 2")),
            ("\u{202e}x", Some("U+202E at character 1"), Some("U+202E at character 1")),
            ("a\tb", Some("U+0009 at character 2"), None),
            ("a\nb", Some("U+000A at character 2"), None),
            ("a\r\nb", Some("U+000D at character 2"), None),
            ("a\rb", Some("U+000D at character 2"), Some("U+000D at character 2")),
            ("a\r", Some("U+000D at character 2"), Some("U+000D at character 2")),
            ("a\nbc\u{7}", Some("U+000A at character 2"), Some("U+0007 at character 3 of line 2")),
            ("a\r\n\u{e0041}", Some("U+000D at character 2"), Some("U+E0041 at character 1 of line 2")),
        ];
        for (text, in_one_line, in_many_lines) in rows {
            let named = |lines| forbidden(text, lines).map(|it| it.to_string());
            assert_eq!(named(Lines::One).as_deref(), in_one_line, "{text:?}");
            assert_eq!(named(Lines::Many).as_deref(), in_many_lines, "{text:?}");
        }
    }

    #[test]
    fn a_line_ends_with_a_line_feed() {
        assert_eq!(with_line_feeds("a\r\nb\n\r\n"), "a\nb\n\n");
        assert_eq!(with_line_feeds("a\rb"), "a\rb");
    }

    #[test]
    fn unsafe_characters_are_shown_as_json_escapes() {
        let rows = [
            ("plain – “é”\\n", r"plain – “é”\n", r"plain – “é”\n"),
            ("a\u{1b}]0;x\u{7}", r"a\u001b]0;x\u0007", r"a\u001b]0;x\u0007"),
            ("\u{9b}31m\u{202e}\u{7f}", r"\u009b31m\u202e\u007f", r"\u009b31m\u202e\u007f"),
            ("a\tb\r\nc", r"a\u0009b\u000d\u000ac", "a\tb\\u000d\nc"),
            ("\u{e0041}", r"\udb40\udc41", r"\udb40\udc41"),
        ];
        for (text, in_one_line, in_many_lines) in rows {
            assert_eq!(shown(text, Lines::One), in_one_line, "{text:?}");
            assert_eq!(shown(text, Lines::Many), in_many_lines, "{text:?}");
        }
    }

    #[test]
    fn a_json_document_keeps_its_value() {
        let value =
            serde_json::json!({ "a\u{9b}": ["\u{1b}[31m\u{85}\u{202e}\u{e0041}\"\\", "x\ty\r\nz\u{7f}\u{2028}"] });
        let document = serde_json::to_string_pretty(&value).unwrap();
        let shown = shown(&document, Lines::Many);
        assert!(!shown.chars().any(|it| is_unsafe(it) && it != '\n'), "{shown:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).ok(), Some(value));
    }
}
