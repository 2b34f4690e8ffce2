//! Entry positions that two people decide: each answer and each refusal.

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

fn knows(script: &mut Script, n: u32, region: Option<Region>, position: EntryPosition) {
    script.state.entry_regions.insert(urn(n), region);
    let school = EntrySchool { region, position, taken_over: None, follows: Vec::new() };
    script.state.entry_schools.insert(urn(n), school);
}

/// A programme in which the files cannot say what 148685 entered the year with.
fn script() -> Script {
    let mut script = Script::empty();
    knows(&mut script, 148_685, Some(WEST), EntryPosition::Unknown);
    script
}

fn ask(script: &mut Script, actor: &str, met: bool) -> Result<Decision, CommandError> {
    let reason = "both reports seen".to_owned();
    script.call(actor, &Command::DecideEntry { urn: urn(148_685), met, reason })
}

fn give(script: &mut Script, actor: &str, approval: ApprovalId) -> Result<Decision, CommandError> {
    script.call(actor, &Command::GiveApproval { approval, action: Action::DecideEntry })
}

/// The approval that was opened last.
fn opened(script: &Script) -> &Approval {
    script.state.approvals.values().max_by_key(|it| it.opened).unwrap()
}

fn decide(script: &mut Script, met: bool) {
    ask(script, "officer", met).unwrap();
    let approval = opened(script).id;
    give(script, "director", approval).unwrap();
}

fn code(answer: Result<Decision, CommandError>) -> (&'static str, String) {
    match answer.unwrap_err() {
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
    let mut script = script();
    let asked = ask(&mut script, "officer", true).unwrap();
    assert!(matches!(&asked.answer, CommandAnswer::ApprovalOpened(it) if it.reason == Reason::ApprovalRequired));
    assert!(script.state.entry_decisions.is_empty(), "one person decides nothing");
    let approval = opened(&script).clone();
    assert_eq!((approval.action, approval.school()), (ApprovalAction::DecideEntry, Some((urn(148_685), true))));
    assert_eq!(approval.offer(), None);
    assert!(approval.expires.is_some() && script.events[0].text_hash.is_some() && script.events[0].offer.is_none());

    let given = give(&mut script, "director", approval.id).unwrap();
    assert_eq!(given.answer, CommandAnswer::Approved(approval.id, Approved::Entry(urn(148_685))));
    let kinds: Vec<&str> = given.drafts.iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["approval_given", "entry_decided"]);
    let decided = &script.state.entry_decisions[&urn(148_685)];
    assert_eq!((decided.met, decided.seq, decided.on), (true, Seq(3), day("2021-12-01")));
    assert_eq!((decided.asked_by.as_str(), decided.given_by.as_str()), ("officer", "director"));
    assert_eq!(opened(&script).state, ApprovalState::CarriedOut("director".parse().unwrap()));
    assert_eq!(script.state.broken, Vec::<String>::new());
}

#[test]
fn a_later_decision_to_the_contrary_takes_its_place() {
    let mut script = script();
    decide(&mut script, true);
    let (refused, said) = code(ask(&mut script, "officer", true));
    assert_eq!(refused, "ENTRY_NOT_UNKNOWN");
    assert!(said.contains("decided already: met, event 3"), "{said}");
    decide(&mut script, false);
    let decided = &script.state.entry_decisions[&urn(148_685)];
    assert_eq!((decided.met, decided.seq), (false, Seq(6)));
    assert_eq!(script.state.entry_decisions.len(), 1);
}

/// Where a school lies, and what the files say of it.
type Known = (Option<Region>, EntryPosition);

