//! Tests of entry positions that two people decide: each kind of decision and each refusal.

use super::script::{Script, day, offer_id, urn};
use crate::approval::{Approval, ApprovalState};
use crate::event::{EventBody, Seq};
use crate::ids::{ApprovalId, Urn};
use crate::programme::command::Command;
use crate::programme::decision::{Approved, CommandAnswer, Decision};
use crate::programme::entry_school::{EntryPosition, EntrySchool};
use crate::programme::error::CommandError;
use crate::refusal::Reason;
use crate::region::Region;
use crate::role::{Action, Reach, Regions};
use crate::time::Micros;
use crate::values::approval::ApprovalAction;
use crate::values::statement::Statement;

const WEST: Region = Region::WestMidlands;

/// The URN of the school whose entry position is decided.
const SCHOOL: u32 = 148_685;

/// Sets what the files say about a school.
fn set_school(script: &mut Script, n: u32, region: Option<Region>, position: EntryPosition) {
    script.state.entry_regions.insert(urn(n), region);
    let school = EntrySchool { region, position, inherited_decision: None, predecessors: Vec::new() };
    script.state.entry_schools.insert(urn(n), school);
}

/// A programme in which the files do not contain the entry position of the school.
fn script_with_unknown_entry() -> Script {
    let mut script = Script::empty();
    set_school(&mut script, SCHOOL, Some(WEST), EntryPosition::Unknown);
    script
}

/// Requests the decision that the entry position is met or not met.
fn ask(script: &mut Script, actor: &str, met: bool) -> Result<Decision, CommandError> {
    let reason = "both reports seen".to_owned();
    script.call(actor, &Command::DecideEntry { urn: urn(SCHOOL), met, reason })
}

fn give(script: &mut Script, actor: &str, approval: ApprovalId) -> Result<Decision, CommandError> {
    script.call(actor, &Command::GiveApproval { approval, permission: Action::DecideEntry })
}

/// The approval that was opened last.
fn newest_approval(script: &Script) -> &Approval {
    script.state.approvals.values().max_by_key(|it| it.opened).unwrap()
}

/// Requests a decision as one person, and gives the approval as another.
fn decide(script: &mut Script, met: bool) {
    ask(script, "officer", met).unwrap();
    let approval = newest_approval(script).id;
    give(script, "director", approval).unwrap();
}

/// The code and the text of a refusal.
fn refusal_of(result: Result<Decision, CommandError>) -> (&'static str, String) {
    match result.unwrap_err() {
        CommandError::Refused(refusal) => {
            let limits: Vec<String> =
                refusal.limits.iter().map(|it| format!("{}: {}", it.subject, it.remedy)).collect();
            (refusal.reason.code(), format!("{} [{}]", refusal.message, limits.join("; ")))
        }
        CommandError::NotFound(kind, ids) => ("NOT_FOUND", format!("{kind} {}", ids.join(", "))),
        other => panic!("{other}"),
    }
}

#[test]
fn one_person_asks_and_another_decides() {
    let mut script = script_with_unknown_entry();
    let asked = ask(&mut script, "officer", true).unwrap();
    assert!(matches!(&asked.answer, CommandAnswer::ApprovalOpened(it) if it.reason == Reason::ApprovalRequired));
    assert!(script.state.entry_decisions.is_empty(), "a request alone decides nothing");
    let approval = newest_approval(&script).clone();
    assert_eq!((approval.action, approval.school()), (ApprovalAction::DecideEntry, Some((urn(SCHOOL), true))));
    assert_eq!(approval.offer(), None);
    assert!(approval.expires.is_some() && script.events[0].text_hash.is_some() && script.events[0].offer.is_none());

    let given = give(&mut script, "director", approval.id).unwrap();
    assert_eq!(given.answer, CommandAnswer::Approved(approval.id, Approved::Entry(urn(SCHOOL))));
    let kinds: Vec<&str> = given.events.iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["approval_given", "entry_decided"]);
    let decided = &script.state.entry_decisions[&urn(SCHOOL)];
    assert_eq!((decided.met, decided.seq, decided.on), (true, Seq(3), day("2021-12-01")));
    assert_eq!((decided.asked_by.as_str(), decided.given_by.as_str()), ("officer", "director"));
    assert_eq!(newest_approval(&script).state, ApprovalState::CarriedOut("director".parse().unwrap()));
    assert_eq!(script.state.violations, Vec::<String>::new());
}

