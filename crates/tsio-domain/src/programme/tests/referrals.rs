//! Referrals: who may decide what, when, and what an approval makes of it.

use super::script::{Book, day, mat, school, standalone, uid, urn};
use crate::event::EventBody;
use crate::ids::ReferralId;
use crate::offer::Recipient;
use crate::programme::candidates::{Candidate, Candidates, OfferPlacement};
use crate::programme::command::referral::{NewReferral, ReferralCommand, ReferralTarget};
use crate::programme::*;
use crate::referral::{DiscussionPartner, ReferralOrigin, ReferralSubject, State};
use crate::region::Region;
use crate::role::{Reach, Regions};
use crate::rules::RulesVersion;
use crate::school::SchoolEnding;

type Decided = Result<Decision, CommandError>;

const E3: &str = "E3_EXCEPTIONAL";

/// The programme of the recorder; 100006 a maintained school, 100007 and 100008 schools of trust 3000, none of them eligible.
fn book() -> Book {
    let mut book = Book::new();
    book.today = day("2022-03-01");
    let mut seat = |n: u32, candidate: Candidate, rules: &[&str]| {
        let mut candidate = candidate;
        for it in &mut candidate.schools {
            (it.rules, it.by_files) = (rules.iter().map(ToString::to_string).collect(), !rules.is_empty());
        }
        book.facts.offer_placements.insert(urn(n), OfferPlacement::With(Box::new(candidate)));
    };
    seat(100_006, standalone(100_006), &[]);
    for n in [100_007, 100_008] {
        seat(n, mat(3000, vec![school(n, Region::SouthWest)]), &[]);
    }
    seat(100_003, mat(3000, vec![school(100_003, Region::SouthWest)]), &["E2_RI_TWICE_ON_ENTRY"]);
    seat(100_001, standalone(100_001), &["E2_RI_TWICE_ON_ENTRY"]);
    let (by, placements) = (urn(100_006), &mut book.facts.offer_placements);
    placements.insert(urn(100_009), OfferPlacement::Nowhere { region: None, reason: "in no trust".to_owned() });
    placements.insert(urn(100_010), OfferPlacement::Superseded { by, region: Some(Region::WestMidlands) });
    book
}

fn new(subject: ReferralSubject, urns: &[u32], ground: &str, on: &str) -> NewReferral {
    let urns = urns.iter().map(|n| urn(*n)).collect();
    let (origin, ground, reason) = (ReferralOrigin::SelfIdentified, ground.to_owned(), "they wrote".to_owned());
    NewReferral { subject, urns, origin, ground, on: day(on), reason }
}

fn alone(n: u32, ground: &str, on: &str) -> NewReferral {
    new(ReferralSubject::School(urn(n)), &[n], ground, on)
}

fn raise(book: &mut Book, new: NewReferral) -> Result<ReferralId, CommandError> {
    match book.call("ann", &Command::Refer(ReferralCommand::Raise(new)))?.answer {
        CommandAnswer::Referral(id, None) => Ok(id),
        other => unreachable!("{other:?}"),
    }
}

fn target(referral: ReferralId) -> ReferralTarget {
    ReferralTarget { referral, etag: None }
}

fn discuss(book: &mut Book, referral: ReferralId, on: &str) -> Decided {
    discuss_with(book, referral, on, DiscussionPartner::RegionalSchoolsCommissioner)
}

fn discuss_with(book: &mut Book, referral: ReferralId, on: &str, with: DiscussionPartner) -> Decided {
    let (referral, on, text) = (target(referral), day(on), "to visit in May".to_owned());
    book.call("ann", &Command::Refer(ReferralCommand::Discuss { referral, on, with, text }))
}

fn decide(book: &mut Book, by: &str, referral: ReferralId, approve: bool, on: &str) -> Decided {
    let (referral, on, reason) = (target(referral), day(on), "as discussed".to_owned());
    book.call(by, &Command::Refer(ReferralCommand::Decide { referral, approve, on, reason }))
}

fn code<T: std::fmt::Debug>(answer: Result<T, CommandError>) -> (String, usize) {
    match answer.unwrap_err() {
        CommandError::Refused(refusal) => (refusal.reason.code().to_owned(), refusal.limits.len()),
        CommandError::NotFound(kind, ids) => (format!("NOT_FOUND {kind} {}", ids.join(", ")), 0),
        CommandError::Stale { .. } => ("STALE".to_owned(), 0),
        fault @ (CommandError::FutureDate(_) | CommandError::Bug(_)) => unreachable!("{fault}"),
    }
}