/// What the files say, and the answer to a caller.
#[test]
fn nobody_asks_for_what_is_not_unknown() {
    use EntryPosition as P;
    let north = Reach { regions: Regions::These([Region::NorthOfEngland].into()), assigned_to: None };
    let west = Reach { regions: Regions::These([WEST].into()), assigned_to: None };
    let all = Reach::everything();
    let rows: [(Option<Known>, &Reach, &str, &str); 9] = [
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
        (Some((Some(WEST), P::NotAsked)), &west, "ENTRY_NOT_UNKNOWN", "no rule of the programme asks"),
        (Some((None, P::Known("E2 is met".into()))), &all, "ENTRY_NOT_UNKNOWN", "E2 is met"),
    ];
    for (school, reach, expected, names) in rows {
        let mut script = Script::empty();
        script.reach = reach.clone();
        if let Some((region, position)) = school.clone() {
            knows(&mut script, 148_685, region, position);
        }
        let (refused, said) = code(ask(&mut script, "officer", true));
        assert_eq!(refused, expected, "{school:?}: {said}");
        assert!(said.contains(names), "{school:?}: {said}");
        assert_eq!(script.events, []);
    }
    // A school in no region is for those who reach everywhere.
    let mut script = Script::empty();
    knows(&mut script, 148_685, None, EntryPosition::Unknown);
    decide(&mut script, true);
    assert_eq!(script.state.entry_decisions.len(), 1);
}

#[test]
fn one_person_asks_once_and_another_asks_beside() {
    let mut script = script();
    ask(&mut script, "officer", true).unwrap();
    let open = opened(&script).id;
    for actor in ["officer", "OFFICER"] {
        let (refused, said) = code(ask(&mut script, actor, true));
        assert_eq!(refused, "APPROVAL_REQUIRED", "{actor}");
        assert!(said.contains(&open.to_string()), "{said}");
        let asked = "deciding that the entry position of school 148685 is met needs a second person";
        assert!(said.starts_with(asked), "{said}");
    }
    assert_eq!(script.events.len(), 1);
    // Another's, the contrary, and the same of what has changed since, open one of their own.
    let contrary = ask(&mut script, "officer", false).unwrap();
    let CommandAnswer::ApprovalOpened(refusal) = contrary.answer else { panic!("{contrary:?}") };
    assert!(refusal.message.starts_with("deciding that the entry position of school 148685 is not met"), "{refusal:?}");
    ask(&mut script, "other", true).unwrap();
    let of_other = opened(&script).id;
    knows(&mut script, 148_685, Some(Region::SouthWest), EntryPosition::Unknown);
    ask(&mut script, "officer", true).unwrap();
    let moved = opened(&script).id;
    assert_eq!((script.events.len(), code(ask(&mut script, "officer", true)).0), (4, "APPROVAL_REQUIRED"));
    // Giving one of them is held against the facts: what states the region before it moved, and what was decided before.
    assert_eq!(code(give(&mut script, "director", of_other)).0, "APPROVAL_NOT_OPEN");
    give(&mut script, "director", moved).unwrap();
    knows(&mut script, 148_685, Some(WEST), EntryPosition::Unknown);
    let (refused, said) = code(give(&mut script, "director", of_other));
    assert_eq!(refused, "APPROVAL_NOT_OPEN");
    assert!(said.contains("not decided is stated, it is met now"), "{said}");
    // Past its time it is open no more.
    let mut script = self::script();
    ask(&mut script, "officer", true).unwrap();
    let open = opened(&script).id;
    script.state.approvals.get_mut(open).unwrap().expires = Some(Micros(1));
    assert_eq!(code(give(&mut script, "director", open)).0, "APPROVAL_NOT_OPEN");
    ask(&mut script, "officer", true).unwrap();
}

/// What a contrary decision states: the open offers of the school and of the one that it follows.
#[test]
fn a_contrary_decision_states_the_offers_that_rest_on_the_first() {
    let stated = |script: &Script| match opened(script).statement.clone() {
        Some(Statement::Entry { before, offers, .. }) => (before, offers),
        other => panic!("{other:?}"),
    };
    let mut script = script();
    decide(&mut script, true);
    assert_eq!(stated(&script), (None, None));
    ask(&mut script, "officer", false).unwrap();
    let without = opened(&script).id;
    assert_eq!(stated(&script), (Some(true), Some(vec![])));

    script.state.listed.insert(urn(148_685), offer_id(7));
    let (refused, said) = code(give(&mut script, "director", without));
    assert_eq!(refused, "APPROVAL_NOT_OPEN");
    let difference = format!("no open offer is stated, it is on open offer {} now", offer_id(7));
    assert!(said.contains(&difference), "{said}");
    assert!(script.state.approvals[&without].state.is_open());

    let follows = vec![urn(100_009)];
    script.state.entry_schools.get_mut(&urn(148_685)).unwrap().follows = follows;
    script.state.listed.insert(urn(100_009), offer_id(8));
    ask(&mut script, "officer", false).unwrap();
    let with = opened(&script).id;
    assert_eq!(stated(&script), (Some(true), Some(vec![offer_id(7), offer_id(8)])));
    give(&mut script, "director", with).unwrap();
    assert!(!script.state.entry_decisions[&urn(148_685)].met);
    // The other way round no offer loses its ground.
    ask(&mut script, "officer", true).unwrap();
    assert_eq!(stated(&script), (Some(false), None));
}

