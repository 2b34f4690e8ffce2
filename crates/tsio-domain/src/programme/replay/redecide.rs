//! Decides a recorded request again. The functions that decide commands must make the recorded events from the state at the
//! time of the request. So no rule has a second implementation.
//!
//! The data from the files is restored from the request's events, which cite this data. The rest of [`ProgrammeState`] comes
//! from applying all earlier events. A request that was recorded under rules 1 is decided under rules 1, and then under rules
//! 2. If only rules 2 forbid the request, it was allowed when it was made.

use std::collections::HashSet;

use uuid::Uuid;

use super::reconstruct::{ids_of, main_event};
use crate::Date;
use crate::event::{Event, EventBody, MadeEntity, NewEvent, Seq};
use crate::ids::OfferId;
use crate::ledger::{LedgerEntry, Posting};
use crate::period::Period;
use crate::programme::ProgrammeState;
use crate::programme::command::Command;
use crate::programme::context::Context;
use crate::programme::decision::{CommandAnswer, Decision};
use crate::programme::error::CommandError;
use crate::role::Reach;
use crate::rules::RulesVersion;
use crate::time::{self, Now};

/// The result of deciding a recorded request again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayVerdict {
    /// The rules allow the request.
    Allowed,
    /// Only a rule that the programme adopted later forbids the request: the event, and the reason.
    ForbiddenByLaterRules(Seq, String),
    /// A rule that applied at the time forbids the request, or the rules make other events: the event, and the reason.
    Forbidden(Seq, String),
}

impl ProgrammeState {
    /// Decides a recorded request again, before its events are applied. Returns whether the rules allow the request. `now` is
    /// the time at which the request was recorded. The trusts that the request names must be in the state. The data that is
    /// restored from the events stays in the state.
    pub fn redecide(&mut self, request: &[Event], now: Now) -> ReplayVerdict {
        let Some(main) = main_event(request) else { return ReplayVerdict::Allowed };
        if let Err((seq, why)) = self.check_request(request, now) {
            return ReplayVerdict::Forbidden(seq, why);
        }
        if self.rules >= RulesVersion::V2 {
            return ReplayVerdict::Allowed;
        }
        let rules = std::mem::replace(&mut self.rules, RulesVersion::V2);
        let refusal = match self.reconstruct_command(request) {
            Ok(Some(command)) => self.decide_recorded(&command, request, now).err(),
            Ok(None) | Err(_) => None,
        };
        self.rules = rules;
        refusal.map_or(ReplayVerdict::Allowed, |why| ReplayVerdict::ForbiddenByLaterRules(main.seq, why))
    }

    /// Checks that the rules make exactly these events. The error contains an event that the rules do not make, and the reason.
    fn check_request(&mut self, request: &[Event], now: Now) -> Result<(), (Seq, String)> {
        let main_seq = main_event(request).map_or(Seq(0), |it| it.seq);
        let days = request.iter().flat_map(|it| days_of(it).map(|day| (it.seq, day)));
        for (seq, day) in days {
            time::happened(day, now.today).map_err(|future| (seq, future.to_string()))?;
        }
        if let Some(event) = request.iter().find(|it| it.recorded != now.at) {
            return Err((event.seq, "it is recorded at another time than the other events of its request".to_owned()));
        }
        if let Some(event) = request.iter().find(|it| self.already_exists(it)) {
            return Err((event.seq, "the item that it creates exists already".to_owned()));
        }
        if let Some(event) = second_offer(request) {
            return Err((event.seq, "its recipient has another offer of the same request".to_owned()));
        }
        let command = self.reconstruct_command(request).map_err(|why| (main_seq, why))?;
        let drafts = match command {
            // An event that the program records by itself is the only event of its request.
            None => request.iter().take(1).map(|it| NewEvent::without_offer(now.today, it.body.clone())).collect(),
            Some(command) => {
                self.restore_cited_data(&command, request);
                let decision = self.decide_recorded(&command, request, now).map_err(|why| (main_seq, why))?;
                expected_events(decision, request).map_err(|why| (main_seq, why))?
            }
        };
        for (event, draft) in request.iter().zip(&drafts) {
            if let Some(why) = difference(draft, event, self.rules) {
                return Err((event.seq, why));
            }
        }
        if drafts.len() == request.len() {
            return Ok(());
        }
        let unmatched = request.get(drafts.len()).or_else(|| request.last()).map_or(main_seq, |it| it.seq);
        Err((unmatched, format!("the rules make {} events of this call, it has {}", drafts.len(), request.len())))
    }

