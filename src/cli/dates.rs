//! Parses dates as people type them.

use chrono::{Datelike as _, Days, NaiveDate, Weekday};

use crate::app::clock::Clock;

/// The forms of a date.
const FORMS: &str = "must be a date as YYYY-MM-DD or D/M/YYYY, or today, yesterday or a weekday";

/// Parses a date: ISO, `5/10/2021` (the day first), `today`, `yesterday`, or a weekday such as `monday`, which is the last such
/// day, today included. Today is the date in London. Returns the date as `YYYY-MM-DD`.
///
/// # Errors
/// The forms, if the text has another one or is no day that exists.
pub(super) fn date(text: &str) -> Result<String, &'static str> {
    let today = || Clock::system().now().today;
    let parsed = match text.to_ascii_lowercase().as_str() {
        "today" => Some(today()),
        "yesterday" => today().pred_opt(),
        word => word.parse().map_or_else(|_| numeric(text), |day| last(day, today())),
    };
    parsed.map(|day| day.to_string()).ok_or(FORMS)
}

/// Parses a date that may be in the future: `YYYY-MM-DD` or `D/M/YYYY`. A weekday would be ambiguous.
///
/// # Errors
/// The forms, if the text has another one or is no day that exists.
pub(super) fn calendar_date(text: &str) -> Result<String, &'static str> {
    numeric(text).map(|day| day.to_string()).ok_or("must be a date as YYYY-MM-DD or D/M/YYYY")
}

/// The last day up to `today` that is this weekday.
fn last(day: Weekday, today: NaiveDate) -> Option<NaiveDate> {
    today.checked_sub_days(Days::new(today.weekday().days_since(day).into()))
}

/// Parses `YYYY-MM-DD`, with all its digits, or `D/M/YYYY`.
fn numeric(text: &str) -> Option<NaiveDate> {
    let iso: Option<NaiveDate> = text.parse().ok().filter(|day: &NaiveDate| day.to_string() == text);
    iso.or_else(|| {
        let mut numbers = text.split('/');
        let (day, month, year) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let is_short = |it: &str| matches!(it.len(), 1 | 2);
        let has_form = is_short(day) && is_short(month) && year.len() == 4 && numbers.next().is_none();
        let is_digits = |it: &str| it.bytes().all(|byte| byte.is_ascii_digit());
        (has_form && [day, month, year].into_iter().all(is_digits)).then_some(())?;
        NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_iso_or_has_the_day_first() {
        let rows = [
            ("2021-10-05", "2021-10-05"),
            ("5/10/2021", "2021-10-05"),
            ("05/10/2021", "2021-10-05"),
            ("29/2/2024", "2024-02-29"),
        ];
        for (text, expected) in rows {
            assert_eq!(date(text).as_deref(), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "2021-10-5",
            "5/10/21",
            "29/2/2023",
            "13/13/2021",
            "5/10/2021/1",
            "+5/10/2021",
            "2021/10/05",
            "5 October",
        ] {
            assert_eq!(date(wrong), Err(FORMS), "{wrong}");
        }
    }

    #[test]
    fn a_weekday_is_the_last_one_today_included() {
        // 6 October 2021 was a Wednesday.
        let today = NaiveDate::from_ymd_opt(2021, 10, 6).unwrap();
        let rows = [(Weekday::Wed, 6), (Weekday::Tue, 5), (Weekday::Mon, 4)];
        for (weekday, day) in rows {
            assert_eq!(last(weekday, today), NaiveDate::from_ymd_opt(2021, 10, day), "{weekday}");
        }
        assert_eq!(last(Weekday::Thu, today), NaiveDate::from_ymd_opt(2021, 9, 30));
    }

    #[test]
    fn a_word_is_a_day_up_to_today() {
        let today = Clock::system().now().today.to_string();
        let days = ["Today", "yesterday", "monday", "Sun"].map(|word| date(word).unwrap());
        assert!(days.iter().all(|day| *day <= today), "{days:?}");
        assert_eq!(days[0], today);
    }
}
