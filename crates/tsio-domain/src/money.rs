//! Defines the two units of the scheme: sterling in whole pence, and the time of leaders in whole half-days.
//!
//! The types have no floating point and do not implement `Add`. Every sum is checked: an overflow returns `None` and
//! never a wrong balance.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::BadId;

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);

            /// The number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }

            /// The sum; `None` on overflow.
            #[must_use]
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The difference, which may be negative; `None` on overflow.
            #[must_use]
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(rest) => Some(Self(rest)),
                    None => None,
                }
            }

            /// Whether the number is above zero.
            #[must_use]
            pub const fn is_positive(self) -> bool {
                self.0 > 0
            }
        }
    };
}

amount!(/// An amount of sterling in whole pence.
    Pence(i64));
amount!(/// A number of half-days: 5 is two and a half days.
    HalfDays(i32));

impl HalfDays {
    /// The cost at a day rate: half-days x rate / 2. Returns `None` if the rate is an odd number of pence or on
    /// overflow (`domain.md` section 5: "a rate of odd pence fails validation").
    #[must_use]
    pub fn cost(self, day_rate: Pence) -> Option<Pence> {
        let half = day_rate.0.checked_div(2).filter(|half| half.checked_mul(2) == Some(day_rate.0))?;
        half.checked_mul(i64::from(self.0)).map(Pence)
    }
}

impl fmt::Display for Pence {
    /// Formats the amount as pounds: `£4,000` or `£4,000.50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (pounds, pence) = ((magnitude / 100).to_string(), magnitude % 100);
        f.write_str(if self.0 < 0 { "-£" } else { "£" })?;
        for (i, digit) in pounds.chars().enumerate() {
            if i > 0 && pounds.len().saturating_sub(i).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        if pence > 0 { write!(f, ".{pence:02}") } else { Ok(()) }
    }
}

impl FromStr for Pence {
    type Err = BadId;
    /// Reads pounds, never negative: `250000`, `£4,000`, `4000.50`. Commas are allowed only between thousands, so that
    /// `0,500` is not read as 500. In other countries the comma is a decimal point.
    fn from_str(s: &str) -> Result<Self, BadId> {
        parse_pence(s.trim()).map(Self).ok_or_else(|| bad_amount(s, "an amount in pounds (like £4,000 or 4000.50)"))
    }
}

impl fmt::Display for HalfDays {
    /// Formats the number as days: `3 days`, `2.5 days`, `1 day`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let half = if magnitude % 2 == 1 { ".5" } else { "" };
        write!(f, "{sign}{}{half} day{}", magnitude / 2, if magnitude == 2 { "" } else { "s" })
    }
}

impl FromStr for HalfDays {
    type Err = BadId;
    /// Reads whole and half days, never negative: `3 days`, `2.5`, `1 day`.
    fn from_str(s: &str) -> Result<Self, BadId> {
        parse_half_days(s.trim()).map(Self).ok_or_else(|| bad_amount(s, "whole or half days (like 2.5 or 3 days)"))
    }
}

fn bad_amount(value: &str, expected: &'static str) -> BadId {
    BadId { value: value.chars().take(60).collect(), expected }
}

/// Returns the text if it has only digits and is not empty.
fn digits(s: &str) -> Option<&str> {
    (!s.is_empty() && s.bytes().all(|b| b.is_ascii_digit())).then_some(s)
}

/// Reads pounds as pence. Returns `None` for any other text.
fn parse_pence(s: &str) -> Option<i64> {
    let s = s.strip_prefix('£').unwrap_or(s);
    let (pounds, pence) = match s.split_once('.') {
        Some((pounds, pence)) => (pounds, digits(pence).filter(|p| p.len() == 2)?.parse::<i64>().ok()?),
        None => (s, 0),
    };
    let mut thousands = pounds.split(',');
    let first = digits(thousands.next()?)?;
    let rest: Vec<&str> = thousands.map(|it| digits(it).filter(|it| it.len() == 3)).collect::<Option<_>>()?;
    if !rest.is_empty() && (first.len() > 3 || first.starts_with('0')) {
        return None;
    }
    let pounds: i64 = format!("{first}{}", rest.concat()).parse().ok()?;
    pounds.checked_mul(100)?.checked_add(pence)
}