fn refused(reason: &str, limits: usize) -> (String, usize) {
    (reason.to_owned(), limits)
}

#[test]
fn an_approval_makes_the_offer_by_the_referrals_rule() {
    let mut book = book();
    let id = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
    let raised = &book.facts.referrals[&id];
    assert_eq!(
        (raised.name.as_str(), raised.region, raised.rule.as_str()),
        ("School 100006", Region::WestMidlands, E3)
    );
    assert_eq!((raised.state, raised.raised_on, raised.raised_by.as_str()), (State::Open, day("2021-11-02"), "ann"));
    discuss(&mut book, id, "2021-11-09").unwrap();
    let decided = decide(&mut book, "dora", id, true, "2021-11-12").unwrap();
    let kinds: Vec<&str> = decided.drafts.iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["identified", "referral_approved"]);
    let CommandAnswer::Referral(_, Some(offer)) = decided.answer else { unreachable!() };
    assert!(decided.drafts.iter().all(|it| it.offer == Some(offer) && it.effective == day("2021-11-12")));
    let made = &book.facts.offers[&offer];
    assert_eq!((made.recipient, made.region), (Recipient::Standalone(urn(100_006)), Region::WestMidlands));
    assert_eq!(made.schools[&urn(100_006)].rules, [E3]);
    assert_eq!(book.facts.listed[&urn(100_006)], offer);
    let it = &book.facts.referrals[&id];
    assert_eq!((it.state, it.offer, it.exceptional.as_slice()), (State::Approved, Some(offer), &[urn(100_006)][..]));
    assert_eq!(it.decision.as_ref().map(|it| (it.by.as_str(), it.on)), Some(("dora", day("2021-11-12"))));
    assert_eq!(it.etag(), format!("v{}", book.events.len()));
    // It is over: nothing is done to it any more, and there is nothing left to refer.
    assert_eq!(code(discuss(&mut book, id, "2021-11-13")), refused("REFERRAL_NOT_OPEN", 1));
    assert_eq!(code(decide(&mut book, "dora", id, false, "2021-11-13")), refused("REFERRAL_NOT_OPEN", 1));
    let again = raise(&mut book, alone(100_006, "would_benefit", "2021-12-01"));
    assert_eq!(code(again), refused("CANNOT_BE_REFERRED", 1));
}

#[test]
fn whoever_raised_it_may_not_decide_and_a_discussion_comes_first() {
    let mut book = book();
    let id = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
    for approve in [true, false] {
        assert_eq!(code(decide(&mut book, "dora", id, approve, "2021-11-12")), refused("DISCUSSION_MISSING", 1));
        assert_eq!(code(decide(&mut book, "ann", id, approve, "2021-11-12")), refused("SELF_APPROVAL", 2));
    }
    assert_eq!(code(discuss(&mut book, id, "2021-11-01")), refused("OUTSIDE_WINDOW", 1), "before it was raised");
    discuss(&mut book, id, "2021-11-13").unwrap();
    assert_eq!(code(decide(&mut book, "dora", id, true, "2021-11-12")), refused("DISCUSSION_MISSING", 1), "held later");
    assert_eq!(code(decide(&mut book, "ann", id, true, "2021-11-13")), refused("SELF_APPROVAL", 1));
    assert_eq!(code(decide(&mut book, "Ann", id, true, "2021-11-13")), refused("SELF_APPROVAL", 1), "in other letters");
    let offers = book.facts.offers.clone();
    let declined = decide(&mut book, "dora", id, false, "2021-11-13").unwrap();
    assert_eq!(declined.answer, CommandAnswer::Referral(id, None));
    assert_eq!((book.facts.referrals[&id].state, &book.facts.offers), (State::Declined, &offers));
    // Declined, it may be raised again; and taken back.
    let second = raise(&mut book, alone(100_006, "would_benefit", "2021-12-01")).unwrap();
    let withdraw = ReferralCommand::Withdraw { referral: target(second), reason: "twice".to_owned() };
    book.call("bob", &Command::Refer(withdraw)).unwrap();
    assert_eq!(book.facts.referrals[&second].state, State::Withdrawn);
}