    /// Whether the entity that an event creates already exists, under the same id.
    fn already_exists(&self, event: &Event) -> bool {
        match event.made() {
            Some(MadeEntity::Offer(offer)) => self.offers.contains_key(&offer),
            Some(MadeEntity::Award(award)) => self.awards.contains_key(&award),
            Some(MadeEntity::Approval(approval)) => self.approvals.contains_key(&approval),
            Some(MadeEntity::Fund(fund)) => self.ledger.get(fund).is_some(),
            Some(MadeEntity::Referral(referral)) => self.referrals.contains_key(&referral),
            None => false,
        }
    }

    /// Decides the command of a recorded request, with the actor, the ids and the request id of its events. The error is the
    /// text of the refusal.
    fn decide_recorded(&self, command: &Command, request: &[Event], now: Now) -> Result<Decision, String> {
        let first = request.first().ok_or("a call of no event")?;
        let mut recorded_ids = ids_of(request);
        let (reach, mut ids) = (Reach::everything(), || recorded_ids.next().unwrap_or_else(Uuid::nil));
        let mut context = Context {
            actor: &first.actor,
            subject: request.iter().find_map(|it| it.body.token_subject()),
            reach: &reach,
            request: first.request,
            now,
            ids: &mut ids,
        };
        self.decide(command, &mut context).map_err(|error| match error {
            CommandError::Refused(refusal) => format!("{}: {}", refusal.reason.code(), refusal.message),
            other => other.to_string(),
        })
    }
}

/// The days on which something happened according to an event.
fn days_of(event: &Event) -> impl Iterator<Item = Date> {
    let corrected = if let EventBody::DateCorrected { on, .. } = &event.body { Some(*on) } else { None };
    std::iter::once(event.effective).chain(corrected)
}

/// The first event that makes a second offer for a recipient. A request to identify makes at most one offer for each recipient.
fn second_offer(request: &[Event]) -> Option<&Event> {
    let mut recipients = HashSet::new();
    request.iter().find(|it| {
        if let EventBody::Identified { recipient, .. } = &it.body { !recipients.insert(*recipient) } else { false }
    })
}

/// The events of the decision that must be in the record. The record does not say which regions the caller of identify reached,
/// so the confirmation of a referral is expected only if the request has it.
///
/// # Errors
/// A text if the decision needs a second person and the recorded request did not open an approval.
fn expected_events(decision: Decision, request: &[Event]) -> Result<Vec<NewEvent>, String> {
    let Decision { mut events, answer, .. } = decision;
    if let CommandAnswer::ApprovalOpened(refusal) = &answer
        && !request.iter().any(|it| matches!(it.body, EventBody::ApprovalOpened { .. }))
    {
        let kind = request.first().map_or("", |it| it.body.kind());
        return Err(format!("{}: {kind} takes two people, and one made it alone", refusal.reason.code()));
    }
    events.retain(|it| {
        !matches!(it.body, EventBody::ReferralConfirmed { .. }) || request.iter().any(|event| event.body == it.body)
    });
    Ok(events)
}

