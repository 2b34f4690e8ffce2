//! Tests of referrals: who decides, from which day on, and which offer an approval makes. [`super::script`] explains the letters.

use super::script::{Script, day, mat, school, standalone, uid, urn};
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

/// The rule of exceptional cases, and two of its grounds.
const E3: &str = "E3_EXCEPTIONAL";
const BENEFIT: &str = "would_benefit";
const COVID: &str = "covid_disruption";
/// The usual days on which a referral is raised, discussed and decided.
const RAISED: &str = "2021-11-02";
const DISCUSSED: &str = "2021-11-09";
const DECIDED: &str = "2021-11-12";

/// The test programme with schools that are not eligible: 100006, a maintained school; 100007 and 100008 of trust 3000.
fn new_script() -> Script {
    let mut script = Script::new();
    script.today = day("2022-03-01");
    let mut place = |n: u32, candidate: Candidate, rules: &[&str]| {
        let mut candidate = candidate;
        for it in &mut candidate.schools {
            (it.rules, it.by_files) = (rules.iter().map(ToString::to_string).collect(), !rules.is_empty());
        }
        script.state.offer_placements.insert(urn(n), OfferPlacement::With(Box::new(candidate)));
    };
    place(100_006, standalone(100_006), &[]);
    for n in [100_007, 100_008] {
        place(n, mat(3000, vec![school(n, Region::SouthWest)]), &[]);
    }
    place(100_003, mat(3000, vec![school(100_003, Region::SouthWest)]), &["E2_RI_TWICE_ON_ENTRY"]);
    place(100_001, standalone(100_001), &["E2_RI_TWICE_ON_ENTRY"]);
    let (by, placements) = (urn(100_006), &mut script.state.offer_placements);
    placements.insert(urn(100_009), OfferPlacement::Nowhere { region: None, reason: "in no trust".to_owned() });
    placements.insert(urn(100_010), OfferPlacement::Superseded { by, region: Some(Region::WestMidlands) });
    script
}

fn new_referral(subject: ReferralSubject, urns: &[u32], ground: &str, on: &str) -> NewReferral {
    let urns = urns.iter().map(|n| urn(*n)).collect();
    let (ground, reason) = (ground.to_owned(), "they wrote".to_owned());
    NewReferral { subject, urns, origin: ReferralOrigin::SelfIdentified, ground, on: day(on), reason }
}

fn referral_of(n: u32, ground: &str, on: &str) -> NewReferral {
    new_referral(ReferralSubject::School(urn(n)), &[n], ground, on)
}

fn raise(script: &mut Script, new: NewReferral) -> Result<ReferralId, CommandError> {
    match script.call("ann", &Command::Refer(ReferralCommand::Raise(new)))?.answer {
        CommandAnswer::Referral(id, None) => Ok(id),
        other => unreachable!("{other:?}"),
    }
}

fn target(referral: ReferralId) -> ReferralTarget {
    ReferralTarget { referral, etag: None }
}

fn discuss(script: &mut Script, referral: ReferralId, on: &str) -> Decided {
    discuss_with(script, referral, on, DiscussionPartner::RegionalSchoolsCommissioner)
}

fn discuss_with(script: &mut Script, referral: ReferralId, on: &str, with: DiscussionPartner) -> Decided {
    let (referral, on, text) = (target(referral), day(on), "to visit in May".to_owned());
    script.call("ann", &Command::Refer(ReferralCommand::Discuss { referral, on, with, text }))
}

fn decide(script: &mut Script, by: &str, referral: ReferralId, approve: bool, on: &str) -> Decided {
    let (referral, on, reason) = (target(referral), day(on), "as discussed".to_owned());
    script.call(by, &Command::Refer(ReferralCommand::Decide { referral, approve, on, reason }))
}

/// The code of a refusal, and the number of its limits.
fn refusal<T: std::fmt::Debug>(result: Result<T, CommandError>) -> (String, usize) {
    match result.unwrap_err() {
        CommandError::Refused(refusal) => (refusal.reason.code().to_owned(), refusal.limits.len()),
        CommandError::NotFound(kind, ids) => (format!("NOT_FOUND {kind} {}", ids.join(", ")), 0),
        CommandError::UnknownName(kind, name, _) => (format!("NOT_FOUND {kind} {name}"), 0),
        CommandError::Stale { .. } => ("STALE".to_owned(), 0),
        other => unreachable!("{other}"),
    }
}