/// "in discussion with your local regional schools commissioner": nobody else's will do.
#[test]
fn there_is_no_decision_without_a_discussion_with_the_commissioner() {
    use DiscussionPartner::{RegionalSchoolsCommissioner, ResponsibleBody, School, Trust};
    let mut book = book();
    let id = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
    for with in [School, Trust, ResponsibleBody] {
        discuss_with(&mut book, id, "2021-11-09", with).unwrap();
        assert_eq!(code(decide(&mut book, "dora", id, true, "2021-11-12")), refused("DISCUSSION_MISSING", 1), "{with}");
        assert_eq!(code(decide(&mut book, "dora", id, false, "2021-11-12")), refused("DISCUSSION_MISSING", 1));
    }
    discuss(&mut book, id, "2021-11-12").unwrap();
    assert_eq!(code(decide(&mut book, "dora", id, true, "2021-11-11")), refused("DISCUSSION_MISSING", 1), "held later");
    decide(&mut book, "dora", id, true, "2021-11-12").unwrap();
    let with: Vec<_> = book.facts.referrals[&id].discussions.iter().map(|it| it.with).collect();
    assert_eq!(with, [School, Trust, ResponsibleBody, RegionalSchoolsCommissioner].map(Some));
}

/// Of a discussion from before rules 2 nobody knows with whom it was: it has to be recorded again, but not in the past.
#[test]
fn a_discussion_without_a_partner_counts_under_the_rules_it_was_recorded_under() {
    for (rules, expected) in [(RulesVersion::V1, None), (RulesVersion::V2, Some(refused("DISCUSSION_MISSING", 1)))] {
        let mut book = book();
        let id = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
        discuss(&mut book, id, "2021-11-09").unwrap();
        book.facts.referrals.entry(id).and_modify(|it| it.discussions[0].with = None);
        book.facts.rules = rules;
        let came = decide(&mut book, "dora", id, true, "2021-11-12").err().map(|fault| code(Err::<(), _>(fault)));
        assert_eq!(came, expected, "rules {rules}");
    }
}

/// "A referral naming a trust with one open school is taken for that school: a standalone offer."
#[test]
fn a_trust_with_one_open_school_is_taken_for_it() {
    let mut book = book();
    let alone_in_trust = Candidate { trust: Some(uid(5000)), ..standalone(100_012) };
    book.facts.offer_placements.insert(urn(100_012), OfferPlacement::With(Box::new(alone_in_trust)));
    let trust = || new(ReferralSubject::Trust(uid(5000)), &[100_012], "would_benefit", "2021-11-02");
    let id = raise(&mut book, trust()).unwrap();
    let raised = &book.facts.referrals[&id];
    assert_eq!((raised.subject, raised.name.as_str()), (ReferralSubject::School(urn(100_012)), "School 100012"));
    assert_eq!(code(raise(&mut book, trust())), refused("REFERRAL_OPEN", 1));
    assert_eq!(code(raise(&mut book, alone(100_012, "would_benefit", "2021-11-02"))), refused("REFERRAL_OPEN", 1));
    discuss(&mut book, id, "2021-11-09").unwrap();
    let decided = decide(&mut book, "dora", id, true, "2021-11-12").unwrap();
    let CommandAnswer::Referral(_, Some(offer)) = decided.answer else { unreachable!() };
    let made = &book.facts.offers[&offer];
    assert_eq!((made.recipient, made.trust), (Recipient::Standalone(urn(100_012)), Some(uid(5000))));
    // Of another trust it is not.
    let other = new(ReferralSubject::Trust(uid(5001)), &[100_012], "would_benefit", "2021-11-02");
    assert_eq!(code(raise(&mut book, other)).0, "CANNOT_BE_REFERRED");
}

