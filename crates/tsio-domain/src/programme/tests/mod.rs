//! Tests of the whole programme: the order of checks, changes that need two people, contacts on several offers, and placing by
//! hand.
//!
//! Most tests are rows of words, such as `body@4`. [`Script::word`] explains the words, and [`script`] the letters of the offers.

#[cfg(test)]
mod awards;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod entry_position;
#[cfg(test)]
mod forgery;
#[cfg(test)]
mod funds;
#[cfg(test)]
mod identify;
#[cfg(test)]
mod money_properties;
#[cfg(test)]
mod money_script;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod referrals;
#[cfg(test)]
pub(crate) mod script;
#[cfg(test)]
mod spending;

use std::collections::BTreeSet;

use command::{AwardTarget, OfferTarget};
use decision::{Approved, Warning};
use uuid::Uuid;

use super::*;
use crate::event::{EventBody, Seq};
use crate::ids::{AwardId, RequestId, Urn};
use crate::ledger::Amount;
use crate::money::HalfDays;
use crate::offer::{Party, Recipient};
use crate::refusal::{EntityKind, Reason};
use crate::region::Region;
use crate::role::{Action, Reach, Regions};
use crate::school::{HandPlacement, TrustKind};
use script::{Row, Script, day, judge, mat, offer_id, school, uid, urn};

/// The order of checks: the entity exists, the etag is current, the state allows the command, no limit is exceeded.
#[test]
fn checks_have_a_fixed_order() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("S", "",              "body@4~v1",              "contacted",           ""),
        ("S", "",              "body@4~v2",              "STALE",               "etag v2 was given, v1 is current"),
        ("S", "",              "body@4~1",               "STALE",               "v1 is current"),
        ("S", "body@4",        "body@5~v1",              "STALE",               "v5 is current"),
        ("S", "body@4",        "body@5~v5",              "contacted",           ""),
        ("S", "body@4 region note assign:cy", "body@5~v5", "contacted",         ""),
        // etag before state, and before the dates
        ("S", "decline@5",     "body@6~v1",              "STALE",               "v5 is current"),
        ("S", "decline@5",     "decline@6~v1",           "STALE",               "v5 is current"),
        ("S", "decline@5",     "ask:ada~v1",             "STALE",               "v5 is current"),
        ("S", "",              "note~v9",                "STALE",               "v1 is current"),
        ("S", "",              "body@2021-08-31~v9",     "STALE",               "v1 is current"),
        ("S", "",              "accept:school@2021-08-31~v9", "STALE",          "v1 is current"),
        // state before limits
        ("S", "decline@5",     "body@2021-08-31",        "STATE_NOT_ALLOWED",   "while the offer is closed"),
        ("S", "",              "accept:school@2021-08-31", "STATE_NOT_ALLOWED", "while the offer is identified"),
        ("S", "",              "accept:trust@5",         "STATE_NOT_ALLOWED",   "while the offer is identified"),
        ("M", "decline@5",     "school@6/100001",        "STATE_NOT_ALLOWED",   "while the offer is closed"),
        ("S", "",              "ask:ada",                "STATE_NOT_ALLOWED",   "allowed in: closed"),
    ];
    judge(rows);
}

#[test]
fn a_missing_offer_is_reported_before_any_other_error() {
    let mut script = Script::new();
    let words = [
        "body@4",
        "body@2021-08-31",
        "accept:school@2021-08-31~v9",
        "correct#5",
        "decline@5",
        "start@5",
        "close:lapsed@5",
        "ask:ada",
        "give:ben",
        "assign:cy",
        "note",
        "region",
    ];
    for word in words {
        let (actor, command) = script.command(offer_id(99), word);
        assert!(matches!(script.call(&actor, &command), Err(CommandError::NotFound(..))), "{word}");
    }
    assert_eq!(script.events.len(), 4);
}