fn refused(reason: &str, limits: usize) -> (String, usize) {
    (reason.to_owned(), limits)
}

#[test]
fn an_approval_makes_the_offer_by_the_referrals_rule() {
    let script = &mut new_script();
    let id = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
    let raised = &script.state.referrals[&id];
    assert_eq!((raised.name.as_str(), raised.region), ("School 100006", Region::WestMidlands));
    assert_eq!(raised.rule.as_str(), E3);
    assert_eq!((raised.state, raised.raised_on, raised.raised_by.as_str()), (State::Open, day(RAISED), "ann"));
    discuss(script, id, DISCUSSED).unwrap();
    let decided = decide(script, "dora", id, true, DECIDED).unwrap();
    let kinds: Vec<&str> = decided.events.iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["identified", "referral_approved"]);
    let CommandAnswer::Referral(_, Some(offer)) = decided.answer else { unreachable!() };
    assert!(decided.events.iter().all(|it| it.offer == Some(offer) && it.effective == day(DECIDED)));
    let made = &script.state.offers[&offer];
    assert_eq!((made.recipient, made.region), (Recipient::Standalone(urn(100_006)), Region::WestMidlands));
    assert_eq!(made.schools[&urn(100_006)].rules, [E3]);
    assert_eq!(script.state.open_offer_by_school[&urn(100_006)], offer);
    let it = &script.state.referrals[&id];
    assert_eq!((it.state, it.offer, it.exceptional.as_slice()), (State::Approved, Some(offer), &[urn(100_006)][..]));
    assert_eq!(it.decision.as_ref().map(|it| (it.by.as_str(), it.on)), Some(("dora", day(DECIDED))));
    assert_eq!(it.etag(), format!("v{}", script.events.len()));
    // A decided referral cannot be changed, and its school cannot be referred again.
    assert_eq!(refusal(discuss(script, id, "2021-11-13")), refused("REFERRAL_NOT_OPEN", 1));
    assert_eq!(refusal(decide(script, "dora", id, false, "2021-11-13")), refused("REFERRAL_NOT_OPEN", 1));
    assert_eq!(refusal(raise(script, referral_of(100_006, BENEFIT, "2021-12-01"))), refused("CANNOT_BE_REFERRED", 1));
}

#[test]
fn the_person_who_raised_a_referral_may_not_decide_it_and_a_discussion_comes_first() {
    let script = &mut new_script();
    let id = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
    for approve in [true, false] {
        assert_eq!(refusal(decide(script, "dora", id, approve, DECIDED)), refused("DISCUSSION_MISSING", 1));
        assert_eq!(refusal(decide(script, "ann", id, approve, DECIDED)), refused("SELF_APPROVAL", 2));
    }
    assert_eq!(refusal(discuss(script, id, "2021-11-01")), refused("OUTSIDE_WINDOW", 1), "before it was raised");
    discuss(script, id, "2021-11-13").unwrap();
    assert_eq!(refusal(decide(script, "dora", id, true, DECIDED)), refused("DISCUSSION_MISSING", 1), "held later");
    assert_eq!(refusal(decide(script, "ann", id, true, "2021-11-13")), refused("SELF_APPROVAL", 1));
    assert_eq!(refusal(decide(script, "Ann", id, true, "2021-11-13")), refused("SELF_APPROVAL", 1), "case is ignored");
    let offers = script.state.offers.clone();
    let declined = decide(script, "dora", id, false, "2021-11-13").unwrap();
    assert_eq!(declined.answer, CommandAnswer::Referral(id, None));
    assert_eq!((script.state.referrals[&id].state, &script.state.offers), (State::Declined, &offers));
    // After a decline the school may be referred again, and that referral may be withdrawn.
    let second = raise(script, referral_of(100_006, BENEFIT, "2021-12-01")).unwrap();
    let withdraw = ReferralCommand::Withdraw { referral: target(second), reason: "twice".to_owned() };
    script.call("bob", &Command::Refer(withdraw)).unwrap();
    assert_eq!(script.state.referrals[&second].state, State::Withdrawn);
}