/// "a SAT is standalone", and an offer is one recipient's: two schools that are offered support alone are no one referral's.
#[test]
fn schools_of_different_recipients_are_not_referred_together() {
    let mut book = book();
    let regions = [(100_012, Region::WestMidlands), (100_013, Region::WestMidlands), (100_014, Region::SouthWest)];
    for (n, region) in regions {
        let mut candidate = Candidate { trust: Some(uid(5000)), ..standalone(n) };
        candidate.schools[0].region = region;
        book.facts.offer_placements.insert(urn(n), OfferPlacement::With(Box::new(candidate)));
    }
    let trust = |urns: &[u32]| new(ReferralSubject::Trust(uid(5000)), urns, "would_benefit", "2021-11-02");
    assert_eq!(code(raise(&mut book, trust(&[100_012, 100_013]))), refused("CANNOT_BE_REFERRED", 2), "each is named");
    let id = raise(&mut book, alone(100_012, "would_benefit", "2021-11-02")).unwrap();
    assert_eq!(code(raise(&mut book, trust(&[100_012, 100_013]))), refused("REFERRAL_OPEN", 3));
    // The region of most of them answers for none of the others.
    book.reach = Reach { regions: Regions::These([Region::WestMidlands].into()), assigned_to: None };
    let hidden = ("NOT_FOUND school 100014".to_owned(), 0);
    assert_eq!(code(raise(&mut book, trust(&[100_012, 100_013, 100_014]))), hidden);
    // One that was raised so before is not approved.
    book.facts.referrals.entry(id).and_modify(|it| it.urns.push(urn(100_013)));
    discuss(&mut book, id, "2021-11-09").unwrap();
    assert_eq!(code(decide(&mut book, "dora", id, true, "2021-11-12")), refused("CANNOT_BE_REFERRED", 2));
    decide(&mut book, "dora", id, false, "2021-11-12").unwrap();
}

/// A referral of several such schools was one school's with the others beside it: its events are what was decided then.
#[test]
fn what_was_recorded_of_schools_referred_together_stands() {
    let mut book = book();
    book.today = day("2021-12-01");
    let id = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
    discuss(&mut book, id, "2021-11-09").unwrap();
    decide(&mut book, "dora", id, true, "2021-11-12").unwrap();
    assert_eq!(book.forbidden(), []);
    for event in &mut book.events {
        match &mut event.body {
            EventBody::ReferralRaised { urns, .. } => urns.push(urn(100_012)),
            EventBody::ReferralApproved { exceptional, .. } => exceptional.push(urn(100_012)),
            EventBody::Identified { recipient: Recipient::Standalone(of), schools, .. } if *of == urn(100_006) => {
                schools.push(crate::offer::ListedSchool { urn: urn(100_012), ..schools[0].clone() });
            }
            _ => {}
        }
    }
    assert_eq!(book.forbidden(), []);
}

#[test]
fn a_closed_school_is_not_referred_and_gets_no_offer() {
    let closing = |status: &str, on: &str| SchoolEnding {
        status: Some(status.to_owned()),
        close_date: on.parse().ok(),
        successors: Vec::new(),
    };
    #[rustfmt::skip]
    let rows = [
        // status                       close date    raised on 2021-11-02, approved on 2021-11-12
        ("Open",                        "",           None,                       None),
        ("Closed",                      "",           Some("CANNOT_BE_REFERRED"), Some("CANNOT_BE_REFERRED")),
        ("Created in error",            "",           Some("CANNOT_BE_REFERRED"), Some("CANNOT_BE_REFERRED")),
        ("Open, but proposed to close", "2021-11-02", Some("CANNOT_BE_REFERRED"), Some("CANNOT_BE_REFERRED")),
        ("Open, but proposed to close", "2021-11-12", None,                       Some("CANNOT_BE_REFERRED")),
        ("Open, but proposed to close", "2021-11-13", None,                       None),
    ];
    for (status, on, raising, approving) in rows {
        let mut book = book();
        let of = |came: Result<(), CommandError>| came.err().map(|fault| code(Err::<(), _>(fault)).0);
        let id = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
        discuss(&mut book, id, "2021-11-09").unwrap();
        book.facts.endings.insert(urn(100_006), closing(status, on));
        book.facts.endings.insert(urn(100_007), closing(status, on));
        let school = new(ReferralSubject::School(urn(100_007)), &[100_007], "would_benefit", "2021-11-02");
        assert_eq!(of(raise(&mut book, school).map(drop)).as_deref(), raising, "{status} {on}");
        let approved = decide(&mut book, "dora", id, true, "2021-11-12").map(drop);
        assert_eq!(of(approved).as_deref(), approving, "{status} {on}");
    }
}

