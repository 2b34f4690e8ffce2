//! One cell: its text, its date, its grade.
//!
//! Literal `NULL`, blank, 9, 8, 0 and "Not judged" mean different things and stay apart here; no cell is
//! ever guessed at.

use std::borrow::Cow;

use chrono::NaiveDate;
use encoding_rs::WINDOWS_1252;

use crate::domain::Date;
use crate::domain::judgement::Grade;

/// The text of a cell: UTF-8 if it is that, else windows-1252; stray and double white space folded.
///
/// A copy re-saved as UTF-8 by a tool that took windows-1252 for Latin-1 has U+0092 where an apostrophe was: what those
/// controls stood for is put back.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let decoded = match std::str::from_utf8(bytes) {
        Ok(text) if text.contains(is_lost_1252) => Cow::Owned(text.chars().map(found_again).collect()),
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    };
    match is_folded(&decoded) {
        true => decoded,
        false => Cow::Owned(decoded.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

const fn is_lost_1252(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}')
}

fn found_again(c: char) -> char {
    let byte = u8::try_from(c).ok().filter(|_| is_lost_1252(c));
    byte.and_then(|byte| WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next()).unwrap_or(c)
}

/// Single spaces only, and none at either end.
fn is_folded(text: &str) -> bool {
    let mut after_space = true;
    for c in text.chars() {
        let space = c.is_whitespace();
        if space && (after_space || c != ' ') {
            return false;
        }
        after_space = space;
    }
    text.is_empty() || !after_space
}

/// A cell as a problem quotes it. Problems are kept, and where a stray comma has shifted a row, any cell can hold a
/// person's name: so only what has a digit or no letter, and nowhere more than three letters in a row, is quoted.
pub(super) fn shown(text: &str) -> String {
    let letters = text.split(|c: char| !c.is_alphabetic()).map(|run| run.chars().count()).max().unwrap_or(0);
    if is_absent(text) || letters == 0 || (letters <= 3 && text.contains(|c: char| c.is_ascii_digit())) {
        return format!("{:?}", text.chars().take(60).collect::<String>());
    }
    match text.chars().count() {
        1 => "a text of 1 character".to_owned(),
        more => format!("a text of {more} characters"),
    }
}

/// Whether a cell says nothing: blank, or literally `NULL`.
pub(super) fn is_absent(text: &str) -> bool {
    text.is_empty() || text == "NULL"
}

/// Whether a cell says that there is no such thing for this school.
pub(super) fn is_not_applicable(text: &str) -> bool {
    let none = ["Not applicable", "Does not apply", "Not recorded"];
    is_absent(text) || none.iter().any(|none| none.eq_ignore_ascii_case(text))
}

/// A whole number as pandas re-saves it (`6893415.0`), without its tail.
pub(super) fn whole(text: &str) -> &str {
    match text.strip_suffix(".0") {
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => number,
        _ => text,
    }
}

/// A date as Ofsted (`dd/mm/yyyy`), GIAS (`dd-mm-yyyy`) and re-saved copies (ISO, perhaps at midnight) write
/// it. `Ok(None)` is unknown: blank, `NULL`, 31 December 1899 and 1 January 1900.
pub(super) fn date(text: &str) -> Result<Option<Date>, &'static str> {
    if is_absent(text) {
        return Ok(None);
    }
    let day = text.strip_suffix("00:00:00").map_or(text, |day| day.trim_end_matches([' ', 'T']));
    let date = split(day).and_then(|(y, m, d)| NaiveDate::from_ymd_opt(y, m, d));
    let date = date.ok_or("is not a date (dd/mm/yyyy, dd-mm-yyyy or yyyy-mm-dd)")?;
    let unknown = [NaiveDate::from_ymd_opt(1899, 12, 31), NaiveDate::from_ymd_opt(1900, 1, 1)];
    Ok((!unknown.contains(&Some(date))).then_some(date))
}

fn split(day: &str) -> Option<(i32, u32, u32)> {
    let parts: Vec<&str> = day.split(['/', '-']).collect();
    let (&[a, b, c], true) = (parts.as_slice(), day.bytes().all(|c| c.is_ascii_digit() || c == b'/' || c == b'-'))
    else {
        return None;
    };
    let iso = format!("{a}-{b}-{c}") == day;
    let uniform = iso || format!("{a}/{b}/{c}") == day;
    match (a.len(), b.len(), c.len()) {
        (4, 2, 2) if iso => Some((a.parse().ok()?, b.parse().ok()?, c.parse().ok()?)),
        (2, 2, 4) if uniform => Some((c.parse().ok()?, b.parse().ok()?, a.parse().ok()?)),
        _ => None,
    }
}

