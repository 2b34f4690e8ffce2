//! Tests of identify: the offers that it makes, the offers that gain schools, and the schools that it only reports.

use Region::{EastMidlandsHumber, NorthOfEngland, SouthWest, WestMidlands};

use super::script::{Script, day, mat, offer_id, school, standalone, urn};
use crate::event::EventBody;
use crate::ids::{RequestId, Urn};
use crate::offer::{Party, ResponsibleBody};
use crate::programme::candidates::{
    Candidate, CandidateSchool, Candidates, IdentifyReport, IneligibleSchool, Unplaced,
};
use crate::programme::command::OfferTarget;
use crate::programme::decision::Warning;
use crate::programme::{Command, CommandAnswer, Context, Decision, ResponsibleAnswer};
use crate::region::Region;
use crate::role::{Reach, Regions};
use crate::time::{Micros, Now};

/// The result of an identify.
fn identify_result(decided: &Decision) -> &IdentifyReport {
    let CommandAnswer::Identified(result) = &decided.answer else { unreachable!() };
    result
}

/// The numbers of created, updated, already open and already closed offers, and the blocked schools.
fn counts(decided: &Decision) -> (usize, usize, usize, usize, Vec<u32>) {
    let it = identify_result(decided);
    let blocked = it.blocked.iter().map(|blocked| blocked.urn.get()).collect();
    (it.created, it.updated, it.already_open, it.already_closed, blocked)
}

/// An eligible school in the South West.
fn south_west(n: u32) -> CandidateSchool {
    school(n, SouthWest)
}

/// An eligible school in the South West that replaces the school `predecessor`.
fn successor(n: u32, predecessor: u32) -> CandidateSchool {
    CandidateSchool { predecessors: vec![urn(predecessor)], ..south_west(n) }
}

/// A standalone recipient with this school.
fn standalone_with(school: CandidateSchool) -> Candidate {
    Candidate { schools: vec![school.clone()], ..standalone(school.urn.get()) }
}

/// Before each row there are the four open offers of [`Script::new`], named by letters: S for school 100001, T for 100002, M for
/// trust 3000 with 100003 and 100004, and D for 100005. The second column names the offer that is closed first.
#[test]
fn identify_counts_offers_and_blocked_schools() {
    type Counts = (usize, usize, usize, usize, Vec<u32>);
    #[rustfmt::skip]
    let rows: Vec<(&str, &str, Vec<Candidate>, Counts)> = vec![
        //                                                                                          new upd open closed blocked
        ("nobody is eligible",                  "",  vec![],                                         (0, 0, 0, 0, vec![])),
        ("a new school and a new trust",        "",  vec![standalone(100_010), mat(4000, vec![south_west(100_011)])], (2, 0, 0, 0, vec![])),
        ("a school that has an offer",          "",  vec![standalone(100_001)],                      (0, 0, 1, 0, vec![])),
        ("a trust, nothing new",                "",  vec![mat(3000, vec![south_west(100_003), south_west(100_004)])], (0, 0, 1, 0, vec![])),
        ("a trust, fewer schools than before",  "",  vec![mat(3000, vec![south_west(100_004)])],             (0, 0, 1, 0, vec![])),
        ("a trust, one school more",            "",  vec![mat(3000, vec![south_west(100_004), south_west(100_010)])], (0, 1, 0, 0, vec![])),
        ("a school whose offer is closed",      "S", vec![standalone(100_001)],                      (0, 0, 0, 1, vec![])),
        ("a closed trust, one school more",     "M", vec![mat(3000, vec![south_west(100_003), south_west(100_010)])], (0, 0, 0, 1, vec![])),
        ("a school moved to a trust's offer",   "",  vec![mat(3000, vec![south_west(100_003), south_west(100_001)])], (0, 0, 1, 0, vec![100_001])),
        ("a school moved to a new trust",       "",  vec![mat(4000, vec![south_west(100_001)])],             (0, 0, 0, 0, vec![100_001])),
        ("one moved, one new",                  "",  vec![mat(4000, vec![south_west(100_001), south_west(100_010)])], (1, 0, 0, 0, vec![100_001])),
        ("one moved, one new, open offer",      "",  vec![mat(3000, vec![south_west(100_001), south_west(100_010)])], (0, 1, 0, 0, vec![100_001])),
        ("a school that left its trust",        "",  vec![standalone(100_003)],                      (0, 0, 0, 0, vec![100_003])),
        ("moved, the old offer closed",         "S", vec![mat(4000, vec![south_west(100_001)])],             (1, 0, 0, 0, vec![])),
        ("its predecessor is on an open offer", "",  vec![standalone_with(successor(100_010, 100_001))],       (0, 0, 0, 0, vec![100_010])),
        ("its predecessor's offer is closed",   "S", vec![standalone_with(successor(100_010, 100_001))],       (1, 0, 0, 0, vec![])),
        ("its predecessor is on the same offer", "", vec![mat(3000, vec![successor(100_010, 100_003)])], (0, 1, 0, 0, vec![])),
        ("two new trusts share a school",       "",  vec![mat(4000, vec![south_west(100_010)]), mat(5000, vec![south_west(100_010), south_west(100_011)])], (2, 0, 0, 0, vec![100_010])),
        ("an open and a new trust share one",   "",  vec![mat(3000, vec![south_west(100_010)]), mat(5000, vec![south_west(100_010)])], (0, 1, 0, 0, vec![100_010])),
        ("a predecessor taken in the same run", "",  vec![standalone(100_010), mat(5000, vec![successor(100_011, 100_010)])], (1, 0, 0, 0, vec![100_011])),
    ];
    for (what, closed, candidates, expected) in rows {
        let mut script = Script::new();
        if !closed.is_empty() {
            script = script.after(closed, "close:withdrawn@5");
        }
        let decided = script.identify(candidates.clone()).unwrap();
        assert_eq!(counts(&decided), expected, "{what}");

        // A second identify records nothing. Offers made or updated count as open, and blocked schools are still blocked.
        let (events, offers) = (script.events.len(), script.state.offers.clone());
        let again = script.identify(candidates).unwrap();
        let (created, updated, open, closed, blocked) = expected;
        assert_eq!(counts(&again), (0, 0, open + created + updated, closed, blocked), "{what}, again");
        assert_eq!((script.events.len(), &script.state.offers), (events, &offers), "{what}, again");
    }
}