/// M is in the South West. The other offers are in the West Midlands.
#[test]
fn an_offer_outside_the_callers_reach_is_not_found() {
    let words = [
        "body@4",
        "correct#5",
        "accept:school@6",
        "decline@6",
        "start@7",
        "close:lapsed@2022-09-01",
        "ask:ada",
        "assign:cy",
        "note",
        "region",
        "note~v1",
    ];
    let mut script = Script::new();
    script.reach =
        Reach { regions: Regions::These([Region::SouthWest].into()), assigned_to: Some("pat".parse().unwrap()) };
    for word in words {
        let expected = ("NOT_FOUND".to_owned(), format!("offer {}", Script::offer_id_of("S")));
        assert_eq!(script.result("S", word), expected, "{word}");
    }
    let contact_on_three = contact(Party::ResponsibleBody, "4", &[("M", None), ("S", None), ("T", None)]);
    let hidden = vec![Script::offer_id_of("S").to_string(), Script::offer_id_of("T").to_string()];
    assert_eq!(script.call("officer", &contact_on_three), Err(CommandError::NotFound(EntityKind::Offer, hidden)));
    assert_eq!(script.events.len(), 4);
    assert_eq!(script.result("M", "body@4").0, "contacted");
    // An assignee reaches the offer in any region, until the offer is assigned to somebody else.
    script.reach = Reach::everything();
    script.word("S", "assign:pat").unwrap();
    script.reach = Reach { regions: Regions::These([].into()), assigned_to: Some("pat".parse().unwrap()) };
    assert_eq!(script.result("S", "assign:cy").0, "identified");
    assert_eq!(script.result("S", "note").0, "NOT_FOUND");
}

#[test]
fn an_award_of_an_offer_outside_reach_is_not_found() {
    let mut script = Script::new().after("S", "award");
    script.reach = Reach { regions: Regions::These([Region::SouthWest].into()), assigned_to: None };
    let award = AwardId(Script::offer_id_of("S").0);
    let target = || AwardTarget { award, etag: None };
    let (half_day, on) = (HalfDays(1), day("2021-12-01"));
    let commands = [
        Command::BookDays { award: target(), half_days: half_day, on, leader: None, leader_kind: None },
        Command::CancelBooking { award: target(), booking: Seq(1) },
        Command::Draw { award: target(), amount: None, on, booking: None, invoice: None, text: None },
        Command::Release { award: target(), amount: None, on, text: None },
        Command::Refund {
            award: target(),
            amount: Amount::HalfDays(half_day),
            on,
            invoice: None,
            issuer: None,
            reason: "x".to_owned(),
        },
    ];
    for command in commands {
        assert_eq!(
            script.call("officer", &command),
            Err(CommandError::not_found(EntityKind::Award, award)),
            "{command:?}"
        );
    }
}

/// Targets of a command: the offers with these letters, each with its etag. `-` is an offer that does not exist.
fn targets(letters_and_etags: &[(&str, Option<&str>)]) -> Vec<(OfferTarget, Option<Urn>)> {
    let target = |(letter, etag): &(&str, Option<&str>)| OfferTarget {
        offer: if *letter == "-" { offer_id(99) } else { Script::offer_id_of(letter) },
        etag: etag.map(ToOwned::to_owned),
    };
    letters_and_etags.iter().map(|it| (target(it), None)).collect()
}

/// The command to record a contact on the offers with these letters and etags.
fn contact(party: Party, on: &str, letters_and_etags: &[(&str, Option<&str>)]) -> Command {
    Command::Contact { offers: targets(letters_and_etags), party, on: day(on), text: Some("letter".to_owned()) }
}

#[test]
fn a_contact_is_recorded_on_all_named_offers_or_on_none() {
    let mut script = Script::new().after("S", "body@4").after("D", "decline@4");
    let (before, events_before) = (script.state.offers.clone(), script.events.len());

    let refused =
        script.call("officer", &contact(Party::School, "5", &[("S", None), ("T", None), ("M", None), ("D", None)]));
    let Err(CommandError::Refused(refusal)) = refused else { unreachable!("{refused:?}") };
    assert_eq!(refusal.reason, Reason::ContactMissing, "the reason is the reason of the first refusal");
    let named: BTreeSet<String> = refusal.limits.iter().map(|it| it.subject.to_string()).collect();
    let expected = ["T", "M", "D"].map(|it| format!("offer {}", Script::offer_id_of(it)));
    assert_eq!(
        named,
        expected.into_iter().collect(),
        "the limits name every offer that is refused, and no other offer"
    );
    assert_eq!(refusal.limits.len(), 5, "one limit for T (order), two for M (school, order), two for D (state, order)");

    // A missing offer is reported before a stale etag, in any position of the list.
    let stale_first = script.call("officer", &contact(Party::ResponsibleBody, "5", &[("S", Some("v1")), ("-", None)]));
    assert!(matches!(stale_first, Err(CommandError::NotFound(..))), "{stale_first:?}");
    let stale_last = script.call("officer", &contact(Party::ResponsibleBody, "5", &[("D", None), ("S", Some("v1"))]));
    assert!(matches!(stale_last, Err(CommandError::Stale { .. })), "{stale_last:?}");

    assert_eq!(script.state.offers, before);
    assert_eq!(script.events.len(), events_before, "nothing was recorded");

    let decision =
        script.call("officer", &contact(Party::ResponsibleBody, "5", &[("T", None), ("M", Some("v3"))])).unwrap();
    assert_eq!(decision.answer, CommandAnswer::Offers(vec![Script::offer_id_of("T"), Script::offer_id_of("M")]));
    assert_eq!((script.state_name("T"), script.state_name("M")), ("contacted", "contacted"));
    assert!(script.events[events_before..].iter().all(|it| it.text_hash.is_some()), "each event has the text");
}