/// An overall effectiveness. `Ok(None)` is `NULL` or blank: no such inspection.
pub(super) fn grade(text: &str) -> Result<Option<Grade>, &'static str> {
    if is_absent(text) {
        return Ok(None);
    }
    let wanted = "is not an overall effectiveness (1 to 4, 9, 8, 0, Not judged, NULL)";
    let named = [
        ("Not judged", Grade::NotJudged),
        ("Does not apply", Grade::DoesNotApply),
        ("Insufficient evidence", Grade::InsufficientEvidence),
        ("Outstanding", Grade::Outstanding),
        ("Good", Grade::Good),
        ("Requires improvement", Grade::RequiresImprovement),
        ("Inadequate", Grade::Inadequate),
    ];
    if let Some((_, grade)) = named.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Ok(Some(*grade));
    }
    match whole(text).as_bytes() {
        &[digit @ b'0'..=b'9'] => Grade::from_code(digit - b'0').map(Some).ok_or(wanted),
        _ => Err(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_name_is_not_shown() {
        #[rustfmt::skip]
        let cases = [
            ("9100O8",           "\"9100O8\""),
            ("31-Feb-2019",      "\"31-Feb-2019\""),
            ("?",                "\"?\""),
            ("NULL",             "\"NULL\""),
            ("XQZ",              "a text of 3 characters"),
            ("Q.J.",             "a text of 4 characters"),
            ("x",                "a text of 1 character"),
            ("Noël Fairweather", "a text of 16 characters"),
            ("1 Fairweather",    "a text of 13 characters"),
        ];
        for (text, wanted) in cases {
            assert_eq!(shown(text), wanted);
        }
    }

    #[test]
    fn text_is_decoded_cell_by_cell_and_folded() {
        let cases: [(&[u8], &str); 9] = [
            (b"St Mary\x92s", "St Mary\u{2019}s"),
            (b"Schools \x96 S5", "Schools \u{2013} S5"),
            (b"Ecole Prim\xe0re", "Ecole Prim\u{e0}re"),
            ("St Mary\u{2019}s".as_bytes(), "St Mary\u{2019}s"),
            (b"  Hill   Top \t School ", "Hill Top School"),
            (b"Hill\nTop", "Hill Top"),
            (b"Hill\xa0Top", "Hill Top"),
            (b"", ""),
            (b"   ", ""),
        ];
        for (bytes, expected) in cases {
            assert_eq!(text(bytes), expected);
        }
    }

    #[test]
    fn dates_in_every_layout() {
        let day = NaiveDate::from_ymd_opt(2021, 2, 3);
        for text in ["03/02/2021", "03-02-2021", "2021-02-03", "2021-02-03 00:00:00", "2021-02-03T00:00:00"] {
            assert_eq!(date(text), Ok(day), "{text:?}");
        }
        for text in ["", "NULL", "31/12/1899", "1900-01-01", "01-01-1900", "1899-12-31 00:00:00"] {
            assert_eq!(date(text), Ok(None), "{text:?}");
        }
        assert_eq!(date("29/02/2020"), Ok(NaiveDate::from_ymd_opt(2020, 2, 29)));
        let bad = [
            "31/02/2021",
            "29/02/2021",
            "03/02/21",
            "12/31/2021",
            "3/2/2021",
            "2021/02/03",
            "03-02/2021",
            "03.02.2021",
            "20210203",
            "44230",
            "null",
            "Not applicable",
            "2021-02-03 09:30:00",
            "+3/02/2021",
            "00:00:00",
            "//",
            "-",
            "2021-02-0\u{663}",
        ];
        for text in bad {
            assert!(date(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn grades_and_the_codes_that_are_none() {
        let cases = [
            ("1", Some(Grade::Outstanding)),
            ("2", Some(Grade::Good)),
            ("3", Some(Grade::RequiresImprovement)),
            ("3.0", Some(Grade::RequiresImprovement)),
            ("4", Some(Grade::Inadequate)),
            ("9", Some(Grade::NotJudged)),
            ("Not judged", Some(Grade::NotJudged)),
            ("8", Some(Grade::DoesNotApply)),
            ("Does not apply", Some(Grade::DoesNotApply)),
            ("0", Some(Grade::InsufficientEvidence)),
            ("requires Improvement", Some(Grade::RequiresImprovement)),
            ("NULL", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(grade(text), Ok(expected), "{text:?}");
        }
        for text in ["5", "6", "7", "-1", "10", "3.5", "Null", "RI", "N/A", "33", "\u{663}"] {
            assert!(grade(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_lose_only_a_zero_tail() {
        for (text, expected) in [("6893415.0", "6893415"), ("100000", "100000"), ("1.5", "1.5"), ("TR.0", "TR.0")] {
            assert_eq!(whole(text), expected);
        }
    }
}
