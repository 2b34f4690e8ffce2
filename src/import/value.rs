//! Reads the value of one cell: a text, a date, a number or a grade.
//!
//! A cell that is blank or literally `NULL` has no value. An overall effectiveness is a code or words: 9 and "Not judged" are
//! the same value, but 9, 8 and 0 are different values. This module never guesses a value.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use chrono::{Datelike as _, NaiveDate};
use encoding_rs::WINDOWS_1252;

use crate::domain::Date;
use crate::domain::judgement::Grade;

/// The text of a cell. The bytes are UTF-8 if they are valid as such, else windows-1252. Each run of white space becomes a single
/// space, and none is left at either end.
///
/// Some tools take windows-1252 for Latin-1 when they save a copy as UTF-8. Such a copy has U+0092 in place of an apostrophe. This
/// function restores such characters.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let decoded = match std::str::from_utf8(bytes) {
        Ok(text) if text.contains(is_lost_1252) => Cow::Owned(text.chars().map(restored_1252).collect()),
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    };
    match is_folded(&decoded) {
        true => decoded,
        false => Cow::Owned(decoded.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

/// Whether a character may be a windows-1252 character that was taken for Latin-1.
const fn is_lost_1252(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}')
}

fn restored_1252(c: char) -> char {
    let byte = u8::try_from(c).ok().filter(|_| is_lost_1252(c));
    byte.and_then(|byte| WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next()).unwrap_or(c)
}

/// The first character of a cell that must not be shown: a control character, or one that changes the direction of the text around
/// it. The argument must come from [`text`], which has replaced white space by spaces and restored windows-1252 characters.
pub(super) fn control(text: &str) -> Option<char> {
    text.chars().find(|&c| c.is_control() || is_bidirectional_control(c))
}

/// The characters with the Unicode property `Bidi_Control`.
const fn is_bidirectional_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A column's title without invisible characters: byte order marks, zero-width and control characters.
pub(super) fn title(bytes: &[u8]) -> String {
    let unseen = |c: char| {
        c.is_control()
            || is_bidirectional_control(c)
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
    };
    let seen: String = text(bytes).chars().filter(|&c| !unseen(c)).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether all white space is single spaces, with none at either end.
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

/// A cell as a problem shows it. Problems are stored, and if a stray comma has shifted a row, any cell can contain a person's name.
/// So a text is quoted only if it has no letters, or has a digit and never more than three letters in a row. Of other texts only
/// the length is given.
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

/// Whether a cell has no value: it is blank, or literally `NULL`.
pub(super) fn is_absent(text: &str) -> bool {
    text.is_empty() || text == "NULL"
}

/// Whether a cell has no value, or says that there is no such thing for this school.
pub(super) fn is_not_applicable(text: &str) -> bool {
    let none = ["Not applicable", "Does not apply", "Not recorded"];
    is_absent(text) || none.iter().any(|none| none.eq_ignore_ascii_case(text))
}

/// A number without the tail `.0` that pandas adds when it saves a whole number (`6893415.0`). Other texts do not change.
pub(super) fn whole(text: &str) -> &str {
    match text.strip_suffix(".0") {
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => number,
        _ => text,
    }
}

/// Whether a text is a number that a spreadsheet has rounded when it saved the file: `1.0990E+07`.
pub(super) fn is_scientific(text: &str) -> bool {
    let Some((digits, exponent)) = text.split_once(['E', 'e']) else { return false };
    let number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains(char::is_alphabetic);
    number(digits) && number(exponent.trim_start_matches(['+', '-']))
}

/// Whether a text can be Ofsted's number of an inspection: digits, perhaps with letters in front (`ITS123456`).
pub(super) fn is_inspection_number(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && text.len() <= 20
}

/// The years that a date of a file may have. A year such as 9999 means "never" and is no date.
const YEARS: RangeInclusive<i32> = 1000..=2100;

/// A date as Ofsted (`dd/mm/yyyy`), GIAS (`dd-mm-yyyy`) and re-saved copies (ISO, perhaps at midnight) write
/// it. `Ok(None)` is an unknown date: blank, `NULL`, 31 December 1899 and 1 January 1900.
pub(super) fn date(text: &str) -> Result<Option<Date>, &'static str> {
    if is_absent(text) {
        return Ok(None);
    }
    let date = split_date(without_midnight(text)).and_then(|(y, m, d)| NaiveDate::from_ymd_opt(y, m, d));
    match (date, day_order(text)) {
        (Some(date), _) if !YEARS.contains(&date.year()) => Err("is not a date between the years 1000 and 2100"),
        (Some(date), _) => Ok((!is_unknown(date)).then_some(date)),
        (None, Some(DayOrder::MonthFirst)) => {
            Err("can only be a date with the month first; dates are dd/mm/yyyy, dd-mm-yyyy or yyyy-mm-dd")
        }
        (None, _) => Err("is not a date (dd/mm/yyyy, dd-mm-yyyy or yyyy-mm-dd)"),
    }
}

/// Whether a date is 31 December 1899 or 1 January 1900, which databases print for an unknown day.
fn is_unknown(date: Date) -> bool {
    [NaiveDate::from_ymd_opt(1899, 12, 31), NaiveDate::from_ymd_opt(1900, 1, 1)].contains(&Some(date))
}

/// The order of the day and the month in a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayOrder {
    /// The text is a date only with the day first.
    DayFirst,
    /// The text is a date only with the month first.
    MonthFirst,
    /// The text is a date in both orders, but another one in each.
    Either,
}

