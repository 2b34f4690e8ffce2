//! Decides commands about existing awards: book days, draw, release and refund amounts. Closing an offer releases what its awards
//! still commit.
//!
//! Each movement of an amount is posted to the award's cap and, at the award's own rate, to its fund.

use super::claims::{self, RequestedRefund};
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
    /// Books days of an award, without moving any amount. Days of leader time are limited to those committed and not booked. Days of
    /// governance support are not limited, since its awards count pence.
    ///
    /// # Errors
    /// [`Reason::UnitMismatch`], [`Reason::StateNotAllowed`], [`Reason::OutsideWindow`], [`Reason::DateOrder`],
    /// [`Reason::AwardExceeded`].
    pub(in crate::programme) fn book(
        &self,
        target: &AwardTarget,
        (half_days, on): (HalfDays, Date),
        requested_leader: (Option<&Actor>, Option<LeaderKind>),
        now: Now,
    ) -> Result<Decision, CommandError> {
        let (award, offer) = self.award_and_offer(target)?;
        let amount = positive(Amount::HalfDays(half_days))?;
        let mut limits = LimitCollector::new();
        limits.add_blocker(check(lifecycle::OfferAction::Book, offer.state, offer.id).err());
        limits.add_blocker(self.outside_window(self.claims_window(), "time in which days are delivered", on));
        limits.add_blocker(before_award(award, on));
        let (leader, leader_kind) = match booking_leader(award, requested_leader) {
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
        let (award, offer) = self.award_and_offer(target)?;
        let state = check(lifecycle::OfferAction::Book, offer.state, offer.id).err();
        Refusal::none_of(state.into_iter().chain(open_booking(award, booking).err()))?;
        let body = EventBody::BookingCancelled { award: award.id, booking };
        Ok(decided(award, NewEvent::of(offer.id, now.today, body)))
    }

    /// Decides a [`Command::Draw`]: days were delivered, or a claim is paid. Amounts held by other open bookings cannot be drawn. The
    /// undelivered rest of the delivered booking is free again.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::OutsideWindow`], [`Reason::DateOrder`], [`Reason::UnitMismatch`],
    /// [`Reason::BookingNotOpen`], [`Reason::AwardExceeded`]; those of an invoice, see [`ProgrammeState::check_payment`].
    pub(in crate::programme) fn draw(
        &self,
        command: &Command,
        reach: &Reach,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let Command::Draw { award: target, amount, on, booking, invoice, text } = command else {
            return Err(CommandError::Bug("what is to be drawn is no draw"));
        };
        let (award, offer) = self.award_and_offer(target)?;
        if let (Support::Nlg { .. }, Some(booking)) = (&award.support, booking) {
            return self.deliver(award, offer, (*booking, *on), command, now);
        }
        let requested = amount.map(positive).transpose()?;
        let mut limits = LimitCollector::new();
        limits.add_blocker(check(lifecycle::OfferAction::Draw, offer.state, offer.id).err());
        limits.add_blocker(self.outside_window(self.claims_window(), "time in which claims are paid", *on));
        limits.add_blocker(before_award(award, *on));
        limits.add_blocker(self.before_milestones(offer, *on, started(offer)));
        let mismatch = amount.and_then(|it| limits::unit(|| subject(award), award.unit, it.unit()));
        let same_unit = mismatch.is_none();
        limits.add_blocker(mismatch);
        let delivered = match booking.map(|it| open_booking(award, it)) {
            Some(Ok(booking)) => Some(booking),
            Some(Err(refusal)) => {
                limits.add_blocker(Some(refusal));
                None
            }
            None => {
                limits.add_blocker(requested.is_none().then(|| no_amount(award)));
                None
            }
        };
        let booked_days = delivered.map(|it| i64::from(it.half_days.get()));
        let amount = requested.or(booked_days);
        if same_unit && amount.is_some() {
            let free = award.committed().saturating_sub(award.booked()).saturating_add(booked_days.unwrap_or(0));
            limits.add_numeric_limit(free, exceeded(award, free, amount, || less_or_cancel(award, free, "draw")));
            if let Some((booking, booked_days)) = delivered.zip(booked_days) {
                limits.add_numeric_limit(booked_days, more_than_booked(award, booking, booked_days, amount));
            }
            let (least, too_early) = self.taken_before_commitment(award, *on, amount.unwrap_or(0));
            limits.add_numeric_limit(least, too_early);
        }
        let claim = self.check_payment((award, reach), invoice.as_ref(), amount.filter(|_| same_unit), &mut limits);
        limits.pass()?;
        let amount = amount.ok_or(CommandError::Bug("a draw without an amount"))?;
        let is_repeated = invoice.is_none() && self.repeats_draw(award.id, *on, amount);
        let invoice = invoice.as_ref().map(|it| it.reference.clone());
        let body = EventBody::Drawn { award: award.id, amount, booking: *booking, invoice, claim };
        let draft = NewEvent::of(offer.id, *on, body).with_text(text.clone());
        let mut decision =
            decided(award, draft.posting(self.postings(award, EntryKind::Spend, amount)?)).warn_if_past(*on, now);
        decision.warnings.extend(is_repeated.then_some(Warning::DrawRepeated(*on)));
        Ok(decision)
    }

    /// Records that a booking of governance support was delivered. This moves no money: claims draw the money.
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
        limits.add_blocker(self.outside_window(self.claims_window(), "time in which days are delivered", on));
        limits.add_blocker(before_award(award, on));
        limits.add_blocker(self.before_milestones(offer, on, started(offer)));
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

    /// Releases an amount that is committed and not booked; by default all of it.
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
        let (award, offer) = self.award_and_offer(target)?;
        let requested = amount.map(positive).transpose()?;
        let mut limits = LimitCollector::new();
        limits.add_blocker(check(lifecycle::OfferAction::Release, offer.state, offer.id).err());
        limits.add_blocker(self.before_programme(on));
        limits.add_blocker(before_award(award, on));
        let mismatch = amount.and_then(|it| limits::unit(|| subject(award), award.unit, it.unit()));
        let free = award.committed().saturating_sub(award.booked());
        if mismatch.is_none() {
            let amount = requested.or((free > 0).then_some(free));
            limits.add_numeric_limit(free, exceeded(award, free, amount, || less_or_cancel(award, free, "release")));
            let (least, too_early) = self.taken_before_commitment(award, on, amount.unwrap_or(0));
            limits.add_numeric_limit(least, too_early);
        }
        limits.add_blocker(mismatch);
        limits.pass()?;
        let amount = requested.unwrap_or(free);
        let body = EventBody::Released { award: award.id, amount };
        let draft = NewEvent::of(offer.id, on, body).with_text(text.cloned());
        Ok(decided(award, draft.posting(self.postings(award, EntryKind::Release, amount)?)).warn_if_past(on, now))
    }

    /// Decides a [`Command::Refund`]: takes back an amount that was drawn, in any state of the offer. If the award paid invoices, it takes
    /// back a payment of one invoice, or an amount that was drawn without an invoice.
    ///
    /// # Errors
    /// [`Reason::OutsideProgramme`], [`Reason::DateOrder`], [`Reason::UnitMismatch`], [`Reason::AwardExceeded`],
    /// [`Reason::InvoiceMissing`].
    pub(in crate::programme) fn refund(&self, command: &Command, now: Now) -> Result<Decision, CommandError> {
        let Command::Refund { award: target, amount, on, invoice, issuer, reason } = command else {
            return Err(CommandError::Bug("what is to be refunded is no refund"));
        };
        let (award, offer) = self.award_and_offer(target)?;
        let requested_amount = positive(*amount)?;
        let mut limits = LimitCollector::new();
        limits.add_blocker(check(lifecycle::OfferAction::Refund, offer.state, offer.id).err());
        limits.add_blocker(self.before_programme(*on));
        limits.add_blocker(before_award(award, *on));
        let mismatch = limits::unit(|| subject(award), award.unit, amount.unit());
        let same_unit = mismatch.is_none();
        limits.add_blocker(mismatch);
        let issuer = issuer.as_ref().map(|it| self.issuer_key(it));
        let requested = RequestedRefund { reference: invoice.as_ref(), issuer, amount: requested_amount };
        let left_from = |it: &Invoice| self.least_drawn_from(award, Some(it.seq), *on, requested_amount);
        let refunded = claims::payment_to_refund(award, &requested, left_from).unwrap_or_else(|refusal| {
            limits.add_blocker(Some(refusal));
            None
        });
        let paid = refunded.as_ref().map(|it| it.paid.seq);
        if same_unit {
            let most = award.spent();
            limits.add_numeric_limit(
                most,
                exceeded(award, most, Some(requested_amount), || {
                    "refund no more than was drawn and not refunded".to_owned()
                }),
            );
            let without = award.spent_without_invoice();
            match &refunded {
                Some(it) => {
                    let left = award.amount_of(it.paid.left());
                    limits.add_numeric_limit(left, claims::more_than_paid(award, it, left, requested_amount));
                }
                None if (1..most).contains(&without) => {
                    let remedy = || "name the invoice to be refunded: so much was not drawn without one".to_owned();
                    limits.add_numeric_limit(without, exceeded(award, without, Some(requested_amount), remedy));
                }
                None => {}
            }
            let (least, too_early) = self.refund_before_draw(award, paid, *on, requested_amount);
            match &refunded {
                Some(it) => {
                    let too_early = too_early.map(|refusal| it.suggest_smaller_amount(award, refusal));
                    limits.add_numeric_limit(it.largest_refund, too_early);
                }
                None => limits.add_numeric_limit(least, too_early),
            }
        }
        limits.pass()?;
        let body = EventBody::Refunded { award: award.id, amount: requested_amount, invoice: paid };
        let draft = NewEvent::of(offer.id, *on, body).with_text(Some(reason.clone()));
        Ok(decided(award, draft.posting(self.postings(award, EntryKind::Refund, requested_amount)?))
            .warn_if_past(*on, now))
    }

    /// Adds to the decision to close an offer that the release_on_closing event releases every open commitment of its awards.
    ///
    /// # Errors
    /// The error of the release_on_closing itself; [`Reason::DateOrder`] for each award that was made, or committed again by an undo, after that
    /// day.
    pub(in crate::programme) fn release_on_closing(
        &self,
        target: &OfferTarget,
        on: Date,
        closed: Result<Decision, CommandError>,
    ) -> Result<Decision, CommandError> {
        let is_open = |it: &&Award| !it.is_settled() || it.has_open_bookings();
        let open: Vec<&Award> = self.awards.of_offer(target.offer).filter(is_open).collect();
        let before_undo = |it: &&Award| self.taken_before_commitment(it, on, it.committed()).1;
        let too_early = open.iter().filter_map(|it| before_award(it, on).or_else(|| before_undo(it)));
        let refusal = match &closed {
            Err(CommandError::Refused(refusal)) => Some(refusal.clone()),
            Ok(_) | Err(_) => None,
        };
        // Any other error, such as not found or a stale etag, has priority over the limits.
        if refusal.is_some() || closed.is_ok() {
            Refusal::none_of(refusal.into_iter().chain(too_early))?;
        }
        let mut decision = closed?;
        let mut released_awards = Vec::new();
        let mut postings = Vec::new();
        for award in open {
            let amount = award.committed();
            if amount > 0 {
                postings.extend(self.postings(award, EntryKind::Release, amount)?);
            }
            // An award without a commitment is listed too: its open bookings are cancelled.
            released_awards.push(ReleasedAward { award: award.id, amount });
        }
        for draft in &mut decision.events {
            if let EventBody::Closed { released, .. } = &mut draft.body {
                released.clone_from(&released_awards);
                draft.postings.append(&mut postings);
            }
        }
        released_awards.retain(|it| it.amount > 0);
        Ok(Decision { answer: CommandAnswer::Closed(target.offer, released_awards), ..decision })
    }

    /// The award that a command changes, after checking the caller's etag, and its offer.
    pub(in crate::programme) fn award_and_offer(&self, target: &AwardTarget) -> Result<(&Award, &Offer), CommandError> {
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

    /// The postings that move an amount of an award: to its cap, and at the award's rate to its fund. The accounts always bear it,
    /// because they contain the amounts of all their awards.
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

/// The decision that records one event about an award.
fn decided(award: &Award, draft: NewEvent) -> Decision {
    Decision::new(vec![draft], CommandAnswer::Awards(vec![award.id]))
}

/// The number of an amount. The API has already refused amounts of zero or less.
fn positive(amount: Amount) -> Result<i64, CommandError> {
    Some(amount.get()).filter(|it| *it > 0).ok_or(CommandError::Bug("an amount of nothing"))
}

/// The leader of a booking: the award's leader, unless the caller names another one.
fn booking_leader(
    award: &Award,
    (leader, kind): (Option<&Actor>, Option<LeaderKind>),
) -> Result<(Actor, Option<LeaderKind>), Refusal> {
    let refuse = |reason, message: String, remedy: &str| {
        Err(Refusal::of(reason, message, Limit::plain(LimitKind::Award, subject(award), remedy)))
    };
    match (&award.support, leader) {
        (Support::Nle { leader: own_leader, leader_kind }, None) => Ok((own_leader.clone(), kind.or(*leader_kind))),
        (Support::Nle { leader: own_leader, leader_kind }, Some(leader)) => {
            Ok((leader.clone(), kind.or(leader_kind.filter(|_| own_leader == leader))))
        }
        (Support::Nlg { .. }, _) if kind.is_some() => {
            let message = "a leader of governance is neither a national leader of education nor an equivalent";
            refuse(Reason::UnitMismatch, message.to_owned(), "leave the kind of leader out")
        }
        (Support::Nlg { .. }, Some(leader)) => Ok((leader.clone(), None)),
        (Support::Nlg { leader: Some(own_leader), .. }, None) => Ok((own_leader.clone(), None)),
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

/// The open booking of an award with this number.
fn open_booking(award: &Award, seq: Seq) -> Result<&Booking, Refusal> {
    let is_open = |it: &&Booking| it.seq == seq && it.state == BookingState::Booked;
    award.bookings.iter().find(is_open).ok_or_else(|| {
        let limit =
            Limit::plain(LimitKind::Award, subject(award), "name a booking that is neither delivered nor cancelled");
        Refusal::of(Reason::BookingNotOpen, format!("{seq} is not an open booking of this award"), limit)
    })
}

/// Refuses a draw that names neither an amount nor a booking.
fn no_amount(award: &Award) -> Refusal {
    let limit = Limit::plain(LimitKind::Award, subject(award), "give an amount, or the booking that was delivered");
    Refusal::of(Reason::BookingNotOpen, "neither an amount nor a booking is named", limit)
}

/// The remedy if more is requested than is committed and not booked: a smaller amount, or cancelling a booking.
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

/// Refuses more than `most` of an award. If the requested amount is none, nothing of the award is left.
fn exceeded(
    award: &Award,
    most: i64,
    requested_amount: Option<i64>,
    remedy: impl FnOnce() -> String,
) -> Option<Refusal> {
    if requested_amount.is_some_and(|it| it <= most) {
        return None;
    }
    let left = shown(award.unit, most);
    let message = requested_amount.map_or_else(
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
        requested: requested_amount,
        largest: Some(most),
        remedy: remedy(),
    };
    Some(Refusal::of(Reason::AwardExceeded, message, limit))
}

/// Refuses to draw more than the booking has.
fn more_than_booked(award: &Award, booking: &Booking, booked: i64, requested_amount: Option<i64>) -> Option<Refusal> {
    requested_amount.filter(|it| *it > booked).map(|requested_amount| {
        let limit = Limit {
            kind: LimitKind::Award,
            subject: LimitSubject::Booking { booking: booking.seq, award: award.id, strand: award.support.strand() },
            unit: Some(award.unit),
            limit: Some(booked),
            committed: Some(booked),
            spent: Some(0),
            available: Some(booked),
            requested: Some(requested_amount),
            largest: Some(booked),
            remedy: "draw no more than was booked, and the rest without the booking".to_owned(),
        };
        let message = format!("{} is more than was booked: {}", shown(award.unit, requested_amount), booking.half_days);
        Refusal::of(Reason::AwardExceeded, message, limit)
    })
}
