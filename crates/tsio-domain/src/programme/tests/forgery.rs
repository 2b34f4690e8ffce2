//! Tests replay with two hundred random forgeries, the same in each run. Each forgery changes one event or request of a record.
//! Then the whole record is replayed. Replay must name the event and the rule that forbids it, unless the rules allow the
//! forged record.

use std::collections::BTreeMap;

use super::script::{Script, day, forbidden_events, uid, urn};
use crate::Date;
use crate::award::Support;
use crate::event::{Event, EventBody, Seq};
use crate::ids::{Actor, ApprovalId};
use crate::money::Pence;
use crate::offer::{Acceptor, Milestone, Outcome, Party, Recipient};
use crate::period::Period;
use crate::programme::replay::redecide::ReplayVerdict;
use crate::rules::RulesVersion;
use crate::school::HandPlacement;
use crate::time::Now;

/// The expected verdict on a forgery: `Ok` with the rule that replay must name, or `Err` with the reason why the rules allow
/// the forgery.
type Expected = Result<&'static str, &'static str>;

/// A record with every kind of event that [`FORGERIES`] change. [`super::money_script`] explains the words.
fn record() -> Script {
    let script = Script::funded();
    let script = script.after("S", "put:credit:6000000@2021-09-05!fin yes:app take:credit:1000@2021-11-20!fin");
    let script = script.after("S", "move:credit:nlg:1000@2021-11-20!fin");
    let script =
        script.after("S", "credit:300000@6 nle:4@6 credit:100000/3000@7 start@8 draw.1:50000@9 draw.1:20000@10");
    let script = script.after("S", "release.1:10000@11 refund.1:5000@12 draw.2:1@12 assign:cy note body@13 school@14");
    let script = script.after("T", "credit:200000/3000@6 start@8 draw.1:100000@9");
    let script =
        script.after("M", "npqel:900000@6 nlg:100000@6 nle:4@6 start@7 draw.1:300000/INV-1@8 draw.1:200000/INV-2@9");
    let script = script.after("M", "draw.1:100000/INV-3@10 refund.1:50000/INV-3@11 draw.3:1@9 undo school@9/100003");
    script.after("D", "close:withdrawn@20 ask:ada give:ben note close:superseded@22 ask:ada deny:ben")
}

/// Changes the date of an event and of its entries.
fn redate(event: &mut Event, on: Date) {
    event.effective = on;
    for entry in &mut event.entries {
        entry.period = Period::of(on);
    }
}

/// Changes the amount of an event that moves an amount.
fn set_amount(event: &mut Event, to: i64) {
    match &mut event.body {
        EventBody::Awarded { amount, .. } | EventBody::Drawn { amount, .. } | EventBody::Released { amount, .. } => {
            let rate = event.entries.last().map_or(1, |it| it.amount / *amount);
            *amount = to;
            let entry_count = event.entries.len();
            for (index, entry) in event.entries.iter_mut().enumerate() {
                let is_allocated = entry.verb == crate::ledger::EntryKind::Allocate;
                if !is_allocated {
                    entry.amount = if index + 1 == entry_count { to * rate } else { to };
                }
            }
        }
        EventBody::FundAllocated { amount, .. } | EventBody::FundWithdrawn { amount, .. } => {
            *amount = Pence(to);
            event.entries.iter_mut().for_each(|it| it.amount = to);
        }
        _ => unreachable!("{:?} moves no amount", event.body),
    }
}

/// The indexes of all events of the request that made the event at `index`.
fn events_of_request(events: &[Event], index: usize) -> Vec<usize> {
    let is_of_request = |it: &Event| (&it.actor, it.request) == (&events[index].actor, events[index].request);
    (0..events.len()).filter(|n| is_of_request(&events[*n])).collect()
}