#[test]
fn a_later_contrary_decision_replaces_the_first() {
    let mut script = script_with_unknown_entry();
    decide(&mut script, true);
    let (refused, text) = refusal_of(ask(&mut script, "officer", true));
    assert_eq!(refused, "ENTRY_NOT_UNKNOWN");
    assert!(text.contains("decided already: met, event 3"), "{text}");
    decide(&mut script, false);
    let decided = &script.state.entry_decisions[&urn(SCHOOL)];
    assert_eq!((decided.met, decided.seq), (false, Seq(6)));
    assert_eq!(script.state.entry_decisions.len(), 1);
}

/// The region of a school, and what the files say about it.
type SchoolInFiles = (Option<Region>, EntryPosition);

/// Rows: what the files say, the caller's reach, the refusal and a part of its text.
#[test]
fn only_an_unknown_entry_position_is_decided() {
    use EntryPosition as P;
    let north = Reach { regions: Regions::These([Region::NorthOfEngland].into()), assigned_to: None };
    let west = Reach { regions: Regions::These([WEST].into()), assigned_to: None };
    let all = Reach::everything();
    let rows: [(Option<SchoolInFiles>, &Reach, &str, &str); 9] = [
        (None, &all, "NOT_FOUND", "school 148685"),
        (Some((Some(WEST), P::Unknown)), &north, "NOT_FOUND", "school 148685"),
        (Some((None, P::Unknown)), &west, "NOT_FOUND", "school 148685"),
        (
            Some((Some(WEST), P::Known("E2 is not met, the current grade is 2".into()))),
            &north,
            "NOT_FOUND",
            "school 148685",
        ),
        (
            Some((Some(WEST), P::Known("E2 is not met, the current grade is 2".into()))),
            &west,
            "ENTRY_NOT_UNKNOWN",
            "the current grade is 2",
        ),
        (Some((Some(WEST), P::Superseded(urn(150_001)))), &west, "ENTRY_NOT_UNKNOWN", "ask for school 150001"),
        (Some((Some(WEST), P::NotInMonths)), &west, "ENTRY_NOT_UNKNOWN", "raise a referral"),
        (Some((Some(WEST), P::NotNeeded)), &west, "ENTRY_NOT_UNKNOWN", "no rule of the programme asks"),
        (Some((None, P::Known("E2 is met".into()))), &all, "ENTRY_NOT_UNKNOWN", "E2 is met"),
    ];
    for (school, reach, expected, part) in rows {
        let mut script = Script::empty();
        script.reach = reach.clone();
        if let Some((region, position)) = school.clone() {
            set_school(&mut script, SCHOOL, region, position);
        }
        let (refused, text) = refusal_of(ask(&mut script, "officer", true));
        assert_eq!(refused, expected, "{school:?}: {text}");
        assert!(text.contains(part), "{school:?}: {text}");
        assert_eq!(script.events, []);
    }
    // A school in no region is visible to callers who reach everything.
    let mut script = Script::empty();
    set_school(&mut script, SCHOOL, None, EntryPosition::Unknown);
    decide(&mut script, true);
    assert_eq!(script.state.entry_decisions.len(), 1);
}