#[test]
fn a_blocked_school_names_the_offer_that_keeps_it() {
    let mut script = Script::new();
    let moved = script.identify(vec![mat(4000, vec![south_west(100_001)])]).unwrap();
    let blocked = &identify_result(&moved).blocked[0];
    assert_eq!((blocked.name.as_str(), blocked.offer), ("School 100001", Some(Script::offer_id_of("S"))));
    assert!(blocked.reason.contains("another recipient"), "{}", blocked.reason);

    let succeeded = script.identify(vec![standalone_with(successor(100_010, 100_003))]).unwrap();
    let blocked = &identify_result(&succeeded).blocked[0];
    assert_eq!((blocked.urn, blocked.offer), (urn(100_010), Some(Script::offer_id_of("M"))));
    assert!(blocked.reason.contains("predecessor 100003"), "{}", blocked.reason);
}

/// A school on an open offer that is not eligible any more is listed with its offer, if the caller may see the offer. No offer
/// changes.
#[test]
fn a_school_that_is_not_eligible_any_more_is_listed_with_its_offer() {
    let not_eligible = |n| IneligibleSchool {
        urn: urn(n),
        name: format!("School {n}"),
        reason: "not met".to_owned(),
        offer: None,
        whole_offer: false,
    };
    // S lists 100001, M lists 100003 and 100004, and 100010 is on no offer.
    let candidates = |urns: &[u32]| Candidates {
        not_eligible: urns.iter().map(|n| not_eligible(*n)).collect(),
        ..Candidates::default()
    };
    let west = Reach { regions: Regions::These([WestMidlands].into()), assigned_to: None };
    /// A listed school, the letter of its offer, and whether no school of that offer is eligible.
    type Named = Vec<(u32, &'static str, bool)>;
    let rows: [(&[u32], Reach, Named); 4] = [
        (&[100_001, 100_003, 100_010], Reach::everything(), vec![(100_001, "S", true), (100_003, "M", false)]),
        (&[100_003, 100_004], Reach::everything(), vec![(100_003, "M", true), (100_004, "M", true)]),
        (&[100_001, 100_003], west, vec![(100_001, "S", true)]),
        (&[100_001], Reach::nothing(), vec![]),
    ];
    for (urns, reach, expected) in rows {
        let mut script = Script::new();
        script.reach = reach;
        let events = script.events.len();
        script.state.candidates = Some(candidates(urns));
        let decided = script.call("officer", &Command::Identify).unwrap();
        let named = identify_result(&decided).not_eligible.iter().map(|it| (it.urn.get(), it.offer, it.whole_offer));
        let expected = expected.into_iter().map(|(n, letter, whole)| (n, Some(Script::offer_id_of(letter)), whole));
        assert_eq!(named.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{urns:?}");
        assert_eq!(script.events.len(), events, "{urns:?}");
    }
    // A school whose offer is closed is not listed.
    let mut script = Script::new().after("S", "close:ineligible@5");
    script.state.candidates = Some(candidates(&[100_001]));
    let decided = script.call("officer", &Command::Identify).unwrap();
    assert!(identify_result(&decided).not_eligible.is_empty());
}

/// S (100001) is in the West Midlands and M (100003, 100004) in the South West.
#[test]
fn identify_changes_and_reports_only_offers_within_reach() {
    let all_candidates = || {
        vec![
            standalone(100_001),
            standalone(100_010),
            mat(3000, vec![south_west(100_003), south_west(100_011)]),
            mat(4000, vec![south_west(100_012)]),
            mat(5000, vec![south_west(100_001)]),
        ]
    };
    let mut script = Script::new();
    script.reach = Reach { regions: Regions::These([WestMidlands].into()), assigned_to: None };
    let decided = script.identify(all_candidates()).unwrap();
    assert_eq!(counts(&decided), (1, 0, 1, 0, vec![]));
    script.reach = Reach { regions: Regions::These([SouthWest].into()), assigned_to: None };
    let decided = script.identify(all_candidates()).unwrap();
    assert_eq!(counts(&decided), (1, 1, 0, 0, vec![100_001]));
    let blocked = &identify_result(&decided).blocked[0];
    let hidden = Script::offer_id_of("S").to_string();
    assert!(blocked.offer.is_none() && !blocked.reason.contains(&hidden), "{blocked:?}");
    script.reach = Reach::everything();
    assert_eq!(counts(&script.identify(all_candidates()).unwrap()), (0, 0, 4, 0, vec![100_001]));
}

#[test]
fn a_trusts_closed_offer_gains_schools_only_after_it_is_reopened() {
    let candidates = || vec![mat(3000, vec![south_west(100_003), south_west(100_010)])];
    let mut script = Script::new().after("M", "body@4 decline@5");
    script.identify(candidates()).unwrap();
    assert!(!script.offer("M").schools.contains_key(&urn(100_010)));

    // Ada asks to reopen the offer, and Ben approves.
    let mut script = script.after("M", "ask:ada give:ben");
    assert_eq!(counts(&script.identify(candidates()).unwrap()), (0, 1, 0, 0, vec![]));
    let schools: Vec<u32> = script.offer("M").schools.keys().copied().map(Urn::get).collect();
    assert_eq!(schools, [100_003, 100_004, 100_010]);
    assert_eq!(
        (script.state_name("M"), script.offer("M").region),
        ("contacted", SouthWest),
        "the state and the region do not change"
    );
    assert_eq!(script.state.open_offer_by_school[&urn(100_010)], Script::offer_id_of("M"));
}

#[test]
fn a_trusts_region_is_that_of_most_of_its_schools() {
    #[rustfmt::skip]
    let rows: [(&[Region], Region); 6] = [
        (&[WestMidlands],                                         WestMidlands),
        (&[WestMidlands, EastMidlandsHumber, WestMidlands],       WestMidlands),
        (&[EastMidlandsHumber, WestMidlands, WestMidlands],       WestMidlands),
        // ties: "East Midlands and the Humber" < "North of England" < "South-West England" < "West Midlands"
        (&[WestMidlands, EastMidlandsHumber],                     EastMidlandsHumber),
        (&[SouthWest, NorthOfEngland],                            NorthOfEngland),
        (&[WestMidlands, SouthWest, EastMidlandsHumber, SouthWest, WestMidlands], SouthWest),
    ];
    for (regions, expected) in rows {
        let schools = (100_010..).zip(regions).map(|(n, region)| school(n, *region)).collect();
        let mut script = Script::empty();
        script.identify(vec![mat(4000, schools)]).unwrap();
        assert_eq!(script.state.offers[&offer_id(1)].region, expected, "{regions:?}");
    }
}

#[test]
fn an_offer_has_the_data_of_its_candidate() {
    let mut script = Script::empty();
    let candidate = mat(4000, vec![south_west(100_010), south_west(100_011)]);
    script.identify(vec![candidate.clone()]).unwrap();
    let offer = &script.state.offers[&offer_id(1)];
    assert_eq!((offer.recipient, offer.trust, &offer.name), (candidate.recipient, candidate.trust, &candidate.name));
    assert_eq!((offer.terms, offer.state.name(), offer.etag().as_str()), ([7; 32], "identified", "v1"));
    assert_eq!(offer.schools[&urn(100_011)].rules, ["E2_RI_TWICE_ON_ENTRY"]);
    assert!(matches!(&script.events[0].body, EventBody::Identified { schools, .. } if schools.len() == 2));
}

#[test]
fn an_unplaced_school_is_listed() {
    let unplaced =
        vec![Unplaced { urn: urn(100_020), name: "CTC".to_owned(), reason: "city technology college".to_owned() }];
    let mut script = Script::new();
    script.state.candidates = Some(Candidates { unplaced: unplaced.clone(), ..Candidates::default() });
    let decided = script.call("officer", &Command::Identify).unwrap();
    assert_eq!(identify_result(&decided).unplaced, unplaced);
    assert!(decided.events.is_empty());
}

/// The responsible body of an offer follows the newest register until the body is contacted. After that it does not change.
#[test]
fn the_responsible_body_follows_the_register_until_it_is_contacted() {
    let diocese = || ResponsibleBody::Diocese("Diocese of Quenby".to_owned());
    let kinds = |decided: &Decision| decided.events.iter().map(|it| it.body.kind()).collect::<Vec<_>>();
    let in_diocese = || vec![Candidate { responsible: diocese(), ..standalone(100_001) }];
    let trust_in_diocese = || Candidate { responsible: diocese(), ..mat(3000, vec![south_west(100_003)]) };
    let mut script = Script::new();
    let authority = script.offer("S").responsible.clone();
    let decided = script.identify(in_diocese()).unwrap();
    assert_eq!((kinds(&decided), decided.warnings.as_slice()), (vec!["responsible_body_changed"], &[][..]));
    assert_eq!(script.offer("S").responsible, diocese());
    assert_eq!(kinds(&script.identify(in_diocese()).unwrap()), [""; 0], "a second identify changes nothing");
    assert_eq!(
        kinds(&script.identify(vec![trust_in_diocese()]).unwrap()),
        [""; 0],
        "the responsible body of a trust's offer does not change"
    );

    // A register that does not name the school: the contact uses the local authority, and warns that the diocese is unknown.
    let unknown_diocese = ResponsibleAnswer { body: authority.clone(), trust: None, diocese_known: false };
    script.state.responsible_bodies.insert(urn(100_001), unknown_diocese);
    let targets = vec![(OfferTarget { offer: Script::offer_id_of("S"), etag: None }, None)];
    let contact = |party| Command::Contact { offers: targets.clone(), party, on: day("2021-12-01"), text: None };
    let decided = script.call("officer", &contact(Party::ResponsibleBody)).unwrap();
    assert_eq!(kinds(&decided), ["responsible_body_changed", "contacted"]);
    assert_eq!((decided.warnings, &script.offer("S").responsible), (vec![Warning::DioceseUnknown(1)], &authority));
    let decided = script.identify(in_diocese()).unwrap();
    assert_eq!(
        (kinds(&decided), &script.offer("S").responsible),
        (vec![], &authority),
        "the body has been contacted, so it does not change any more"
    );

    // The warning of identify counts the offers whose diocese is unknown: new offers, and open offers that have no contact yet.
    let with_unknown_diocese = |n| Candidate { diocese_known: false, ..standalone(n) };
    let decided = script
        .identify(vec![with_unknown_diocese(100_001), with_unknown_diocese(100_010), with_unknown_diocese(100_011)])
        .unwrap();
    assert_eq!(decided.warnings, [Warning::DioceseUnknown(2)]);
    let decided = script.identify(vec![with_unknown_diocese(100_010)]).unwrap();
    assert_eq!(decided.warnings, [Warning::DioceseUnknown(1)]);
}

/// `validate_only` runs `decide` and discards the events, so deciding must not change the state.
#[test]
fn deciding_twice_gives_the_same_decision() {
    let mut script = Script::new();
    script.state.candidates = Some(Candidates { recipients: vec![standalone(100_010)], ..Candidates::default() });
    let actor = "officer".parse().unwrap();
    let now = Now { at: Micros(0), today: day("2021-12-01") };
    let mut id = || uuid::Uuid::from_u128(9);
    let mut context = Context {
        actor: &actor,
        subject: None,
        reach: &Reach::everything(),
        request: RequestId(uuid::Uuid::nil()),
        now,
        ids: &mut id,
    };
    let first = script.state.decide(&Command::Identify, &mut context).unwrap();
    assert_eq!(script.state.decide(&Command::Identify, &mut context).unwrap(), first);
    assert_eq!(first.events.len(), 1);
}
