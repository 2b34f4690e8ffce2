//! Decides a recorded call again: the same functions that decide commands, with the facts as they were, must make the events
//! that are on record. So no rule has a second copy.
//!
//! What a call cites of the files is taken from its events; the rest of [`ProgrammeState`] is the fold of what came before it. A call
//! recorded under rules 1 is decided under these, and then under rules 2: what only those forbid was allowed when it was made.

use std::collections::HashSet;

use uuid::Uuid;

use super::reconstruct::{ids_of, telling};
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

/// What stands against a recorded call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplayVerdict {
    /// Nothing.
    Allowed,
    /// A rule that the programme adopted later: the event, and why.
    AllowedWhenMade(Seq, String),
    /// A rule that held: the event, and why.
    Forbidden(Seq, String),
}

impl ProgrammeState {
    /// Decides a call again, whose events are next to be folded in; `now` is the moment it was recorded at. Trusts that it names
    /// have to be known.
    pub fn redecide(&mut self, call: &[Event], now: Now) -> ReplayVerdict {
        let Some(first) = telling(call) else { return ReplayVerdict::Allowed };
        if let Err((seq, why)) = self.stands(call, now) {
            return ReplayVerdict::Forbidden(seq, why);
        }
        if self.rules >= RulesVersion::V2 {
            return ReplayVerdict::Allowed;
        }
        let before = std::mem::replace(&mut self.rules, RulesVersion::V2);
        let later = match self.command_of(call) {
            Ok(Some(command)) => self.decided_again(&command, call, now).err(),
            Ok(None) | Err(_) => None,
        };
        self.rules = before;
        later.map_or(ReplayVerdict::Allowed, |why| ReplayVerdict::AllowedWhenMade(first.seq, why))
    }

    /// Whether the rules make these events.
    fn stands(&mut self, call: &[Event], now: Now) -> Result<(), (Seq, String)> {
        let first = telling(call).map_or(Seq(0), |it| it.seq);
        let said = call.iter().flat_map(|it| days_of(it).map(|day| (it.seq, day)));
        for (seq, day) in said {
            time::happened(day, now.today).map_err(|future| (seq, future.to_string()))?;
        }
        if let Some(event) = call.iter().find(|it| it.recorded != now.at) {
            return Err((event.seq, "it is recorded at another moment than its call".to_owned()));
        }
        if let Some(event) = call.iter().find(|it| self.has_made(it)) {
            return Err((event.seq, "what it makes is there already".to_owned()));
        }
        if let Some(event) = second_offer(call) {
            return Err((event.seq, "its recipient has another offer of the same call".to_owned()));
        }
        let command = self.command_of(call).map_err(|why| (first, why))?;
        let drafts = match command {
            // What the program records by itself is a call of its own.
            None => call.iter().take(1).map(|it| NewEvent::of_book(now.today, it.body.clone())).collect(),
            Some(command) => {
                self.cite(&command, call);
                let decided = self.decided_again(&command, call, now).map_err(|why| (first, why))?;
                made(decided, call).map_err(|why| (first, why))?
            }
        };
        for (event, draft) in call.iter().zip(&drafts) {
            if let Some(why) = differs(draft, event, self.rules) {
                return Err((event.seq, why));
            }
        }
        if drafts.len() == call.len() {
            return Ok(());
        }
        let last = call.get(drafts.len()).or_else(|| call.last()).map_or(first, |it| it.seq);
        Err((last, format!("the rules make {} events of this call, it has {}", drafts.len(), call.len())))
    }

    /// Whether what an event makes was made before, under the same id.
    fn has_made(&self, event: &Event) -> bool {
        match event.made() {
            Some(MadeEntity::Offer(offer)) => self.offers.contains_key(&offer),
            Some(MadeEntity::Award(award)) => self.awards.contains_key(&award),
            Some(MadeEntity::Approval(approval)) => self.approvals.contains_key(&approval),
            Some(MadeEntity::Fund(fund)) => self.ledger.get(fund).is_some(),
            Some(MadeEntity::Referral(referral)) => self.referrals.contains_key(&referral),
            None => false,
        }
    }

    /// What a command comes to that was called as these events say.
    fn decided_again(&self, command: &Command, call: &[Event], now: Now) -> Result<Decision, String> {
        let first = call.first().ok_or("a call of no event")?;
        let mut made = ids_of(call);
        let (reach, mut ids) = (Reach::everything(), || made.next().unwrap_or_else(Uuid::nil));
        let mut context = Context {
            actor: &first.actor,
            subject: call.iter().find_map(|it| it.body.token_subject()),
            reach: &reach,
            request: first.request,
            now,
            ids: &mut ids,
        };
        self.decide(command, &mut context).map_err(|fault| match fault {
            CommandError::Refused(refusal) => format!("{}: {}", refusal.reason.code(), refusal.message),
            other => other.to_string(),
        })
    }
}