/// The difference between a recorded event and the event that the rules make, as a text. None if the two are equal.
fn difference(draft: &NewEvent, event: &Event, rules: RulesVersion) -> Option<String> {
    let body =
        if rules < RulesVersion::V2 { without_rules_2_fields(&draft.body, &event.body) } else { draft.body.clone() };
    let body = with_recorded_payment_number(body, &event.body);
    if body != event.body {
        let (recorded, expected) = (as_json(&event.body), as_json(&body));
        return Some(format!("it says {recorded}, the rules make {expected}"));
    }
    if draft.offer != event.offer {
        let offer_phrase = |it: Option<OfferId>| it.map_or_else(|| "no offer".to_owned(), |it| format!("offer {it}"));
        return Some(format!(
            "it is about {}, the rules make it about {}",
            offer_phrase(event.offer),
            offer_phrase(draft.offer)
        ));
    }
    if draft.effective != event.effective {
        return Some(format!("it is dated {}, the rules date it {}", event.effective, draft.effective));
    }
    if draft.reason_code != event.reason_code.as_deref() {
        let (recorded, expected) =
            (event.reason_code.as_deref().unwrap_or("none"), draft.reason_code.unwrap_or("none"));
        return Some(format!("its reason code is {recorded}, the rules make {expected}"));
    }
    if draft.text.is_some() != event.text_hash.is_some() {
        let difference = if event.text_hash.is_some() { "it has a text, and takes none" } else { "it has no text" };
        return Some(difference.to_owned());
    }
    let recorded: Vec<Posting> = event.entries.iter().map(posting).collect();
    if draft.postings != recorded {
        return Some(format!(
            "its entries {}, the rules {}",
            postings_phrase(&recorded),
            postings_phrase(&draft.postings)
        ));
    }
    let period = Period::of(event.effective);
    let misdated = event.entries.iter().find(|it| it.period != period)?;
    Some(format!("entry {} counts in {}, by its date in {period}", misdated.seq.0, misdated.period))
}

/// Postings in words: `allocate 4000000 in account ...`, in the unit of the account; `move nothing`.
fn postings_phrase(postings: &[Posting]) -> String {
    if postings.is_empty() {
        return "move nothing".to_owned();
    }
    let all = postings.iter().map(|it| format!("{} {} in account {}", it.verb, it.amount, it.account));
    all.collect::<Vec<_>>().join(", ")
}

/// The posting that an entry of the ledger records.
const fn posting(entry: &LedgerEntry) -> Posting {
    Posting { account: entry.account, verb: entry.verb, amount: entry.amount }
}

/// A body as JSON, for a message.
fn as_json(body: &EventBody) -> String {
    serde_json::to_string(body).unwrap_or_else(|_| body.kind().to_owned())
}

/// The body with the recorded number of its payment, if that number is higher. Other programmes may have paid the same invoice, and
/// their payments are not in this state.
fn with_recorded_payment_number(mut made: EventBody, recorded: &EventBody) -> EventBody {
    if let (EventBody::Drawn { claim: Some(made), .. }, EventBody::Drawn { claim: Some(recorded), .. }) =
        (&mut made, recorded)
    {
        made.part = made.part.max(recorded.part);
    }
    if let (EventBody::Undone { part: Some(made), .. }, EventBody::Undone { part: Some(recorded), .. }) =
        (&mut made, recorded)
    {
        *made = (*made).max(*recorded);
    }
    made
}

/// The body without the fields that only rules 2 record, if the recorded event lacks them.
fn without_rules_2_fields(made: &EventBody, recorded: &EventBody) -> EventBody {
    let mut body = made.clone();
    if let (
        EventBody::ApprovalOpened { statement, expires_at, .. },
        EventBody::ApprovalOpened { statement: recorded_statement, expires_at: recorded_expiry, .. },
    ) = (&mut body, recorded)
    {
        *statement = statement.take().filter(|_| recorded_statement.is_some());
        *expires_at = expires_at.filter(|_| recorded_expiry.is_some());
    }
    if let (EventBody::Drawn { claim, .. }, EventBody::Drawn { claim: recorded, .. }) = (&mut body, recorded) {
        *claim = claim.take().filter(|_| recorded.is_some());
    }
    if let (EventBody::ReferralDiscussed { held_with, .. }, EventBody::ReferralDiscussed { held_with: recorded, .. }) =
        (&mut body, recorded)
    {
        *held_with = held_with.filter(|_| recorded.is_some());
    }
    body
}
