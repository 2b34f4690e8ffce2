//! Tests the format of the record: the hashes of events, and the JSON of every body.
//!
//! The expected JSON is written by hand. The expected hashes come from the script in `docs/reference/record.md`. That
//! script was written from the description on that page, without this program.

use super::*;
use crate::award::LeaderKind;
use crate::award::claim::ClaimPart;
use crate::award::movement::MovementKind;
use crate::ids::{AccountId, ApprovalId, LaCode, Programme};
use crate::ledger::{EntryKind, EntrySeq, Unit};
use crate::money::{HalfDays, Pence};
use crate::offer::{Acceptor, ListedSchool, Milestone, Outcome, Party, Recipient, ResponsibleBody};
use crate::programme::tests::script::{day, uid, urn};
use crate::referral::{ReferralOrigin, ReferralSubject};
use crate::region::Region;
use crate::rules::RulesVersion;
use crate::school::HandPlacement;
use crate::terms::StrandId;
use crate::values::statement::{FundStatement, Numbers, Statement};

const GENESIS: &str = "e003d1cb7f19e4394613abde750816cb1649409f8f436dc89afe5b15acb7408c";
const FIRST: &str = "77f7965745caecae4ffc5ea90d146e0c9186ff75d4e8dc6af6408db328255740";
const SECOND: &str = "5e36c158fec60516b02d1d91acc55cc0b76ec4a6eb32cb7d3ab5b10630f77b9c";
const THIRD: &str = "784cd9d7ebf7f749a45ac2a98d69cb069d3bbcf9fff89d19da16ae3911706bad";
const TEXT: &str = "5c721d1623731d39fdec0ab1b00dafac49f86f97c9e81654a49da3b73a3e5964";

fn hash(hex: &str) -> Hash {
    hex.parse().unwrap()
}

fn programme() -> Programme {
    "2021-22".parse().unwrap()
}

fn uuid(text: &str) -> uuid::Uuid {
    uuid::Uuid::try_parse(text).unwrap()
}