/// "in discussion with your local regional schools commissioner": a discussion with anybody else does not count.
#[test]
fn there_is_no_decision_without_a_discussion_with_the_commissioner() {
    use DiscussionPartner::{RegionalSchoolsCommissioner, ResponsibleBody, School, Trust};
    let script = &mut new_script();
    let id = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
    for with in [School, Trust, ResponsibleBody] {
        discuss_with(script, id, DISCUSSED, with).unwrap();
        assert_eq!(refusal(decide(script, "dora", id, true, DECIDED)), refused("DISCUSSION_MISSING", 1), "{with}");
        assert_eq!(refusal(decide(script, "dora", id, false, DECIDED)), refused("DISCUSSION_MISSING", 1));
    }
    discuss(script, id, DECIDED).unwrap();
    assert_eq!(refusal(decide(script, "dora", id, true, "2021-11-11")), refused("DISCUSSION_MISSING", 1), "held later");
    decide(script, "dora", id, true, DECIDED).unwrap();
    let with: Vec<_> = script.state.referrals[&id].discussions.iter().map(|it| it.with).collect();
    assert_eq!(with, [School, Trust, ResponsibleBody, RegionalSchoolsCommissioner].map(Some));
}

/// A discussion recorded before rules 2 does not say with whom it was held. It does not count under rules 2.
#[test]
fn a_discussion_without_a_partner_counts_under_the_rules_it_was_recorded_under() {
    for (rules, expected) in [(RulesVersion::V1, None), (RulesVersion::V2, Some(refused("DISCUSSION_MISSING", 1)))] {
        let script = &mut new_script();
        let id = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
        discuss(script, id, DISCUSSED).unwrap();
        script.state.referrals.entry(id).and_modify(|it| it.discussions[0].with = None);
        script.state.rules = rules;
        let refusal = decide(script, "dora", id, true, DECIDED).err().map(|fault| refusal(Err::<(), _>(fault)));
        assert_eq!(refusal, expected, "rules {rules}");
    }
}

/// "A referral naming a trust with one open school is taken for that school: a standalone offer."
#[test]
fn a_trust_with_one_open_school_is_referred_as_that_school() {
    let script = &mut new_script();
    let alone_in_trust = Candidate { trust: Some(uid(5000)), ..standalone(100_012) };
    script.state.offer_placements.insert(urn(100_012), OfferPlacement::With(Box::new(alone_in_trust)));
    let trust = || new_referral(ReferralSubject::Trust(uid(5000)), &[100_012], BENEFIT, RAISED);
    let id = raise(script, trust()).unwrap();
    let raised = &script.state.referrals[&id];
    assert_eq!((raised.subject, raised.name.as_str()), (ReferralSubject::School(urn(100_012)), "School 100012"));
    assert_eq!(refusal(raise(script, trust())), refused("REFERRAL_OPEN", 1));
    assert_eq!(refusal(raise(script, referral_of(100_012, BENEFIT, RAISED))), refused("REFERRAL_OPEN", 1));
    discuss(script, id, DISCUSSED).unwrap();
    let decided = decide(script, "dora", id, true, DECIDED).unwrap();
    let CommandAnswer::Referral(_, Some(offer)) = decided.answer else { unreachable!() };
    let made = &script.state.offers[&offer];
    assert_eq!((made.recipient, made.trust), (Recipient::Standalone(urn(100_012)), Some(uid(5000))));
    // The school does not belong to this other trust.
    let other = new_referral(ReferralSubject::Trust(uid(5001)), &[100_012], BENEFIT, RAISED);
    assert_eq!(refusal(raise(script, other)).0, "CANNOT_BE_REFERRED");
}

/// "a SAT is standalone", and an offer has one recipient: two standalone schools cannot be in one referral.
#[test]
fn schools_of_different_recipients_are_not_referred_together() {
    let script = &mut new_script();
    let regions = [(100_012, Region::WestMidlands), (100_013, Region::WestMidlands), (100_014, Region::SouthWest)];
    for (n, region) in regions {
        let mut candidate = Candidate { trust: Some(uid(5000)), ..standalone(n) };
        candidate.schools[0].region = region;
        script.state.offer_placements.insert(urn(n), OfferPlacement::With(Box::new(candidate)));
    }
    let trust = |urns: &[u32]| new_referral(ReferralSubject::Trust(uid(5000)), urns, BENEFIT, RAISED);
    assert_eq!(refusal(raise(script, trust(&[100_012, 100_013]))), refused("CANNOT_BE_REFERRED", 2), "each is named");
    let id = raise(script, referral_of(100_012, BENEFIT, RAISED)).unwrap();
    assert_eq!(refusal(raise(script, trust(&[100_012, 100_013]))), refused("REFERRAL_OPEN", 3));
    // A caller who reaches the region of most of the schools does not see the school in another region.
    script.reach = Reach { regions: Regions::These([Region::WestMidlands].into()), assigned_to: None };
    let hidden = ("NOT_FOUND school 100014".to_owned(), 0);
    assert_eq!(refusal(raise(script, trust(&[100_012, 100_013, 100_014]))), hidden);
    // An earlier version recorded such referrals of two recipients. They cannot be approved.
    script.state.referrals.entry(id).and_modify(|it| it.urns.push(urn(100_013)));
    discuss(script, id, DISCUSSED).unwrap();
    assert_eq!(refusal(decide(script, "dora", id, true, DECIDED)), refused("CANNOT_BE_REFERRED", 2));
    decide(script, "dora", id, false, DECIDED).unwrap();
}

