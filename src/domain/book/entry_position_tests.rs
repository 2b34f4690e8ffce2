//! Entry positions that two people decide: each answer and each refusal.

use super::approval::{self, Approval, DECIDE_ENTRY};
use super::command::{Answer, Approved, Command, Decided, Fault};
use super::entry_position::{EntryPosition, EntrySchool};
use super::recorder::{Book, day, urn};
use crate::domain::event::{EventBody, Seq};
use crate::domain::ids::ApprovalId;
use crate::domain::refusal::Reason;
use crate::domain::region::Region;
use crate::domain::role::{Action, Reach, Regions};
use crate::domain::time::Micros;

const WEST: Region = Region::WestMidlands;

fn knows(book: &mut Book, n: u32, region: Option<Region>, position: EntryPosition) {
    book.facts.entry_schools.insert(urn(n), EntrySchool { region, position });
}

/// A book in which the files cannot say what 148685 entered the year with.
fn book() -> Book {
    let mut book = Book::empty();
    knows(&mut book, 148_685, Some(WEST), EntryPosition::Unknown);
    book
}

fn ask(book: &mut Book, actor: &str, met: bool) -> Result<Decided, Fault> {
    let reason = "both reports seen".to_owned();
    book.call(actor, &Command::DecideEntry { urn: urn(148_685), met, reason })
}

fn give(book: &mut Book, actor: &str, approval: ApprovalId) -> Result<Decided, Fault> {
    book.call(actor, &Command::GiveApproval { approval, action: Action::DecideEntry })
}

/// The approval that was opened last.
fn opened(book: &Book) -> &Approval {
    book.facts.approvals.values().max_by_key(|it| it.opened).unwrap()
}

fn decide(book: &mut Book, met: bool) {
    ask(book, "officer", met).unwrap();
    let approval = opened(book).id;
    give(book, "director", approval).unwrap();
}

fn code(answer: Result<Decided, Fault>) -> (&'static str, String) {
    match answer.unwrap_err() {
        Fault::Refused(refusal) => {
            let limits: Vec<String> =
                refusal.limits.iter().map(|it| format!("{}: {}", it.account, it.remedy)).collect();
            (refusal.reason.code(), format!("{} [{}]", refusal.message, limits.join("; ")))
        }
        Fault::NotFound(what) => ("NOT_FOUND", what),
        other => panic!("{other}"),
    }
}

#[test]
fn one_person_asks_and_another_decides() {
    let mut book = book();
    let asked = ask(&mut book, "officer", true).unwrap();
    assert!(matches!(&asked.answer, Answer::ApprovalOpened(it) if it.reason == Reason::ApprovalRequired));
    assert!(book.facts.entry_decisions.is_empty(), "one person decides nothing");
    let approval = opened(&book).clone();
    assert_eq!((approval.action.as_str(), approval.school()), (DECIDE_ENTRY, Some((urn(148_685), true))));
    assert_eq!(approval.offer(), None);
    assert!(approval.expires.is_some() && book.events[0].text_hash.is_some() && book.events[0].offer.is_none());

    let given = give(&mut book, "director", approval.id).unwrap();
    assert_eq!(given.answer, Answer::Approved(approval.id, Approved::Entry(urn(148_685))));
    let kinds: Vec<&str> = given.drafts.iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["approval_given", "entry_decided"]);
    let decided = &book.facts.entry_decisions[&urn(148_685)];
    assert_eq!((decided.met, decided.seq, decided.on), (true, Seq(3), day("2021-12-01")));
    assert_eq!((decided.asked_by.as_str(), decided.given_by.as_str()), ("officer", "director"));
    assert_eq!(opened(&book).state, approval::State::CarriedOut("director".parse().unwrap()));
    assert_eq!(book.facts.broken, Vec::<String>::new());
}

#[test]
fn a_later_decision_to_the_contrary_takes_its_place() {
    let mut book = book();
    decide(&mut book, true);
    let (refused, said) = code(ask(&mut book, "officer", true));
    assert_eq!(refused, "ENTRY_NOT_UNKNOWN");
    assert!(said.contains("decided already: met, event 3"), "{said}");
    decide(&mut book, false);
    let decided = &book.facts.entry_decisions[&urn(148_685)];
    assert_eq!((decided.met, decided.seq), (false, Seq(6)));
    assert_eq!(book.facts.entry_decisions.len(), 1);
}

/// Where a school lies, and what the files say of it.
type Known = (Option<Region>, EntryPosition);

/// What the files say, and the answer to whoever asks.
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
    for (school, reach, wanted, names) in rows {
        let mut book = Book::empty();
        book.reach = reach.clone();
        if let Some((region, position)) = school.clone() {
            knows(&mut book, 148_685, region, position);
        }
        let (refused, said) = code(ask(&mut book, "officer", true));
        assert_eq!(refused, wanted, "{school:?}: {said}");
        assert!(said.contains(names), "{school:?}: {said}");
        assert_eq!(book.events, []);
    }
    // A school in no region is for those who reach everywhere.
    let mut book = Book::empty();
    knows(&mut book, 148_685, None, EntryPosition::Unknown);
    decide(&mut book, true);
    assert_eq!(book.facts.entry_decisions.len(), 1);
}

