//! Restores data from outside the record with which a recorded request was decided, as its events cite it: the responsible body of a
//! school, its offer placement, an entry position that was unknown. Other code checks that the files say the same.

use std::collections::HashMap;

use crate::award::Support;
use crate::event::{Event, EventBody};
use crate::events_about;
use crate::ids::{AwardId, OfferId, Uid, Urn};
use crate::offer::{ListedSchool, Offer, Recipient, ResponsibleBody};
use crate::programme::candidates::{Candidate, CandidateSchool, Candidates, OfferPlacement};
use crate::programme::command::Command;
use crate::programme::command::referral::{NewReferral, ReferralCommand, ReferralTarget};
use crate::programme::decide::claims;
use crate::programme::entry_school::{EntryPosition, EntrySchool};
use crate::programme::{ProgrammeState, RegisterAnswer, ResponsibleAnswer};
use crate::referral::ReferralSubject;
use crate::region::Region;
use crate::terms::RuleId;
use crate::values::statement::Statement;

impl ProgrammeState {
    /// Replaces the data from outside the record by the data that the events of a request cite.
    pub(in crate::programme) fn cite(&mut self, command: &Command, call: &[Event]) {
        self.register_seq = call.iter().find_map(|it| it.body.register_seq());
        self.candidates = None;
        self.offer_placements.clear();
        self.responsible_bodies.clear();
        self.register.clear();
        self.entry_schools.clear();
        match command {
            Command::Identify => self.candidates = Some(self.candidates_of(call)),
            Command::Contact { .. } => {
                let changed =
                    call.iter().filter_map(|it| Some((self.school_following_register(it.offer?)?, cited_body(it)?)));
                self.responsible_bodies = changed.collect();
            }
            Command::Place { urn, .. } => {
                self.register.insert(*urn, RegisterAnswer::Unplaced { name: String::new() });
            }
            Command::DecideEntry { .. } => {
                let statement = call.iter().find_map(|it| {
                    if let EventBody::ApprovalOpened { statement, .. } = &it.body { statement.as_ref() } else { None }
                });
                self.cite_entry(statement);
            }
            Command::GiveApproval { approval, .. } => {
                let statement = self.approvals.get(approval).and_then(|it| it.statement.clone());
                self.cite_entry(statement.as_ref());
            }
            Command::Draw { award, .. } => self.cite_organisation(award.award, call),
            Command::Refer(ReferralCommand::Raise(new)) => {
                self.offer_placements = self.placements_when_raised(new, call);
            }
            Command::Refer(ReferralCommand::Decide { referral, approve: true, .. }) => {
                self.offer_placements = self.placements_when_approved(referral, call);
            }
            _ => {}
        }
    }

    /// Restores the entry school from an approval's statement: its region, the decision about a school that it follows, and the schools
    /// on the stated offers.
    fn cite_entry(&mut self, statement: Option<&Statement>) {
        let Some(Statement::Entry { urn, region, before, offers, .. }) = statement else { return };
        let of_others = self.entry_decisions.values().filter(|it| it.urn != *urn);
        let taken_over = of_others.filter(|it| Some(it.met) == *before).max_by_key(|it| it.seq).cloned();
        let stated_offers = offers.iter().flatten().filter_map(|it| self.offers.get(it));
        let follows = stated_offers.flat_map(|it| it.schools.keys()).filter(|it| *it != urn).copied().collect();
        let school = EntrySchool { region: *region, position: EntryPosition::Unknown, taken_over, follows };
        self.entry_schools.insert(*urn, school);
    }

    /// Restores the issuer of an award's invoices, if the draw recorded only its key. An issuer in the state is kept.
    fn cite_organisation(&mut self, award: AwardId, call: &[Event]) {
        let cited = call.iter().find_map(|it| {
            let EventBody::Drawn { claim: Some(claim), .. } = &it.body else { return None };
            claim.issuer.is_none().then_some(claim.issuer_key)
        });
        let key = match self.awards.get(&award).map(|it| &it.support) {
            Some(Support::Nlg { organisation: Some(name), .. }) => claims::organisation(name, &self.programme.scheme),
            _ => cited,
        };
        if let (Some(key), Some(_)) = (key, cited) {
            self.organisations.entry(award).or_insert(key);
        }
    }

    /// The school of an offer whose responsible body still follows the register.
    fn school_following_register(&self, offer: OfferId) -> Option<Urn> {
        self.offers.get(&offer)?.school_of_responsible_body()
    }

