//! Decides each request of a record again, with the data that its events cite and with the rules that decide commands.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::VerifyReport;
use super::cited::{Cited, Imports};
use super::evidence::ImportsAtDecision;
use crate::app::clock;
use crate::domain::award::Support;
use crate::domain::award::claim::{ClaimKey, ClaimPayments};
use crate::domain::event::{Event, EventBody, Seq};
use crate::domain::events_about;
use crate::domain::ids::{Uid, Urn};
use crate::domain::offer::Recipient;
use crate::domain::programme::replay::redecide::ReplayVerdict;
use crate::domain::programme::{EventText, ProgrammeState};

/// Data besides the state that is needed to decide requests again.
pub(super) struct Deciding {
    imports: Arc<Imports>,
    /// The data that the current events cite.
    cited: Cited,
    /// Schools that an approved referral made eligible.
    granted: BTreeSet<Urn>,
}

impl Deciding {
    pub(super) fn new(imports: Arc<Imports>) -> Self {
        Self { imports, cited: Cited::default(), granted: BTreeSet::new() }
    }

    /// Takes the data that the next page cites. The data of the previous page is kept only if a request continues.
    pub(super) fn take(&mut self, cited: Cited, is_settled: bool) {
        if is_settled {
            self.cited = cited;
        } else {
            self.cited.add(cited);
        }
    }

    /// Decides one request again, before its events are applied, and reports a decision that the rules forbid.
    pub(super) fn decide(&mut self, call: &[Event], state: &mut ProgrammeState, report: &mut VerifyReport) {
        let Some(first) = call.first() else { return };
        let Some(now) = clock::moment(first.recorded) else {
            report.differs(format!("event {}: it is recorded at a time that no calendar has", first.seq));
            return;
        };
        let then = ImportsAtDecision::of(&self.imports, call, first.recorded);
        state.trusts.clear();
        for uid in call.iter().flat_map(named_trusts) {
            state.trusts.extend(self.cited.trust(uid, &then).map(|answer| (uid, answer)));
        }
        for undone in call.iter().filter_map(|it| it.body.undoes()).filter_map(|seq| self.cited.events.get(&seq)) {
            state.movements.recall(undone);
        }
        for event in call.iter().filter_map(|it| erased(&it.body)).filter_map(|seq| self.cited.events.get(&seq)) {
            let text = EventText { offer: event.offer, was_recorded: event.text_hash.is_some(), is_erased: false };
            state.texts.entry(event.seq).or_insert(text);
        }
        let own_payments = self.add_payments_elsewhere(call, state);
        match state.redecide(call, now) {
            ReplayVerdict::Allowed => {}
            ReplayVerdict::ForbiddenByLaterRules(seq, why) => report.allowed_when_made(format!("event {seq}: {why}")),
            ReplayVerdict::Forbidden(seq, why) => report.differs(format!("event {seq}: {why}")),
        }
        state.claims.extend(own_payments);
        // An exception that an approved referral makes counts already for the offer that it makes in the same request.
        self.granted.extend(call.iter().flat_map(exceptional));
        for event in call.iter().filter(|it| !it.body.listed().is_empty()) {
            let Some(recipient) = recipient_of(event, state) else { continue };
            if let Some(wrong) = self.cited.wrong_schools((event, recipient), state, &self.granted, &then) {
                report.differs(format!("event {}: {wrong}", event.seq));
            }
        }
    }

    /// Forgets the movements that were recalled for a request, after its events were applied.
    pub(super) fn settled(call: &[Event], state: &mut ProgrammeState) {
        for award in call.iter().filter(|it| it.body.undoes().is_some()).filter_map(|it| it.body.award()) {
            state.movements.forget(award);
        }
    }

    /// Adds to the invoices of a request the earlier payments of other programmes. Returns the payments of this programme alone.
    fn add_payments_elsewhere(&self, call: &[Event], state: &mut ProgrammeState) -> Vec<(ClaimKey, ClaimPayments)> {
        let claims = call.iter().filter_map(|it| numbered_claim(it, state));
        let claims: Vec<(ClaimKey, i64)> = claims.collect();
        let mut own_payments = Vec::new();
        for (key, part) in claims {
            let Some(all) = self.cited.payments.get(&key) else { continue };
            let others = all.of_awards(|award| !state.awards.contains_key(&award));
            let own = state.claims.get(&key).cloned().unwrap_or_default();
            state.claims.insert(key.clone(), own.with_earlier(&others, part));
            own_payments.push((key, own));
        }
        own_payments
    }
}

/// The invoice that an event pays, or whose payment it restores, and the number of that payment.
fn numbered_claim(event: &Event, state: &ProgrammeState) -> Option<(ClaimKey, i64)> {
    match &event.body {
        EventBody::Drawn { invoice: Some(reference), claim: Some(claim), .. } => {
            Some(((claim.issuer_key, reference.clone()), claim.part))
        }
        EventBody::Undone { award, invoice: Some(paid), part: Some(part), .. } => {
            let invoices = &state.awards.get(award)?.invoices;
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

fn recipient_of(event: &Event, state: &ProgrammeState) -> Option<Recipient> {
    if let EventBody::Identified { recipient, .. } = &event.body {
        return Some(*recipient);
    }
    state.offers.get(&event.offer?).map(|it| it.recipient)
}
