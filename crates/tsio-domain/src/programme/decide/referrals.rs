//! Referrals: raised by one person, discussed, decided by another who answers for the region (`domain.md` section 1).
//!
//! An approval makes the offer in the same decision, by the same rules as identify: one offer a recipient, no school on two,
//! no placement guessed. A school that the monthly files have made eligible meanwhile is thereby confirmed; any other is
//! eligible by the referral's own rule.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::identify::{listed, region_of};
use super::referral_refusals::{
    before_raised, not_in_effect, not_referable, not_together, own, remedy_of_closed, undiscussed,
};
use crate::Date;
use crate::event::{EventBody, NewEvent};
use crate::ids::{OfferId, ReferralId, Urn};
use crate::offer::{Offer, Recipient};
use crate::programme::ProgrammeState;
use crate::programme::candidates::{Candidate, CandidateSchool, OfferPlacement};
use crate::programme::command::referral::{NewReferral, ReferralCommand, ReferralTarget};
use crate::programme::context::Context;
use crate::programme::decision::{CommandAnswer, Decision};
use crate::programme::error::CommandError;
use crate::referral::{Referral, ReferralSubject, State};
use crate::refusal::{EntityKind, Limit, LimitKind, Reason, Refusal};
use crate::region::Region;
use crate::role::Reach;
use crate::terms::{Ground, RuleId};

impl ProgrammeState {
    /// Decides a command about a referral.
    ///
    /// # Errors
    /// A [`CommandError`]; the facts are as they were.
    pub(in crate::programme) fn refer(
        &self,
        command: &ReferralCommand,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        match command {
            ReferralCommand::Raise(new) => self.raise(new, context),
            ReferralCommand::Discuss { referral, on, with, text } => {
                let it = self.open_referral(referral)?;
                Refusal::none_of(self.before_programme(*on).into_iter().chain(before_raised(it, *on)))?;
                let body = EventBody::ReferralDiscussed { referral: it.id, held_with: Some(*with) };
                Ok(answered(it.id, None, vec![draft(*on, body, text)]).warn_if_past(*on, context.now))
            }
            ReferralCommand::Decide { referral, approve, on, reason } => {
                self.decide_referral(referral, *approve, (*on, reason), context)
            }
            ReferralCommand::Withdraw { referral, reason } => {
                let it = self.open_referral(referral)?;
                let body = EventBody::ReferralWithdrawn { referral: it.id };
                Ok(answered(it.id, None, vec![draft(context.now.today, body, reason)]))
            }
        }
    }

    /// Raises one, unless nothing could come of it.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for a school that no file names, or a ground the terms do not have; [`Reason::ProgrammeClosed`],
    /// [`Reason::OutsideProgramme`], [`Reason::GroundNotInEffect`], [`Reason::ReferralOpen`], [`Reason::CannotBeReferred`],
    /// [`Reason::SchoolOnAnotherOffer`].
    fn raise(&self, new: &NewReferral, context: &mut Context<'_>) -> Result<Decision, CommandError> {
        let (rule, ground) = self.ground(&new.ground)?;
        let (candidate, unseated) = self.seated(new.subject, &new.urns, new.on)?;
        let subject = candidate.as_ref().map_or(new.subject, |it| taken_for(new.subject, it));
        let open = self.referred_as(new, subject);
        let barred = candidate.iter().flat_map(|it| self.bars(rule, it, context.reach));
        let refusals = self
            .programme_closed()
            .into_iter()
            .chain(self.before_programme(new.on))
            .chain(not_in_effect(ground, new.on))
            .chain(open.into_iter().filter_map(|it| self.referred_already(it, context.reach)))
            .chain(unseated)
            .chain(barred)
            .chain(candidate.as_ref().and_then(|it| self.listed_already(it)));
        Refusal::none_of(refusals)?;
        let candidate = candidate.ok_or(CommandError::Bug("a referral of no school"))?;
        let region = self.region_for(&candidate);
        let first = candidate.schools.first();
        let referral = ReferralId((context.ids)());
        let body = EventBody::ReferralRaised {
            referral,
            subject,
            urns: new.urns.clone(),
            name: match subject {
                ReferralSubject::School(_) => first.map(|it| it.name.clone()).unwrap_or_default(),
                ReferralSubject::Trust(_) => candidate.name.clone(),
            },
            region: region.ok_or(CommandError::Bug("a referral in no region"))?,
            origin: new.origin,
            rule: rule.to_string(),
            ground: new.ground.clone(),
            token_subject: context.subject,
            register_seq: None,
        };
        Ok(answered(referral, None, vec![draft(new.on, body, &new.reason)]).warn_if_past(new.on, context.now))
    }