/// A named forgery of the event at an index, with a random number. The function returns none if the forgery does not apply to
/// the event.
type Forgery = (&'static str, fn(&mut [Event], usize, u32) -> Option<Expected>);

#[rustfmt::skip]
const FORGERIES: &[Forgery] = &[
    ("the approver is the requester", |events, index, _| {
        let EventBody::ApprovalGiven { approval, .. } = events[index].body else { return None };
        let opens = |it: &&Event| matches!(it.body, EventBody::ApprovalOpened { approval: opened, .. } if opened == approval);
        let requester: Actor = events.iter().find(opens)?.actor.clone();
        for n in events_of_request(events, index) {
            events[n].actor = requester.clone();
        }
        Some(Ok("SELF_APPROVAL"))
    }),
    ("the approver is another person", |events, index, n| {
        let EventBody::ApprovalGiven { .. } = events[index].body else { return None };
        for other in events_of_request(events, index) {
            events[other].actor = format!("approver-{n}").parse().unwrap();
        }
        Some(Err("a third person differs from the requester"))
    }),
    ("another approval is given", |events, index, n| {
        let EventBody::ApprovalGiven { approval, .. } = &mut events[index].body else { return None };
        *approval = ApprovalId(uuid::Uuid::from_u128(u128::from(n) + 1_000_000));
        Some(Ok("does not exist"))
    }),
    ("the award is of another year", |events, index, n| {
        if !matches!(events[index].body, EventBody::Awarded { .. }) { return None }
        for other in events_of_request(events, index) {
            redate(&mut events[other], day("2019-11-01") - chrono::Days::new(u64::from(n % 300)));
        }
        Some(Ok("OUTSIDE_WINDOW"))
    }),
    ("the award is made before the acceptance", |events, index, n| {
        if !matches!(events[index].body, EventBody::Awarded { .. }) { return None }
        redate(&mut events[index], day("2021-10-04") - chrono::Days::new(u64::from(n % 20)));
        Some(Ok("DATE_ORDER"))
    }),
    ("the award is more than its cap", |events, index, n| {
        if !matches!(events[index].body, EventBody::Awarded { cap: Some(_), .. }) { return None }
        set_amount(&mut events[index], 1_000_001 + i64::from(n));
        Some(Ok("CAP_EXCEEDED"))
    }),
    ("the partner is in no register", |events, index, n| {
        let EventBody::Awarded { support: Support::Credit { partner }, .. } = &mut events[index].body else { return None };
        *partner = uid(900_000 + n % 90_000);
        Some(Ok("PARTNER_NOT_SUITABLE"))
    }),
    ("the partner is another open trust", |events, index, _| {
        let EventBody::Awarded { support: Support::Credit { partner }, .. } = &mut events[index].body else { return None };
        *partner = if partner.get() == 4000 { uid(3000) } else { uid(4000) };
        Some(Err("trusts 3000 and 4000 are open multi-academy trusts, and no recipient of credit here is in one of them"))
    }),
    ("the partner is closed or no multi-academy trust", |events, index, n| {
        let EventBody::Awarded { support: Support::Credit { partner }, .. } = &mut events[index].body else { return None };
        *partner = uid(4001 + n % 2);
        Some(Ok("PARTNER_NOT_SUITABLE"))
    }),
    ("the provider is not accredited", |events, index, n| {
        let EventBody::Awarded { support: Support::Npqel { provider, .. }, .. } = &mut events[index].body else { return None };
        *provider = format!("Provider {n}");
        Some(Ok("PROVIDER_NOT_ACCREDITED"))
    }),
    ("the invoice was paid before", |events, index, _| {
        let paid = |it: &Event| match &it.body {
            EventBody::Drawn { invoice: Some(invoice), claim: Some(claim), .. } => Some((invoice.clone(), claim.printed.clone())),
            _ => None,
        };
        paid(&events[index])?;
        let (reference, printed) = events[..index].iter().find_map(paid)?;
        let EventBody::Drawn { invoice, claim: Some(claim), .. } = &mut events[index].body else { return None };
        (*invoice, claim.printed, claim.part) = (Some(reference), printed, 2);
        Some(Ok("INVOICE_PAID"))
    }),
    ("the invoice is printed as another", |events, index, n| {
        let EventBody::Drawn { claim: Some(claim), .. } = &mut events[index].body else { return None };
        claim.printed = format!("INV-9{n}");
        Some(Ok("the invoice printed"))
    }),
    ("fees are paid without an invoice", |events, index, _| {
        let EventBody::Drawn { invoice, claim, .. } = &mut events[index].body else { return None };
        invoice.take()?;
        *claim = None;
        Some(Ok("INVOICE_MISSING"))
    }),
    ("more is drawn than was awarded", |events, index, n| {
        if !matches!(events[index].body, EventBody::Drawn { .. }) { return None }
        set_amount(&mut events[index], 1_000_001 + i64::from(n));
        Some(Ok("AWARD_EXCEEDED"))
    }),
    ("it is drawn before delivery started", |events, index, _| {
        if !matches!(events[index].body, EventBody::Drawn { .. }) { return None }
        redate(&mut events[index], day("6"));
        Some(Ok("DATE_ORDER"))
    }),
    ("one person moves more than the threshold", |events, index, n| {
        let is_alone = events_of_request(events, index).len() == 1;
        if !is_alone || !matches!(events[index].body, EventBody::FundAllocated { .. }) { return None }
        set_amount(&mut events[index], 94_000_000 + i64::from(n));
        Some(Ok("APPROVAL_REQUIRED"))
    }),
    ("more is moved than was approved", |events, index, n| {
        let is_alone = events_of_request(events, index).len() == 1;
        if is_alone || !matches!(events[index].body, EventBody::FundAllocated { .. }) { return None }
        set_amount(&mut events[index], 94_000_000 + i64::from(n));
        Some(Ok("the rules make"))
    }),
    ("the school was contacted before the body", |events, index, n| {
        if !matches!(events[index].body, EventBody::Contacted { party: Party::School, .. }) { return None }
        redate(&mut events[index], day("3") - chrono::Days::new(u64::from(n % 20)));
        Some(Ok("CONTACT_MISSING"))
    }),
    ("a school of no offer was contacted", |events, index, n| {
        let EventBody::Contacted { party: Party::School, urn: school } = &mut events[index].body else { return None };
        *school = Some(urn(110_000 + n % 9_000));
        Some(Ok("SCHOOL_NOT_ON_OFFER"))
    }),
    ("the body was contacted after the school", |events, index, _| {
        if !matches!(events[index].body, EventBody::Contacted { party: Party::ResponsibleBody, .. }) { return None }
        let school = |it: &Event| it.offer == events[index].offer && matches!(it.body, EventBody::Contacted { party: Party::School, .. });
        if !events[index..].iter().any(school) || events[index].effective != day("4") || events[index].offer == Some(Script::offer_id_of("M")) { return None }
        redate(&mut events[index], day("7"));
        Some(Ok("CONTACT_MISSING"))
    }),
    ("the accepting body was not contacted", |events, index, _| {
        if !matches!(events[index].body, EventBody::Accepted { .. }) { return None }
        redate(&mut events[index], day("2"));
        Some(Ok("CONTACT_MISSING"))
    }),
    ("a trust's offer is accepted by a school", |events, index, _| {
        let is_trusts = events[index].offer == Some(Script::offer_id_of("M"));
        let EventBody::Accepted { by } = &mut events[index].body else { return None };
        *by = Acceptor::School;
        is_trusts.then_some(Ok("ACCEPTOR_NOT_ALLOWED"))
    }),
    ("a recipient has two offers", |events, index, _| {
        let first = events.iter().find_map(|it| if let EventBody::Identified { recipient, .. } = &it.body { Some(*recipient) } else { None })?;
        let EventBody::Identified { recipient, .. } = &mut events[index].body else { return None };
        if *recipient == first { return None }
        *recipient = first;
        Some(Ok("another offer of the same request"))
    }),
    ("the offer is pinned to other terms", |events, index, n| {
        let EventBody::Identified { terms, .. } = &mut events[index].body else { return None };
        terms.0[0] = terms.0[0].wrapping_add(1 + (n % 200) as u8);
        Some(Ok("the rules make"))
    }),
    ("the offer lapsed before the year was over", |events, index, _| {
        let EventBody::Closed { outcome, .. } = &mut events[index].body else { return None };
        *outcome = Outcome::Lapsed;
        Some(Ok("PROGRAMME_NOT_ENDED"))
    }),
    ("the offer was closed with another outcome", |events, index, _| {
        let EventBody::Closed { outcome, .. } = &mut events[index].body else { return None };
        *outcome = if *outcome == Outcome::Withdrawn { Outcome::Ineligible } else { Outcome::Withdrawn };
        Some(Err("both outcomes are open to an offer in any open state"))
    }),
    ("nobody gave the approval that reopened it", |events, index, _| {
        let EventBody::ApprovalGiven { .. } = events[index].body else { return None };
        let next = events_of_request(events, index).into_iter().find(|n| *n != index)?;
        events[index].body = EventBody::Noted {};
        events[next].request = crate::ids::RequestId(uuid::Uuid::from_u128(7_000_000));
        let expected = if matches!(events[next].body, EventBody::Reopened { .. }) { "no call does this" } else { "APPROVAL_REQUIRED" };
        Some(Ok(expected))
    }),
    ("the reason is not on record", |events, index, _| {
        if !matches!(events[index].body, EventBody::Noted {} | EventBody::Refunded { .. } | EventBody::ApprovalDenied { .. } | EventBody::Awarded { .. }) { return None }
        events[index].text_hash = None;
        Some(Ok("it has no text"))
    }),
    ("it lies in the future", |events, index, n| {
        if matches!(events[index].body, EventBody::Identified { .. }) { return None }
        redate(&mut events[index], day("2021-12-02") + chrono::Days::new(u64::from(n % 300)));
        Some(Ok("lies in the future"))
    }),
    ("somebody else did it", |events, index, n| {
        if !matches!(events[index].body, EventBody::Noted {} | EventBody::Drawn { .. } | EventBody::Awarded { .. } | EventBody::Contacted { .. }) { return None }
        events[index].actor = format!("officer-{n}").parse().unwrap();
        Some(Err("no rule asks who does this"))
    }),
    ("it is assigned to somebody else", |events, index, n| {
        let EventBody::Assigned { to } = &mut events[index].body else { return None };
        *to = format!("partner-{n}").parse().ok();
        Some(Err("an offer may be assigned to anybody"))
    }),
];

/// The test tries at least this number of forgeries.
const FORGERY_COUNT: usize = 200;

/// The largest distance, in events, from the forged event to a later event that replay names.
const MAX_DISTANCE: i64 = 40;

#[test]
fn two_hundred_forgeries_are_named_or_allowed() {
    let script = record();
    assert_eq!(script.forbidden(), [], "replay allows the record before it is forged");
    // Some forgeries need that `M` is the only offer to a trust.
    assert!(
        script.events.iter().all(
            |it| !matches!(it.body, EventBody::Identified { recipient: Recipient::Mat(_), .. }) || it.seq <= Seq(4)
        )
    );
    let mut random = fastrand::Rng::with_seed(14);
    let mut tried: BTreeMap<&str, usize> = BTreeMap::new();
    while tried.values().sum::<usize>() < FORGERY_COUNT || tried.len() < FORGERIES.len() {
        let (index, n) = (random.usize(..script.events.len()), random.u32(..1_000));
        let (name, forge) = FORGERIES[random.usize(..FORGERIES.len())];
        let mut events = script.events.clone();
        let Some(expected) = forge(&mut events, index, n) else { continue };
        let found = forbidden_events(&events, &script.state, script.today);
        let seq = events[index].seq;
        match expected {
            Ok(rule) => {
                let names = |(event, why): &(Seq, String)| {
                    (seq.0..=seq.0 + MAX_DISTANCE).contains(&event.0) && why.contains(rule)
                };
                assert!(found.iter().any(names), "{name}, event {seq}: {rule} is not named in {found:?}");
            }
            Err(reason) => assert_eq!(found, [], "{name}, event {seq}: {reason}"),
        }
        *tried.entry(name).or_default() += 1;
    }
}

/// An event that is a request of its own. It is about no offer, and has no text and no entries.
fn event_without_offer(body: EventBody) -> Event {
    let mut event = record().events.remove(0);
    (event.offer, event.text_hash, event.body) = (None, None, body);
    event.entries.clear();
    event
}

/// An event that the program records by itself is the only event of its request. A forged event must not be added to that request.
#[test]
fn the_adoption_of_rules_is_the_only_event_of_its_request() {
    let rules = EventBody::RulesAdopted { version: RulesVersion::V2, absent_texts: Vec::new(), terms: None };
    let placed = EventBody::Placed { urn: urn(100_009), placement: HandPlacement::Maintained, register_seq: None };
    let (adopted, mut added) = (event_without_offer(rules), event_without_offer(placed));
    added.seq = Seq(adopted.seq.0 + 1);
    let now = Now { at: adopted.recorded, today: adopted.effective };
    assert_eq!(Script::empty().state.redecide(std::slice::from_ref(&adopted), now), ReplayVerdict::Allowed);
    let verdict = Script::empty().state.redecide(&[adopted, added.clone()], now);
    assert!(matches!(&verdict, ReplayVerdict::Forbidden(seq, _) if *seq == added.seq), "{verdict:?}");
}

#[test]
fn a_date_is_not_corrected_to_a_future_day() {
    let on = day("2031-01-01");
    let corrected = event_without_offer(EventBody::DateCorrected { milestone: Milestone::Accepted, on });
    let now = Now { at: corrected.recorded, today: corrected.effective };
    let verdict = Script::empty().state.redecide(&[corrected], now);
    assert!(matches!(&verdict, ReplayVerdict::Forbidden(_, why) if why.contains("lies in the future")), "{verdict:?}");
}
