//! Decides commands about existing awards: book days, and draw, release or refund amounts. Also releases the open commitments of an
//! offer that closes.
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
use crate::refusal::{EntityKind, Limit, LimitKind, LimitSubject, Reason, Refusal, join_remedies};
use crate::role::Reach;
use crate::time::Now;

impl ProgrammeState {
    /// Books days of an award. No amount moves. The days of leader time are limited to the days that are committed and not
    /// booked. The days of governance support are not limited, because its awards count pence.
    ///
    /// # Errors
    /// [`Reason::UnitMismatch`], [`Reason::StateNotAllowed`], [`Reason::OutsideWindow`], [`Reason::OutsideProgramme`],
    /// [`Reason::DateOrder`], [`Reason::BookingLeaderMissing`], [`Reason::AwardExceeded`]; those of
    /// [`ProgrammeState::award_and_offer`].
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
        Ok(decision_about(award, NewEvent::of(offer.id, now.today, body)).warn_if_past(on, now))
    }

    /// Cancels an open booking.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::BookingNotOpen`]; those of [`ProgrammeState::award_and_offer`].
    pub(in crate::programme) fn cancel_booking(
        &self,
        target: &AwardTarget,
        booking: Seq,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let (award, offer) = self.award_and_offer(target)?;
        let state = check(lifecycle::OfferAction::Book, offer.state, offer.id).err();
        Refusal::join(state.into_iter().chain(open_booking(award, booking).err()))?;
        let body = EventBody::BookingCancelled { award: award.id, booking };
        Ok(decision_about(award, NewEvent::of(offer.id, now.today, body)))
    }

    /// Decides a [`Command::Draw`]: days were delivered, or a claim is paid. Amounts that other open bookings hold cannot be
    /// drawn. If less is drawn than was booked, the rest of the booking becomes free again.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::OutsideWindow`], [`Reason::OutsideProgramme`], [`Reason::DateOrder`],
    /// [`Reason::UnitMismatch`], [`Reason::BookingNotOpen`], [`Reason::AwardExceeded`]; those of
    /// [`ProgrammeState::award_and_offer`]; the refusals of an invoice, see [`ProgrammeState::check_payment`].
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
                limits.add_blocker(requested.is_none().then(|| amount_missing(award)));
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
        let mut decision = decision_about(award, draft.posting(self.postings(award, EntryKind::Spend, amount)?))
            .warn_if_past(*on, now);
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
        Ok(decision_about(award, NewEvent::of(offer.id, on, body).with_text(text.clone())).warn_if_past(on, now))
    }

    /// Releases an amount that is committed and not booked; by default all of it.
    ///
    /// # Errors
    /// [`Reason::StateNotAllowed`], [`Reason::OutsideProgramme`], [`Reason::DateOrder`], [`Reason::UnitMismatch`],
    /// [`Reason::AwardExceeded`]; those of [`ProgrammeState::award_and_offer`].
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
        Ok(decision_about(award, draft.posting(self.postings(award, EntryKind::Release, amount)?))
            .warn_if_past(on, now))
    }

    /// Decides a [`Command::Refund`]: takes back an amount that was drawn. This is allowed in any state of the offer. If the
    /// award paid invoices, a refund takes back an amount of one payment of an invoice, or an amount that was drawn without an
    /// invoice.
    ///
    /// # Errors
    /// [`Reason::OutsideProgramme`], [`Reason::DateOrder`], [`Reason::UnitMismatch`], [`Reason::AwardExceeded`],
    /// [`Reason::InvoiceMissing`]; those of [`ProgrammeState::award_and_offer`].
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
            let spent = award.spent();
            limits.add_numeric_limit(
                spent,
                exceeded(award, spent, Some(requested_amount), || {
                    "refund no more than was drawn and not refunded".to_owned()
                }),
            );
            let without_invoice = award.spent_without_invoice();
            match &refunded {
                Some(it) => {
                    let left = award.amount_of(it.paid.left());
                    limits.add_numeric_limit(left, claims::more_than_paid(award, it, left, requested_amount));
                }
                // Only a part of the spent amount was drawn without an invoice, and the refund can take back no more than that part.
                None if (1..spent).contains(&without_invoice) => {
                    let remedy = || "name the invoice to be refunded: so much was not drawn without one".to_owned();
                    limits.add_numeric_limit(
                        without_invoice,
                        exceeded(award, without_invoice, Some(requested_amount), remedy),
                    );
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
        Ok(decision_about(award, draft.posting(self.postings(award, EntryKind::Refund, requested_amount)?))
            .warn_if_past(*on, now))
    }

    /// Completes the decision to close an offer (`closed`): the event that closes the offer also releases every open commitment of
    /// the offer's awards. The answer lists the released amounts.
    ///
    /// # Errors
    /// The error in `closed`, if any; [`Reason::DateOrder`] for each award that was made after `on`, or of which an amount was
    /// committed again after `on` by an undo.
    pub(in crate::programme) fn release_on_closing(
        &self,
        target: &OfferTarget,
        on: Date,
        closed: Result<Decision, CommandError>,
    ) -> Result<Decision, CommandError> {
        let is_open = |it: &&Award| !it.is_settled() || it.has_open_bookings();
        let open_awards: Vec<&Award> = self.awards.of_offer(target.offer).filter(is_open).collect();
        let before_undo = |it: &&Award| self.taken_before_commitment(it, on, it.committed()).1;
        let too_early = open_awards.iter().filter_map(|it| before_award(it, on).or_else(|| before_undo(it)));
        let refusal = match &closed {
            Err(CommandError::Refused(refusal)) => Some(refusal.clone()),
            Ok(_) | Err(_) => None,
        };
        // Any other error, such as not found or a stale etag, has priority over the limits.
        if refusal.is_some() || closed.is_ok() {
            Refusal::join(refusal.into_iter().chain(too_early))?;
        }
        let mut decision = closed?;
        let mut released_awards = Vec::new();
        let mut postings = Vec::new();
        for award in open_awards {
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

    /// The award that a command changes, after checking the caller's etag, and the award's offer.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Stale`].
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

    /// The postings that move an amount of an award: to its cap, and at the award's rate to its fund. The accounts can always
    /// bear the postings, because they contain the amounts of all their awards. It is a bug if they cannot.
    fn postings(&self, award: &Award, verb: EntryKind, amount: i64) -> Result<Vec<Posting>, CommandError> {
        let cost = award.cost(amount).ok_or(CommandError::Bug("the cost of a part of an award does not fit"))?;
        let to_cap = award.cap.map(|account| Posting { account, verb, amount });
        let postings: Vec<Posting> =
            to_cap.into_iter().chain([Posting { account: award.fund, verb, amount: cost }]).collect();
        for posting in &postings {
            let account =
                self.ledger.get(posting.account).ok_or(CommandError::Bug("an account of the award is not loaded"))?;
            if posting.amount > account.headroom(verb) {
                return Err(CommandError::Bug("an account holds less than its awards"));
            }
        }
        Ok(postings)
    }
}

/// The decision that records one event about an award.
fn decision_about(award: &Award, draft: NewEvent) -> Decision {
    Decision::new(vec![draft], CommandAnswer::Awards(vec![award.id]))
}

/// The number of an amount. An amount of zero or less is a bug, because the API has already refused it.
fn positive(amount: Amount) -> Result<i64, CommandError> {
    Some(amount.get()).filter(|it| *it > 0).ok_or(CommandError::Bug("an amount of nothing"))
}

/// The leader of a booking, and the kind of the leader if it is recorded. The leader is the award's leader, unless the caller names
/// another leader.
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

/// The open booking of an award with this number, or the refusal if there is none.
fn open_booking(award: &Award, seq: Seq) -> Result<&Booking, Refusal> {
    let is_open = |it: &&Booking| it.seq == seq && it.state == BookingState::Booked;
    award.bookings.iter().find(is_open).ok_or_else(|| {
        let limit =
            Limit::plain(LimitKind::Award, subject(award), "name a booking that is neither delivered nor cancelled");
        Refusal::of(Reason::BookingNotOpen, format!("{seq} is not an open booking of this award"), limit)
    })
}

/// Refuses a draw that names neither an amount nor a booking.
fn amount_missing(award: &Award) -> Refusal {
    let limit = Limit::plain(LimitKind::Award, subject(award), "give an amount, or the booking that was delivered");
    Refusal::of(Reason::BookingNotOpen, "neither an amount nor a booking is named", limit)
}

/// The remedy if more is requested than is committed and not booked: a smaller amount, or cancelling a booking.
fn less_or_cancel(award: &Award, free: i64, verb: &str) -> String {
    let ways = [
        (free > 0).then(|| format!("{verb} at most {}", shown(award.unit, free))),
        (award.booked() > 0).then(|| "cancel first a booking that holds the rest".to_owned()),
    ];
    let remedy = join_remedies(&ways);
    if remedy.is_empty() { "make another award: nothing of this one is committed".to_owned() } else { remedy }
}

/// Refuses a requested amount of more than `most`. If the requested amount is none, nothing of the award is left, which is
/// refused too.
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

/// Refuses to draw more than was booked.
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