    /// Approves or declines, as another person than the one who raised it, after a discussion.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Stale`]; [`Reason::ReferralNotOpen`], [`Reason::SelfApproval`],
    /// [`Reason::DiscussionMissing`], and to approve as [`ProgrammeState::raise`].
    fn decide_referral(
        &self,
        target: &ReferralTarget,
        approve: bool,
        (on, reason): (Date, &str),
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let it = self.open_referral(target)?;
        let refusals = own(it, self.is_same_person(&it.raiser(), &context.person()))
            .into_iter()
            .chain(self.before_programme(on))
            .chain(undiscussed(it, on, self.rules));
        if !approve {
            Refusal::none_of(refusals)?;
            let body = EventBody::ReferralDeclined { referral: it.id, token_subject: context.subject };
            return Ok(answered(it.id, None, vec![draft(on, body, reason)]).warn_if_past(on, context.now));
        }
        let (candidate, unseated) = self.seated(it.subject, &it.urns, on)?;
        let barred = candidate.iter().flat_map(|candidate| self.bars(&it.rule, candidate, context.reach));
        Refusal::none_of(refusals.chain(self.programme_closed()).chain(unseated).chain(barred))?;
        let candidate = candidate.ok_or(CommandError::Bug("a referral of no school"))?;
        let (offer, made, exceptional) = self.granted(it, candidate, context)?;
        let (token_subject, register_seq) = (context.subject, None);
        let approved = EventBody::ReferralApproved { referral: it.id, offer, exceptional, token_subject, register_seq };
        let approved = NewEvent { offer: Some(offer), ..draft(on, approved, reason) };
        let made = made.map(|body| NewEvent::of(offer, on, body));
        let drafts = made.into_iter().chain([approved]).collect();
        Ok(answered(it.id, Some(offer), drafts).warn_if_past(on, context.now))
    }

    /// The offer an approval comes to, what makes it or adds to it, and the schools that no file makes eligible: those are so by the
    /// referral. Where people decided their entry position they are by both, as that can be decided otherwise.
    fn granted(
        &self,
        referral: &Referral,
        mut candidate: Candidate,
        context: &mut Context<'_>,
    ) -> Result<(OfferId, Option<EventBody>, Vec<Urn>), CommandError> {
        let mut exceptional = Vec::new();
        let rule = referral.rule.to_string();
        for school in candidate.schools.iter_mut().filter(|it| !it.by_files && !it.rules.contains(&rule)) {
            school.rules.push(rule.clone());
            exceptional.push(school.urn);
        }
        if let Some(offer) = self.offer_to(candidate.recipient) {
            let new = candidate.schools.iter().filter(|it| !offer.schools.contains_key(&it.urn));
            let schools: Vec<_> = new.map(listed).collect();
            let added = (!schools.is_empty()).then_some(EventBody::SchoolsAdded { schools, register_seq: None });
            return Ok((offer.id, added, exceptional));
        }
        let schools: Vec<&CandidateSchool> = candidate.schools.iter().collect();
        let region = region_of(&schools).ok_or(CommandError::Bug("an offer in no region"))?;
        Ok((OfferId((context.ids)()), Some(self.making(&candidate, region, &schools)), exceptional))
    }