#[test]
fn each_person_may_have_one_open_approval_with_the_same_statement() {
    let mut script = script_with_unknown_entry();
    ask(&mut script, "officer", true).unwrap();
    let open = newest_approval(&script).id;
    for actor in ["officer", "OFFICER"] {
        let (refused, text) = refusal_of(ask(&mut script, actor, true));
        assert_eq!(refused, "APPROVAL_REQUIRED", "{actor}");
        assert!(text.contains(&open.to_string()), "{text}");
        let asked = "deciding that the entry position of school 148685 is met needs a second person";
        assert!(text.starts_with(asked), "{text}");
    }
    assert_eq!(script.events.len(), 1);
    // A contrary request, another person's request, and the same request after a change each open an approval.
    let contrary = ask(&mut script, "officer", false).unwrap();
    let CommandAnswer::ApprovalOpened(refusal) = contrary.answer else { panic!("{contrary:?}") };
    assert!(refusal.message.starts_with("deciding that the entry position of school 148685 is not met"), "{refusal:?}");
    ask(&mut script, "other", true).unwrap();
    let approval_of_other = newest_approval(&script).id;
    set_school(&mut script, SCHOOL, Some(Region::SouthWest), EntryPosition::Unknown);
    ask(&mut script, "officer", true).unwrap();
    let moved = newest_approval(&script).id;
    assert_eq!((script.events.len(), refusal_of(ask(&mut script, "officer", true)).0), (4, "APPROVAL_REQUIRED"));
    // An approval is not given if its stated region or earlier decision is not the current one.
    assert_eq!(refusal_of(give(&mut script, "director", approval_of_other)).0, "APPROVAL_NOT_OPEN");
    give(&mut script, "director", moved).unwrap();
    set_school(&mut script, SCHOOL, Some(WEST), EntryPosition::Unknown);
    let (refused, text) = refusal_of(give(&mut script, "director", approval_of_other));
    assert_eq!(refused, "APPROVAL_NOT_OPEN");
    assert!(text.contains("not decided is stated, it is met now"), "{text}");
    // An expired approval is not given.
    let mut script = script_with_unknown_entry();
    ask(&mut script, "officer", true).unwrap();
    let open = newest_approval(&script).id;
    script.state.approvals.get_mut(open).unwrap().expires = Some(Micros(1));
    assert_eq!(refusal_of(give(&mut script, "director", open)).0, "APPROVAL_NOT_OPEN");
    ask(&mut script, "officer", true).unwrap();
}

/// A contrary decision states the open offers of the school and of the school that it follows.
#[test]
fn a_contrary_decision_states_the_offers_that_depend_on_the_first() {
    let stated = |script: &Script| match newest_approval(script).statement.clone() {
        Some(Statement::Entry { before, offers, .. }) => (before, offers),
        other => panic!("{other:?}"),
    };
    let mut script = script_with_unknown_entry();
    decide(&mut script, true);
    assert_eq!(stated(&script), (None, None));
    ask(&mut script, "officer", false).unwrap();
    let without_offers = newest_approval(&script).id;
    assert_eq!(stated(&script), (Some(true), Some(vec![])));

    script.state.open_offer_by_school.insert(urn(SCHOOL), offer_id(7));
    let (refused, text) = refusal_of(give(&mut script, "director", without_offers));
    assert_eq!(refused, "APPROVAL_NOT_OPEN");
    let difference = format!("no open offer is stated, it is on open offer {} now", offer_id(7));
    assert!(text.contains(&difference), "{text}");
    assert!(script.state.approvals[&without_offers].state.is_open());

    let predecessors = vec![urn(100_009)];
    script.state.entry_schools.get_mut(&urn(SCHOOL)).unwrap().predecessors = predecessors;
    script.state.open_offer_by_school.insert(urn(100_009), offer_id(8));
    ask(&mut script, "officer", false).unwrap();
    let with_offers = newest_approval(&script).id;
    assert_eq!(stated(&script), (Some(true), Some(vec![offer_id(7), offer_id(8)])));
    give(&mut script, "director", with_offers).unwrap();
    assert!(!script.state.entry_decisions[&urn(SCHOOL)].met);
    // A decision from not met to met states no offers, because no offer loses its ground.
    ask(&mut script, "officer", true).unwrap();
    assert_eq!(stated(&script), (Some(false), None));
}

/// An old approval, whose statement has no list of offers, can be given with any open offers of the school.
#[test]
fn a_statement_without_offers_is_not_compared_with_them() {
    let mut script = script_with_unknown_entry();
    decide(&mut script, true);
    ask(&mut script, "officer", false).unwrap();
    let approval = newest_approval(&script).id;
    let old = script.state.approvals.get_mut(approval).unwrap();
    if let Some(Statement::Entry { offers, .. }) = &mut old.statement {
        *offers = None;
    }
    script.state.open_offer_by_school.insert(urn(SCHOOL), offer_id(7));
    give(&mut script, "director", approval).unwrap();
    assert!(!script.state.entry_decisions[&urn(SCHOOL)].met);
}

