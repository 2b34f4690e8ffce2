//! Collects the limits that refuse a command about an amount. The refusal names every exceeded limit, and the largest amount
//! that would have passed all limits.

use crate::Date;
use crate::award::Award;
use crate::ledger::{Account, EntryKind, Owner, Unit, shown};
use crate::programme::ProgrammeState;
use crate::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal, join_remedies};
use crate::terms::DateRange;

/// The refusals of a command that were collected so far, and the headroom of its limits.
pub(in crate::programme) struct LimitCollector {
    refusals: Vec<Refusal>,
    /// Whether a limit refuses every amount.
    has_blocker: bool,
    /// The smallest headroom of all limits of the amount, also of limits that do not refuse the command.
    headroom: i64,
}

impl LimitCollector {
    /// A collector without limits.
    pub(in crate::programme) const fn new() -> Self {
        Self { refusals: Vec::new(), has_blocker: false, headroom: i64::MAX }
    }

    /// Adds a limit that does not depend on the amount. `refusal` is none if the limit allows the command.
    pub(in crate::programme) fn add_blocker(&mut self, refusal: Option<Refusal>) {
        self.has_blocker |= refusal.is_some();
        self.refusals.extend(refusal);
    }

    /// Adds a limit of the amount: its headroom, and the refusal if the amount is more than the headroom.
    pub(in crate::programme) fn add_numeric_limit(&mut self, headroom: i64, refusal: Option<Refusal>) {
        self.headroom = self.headroom.min(headroom);
        self.refusals.extend(refusal);
    }

    /// Whether no limit refuses the command so far.
    pub(in crate::programme) const fn is_empty(&self) -> bool {
        self.refusals.is_empty()
    }

    /// The largest amount that would pass all limits. It is 0 if a limit refuses every amount.
    pub(in crate::programme) fn largest(&self) -> i64 {
        if self.has_blocker { 0 } else { self.headroom.max(0) }
    }

    /// The refusals, in the order in which they were added.
    pub(in crate::programme) fn into_refusals(self) -> Vec<Refusal> {
        self.refusals
    }

    /// Succeeds if no limit refuses the command.
    ///
    /// # Errors
    /// One refusal with every limit that refuses the command, and with the largest amount that would have passed.
    pub(in crate::programme) fn pass(self) -> Result<(), Refusal> {
        let largest = self.largest();
        Refusal::join(self.refusals).map_err(|it| Refusal { largest: Some(largest), ..it })
    }
}

/// Refuses a commitment that the account cannot bear. `amount` is none if it does not fit an `i64`. Returns none if the account
/// bears the commitment.
pub(in crate::programme) fn commitment(account: &Account, amount: Option<i64>) -> Option<Refusal> {
    let headroom = account.headroom(EntryKind::Commit);
    if amount.is_some_and(|it| it <= headroom) {
        return None;
    }
    let unit = account.unit;
    let most = shown(unit, headroom);
    let requested = amount.map_or_else(|| "so much".to_owned(), |it| shown(unit, it));
    let shortfall = shown(unit, amount.unwrap_or(i64::MAX).saturating_sub(account.available));
    let (reason, message, remedy) = match account.owner {
        Owner::Cap { .. } => (
            Reason::CapExceeded,
            format!("{requested} is more than the cap leaves: {most}"),
            join_remedies(&[
                (headroom > 0).then(|| format!("award at most {most}")),
                (account.committed > 0).then(|| "release first what an earlier award does not need".to_owned()),
                (account.spent > 0).then(|| "refund first what was drawn in error".to_owned()),
            ]),
        ),
        Owner::Fund { .. } if account.over_committed => (
            Reason::FundOverCommitted,
            "the fund is over-committed: nothing can be promised from it".to_owned(),
            format!("allocate at least {shortfall} to the fund"),
        ),
        Owner::Fund { .. } if account.binds => (
            Reason::FundsInsufficient,
            format!("{requested} is more than the fund has available: {most}"),
            join_remedies(&[
                Some(format!("allocate at least {shortfall} to the fund")),
                (headroom > 0).then(|| format!("award at most {most}")),
            ]),
        ),
        Owner::Fund { .. } => (
            Reason::AmountTooLarge,
            "the fund cannot count that much".to_owned(),
            format!("award at most what costs {most}"),
        ),
    };
    Some(Refusal::of(reason, message, account.limit(amount, headroom, remedy)))
}

/// Refuses an amount in another unit than expected. None if the units are equal.
pub(in crate::programme) fn unit(
    subject: impl FnOnce() -> LimitSubject,
    expected: Unit,
    given: Unit,
) -> Option<Refusal> {
    let unit_name = |unit| match unit {
        Unit::Pence => "pence",
        Unit::HalfDays => "half-days",
    };
    (expected != given).then(|| {
        let subject = subject();
        let message = format!("{subject} counts {}, not {}", unit_name(expected), unit_name(given));
        let limit = Limit::plain(LimitKind::Award, subject, format!("give the amount in {}", unit_name(expected)));
        Refusal::of(Reason::UnitMismatch, message, limit)
    })
}

/// An award as the subject of a limit: `award ID (nle)`.
pub(in crate::programme) fn subject(award: &Award) -> LimitSubject {
    LimitSubject::Award { award: award.id, strand: award.support.strand() }
}

impl ProgrammeState {
    /// Refuses a day outside a window of the terms. A day within the window is also refused if it is before the programme.
    pub(in crate::programme) fn outside_window(
        &self,
        window: DateRange,
        name: &'static str,
        on: Date,
    ) -> Option<Refusal> {
        if window.contains(on) {
            return self.before_programme(on);
        }
        let programme = self.programme.programme.clone();
        let subject = LimitSubject::Window { name, programme, days: Some(window) };
        let remedy = format!("give a date from {} to {}", window.from, window.to);
        let limit = Limit::plain(LimitKind::Period, subject, remedy);
        Some(Refusal::of(Reason::OutsideWindow, format!("{on} lies outside the {name}, {window}"), limit))
    }

    /// The window from the first day of awards to the last day on which claims are paid.
    pub(in crate::programme) fn claims_window(&self) -> DateRange {
        let terms = &self.programme.scheme;
        DateRange { from: terms.award_window().from, to: terms.claims_until() }
    }
}