    /// The schools as one candidate, and why not: each must be seated, of the trust where it is a trust that is referred, and open
    /// on the day; all of them with one recipient.
    fn seated(
        &self,
        subject: ReferralSubject,
        urns: &[Urn],
        on: Date,
    ) -> Result<(Option<Candidate>, Vec<Refusal>), CommandError> {
        let unknown: Vec<String> =
            urns.iter().filter(|urn| !self.offer_placements.contains_key(urn)).map(ToString::to_string).collect();
        if !unknown.is_empty() {
            return Err(CommandError::NotFound(EntityKind::School, unknown));
        }
        let mut whole: Option<Candidate> = None;
        let mut recipients: BTreeMap<Urn, Recipient> = BTreeMap::new();
        let mut refusals = Vec::new();
        for (urn, seat) in urns.iter().filter_map(|urn| Some((urn, self.offer_placements.get(urn)?))) {
            let mut refuse = |why: String, remedy: &str| refusals.push(not_referable(*urn, why, remedy));
            let ending = self.endings.get(urn);
            if let Some(closed) = ending.and_then(|it| it.closed_because(on))
                && !matches!(seat, OfferPlacement::Superseded { .. })
            {
                refuse(format!("it has closed: {closed}"), remedy_of_closed(ending));
            }
            match (seat, subject) {
                (OfferPlacement::Nowhere { reason, .. }, _) => {
                    refuse(format!("it fits no row of the scheme: {reason}"), "place the school by hand first");
                }
                (OfferPlacement::Superseded { by, .. }, _) => {
                    refuse(format!("it counts as URN {by} now"), "refer the school under its newest URN");
                }
                (OfferPlacement::With(candidate), ReferralSubject::Trust(uid)) if candidate.trust != Some(uid) => {
                    let why = format!("it would be offered support as {}, not with trust {uid}", candidate.recipient);
                    refuse(why, "name schools that are offered support with this trust, or refer the school itself");
                }
                (OfferPlacement::With(candidate), _) => {
                    recipients.insert(*urn, candidate.recipient);
                    match &mut whole {
                        Some(whole) => whole.schools.extend(candidate.schools.iter().cloned()),
                        None => whole = Some(candidate.as_ref().clone()),
                    }
                }
            }
        }
        let several = recipients.values().collect::<BTreeSet<_>>().len() > 1;
        if several {
            refusals.extend(recipients.into_iter().map(|(urn, recipient)| not_together(urn, recipient)));
        }
        Ok((whole.filter(|_| !several), refusals))
    }

    /// What stands against an offer to this recipient for these schools.
    fn bars(&self, rule: &RuleId, candidate: &Candidate, reach: &Reach) -> Vec<Refusal> {
        let recipient = candidate.recipient;
        let mut refusals = Vec::new();
        if !self.programme.scheme.applies(rule, recipient.row()) {
            let why = format!("rule {rule} makes no {} offer", recipient.kind());
            refusals.push(not_referable(recipient, why, "nothing lifts it"));
        }
        let offer = self.offer_to(recipient);
        if self.region_for(candidate).is_some_and(|it| !reach.covers_region(it)) {
            let remedy = "withdraw the referral, and have it raised again in that region";
            refusals.push(not_referable(recipient, "its offer belongs to another region".to_owned(), remedy));
        }
        if offer.is_some_and(|it| !it.is_open()) {
            let remedy = "have that offer reopened";
            refusals.push(not_referable(recipient, "its offer in this programme is closed".to_owned(), remedy));
        }
        let new = candidate.schools.iter().filter(|it| offer.is_none_or(|offer| !offer.schools.contains_key(&it.urn)));
        let (_, blocked) = self.free(new, offer.map(|it| it.id), &HashMap::new(), reach);
        refusals.extend(blocked.into_iter().map(|it| {
            let limit = Limit::plain(LimitKind::Recipient, it.urn, "nothing to do: that offer keeps it");
            Refusal::of(Reason::SchoolOnAnotherOffer, format!("school {} {}", it.urn, it.reason), limit)
        }));
        refusals
    }

    /// Refuses what has nothing to gain: every school is on the recipient's open offer.
    fn listed_already(&self, candidate: &Candidate) -> Option<Refusal> {
        let offer = self.offer_to(candidate.recipient).filter(|it| it.is_open())?;
        candidate.schools.iter().all(|it| offer.schools.contains_key(&it.urn)).then(|| {
            let why = format!("it is on open offer {}", offer.id);
            not_referable(candidate.recipient, why, "nothing to do")
        })
    }

    /// The region that answers for it: its recipient's offer's, or the one where an offer would be made.
    fn region_for(&self, candidate: &Candidate) -> Option<Region> {
        let made = self.offer_to(candidate.recipient).map(|it| it.region);
        made.or_else(|| region_of(&candidate.schools.iter().collect::<Vec<_>>()))
    }

    /// The offer the recipient has, open or closed.
    fn offer_to(&self, recipient: Recipient) -> Option<&Offer> {
        self.recipients.get(&recipient).and_then(|id| self.offers.get(id))
    }

    fn ground(&self, name: &str) -> Result<(&RuleId, &Ground), CommandError> {
        let found = self.programme.scheme.grounds().find(|(_, ground)| ground.id == name);
        found.ok_or_else(|| CommandError::not_found(EntityKind::Ground, name))
    }

    /// Who must have no open referral: the subject, and where no referral of all the schools is possible, those that would be
    /// referred each by itself.
    fn referred_as(&self, new: &NewReferral, subject: ReferralSubject) -> BTreeSet<ReferralSubject> {
        let alone = new.urns.iter().filter(
            |urn| matches!(self.offer_placements.get(urn), Some(OfferPlacement::With(it)) if it.recipient == Recipient::Standalone(**urn)),
        );
        alone.copied().map(ReferralSubject::School).chain([subject]).collect()
    }