/// Reads days as half-days. Returns `None` for any other text.
fn parse_half_days(s: &str) -> Option<i32> {
    let number = s.strip_suffix("days").or_else(|| s.strip_suffix("day")).unwrap_or(s).trim_end();
    let (whole, half) = match number.split_once('.') {
        Some((whole, "5")) => (whole, 1),
        Some((whole, "0")) => (whole, 0),
        Some(_) => return None,
        None => (number, 0),
    };
    digits(whole)?.parse::<i32>().ok()?.checked_mul(2)?.checked_add(half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pounds_are_read_and_shown() {
        let rows: [(&str, Option<i64>, &str); 22] = [
            ("250000", Some(25_000_000), "£250,000"),
            ("£4,000", Some(400_000), "£4,000"),
            ("4000.50", Some(400_050), "£4,000.50"),
            (" £1,234,567.89 ", Some(123_456_789), "£1,234,567.89"),
            ("0", Some(0), "£0"),
            ("0.05", Some(5), "£0.05"),
            ("0.50", Some(50), "£0.50"),
            ("500", Some(50_000), "£500"),
            ("1,000", Some(100_000), "£1,000"),
            ("12,345.50", Some(1_234_550), "£12,345.50"),
            ("", None, ""),
            ("-1", None, ""),
            ("4000.5", None, ""),
            ("1,00", None, ""),
            ("1000,000", None, ""),
            ("0,500", None, ""),
            ("00,500", None, ""),
            ("0,001", None, ""),
            ("£0,500.00", None, ""),
            ("£", None, ""),
            ("1e3", None, ""),
            ("99999999999999999999", None, ""),
        ];
        for (text, expected, shown) in rows {
            let got = text.parse::<Pence>().ok();
            assert_eq!(got, expected.map(Pence), "{text:?}");
            assert_eq!(got.map(|p| p.to_string()).unwrap_or_default(), shown, "{text:?}");
        }
        assert_eq!(Pence(-150).to_string(), "-£1.50");
    }

    #[test]
    fn days_are_read_and_shown() {
        let rows: [(&str, Option<i32>, &str); 11] = [
            ("3 days", Some(6), "3 days"),
            ("2.5", Some(5), "2.5 days"),
            ("2.0 days", Some(4), "2 days"),
            ("1 day", Some(2), "1 day"),
            ("0.5", Some(1), "0.5 days"),
            ("", None, ""),
            ("days", None, ""),
            ("2.25", None, ""),
            ("-1", None, ""),
            ("3 weeks", None, ""),
            ("9999999999", None, ""),
        ];
        for (text, expected, shown) in rows {
            let got = text.parse::<HalfDays>().ok();
            assert_eq!(got, expected.map(HalfDays), "{text:?}");
            assert_eq!(got.map(|d| d.to_string()).unwrap_or_default(), shown, "{text:?}");
        }
    }

    #[test]
    fn sums_are_checked() {
        assert_eq!(Pence(2).checked_add(Pence(3)), Some(Pence(5)));
        assert_eq!(Pence(i64::MAX).checked_add(Pence(1)), None);
        assert_eq!(Pence(2).checked_sub(Pence(3)), Some(Pence(-1)));
        assert_eq!(HalfDays(i32::MIN).checked_sub(HalfDays(1)), None);
        assert!(!Pence::ZERO.is_positive());
    }

    #[test]
    fn half_days_cost_half_the_rate_each() {
        assert_eq!(HalfDays(5).cost(Pence(60_000)), Some(Pence(150_000)));
        assert_eq!(HalfDays(6).cost(Pence(60_000)), Some(Pence(180_000)));
        assert_eq!(HalfDays(2).cost(Pence(60_001)), None);
        assert_eq!(HalfDays(2).cost(Pence(i64::MAX - 1)), Some(Pence(i64::MAX - 1)));
        assert_eq!(HalfDays(3).cost(Pence(i64::MAX - 1)), None);
    }
}
