//! Decides commands about referrals. One person raises a referral. Another person who reaches its region decides the referral
//! after a discussion (`domain.md` section 1).
//!
//! Approving a referral also makes the offer, by the rules of identify: one offer for each recipient, no school on two offers, no
//! guessed placement. If the monthly files have made a school eligible meanwhile, the offer lists the school with the rules that
//! it meets by the files. It lists every other school with the rule of the referral.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::identify::{listed_school, region_of_most};
use super::referral_refusals::{
    before_raised, discussion_missing, not_in_effect, not_referable, not_together, own_referral, remedy_of_closed,
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
    /// Any [`CommandError`].
    pub(in crate::programme) fn refer(
        &self,
        command: &ReferralCommand,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        match command {
            ReferralCommand::Raise(new) => self.raise(new, context),
            ReferralCommand::Discuss { referral, on, with, text } => {
                let referral = self.open_referral(referral)?;
                Refusal::join(self.before_programme(*on).into_iter().chain(before_raised(referral, *on)))?;
                let body = EventBody::ReferralDiscussed { referral: referral.id, held_with: Some(*with) };
                let events = vec![new_event(*on, body, text)];
                Ok(decision_about(referral.id, None, events).warn_if_past(*on, context.now))
            }
            ReferralCommand::Decide { referral, approve, on, reason } => {
                self.decide_referral(referral, *approve, (*on, reason), context)
            }
            ReferralCommand::Withdraw { referral, reason } => {
                let referral = self.open_referral(referral)?;
                let body = EventBody::ReferralWithdrawn { referral: referral.id };
                Ok(decision_about(referral.id, None, vec![new_event(context.now.today, body, reason)]))
            }
        }
    }

    /// Raises a referral. Refuses a referral whose approval could not lead to an offer.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for a school that no file names, or a ground that the terms do not have;
    /// [`Reason::ProgrammeClosed`], [`Reason::OutsideProgramme`], [`Reason::GroundNotInEffect`], [`Reason::ReferralOpen`],
    /// [`Reason::CannotBeReferred`], [`Reason::SchoolOnAnotherOffer`].
    fn raise(&self, new: &NewReferral, context: &mut Context<'_>) -> Result<Decision, CommandError> {
        let (rule, ground) = self.ground(&new.ground)?;
        let (candidate, placing_refusals) = self.combined_candidate(new.subject, &new.urns, new.on)?;
        let subject = candidate.as_ref().map_or(new.subject, |it| effective_subject(new.subject, it));
        let subjects = self.subjects_to_check(new, subject);
        let offer_refusals = candidate.iter().flat_map(|it| self.offer_refusals(rule, it, context.reach));
        let refusals = self
            .programme_closed()
            .into_iter()
            .chain(self.before_programme(new.on))
            .chain(not_in_effect(ground, new.on))
            .chain(subjects.into_iter().filter_map(|it| self.already_referred(it, context.reach)))
            .chain(placing_refusals)
            .chain(offer_refusals)
            .chain(candidate.as_ref().and_then(|it| self.already_listed(it)));
        Refusal::join(refusals)?;
        let candidate = candidate.ok_or(CommandError::Bug("a referral of no school"))?;
        let region = self.region_for(&candidate);
        let first_school = candidate.schools.first();
        let referral = ReferralId((context.ids)());
        let body = EventBody::ReferralRaised {
            referral,
            subject,
            urns: new.urns.clone(),
            name: match subject {
                ReferralSubject::School(_) => first_school.map(|it| it.name.clone()).unwrap_or_default(),
                ReferralSubject::Trust(_) => candidate.name.clone(),
            },
            region: region.ok_or(CommandError::Bug("a referral in no region"))?,
            origin: new.origin,
            rule: rule.to_string(),
            ground: new.ground.clone(),
            token_subject: context.subject,
            register_seq: None,
        };
        let events = vec![new_event(new.on, body, &new.reason)];
        Ok(decision_about(referral, None, events).warn_if_past(new.on, context.now))
    }

    /// Approves or declines a referral. The caller must not be the person who raised it, and a discussion must be on record.
    ///
    /// # Errors
    /// [`CommandError::NotFound`], [`CommandError::Stale`]; [`Reason::ReferralNotOpen`], [`Reason::SelfApproval`],
    /// [`Reason::OutsideProgramme`], [`Reason::DiscussionMissing`]; to approve also [`Reason::ProgrammeClosed`],
    /// [`Reason::CannotBeReferred`], [`Reason::SchoolOnAnotherOffer`].
    fn decide_referral(
        &self,
        target: &ReferralTarget,
        approve: bool,
        (on, reason): (Date, &str),
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let referral = self.open_referral(target)?;
        let refusals = own_referral(referral, self.is_same_person(&referral.raiser(), &context.person()))
            .into_iter()
            .chain(self.before_programme(on))
            .chain(discussion_missing(referral, on, self.rules));
        if !approve {
            Refusal::join(refusals)?;
            let body = EventBody::ReferralDeclined { referral: referral.id, token_subject: context.subject };
            let events = vec![new_event(on, body, reason)];
            return Ok(decision_about(referral.id, None, events).warn_if_past(on, context.now));
        }
        let (candidate, placing_refusals) = self.combined_candidate(referral.subject, &referral.urns, on)?;
        let offer_refusals = candidate.iter().flat_map(|it| self.offer_refusals(&referral.rule, it, context.reach));
        Refusal::join(refusals.chain(self.programme_closed()).chain(placing_refusals).chain(offer_refusals))?;
        let candidate = candidate.ok_or(CommandError::Bug("a referral of no school"))?;
        let (offer, offer_change, exceptional) = self.offer_of_approval(referral, candidate, context)?;
        let (token_subject, register_seq) = (context.subject, None);
        let body =
            EventBody::ReferralApproved { referral: referral.id, offer, exceptional, token_subject, register_seq };
        let approved = NewEvent { offer: Some(offer), ..new_event(on, body, reason) };
        let offer_change = offer_change.map(|body| NewEvent::of(offer, on, body));
        let events = offer_change.into_iter().chain([approved]).collect();
        Ok(decision_about(referral.id, Some(offer), events).warn_if_past(on, context.now))
    }

    /// The offer of an approved referral; the event that makes the offer or adds schools to it, if any; and the exceptional
    /// schools. These are eligible by the referral, because no file makes them eligible. A school that is eligible by a decided
    /// entry position is exceptional too, because that decision can be changed.
    fn offer_of_approval(
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
            let schools: Vec<_> = new.map(listed_school).collect();
            let schools_added =
                (!schools.is_empty()).then_some(EventBody::SchoolsAdded { schools, register_seq: None });
            return Ok((offer.id, schools_added, exceptional));
        }
        let schools: Vec<&CandidateSchool> = candidate.schools.iter().collect();
        let region = region_of_most(&schools).ok_or(CommandError::Bug("an offer in no region"))?;
        Ok((OfferId((context.ids)()), Some(self.new_offer(&candidate, region, &schools)), exceptional))
    }

    /// Combines the offer placements of the referred schools into one candidate. Returns the candidate and the refusals.
    ///
    /// Each school must have a recipient and be open on the day. If a trust is referred, each school must belong to the trust.
    /// If not all schools have the same recipient, there is no candidate.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] with the schools that no file names.
    fn combined_candidate(
        &self,
        subject: ReferralSubject,
        urns: &[Urn],
        on: Date,
    ) -> Result<(Option<Candidate>, Vec<Refusal>), CommandError> {
        let missing: Vec<String> =
            urns.iter().filter(|urn| !self.offer_placements.contains_key(urn)).map(ToString::to_string).collect();
        if !missing.is_empty() {
            return Err(CommandError::NotFound(EntityKind::School, missing));
        }
        let mut combined: Option<Candidate> = None;
        let mut recipients: BTreeMap<Urn, Recipient> = BTreeMap::new();
        let mut refusals = Vec::new();
        for (urn, placement) in urns.iter().filter_map(|urn| Some((urn, self.offer_placements.get(urn)?))) {
            let mut refuse = |reason: String, remedy: &str| refusals.push(not_referable(*urn, reason, remedy));
            let ending = self.endings.get(urn);
            if let Some(closed) = ending.and_then(|it| it.closed_because(on))
                && !matches!(placement, OfferPlacement::Superseded { .. })
            {
                refuse(format!("it has closed: {closed}"), remedy_of_closed(ending));
            }
            match (placement, subject) {
                (OfferPlacement::Nowhere { reason, .. }, _) => {
                    refuse(format!("it fits no row of the scheme: {reason}"), "place the school by hand first");
                }
                (OfferPlacement::Superseded { by, .. }, _) => {
                    refuse(format!("it counts as URN {by} now"), "refer the school under its newest URN");
                }
                (OfferPlacement::With(candidate), ReferralSubject::Trust(uid)) if candidate.trust != Some(uid) => {
                    let message =
                        format!("it would be offered support as {}, not with trust {uid}", candidate.recipient);
                    refuse(
                        message,
                        "name schools that are offered support with this trust, or refer the school itself",
                    );
                }
                (OfferPlacement::With(candidate), _) => {
                    recipients.insert(*urn, candidate.recipient);
                    match &mut combined {
                        Some(combined) => combined.schools.extend(candidate.schools.iter().cloned()),
                        None => combined = Some(candidate.as_ref().clone()),
                    }
                }
            }
        }
        let is_mixed = recipients.values().collect::<BTreeSet<_>>().len() > 1;
        if is_mixed {
            refusals.extend(recipients.into_iter().map(|(urn, recipient)| not_together(urn, recipient)));
        }
        Ok((combined.filter(|_| !is_mixed), refusals))
    }

    /// The refusals if this recipient cannot have an offer with these schools. Empty if the offer is possible.
    fn offer_refusals(&self, rule: &RuleId, candidate: &Candidate, reach: &Reach) -> Vec<Refusal> {
        let recipient = candidate.recipient;
        let mut refusals = Vec::new();
        if !self.programme.scheme.applies(rule, recipient.row()) {
            let reason = format!("rule {rule} makes no {} offer", recipient.kind());
            refusals.push(not_referable(recipient, reason, "nothing to do: the terms make no such offer"));
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
        let (_, blocked) = self.split_by_other_offers(new, offer.map(|it| it.id), &HashMap::new(), reach);
        refusals.extend(blocked.into_iter().map(|it| {
            let limit = Limit::plain(LimitKind::Recipient, it.urn, "nothing to do: that offer keeps it");
            Refusal::of(Reason::SchoolOnAnotherOffer, format!("school {} {}", it.urn, it.reason), limit)
        }));
        refusals
    }

    /// Refuses a referral if every school is already on the recipient's open offer.
    fn already_listed(&self, candidate: &Candidate) -> Option<Refusal> {
        let offer = self.offer_to(candidate.recipient).filter(|it| it.is_open())?;
        candidate.schools.iter().all(|it| offer.schools.contains_key(&it.urn)).then(|| {
            let reason = format!("it is on open offer {}", offer.id);
            not_referable(candidate.recipient, reason, "nothing to do")
        })
    }

    /// The region of the recipient's offer. If the recipient has no offer, the region in which its offer would be made.
    fn region_for(&self, candidate: &Candidate) -> Option<Region> {
        let offer_region = self.offer_to(candidate.recipient).map(|it| it.region);
        offer_region.or_else(|| region_of_most(&candidate.schools.iter().collect::<Vec<_>>()))
    }

    /// The offer that the recipient has, open or closed.
    fn offer_to(&self, recipient: Recipient) -> Option<&Offer> {
        self.offer_by_recipient.get(&recipient).and_then(|id| self.offers.get(id))
    }

    /// The ground of the terms with this id, and its rule.
    fn ground(&self, id: &str) -> Result<(&RuleId, &Ground), CommandError> {
        let ground = self.programme.scheme.grounds().find(|(_, ground)| ground.id == id);
        let known = || self.programme.scheme.grounds().map(|(_, ground)| ground.id.clone()).collect();
        ground.ok_or_else(|| CommandError::UnknownName(EntityKind::Ground, id.to_owned(), known()))
    }

    /// The subjects that must have no open referral yet: the subject itself, and every referred school that is its own recipient.
    fn subjects_to_check(&self, new: &NewReferral, subject: ReferralSubject) -> BTreeSet<ReferralSubject> {
        let standalone = new.urns.iter().filter(
            |urn| matches!(self.offer_placements.get(urn), Some(OfferPlacement::With(it)) if it.recipient == Recipient::Standalone(**urn)),
        );
        standalone.copied().map(ReferralSubject::School).chain([subject]).collect()
    }

    /// Refuses a subject that has an open referral. The refusal names that referral if the caller reaches its region.
    fn already_referred(&self, subject: ReferralSubject, reach: &Reach) -> Option<Refusal> {
        let open = self.referrals.values().find(|it| it.state == State::Open && it.subject == subject)?;
        let limit = if reach.covers_region(open.region) {
            Limit::plain(LimitKind::Referral, open.id, "discuss and decide that one")
        } else {
            Limit::plain(LimitKind::Referral, subject, "have that one decided or withdrawn first")
        };
        Some(Refusal::of(Reason::ReferralOpen, format!("{subject} is referred already"), limit))
    }

    /// The open referral that a command changes, after checking the caller's etag.
    fn open_referral(&self, target: &ReferralTarget) -> Result<&Referral, CommandError> {
        let missing = || CommandError::not_found(EntityKind::Referral, target.referral);
        let referral = self.referrals.get(&target.referral).ok_or_else(missing)?;
        if let Some(given) = target.etag.clone().filter(|etag| *etag != referral.etag()) {
            let (subject, current) = (format!("referral {}", referral.id), referral.etag());
            return Err(CommandError::Stale { subject, given, current });
        }
        if referral.state == State::Open {
            return Ok(referral);
        }
        let remedy = "raise another referral";
        let limit = Limit::plain(LimitKind::Referral, referral.id, remedy);
        let message = format!("the referral is not open: it is {}", referral.state.name());
        Err(Refusal::of(Reason::ReferralNotOpen, message, limit).into())
    }

    /// Reports the schools or the referral of a command as not found if they are outside the caller's reach.
    ///
    /// # Errors
    /// [`CommandError::NotFound`].
    pub(in crate::programme) fn referral_within_reach(
        &self,
        command: &ReferralCommand,
        reach: &Reach,
    ) -> Result<(), CommandError> {
        match command {
            ReferralCommand::Raise(new) => self.schools_within_reach(new, reach),
            ReferralCommand::Discuss { referral, .. }
            | ReferralCommand::Decide { referral, .. }
            | ReferralCommand::Withdraw { referral, .. } => self.existing_within_reach(referral.referral, reach),
        }
    }

    /// Reports the schools outside the caller's reach as not found.
    fn schools_within_reach(&self, new: &NewReferral, reach: &Reach) -> Result<(), CommandError> {
        // The region of the offer counts: a caller who reaches a trust's offer may also refer the trust's schools in other regions.
        let candidate =
            self.combined_candidate(new.subject, &new.urns, new.on).ok().and_then(|(candidate, _)| candidate);
        let offer_region = candidate.and_then(|it| self.region_for(&it));
        if offer_region.is_some_and(|it| reach.covers_region(it)) {
            return Ok(());
        }
        // A school that no file names any more has no known region. Only callers who reach everything see that school.
        let is_hidden = |urn: &&Urn| match self.offer_placements.get(urn) {
            Some(placement) => offer_region.or_else(|| placement.region()).is_some_and(|it| !reach.covers_region(it)),
            None => !reach.is_everything(),
        };
        let hidden: Vec<String> = new.urns.iter().filter(is_hidden).map(ToString::to_string).collect();
        if hidden.is_empty() { Ok(()) } else { Err(CommandError::NotFound(EntityKind::School, hidden)) }
    }

    /// Reports a referral as not found if the referral or its offer is outside the caller's reach.
    fn existing_within_reach(&self, referral: ReferralId, reach: &Reach) -> Result<(), CommandError> {
        // The answer to a command about an approved referral contains the offer too, so the caller must also reach the offer.
        let offer_is_hidden = |it: &Referral| {
            let offer = it.offer.and_then(|id| self.offers.get(&id));
            offer.is_some_and(|it| !reach.covers(it.region, it.assignee.as_ref()))
        };
        match self.referrals.get(&referral).filter(|it| !reach.covers_region(it.region) || offer_is_hidden(it)) {
            Some(hidden) => Err(CommandError::not_found(EntityKind::Referral, hidden.id)),
            None => Ok(()),
        }
    }
}

/// The subject that the referral records. A trust with only one open school is replaced by that school, because the offer would be
/// made to the school.
fn effective_subject(subject: ReferralSubject, candidate: &Candidate) -> ReferralSubject {
    match (subject, candidate.recipient) {
        (ReferralSubject::Trust(_), Recipient::Standalone(urn)) => ReferralSubject::School(urn),
        _ => subject,
    }
}

/// The decision of a command about a referral.
fn decision_about(referral: ReferralId, offer: Option<OfferId>, events: Vec<NewEvent>) -> Decision {
    Decision::new(events, CommandAnswer::Referral(referral, offer))
}

/// A new event with a text. It is about no offer.
fn new_event(on: Date, body: EventBody, text: &str) -> NewEvent {
    NewEvent::without_offer(on, body).with_text(Some(text.to_owned()))
}
