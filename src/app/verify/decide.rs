//! Decides each call of a record again, with what its events cite: the rules are those that decide commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::VerifyReport;
use super::cited::{Cited, Imports};
use super::evidence::Then;
use crate::app::clock;
use crate::domain::award::Support;
use crate::domain::award::claim::{ClaimKey, ClaimPayments};
use crate::domain::event::{Event, EventBody, Seq};
use crate::domain::events_about;
use crate::domain::ids::{Uid, Urn};
use crate::domain::offer::Recipient;
use crate::domain::programme::replay::redecide::ReplayVerdict;
use crate::domain::programme::{EventText, ProgrammeState};

/// What is known beside the facts while a record is decided again.
pub(super) struct Deciding {
    imports: Arc<Imports>,
    /// What the events at hand cite.
    cited: Cited,
    /// Schools that an approved referral made eligible.
    granted: BTreeSet<Urn>,
}

impl Deciding {
    pub(super) fn new(imports: Arc<Imports>) -> Self {
        Self { imports, cited: Cited::default(), granted: BTreeSet::new() }
    }

    /// Takes what the next page cites; of the page before nothing is kept where no call goes on.
    pub(super) fn take(&mut self, cited: Cited, is_settled: bool) {
        if is_settled {
            self.cited = cited;
        } else {
            self.cited.add(cited);
        }
    }

    /// Decides one call, whose events are next to be folded in, and names what stands against it.
    pub(super) fn decide(&mut self, call: &[Event], facts: &mut ProgrammeState, report: &mut VerifyReport) {
        let Some(first) = call.first() else { return };
        let Some(now) = clock::moment(first.recorded) else {
            report.differs(format!("event {}: it is recorded at a time that no calendar has", first.seq));
            return;
        };
        let then = Then::of(&self.imports, call, first.recorded);
        facts.trusts.clear();
        for uid in call.iter().flat_map(named_trusts) {
            facts.trusts.extend(self.cited.trust(uid, &then).map(|answer| (uid, answer)));
        }
        for undone in call.iter().filter_map(|it| it.body.undoes()).filter_map(|seq| self.cited.events.get(&seq)) {
            facts.movements.recall(undone);
        }
        for event in call.iter().filter_map(|it| erased(&it.body)).filter_map(|seq| self.cited.events.get(&seq)) {
            let text = EventText { offer: event.offer, was_recorded: event.text_hash.is_some(), is_erased: false };
            facts.texts.entry(event.seq).or_insert(text);
        }
        let own = self.pay_elsewhere(call, facts);
        match facts.redecide(call, now) {
            ReplayVerdict::Allowed => {}
            ReplayVerdict::AllowedWhenMade(seq, why) => report.allowed_when_made(format!("event {seq}: {why}")),
            ReplayVerdict::Forbidden(seq, why) => report.differs(format!("event {seq}: {why}")),
        }
        facts.claims.extend(own);
        // What an approval makes an exception of counts for the offer that it makes in the same call.
        self.granted.extend(call.iter().flat_map(exceptional));
        for event in call.iter().filter(|it| !it.body.listed().is_empty()) {
            let Some(recipient) = recipient_of(event, facts) else { continue };
            if let Some(wrong) = self.cited.wrong_schools((event, recipient), facts, &self.granted, &then) {
                report.differs(format!("event {}: {wrong}", event.seq));
            }
        }
    }

    /// Ends a call that has been folded in.
    pub(super) fn settled(call: &[Event], facts: &mut ProgrammeState) {
        for award in call.iter().filter(|it| it.body.undoes().is_some()).filter_map(|it| it.body.award()) {
            facts.movements.forget(award);
        }
    }

    /// Adds to the invoices of a call what other programmes had paid on them before it; answers what was there.
    fn pay_elsewhere(&self, call: &[Event], facts: &mut ProgrammeState) -> Vec<(ClaimKey, ClaimPayments)> {
        let numbered = call.iter().filter_map(|it| numbered_claim(it, facts));
        let numbered: Vec<(ClaimKey, i64)> = numbered.collect();
        let mut before = Vec::new();
        for (key, part) in numbered {
            let Some(all) = self.cited.payments.get(&key) else { continue };
            let others = all.of_awards(|award| !facts.awards.contains_key(&award));
            let own = facts.claims.get(&key).cloned().unwrap_or_default();
            facts.claims.insert(key.clone(), own.with_earlier(&others, part));
            before.push((key, own));
        }
        before
    }
}

/// The invoice that an event pays or has stand again, and the number that this payment gets.
fn numbered_claim(event: &Event, facts: &ProgrammeState) -> Option<(ClaimKey, i64)> {
    match &event.body {
        EventBody::Drawn { invoice: Some(reference), claim: Some(claim), .. } => {
            Some(((claim.issuer_key, reference.clone()), claim.part))
        }
        EventBody::Undone { award, invoice: Some(paid), part: Some(part), .. } => {
            let invoices = &facts.awards.get(award)?.invoices;
            Some((invoices.iter().find(|it| it.seq == *paid)?.key(), *part))
        }
        events_about!(offer, school, approval, fund, award, referral, record) => None,
    }
}

fn named_trusts(event: &Event) -> Option<Uid> {
    match &event.body {
        EventBody::Awarded { support: Support::Credit { partner }, .. } => Some(*partner),
        EventBody::Placed { placement, .. } => placement.trust().map(|(uid, _)| uid),
        EventBody::EntryDecided { .. } | events_about!(offer, approval, fund, award, referral, record) => None,
    }
}

const fn erased(body: &EventBody) -> Option<Seq> {
    if let EventBody::TextErased { event } = body { Some(*event) } else { None }
}

fn exceptional(event: &Event) -> &[Urn] {
    if let EventBody::ReferralApproved { exceptional, .. } = &event.body { exceptional } else { &[] }
}

fn recipient_of(event: &Event, facts: &ProgrammeState) -> Option<Recipient> {
    if let EventBody::Identified { recipient, .. } = &event.body {
        return Some(*recipient);
    }
    facts.offers.get(&event.offer?).map(|it| it.recipient)
}