    /// The candidates that led to the events of an identify.
    fn candidates_of(&self, call: &[Event]) -> Candidates {
        let mut recipients: Vec<Candidate> = Vec::new();
        let mut index_of: HashMap<Recipient, usize> = HashMap::new();
        for event in call {
            let Some(offer) = event.offer else { continue };
            let made_here = || call.iter().find(|it| it.offer == Some(offer)).and_then(candidate_of);
            let of_event = candidate_of(event);
            let candidate = of_event.or_else(|| self.offers.get(&offer).map(candidate_for)).or_else(made_here);
            let Some(candidate) = candidate else { continue };
            let index = *index_of.entry(candidate.recipient).or_insert(recipients.len());
            if index == recipients.len() {
                recipients.push(candidate);
            }
            let Some(candidate) = recipients.get_mut(index) else { continue };
            match &event.body {
                EventBody::SchoolsAdded { schools, .. } => {
                    let region = self.offers.get(&offer).map(|it| it.region);
                    let added = schools.iter().filter_map(|it| Some(school_of(it, region?)));
                    candidate.schools.extend(added);
                }
                EventBody::ResponsibleBodyChanged { to, trust, .. } => {
                    (candidate.responsible, candidate.trust) = (to.clone(), *trust);
                }
                EventBody::ReferralConfirmed { referral, .. } => {
                    let urns = self.referrals.get(referral).map(|it| it.urns.as_slice()).unwrap_or_default();
                    self.confirm(urns, offer, candidate);
                }
                EventBody::Identified { .. }
                | EventBody::Contacted { .. }
                | EventBody::ContactCorrected { .. }
                | EventBody::Accepted { .. }
                | EventBody::Started {}
                | EventBody::DateCorrected { .. }
                | EventBody::Closed { .. }
                | EventBody::Reopened { .. }
                | EventBody::Assigned { .. }
                | EventBody::Noted {}
                | EventBody::RegionChanged { .. }
                | EventBody::ReferralRaised { .. }
                | EventBody::ReferralDiscussed { .. }
                | EventBody::ReferralApproved { .. }
                | EventBody::ReferralDeclined { .. }
                | EventBody::ReferralWithdrawn { .. }
                | events_about!(school, approval, fund, award, record) => {}
            }
        }
        // The record does not say whether a school met a rule by a file or by people's decision. The kind of its rules decides.
        for school in recipients.iter_mut().flat_map(|it| &mut it.schools) {
            school.by_files = self.programme.scheme.has_file_rule(school.rules.iter().map(String::as_str));
        }
        Candidates { recipients, ..Candidates::default() }
    }

    /// Adds the schools of a referral that the files confirmed. The offer lists each of them, or a newer URN of it.
    fn confirm(&self, urns: &[Urn], offer: OfferId, candidate: &mut Candidate) {
        let all_rules = self.programme.scheme.rules().iter().map(|it| &it.id);
        let exceptional: Vec<&RuleId> = self.programme.scheme.grounds().map(|(rule, _)| rule).collect();
        let rules: Vec<String> =
            all_rules.filter(|it| !exceptional.contains(it)).take(1).map(ToString::to_string).collect();
        let listed = self.offers.get(&offer);
        for urn in urns {
            if candidate.schools.iter().any(|it| it.urn == *urn) {
                continue;
            }
            let Some(region) = listed.map(|it| it.region).or_else(|| candidate.schools.first().map(|it| it.region))
            else {
                continue;
            };
            let is_listed = listed.is_some_and(|it| it.schools.contains_key(urn));
            let newest = listed.and_then(|it| it.schools.keys().next_back().copied()).filter(|_| !is_listed);
            let (urn, predecessors) = newest.map_or((*urn, Vec::new()), |newest| (newest, vec![*urn]));
            let (name, rules) = (String::new(), rules.clone());
            candidate.schools.push(CandidateSchool { urn, name, region, rules, by_files: true, predecessors });
        }
    }

