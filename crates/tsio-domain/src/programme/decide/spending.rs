//! What happens to an award once it is made: days booked, amounts drawn, released, refunded, and all of it given back
//! when its offer closes.
//!
//! Every verb that moves an amount posts it to the award's cap and, at the award's own rate, to its fund.

use super::claims::{self, RefundAsked};
use super::dates::{before_award, started};
use super::limits::{self, LimitCollector, subject};
use crate::Date;
use crate::award::{Award, Booking, BookingState, Invoice, LeaderKind, Support};
use crate::event::{EventBody, NewEvent, ReleasedAward, Seq};
use crate::ids::Actor;
use crate::ledger::{Amount, EntryKind, Posting, Unit, shown};
use crate::money::HalfDays;
use crate::offer::Offer;
use crate::offer::lifecycle::{self, check};
use crate::programme::ProgrammeState;
use crate::programme::command::{AwardTarget, Command, OfferTarget};
use crate::programme::decision::{CommandAnswer, Decision, Warning};
use crate::programme::error::CommandError;
use crate::refusal::{EntityKind, Limit, LimitKind, LimitSubject, Reason, Refusal, one_of};
use crate::role::Reach;
use crate::time::Now;

impl ProgrammeState {
    /// Books days of an award: of leader time no more than are committed and not booked yet, of governance support, which
    /// counts pence, any. Moves nothing.
    ///
    /// # Errors
    /// [`Reason::UnitMismatch`], [`Reason::StateNotAllowed`], [`Reason::OutsideWindow`], [`Reason::DateOrder`],
    /// [`Reason::AwardExceeded`].
    pub(in crate::programme) fn book(
        &self,
        target: &AwardTarget,
        (half_days, on): (HalfDays, Date),
        named: (Option<&Actor>, Option<LeaderKind>),
        now: Now,
    ) -> Result<Decision, CommandError> {
        let (award, offer) = self.on_award(target)?;
        let amount = positive(Amount::HalfDays(half_days))?;
        let mut limits = LimitCollector::new();
        limits.add_blocker(check(lifecycle::OfferAction::Book, offer.state, offer.id).err());
        limits.add_blocker(self.outside(self.claims_window(), "time in which days are delivered", on));
        limits.add_blocker(before_award(award, on));
        let (leader, leader_kind) = match who_comes(award, named) {
            Ok((leader, kind)) => (Some(leader), kind),
            Err(refusal) => {
                limits.add_blocker(Some(refusal));
                (None, None)
            }
        };
        if award.unit == Unit::HalfDays && award.support.has_bookings() {
            let free = award.committed().saturating_sub(award.booked());
            limits.add_numeric_limit(free, exceeded(award, free, Some(amount), || less_or_cancel(award, free, "book")));
        }
        limits.pass()?;
        let leader = leader.ok_or(CommandError::Bug("a booking without a leader"))?;
        let body = EventBody::DaysBooked { award: award.id, half_days, on, leader, leader_kind };
        Ok(decided(award, NewEvent::of(offer.id, now.today, body)).warn_if_past(on, now))
    }

    /// Cancels a booking that is still to come.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::BookingNotOpen`].
    pub(in crate::programme) fn cancel_booking(
        &self,
        target: &AwardTarget,
        booking: Seq,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let (award, offer) = self.on_award(target)?;
        let state = check(lifecycle::OfferAction::Book, offer.state, offer.id).err();
        Refusal::none_of(state.into_iter().chain(open_booking(award, booking).err()))?;
        let body = EventBody::BookingCancelled { award: award.id, booking };
        Ok(decided(award, NewEvent::of(offer.id, now.today, body)))
    }