/// The three events of the worked example in `docs/reference/record.md`: the first has every optional field, the
/// second has none, and the third has ledger entries. Each event is returned with its stored body.
fn example() -> [(Event, &'static str); 3] {
    let offer = OfferId(uuid("01890a5d-ac96-774b-bcce-b302099a8057"));
    let first = Event {
        seq: Seq(1),
        offer: Some(offer),
        actor: "case.officer-7".parse().unwrap(),
        request: RequestId(uuid("0f8fad5b-d9cb-469f-a165-70867728950e")),
        effective: day("2021-10-04"),
        recorded: Micros(1_633_359_600_123_456),
        reason_code: Some("no_capacity".to_owned()),
        text_hash: Some(hash(TEXT)),
        body: EventBody::Closed { outcome: Outcome::Declined, released: Vec::new() },
        entries: Vec::new(),
    };
    let second = Event {
        seq: Seq(2),
        offer: None,
        actor: "ada".parse().unwrap(),
        request: RequestId(uuid("7c9e6679-7425-40de-944b-e07fc1f90ae7")),
        effective: day("2021-10-05"),
        recorded: Micros(1_633_446_000_000_000),
        reason_code: None,
        text_hash: None,
        body: EventBody::Placed { urn: urn(100_001), placement: HandPlacement::Maintained, register_seq: None },
        entries: Vec::new(),
    };
    let entry = |seq, account, amount| LedgerEntry {
        seq: EntrySeq(seq),
        account: AccountId(uuid(account)),
        verb: EntryKind::Release,
        amount,
        period: "FY2021-22/M12".parse().unwrap(),
    };
    let third = Event {
        seq: Seq(3),
        offer: Some(offer),
        effective: day("2022-03-31"),
        recorded: Micros(1_648_728_000_000_000),
        body: EventBody::Released { award: AwardId(uuid("01890a5d-ac96-774b-bcce-b302099a8058")), amount: 3 },
        entries: vec![
            entry(7, "01890a5d-ac96-8947-867c-5335a998bf3a", 3),
            entry(8, "b83399e0-b8fc-85ac-aeb4-1c80f32c51e6", 90_000),
        ],
        ..second.clone()
    };
    [
        (first, r#"{"kind":"closed","outcome":"declined"}"#),
        (second, r#"{"kind":"placed","urn":100001,"placement":{"kind":"maintained"}}"#),
        (third, r#"{"kind":"released","award":"01890a5d-ac96-774b-bcce-b302099a8058","amount":3}"#),
    ]
}

#[test]
fn the_chain_has_the_hashes_of_the_documentation() {
    let [(first, first_body), (second, second_body), (third, third_body)] = example();
    assert_eq!(genesis(&programme()).to_string(), GENESIS);
    assert_eq!(text_hash(&(0..16).collect::<Vec<u8>>(), "Rang at noon – no").to_string(), TEXT);
    assert_eq!(chain(hash(GENESIS), &programme(), &first, first_body).to_string(), FIRST);
    assert_eq!(chain(hash(FIRST), &programme(), &second, second_body).to_string(), SECOND);
    assert_eq!(chain(hash(SECOND), &programme(), &third, third_body).to_string(), THIRD);
    for (event, body) in [(first, first_body), (second, second_body), (third, third_body)] {
        assert_eq!(serde_json::to_string(&event.body).unwrap(), body, "the hashed body must be the stored body");
    }
}

#[test]
fn the_documentation_shows_these_hashes() {
    let page = include_str!("../../../../docs/reference/record.md");
    for shown in [GENESIS, TEXT, FIRST, SECOND, THIRD] {
        assert!(page.contains(shown), "{shown} is not in docs/reference/record.md");
    }
}

/// A change of any field, or of the previous hash, changes the hash.
#[test]
fn the_chain_covers_every_field() {
    let [(event, body), _, (third_event, _)] = example();
    let mut seen = std::collections::HashSet::from([hash(FIRST).0]);
    let mut check_differs = |field: &str, previous: &str, programme: &str, event: Event, body: &str| {
        let linked = chain(hash(previous), &programme.parse::<Programme>().unwrap(), &event, body);
        assert!(seen.insert(linked.0), "{field} is not covered");
    };
    let with_event = |change: &dyn Fn(&mut Event)| {
        let mut changed = event.clone();
        change(&mut changed);
        changed
    };
    check_differs("previous", FIRST, "2021-22", event.clone(), body);
    check_differs("programme", GENESIS, "2022-23", event.clone(), body);
    check_differs("body", GENESIS, "2021-22", event.clone(), r#"{"kind":"closed","outcome":"lapsed"}"#);
    check_differs("sequence", GENESIS, "2021-22", with_event(&|it| it.seq = Seq(2)), body);
    check_differs("kind", GENESIS, "2021-22", with_event(&|it| it.body = EventBody::Noted {}), body);
    check_differs("offer", GENESIS, "2021-22", with_event(&|it| it.offer = None), body);
    check_differs("actor", GENESIS, "2021-22", with_event(&|it| it.actor = "ada".parse().unwrap()), body);
    check_differs("request", GENESIS, "2021-22", with_event(&|it| it.request = RequestId(uuid::Uuid::nil())), body);
    check_differs("effective", GENESIS, "2021-22", with_event(&|it| it.effective = day("2021-10-05")), body);
    check_differs("recorded", GENESIS, "2021-22", with_event(&|it| it.recorded = Micros(0)), body);
    check_differs("reason", GENESIS, "2021-22", with_event(&|it| it.reason_code = None), body);
    check_differs("empty reason", GENESIS, "2021-22", with_event(&|it| it.reason_code = Some(String::new())), body);
    check_differs("text", GENESIS, "2021-22", with_event(&|it| it.text_hash = None), body);

    let with_entries = |change: &dyn Fn(&mut Vec<LedgerEntry>)| {
        let mut changed = Event { entries: third_event.entries.clone(), ..event.clone() };
        change(&mut changed.entries);
        changed
    };
    check_differs("entries", GENESIS, "2021-22", with_entries(&|_| ()), body);
    check_differs("number of entries", GENESIS, "2021-22", with_entries(&|it| it.truncate(1)), body);
    check_differs("order of entries", GENESIS, "2021-22", with_entries(&|it| it.reverse()), body);
    check_differs("number of an entry", GENESIS, "2021-22", with_entries(&|it| it[1].seq = EntrySeq(9)), body);
    check_differs("account of an entry", GENESIS, "2021-22", with_entries(&|it| it[1].account = it[0].account), body);
    check_differs("kind of an entry", GENESIS, "2021-22", with_entries(&|it| it[1].verb = EntryKind::Refund), body);
    check_differs("amount of an entry", GENESIS, "2021-22", with_entries(&|it| it[1].amount = 90_001), body);
    let period = "FY2022-23/M01".parse().unwrap();
    check_differs("period of an entry", GENESIS, "2021-22", with_entries(&|it| it[1].period = period), body);
}

#[test]
fn a_hash_is_read_only_as_64_hex_digits() {
    assert_eq!(hash(GENESIS).to_string(), GENESIS);
    assert_eq!(GENESIS.to_uppercase().parse::<Hash>().unwrap(), hash(GENESIS), "upper and lower case must be accepted");
    let rows = ["", &GENESIS[1..], &format!("{GENESIS}0"), &"+f".repeat(32), &"é".repeat(32), &"0x".repeat(32)];
    for bad in rows {
        assert!(bad.parse::<Hash>().is_err(), "{bad:?}");
    }
}

/// Bodies with their JSON. Stored events must stay readable for ever.
#[rustfmt::skip]
fn bodies() -> Vec<(EventBody, String)> {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let (approval, terms) = (ApprovalId(uuid(id)), Hash([0xab; 32]));
    let listed =
        ListedSchool { urn: urn(100_003), name: "St Ann’s".to_owned(), rules: vec!["E1_RI_IN_YEAR".to_owned()] };
    let school = r#"{"urn":100003,"name":"St Ann’s","rules":["E1_RI_IN_YEAR"]}"#;
    let hex = "ab".repeat(32);
    let identified = |recipient, trust, responsible, schools| EventBody::Identified {
        recipient,
        name: "A".to_owned(),
        region: Region::SouthWest,
        trust,
        responsible,
        terms,
        schools,
        register_seq: None,
    };
    let closed = |outcome| EventBody::Closed { outcome, released: Vec::new() };
    let placed = |placement| EventBody::Placed { urn: urn(100_001), placement, register_seq: None };
    let la = ResponsibleBody::LocalAuthority(LaCode::new(330).unwrap());
    let diocese = ResponsibleBody::Diocese("Ely".to_owned());
    vec![
        (identified(Recipient::Mat(uid(3000)), Some(uid(3000)), ResponsibleBody::Trust(uid(3000)), vec![listed.clone()]),
            format!(r#"{{"kind":"identified","recipient":{{"mat":3000}},"name":"A","region":"south-west","trust":3000,"responsible":{{"trust":3000}},"terms":"{hex}","schools":[{school}]}}"#)),
        (identified(Recipient::Standalone(urn(100_003)), None, la, vec![]),
            format!(r#"{{"kind":"identified","recipient":{{"standalone":100003}},"name":"A","region":"south-west","trust":null,"responsible":{{"local_authority":330}},"terms":"{hex}","schools":[]}}"#)),
        (identified(Recipient::Standalone(urn(100_003)), None, diocese, vec![]),
            format!(r#"{{"kind":"identified","recipient":{{"standalone":100003}},"name":"A","region":"south-west","trust":null,"responsible":{{"diocese":"Ely"}},"terms":"{hex}","schools":[]}}"#)),
        (EventBody::SchoolsAdded { schools: vec![listed], register_seq: None },                               format!(r#"{{"kind":"schools_added","schools":[{school}]}}"#)),
        (EventBody::Contacted { party: Party::ResponsibleBody, urn: None },               r#"{"kind":"contacted","party":"responsible_body","urn":null}"#.into()),
        (EventBody::Contacted { party: Party::School, urn: Some(urn(100_003)) },          r#"{"kind":"contacted","party":"school","urn":100003}"#.into()),
        (EventBody::ContactCorrected { contact: Seq(12) },                                r#"{"kind":"contact_corrected","contact":12}"#.into()),
        (EventBody::Accepted { by: Acceptor::School },                                    r#"{"kind":"accepted","by":"school"}"#.into()),
        (EventBody::Accepted { by: Acceptor::Trust },                                     r#"{"kind":"accepted","by":"trust"}"#.into()),
        (EventBody::Started {},                                                           r#"{"kind":"started"}"#.into()),
        (EventBody::DateCorrected { milestone: Milestone::Accepted, on: day("2021-10-08") },  r#"{"kind":"date_corrected","milestone":"accepted","on":"2021-10-08"}"#.into()),
        (EventBody::DateCorrected { milestone: Milestone::Started, on: day("2021-10-08") },   r#"{"kind":"date_corrected","milestone":"started","on":"2021-10-08"}"#.into()),
        (closed(Outcome::Completed),                                                          r#"{"kind":"closed","outcome":"completed"}"#.into()),
        (closed(Outcome::Declined),                                                           r#"{"kind":"closed","outcome":"declined"}"#.into()),
        (closed(Outcome::Withdrawn),                                                          r#"{"kind":"closed","outcome":"withdrawn"}"#.into()),
        (closed(Outcome::Lapsed),                                                             r#"{"kind":"closed","outcome":"lapsed"}"#.into()),
        (closed(Outcome::Ineligible),                                                         r#"{"kind":"closed","outcome":"ineligible"}"#.into()),
        (closed(Outcome::Superseded),                                                         r#"{"kind":"closed","outcome":"superseded"}"#.into()),
        (EventBody::Reopened { approval },                                                format!(r#"{{"kind":"reopened","approval":"{id}"}}"#)),
        (EventBody::Assigned { to: "cy".parse().ok() },                                   r#"{"kind":"assigned","to":"cy"}"#.into()),
        (EventBody::Assigned { to: None },                                                r#"{"kind":"assigned","to":null}"#.into()),
        (EventBody::Noted {},                                                             r#"{"kind":"noted"}"#.into()),
        (EventBody::RegionChanged { from: Region::EastMidlandsHumber, to: Region::EastOfEnglandNorthEastLondon },
            r#"{"kind":"region_changed","from":"east-midlands-humber","to":"east-of-england-north-east-london"}"#.into()),
        (EventBody::RegionChanged { from: Region::LancashireWestYorkshire, to: Region::NorthOfEngland },
            r#"{"kind":"region_changed","from":"lancashire-west-yorkshire","to":"north-of-england"}"#.into()),
        (EventBody::RegionChanged { from: Region::NorthWestLondonSouthCentral, to: Region::SouthEastSouthLondon },
            r#"{"kind":"region_changed","from":"north-west-london-south-central","to":"south-east-south-london"}"#.into()),
        (EventBody::RegionChanged { from: Region::SouthWest, to: Region::WestMidlands },
            r#"{"kind":"region_changed","from":"south-west","to":"west-midlands"}"#.into()),
        (placed(HandPlacement::Maintained),                                               r#"{"kind":"placed","urn":100001,"placement":{"kind":"maintained"}}"#.into()),
        (placed(HandPlacement::SingleAcademyTrust { uid: uid(9) }),                       r#"{"kind":"placed","urn":100001,"placement":{"kind":"single_academy_trust","uid":9}}"#.into()),
        (placed(HandPlacement::SingleSchoolMat { uid: uid(9) }),                          r#"{"kind":"placed","urn":100001,"placement":{"kind":"single_school_mat","uid":9}}"#.into()),
        (placed(HandPlacement::Mat { uid: uid(9) }),                                      r#"{"kind":"placed","urn":100001,"placement":{"kind":"mat","uid":9}}"#.into()),
        (EventBody::ApprovalOpened { approval, action: ApprovalAction::ReopenOffer, change: None, statement: None, expires_at: None, token_subject: None }, format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"reopen_offer"}}"#)),
        (EventBody::RulesAdopted { version: RulesVersion::V2, absent_texts: Vec::new(), terms: None }, r#"{"kind":"rules_adopted","version":2}"#.into()),
        (EventBody::ApprovalWithdrawn { approval, token_subject: None },                                       format!(r#"{{"kind":"approval_withdrawn","approval":"{id}"}}"#)),
        (fund_approval_opened(approval, AccountId(uuid(id))), format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"withdraw_fund","statement":{{"kind":"funds","funds":[{{"fund":"{id}","before":{{"allocated":9,"committed":2,"spent":3,"available":4}},"after":{{"allocated":4,"committed":2,"spent":3,"available":-1}}}}]}},"expires_at":7}}"#)),
        (EventBody::ApprovalOpened { approval, action: ApprovalAction::ReopenOffer, change: None, statement: Some(Statement::Offer { etag: "v3".into(), region: Region::SouthWest }), expires_at: Some(Micros(7)), token_subject: None },
            format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"reopen_offer","statement":{{"kind":"offer","etag":"v3","region":"south-west"}},"expires_at":7}}"#)),
        (EventBody::ApprovalDenied { approval, token_subject: None },                                          format!(r#"{{"kind":"approval_denied","approval":"{id}"}}"#)),
        (EventBody::ApprovalGiven { approval, token_subject: Some(Hash([171; 32])) },                                           format!(r#"{{"kind":"approval_given","approval":"{id}","token_subject":"{hex}"}}"#)),
    ]
}

/// Bodies of an entry position that two people decide.
#[rustfmt::skip]
fn entry_bodies() -> Vec<(EventBody, String)> {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let approval = ApprovalId(uuid(id));
    vec![
        (EventBody::EntryDecided { approval, urn: urn(100_001), met: true, register_seq: None },
            format!(r#"{{"kind":"entry_decided","approval":"{id}","urn":100001,"met":true}}"#)),
        (EventBody::ApprovalOpened { approval, action: ApprovalAction::DecideEntry, change: None, statement: Some(Statement::Entry { urn: urn(100_001), met: false, region: Some(Region::SouthWest), before: Some(true), offers: None }), expires_at: Some(Micros(7)), token_subject: None },
            format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"decide_entry","statement":{{"kind":"entry","urn":100001,"met":false,"region":"south-west","before":true}},"expires_at":7}}"#)),
        (EventBody::ApprovalOpened { approval, action: ApprovalAction::DecideEntry, change: None, statement: Some(Statement::Entry { urn: urn(100_001), met: true, region: None, before: None, offers: None }), expires_at: Some(Micros(7)), token_subject: None },
            format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"decide_entry","statement":{{"kind":"entry","urn":100001,"met":true}},"expires_at":7}}"#)),
        (EventBody::ApprovalOpened { approval, action: ApprovalAction::DecideEntry, change: None, statement: Some(Statement::Entry { urn: urn(100_001), met: false, region: None, before: Some(true), offers: Some(vec![OfferId(uuid(id))]) }), expires_at: Some(Micros(7)), token_subject: None },
            format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"decide_entry","statement":{{"kind":"entry","urn":100001,"met":false,"before":true,"offers":["{id}"]}},"expires_at":7}}"#)),
    ]
}

/// Bodies of erased texts, and of the event that lists the texts erased before it.
#[rustfmt::skip]
fn erasing_bodies() -> Vec<(EventBody, String)> {
    let hex = "ab".repeat(32);
    vec![
        (EventBody::RulesAdopted { version: RulesVersion::V2, absent_texts: vec![Seq(7), Seq(9)], terms: None }, r#"{"kind":"rules_adopted","version":2,"absent_texts":[7,9]}"#.into()),
        (EventBody::RulesAdopted { version: RulesVersion::V2, absent_texts: Vec::new(), terms: Some(Hash([171; 32])) }, format!(r#"{{"kind":"rules_adopted","version":2,"terms":"{hex}"}}"#)),
        (EventBody::TextErased { event: Seq(7) }, r#"{"kind":"text_erased","event":7}"#.into()),
    ]
}

/// The opening of an approval whose statement is about a fund.
fn fund_approval_opened(approval: ApprovalId, fund: AccountId) -> EventBody {
    let numbers = |[allocated, committed, spent, available]: [i64; 4]| Numbers {
        allocated: Pence(allocated),
        committed: Pence(committed),
        spent: Pence(spent),
        available: Pence(available),
    };
    let funds = vec![FundStatement {
        fund,
        before: numbers([9, 2, 3, 4]),
        after: numbers([4, 2, 3, -1]),
        as_of_shortfall: None,
    }];
    let statement = Some(Statement::Funds { funds, moved_alone: None });
    let (action, expires_at) = (ApprovalAction::WithdrawFund, Some(Micros(7)));
    EventBody::ApprovalOpened { approval, action, change: None, statement, expires_at, token_subject: None }
}

fn awarded(
    (award, fund): (AwardId, AccountId),
    unit: Unit,
    (cap, rate): (Option<AccountId>, Option<Pence>),
    support: Support,
) -> EventBody {
    EventBody::Awarded { award, unit, amount: 4, fund, cap, rate, support, register_seq: None }
}

/// Bodies about money.
fn money_bodies() -> Vec<(EventBody, String)> {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let (award, fund, approval) = (AwardId(uuid(id)), AccountId(uuid(id)), ApprovalId(uuid(id)));
    let (on, amount) = (day("2022-03-31"), Pence(500));
    let invoice = Reference::read("inv-1").ok();
    let leader: Actor = "leader-1".parse().unwrap();
    let awarded = |unit, cap, rate, support| awarded((award, fund), unit, (cap, rate), support);
    let opened = |action, change| EventBody::ApprovalOpened {
        approval,
        action,
        change: Some(change),
        statement: None,
        expires_at: None,
        token_subject: None,
    };
    let strand = StrandId::new("credit");
    let released = vec![ReleasedAward { award, amount: 4 }];
    let support_of_npqel = Support::Npqel { leader: leader.clone(), provider: "Teach First".to_owned() };
    #[rustfmt::skip]
    let rows = vec![
        (EventBody::Closed { outcome: Outcome::Completed, released },
            format!(r#"{{"kind":"closed","outcome":"completed","released":[{{"award":"{id}","amount":4}}]}}"#)),
        (EventBody::FundCreated { fund, strand: strand.clone(), region: None, binds: true },
            format!(r#"{{"kind":"fund_created","fund":"{id}","strand":"credit","region":null,"binds":true}}"#)),
        (EventBody::FundCreated { fund, strand, region: Some(Region::SouthWest), binds: false },
            format!(r#"{{"kind":"fund_created","fund":"{id}","strand":"credit","region":"south-west","binds":false}}"#)),
        (EventBody::FundAllocated { fund, amount, token_subject: None },
            format!(r#"{{"kind":"fund_allocated","fund":"{id}","amount":500}}"#)),
        (EventBody::FundAllocated { fund, amount, token_subject: Some(Hash([7; 32])) },
            format!(r#"{{"kind":"fund_allocated","fund":"{id}","amount":500,"token_subject":"{}"}}"#, "07".repeat(32))),
        (EventBody::FundWithdrawn { fund, amount, over_commit: true, token_subject: None },
            format!(r#"{{"kind":"fund_withdrawn","fund":"{id}","amount":500,"over_commit":true}}"#)),
        (EventBody::FundsMoved { from: fund, to: fund, amount, token_subject: None },
            format!(r#"{{"kind":"funds_moved","from":"{id}","to":"{id}","amount":500}}"#)),
        (opened(ApprovalAction::AllocateFund, FundChange::Allocate { fund, amount, on }),
            format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"allocate_fund","change":{{"kind":"allocate","fund":"{id}","amount":500,"on":"2022-03-31"}}}}"#)),
        (opened(ApprovalAction::WithdrawFund, FundChange::Withdraw { fund, amount, over_commit: true, on }),
            format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"withdraw_fund","change":{{"kind":"withdraw","fund":"{id}","amount":500,"over_commit":true,"on":"2022-03-31"}}}}"#)),
        (opened(ApprovalAction::MoveFunds, FundChange::Move { from: fund, to: fund, amount, on }),
            format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"move_funds","change":{{"kind":"move","from":"{id}","to":"{id}","amount":500,"on":"2022-03-31"}}}}"#)),
        (awarded(Unit::HalfDays, Some(fund), Some(Pence(60_000)), Support::Nle { leader: leader.clone(), leader_kind: None }),
            format!(r#"{{"kind":"awarded","award":"{id}","unit":"half_days","amount":4,"fund":"{id}","cap":"{id}","rate":60000,"support":{{"kind":"nle","leader":"leader-1"}}}}"#)),
        (awarded(Unit::Pence, Some(fund), None, Support::Credit { partner: uid(4000) }),
            format!(r#"{{"kind":"awarded","award":"{id}","unit":"pence","amount":4,"fund":"{id}","cap":"{id}","rate":null,"support":{{"kind":"credit","partner":4000}}}}"#)),
        (awarded(Unit::Pence, None, None, Support::Nlg { leader: None, organisation: None }),
            format!(r#"{{"kind":"awarded","award":"{id}","unit":"pence","amount":4,"fund":"{id}","cap":null,"rate":null,"support":{{"kind":"nlg"}}}}"#)),
        (awarded(Unit::Pence, None, None, support_of_npqel),
            format!(r#"{{"kind":"awarded","award":"{id}","unit":"pence","amount":4,"fund":"{id}","cap":null,"rate":null,"support":{{"kind":"npqel","leader":"leader-1","provider":"Teach First"}}}}"#)),
        (EventBody::DaysBooked { award, half_days: HalfDays(3), on, leader, leader_kind: None },
            format!(r#"{{"kind":"days_booked","award":"{id}","half_days":3,"on":"2022-03-31","leader":"leader-1"}}"#)),
        (EventBody::BookingCancelled { award, booking: Seq(9) },
            format!(r#"{{"kind":"booking_cancelled","award":"{id}","booking":9}}"#)),
        (EventBody::Drawn { award, amount: 4, booking: Some(Seq(9)), invoice: None, claim: None },
            format!(r#"{{"kind":"drawn","award":"{id}","amount":4,"booking":9,"invoice":null}}"#)),
        (EventBody::Drawn { award, amount: 4, booking: None, invoice, claim: None },
            format!(r#"{{"kind":"drawn","award":"{id}","amount":4,"booking":null,"invoice":"INV1"}}"#)),
        (EventBody::Undone { award, undoes: Seq(9), movement: MovementKind::Draw, amount: 4, invoice: Some(Seq(9)), booking: Some(Seq(8)), part: None },
            format!(r#"{{"kind":"undone","award":"{id}","undoes":9,"movement":"draw","amount":4,"invoice":9,"booking":8}}"#)),
        (EventBody::Undone { award, undoes: Seq(9), movement: MovementKind::Release, amount: 4, invoice: None, booking: None, part: None },
            format!(r#"{{"kind":"undone","award":"{id}","undoes":9,"movement":"release","amount":4}}"#)),
        (EventBody::Undone { award, undoes: Seq(9), movement: MovementKind::Refund, amount: 4, invoice: None, booking: None, part: None },
            format!(r#"{{"kind":"undone","award":"{id}","undoes":9,"movement":"refund","amount":4}}"#)),
        (EventBody::Undone { award, undoes: Seq(9), movement: MovementKind::Refund, amount: 4, invoice: Some(Seq(7)), booking: None, part: Some(2) },
            format!(r#"{{"kind":"undone","award":"{id}","undoes":9,"movement":"refund","amount":4,"invoice":7,"part":2}}"#)),
        (EventBody::Released { award, amount: 4 },
            format!(r#"{{"kind":"released","award":"{id}","amount":4}}"#)),
        (EventBody::Refunded { award, amount: 4, invoice: Some(Seq(9)) },
            format!(r#"{{"kind":"refunded","award":"{id}","amount":4,"invoice":9}}"#)),
    ];
    rows
}

/// Bodies about money with the fields that version 2 of the rules added.
fn claim_bodies() -> Vec<(EventBody, String)> {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let (award, fund, on) = (AwardId(uuid(id)), AccountId(uuid(id)), day("2022-03-31"));
    let invoice = Reference::read("inv-1").ok();
    let leader: Actor = "leader-1".parse().unwrap();
    let awarded = |unit, cap, rate, support| awarded((award, fund), unit, (cap, rate), support);
    // SHA-256 of `tsio issuer v1`, a newline and `OAKTRUST`.
    let key = "2187a3f5fe8d5e278e077066ad6a0f25b4cb867802fe0e3474e66a8edfd6d3cd";
    let claim = |issuer: Option<&str>, total| ClaimPart {
        issuer: issuer.map(ToOwned::to_owned),
        issuer_key: key.parse().unwrap(),
        printed: "inv-1".to_owned(),
        total,
        part: 3,
    };
    #[rustfmt::skip]
    let rows = vec![
        (EventBody::DaysBooked { award, half_days: HalfDays(3), on, leader: leader.clone(), leader_kind: Some(LeaderKind::Equivalent) },
            format!(r#"{{"kind":"days_booked","award":"{id}","half_days":3,"on":"2022-03-31","leader":"leader-1","leader_kind":"equivalent"}}"#)),
        (awarded(Unit::HalfDays, Some(fund), Some(Pence(60_000)), Support::Nle { leader: leader.clone(), leader_kind: Some(LeaderKind::NationalLeader) }),
            format!(r#"{{"kind":"awarded","award":"{id}","unit":"half_days","amount":4,"fund":"{id}","cap":"{id}","rate":60000,"support":{{"kind":"nle","leader":"leader-1","leader_kind":"national_leader"}}}}"#)),
        (awarded(Unit::Pence, None, None, Support::Nlg { leader: Some(leader), organisation: Some("Oak Trust".to_owned()) }),
            format!(r#"{{"kind":"awarded","award":"{id}","unit":"pence","amount":4,"fund":"{id}","cap":null,"rate":null,"support":{{"kind":"nlg","leader":"leader-1","organisation":"Oak Trust"}}}}"#)),
        (EventBody::BookingDelivered { award, booking: Seq(9) },
            format!(r#"{{"kind":"booking_delivered","award":"{id}","booking":9}}"#)),
        (EventBody::Drawn { award, amount: 4, booking: None, invoice: invoice.clone(), claim: Some(claim(None, None)) },
            format!(r#"{{"kind":"drawn","award":"{id}","amount":4,"booking":null,"invoice":"INV1","claim":{{"issuer_key":"{key}","printed":"inv-1","part":3}}}}"#)),
        (EventBody::Drawn { award, amount: 4, booking: None, invoice: invoice.clone(), claim: Some(claim(Some("Oak Trust"), Some(Pence(9)))) },
            format!(r#"{{"kind":"drawn","award":"{id}","amount":4,"booking":null,"invoice":"INV1","claim":{{"issuer":"Oak Trust","issuer_key":"{key}","printed":"inv-1","total":9,"part":3}}}}"#)),
    ];
    rows
}

#[rustfmt::skip]
fn referral_bodies() -> Vec<(EventBody, String)> {
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let referral = ReferralId(uuid(id));
    let raised = |subject, region, origin| EventBody::ReferralRaised {
        referral, subject, urns: vec![urn(100_001)], name: "Ash".into(), region, origin, rule: "E3_EXCEPTIONAL".into(), ground: "would_benefit".into(), token_subject: None, register_seq: None,
    };
    vec![
        (raised(ReferralSubject::School(urn(100_001)), Region::SouthWest, ReferralOrigin::SelfIdentified),
            format!(r#"{{"kind":"referral_raised","referral":"{id}","subject":{{"school":100001}},"urns":[100001],"name":"Ash","region":"south-west","origin":"self_identified","rule":"E3_EXCEPTIONAL","ground":"would_benefit"}}"#)),
        (raised(ReferralSubject::Trust(uid(9)), Region::WestMidlands, ReferralOrigin::Exceptional),
            format!(r#"{{"kind":"referral_raised","referral":"{id}","subject":{{"trust":9}},"urns":[100001],"name":"Ash","region":"west-midlands","origin":"exceptional","rule":"E3_EXCEPTIONAL","ground":"would_benefit"}}"#)),
        (EventBody::ResponsibleBodyChanged {
            from: ResponsibleBody::LocalAuthority(crate::ids::LaCode::new(886).unwrap()), to: ResponsibleBody::Diocese("Ely".into()), trust: None, register_seq: None },
            r#"{"kind":"responsible_body_changed","from":{"local_authority":886},"to":{"diocese":"Ely"},"trust":null}"#.to_owned()),
        (EventBody::ReferralDiscussed { referral, held_with: None }, format!(r#"{{"kind":"referral_discussed","referral":"{id}"}}"#)),
        (EventBody::ReferralDiscussed { referral, held_with: Some(DiscussionPartner::RegionalSchoolsCommissioner) },
            format!(r#"{{"kind":"referral_discussed","referral":"{id}","held_with":"regional_schools_commissioner"}}"#)),
        (EventBody::ReferralConfirmed { referral, offer: OfferId(referral.0), register_seq: None },
            format!(r#"{{"kind":"referral_confirmed","referral":"{id}","offer":"{id}"}}"#)),
        (EventBody::ReferralApproved { referral, offer: OfferId(referral.0), exceptional: vec![urn(100_001)], token_subject: None, register_seq: None },
            format!(r#"{{"kind":"referral_approved","referral":"{id}","offer":"{id}","exceptional":[100001]}}"#)),
        (EventBody::ReferralDeclined { referral, token_subject: None },  format!(r#"{{"kind":"referral_declined","referral":"{id}"}}"#)),
        (EventBody::ReferralWithdrawn { referral }, format!(r#"{{"kind":"referral_withdrawn","referral":"{id}"}}"#)),
    ]
}

#[test]
fn every_body_keeps_its_json() {
    let mut kinds = std::collections::BTreeSet::new();
    for (body, json) in bodies()
        .into_iter()
        .chain(entry_bodies())
        .chain(erasing_bodies())
        .chain(money_bodies())
        .chain(claim_bodies())
        .chain(referral_bodies())
    {
        assert_eq!(serde_json::to_string(&body).unwrap(), json);
        assert_eq!(serde_json::from_str::<EventBody>(&json).unwrap(), body, "{json}");
        assert!(json.starts_with(&format!(r#"{{"kind":"{}""#, body.kind())), "{json}");
        assert_eq!(body.changes_etag(), EventBody::KINDS_THAT_CHANGE_ETAG.contains(&body.kind()), "{json}");
        kinds.insert(body.kind());
    }
    assert_eq!(kinds, EventBody::KINDS.into(), "every kind must have a row");
}

/// Only a body that depends on the register or the files gets the last event of the register's record.
#[test]
fn a_body_that_depends_on_the_register_cites_its_record() {
    let dependent_kinds = "identified schools_added responsible_body_changed placed entry_decided referral_raised \
                   referral_approved referral_confirmed";
    let all = bodies().into_iter().chain(entry_bodies()).chain(money_bodies()).chain(referral_bodies());
    for (mut body, json) in all {
        let depends = dependent_kinds.split(' ').any(|it| it == body.kind())
            || matches!(body, EventBody::Awarded { support: Support::Credit { .. }, .. });
        assert_eq!(body.register_seq(), None);
        body.set_register_seq(Seq(12));
        let expected =
            if depends { format!(r#"{},"register_seq":12}}"#, json.trim_end_matches('}')) } else { json.clone() };
        assert_eq!(body.register_seq().is_some(), depends, "{json}");
        // Compared without closing braces: `trim_end_matches` removes those of inner objects too.
        let cited = serde_json::to_string(&body).unwrap();
        assert_eq!(cited.replace('}', ""), expected.replace('}', ""), "{json}");
        assert_eq!(serde_json::from_str::<EventBody>(&cited).unwrap(), body);
    }
}

/// "Fields are added, never renamed or removed": the program ignores unknown fields, and reads an event that was
/// stored before an optional field existed.
#[test]
fn a_body_may_gain_fields() {
    let lapsed = EventBody::Closed { outcome: Outcome::Lapsed, released: Vec::new() };
    let newer = r#"{"kind":"closed","outcome":"lapsed","later":1}"#;
    assert_eq!(serde_json::from_str::<EventBody>(newer).unwrap(), lapsed);
    let older = r#"{"kind":"contacted","party":"responsible_body"}"#;
    let expected = EventBody::Contacted { party: Party::ResponsibleBody, urn: None };
    assert_eq!(serde_json::from_str::<EventBody>(older).unwrap(), expected);
    // Events that were stored before the fields `released` and `change` existed.
    let older = r#"{"kind":"closed","outcome":"lapsed"}"#;
    assert_eq!(serde_json::from_str::<EventBody>(older).unwrap(), lapsed);
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let older = format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"reopen_offer"}}"#);
    let (approval, action) = (ApprovalId(uuid(id)), ApprovalAction::ReopenOffer);
    let expected = EventBody::ApprovalOpened {
        approval,
        action,
        change: None,
        statement: None,
        expires_at: None,
        token_subject: None,
    };
    assert_eq!(serde_json::from_str::<EventBody>(&older).unwrap(), expected);
    for unknown in [r#"{"kind":"closed","outcome":"lost"}"#, r#"{"kind":"gone"}"#, r#"{"kind":"closed"}"#] {
        assert!(serde_json::from_str::<EventBody>(unknown).is_err(), "{unknown}");
    }
}