    fn referred_already(&self, subject: ReferralSubject, reach: &Reach) -> Option<Refusal> {
        let open = self.referrals.values().find(|it| it.state == State::Open && it.subject == subject)?;
        let limit = if reach.covers_region(open.region) {
            Limit::plain(LimitKind::Referral, open.id, "discuss and decide that one")
        } else {
            Limit::plain(LimitKind::Referral, subject, "have that one decided or withdrawn first")
        };
        Some(Refusal::of(Reason::ReferralOpen, format!("{subject} is referred already"), limit))
    }

    /// The open referral a command names, its etag checked.
    fn open_referral(&self, target: &ReferralTarget) -> Result<&Referral, CommandError> {
        let missing = || CommandError::not_found(EntityKind::Referral, target.referral);
        let it = self.referrals.get(&target.referral).ok_or_else(missing)?;
        if let Some(given) = target.etag.clone().filter(|etag| *etag != it.etag()) {
            return Err(CommandError::Stale { subject: format!("referral {}", it.id), given, current: it.etag() });
        }
        if it.state == State::Open {
            return Ok(it);
        }
        let remedy = "raise another referral";
        let limit = Limit::plain(LimitKind::Referral, it.id, remedy);
        let message = format!("the referral is not open: it is {}", it.state.name());
        Err(Refusal::of(Reason::ReferralNotOpen, message, limit).into())
    }

    /// Whether what the command is about lies in a region the caller may not look into, in the words of what does not exist.
    ///
    /// # Errors
    /// [`CommandError::NotFound`].
    pub(in crate::programme) fn referral_within_reach(
        &self,
        command: &ReferralCommand,
        reach: &Reach,
    ) -> Result<(), CommandError> {
        match command {
            ReferralCommand::Raise(new) => self.referred_within_reach(new, reach),
            ReferralCommand::Discuss { referral, .. }
            | ReferralCommand::Decide { referral, .. }
            | ReferralCommand::Withdraw { referral, .. } => self.named_within_reach(referral.referral, reach),
        }
    }

    fn referred_within_reach(&self, new: &NewReferral, reach: &Reach) -> Result<(), CommandError> {
        // As of an offer, where there is one: the region of a trust may name its schools in other regions too.
        let whole = self.seated(new.subject, &new.urns, new.on).ok().and_then(|(candidate, _)| candidate);
        let whose = whole.and_then(|it| self.region_for(&it));
        if whose.is_some_and(|it| reach.covers_region(it)) {
            return Ok(());
        }
        // Of a school that no file names any more nobody knows where it lies.
        let hidden = |urn: &&Urn| match self.offer_placements.get(urn) {
            Some(seat) => whose.or_else(|| seat.region()).is_some_and(|it| !reach.covers_region(it)),
            None => !reach.is_everything(),
        };
        let unseen: Vec<String> = new.urns.iter().filter(hidden).map(ToString::to_string).collect();
        if unseen.is_empty() { Ok(()) } else { Err(CommandError::NotFound(EntityKind::School, unseen)) }
    }

    fn named_within_reach(&self, referral: ReferralId, reach: &Reach) -> Result<(), CommandError> {
        // An approval answers with the offer as well, wherever that is by now.
        let moved = |it: &Referral| {
            let offer = it.offer.and_then(|id| self.offers.get(&id));
            offer.is_some_and(|it| !reach.covers(it.region, it.assignee.as_ref()))
        };
        match self.referrals.get(&referral).filter(|it| !reach.covers_region(it.region) || moved(it)) {
            Some(hidden) => Err(CommandError::not_found(EntityKind::Referral, hidden.id)),
            None => Ok(()),
        }
    }
}

/// Who is referred: a trust that has one open school is taken for that school, which is offered support on its own.
fn taken_for(subject: ReferralSubject, candidate: &Candidate) -> ReferralSubject {
    match (subject, candidate.recipient) {
        (ReferralSubject::Trust(_), Recipient::Standalone(urn)) => ReferralSubject::School(urn),
        _ => subject,
    }
}

fn answered(referral: ReferralId, offer: Option<OfferId>, drafts: Vec<NewEvent>) -> Decision {
    Decision::new(drafts, CommandAnswer::Referral(referral, offer))
}

fn draft(on: Date, body: EventBody, text: &str) -> NewEvent {
    NewEvent::of_book(on, body).with_text(Some(text.to_owned()))
}