    /// Draws, as a [`Command::Draw`] says: days delivered, a claim paid. What open bookings hold is theirs; of the one
    /// delivered, what was not is free again.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::OutsideWindow`], [`Reason::DateOrder`], [`Reason::UnitMismatch`],
    /// [`Reason::BookingNotOpen`], [`Reason::AwardExceeded`]; those of an invoice, see [`ProgrammeState::pay`].
    pub(in crate::programme) fn draw(
        &self,
        command: &Command,
        reach: &Reach,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let Command::Draw { award: target, amount, on, booking, invoice, text } = command else {
            return Err(CommandError::Bug("what is to be drawn is no draw"));
        };
        let (award, offer) = self.on_award(target)?;
        if let (Support::Nlg { .. }, Some(booking)) = (&award.support, booking) {
            return self.deliver(award, offer, (*booking, *on), command, now);
        }
        let asked = amount.map(positive).transpose()?;
        let mut limits = LimitCollector::new();
        limits.add_blocker(check(lifecycle::OfferAction::Draw, offer.state, offer.id).err());
        limits.add_blocker(self.outside(self.claims_window(), "time in which claims are paid", *on));
        limits.add_blocker(before_award(award, *on));
        limits.add_blocker(self.in_order(offer, *on, started(offer)));
        let mismatch = amount.and_then(|it| limits::unit(|| subject(award), award.unit, it.unit()));
        let comparable = mismatch.is_none();
        limits.add_blocker(mismatch);
        let delivered = match booking.map(|it| open_booking(award, it)) {
            Some(Ok(booking)) => Some(booking),
            Some(Err(refusal)) => {
                limits.add_blocker(Some(refusal));
                None
            }
            None => {
                limits.add_blocker(asked.is_none().then(|| no_amount(award)));
                None
            }
        };
        let days = delivered.map(|it| i64::from(it.half_days.get()));
        let wanted = asked.or(days);
        if comparable && wanted.is_some() {
            let free = award.committed().saturating_sub(award.booked()).saturating_add(days.unwrap_or(0));
            limits.add_numeric_limit(free, exceeded(award, free, wanted, || less_or_cancel(award, free, "draw")));
            if let Some((booking, days)) = delivered.zip(days) {
                limits.add_numeric_limit(days, more_than_booked(award, booking, days, wanted));
            }
            let (least, early) = self.before_commitment(award, *on, wanted.unwrap_or(0));
            limits.add_numeric_limit(least, early);
        }
        let claim = self.pay((award, reach), invoice.as_ref(), wanted.filter(|_| comparable), &mut limits);
        limits.pass()?;
        let amount = wanted.ok_or(CommandError::Bug("a draw without an amount"))?;
        let is_again = invoice.is_none() && self.is_drawn_again(award.id, *on, amount);
        let invoice = invoice.as_ref().map(|it| it.reference.clone());
        let body = EventBody::Drawn { award: award.id, amount, booking: *booking, invoice, claim };
        let draft = NewEvent::of(offer.id, *on, body).with_text(text.clone());
        let mut drawn =
            decided(award, draft.posting(self.postings(award, EntryKind::Spend, amount)?)).warn_if_past(*on, now);
        drawn.warnings.extend(is_again.then_some(Warning::DrawRepeated(*on)));
        Ok(drawn)
    }

    /// Records that a booking of governance support was delivered. It moves no money, which is drawn by claims.
    fn deliver(
        &self,
        award: &Award,
        offer: &Offer,
        (booking, on): (Seq, Date),
        command: &Command,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let Command::Draw { amount, invoice, text, .. } = command else {
            return Err(CommandError::Bug("what is to be delivered is no draw"));
        };
        let mut limits = LimitCollector::new();
        limits.add_blocker(check(lifecycle::OfferAction::Draw, offer.state, offer.id).err());
        limits.add_blocker(self.outside(self.claims_window(), "time in which days are delivered", on));
        limits.add_blocker(before_award(award, on));
        limits.add_blocker(self.in_order(offer, on, started(offer)));
        limits.add_blocker(open_booking(award, booking).err());
        limits.add_blocker((amount.is_some() || invoice.is_some()).then(|| {
            let remedy = "record the delivery without an amount and an invoice, and pay the claim apart";
            let message = format!("a booking of {} moves no money", award.support.strand());
            Refusal::of(Reason::UnitMismatch, message, Limit::plain(LimitKind::Award, subject(award), remedy))
        }));
        limits.pass()?;
        let body = EventBody::BookingDelivered { award: award.id, booking };
        Ok(decided(award, NewEvent::of(offer.id, on, body).with_text(text.clone())).warn_if_past(on, now))
    }

