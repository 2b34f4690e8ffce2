//! The scheme itself: plain values and the pure functions over them.
//!
//! Nothing here is async, reads a clock, touches a database or knows the wire. What is allowed is decided here and nowhere
//! else.

pub mod approval;
pub mod award;
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

/// A civil date, day precision, as the scheme writes all its dates (`YYYY-MM-DD` on the wire).
pub type Date = chrono::NaiveDate;

/// A day as it is written on the wire, `YYYY-MM-DD` and nothing else: a year of four digits, which every database has.
#[must_use]
pub fn day(text: &str) -> Option<Date> {
    let day: Option<Date> = text.parse().ok();
    day.filter(|it| text.len() == "YYYY-MM-DD".len() && it.to_string() == text)
}