/// Today is 1 December. 2 October is 60 days before that, and 1 October is 61.
#[test]
fn a_date_more_than_60_days_ago_is_a_warning() {
    for (word, warned) in [("body@1", true), ("body@2", false), ("body@2021-12-01", false)] {
        let decided = Script::new().word("S", word).unwrap();
        assert_eq!(decided.warnings.iter().any(|it| matches!(it, Warning::DateInThePast(_))), warned, "{word}");
    }
}

/// Today is 1 December.
#[test]
fn a_date_in_the_future_is_refused() {
    assert!(Script::new().word("S", "body@2021-12-01").is_ok());
    let mut script = Script::new();
    let (actor, command) = script.command(Script::offer_id_of("S"), "body@2021-12-02");
    let refused = script.call(&actor, &command);
    assert!(matches!(refused, Err(CommandError::FutureDate(_))), "{refused:?}");
}

#[test]
fn reopening_needs_a_second_person() {
    #[rustfmt::skip]
    let rows: &[Row] = &[
        ("S", "decline@5",                               "give:ada", "NOT_FOUND",         "approval"),
        ("S", "decline@5 ask:ada",                       "give:ada", "SELF_APPROVAL",     "another person"),
        ("S", "decline@5 ask:ada",                       "give:Ada", "SELF_APPROVAL",     "another person"),
        ("S", "decline@5 ask:ada",                       "deny:ADA", "SELF_APPROVAL",     "another person"),
        ("S", "decline@5 ask:ada",                       "give:ben", "identified",        ""),
        ("S", "decline@5 ask:ada give:ben",              "give:ben", "APPROVAL_NOT_OPEN", "given already"),
        ("S", "decline@5 ask:ada give:ben decline@6",    "give:cy",  "APPROVAL_NOT_OPEN", "given already"),
        ("S", "decline@5 ask:ada give:ben decline@6 ask:ada", "give:ben", "identified",   ""),
        // a second request of the same person names the open approval
        ("S", "decline@5 ask:ada",                       "ask:ada",  "APPROVAL_REQUIRED", "a second person gives approval 00000000-0000-0000-0000-000000000005"),
        ("S", "decline@5 ask:ada",                       "ask:Ada",  "APPROVAL_REQUIRED", "a second person gives approval 00000000-0000-0000-0000-000000000005"),
        // a request of another person opens another approval
        ("S", "decline@5 ask:ada ask:ben",               "give:ada", "identified",        ""),
        ("S", "decline@5 ask:ada ask:ben",               "give:ben", "SELF_APPROVAL",     "another person"),
        ("S", "",                                        "ask:ada",  "STATE_NOT_ALLOWED", "allowed in: closed"),
    ];
    judge(rows);
}

#[test]
fn asking_to_reopen_records_the_approval_and_nothing_else() {
    let mut script = Script::new().after("S", "decline@5");
    let before = script.state.offers.clone();
    let decided = script.word("S", "ask:ada").unwrap();
    let CommandAnswer::ApprovalOpened(refusal) = decided.answer else { unreachable!() };
    assert_eq!(refusal.reason, Reason::ApprovalRequired);
    let opened = &script.state.approvals[&refusal.approval.unwrap()];
    assert_eq!(
        (opened.subject, opened.requested_by.as_str(), &opened.state),
        (Script::offer_id_of("S").0, "ada", &crate::approval::ApprovalState::Open)
    );
    assert_eq!(script.state.offers, before);

    let decided = script.word("S", "give:ben").unwrap();
    let kinds: Vec<&str> = decided.events.iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["approval_given", "reopened"]);
    assert_eq!(
        decided.answer,
        CommandAnswer::Approved(refusal.approval.unwrap(), Approved::Offer(Script::offer_id_of("S")))
    );
    assert_eq!(script.state.approvals[&refusal.approval.unwrap()].state, carried_out("ben"));
}