    /// Gives back what is committed and not booked; all of that when no amount is named.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::OutsideProgramme`], [`Reason::DateOrder`], [`Reason::UnitMismatch`],
    /// [`Reason::AwardExceeded`].
    pub(in crate::programme) fn release(
        &self,
        target: &AwardTarget,
        amount: Option<Amount>,
        on: Date,
        text: Option<&String>,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let (award, offer) = self.on_award(target)?;
        let asked = amount.map(positive).transpose()?;
        let mut limits = LimitCollector::new();
        limits.add_blocker(check(lifecycle::OfferAction::Release, offer.state, offer.id).err());
        limits.add_blocker(self.before_programme(on));
        limits.add_blocker(before_award(award, on));
        let mismatch = amount.and_then(|it| limits::unit(|| subject(award), award.unit, it.unit()));
        let free = award.committed().saturating_sub(award.booked());
        if mismatch.is_none() {
            let wanted = asked.or((free > 0).then_some(free));
            limits.add_numeric_limit(free, exceeded(award, free, wanted, || less_or_cancel(award, free, "release")));
            let (least, early) = self.before_commitment(award, on, wanted.unwrap_or(0));
            limits.add_numeric_limit(least, early);
        }
        limits.add_blocker(mismatch);
        limits.pass()?;
        let amount = asked.unwrap_or(free);
        let body = EventBody::Released { award: award.id, amount };
        let draft = NewEvent::of(offer.id, on, body).with_text(text.cloned());
        Ok(decided(award, draft.posting(self.postings(award, EntryKind::Release, amount)?)).warn_if_past(on, now))
    }

    /// Refunds, as a [`Command::Refund`] says: takes back what was drawn, in any state of the offer. Of an award with
    /// invoices it takes back what was paid on one of them, or what was drawn without one.
    ///
    /// # Errors
    /// [`Reason::OutsideProgramme`], [`Reason::DateOrder`], [`Reason::UnitMismatch`], [`Reason::AwardExceeded`],
    /// [`Reason::InvoiceMissing`].
    pub(in crate::programme) fn refund(&self, command: &Command, now: Now) -> Result<Decision, CommandError> {
        let Command::Refund { award: target, amount, on, invoice, issuer, reason } = command else {
            return Err(CommandError::Bug("what is to be refunded is no refund"));
        };
        let (award, offer) = self.on_award(target)?;
        let wanted = positive(*amount)?;
        let mut limits = LimitCollector::new();
        limits.add_blocker(check(lifecycle::OfferAction::Refund, offer.state, offer.id).err());
        limits.add_blocker(self.before_programme(*on));
        limits.add_blocker(before_award(award, *on));
        let mismatch = limits::unit(|| subject(award), award.unit, amount.unit());
        let comparable = mismatch.is_none();
        limits.add_blocker(mismatch);
        let asked =
            RefundAsked { reference: invoice.as_ref(), issuer: issuer.as_ref().map(|it| self.issuer_key(it)), wanted };
        let as_of = |it: &Invoice| self.drawn_since(award, Some(it.seq), *on, wanted);
        let refunded = claims::refunded(award, &asked, as_of).unwrap_or_else(|refusal| {
            limits.add_blocker(Some(refusal));
            None
        });
        let paid = refunded.as_ref().map(|it| it.paid.seq);
        if comparable {
            let most = award.spent();
            limits.add_numeric_limit(
                most,
                exceeded(award, most, Some(wanted), || "refund no more than was drawn and not refunded".to_owned()),
            );
            let without = award.spent_without_invoice();
            match &refunded {
                Some(it) => {
                    let left = award.amount_of(it.paid.left());
                    limits.add_numeric_limit(left, claims::more_than_paid(award, it, left, wanted));
                }
                None if (1..most).contains(&without) => {
                    let remedy = || "name the invoice to be refunded: so much was not drawn without one".to_owned();
                    limits.add_numeric_limit(without, exceeded(award, without, Some(wanted), remedy));
                }
                None => {}
            }
            let (least, early) = self.before_draw(award, paid, *on, wanted);
            match &refunded {
                Some(it) => limits.add_numeric_limit(it.most, early.map(|early| it.or_less(award, early))),
                None => limits.add_numeric_limit(least, early),
            }
        }
        limits.pass()?;
        let body = EventBody::Refunded { award: award.id, amount: wanted, invoice: paid };
        let draft = NewEvent::of(offer.id, *on, body).with_text(Some(reason.clone()));
        Ok(decided(award, draft.posting(self.postings(award, EntryKind::Refund, wanted)?)).warn_if_past(*on, now))
    }