/// The days on which an event says that something happened.
fn days_of(event: &Event) -> impl Iterator<Item = Date> {
    let corrected = if let EventBody::DateCorrected { on, .. } = &event.body { Some(*on) } else { None };
    std::iter::once(event.effective).chain(corrected)
}

/// The event that makes a recipient a second offer: a call to identify names each recipient once.
fn second_offer(call: &[Event]) -> Option<&Event> {
    let mut recipients = HashSet::new();
    call.iter().find(|it| {
        if let EventBody::Identified { recipient, .. } = &it.body { !recipients.insert(*recipient) } else { false }
    })
}

/// The drafts to hold against a call. Within which regions an identify was made is not on record, nor which referrals it
/// therefore left alone.
fn made(decided: Decision, call: &[Event]) -> Result<Vec<NewEvent>, String> {
    let Decision { mut drafts, answer, .. } = decided;
    if let CommandAnswer::ApprovalOpened(refusal) = &answer
        && !call.iter().any(|it| matches!(it.body, EventBody::ApprovalOpened { .. }))
    {
        let what = call.first().map_or("", |it| it.body.kind());
        return Err(format!("{}: {what} takes two people, and one made it alone", refusal.reason.code()));
    }
    drafts.retain(|it| {
        !matches!(it.body, EventBody::ReferralConfirmed { .. }) || call.iter().any(|event| event.body == it.body)
    });
    Ok(drafts)
}

/// What of an event the rules would make otherwise.
fn differs(draft: &NewEvent, event: &Event, rules: RulesVersion) -> Option<String> {
    let body = if rules < RulesVersion::V2 { as_rules_1(&draft.body, &event.body) } else { draft.body.clone() };
    let body = numbered(body, &event.body);
    if body != event.body {
        let (is, makes) = (shown(&event.body), shown(&body));
        return Some(format!("it says {is}, the rules make {makes}"));
    }
    if draft.offer != event.offer {
        let named = |it: Option<OfferId>| it.map_or_else(|| "no offer".to_owned(), |it| format!("offer {it}"));
        return Some(format!("it is about {}, the rules make it about {}", named(event.offer), named(draft.offer)));
    }
    if draft.effective != event.effective {
        return Some(format!("it is dated {}, the rules date it {}", event.effective, draft.effective));
    }
    if draft.reason_code != event.reason_code.as_deref() {
        let (is, makes) = (event.reason_code.as_deref().unwrap_or("none"), draft.reason_code.unwrap_or("none"));
        return Some(format!("its reason code is {is}, the rules make {makes}"));
    }
    if draft.text.is_some() != event.text_hash.is_some() {
        let is = if event.text_hash.is_some() { "it has a text, and takes none" } else { "it has no text" };
        return Some(is.to_owned());
    }
    let moved: Vec<Posting> = event.entries.iter().map(posting).collect();
    if draft.postings != moved {
        return Some(format!("its entries {}, the rules {}", phrase(&moved), phrase(&draft.postings)));
    }
    let period = Period::of(event.effective);
    let wrong = event.entries.iter().find(|it| it.period != period)?;
    Some(format!("entry {} counts in {}, by its date in {period}", wrong.seq.0, wrong.period))
}

/// Postings in words: `allocate 4000000 in account ...`, in the unit of the account; `move nothing`.
fn phrase(postings: &[Posting]) -> String {
    if postings.is_empty() {
        return "move nothing".to_owned();
    }
    let all = postings.iter().map(|it| format!("{} {} in account {}", it.verb, it.amount, it.account));
    all.collect::<Vec<_>>().join(", ")
}

const fn posting(entry: &LedgerEntry) -> Posting {
    Posting { account: entry.account, verb: entry.verb, amount: entry.amount }
}

fn shown(body: &EventBody) -> String {
    serde_json::to_string(body).unwrap_or_else(|_| body.kind().to_owned())
}

/// A body with the number of its payment as recorded, where that is later: other programmes may have paid the same invoice
/// in between, and what they took back has moved on since.
fn numbered(mut made: EventBody, recorded: &EventBody) -> EventBody {
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

/// A body as rules 1 recorded it, where the event lacks what rules 2 record beside it.
fn as_rules_1(made: &EventBody, recorded: &EventBody) -> EventBody {
    let mut body = made.clone();
    if let (
        EventBody::ApprovalOpened { statement, expires_at, .. },
        EventBody::ApprovalOpened { statement: stated, expires_at: expires, .. },
    ) = (&mut body, recorded)
    {
        *statement = statement.take().filter(|_| stated.is_some());
        *expires_at = expires_at.filter(|_| expires.is_some());
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