/// A newer URN takes over the decision about the older URN, until it has a decision of its own.
#[test]
fn a_decision_taken_over_counts_as_the_earlier_decision() {
    let mut script_of_older_urn = script_with_unknown_entry();
    decide(&mut script_of_older_urn, true);
    let inherited_decision = script_of_older_urn.state.entry_decisions.remove(&urn(SCHOOL));
    let mut script = script_with_unknown_entry();
    set_school(&mut script, 150_001, Some(WEST), EntryPosition::Unknown);
    script.state.entry_schools.get_mut(&urn(150_001)).unwrap().inherited_decision = inherited_decision;
    let ask = |script: &mut Script, met| {
        script.call("officer", &Command::DecideEntry { urn: urn(150_001), met, reason: "seen".to_owned() })
    };
    let (refused, text) = refusal_of(ask(&mut script, true));
    assert_eq!(refused, "ENTRY_NOT_UNKNOWN");
    assert!(text.contains("is decided already for URN 148685, a predecessor of this school: met, event 3"), "{text}");
    ask(&mut script, false).unwrap();
    let approval = newest_approval(&script).clone();
    let states = |it: &Approval| match &it.statement {
        Some(Statement::Entry { before, .. }) => *before,
        other => panic!("{other:?}"),
    };
    assert_eq!(states(&approval), Some(true));
    give(&mut script, "director", approval.id).unwrap();
    ask(&mut script, true).unwrap();
    assert_eq!(states(newest_approval(&script)), Some(false), "its own decision has priority");
}

/// A change between the request of an approval and the attempt to give it: in the files, the programme or the caller's reach.
type Change = fn(&mut Script);

#[test]
fn a_second_person_can_only_give_what_was_stated() {
    #[rustfmt::skip]
    let rows: [(&str, Change, &str, &str, &str); 8] = [
        ("by the requester",    |_| {},                                                                                             "officer",  "SELF_APPROVAL",     "neither approve nor deny"),
        ("in capital letters",  |_| {},                                                                                             "OFFICER",  "SELF_APPROVAL",     "neither approve nor deny"),
        ("a file came",         |it| set_school(it, SCHOOL, Some(WEST), EntryPosition::Known("E2 is not met, never inspected".into())), "director", "APPROVAL_NOT_OPEN", "E2 is not met, never inspected"),
        ("a newer URN came",    |it| set_school(it, SCHOOL, Some(WEST), EntryPosition::Superseded(urn(150_001))),                       "director", "APPROVAL_NOT_OPEN", "150001"),
        ("the file went",       |it| { it.state.entry_schools.clear(); },                                                           "director", "APPROVAL_NOT_OPEN", "no file names school 148685"),
        ("the school moved",    |it| set_school(it, SCHOOL, Some(Region::SouthWest), EntryPosition::Unknown),                           "director", "APPROVAL_NOT_OPEN", "West Midlands is stated, it is in South-West England"),
        ("the programme closed", |it| it.state.programme.open = false,                                                              "director", "PROGRAMME_CLOSED",  "2021-22"),
        ("outside the region",  |it| it.reach = Reach { regions: Regions::These([Region::SouthWest].into()), assigned_to: None },   "director", "NOT_FOUND",         "approval "),
    ];
    for (what, change, actor, expected, part) in rows {
        let mut script = script_with_unknown_entry();
        ask(&mut script, "officer", true).unwrap();
        let approval = newest_approval(&script).id;
        change(&mut script);
        let (refused, text) = refusal_of(give(&mut script, actor, approval));
        assert_eq!(refused, expected, "{what}: {text}");
        assert!(text.contains(part), "{what}: {text}");
        assert!(newest_approval(&script).state.is_open(), "{what}: the approval stays open");
        assert_eq!(script.events.len(), 1, "{what}");
    }
}