    /// What closing an offer on a day does to its awards: every open commitment is given back in the same event.
    ///
    /// # Errors
    /// Those of the closing itself; [`Reason::DateOrder`] for each award made later than that day.
    pub(in crate::programme) fn closing(
        &self,
        target: &OfferTarget,
        on: Date,
        closed: Result<Decision, CommandError>,
    ) -> Result<Decision, CommandError> {
        let is_open = |it: &&Award| !it.is_settled() || it.has_open_bookings();
        let open: Vec<&Award> = self.awards.of(target.offer).filter(is_open).collect();
        let undone = |it: &&Award| self.before_commitment(it, on, it.committed()).1;
        let early = open.iter().filter_map(|it| before_award(it, on).or_else(|| undone(it)));
        let refused = match &closed {
            Err(CommandError::Refused(refusal)) => Some(refusal.clone()),
            Ok(_) | Err(_) => None,
        };
        // What is not there, or was seen too old, comes before any limit.
        if refused.is_some() || closed.is_ok() {
            Refusal::none_of(refused.into_iter().chain(early))?;
        }
        let mut decided = closed?;
        let mut given_back = Vec::new();
        let mut postings = Vec::new();
        for award in open {
            let amount = award.committed();
            if amount > 0 {
                postings.extend(self.postings(award, EntryKind::Release, amount)?);
            }
            // One of which nothing is committed has bookings to be cancelled.
            given_back.push(ReleasedAward { award: award.id, amount });
        }
        for draft in &mut decided.drafts {
            if let EventBody::Closed { released, .. } = &mut draft.body {
                released.clone_from(&given_back);
                draft.postings.append(&mut postings);
            }
        }
        given_back.retain(|it| it.amount > 0);
        Ok(Decision { answer: CommandAnswer::Closed(target.offer, given_back), ..decided })
    }

    /// The award a command names, its etag checked, and its offer.
    pub(in crate::programme) fn on_award(&self, target: &AwardTarget) -> Result<(&Award, &Offer), CommandError> {
        let id = target.award;
        let award = self.awards.get(&id).ok_or_else(|| CommandError::not_found(EntityKind::Award, id))?;
        let offer = self.offers.get(&award.offer).ok_or(CommandError::Bug("the award's offer is not loaded"))?;
        match &target.etag {
            Some(etag) if *etag != award.etag() => {
                Err(CommandError::Stale { subject: format!("award {id}"), given: etag.clone(), current: award.etag() })
            }
            _ => Ok((award, offer)),
        }
    }

    /// What moving an amount of an award posts: on its cap as it is, on its fund at the award's own rate. The accounts
    /// bear it, since they hold what their awards hold.
    fn postings(&self, award: &Award, verb: EntryKind, amount: i64) -> Result<Vec<Posting>, CommandError> {
        let cost = award.cost(amount).ok_or(CommandError::Bug("the cost of a part of an award does not fit"))?;
        let cap = award.cap.map(|account| Posting { account, verb, amount });
        let postings: Vec<Posting> =
            cap.into_iter().chain([Posting { account: award.fund, verb, amount: cost }]).collect();
        for it in &postings {
            let account =
                self.ledger.get(it.account).ok_or(CommandError::Bug("an account of the award is not loaded"))?;
            if it.amount > account.headroom(verb) {
                return Err(CommandError::Bug("an account holds less than its awards"));
            }
        }
        Ok(postings)
    }
}

fn decided(award: &Award, draft: NewEvent) -> Decision {
    Decision::new(vec![draft], CommandAnswer::Awards(vec![award.id]))
}

/// The plain number of an amount, which the edge has found to be more than nothing.
fn positive(amount: Amount) -> Result<i64, CommandError> {
    Some(amount.get()).filter(|it| *it > 0).ok_or(CommandError::Bug("an amount of nothing"))
}