/// One that was opened before the offers were stated stays valid, with any offers.
#[test]
fn what_was_not_stated_is_not_held_against_the_facts() {
    let mut script = script();
    decide(&mut script, true);
    ask(&mut script, "officer", false).unwrap();
    let approval = opened(&script).id;
    let old = script.state.approvals.get_mut(approval).unwrap();
    if let Some(Statement::Entry { offers, .. }) = &mut old.statement {
        *offers = None;
    }
    script.state.listed.insert(urn(148_685), offer_id(7));
    give(&mut script, "director", approval).unwrap();
    assert!(!script.state.entry_decisions[&urn(148_685)].met);
}

/// A newer URN takes over what was decided of the older: that counts before, until it is decided of itself.
#[test]
fn what_was_taken_over_counts_before() {
    let mut of_older = script();
    decide(&mut of_older, true);
    let taken_over = of_older.state.entry_decisions.remove(&urn(148_685));
    let mut script = script();
    knows(&mut script, 150_001, Some(WEST), EntryPosition::Unknown);
    script.state.entry_schools.get_mut(&urn(150_001)).unwrap().taken_over = taken_over;
    let ask = |script: &mut Script, met| {
        script.call("officer", &Command::DecideEntry { urn: urn(150_001), met, reason: "seen".to_owned() })
    };
    let (refused, said) = code(ask(&mut script, true));
    assert_eq!(refused, "ENTRY_NOT_UNKNOWN");
    assert!(said.contains("is decided already of URN 148685, which it follows: met, event 3"), "{said}");
    ask(&mut script, false).unwrap();
    let approval = opened(&script).clone();
    let states = |it: &Approval| match &it.statement {
        Some(Statement::Entry { before, .. }) => *before,
        other => panic!("{other:?}"),
    };
    assert_eq!(states(&approval), Some(true));
    give(&mut script, "director", approval.id).unwrap();
    ask(&mut script, true).unwrap();
    assert_eq!(states(opened(&script)), Some(false), "its own goes before");
}

type Change = fn(&mut Script);

#[test]
fn a_second_person_decides_what_was_stated_or_nothing() {
    #[rustfmt::skip]
    let rows: [(&str, Change, &str, &str, &str); 8] = [
        ("who asked",           |_| {},                                                                                             "officer",  "SELF_APPROVAL",     "neither approve nor deny"),
        ("in other letters",    |_| {},                                                                                             "OFFICER",  "SELF_APPROVAL",     "neither approve nor deny"),
        ("a file came",         |it| knows(it, 148_685, Some(WEST), EntryPosition::Known("E2 is not met, never inspected".into())), "director", "APPROVAL_NOT_OPEN", "E2 is not met, never inspected"),
        ("a newer URN came",    |it| knows(it, 148_685, Some(WEST), EntryPosition::Superseded(urn(150_001))),                       "director", "APPROVAL_NOT_OPEN", "150001"),
        ("the file went",       |it| { it.state.entry_schools.clear(); },                                                           "director", "APPROVAL_NOT_OPEN", "no file names school 148685"),
        ("the school moved",    |it| knows(it, 148_685, Some(Region::SouthWest), EntryPosition::Unknown),                           "director", "APPROVAL_NOT_OPEN", "West Midlands is stated, it is in South-West England"),
        ("the programme closed", |it| it.state.programme.open = false,                                                              "director", "PROGRAMME_CLOSED",  "2021-22"),
        ("of another region",   |it| it.reach = Reach { regions: Regions::These([Region::SouthWest].into()), assigned_to: None },   "director", "NOT_FOUND",         "approval "),
    ];
    for (what, change, actor, expected, names) in rows {
        let mut script = script();
        ask(&mut script, "officer", true).unwrap();
        let approval = opened(&script).id;
        change(&mut script);
        let (refused, said) = code(give(&mut script, actor, approval));
        assert_eq!(refused, expected, "{what}: {said}");
        assert!(said.contains(names), "{what}: {said}");
        assert!(opened(&script).state.is_open(), "{what}: it stays open");
        assert_eq!(script.events.len(), 1, "{what}");
    }
}