/// Earlier versions recorded such a referral with one school as the subject and the other schools added. Replay accepts its events.
#[test]
fn replay_accepts_a_recorded_referral_of_schools_with_different_recipients() {
    let script = &mut new_script();
    script.today = day("2021-12-01");
    let id = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
    discuss(script, id, DISCUSSED).unwrap();
    decide(script, "dora", id, true, DECIDED).unwrap();
    assert_eq!(script.forbidden(), []);
    for event in &mut script.events {
        match &mut event.body {
            EventBody::ReferralRaised { urns, .. } => urns.push(urn(100_012)),
            EventBody::ReferralApproved { exceptional, .. } => exceptional.push(urn(100_012)),
            EventBody::Identified { recipient: Recipient::Standalone(of), schools, .. } if *of == urn(100_006) => {
                schools.push(crate::offer::ListedSchool { urn: urn(100_012), ..schools[0].clone() });
            }
            _ => {}
        }
    }
    assert_eq!(script.forbidden(), []);
}

#[test]
fn a_closed_school_is_not_referred_and_gets_no_offer() {
    let closing = |status: &str, on: &str| {
        let (status, close_date) = (Some(status.to_owned()), on.parse().ok());
        SchoolEnding { status, close_date, successors: Vec::new() }
    };
    #[rustfmt::skip]
    let rows = [
        // status                       close date    refusal when raised,        refusal when approved
        ("Open",                        "",           None,                       None),
        ("Closed",                      "",           Some("CANNOT_BE_REFERRED"), Some("CANNOT_BE_REFERRED")),
        ("Created in error",            "",           Some("CANNOT_BE_REFERRED"), Some("CANNOT_BE_REFERRED")),
        ("Open, but proposed to close", RAISED,       Some("CANNOT_BE_REFERRED"), Some("CANNOT_BE_REFERRED")),
        ("Open, but proposed to close", DECIDED,      None,                       Some("CANNOT_BE_REFERRED")),
        ("Open, but proposed to close", "2021-11-13", None,                       None),
    ];
    for (status, on, raising, approving) in rows {
        let script = &mut new_script();
        let refusal_code = |result: Result<(), CommandError>| result.err().map(|fault| refusal(Err::<(), _>(fault)).0);
        let id = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
        discuss(script, id, DISCUSSED).unwrap();
        script.state.endings.insert(urn(100_006), closing(status, on));
        script.state.endings.insert(urn(100_007), closing(status, on));
        let raised = raise(script, referral_of(100_007, BENEFIT, RAISED)).map(drop);
        assert_eq!(refusal_code(raised).as_deref(), raising, "{status} {on}");
        let approved = decide(script, "dora", id, true, DECIDED).map(drop);
        assert_eq!(refusal_code(approved).as_deref(), approving, "{status} {on}");
    }
}

