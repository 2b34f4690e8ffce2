//! The limits one command about an amount runs into: collected, so that a refusal names every one that binds and the
//! largest amount that would have passed them all.

use crate::Date;
use crate::award::Award;
use crate::ledger::{Account, EntryKind, Owner, Unit, shown};
use crate::programme::ProgrammeState;
use crate::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal, one_of};
use crate::terms::DateRange;

/// What binds so far.
pub(in crate::programme) struct LimitCollector {
    refusals: Vec<Refusal>,
    /// Whether something binds that no smaller amount would lift.
    barred: bool,
    /// What the numbers leave, those included that do not bind.
    headroom: i64,
}

impl LimitCollector {
    pub(in crate::programme) const fn new() -> Self {
        Self { refusals: Vec::new(), barred: false, headroom: i64::MAX }
    }

    /// A limit that is no number.
    pub(in crate::programme) fn add_blocker(&mut self, refusal: Option<Refusal>) {
        self.barred |= refusal.is_some();
        self.refusals.extend(refusal);
    }

    /// A number: what it leaves, and the refusal where that is too little.
    pub(in crate::programme) fn add_numeric_limit(&mut self, headroom: i64, refusal: Option<Refusal>) {
        self.headroom = self.headroom.min(headroom);
        self.refusals.extend(refusal);
    }

    /// Whether nothing binds.
    pub(in crate::programme) const fn is_empty(&self) -> bool {
        self.refusals.is_empty()
    }

    /// The largest amount that would pass everything: nothing while a limit binds that is no number.
    pub(in crate::programme) fn largest(&self) -> i64 {
        if self.barred { 0 } else { self.headroom.max(0) }
    }

    /// What binds, in the order it was found.
    pub(in crate::programme) fn into_refusals(self) -> Vec<Refusal> {
        self.refusals
    }

    /// Passes when nothing binds.
    ///
    /// # Errors
    /// Every limit as one refusal, with the largest amount that would have passed.
    pub(in crate::programme) fn pass(self) -> Result<(), Refusal> {
        let largest = self.largest();
        Refusal::none_of(self.refusals).map_err(|it| Refusal { largest: Some(largest), ..it })
    }
}

/// Refuses a commitment that the account cannot bear; `amount` is nothing where it does not even fit a number.
pub(in crate::programme) fn commitment(account: &Account, amount: Option<i64>) -> Option<Refusal> {
    let headroom = account.headroom(EntryKind::Commit);
    if amount.is_some_and(|it| it <= headroom) {
        return None;
    }
    let unit = account.unit;
    let most = shown(unit, headroom);
    let asked = amount.map_or_else(|| "so much".to_owned(), |it| shown(unit, it));
    let short = shown(unit, amount.unwrap_or(i64::MAX).saturating_sub(account.available));
    let (reason, message, remedy) = match account.owner {
        Owner::Cap { .. } => (
            Reason::CapExceeded,
            format!("{asked} is more than the cap leaves: {most}"),
            one_of(&[
                (headroom > 0).then(|| format!("award at most {most}")),
                (account.committed > 0).then(|| "release first what an earlier award does not need".to_owned()),
                (account.spent > 0).then(|| "refund first what was drawn in error".to_owned()),
            ]),
        ),
        Owner::Fund { .. } if account.over_committed => (
            Reason::FundOverCommitted,
            "the fund is over-committed: nothing can be promised from it".to_owned(),
            format!("allocate at least {short} to the fund"),
        ),
        Owner::Fund { .. } if account.binds => (
            Reason::FundsInsufficient,
            format!("{asked} is more than the fund has available: {most}"),
            one_of(&[
                Some(format!("allocate at least {short} to the fund")),
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

/// Refuses an amount of another unit than the strand's.
pub(in crate::programme) fn unit(
    subject: impl FnOnce() -> LimitSubject,
    requested: Unit,
    given: Unit,
) -> Option<Refusal> {
    let name = |unit| match unit {
        Unit::Pence => "pence",
        Unit::HalfDays => "half-days",
    };
    (requested != given).then(|| {
        let subject = subject();
        let message = format!("{subject} counts {}, not {}", name(requested), name(given));
        let limit = Limit::plain(LimitKind::Award, subject, format!("give the amount in {}", name(requested)));
        Refusal::of(Reason::UnitMismatch, message, limit)
    })
}

/// An award as a limit names it: `award ID (nle)`.
pub(in crate::programme) fn subject(award: &Award) -> LimitSubject {
    LimitSubject::Award { award: award.id, strand: award.support.strand() }
}

impl ProgrammeState {
    /// Refuses a day outside a window of the terms; a day before the programme by that alone.
    pub(in crate::programme) fn outside(&self, window: DateRange, what: &'static str, on: Date) -> Option<Refusal> {
        if window.contains(on) {
            return self.before_programme(on);
        }
        let programme = self.programme.programme.clone();
        let subject = LimitSubject::Window { name: what, programme, days: Some(window) };
        let remedy = format!("give a date from {} to {}", window.from, window.to);
        let limit = Limit::plain(LimitKind::Period, subject, remedy);
        Some(Refusal::of(Reason::OutsideWindow, format!("{on} lies outside the {what}, {window}"), limit))
    }

    /// From the first day awards are made to the last day claims are paid.
    pub(in crate::programme) fn claims_window(&self) -> DateRange {
        let terms = &self.programme.scheme;
        DateRange { from: terms.award_window().from, to: terms.claims_until() }
    }
}