fn carried_out(by: &str) -> crate::approval::ApprovalState {
    crate::approval::ApprovalState::CarriedOut(by.parse().unwrap())
}

#[test]
fn a_denied_approval_is_closed_and_changes_no_offer() {
    let mut script = Script::new().after("S", "decline@5");
    script.request = Some(RequestId(Uuid::from_u128(77)));
    script.word("S", "ask:ada").unwrap();
    let before = script.state.offers.clone();
    script.request = None;
    assert_eq!(script.result("S", "deny:ada").0, "SELF_APPROVAL");
    let decided = script.word("S", "deny:ben").unwrap();
    let kinds: Vec<&str> = decided.events.iter().map(|it| it.body.kind()).collect();
    assert_eq!((kinds, decided.events[0].text.as_deref()), (vec!["approval_denied"], Some("not now")));
    assert_eq!(script.state.offers, before, "a denied approval changes no offer");
    let denied = script.state.approvals.values().next().unwrap();
    assert_eq!(denied.state, crate::approval::ApprovalState::Denied("ben".parse().unwrap()));
    assert_eq!(denied.denied, script.events.last().map(|it| it.seq));
    for word in ["give:ben", "deny:ben", "give:cy"] {
        let (code, text) = script.result("S", word);
        assert_eq!(code, "APPROVAL_NOT_OPEN", "{word}");
        assert!(text.contains("denied already"), "{text}");
    }

    script.request = Some(RequestId(Uuid::from_u128(77)));
    let (code, text) = script.result("S", "ask:ada");
    assert_eq!(code, "APPROVAL_CLOSED", "the repeated request opens no second approval");
    assert!(text.contains("was denied") && text.contains("under a new request id"), "{text}");
    script.request = None;
    script.word("S", "ask:ada").unwrap();
    assert_eq!(script.result("S", "give:ben").0, "identified");
    assert_eq!(script.state.approvals.len(), 2);
}

#[test]
fn an_approval_is_not_given_if_the_offer_was_reopened_since() {
    let mut script = Script::new().after("S", "decline@5").after("S", "ask:ada");
    let first = *script.state.approvals.keys().next().unwrap();
    for word in ["ask:ben", "give:cy", "decline@6"] {
        script.result("S", word);
    }
    assert_eq!(script.state_name("S"), "closed");
    let refused =
        script.call("cy", &Command::GiveApproval { approval: first, permission: Action::Reopen }).unwrap_err();
    assert!(refused.to_string().contains("has changed since this approval"), "{refused}");
    assert_eq!(script.result("S", "ask:ada").0, "closed", "a new request opens another approval");
    assert_eq!(script.result("S", "give:ben").0, "identified");
}

#[test]
fn an_offer_is_not_reopened_while_its_schools_are_on_another_open_offer() {
    let mut script = Script::new().after("S", "decline@5").after("M", "decline@5").after("M", "ask:ada");
    // Meanwhile the schools of S and M join trust 4000.
    let schools = [100_001, 100_003, 100_004].map(|n| school(n, Region::SouthWest)).to_vec();
    script.identify(vec![mat(4000, schools)]).unwrap();
    let other = script.state.offer_by_recipient[&Recipient::Mat(uid(4000))];

    let (code, text) = script.result("S", "ask:ada");
    assert_eq!(code, "SCHOOL_ON_ANOTHER_OFFER");
    assert!(text.contains(&format!("school 100001: close offer {other} first")), "{text}");
    let (code, text) = script.result("M", "give:ben");
    assert_eq!(
        (code.as_str(), script.state_name("M")),
        ("SCHOOL_ON_ANOTHER_OFFER", "closed"),
        "an approval does not lift the limit"
    );
    assert!(text.contains("school 100003") && text.contains("school 100004"), "each school is named: {text}");

    let close = script.command(other, "close:withdrawn@6").1;
    script.call("officer", &close).unwrap();
    assert_eq!(script.result("M", "give:ben").0, "identified", "the approval is still open");
    assert_eq!(script.state.open_offer_by_school[&urn(100_003)], Script::offer_id_of("M"));
}