/// "When a file makes a referred school eligible, ... the next identify writes the event in its own commit."
#[test]
fn identify_confirms_the_referrals_whose_schools_the_files_made_eligible() {
    let eligible_by = |rule: &str, by_files, n| {
        let mut candidate = standalone(n);
        (candidate.schools[0].rules, candidate.schools[0].by_files) = (vec![rule.to_owned()], by_files);
        candidate
    };
    let confirmed = |script: &mut Script, recipients: Vec<Candidate>| {
        script.state.candidates = Some(Candidates { recipients, ..Candidates::default() });
        match script.call("officer", &Command::Identify).unwrap().answer {
            CommandAnswer::Identified(result) => result.confirmed,
            other => unreachable!("{other:?}"),
        }
    };
    let script = &mut new_script();
    let school = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
    let two_schools = new_referral(ReferralSubject::Trust(uid(3000)), &[100_007, 100_008], BENEFIT, RAISED);
    let trust = raise(script, two_schools).unwrap();
    // Not confirmed: no file makes the school eligible, not all schools are eligible, or the region is outside the caller's reach.
    let of_trust =
        |urns: &[u32]| mat(3000, urns.iter().map(|n| super::script::school(*n, Region::WestMidlands)).collect());
    assert_eq!(confirmed(script, vec![eligible_by(E3, false, 100_006), of_trust(&[100_007])]), []);
    assert_eq!(confirmed(script, vec![eligible_by("E2_RI_TWICE_ON_ENTRY", false, 100_006)]), []);
    script.reach = Reach { regions: Regions::These([Region::NorthOfEngland].into()), assigned_to: None };
    assert_eq!(confirmed(script, vec![eligible_by("E1_RI_IN_YEAR", true, 100_006)]), []);
    script.reach = Reach::everything();
    let eligible = vec![eligible_by("E1_RI_IN_YEAR", true, 100_006), of_trust(&[100_007, 100_008])];
    let mut both = confirmed(script, eligible.clone());
    both.sort();
    assert_eq!(both, if school < trust { [school, trust] } else { [trust, school] });
    for (id, recipient) in [(school, Recipient::Standalone(urn(100_006))), (trust, Recipient::Mat(uid(3000)))] {
        let it = &script.state.referrals[&id];
        assert_eq!((it.state, it.decision.as_ref(), it.exceptional.len()), (State::Confirmed, None, 0));
        assert_eq!(script.state.offers[&it.offer.unwrap()].recipient, recipient);
    }
    assert_eq!(confirmed(script, eligible), [], "a second identify confirms nothing");
    assert_eq!(refusal(decide(script, "dora", school, true, DECIDED)), refused("REFERRAL_NOT_OPEN", 1));
}

/// "On 20 January 2022 DfE widened E3 to any school disrupted by Covid."
#[test]
fn a_ground_is_in_effect_from_its_date() {
    #[rustfmt::skip]
    let rows = [
        (COVID, "2022-01-19", Some("GROUND_NOT_IN_EFFECT")),
        (COVID, "2022-01-20", None),
        (COVID, "2022-08-31", None),
        (COVID, "2022-09-01", Some("GROUND_NOT_IN_EFFECT")),
        (BENEFIT,    "2021-09-01", None),
        (BENEFIT,    "2021-08-31", Some("OUTSIDE_PROGRAMME")),
        ("hardship",         "2022-01-20", Some("NOT_FOUND ground hardship")),
    ];
    for (ground, on, expected) in rows {
        let script = &mut new_script();
        script.today = day("2022-12-01");
        let refusal = raise(script, referral_of(100_006, ground, on)).err().map(|fault| refusal(Err::<(), _>(fault)).0);
        assert_eq!(refusal.as_deref(), expected, "{ground} on {on}");
    }
}

#[test]
fn a_referral_that_cannot_lead_to_an_offer_is_refused_with_every_reason() {
    let refusal_after = |new: NewReferral, after: &[(&str, &str)]| {
        let mut script = new_script();
        for (letter, words) in after {
            script = script.after(letter, words);
        }
        refusal(raise(&mut script, new))
    };
    let benefit = |n| referral_of(n, BENEFIT, RAISED);
    assert_eq!(refusal_after(benefit(100_009), &[]), refused("CANNOT_BE_REFERRED", 1), "fits no row");
    assert_eq!(refusal_after(benefit(100_010), &[]), refused("CANNOT_BE_REFERRED", 1), "another URN counts");
    assert_eq!(refusal_after(benefit(100_001), &[]), refused("CANNOT_BE_REFERRED", 1), "on its own offer already");
    assert_eq!(refusal_after(benefit(100_001), &[("S", "decline@5")]), refused("CANNOT_BE_REFERRED", 1), "closed");
    assert_eq!(refusal_after(benefit(100_011), &[]), ("NOT_FOUND school 100011".to_owned(), 0));
    let trust = |urns: &[u32]| new_referral(ReferralSubject::Trust(uid(3000)), urns, BENEFIT, RAISED);
    assert_eq!(refusal_after(trust(&[100_007, 100_006]), &[]), refused("CANNOT_BE_REFERRED", 1), "not of the trust");
    assert_eq!(refusal_after(trust(&[100_009, 100_010, 100_006]), &[]), refused("CANNOT_BE_REFERRED", 3));
    assert_eq!(refusal_after(trust(&[100_003]), &[]), refused("CANNOT_BE_REFERRED", 1), "on its offer already");
    assert_eq!(refusal_after(trust(&[100_007]), &[("M", "decline@5")]), refused("CANNOT_BE_REFERRED", 1), "closed");
    let early = new_referral(ReferralSubject::Trust(uid(3000)), &[100_009], COVID, RAISED);
    assert_eq!(refusal_after(early, &[]), refused("GROUND_NOT_IN_EFFECT", 2));

    let script = &mut new_script();
    raise(script, benefit(100_006)).unwrap();
    assert_eq!(refusal(raise(script, benefit(100_006))), refused("REFERRAL_OPEN", 1));
    script.state.open_offer_by_school.insert(urn(100_007), Script::offer_id_of("S"));
    assert_eq!(refusal(raise(script, trust(&[100_007, 100_008]))), refused("SCHOOL_ON_ANOTHER_OFFER", 1));
}

