//! Defines the normalised reference of an invoice. References are compared so that no invoice is paid twice.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// The maximum number of letters and digits in a reference.
const MAX_LENGTH: usize = 64;

/// The normalised reference of an invoice: after NFKC and in upper case, only the letters A to Z and the digits 0 to 9.
/// `inv-001/22 ` becomes `INV00122`. Normalising it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reference(String);

/// Why a text is not a valid reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReference {
    /// The text has a letter or digit that is not A to Z or 0 to 9, but may look like one.
    #[error("must have only the letters A to Z and the digits 0 to 9, punctuation and spaces; got {0}")]
    OtherLetter(OtherLetter),
    /// The text has too many letters and digits, or no digit. A word without a digit may be a person's name, which must
    /// not be in the record, because the record is never erased.
    #[error("must have 1 to {MAX_LENGTH} letters and digits (A to Z, 0 to 9), at least one of them a digit, got {0}")]
    Shape(String),
}

/// A letter or digit other than A to Z and 0 to 9, and its position. Characters are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherLetter {
    /// The character, after NFKC and in upper case.
    pub character: char,
    /// The position in the text of the character that it comes from.
    pub place: usize,
}

impl fmt::Display for OtherLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{0}\" (U+{1:04X}) at character {2}", self.character, u32::from(self.character), self.place)
    }
}

impl Reference {
    /// Normalises a reference as it is printed on an invoice.
    ///
    /// # Errors
    /// [`BadReference`], which names the wrong character or shape.
    pub fn read(text: &str) -> Result<Self, BadReference> {
        if let Some(other) = other_letter(text) {
            return Err(BadReference::OtherLetter(other));
        }
        Self::from_normalised(ascii_upper(text.nfkc())).map_err(BadReference::Shape)
    }

    /// Normalises a reference in the way of version 1 of the rules, which left other letters and digits out. Used to
    /// read the references that were stored then. Returns `None` if the text has no valid reference.
    #[must_use]
    pub fn before_rules_2(text: &str) -> Option<Self> {
        Self::from_normalised(ascii_upper(text.chars())).ok()
    }

    /// Checks the length, and that there is a digit. The error is the text in quotes.
    fn from_normalised(text: String) -> Result<Self, String> {
        let is_valid = text.len() <= MAX_LENGTH && text.contains(|c: char| c.is_ascii_digit());
        if is_valid { Ok(Self(text)) } else { Err(format!("{text:?}")) }
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Converts a text to upper case and keeps only its ASCII letters and digits.
fn ascii_upper(characters: impl Iterator<Item = char>) -> String {
    characters.flat_map(char::to_uppercase).filter(char::is_ascii_alphanumeric).collect()
}

/// Finds the first letter or digit of a text that is not A to Z or 0 to 9 after NFKC and in upper case. A letter with a
/// combining mark is also found. Returns `None` if there is no such letter or digit.
#[must_use]
pub fn other_letter(text: &str) -> Option<OtherLetter> {
    let ends = text.char_indices().map(|(at, character)| at.saturating_add(character.len_utf8()));
    // A combining mark belongs to the character before it. So each prefix of the text is normalised, from
    // the shortest to the longest. The first prefix with another letter ends with the character to report.
    ends.zip(1..).find_map(|(end, place)| {
        let characters = text.get(..end)?.nfkc().flat_map(char::to_uppercase);
        let is_other = |it: &char| !it.is_ascii() && (it.is_alphanumeric() || is_combining_mark(*it));
        characters.filter(is_other).map(|character| OtherLetter { character, place }).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_its_letters_and_digits() {
        for (text, expected) in [
            ("inv-001/22 ", Ok("INV00122")),
            ("straße 9", Ok("STRASSE9")),
            // NFKC makes these letters and digits of ASCII.
            ("x\u{ff11}1", Ok("X11")),
            ("ＩＮＶ－７", Ok("INV7")),
            ("№ 7", Ok("NO7")),
            ("ﬁn ²", Ok("FIN2")),
            ("Ⅷ-1", Ok("VIII1")),
            ("\u{212a}1", Ok("K1")),
            // Other letters and digits are refused, even if they look the same.
            ("  Ä 7", Err("\"Ä\" (U+00C4) at character 3")),
            ("INV-А7", Err("\"А\" (U+0410) at character 5")),
            ("inv-а7", Err("\"А\" (U+0410) at character 5")),
            ("7\u{664}", Err("\"\u{664}\" (U+0664) at character 2")),
            ("7 A\u{30a}", Err("\"Å\" (U+00C5) at character 4")),
            // A combining mark that does not compose with its letter is refused too; upper case may produce one.
            ("q\u{303}7", Err("\"\u{303}\" (U+0303) at character 2")),
            ("ǰ-1", Err("\"\u{30c}\" (U+030C) at character 1")),
            ("", Err("got \"\"")),
            (" -/. ", Err("got \"\"")),
            // A word without a digit may be a person's name.
            ("Jo Bloggs", Err("got \"JOBLOGGS\"")),
        ] {
            match (Reference::read(text), expected) {
                (Ok(read), expected) => assert_eq!(Ok(read.as_str()), expected, "{text:?}"),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text:?}: {error}"),
                (Err(error), Ok(_)) => panic!("{text:?}: {error}"),
            }
        }
        assert!(Reference::read(&"1".repeat(64)).is_ok());
        assert!(Reference::read(&"1".repeat(65)).is_err());
        // The length is that of the text in upper case: ß becomes SS.
        assert!(Reference::read(&format!("1{}", "ß".repeat(32))).is_err());
    }

    /// The expected values are written by hand from the code of commit 7cc23b9.
    #[test]
    fn an_earlier_version_left_other_letters_out() {
        for (text, expected) in [
            ("inv-001/22 ", Some("INV00122")),
            ("  Ä 7", Some("7")),
            ("INV-А7", Some("INV7")),
            ("ǰ-1", Some("J1")),
            ("x\u{ff11}1", Some("X1")),
            ("\u{664}", None),
            ("Jo Bloggs", None),
        ] {
            assert_eq!(Reference::before_rules_2(text).as_ref().map(Reference::as_str), expected, "{text:?}");
        }
    }

    proptest::proptest! {
        /// Both functions return a normalised reference unchanged.
        #[test]
        fn a_normalised_reference_is_read_unchanged(text in "(\\PC|[ǰßŉΐﬁıa-z0-9Ａ-Ｚ]){0,40}") {
            for normalised in Reference::read(&text).ok().into_iter().chain(Reference::before_rules_2(&text)) {
                proptest::prop_assert_eq!(Reference::read(normalised.as_str()), Ok(normalised.clone()));
                proptest::prop_assert_eq!(Reference::before_rules_2(normalised.as_str()), Some(normalised));
            }
        }
    }
}