#[test]
fn the_approval_can_be_denied_and_withdrawn() {
    let reason = || "not enough".to_owned();
    let mut script = script_with_unknown_entry();
    ask(&mut script, "officer", true).unwrap();
    let approval = newest_approval(&script).id;
    let deny = |script: &mut Script, by: &str| {
        script.call(by, &Command::DenyApproval { approval, permission: Action::DecideEntry, reason: reason() })
    };
    assert_eq!(refusal_of(deny(&mut script, "officer")).0, "SELF_APPROVAL");
    deny(&mut script, "director").unwrap();
    assert!(script.events.last().unwrap().offer.is_none());
    assert_eq!(refusal_of(give(&mut script, "director", approval)).0, "APPROVAL_NOT_OPEN");

    ask(&mut script, "officer", true).unwrap();
    let approval = newest_approval(&script).id;
    let take_back = |script: &mut Script, by: &str| {
        script.call(by, &Command::WithdrawApproval { approval, permission: Action::AskEntry })
    };
    assert_eq!(refusal_of(take_back(&mut script, "other")).0, "APPROVAL_OF_ANOTHER");
    // The requester can withdraw the approval from outside the school's region. For other callers there the approval does not
    // exist.
    script.reach = Reach { regions: Regions::These([Region::SouthWest].into()), assigned_to: None };
    assert_eq!(refusal_of(take_back(&mut script, "other")).0, "NOT_FOUND");
    assert_eq!(refusal_of(give(&mut script, "OFFICER", approval)).0, "SELF_APPROVAL");
    take_back(&mut script, "OFFICER").unwrap();
    script.reach = Reach::everything();
    assert!(script.events.last().unwrap().offer.is_none());
    assert!(script.state.entry_decisions.is_empty());
    ask(&mut script, "officer", false).unwrap();
}

#[test]
fn a_closed_programme_decides_no_entry_position() {
    let mut script = script_with_unknown_entry();
    script.state.programme.open = false;
    assert_eq!(refusal_of(ask(&mut script, "officer", true)).0, "PROGRAMME_CLOSED");
}

/// The cases: the approval does not exist, states something else, was not given, or was given by another person.
#[test]
fn a_decision_without_its_approval_breaks_the_record() {
    type Tamper = fn(&mut Script, &mut EventBody);
    let rows: [(&str, Tamper); 5] = [
        ("no approval", |_, it| change_decision(it, |approval, _, _| *approval = ApprovalId(uuid::Uuid::max()))),
        ("another school", |_, it| change_decision(it, |_, school, _| *school = urn(148_722))),
        ("the contrary", |_, it| change_decision(it, |_, _, met| *met = !*met)),
        ("not given", |script, _| newest_approval_mut(script).state = ApprovalState::Open),
        ("given by another", |script, _| {
            newest_approval_mut(script).state = ApprovalState::CarriedOut("other".parse().unwrap())
        }),
    ];
    for (what, tamper) in rows {
        let mut script = script_with_unknown_entry();
        decide(&mut script, false);
        let before = script.state.entry_decisions.clone();
        let mut event = script.events.pop().unwrap();
        tamper(&mut script, &mut event.body);
        script.state.apply(&event);
        let [violation] = script.state.violations.as_slice() else { panic!("{what}: {:?}", script.state.violations) };
        assert!(violation.starts_with("event 3 decides"), "{what}: {violation}");
        assert!(violation.contains("there is no approval"), "{what}: {violation}");
        assert_eq!(script.state.entry_decisions, before, "{what}: the event decides nothing");
    }
}

/// Changes the approval, the school or the decision of an event.
fn change_decision(body: &mut EventBody, change: impl Fn(&mut ApprovalId, &mut Urn, &mut bool)) {
    match body {
        EventBody::EntryDecided { approval, urn, met, .. } => change(approval, urn, met),
        other => panic!("{other:?}"),
    }
}

/// The approval that was opened last, mutable.
fn newest_approval_mut(script: &mut Script) -> &mut Approval {
    script.state.approvals.values_mut().max_by_key(|it| it.opened).unwrap()
}