#[test]
fn a_trusts_open_offer_gains_the_schools_that_are_not_on_it() {
    let script = &mut new_script();
    let referral = new_referral(ReferralSubject::Trust(uid(3000)), &[100_003, 100_007, 100_008], COVID, "2022-01-20");
    let id = raise(script, referral).unwrap();
    let raised = &script.state.referrals[&id];
    assert_eq!((raised.name.as_str(), raised.region), ("Trust 3000", Region::SouthWest));
    discuss(script, id, "2022-01-21").unwrap();
    let decided = decide(script, "dora", id, true, "2022-01-24").unwrap();
    let kinds: Vec<&str> = decided.events.iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["schools_added", "referral_approved"]);
    let trust_offer = Script::offer_id_of("M");
    assert_eq!(decided.answer, CommandAnswer::Referral(id, Some(trust_offer)));
    let schools = &script.state.offers[&trust_offer].schools;
    assert_eq!(schools.keys().copied().collect::<Vec<_>>(), [100_003, 100_004, 100_007, 100_008].map(urn));
    assert_eq!(
        (schools[&urn(100_007)].rules.as_slice(), schools[&urn(100_003)].rules.as_slice()),
        (&[E3.to_owned()][..], &["E2_RI_TWICE_ON_ENTRY".to_owned()][..])
    );
    assert_eq!(script.state.referrals[&id].exceptional, [100_007, 100_008].map(urn));
    assert_eq!(script.state.open_offer_by_school[&urn(100_008)], trust_offer);
}

/// "that opens a referral, which E1/E2 may then confirm"
#[test]
fn a_school_that_the_files_make_eligible_meanwhile_is_confirmed() {
    for identified in [false, true] {
        let script = &mut new_script();
        let id = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
        discuss(script, id, DISCUSSED).unwrap();
        let mut eligible = standalone(100_006);
        eligible.schools[0].rules = vec!["E1_RI_IN_YEAR".to_owned()];
        script.state.offer_placements.insert(urn(100_006), OfferPlacement::With(Box::new(eligible.clone())));
        let expected = if identified { State::Confirmed } else { State::Approved };
        if identified {
            script.identify(vec![eligible]).unwrap();
            let late = decide(script, "dora", id, true, DECIDED);
            assert_eq!(refusal(late), refused("REFERRAL_NOT_OPEN", 1), "a confirmed referral cannot be decided");
        } else {
            let decided = decide(script, "dora", id, true, DECIDED).unwrap();
            assert_eq!(decided.events.len(), 2, "the approval also makes the offer");
        }
        let it = &script.state.referrals[&id];
        let offer = &script.state.offers[&it.offer.unwrap()];
        assert_eq!((it.state, it.exceptional.is_empty()), (expected, true));
        assert_eq!(offer.schools[&urn(100_006)].rules, ["E1_RI_IN_YEAR"]);
    }
}