/// The order that a cell shows. `None` for a text that is no date, an ISO date, a day equal to its month, and a date that means
/// unknown. Programs leave a date that means unknown unchanged when they rewrite all others.
pub(super) fn day_order(text: &str) -> Option<DayOrder> {
    let day = without_midnight(text);
    let mut parts = day.split(['/', '-']);
    let (a, b, year, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    let number = |part: &str, most: usize| {
        let fits = (1..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| part.parse::<u32>().ok()).flatten()
    };
    let (a, b) = (number(a, 2)?, number(b, 2)?);
    let year = i32::try_from(number(year, 4).filter(|_| year.len() == 4)?).ok()?;
    let (day_first, month_first) = (NaiveDate::from_ymd_opt(year, b, a), NaiveDate::from_ymd_opt(year, a, b));
    match (day_first, month_first) {
        (Some(date), _) if is_unknown(date) => None,
        (Some(one), Some(other)) => (one != other).then_some(DayOrder::Either),
        (Some(_), None) => Some(DayOrder::DayFirst),
        (None, Some(_)) => Some(DayOrder::MonthFirst),
        (None, None) => None,
    }
}

/// A date without the midnight that a program has added to it. Any other time of day stays.
fn without_midnight(text: &str) -> &str {
    match text.find([' ', 'T']) {
        Some(at) if text.get(at + 1..).is_some_and(is_midnight) => text.get(..at).unwrap_or(text),
        _ => text,
    }
}

/// Whether a text is midnight as spreadsheets and databases write it, in London's time, summer or winter.
fn is_midnight(time: &str) -> bool {
    let time = time.trim();
    if let Some(clock) = time.strip_suffix("AM").or_else(|| time.strip_suffix("am")) {
        return matches!(clock.trim_end(), "12:00" | "12:00:00");
    }
    let zones = ["Z", "+00:00", "+0000", "+01:00", "+0100"];
    let time = zones.iter().find_map(|zone| time.strip_suffix(zone)).unwrap_or(time).trim_end();
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let clock = matches!(clock, "0:00" | "00:00" | "0:00:00" | "00:00:00");
    clock && !fraction.is_empty() && fraction.bytes().all(|b| b == b'0')
}

/// The year, the month and the day of a date with the day first, or of an ISO date; `None` for other texts.
fn split_date(day: &str) -> Option<(i32, u32, u32)> {
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

/// An overall effectiveness. `Ok(None)` for `NULL` or blank, which mean that there is no such inspection.
pub(super) fn grade(text: &str) -> Result<Option<Grade>, &'static str> {
    if is_absent(text) {
        return Ok(None);
    }
    let error = "is not an overall effectiveness (1 to 4, 9, 8, 0, Not judged, NULL)";
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
        &[digit @ b'0'..=b'9'] => Grade::from_code(digit - b'0').map(Some).ok_or(error),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_may_be_a_name_is_not_shown() {
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
        for (text, expected) in cases {
            assert_eq!(shown(text), expected);
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
    fn dates_are_read_in_every_layout() {
        let day = NaiveDate::from_ymd_opt(2021, 2, 3);
        for text in ["03/02/2021", "03-02-2021", "2021-02-03", "2021-02-03 00:00:00", "2021-02-03T00:00:00"] {
            assert_eq!(date(text), Ok(day), "{text:?}");
        }
        let midnights = [
            " 00:00",
            " 0:00",
            " 0:00:00",
            " 00:00:00.000",
            "T00:00:00Z",
            "T00:00:00.000Z",
            "T00:00",
            "T00:00:00+00:00",
            "T00:00:00+01:00",
            " 12:00:00 AM",
            " 12:00 am",
            " 00:00:00.0",
        ];
        for midnight in midnights {
            for written in ["03/02/2021", "2021-02-03"] {
                assert_eq!(date(&format!("{written}{midnight}")), Ok(day), "{written}{midnight}");
            }
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
            "2021-02-03 00:30",
            "2021-02-03 00:00:00.001",
            "2021-02-03 00:00:00.",
            "2021-02-03T23:00:00Z",
            "2021-02-03 12:00:00",
            "2021-02-03 12:00:00 PM",
            "2021-02-03T",
            "2021-02-0300:00:00",
            "31/12/9999",
            "9999-12-31",
            "01/01/0001",
            "0221-02-03",
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
    fn the_order_of_a_date_is_found_or_ambiguous() {
        use DayOrder::{DayFirst, Either, MonthFirst};
        #[rustfmt::skip]
        let cases = [
            ("13/02/2021",          Some(DayFirst)),
            ("13-02-2021 00:00",    Some(DayFirst)),
            ("02/13/2021",          Some(MonthFirst)),
            ("2/13/2021",           Some(MonthFirst)),
            ("2/13/2021 0:00",      Some(MonthFirst)),
            ("12/31/1899",          Some(MonthFirst)),
            ("03/02/2021",          Some(Either)),
            ("3/2/2021",            Some(Either)),
            ("29/02/2020",          Some(DayFirst)),
            ("02/02/2021",          None),
            ("31/12/1899",          None),
            ("01/01/1900",          None),
            ("2021-02-13",          None),
            ("13/13/2021",          None),
            ("31/02/2021",          None),
            ("13/02/21",            None),
            ("13/02/2021 09:30",    None),
            ("10/1/2021/3",         None),
            ("",                    None),
            ("NULL",                None),
        ];
        for (text, expected) in cases {
            assert_eq!(day_order(text), expected, "{text:?}");
        }
    }

    #[test]
    fn controls_are_found_after_windows_1252_is_put_back() {
        #[rustfmt::skip]
        let cases: [(&[u8], Option<char>); 14] = [
            (b"A\x1b[31mRED\x1b[0m School",      Some('\u{1b}')),
            (b"A \x07 School",                   Some('\u{7}')),
            (b"A \x04 School",                   Some('\u{4}')),
            (b"A \x7f School",                   Some('\u{7f}')),
            (b"A \x9b31m School",                None),
            ("A \u{9b}31m School".as_bytes(),    None),
            ("A \u{92} School".as_bytes(),       None),
            ("A \u{81} School".as_bytes(),       Some('\u{81}')),
            (b"A \x81 School",                   Some('\u{81}')),
            ("A\u{202e}loohcS".as_bytes(),       Some('\u{202e}')),
            ("A\u{2066}School".as_bytes(),       Some('\u{2066}')),
            ("A\u{61c}School".as_bytes(),        Some('\u{61c}')),
            (b"A\tSchool\nof two lines",         None),
            ("Château – St Mary’s".as_bytes(),   None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(control(&text(bytes)), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_title_has_no_invisible_characters() {
        for written in
            ["Publication date\u{200b}", "\u{feff}Publication\u{a0} date ", "Publication\u{202c} \u{2060}date"]
        {
            assert_eq!(title(written.as_bytes()), "Publication date", "{written:?}");
        }
    }

    #[test]
    fn numbers_that_a_spreadsheet_has_rounded() {
        for text in ["1.0990E+07", "1.099E+07", "1E+07", "1e7", "9.10001E+05", "1,0990E+07"] {
            assert!(is_scientific(text) && !is_inspection_number(text), "{text:?}");
        }
        for text in ["10990003", "ITS900004", "TR00044", "E1", "1E", "1.5", "CE00123", "IP12345R"] {
            assert!(!is_scientific(text), "{text:?}");
        }
        for (text, expected) in [
            ("10990003", true),
            ("ITS900004", true),
            ("ITS", false),
            ("########", false),
            ("#N/A", false),
            ("10990003.5", false),
            ("10,990,003", false),
            ("1099 0003", false),
            ("10990003A", false),
            ("123456789012345678901", false),
        ] {
            assert_eq!(is_inspection_number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_grade_is_read_from_a_code_or_from_words() {
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
