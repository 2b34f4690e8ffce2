//! Parses and formats amounts in pounds and days.
//!
//! This module uses the units of the domain, so that `£4,000` means the same here and in a terms file. No other module of the
//! client uses these units.

use crate::domain::ids::BadId;
use crate::domain::ledger::{self, Unit};
use crate::domain::money::{HalfDays, Pence};
use crate::proto;

/// Parses pounds (`250000`, `£4,000`, `4000.50`) to pence.
///
/// # Errors
/// [`BadId`] if the text is not such an amount.
pub(super) fn pounds(text: &str) -> Result<i64, BadId> {
    text.parse().map(Pence::get)
}

/// Parses days (`2.5`, `3`) to half-days.
///
/// # Errors
/// [`BadId`] if the text is not a number of days in steps of half a day.
pub(super) fn days(text: &str) -> Result<i32, BadId> {
    text.parse().map(HalfDays::get)
}

/// Formats an amount, whose unit is given by its JSON name: `£4,000`, `2.5 days`. For another unit, or none, returns the plain
/// number.
pub(super) fn shown(unit: Option<&str>, amount: i64) -> String {
    match unit {
        Some("pence") => ledger::shown(Unit::Pence, amount),
        Some("half_days") => ledger::shown(Unit::HalfDays, amount),
        _ => amount.to_string(),
    }
}

/// Formats an amount in a unit of the contract.
pub(super) fn of(unit: proto::Unit, amount: i64) -> String {
    match unit {
        proto::Unit::Pence => pence(amount),
        proto::Unit::HalfDays => ledger::shown(Unit::HalfDays, amount),
        proto::Unit::Unspecified => amount.to_string(),
    }
}

/// Formats pence: `£4,000`.
pub(super) fn pence(amount: i64) -> String {
    ledger::shown(Unit::Pence, amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pounds_and_days_are_read() {
        let rows =
            [("250000", Some(25_000_000)), ("£4,000", Some(400_000)), ("4000.50", Some(400_050)), ("0.50", Some(50))];
        let wrong = ["€5", "$5", "5 GBP", "4.000,50", "0,500", "00,500", "-5", "4000.5", "1e3", "", "£"]
            .map(|text| (text, None));
        for (text, expected) in rows.into_iter().chain(wrong) {
            assert_eq!(pounds(text).ok(), expected, "{text:?}");
        }
        let rows = [("2.5", Some(5)), ("3", Some(6)), ("0.5 days", Some(1))];
        let wrong = ["2.25", "0.75", "2,5", "-1", "", "half"].map(|text| (text, None));
        for (text, expected) in rows.into_iter().chain(wrong) {
            assert_eq!(days(text).ok(), expected, "{text:?}");
        }
        assert_eq!(
            pounds("€5").map_err(|error| error.to_string()),
            Err(r#""€5" is not an amount in pounds (like £4,000 or 4000.50)"#.to_owned())
        );
    }

    #[test]
    fn amounts_are_shown_in_their_unit() {
        let rows = [
            (Some("pence"), 400_050, "£4,000.50"),
            (Some("pence"), -100, "-£1"),
            (Some("half_days"), 5, "2.5 days"),
            (Some("half_days"), 2, "1 day"),
            (None, 7, "7"),
        ];
        for (unit, amount, expected) in rows {
            assert_eq!(shown(unit, amount), expected);
        }
    }
}