/// Who comes for a booking: the award's leader, unless another one is named.
fn who_comes(
    award: &Award,
    (leader, kind): (Option<&Actor>, Option<LeaderKind>),
) -> Result<(Actor, Option<LeaderKind>), Refusal> {
    let refuse = |reason, message: String, remedy: &str| {
        Err(Refusal::of(reason, message, Limit::plain(LimitKind::Award, subject(award), remedy)))
    };
    match (&award.support, leader) {
        (Support::Nle { leader: usual, leader_kind }, None) => Ok((usual.clone(), kind.or(*leader_kind))),
        (Support::Nle { leader: usual, leader_kind }, Some(leader)) => {
            Ok((leader.clone(), kind.or(leader_kind.filter(|_| usual == leader))))
        }
        (Support::Nlg { .. }, _) if kind.is_some() => {
            let message = "a leader of governance is neither a national leader of education nor an equivalent";
            refuse(Reason::UnitMismatch, message.to_owned(), "leave the kind of leader out")
        }
        (Support::Nlg { .. }, Some(leader)) => Ok((leader.clone(), None)),
        (Support::Nlg { leader: Some(usual), .. }, None) => Ok((usual.clone(), None)),
        (Support::Nlg { leader: None, .. }, None) => {
            let message = "the award does not say who its leader of governance is, and none is named".to_owned();
            refuse(Reason::BookingLeaderMissing, message, "name the leader who comes")
        }
        (Support::Credit { .. } | Support::Npqel { .. }, _) => {
            let message = format!("award {} is of {}, which has no days to book", award.id, award.support.strand());
            refuse(Reason::UnitMismatch, message, "book days of an award of leader time or governance support")
        }
    }
}

fn open_booking(award: &Award, seq: Seq) -> Result<&Booking, Refusal> {
    let open = |it: &&Booking| it.seq == seq && it.state == BookingState::Booked;
    award.bookings.iter().find(open).ok_or_else(|| {
        let limit =
            Limit::plain(LimitKind::Award, subject(award), "name a booking that is neither delivered nor cancelled");
        Refusal::of(Reason::BookingNotOpen, format!("{seq} is not an open booking of this award"), limit)
    })
}

fn no_amount(award: &Award) -> Refusal {
    let limit = Limit::plain(LimitKind::Award, subject(award), "give an amount, or the booking that was delivered");
    Refusal::of(Reason::BookingNotOpen, "neither an amount nor a booking is named", limit)
}

/// What would lift it, where more is asked of an award than is committed and not booked.
fn less_or_cancel(award: &Award, free: i64, verb: &str) -> String {
    let ways = [
        (free > 0).then(|| format!("{verb} at most {}", shown(award.unit, free))),
        (award.booked() > 0).then(|| "cancel first a booking that holds the rest".to_owned()),
    ];
    match one_of(&ways) {
        none if none.is_empty() => "make another award: nothing of this one is committed".to_owned(),
        some => some,
    }
}

/// Refuses more of an award than there is; where no amount is named, there is nothing at all.
fn exceeded(award: &Award, most: i64, wanted: Option<i64>, remedy: impl FnOnce() -> String) -> Option<Refusal> {
    if wanted.is_some_and(|it| it <= most) {
        return None;
    }
    let left = shown(award.unit, most);
    let message = wanted.map_or_else(
        || "nothing of this award is left for that".to_owned(),
        |it| format!("{} is more than this award has left for that: {left}", shown(award.unit, it)),
    );
    let limit = Limit {
        kind: LimitKind::Award,
        subject: subject(award),
        unit: Some(award.unit),
        limit: Some(award.awarded),
        committed: Some(award.committed()),
        spent: Some(award.spent()),
        available: Some(most),
        requested: wanted,
        largest: Some(most),
        remedy: remedy(),
    };
    Some(Refusal::of(Reason::AwardExceeded, message, limit))
}

fn more_than_booked(award: &Award, booking: &Booking, days: i64, wanted: Option<i64>) -> Option<Refusal> {
    wanted.filter(|it| *it > days).map(|wanted| {
        let limit = Limit {
            kind: LimitKind::Award,
            subject: LimitSubject::Booking { booking: booking.seq, award: award.id, strand: award.support.strand() },
            unit: Some(award.unit),
            limit: Some(days),
            committed: Some(days),
            spent: Some(0),
            available: Some(days),
            requested: Some(wanted),
            largest: Some(days),
            remedy: "draw no more than was booked, and the rest without the booking".to_owned(),
        };
        let message = format!("{} is more than was booked: {}", shown(award.unit, wanted), booking.half_days);
        Refusal::of(Reason::AwardExceeded, message, limit)
    })
}
