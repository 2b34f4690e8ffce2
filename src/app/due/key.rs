//! The order of the list: by due date, then by kind, then by what tells the items of one kind apart.

use std::fmt;
use std::str::FromStr;

use crate::domain::Date;
use crate::domain::due::DueKind;

/// The place of an item in the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueKey {
    /// The day on which it fell due.
    pub due: Date,
    /// Its kind.
    pub kind: DueKind,
    /// For a first contact, the microsecond at which the offer was made; for a booking, its number; otherwise 0.
    pub number: i64,
    /// The id of the offer or award, or of what else the item is about. Empty for a booking.
    pub id: String,
}

impl fmt::Display for DueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.due, self.kind, self.number, self.id)
    }
}

impl FromStr for DueKey {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(4, ' ');
        let mut next = || parts.next().ok_or("is no place in the list of due items");
        let (due, kind, number, id) = (next()?, next()?, next()?, next()?);
        Ok(Self {
            due: due.parse().map_err(|_| "has no due date")?,
            kind: DueKind::named(kind).ok_or("has no kind")?,
            number: number.parse().map_err(|_| "has no number")?,
            id: id.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(due: &str, kind: DueKind, number: i64, id: &str) -> DueKey {
        DueKey { due: due.parse().unwrap(), kind, number, id: id.to_owned() }
    }

    #[test]
    fn a_key_is_parsed_as_it_is_written() {
        for it in [
            key("2021-10-05", DueKind::FirstContact, 1_633_392_000_000_000, "0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f"),
            key("2022-08-31", DueKind::Claim, 17, ""),
            key("2021-10-05", DueKind::Unplaced, 0, "100001"),
        ] {
            assert_eq!(it.to_string().parse(), Ok(it));
        }
        for wrong in ["", "2021-10-05", "2021-10-05 claim", "2021-10-05 claim 1", "x claim 1 ", "2021-10-05 x 1 "] {
            assert!(wrong.parse::<DueKey>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_day_counts_before_the_kind_and_the_kind_before_the_rest() {
        let ordered = [
            key("2021-10-05", DueKind::FirstContact, 1, "b"),
            key("2021-10-05", DueKind::FirstContact, 2, "a"),
            key("2021-10-05", DueKind::Acceptance, 0, "a"),
            key("2021-10-05", DueKind::Acceptance, 0, "b"),
            key("2021-10-06", DueKind::FirstContact, 0, "a"),
        ];
        assert!(ordered.is_sorted());
    }
}