#[test]
fn while_an_approval_is_open_another_is_not_opened() {
    let mut book = book();
    ask(&mut book, "officer", true).unwrap();
    let open = opened(&book).id;
    for (actor, met) in [("officer", true), ("other", true), ("other", false)] {
        let (refused, said) = code(ask(&mut book, actor, met));
        assert_eq!(refused, "APPROVAL_REQUIRED", "{actor} {met}");
        assert!(said.contains(&open.to_string()), "{said}");
    }
    assert_eq!(book.events.len(), 1);
    // Of another school one may be.
    knows(&mut book, 148_722, Some(WEST), EntryPosition::Unknown);
    book.call("officer", &Command::DecideEntry { urn: urn(148_722), met: true, reason: "seen".to_owned() }).unwrap();
    // Past its time it is open no more.
    book.facts.approvals.get_mut(open).unwrap().expires = Some(Micros(1));
    assert_eq!(code(give(&mut book, "director", open)).0, "APPROVAL_NOT_OPEN");
    ask(&mut book, "other", false).unwrap();
}

type Change = fn(&mut Book);

#[test]
fn a_second_person_decides_what_was_stated_or_nothing() {
    #[rustfmt::skip]
    let rows: [(&str, Change, &str, &str, &str); 8] = [
        ("who asked",           |_| {},                                                                                             "officer",  "SELF_APPROVAL",     "neither approve nor deny"),
        ("in other letters",    |_| {},                                                                                             "OFFICER",  "SELF_APPROVAL",     "neither approve nor deny"),
        ("a file came",         |it| knows(it, 148_685, Some(WEST), EntryPosition::Known("E2 is not met, never inspected".into())), "director", "APPROVAL_NOT_OPEN", "E2 is not met, never inspected"),
        ("a newer URN came",    |it| knows(it, 148_685, Some(WEST), EntryPosition::Superseded(urn(150_001))),                       "director", "APPROVAL_NOT_OPEN", "150001"),
        ("the file went",       |it| { it.facts.entry_schools.clear(); },                                                           "director", "APPROVAL_NOT_OPEN", "no file names school 148685"),
        ("the school moved",    |it| knows(it, 148_685, Some(Region::SouthWest), EntryPosition::Unknown),                           "director", "APPROVAL_NOT_OPEN", "West Midlands is stated, it is in South-West England"),
        ("the programme closed", |it| it.facts.programme.open = false,                                                              "director", "PROGRAMME_CLOSED",  "2021-22"),
        ("of another region",   |it| it.reach = Reach { regions: Regions::These([Region::SouthWest].into()), assigned_to: None },   "director", "NOT_FOUND",         "approval "),
    ];
    for (what, change, actor, wanted, names) in rows {
        let mut book = book();
        ask(&mut book, "officer", true).unwrap();
        let approval = opened(&book).id;
        change(&mut book);
        let (refused, said) = code(give(&mut book, actor, approval));
        assert_eq!(refused, wanted, "{what}: {said}");
        assert!(said.contains(names), "{what}: {said}");
        assert!(opened(&book).state.is_open(), "{what}: it stays open");
        assert_eq!(book.events.len(), 1, "{what}");
    }
}

#[test]
fn it_is_denied_and_withdrawn_as_every_approval_is() {
    let reason = || "not enough".to_owned();
    let mut book = book();
    ask(&mut book, "officer", true).unwrap();
    let approval = opened(&book).id;
    let deny = |book: &mut Book, by: &str| {
        book.call(by, &Command::DenyApproval { approval, action: Action::DecideEntry, reason: reason() })
    };
    assert_eq!(code(deny(&mut book, "officer")).0, "SELF_APPROVAL");
    deny(&mut book, "director").unwrap();
    assert!(book.events.last().unwrap().offer.is_none());
    assert_eq!(code(give(&mut book, "director", approval)).0, "APPROVAL_NOT_OPEN");

    ask(&mut book, "officer", true).unwrap();
    let approval = opened(&book).id;
    let take_back =
        |book: &mut Book, by: &str| book.call(by, &Command::WithdrawApproval { approval, action: Action::AskEntry });
    assert_eq!(code(take_back(&mut book, "other")).0, "APPROVAL_OF_ANOTHER");
    take_back(&mut book, "officer").unwrap();
    assert!(book.events.last().unwrap().offer.is_none());
    assert!(book.facts.entry_decisions.is_empty());
    ask(&mut book, "officer", false).unwrap();
}

#[test]
fn a_closed_programme_decides_nothing() {
    let mut book = book();
    book.facts.programme.open = false;
    assert_eq!(code(ask(&mut book, "officer", true)).0, "PROGRAMME_CLOSED");
}

#[test]
fn a_decision_without_its_approval_breaks_the_record() {
    let mut book = book();
    decide(&mut book, true);
    let mut event = book.events.pop().unwrap();
    event.body = EventBody::EntryDecided { approval: ApprovalId(uuid::Uuid::max()), urn: urn(148_685), met: false };
    book.facts.apply(&event);
    assert!(book.facts.broken.iter().any(|it| it.contains("there is no approval")), "{:?}", book.facts.broken);
    assert!(book.facts.entry_decisions[&urn(148_685)].met, "and decides nothing");
}