/// A decided entry position is not a file, so an approval adds the referral's rule. Replay accepts older approvals without it.
#[test]
fn an_approval_lists_its_rule_also_if_the_entry_position_was_decided() {
    let script = &mut new_script();
    script.today = day("2021-12-01");
    let mut decided = standalone(100_006);
    decided.schools[0].by_files = false;
    script.state.offer_placements.insert(urn(100_006), OfferPlacement::With(Box::new(decided)));
    let id = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
    discuss(script, id, DISCUSSED).unwrap();
    decide(script, "dora", id, true, DECIDED).unwrap();
    let it = &script.state.referrals[&id];
    assert_eq!(it.exceptional, [urn(100_006)]);
    let rules = &script.state.offers[&it.offer.unwrap()].schools[&urn(100_006)].rules;
    assert_eq!(*rules, ["E2_RI_TWICE_ON_ENTRY", E3]);
    assert_eq!(script.forbidden(), []);
    for event in &mut script.events {
        match &mut event.body {
            EventBody::ReferralApproved { exceptional, .. } => exceptional.clear(),
            EventBody::Identified { recipient: Recipient::Standalone(of), schools, .. } if *of == urn(100_006) => {
                schools[0].rules.truncate(1);
            }
            _ => {}
        }
    }
    assert_eq!(script.forbidden(), []);
}

#[test]
fn a_referral_outside_the_callers_reach_is_not_found() {
    let script = &mut new_script();
    let id = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
    discuss(script, id, DISCUSSED).unwrap();
    script.reach = Reach { regions: Regions::These([Region::SouthWest].into()), assigned_to: None };
    let hidden = (format!("NOT_FOUND referral {id}"), 0);
    assert_eq!(refusal(discuss(script, id, DISCUSSED)), hidden);
    assert_eq!(refusal(decide(script, "dora", id, true, DISCUSSED)), hidden);
    let absent = refusal(raise(script, referral_of(100_006, BENEFIT, RAISED)));
    assert_eq!(absent, ("NOT_FOUND school 100006".to_owned(), 0));
    // A school that no file names any more has no known region, so it is hidden too.
    assert_eq!(refusal(raise(script, referral_of(100_099, BENEFIT, RAISED))).0, "NOT_FOUND school 100099");
}

/// Trust 3000 has its offer in the South West, and a school in the West Midlands. Trust 4000 has no offer yet.
#[test]
fn a_caller_who_reaches_the_offer_may_refer_its_schools_in_other_regions() {
    let reach_of = |region| Reach { regions: Regions::These([region].into()), assigned_to: None };
    let placed_with = |n, trust| OfferPlacement::With(Box::new(mat(trust, vec![school(n, Region::WestMidlands)])));
    let benefit = |subject, urns: &[u32]| new_referral(subject, urns, BENEFIT, RAISED);
    let script = &mut new_script();
    script.state.offer_placements.insert(urn(100_020), placed_with(100_020, 3000));
    script.state.offer_placements.insert(urn(100_021), placed_with(100_021, 4000));
    let school = ReferralSubject::School(urn(100_020));
    script.reach = reach_of(Region::WestMidlands);
    let elsewhere = refusal(raise(script, benefit(school, &[100_020])));
    assert_eq!(elsewhere, ("NOT_FOUND school 100020".to_owned(), 0), "its offer is outside the caller's reach");
    raise(script, benefit(ReferralSubject::Trust(uid(4000)), &[100_021])).unwrap();
    script.reach = reach_of(Region::SouthWest);
    let id = raise(script, benefit(school, &[100_020])).unwrap();
    assert_eq!(script.state.referrals[&id].region, Region::SouthWest);
    discuss(script, id, DISCUSSED).unwrap();
    decide(script, "dora", id, true, DECIDED).unwrap();
    assert!(script.offer("M").schools.contains_key(&urn(100_020)));
    // After the offer has moved to another region, the caller does not see the approved referral any more.
    script.state.offers.entry(Script::offer_id_of("M")).and_modify(|it| it.region = Region::NorthOfEngland);
    let hidden = (format!("NOT_FOUND referral {id}"), 0);
    assert_eq!(refusal(decide(script, "dora", id, true, DECIDED)), hidden);
}

#[test]
fn a_stale_etag_changes_nothing() {
    let script = &mut new_script();
    let id = raise(script, referral_of(100_006, BENEFIT, RAISED)).unwrap();
    let etag = Some(script.state.referrals[&id].etag());
    discuss(script, id, DISCUSSED).unwrap();
    let stale = ReferralCommand::Withdraw { referral: ReferralTarget { referral: id, etag }, reason: "x".to_owned() };
    assert_eq!(refusal(script.call("ann", &Command::Refer(stale))).0, "STALE");
}