/// "When a file makes a referred school eligible, ... the next identify writes the event in its own commit."
#[test]
fn identify_confirms_the_referrals_whose_schools_the_files_made_eligible() {
    let by = |rule: &str, by_files, n| {
        let mut candidate = standalone(n);
        (candidate.schools[0].rules, candidate.schools[0].by_files) = (vec![rule.to_owned()], by_files);
        candidate
    };
    let identified = |book: &mut Book, recipients: Vec<Candidate>| {
        book.facts.candidates = Some(Candidates { recipients, ..Candidates::default() });
        match book.call("officer", &Command::Identify).unwrap().answer {
            CommandAnswer::Identified(did) => did.confirmed,
            other => unreachable!("{other:?}"),
        }
    };
    let mut book = book();
    let school = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
    let some = new(ReferralSubject::Trust(uid(3000)), &[100_007, 100_008], "would_benefit", "2021-11-02");
    let trust = raise(&mut book, some).unwrap();
    // By a referral alone or as people decided, not all of the trust's schools, in a region out of reach: not confirmed.
    let of_trust =
        |urns: &[u32]| mat(3000, urns.iter().map(|n| super::script::school(*n, Region::WestMidlands)).collect());
    assert_eq!(identified(&mut book, vec![by(E3, false, 100_006), of_trust(&[100_007])]), []);
    assert_eq!(identified(&mut book, vec![by("E2_RI_TWICE_ON_ENTRY", false, 100_006)]), []);
    book.reach = Reach { regions: Regions::These([Region::NorthOfEngland].into()), assigned_to: None };
    assert_eq!(identified(&mut book, vec![by("E1_RI_IN_YEAR", true, 100_006)]), []);
    book.reach = Reach::everything();
    let eligible = vec![by("E1_RI_IN_YEAR", true, 100_006), of_trust(&[100_007, 100_008])];
    let mut confirmed = identified(&mut book, eligible.clone());
    confirmed.sort();
    assert_eq!(confirmed, if school < trust { [school, trust] } else { [trust, school] });
    for (id, recipient) in [(school, Recipient::Standalone(urn(100_006))), (trust, Recipient::Mat(uid(3000)))] {
        let it = &book.facts.referrals[&id];
        assert_eq!((it.state, it.decision.as_ref(), it.exceptional.len()), (State::Confirmed, None, 0));
        assert_eq!(book.facts.offers[&it.offer.unwrap()].recipient, recipient);
    }
    assert_eq!(identified(&mut book, eligible), [], "once");
    assert_eq!(code(decide(&mut book, "dora", school, true, "2021-11-12")), refused("REFERRAL_NOT_OPEN", 1));
}

/// "On 20 January 2022 DfE widened E3 to any school disrupted by Covid."
#[test]
fn a_ground_holds_from_its_date() {
    #[rustfmt::skip]
    let rows = [
        ("covid_disruption", "2022-01-19", Some("GROUND_NOT_IN_EFFECT")),
        ("covid_disruption", "2022-01-20", None),
        ("covid_disruption", "2022-08-31", None),
        ("covid_disruption", "2022-09-01", Some("GROUND_NOT_IN_EFFECT")),
        ("would_benefit",    "2021-09-01", None),
        ("would_benefit",    "2021-08-31", Some("OUTSIDE_PROGRAMME")),
        ("hardship",         "2022-01-20", Some("NOT_FOUND ground hardship")),
    ];
    for (ground, on, expected) in rows {
        let mut book = book();
        book.today = day("2022-12-01");
        let came = raise(&mut book, alone(100_006, ground, on)).err().map(|fault| code(Err::<(), _>(fault)).0);
        assert_eq!(came.as_deref(), expected, "{ground} on {on}");
    }
}

#[test]
fn what_no_offer_can_come_of_is_refused_naming_all_of_it() {
    let referred = |new: NewReferral, after: &[(&str, &str)]| {
        let mut book = book();
        for (letter, words) in after {
            book = book.after(letter, words);
        }
        code(raise(&mut book, new))
    };
    let benefit = |n| alone(n, "would_benefit", "2021-11-02");
    assert_eq!(referred(benefit(100_009), &[]), refused("CANNOT_BE_REFERRED", 1), "fits no row");
    assert_eq!(referred(benefit(100_010), &[]), refused("CANNOT_BE_REFERRED", 1), "another URN counts");
    assert_eq!(referred(benefit(100_001), &[]), refused("CANNOT_BE_REFERRED", 1), "on its own offer already");
    assert_eq!(referred(benefit(100_001), &[("S", "decline@5")]), refused("CANNOT_BE_REFERRED", 1), "closed");
    assert_eq!(referred(benefit(100_011), &[]), ("NOT_FOUND school 100011".to_owned(), 0));
    let trust = |urns: &[u32]| new(ReferralSubject::Trust(uid(3000)), urns, "would_benefit", "2021-11-02");
    assert_eq!(referred(trust(&[100_007, 100_006]), &[]), refused("CANNOT_BE_REFERRED", 1), "not of the trust");
    assert_eq!(referred(trust(&[100_009, 100_010, 100_006]), &[]), refused("CANNOT_BE_REFERRED", 3));
    assert_eq!(referred(trust(&[100_003]), &[]), refused("CANNOT_BE_REFERRED", 1), "on its offer already");
    assert_eq!(referred(trust(&[100_007]), &[("M", "decline@5")]), refused("CANNOT_BE_REFERRED", 1), "closed");
    let early = new(ReferralSubject::Trust(uid(3000)), &[100_009], "covid_disruption", "2021-11-02");
    assert_eq!(referred(early, &[]), refused("GROUND_NOT_IN_EFFECT", 2));

    let mut book = book();
    raise(&mut book, benefit(100_006)).unwrap();
    assert_eq!(code(raise(&mut book, benefit(100_006))), refused("REFERRAL_OPEN", 1));
    book.facts.listed.insert(urn(100_007), Book::named("S"));
    assert_eq!(code(raise(&mut book, trust(&[100_007, 100_008]))), refused("SCHOOL_ON_ANOTHER_OFFER", 1));
}