#[test]
fn no_offer_is_reopened_in_a_closed_programme() {
    let mut script = Script::new().after("S", "decline@5").after("S", "ask:ada").after("D", "body@4");
    script.state.programme.open = false;
    for word in ["ask:cy", "give:ben"] {
        let (code, text) = script.result("S", word);
        assert_eq!(code, "PROGRAMME_CLOSED", "{word}: {text}");
    }
    let (code, text) = script.result("D", "ask:ada");
    assert_eq!(code, "STATE_NOT_ALLOWED", "the state is checked before the limits");
    assert!(text.contains("programme 2021-22"), "the refusal names the limit too: {text}");
}

#[test]
fn only_a_school_that_the_register_does_not_place_is_placed_by_hand() {
    let place = |n| Command::Place {
        urn: urn(n),
        placement: HandPlacement::SingleAcademyTrust { uid: uid(9) },
        reason: "letter of 3 May".to_owned(),
    };
    let mut script = Script::empty();
    script.state.register.insert(urn(100_001), RegisterAnswer::Placed("maintained".to_owned()));
    script.state.register.insert(urn(100_002), RegisterAnswer::Unplaced { name: "CTC".to_owned() });
    script.state.trusts.insert(uid(9), TrustAnswer { kind: TrustKind::Sat, open: true });

    assert!(matches!(script.call("ada", &place(100_009)), Err(CommandError::NotFound(..))));
    let placed_already = script.call("ada", &place(100_001)).unwrap_err();
    assert!(
        matches!(&placed_already, CommandError::Refused(it) if it.reason == Reason::AlreadyPlaced),
        "{placed_already:?}"
    );
    assert_eq!((script.events.len(), script.state.placements.len()), (0, 0));

    script.call("ada", &place(100_002)).unwrap();
    assert_eq!(script.state.placements[&urn(100_002)], HandPlacement::SingleAcademyTrust { uid: uid(9) });
    let event = &script.events[0];
    assert!(event.offer.is_none() && event.text_hash.is_some() && matches!(event.body, EventBody::Placed { .. }));
}

#[test]
fn a_hand_placement_names_an_open_trust_of_its_kind() {
    use HandPlacement::{Mat, SingleAcademyTrust, SingleSchoolMat};
    let mut script = Script::empty();
    script.state.register.insert(urn(100_002), RegisterAnswer::Unplaced { name: "CTC".to_owned() });
    for (n, kind, open) in
        [(1, TrustKind::Mat, true), (2, TrustKind::Mat, false), (3, TrustKind::Sat, true), (4, TrustKind::Sat, false)]
    {
        script.state.trusts.insert(uid(n), TrustAnswer { kind, open });
    }
    let not_suitable = "TRUST_NOT_SUITABLE";
    #[rustfmt::skip]
    let rows = [
        (Mat { uid: uid(1) },                "",           0),
        (SingleSchoolMat { uid: uid(1) },    "",           0),
        (SingleAcademyTrust { uid: uid(1) }, not_suitable, 1),
        (Mat { uid: uid(2) },                not_suitable, 1),
        (SingleAcademyTrust { uid: uid(2) }, not_suitable, 2),
        (SingleAcademyTrust { uid: uid(3) }, "",           0),
        (Mat { uid: uid(3) },                not_suitable, 1),
        (SingleSchoolMat { uid: uid(3) },    not_suitable, 1),
        (SingleAcademyTrust { uid: uid(4) }, not_suitable, 1),
        (Mat { uid: uid(5) },                "NOT_FOUND",  0),
    ];
    for (placement, code, limits) in rows {
        let place = Command::Place { urn: urn(100_002), placement, reason: "letter of 3 May".to_owned() };
        let outcome = match script.call("ada", &place) {
            Ok(_) => ("", 0),
            Err(CommandError::Refused(it)) => (it.reason.code(), it.limits.len()),
            Err(CommandError::NotFound(..)) => ("NOT_FOUND", 0),
            Err(other) => unreachable!("{other:?}"),
        };
        assert_eq!(outcome, (code, limits), "{placement:?}");
    }
}
