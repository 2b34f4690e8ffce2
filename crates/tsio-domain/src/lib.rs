//! The rules of the scheme: plain values and pure functions over them.
//!
//! This crate is not async, reads no clock, uses no database and does not know the wire format. All rules about what
//! the scheme allows are in this crate.

pub mod approval;
pub mod award;
pub mod due;
pub mod eligibility;
pub mod event;
pub mod hash;
pub mod ids;
pub mod judgement;
pub mod ledger;
pub mod money;
pub mod offer;
pub mod period;
pub mod person;
pub mod placement;
pub mod programme;
pub mod referral;
pub mod refusal;
pub mod region;
pub mod register_record;
pub mod role;
pub mod rules;
pub mod school;
pub mod terms;
pub mod text;
pub mod time;
pub mod values;

/// A calendar date, as the scheme writes all its dates (`YYYY-MM-DD` on the wire).
pub type Date = chrono::NaiveDate;

/// Parses a date. Returns `None` if the text is not in exactly the wire format `YYYY-MM-DD`. The year has four digits,
/// so every database can store it.
#[must_use]
pub fn day(text: &str) -> Option<Date> {
    let day: Option<Date> = text.parse().ok();
    day.filter(|it| text.len() == "YYYY-MM-DD".len() && it.to_string() == text)
}
