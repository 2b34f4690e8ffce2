//! Property test of offers: random commands on a small programme, with all invariants checked after each command.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Just, Strategy, prop};
use proptest::prop_oneof;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::script::{Script, mat, school, standalone, urn};
use crate::Date;
use crate::event::{Event, EventBody};
use crate::ids::{OfferId, Urn};
use crate::offer::lifecycle::{OfferAction, allowed_in, leads_to};
use crate::offer::{Acceptor, Offer, Outcome, Party, Recipient, State};
use crate::programme::CommandError;
use crate::programme::candidates::{Candidate, CandidateSchool};
use crate::region::Region;

/// One step: a word on an offer, or identify when the recipients of this variant of [`eligible_recipients`] are eligible.
#[derive(Debug, Clone)]
enum Step {
    Word(&'static str, String),
    Identify(usize),
}

/// Four variants of the eligible recipients, from 0 to 3. Between the variants schools become eligible, move to another trust,
/// or are replaced by a successor.
fn eligible_recipients(variant: usize) -> Vec<Candidate> {
    let at = |n| school(n, Region::SouthWest);
    let successor = CandidateSchool { predecessors: vec![urn(100_001)], ..at(100_007) };
    match variant {
        0 => vec![standalone(100_001), standalone(100_002), mat(3000, vec![at(100_003), at(100_004), at(100_006)])],
        1 => vec![mat(3000, vec![at(100_001), at(100_003), at(100_004)]), standalone(100_005)],
        2 => vec![mat(4000, vec![at(100_001), at(100_003)]), mat(3000, vec![at(100_004)])],
        _ => vec![mat(4000, vec![successor, at(100_004)]), standalone(100_003), standalone(100_001)],
    }
}

fn step() -> impl Strategy<Value = Step> {
    let on = |verb: &'static str| (1..=9_u32).prop_map(move |day| format!("{verb}@{day}"));
    let closing = prop_oneof![Just("close:lapsed@2022-09-01"), Just("close:completed@9")];
    let school = (1..=9_u32, prop::sample::select(vec!["", "/100001", "/100003", "/100004"]));
    let word = prop_oneof![
        6 => on("body"),
        4 => school.prop_map(|(day, urn)| format!("school@{day}{urn}")),
        4 => (5..=30_u32).prop_map(|seq| format!("correct#{seq}")),
        3 => on("accept:school"),
        4 => on("accept:trust"),
        1 => on("decline"),
        4 => on("start"),
        2 => prop_oneof![on("day:accepted"), on("day:started")],
        1 => prop::sample::select(Outcome::ALL).prop_flat_map(move |it| (1..=9_u32).prop_map(move |day| format!("close:{it}@{day}"))),
        2 => closing.prop_map(ToOwned::to_owned),
        4 => prop::sample::select(vec!["ask:ada", "ask:ben", "give:ada", "give:ben", "deny:ben"]).prop_map(ToOwned::to_owned),
        1 => prop::sample::select(vec!["note", "assign:cy", "region", "body@4~v3"]).prop_map(ToOwned::to_owned),
        2 => prop::sample::select(vec!["award", "award", "settled", "drawn"]).prop_map(ToOwned::to_owned),
    ];
    prop_oneof![
        12 => (prop::sample::select(vec!["S", "T", "M"]), word).prop_map(|(letter, word)| Step::Word(letter, word)),
        1 => (0..4_usize).prop_map(Step::Identify),
    ]
}

/// The action of the state table that an event belongs to. None if the event is not about an existing offer.
fn offer_action(event: &Event) -> Option<OfferAction> {
    Some(match &event.body {
        EventBody::Contacted { .. } => OfferAction::Contact,
        EventBody::ContactCorrected { .. } => OfferAction::Correct,
        EventBody::Accepted { .. } => OfferAction::Accept,
        EventBody::Started {} => OfferAction::Start,
        EventBody::DateCorrected { .. } => OfferAction::CorrectDate,
        EventBody::Closed { outcome: Outcome::Completed, .. } => OfferAction::Complete,
        // The word `decline` records a reason of its own, and `close:declined` records the reason `other`.
        EventBody::Closed { outcome: Outcome::Declined, .. } if event.reason_code.as_deref() != Some("other") => {
            OfferAction::Decline
        }
        EventBody::Closed { .. } => OfferAction::Close,
        EventBody::Reopened { .. } => OfferAction::Reopen,
        EventBody::SchoolsAdded { .. } => OfferAction::AddSchools,
        EventBody::Assigned { .. }
        | EventBody::Noted {}
        | EventBody::TextErased { .. }
        | EventBody::RegionChanged { .. }
        | EventBody::ResponsibleBodyChanged { .. } => OfferAction::Keep,
        EventBody::Identified { .. }
        | EventBody::Placed { .. }
        | EventBody::EntryDecided { .. }
        | EventBody::ApprovalOpened { .. }
        | EventBody::ApprovalGiven { .. }
        | EventBody::ApprovalDenied { .. }
        | EventBody::ApprovalWithdrawn { .. }
        | EventBody::FundCreated { .. }
        | EventBody::FundAllocated { .. }
        | EventBody::FundWithdrawn { .. }
        | EventBody::FundsMoved { .. }
        | EventBody::ReferralRaised { .. }
        | EventBody::ReferralDiscussed { .. }
        | EventBody::ReferralApproved { .. }
        | EventBody::ReferralDeclined { .. }
        | EventBody::ReferralWithdrawn { .. }
        | EventBody::ReferralConfirmed { .. }
        | EventBody::RulesAdopted { .. } => return None,
        EventBody::Awarded { .. } => OfferAction::Award,
        EventBody::DaysBooked { .. } | EventBody::BookingCancelled { .. } | EventBody::BookingDelivered { .. } => {
            OfferAction::Book
        }
        EventBody::Drawn { .. } => OfferAction::Draw,
        EventBody::Released { .. } => OfferAction::Release,
        EventBody::Refunded { .. } => OfferAction::Refund,
        EventBody::Undone { .. } => OfferAction::Undo,
    })
}

/// The actions that this test leaves to `money_properties.rs`.
const ACTIONS_ON_AWARDS: [OfferAction; 6] = [
    OfferAction::Award,
    OfferAction::Release,
    OfferAction::Book,
    OfferAction::Draw,
    OfferAction::Refund,
    OfferAction::Undo,
];

/// Carries out a step.
fn carry_out(script: &mut Script, step: &Step) -> Result<(), CommandError> {
    match step {
        Step::Word(letter, word) => script.word(letter, word).map(drop),
        Step::Identify(variant) => script.identify(eligible_recipients(*variant)).map(drop),
    }
}

/// Applies one event. Checks the change of its offer's state against the table, and the change of the offer's etag. Adds the
/// action and the state before it to `reached`.
fn apply_checked(
    state: &mut crate::programme::ProgrammeState,
    event: &Event,
    reached: &mut BTreeSet<(OfferAction, State)>,
) {
    let before = state.offers.clone();
    state.apply(event);
    for (id, after) in &state.offers {
        let Some(old) = before.get(id) else {
            assert!(matches!(event.body, EventBody::Identified { .. }) && event.offer == Some(*id), "{event:?}");
            assert_eq!((after.state, after.version), (State::Identified, event.seq));
            continue;
        };
        match offer_action(event).filter(|_| event.offer == Some(*id)) {
            None => assert_eq!(old, after, "{event:?} is not about this offer, and changed it"),
            Some(action) => {
                assert!(
                    leads_to(action, old.state).contains(&after.state),
                    "{action}: {} to {}",
                    old.state,
                    after.state
                );
                reached.insert((action, old.state));
                if action == OfferAction::Reopen {
                    assert_eq!(
                        Some(after.state),
                        old.before_close,
                        "a reopened offer has the state from before it was closed"
                    );
                }
                let version = if event.body.changes_etag() { event.seq } else { old.version };
                assert_eq!(after.version, version, "{event:?}");
            }
        }
    }
}

/// Checks the contacts and milestones of an offer against its state.
fn check_contacts(offer: &Offer) {
    let contacted_until =
        |party: Party, last: Date| offer.standing_contacts().any(|it| it.party == party && it.on <= last);
    for contact in offer.standing_contacts().filter(|it| it.party == Party::School) {
        assert!(
            contacted_until(Party::ResponsibleBody, contact.on),
            "the school was contacted before the responsible body: {offer:?}"
        );
        let urn = contact.urn.unwrap();
        assert!(offer.schools.contains_key(&urn), "{urn} is not on {offer:?}");
    }
    if let Some(accepted) = offer.accepted {
        let party = if accepted.by == Acceptor::School { Party::School } else { Party::ResponsibleBody };
        assert!(contacted_until(party, accepted.on), "the accepting body was not contacted: {offer:?}");
    }
    match offer.state {
        State::Identified => assert_eq!(offer.standing_contacts().count(), 0, "{offer:?}"),
        State::Contacted | State::Accepted | State::Delivering => {
            assert!(offer.standing_contacts().next().is_some(), "{offer:?}");
        }
        State::Closed => assert!(offer.outcome.is_some() && offer.before_close.is_some(), "{offer:?}"),
    }
    assert_eq!(offer.accepted.is_some(), was_accepted(offer), "{offer:?}");
    let first = offer.standing_contacts().map(|it| it.on).min();
    let milestones = [first, offer.accepted.map(|it| it.on), offer.started];
    let days: Vec<Date> = milestones.into_iter().flatten().collect();
    assert!(days.is_sorted(), "contact, acceptance and start are out of order: {offer:?}");
}

/// Whether the offer is accepted or delivering, or was so before it was closed.
fn was_accepted(offer: &Offer) -> bool {
    let state = offer.before_close.unwrap_or(offer.state);
    matches!(state, State::Accepted | State::Delivering)
}

/// Checks that no recipient has two offers and no school is on two open offers. Returns the open offer of each school.
fn schools_on_open_offers(offers: &BTreeMap<OfferId, Offer>) -> BTreeMap<Urn, OfferId> {
    let mut open = BTreeMap::new();
    let mut recipients: BTreeSet<Recipient> = BTreeSet::new();
    for offer in offers.values() {
        assert!(recipients.insert(offer.recipient), "{} has two offers", offer.recipient);
        for urn in offer.schools.keys().filter(|_| offer.is_open()) {
            assert_eq!(open.insert(*urn, offer.id), None, "school {urn} is on two open offers");
        }
    }
    open
}

/// Carries out the steps, and checks all invariants after each step. Then replays the record and compares the result.
fn walk(steps: &[Step], reached: &mut BTreeSet<(OfferAction, State)>) {
    let mut script = Script::new();
    for step in steps {
        let (offers, events) = (script.state.offers.clone(), script.events.len());
        if let Err(fault) = carry_out(&mut script, step) {
            assert_eq!((&script.state.offers, script.events.len()), (&offers, events), "{step:?} was refused: {fault}");
        }
        let listed = schools_on_open_offers(&script.state.offers);
        assert_eq!(
            script.state.open_offer_by_school.iter().map(|(urn, id)| (*urn, *id)).collect::<BTreeMap<_, _>>(),
            listed
        );
        script.state.offers.values().for_each(check_contacts);
    }
    let mut replayed = Script::empty().state;
    for event in &script.events {
        apply_checked(&mut replayed, event, reached);
    }
    assert_eq!(replayed.offers, script.state.offers, "replay gives the same offers");
    assert_eq!(
        (&replayed.open_offer_by_school, &replayed.offer_by_recipient),
        (&script.state.open_offer_by_school, &script.state.offer_by_recipient)
    );
    assert_eq!(replayed.approvals, script.state.approvals);
    // The words `award`, `settled` and `drawn` add an award without an event, so replay cannot know that award.
    if script.state.awards.is_empty() {
        assert_eq!(script.forbidden(), [], "no request is refused when it is decided again");
    }
    for approval in script.state.approvals.values() {
        assert_ne!(
            approval.state.answered_by(),
            Some(&approval.requested_by),
            "the person who answers is not the requester"
        );
    }
}

/// The random steps are the same in each run. They must reach every action of the state table from every state that allows it,
/// except the actions on awards, which `money_properties.rs` covers.
#[test]
fn random_commands_keep_the_programme_sound() {
    let reached = RefCell::new(BTreeSet::new());
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let walked = runner.run(&prop::collection::vec(step(), 10..120), |steps| {
        walk(&steps, &mut reached.borrow_mut());
        Ok(())
    });
    if let Err(failed) = walked {
        panic!("{failed}");
    }
    let actions = OfferAction::ALL.iter().filter(|it| !ACTIONS_ON_AWARDS.contains(it));
    let expected = actions.flat_map(|action| allowed_in(*action).iter().map(move |state| (*action, *state)));
    let missed: Vec<_> = expected.filter(|it| !reached.borrow().contains(it)).collect();
    assert!(missed.is_empty(), "the walk never came to {missed:?}");
}