#[test]
fn a_trusts_open_offer_gains_the_schools_that_are_not_on_it() {
    let mut book = book();
    let named = new(ReferralSubject::Trust(uid(3000)), &[100_003, 100_007, 100_008], "covid_disruption", "2022-01-20");
    let id = raise(&mut book, named).unwrap();
    assert_eq!(
        (book.facts.referrals[&id].name.as_str(), book.facts.referrals[&id].region),
        ("Trust 3000", Region::SouthWest)
    );
    discuss(&mut book, id, "2022-01-21").unwrap();
    let decided = decide(&mut book, "dora", id, true, "2022-01-24").unwrap();
    let kinds: Vec<&str> = decided.drafts.iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["schools_added", "referral_approved"]);
    let trusts = Book::named("M");
    assert_eq!(decided.answer, CommandAnswer::Referral(id, Some(trusts)));
    let schools = &book.facts.offers[&trusts].schools;
    assert_eq!(schools.keys().copied().collect::<Vec<_>>(), [100_003, 100_004, 100_007, 100_008].map(urn));
    assert_eq!(
        (schools[&urn(100_007)].rules.as_slice(), schools[&urn(100_003)].rules.as_slice()),
        (&[E3.to_owned()][..], &["E2_RI_TWICE_ON_ENTRY".to_owned()][..])
    );
    assert_eq!(book.facts.referrals[&id].exceptional, [100_007, 100_008].map(urn));
    assert_eq!(book.facts.listed[&urn(100_008)], trusts);
}

/// "that opens a referral, which E1/E2 may then confirm"
#[test]
fn a_school_that_the_files_make_eligible_meanwhile_is_confirmed() {
    for identified in [false, true] {
        let mut book = book();
        let id = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
        discuss(&mut book, id, "2021-11-09").unwrap();
        let mut eligible = standalone(100_006);
        eligible.schools[0].rules = vec!["E1_RI_IN_YEAR".to_owned()];
        book.facts.offer_placements.insert(urn(100_006), OfferPlacement::With(Box::new(eligible.clone())));
        let expected = if identified { State::Confirmed } else { State::Approved };
        if identified {
            book.identify(vec![eligible]).unwrap();
            let late = decide(&mut book, "dora", id, true, "2021-11-12");
            assert_eq!(code(late), refused("REFERRAL_NOT_OPEN", 1), "there is nothing left to decide");
        } else {
            let decided = decide(&mut book, "dora", id, true, "2021-11-12").unwrap();
            assert_eq!(decided.drafts.len(), 2, "the offer is made with it");
        }
        let it = &book.facts.referrals[&id];
        let offer = &book.facts.offers[&it.offer.unwrap()];
        assert_eq!((it.state, it.exceptional.is_empty()), (expected, true));
        assert_eq!(offer.schools[&urn(100_006)].rules, ["E1_RI_IN_YEAR"]);
    }
}

