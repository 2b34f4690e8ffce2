//! The record as others read it: hashes from an independent encoder, and the JSON of every body, written by hand.
//!
//! The hashes were computed by the script in `docs/record.md`, from that page alone and not by this program.

use super::*;
use crate::domain::book::recorder::{day, uid, urn};
use crate::domain::ids::LaCode;

const GENESIS: &str = "e003d1cb7f19e4394613abde750816cb1649409f8f436dc89afe5b15acb7408c";
const FIRST: &str = "77f7965745caecae4ffc5ea90d146e0c9186ff75d4e8dc6af6408db328255740";
const SECOND: &str = "5e36c158fec60516b02d1d91acc55cc0b76ec4a6eb32cb7d3ab5b10630f77b9c";
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

/// The two events of the worked example in `docs/record.md`: one with every optional field, one with none.
fn example() -> [(Event, &'static str); 2] {
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
        body: EventBody::Closed { outcome: Outcome::Declined },
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
        body: EventBody::Placed { urn: urn(100_001), placement: HandPlacement::Maintained },
    };
    [
        (first, r#"{"kind":"closed","outcome":"declined"}"#),
        (second, r#"{"kind":"placed","urn":100001,"placement":{"kind":"maintained"}}"#),
    ]
}

#[test]
fn the_chain_is_what_the_page_says() {
    let [(first, first_body), (second, second_body)] = example();
    assert_eq!(genesis(&programme()).to_string(), GENESIS);
    assert_eq!(text_hash(&(0..16).collect::<Vec<u8>>(), "Rang at noon – no").to_string(), TEXT);
    assert_eq!(chain(hash(GENESIS), &programme(), &first, first_body).to_string(), FIRST);
    assert_eq!(chain(hash(FIRST), &programme(), &second, second_body).to_string(), SECOND);
    for (event, body) in [(first, first_body), (second, second_body)] {
        assert_eq!(serde_json::to_string(&event.body).unwrap(), body, "the body hashed is the body stored");
    }
}

#[test]
fn the_page_shows_these_hashes() {
    let page = include_str!("../../../docs/record.md");
    for shown in [GENESIS, TEXT, FIRST, SECOND] {
        assert!(page.contains(shown), "{shown} is not in docs/record.md");
    }
}

/// A change of any one field, or of what came before, changes the hash.
#[test]
fn the_chain_covers_every_field() {
    let [(event, body), _] = example();
    let mut seen = std::collections::HashSet::from([hash(FIRST).0]);
    let mut differs = |what: &str, previous: &str, programme: &str, event: Event, body: &str| {
        let linked = chain(hash(previous), &programme.parse().unwrap(), &event, body);
        assert!(seen.insert(linked.0), "{what} is not covered");
    };
    let with = |change: &dyn Fn(&mut Event)| {
        let mut changed = event.clone();
        change(&mut changed);
        changed
    };
    differs("previous", FIRST, "2021-22", event.clone(), body);
    differs("programme", GENESIS, "2022-23", event.clone(), body);
    differs("body", GENESIS, "2021-22", event.clone(), r#"{"kind":"closed","outcome":"lapsed"}"#);
    differs("sequence", GENESIS, "2021-22", with(&|it| it.seq = Seq(2)), body);
    differs("kind", GENESIS, "2021-22", with(&|it| it.body = EventBody::Noted {}), body);
    differs("offer", GENESIS, "2021-22", with(&|it| it.offer = None), body);
    differs("actor", GENESIS, "2021-22", with(&|it| it.actor = "ada".parse().unwrap()), body);
    differs("request", GENESIS, "2021-22", with(&|it| it.request = RequestId(uuid::Uuid::nil())), body);
    differs("effective", GENESIS, "2021-22", with(&|it| it.effective = day("2021-10-05")), body);
    differs("recorded", GENESIS, "2021-22", with(&|it| it.recorded = Micros(0)), body);
    differs("reason", GENESIS, "2021-22", with(&|it| it.reason_code = None), body);
    differs("empty reason", GENESIS, "2021-22", with(&|it| it.reason_code = Some(String::new())), body);
    differs("text", GENESIS, "2021-22", with(&|it| it.text_hash = None), body);
}

#[test]
fn a_hash_is_read_only_as_64_hex_digits() {
    assert_eq!(hash(GENESIS).to_string(), GENESIS);
    assert_eq!(GENESIS.to_uppercase().parse::<Hash>().unwrap(), hash(GENESIS), "either case");
    let rows = ["", &GENESIS[1..], &format!("{GENESIS}0"), &"+f".repeat(32), &"é".repeat(32), &"0x".repeat(32)];
    for bad in rows {
        assert!(bad.parse::<Hash>().is_err(), "{bad:?}");
    }
}

/// Every kind of body and its JSON: what is on disk must be readable for ever.
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
    };
    let placed = |placement| EventBody::Placed { urn: urn(100_001), placement };
    let la = ResponsibleBody::LocalAuthority(LaCode::new(330).unwrap());
    let diocese = ResponsibleBody::Diocese("Ely".to_owned());
    #[rustfmt::skip]
    let rows = vec![
        (identified(Recipient::Mat(uid(3000)), Some(uid(3000)), ResponsibleBody::Trust(uid(3000)), vec![listed.clone()]),
            format!(r#"{{"kind":"identified","recipient":{{"mat":3000}},"name":"A","region":"south-west","trust":3000,"responsible":{{"trust":3000}},"terms":"{hex}","schools":[{school}]}}"#)),
        (identified(Recipient::Standalone(urn(100_003)), None, la, vec![]),
            format!(r#"{{"kind":"identified","recipient":{{"standalone":100003}},"name":"A","region":"south-west","trust":null,"responsible":{{"local_authority":330}},"terms":"{hex}","schools":[]}}"#)),
        (identified(Recipient::Standalone(urn(100_003)), None, diocese, vec![]),
            format!(r#"{{"kind":"identified","recipient":{{"standalone":100003}},"name":"A","region":"south-west","trust":null,"responsible":{{"diocese":"Ely"}},"terms":"{hex}","schools":[]}}"#)),
        (EventBody::SchoolsAdded { schools: vec![listed] },                               format!(r#"{{"kind":"schools_added","schools":[{school}]}}"#)),
        (EventBody::Contacted { party: Party::ResponsibleBody, urn: None },               r#"{"kind":"contacted","party":"responsible_body","urn":null}"#.into()),
        (EventBody::Contacted { party: Party::School, urn: Some(urn(100_003)) },          r#"{"kind":"contacted","party":"school","urn":100003}"#.into()),
        (EventBody::ContactCorrected { contact: Seq(12) },                                r#"{"kind":"contact_corrected","contact":12}"#.into()),
        (EventBody::Accepted { by: Acceptor::School },                                    r#"{"kind":"accepted","by":"school"}"#.into()),
        (EventBody::Accepted { by: Acceptor::Trust },                                     r#"{"kind":"accepted","by":"trust"}"#.into()),
        (EventBody::Started {},                                                           r#"{"kind":"started"}"#.into()),
        (EventBody::Closed { outcome: Outcome::Completed },                               r#"{"kind":"closed","outcome":"completed"}"#.into()),
        (EventBody::Closed { outcome: Outcome::Declined },                                r#"{"kind":"closed","outcome":"declined"}"#.into()),
        (EventBody::Closed { outcome: Outcome::Withdrawn },                               r#"{"kind":"closed","outcome":"withdrawn"}"#.into()),
        (EventBody::Closed { outcome: Outcome::Lapsed },                                  r#"{"kind":"closed","outcome":"lapsed"}"#.into()),
        (EventBody::Closed { outcome: Outcome::Ineligible },                              r#"{"kind":"closed","outcome":"ineligible"}"#.into()),
        (EventBody::Closed { outcome: Outcome::Superseded },                              r#"{"kind":"closed","outcome":"superseded"}"#.into()),
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
        (EventBody::ApprovalOpened { approval, action: "reopen_offer".into() },           format!(r#"{{"kind":"approval_opened","approval":"{id}","action":"reopen_offer"}}"#)),
        (EventBody::ApprovalGiven { approval },                                           format!(r#"{{"kind":"approval_given","approval":"{id}"}}"#)),
    ];
    rows
}

#[test]
fn every_body_keeps_its_json() {
    let mut kinds = std::collections::BTreeSet::new();
    for (body, json) in bodies() {
        assert_eq!(serde_json::to_string(&body).unwrap(), json);
        assert_eq!(serde_json::from_str::<EventBody>(&json).unwrap(), body, "{json}");
        assert!(json.starts_with(&format!(r#"{{"kind":"{}""#, body.kind())), "{json}");
        kinds.insert(body.kind());
    }
    assert_eq!(kinds.len(), 14, "every kind has a row: {kinds:?}");
}

/// "Fields are added, never renamed or removed": an older reader skips what it does not know, and an event written
/// before an optional field existed is read without it.
#[test]
fn a_body_may_gain_fields() {
    let newer = r#"{"kind":"closed","outcome":"lapsed","later":1}"#;
    assert_eq!(serde_json::from_str::<EventBody>(newer).unwrap(), EventBody::Closed { outcome: Outcome::Lapsed });
    let older = r#"{"kind":"contacted","party":"responsible_body"}"#;
    let wanted = EventBody::Contacted { party: Party::ResponsibleBody, urn: None };
    assert_eq!(serde_json::from_str::<EventBody>(older).unwrap(), wanted);
    for unknown in [r#"{"kind":"closed","outcome":"lost"}"#, r#"{"kind":"gone"}"#, r#"{"kind":"closed"}"#] {
        assert!(serde_json::from_str::<EventBody>(unknown).is_err(), "{unknown}");
    }
}