    /// The offer placements of schools when they were referred.
    ///
    /// The record does not have the trust of a referred school. So the school counts as standalone, unless the rule makes no standalone
    /// offers or its standalone offer is closed. Then some trust is assumed.
    fn placements_when_raised(&self, new: &NewReferral, call: &[Event]) -> HashMap<Urn, OfferPlacement> {
        let raised = call.iter().find_map(|it| {
            let EventBody::ReferralRaised { name, region, rule, .. } = &it.body else { return None };
            Some((name, *region, RuleId::new(rule)))
        });
        let Some((name, region, rule)) = raised else { return HashMap::new() };
        let (recipient, trust) = match new.subject {
            ReferralSubject::Trust(uid) => (Recipient::Mat(uid), Some(uid)),
            ReferralSubject::School(urn) => {
                let standalone = Recipient::Standalone(urn);
                let may_be_standalone = self.programme.scheme.applies(&rule, standalone.row());
                let offer = self.offer_by_recipient.get(&standalone).and_then(|id| self.offers.get(id));
                let some_trust = Uid::new(1).filter(|_| !may_be_standalone || offer.is_some_and(|it| !it.is_open()));
                some_trust.map_or((standalone, None), |uid| (Recipient::Mat(uid), None))
            }
        };
        let placement = |urn: &Urn| {
            let schools = vec![school_of(&ListedSchool { urn: *urn, name: name.clone(), rules: Vec::new() }, region)];
            (*urn, OfferPlacement::With(Box::new(Candidate { schools, ..bare_candidate(recipient, name, trust) })))
        };
        new.urns.iter().map(placement).collect()
    }

    /// The offer placements of schools when their referral was approved, from the offer that the approval made or changed.
    fn placements_when_approved(&self, target: &ReferralTarget, call: &[Event]) -> HashMap<Urn, OfferPlacement> {
        let Some(referral) = self.referrals.get(&target.referral) else { return HashMap::new() };
        let approved = call.iter().find_map(|it| {
            let EventBody::ReferralApproved { offer, exceptional, .. } = &it.body else { return None };
            Some((*offer, exceptional))
        });
        let Some((offer, exceptional)) = approved else { return HashMap::new() };
        let candidate = call.iter().find_map(candidate_of).or_else(|| self.offers.get(&offer).map(candidate_for));
        let Some(candidate) = candidate else { return HashMap::new() };
        let added: Vec<&ListedSchool> = call.iter().flat_map(|it| it.body.listed()).collect();
        let region = call.iter().find_map(region_of_new_offer).or_else(|| self.offers.get(&offer).map(|it| it.region));
        let placement = |urn: &Urn| {
            let new = added.iter().copied().find(|it| it.urn == *urn);
            let listed = new.or_else(|| self.offers.get(&offer)?.schools.get(urn));
            let rules = vec![referral.rule.to_string()];
            let unlisted = || ListedSchool { urn: *urn, name: String::new(), rules };
            let listed = listed.cloned().unwrap_or_else(unlisted);
            let mut school = school_of(&listed, region.unwrap_or(referral.region));
            school.by_files = !exceptional.contains(urn);
            if !school.by_files {
                school.rules.retain(|it| *it != referral.rule.as_str());
            }
            (*urn, OfferPlacement::With(Box::new(Candidate { schools: vec![school], ..candidate.clone() })))
        };
        referral.urns.iter().map(placement).collect()
    }
}

/// The responsible body that an event records.
fn cited_body(event: &Event) -> Option<ResponsibleAnswer> {
    let EventBody::ResponsibleBodyChanged { to, trust, .. } = &event.body else { return None };
    Some(ResponsibleAnswer { body: to.clone(), trust: *trust, diocese_known: true })
}

/// The recipient that an event makes an offer to, with its schools.
fn candidate_of(event: &Event) -> Option<Candidate> {
    let EventBody::Identified { recipient, name, region, trust, responsible, schools, .. } = &event.body else {
        return None;
    };
    let schools = schools.iter().map(|it| school_of(it, *region)).collect();
    Some(Candidate { responsible: responsible.clone(), schools, ..bare_candidate(*recipient, name, *trust) })
}

/// The recipient of an existing offer as a candidate without new schools.
fn candidate_for(offer: &Offer) -> Candidate {
    Candidate { responsible: offer.responsible.clone(), ..bare_candidate(offer.recipient, &offer.name, offer.trust) }
}

/// A candidate without schools and with an empty responsible body.
fn bare_candidate(recipient: Recipient, name: &str, trust: Option<Uid>) -> Candidate {
    let responsible = ResponsibleBody::Diocese(String::new());
    Candidate { recipient, name: name.to_owned(), trust, responsible, diocese_known: true, schools: Vec::new() }
}

fn school_of(listed: &ListedSchool, region: Region) -> CandidateSchool {
    let ListedSchool { urn, name, rules } = listed.clone();
    CandidateSchool { urn, name, region, rules, by_files: false, predecessors: Vec::new() }
}

/// The region of the offer that an event makes.
const fn region_of_new_offer(event: &Event) -> Option<Region> {
    if let EventBody::Identified { region, .. } = &event.body { Some(*region) } else { None }
}