/// What two people decided of an entry position is no file: an approval makes eligible beside it, and is decided again as such.
/// One from before it did so made nothing of its own.
#[test]
fn an_approval_stands_beside_a_decided_entry_position() {
    let mut book = book();
    book.today = day("2021-12-01");
    let mut decided = standalone(100_006);
    decided.schools[0].by_files = false;
    book.facts.offer_placements.insert(urn(100_006), OfferPlacement::With(Box::new(decided)));
    let id = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
    discuss(&mut book, id, "2021-11-09").unwrap();
    decide(&mut book, "dora", id, true, "2021-11-12").unwrap();
    let it = &book.facts.referrals[&id];
    assert_eq!(it.exceptional, [urn(100_006)]);
    let rules = &book.facts.offers[&it.offer.unwrap()].schools[&urn(100_006)].rules;
    assert_eq!(*rules, ["E2_RI_TWICE_ON_ENTRY", E3]);
    assert_eq!(book.forbidden(), []);
    for event in &mut book.events {
        match &mut event.body {
            EventBody::ReferralApproved { exceptional, .. } => exceptional.clear(),
            EventBody::Identified { recipient: Recipient::Standalone(of), schools, .. } if *of == urn(100_006) => {
                schools[0].rules.truncate(1);
            }
            _ => {}
        }
    }
    assert_eq!(book.forbidden(), []);
}

#[test]
fn another_regions_referral_does_not_exist() {
    let mut book = book();
    let id = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
    discuss(&mut book, id, "2021-11-09").unwrap();
    book.reach = Reach { regions: Regions::These([Region::SouthWest].into()), assigned_to: None };
    let hidden = (format!("NOT_FOUND referral {id}"), 0);
    assert_eq!(code(discuss(&mut book, id, "2021-11-09")), hidden);
    assert_eq!(code(decide(&mut book, "dora", id, true, "2021-11-09")), hidden);
    let school = ("NOT_FOUND school 100006".to_owned(), 0);
    assert_eq!(code(raise(&mut book, alone(100_006, "would_benefit", "2021-11-02"))), school);
    // Of a school that no file names any more nobody knows whether it is theirs.
    let gone = ("NOT_FOUND school 100099".to_owned(), 0);
    assert_eq!(code(raise(&mut book, alone(100_099, "would_benefit", "2021-11-02"))), gone);
}

/// Trust 3000 has its offer in the South-West, and a school in the West Midlands; trust 4000 has none yet.
#[test]
fn whoever_answers_for_the_offer_refers_its_schools_elsewhere() {
    let here = |region| Reach { regions: Regions::These([region].into()), assigned_to: None };
    let seated = |n, trust| OfferPlacement::With(Box::new(mat(trust, vec![school(n, Region::WestMidlands)])));
    let benefit = |subject, urns: &[u32]| new(subject, urns, "would_benefit", "2021-11-02");
    let mut book = book();
    book.facts.offer_placements.insert(urn(100_020), seated(100_020, 3000));
    book.facts.offer_placements.insert(urn(100_021), seated(100_021, 4000));
    let school = ReferralSubject::School(urn(100_020));
    book.reach = here(Region::WestMidlands);
    let elsewhere = code(raise(&mut book, benefit(school, &[100_020])));
    assert_eq!(elsewhere, ("NOT_FOUND school 100020".to_owned(), 0), "its offer is not theirs");
    raise(&mut book, benefit(ReferralSubject::Trust(uid(4000)), &[100_021])).unwrap();
    book.reach = here(Region::SouthWest);
    let id = raise(&mut book, benefit(school, &[100_020])).unwrap();
    assert_eq!(book.facts.referrals[&id].region, Region::SouthWest);
    discuss(&mut book, id, "2021-11-09").unwrap();
    decide(&mut book, "dora", id, true, "2021-11-12").unwrap();
    assert!(book.offer("M").schools.contains_key(&urn(100_020)));
    // Once the offer has moved away, what an approval answered is theirs no more.
    book.facts.offers.entry(Book::named("M")).and_modify(|it| it.region = Region::NorthOfEngland);
    let hidden = (format!("NOT_FOUND referral {id}"), 0);
    assert_eq!(code(decide(&mut book, "dora", id, true, "2021-11-12")), hidden);
}

#[test]
fn a_stale_etag_changes_nothing() {
    let mut book = book();
    let id = raise(&mut book, alone(100_006, "would_benefit", "2021-11-02")).unwrap();
    let etag = Some(book.facts.referrals[&id].etag());
    discuss(&mut book, id, "2021-11-09").unwrap();
    let referral = ReferralTarget { referral: id, etag };
    let stale = ReferralCommand::Withdraw { referral, reason: "x".to_owned() };
    assert_eq!(code(book.call("ann", &Command::Refer(stale))).0, "STALE");
}