#[test]
fn it_is_denied_and_withdrawn_as_every_approval_is() {
    let reason = || "not enough".to_owned();
    let mut script = script();
    ask(&mut script, "officer", true).unwrap();
    let approval = opened(&script).id;
    let deny = |script: &mut Script, by: &str| {
        script.call(by, &Command::DenyApproval { approval, action: Action::DecideEntry, reason: reason() })
    };
    assert_eq!(code(deny(&mut script, "officer")).0, "SELF_APPROVAL");
    deny(&mut script, "director").unwrap();
    assert!(script.events.last().unwrap().offer.is_none());
    assert_eq!(code(give(&mut script, "director", approval)).0, "APPROVAL_NOT_OPEN");

    ask(&mut script, "officer", true).unwrap();
    let approval = opened(&script).id;
    let take_back = |script: &mut Script, by: &str| {
        script.call(by, &Command::WithdrawApproval { approval, action: Action::AskEntry })
    };
    assert_eq!(code(take_back(&mut script, "other")).0, "APPROVAL_OF_ANOTHER");
    // The requester withdraws it wherever it lies now; for others it does not exist.
    script.reach = Reach { regions: Regions::These([Region::SouthWest].into()), assigned_to: None };
    assert_eq!(code(take_back(&mut script, "other")).0, "NOT_FOUND");
    assert_eq!(code(give(&mut script, "OFFICER", approval)).0, "SELF_APPROVAL");
    take_back(&mut script, "OFFICER").unwrap();
    script.reach = Reach::everything();
    assert!(script.events.last().unwrap().offer.is_none());
    assert!(script.state.entry_decisions.is_empty());
    ask(&mut script, "officer", false).unwrap();
}

#[test]
fn a_closed_programme_decides_nothing() {
    let mut script = script();
    script.state.programme.open = false;
    assert_eq!(code(ask(&mut script, "officer", true)).0, "PROGRAMME_CLOSED");
}

/// An approval that is not there, that states something else, that nobody gave, or that somebody else gave.
#[test]
fn a_decision_without_its_approval_breaks_the_record() {
    type Tamper = fn(&mut Script, &mut EventBody);
    let rows: [(&str, Tamper); 5] = [
        ("no approval", |_, it| decide_as(it, |approval, _, _| *approval = ApprovalId(uuid::Uuid::max()))),
        ("another school", |_, it| decide_as(it, |_, of, _| *of = urn(148_722))),
        ("the contrary", |_, it| decide_as(it, |_, _, met| *met = !*met)),
        ("not given", |script, _| last_approval(script).state = ApprovalState::Open),
        ("given by another", |script, _| {
            last_approval(script).state = ApprovalState::CarriedOut("other".parse().unwrap())
        }),
    ];
    for (what, tamper) in rows {
        let mut script = script();
        decide(&mut script, false);
        let before = script.state.entry_decisions.clone();
        let mut event = script.events.pop().unwrap();
        tamper(&mut script, &mut event.body);
        script.state.apply(&event);
        let [broken] = script.state.broken.as_slice() else { panic!("{what}: {:?}", script.state.broken) };
        assert!(broken.starts_with("event 3 decides") && broken.contains("there is no approval"), "{what}: {broken}");
        assert_eq!(script.state.entry_decisions, before, "{what}: and decides nothing");
    }
}

fn decide_as(body: &mut EventBody, change: impl Fn(&mut ApprovalId, &mut Urn, &mut bool)) {
    match body {
        EventBody::EntryDecided { approval, urn, met, .. } => change(approval, urn, met),
        other => panic!("{other:?}"),
    }
}

fn last_approval(script: &mut Script) -> &mut Approval {
    script.state.approvals.values_mut().max_by_key(|it| it.opened).unwrap()
}
