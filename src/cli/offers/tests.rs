//! Tests the JSON and the table of offers, and the JSON of `identify`.

use serde_json::Value;

use super::record::identify_json;
use super::*;
use crate::proto::{
    AcceptOfferResponse, BlockedSchool, Cap, CloseOfferResponse, ClosedSchool, Contact, GetOfferResponse,
    IdentifyOffersResponse, NotEligibleSchool, NoteOfferResponse, Offer, OfferEvent, OfferSchool, Outcome, Party,
    RecipientKind, ReleasedAward, Unit, UnplacedSchool, Warning,
};

fn offer() -> Offer {
    Offer {
        offer: "1f".to_owned(),
        programme: "2021-22".to_owned(),
        recipient_kind: RecipientKind::Mat.into(),
        recipient: 2044,
        name: "Oak Trust".to_owned(),
        region: "West Midlands".to_owned(),
        state: OfferState::Contacted.into(),
        outcome: Outcome::Unspecified.into(),
        schools: vec![OfferSchool {
            urn: 103_150,
            name: "Elm".to_owned(),
            rules: vec!["E2_RI_TWICE_ON_ENTRY".to_owned()],
        }],
        contacts: vec![Contact {
            contact: 9,
            party: Party::ResponsibleBody.into(),
            urn: 0,
            date: "2021-10-04".to_owned(),
            corrected_by: 0,
        }],
        etag: "e1".to_owned(),
        trust_uid: 2044,
        terms_sha256: "3c".to_owned(),
        ..Offer::default()
    }
}

/// The JSON of [`offer`] as one row of a list, without the closing brace, so that a test can add keys.
const ROW_JSON: &str = concat!(
    r#"{"offer":"1f","programme":"2021-22","recipient_kind":"mat","recipient":2044,"name":"Oak Trust","#,
    r#""region":"West Midlands","state":"contacted","etag":"e1","assignee":null,"outcome":null,"#,
    r#""accepted":null,"started":null"#,
);

/// The keys that a single offer has in addition to [`ROW_JSON`].
const DETAIL_JSON: &str = concat!(
    r#","trust_uid":2044,"responsible_body":null,"terms_sha256":"3c","create_time":null,"#,
    r#""schools":[{"urn":103150,"name":"Elm","rules":["E2_RI_TWICE_ON_ENTRY"]}],"#,
    r#""contacts":[{"contact":9,"party":"responsible_body","urn":null,"date":"2021-10-04","corrected_by":null}]"#,
);

fn json(printed: &impl serde::Serialize) -> Value {
    serde_json::to_value(printed).unwrap()
}

/// Parses a document, so that the order of keys does not matter.
fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_list_is_an_array_of_rows() {
    let closed = Offer {
        state: OfferState::Closed.into(),
        outcome: Outcome::Superseded.into(),
        assignee: "a.officer".to_owned(),
        accepted_date: "2021-10-06".to_owned(),
        started_date: "2021-10-11".to_owned(),
        ..offer()
    };
    let rows: Json = [offer(), closed].iter().map(view::row_json).collect();
    let second = ROW_JSON
        .replace(r#""contacted""#, r#""closed""#)
        .replace(r#""assignee":null"#, r#""assignee":"a.officer""#)
        .replace(r#""outcome":null"#, r#""outcome":"superseded""#)
        .replace(r#""accepted":null,"started":null"#, r#""accepted":"2021-10-06","started":"2021-10-11""#);
    assert_eq!(json(&rows), document(&format!("[{ROW_JSON}}},{second}}}]")));
    assert_eq!(json(&json::list::<Offer>(&[])), document("[]"));
}

#[test]
fn a_single_offer_also_has_schools_awards_caps_and_contacts() {
    let cap =
        Cap { strand: "nle".to_owned(), unit: Unit::HalfDays.into(), allocated: 10, available: 10, ..Cap::default() };
    let answer = GetOfferResponse { offer: Some(offer()), caps: vec![cap], ..GetOfferResponse::default() };
    let added_keys = concat!(
        r#","awards":[],"caps":[{"fund":null,"programme":"2021-22","strand":"nle","region":null,"unit":"half_days","#,
        r#""allocated":10,"committed":0,"spent":0,"available":10}]"#,
    );
    assert_eq!(json(&view::detail_json(&answer)), document(&format!("{ROW_JSON}{DETAIL_JSON}{added_keys}}}")));
}

#[test]
fn a_changed_offer_also_has_warnings() {
    let warning = Warning { code: "DATE_IN_THE_PAST".to_owned(), message: "Long ago.".to_owned() };
    let answer = AcceptOfferResponse { offer: Some(offer()), warnings: vec![warning] };
    let warned = r#","warnings":[{"code":"DATE_IN_THE_PAST","message":"Long ago."}]"#;
    assert_eq!(json(&json::changed(&answer)), document(&format!("{ROW_JSON}{DETAIL_JSON}{warned}}}")));
    let answer = NoteOfferResponse { offer: Some(offer()) };
    assert_eq!(json(&json::changed(&answer)), document(&format!("{ROW_JSON}{DETAIL_JSON},\"warnings\":[]}}")));
}

#[test]
fn a_closed_offer_also_has_the_released_awards() {
    let released =
        ReleasedAward { award: "3f".to_owned(), strand: "nle".to_owned(), unit: Unit::HalfDays.into(), amount: 3 };
    let answer = CloseOfferResponse { offer: Some(offer()), released: vec![released], ..CloseOfferResponse::default() };
    let added_keys = r#","warnings":[],"released":[{"award":"3f","strand":"nle","unit":"half_days","amount":3}]"#;
    assert_eq!(json(&json::changed(&answer)), document(&format!("{ROW_JSON}{DETAIL_JSON}{added_keys}}}")));
}

#[test]
fn identify_counts_and_lists_the_schools_that_are_left_out() {
    let closed = |urn, offer: &str, successors: &[i32]| ClosedSchool {
        urn,
        name: "Oak".to_owned(),
        reason: "closed".to_owned(),
        successor_urns: successors.to_vec(),
        offer: offer.to_owned(),
    };
    let not_eligible = |(urn, whole_offer)| NotEligibleSchool {
        urn,
        name: "Fir".to_owned(),
        reason: "not met".to_owned(),
        offer: "4f".to_owned(),
        whole_offer,
    };
    let answer = IdentifyOffersResponse {
        created: 7,
        updated: 1,
        already_open: 2,
        already_closed: 3,
        blocked: vec![BlockedSchool {
            urn: 103_150,
            name: "Elm".to_owned(),
            offer: "2f".to_owned(),
            reason: "moved".to_owned(),
        }],
        unplaced: vec![UnplacedSchool { urn: 148_685, name: "Ash".to_owned(), reason: "no trust".to_owned() }],
        judged_at_sequence: 40,
        closed: vec![
            closed(103_151, "", &[148_686]),
            closed(103_152, "3f", &[148_687, 148_688]),
            closed(103_153, "", &[]),
        ],
        confirmed_referrals: vec!["5f".to_owned()],
        not_eligible: [(103_154, true), (103_155, false)].map(not_eligible).into(),
        warnings: vec![Warning { code: "DIOCESE_UNKNOWN".to_owned(), message: "of 2".to_owned() }],
    };
    let expected = concat!(
        r#"{"created":7,"updated":1,"already_open":2,"already_closed":3,"blocked":1,"unplaced":1,"closed":3,"#,
        r#""not_eligible":2,"blocked_schools":[{"urn":103150,"name":"Elm","offer":"2f","reason":"moved","#,
        r#""command":"tsio offers show 2f"}],"#,
        r#""unplaced_schools":[{"urn":148685,"name":"Ash","offer":null,"reason":"no trust","#,
        r#""command":"tsio schools place 148685 --kind KIND --reason TEXT"}],"#,
        r#""closed_schools":[{"urn":103151,"name":"Oak","offer":null,"reason":"closed","#,
        r#""command":"tsio eligibility explain 148686","successors":[148686]},"#,
        r#"{"urn":103152,"name":"Oak","offer":"3f","reason":"closed","#,
        r#""command":"tsio offers show 3f","successors":[148687,148688]},"#,
        r#"{"urn":103153,"name":"Oak","offer":null,"reason":"closed","#,
        r#""command":"tsio schools show 103153","successors":[]}],"#,
        r#""not_eligible_schools":[{"urn":103154,"name":"Fir","offer":"4f","reason":"not met","#,
        r#""command":"tsio offers close 4f --outcome ineligible"},"#,
        r#"{"urn":103155,"name":"Fir","offer":"4f","reason":"not met","#,
        r#""command":"tsio offers show 4f"}],"confirmed_referrals":["5f"],"#,
        r#""warnings":[{"code":"DIOCESE_UNKNOWN","message":"of 2"}],"#,
        r#""judged_at_sequence":40,"dry_run":true}"#,
    );
    assert_eq!(json(&identify_json(&answer, true)), document(expected));
}

#[test]
fn an_event_carries_its_body_as_json() {
    let event = |body: &str| OfferEvent {
        sequence: 9,
        kind: "contacted".to_owned(),
        actor: "a.officer".to_owned(),
        request_id: "6f".to_owned(),
        effective_date: "2021-10-04".to_owned(),
        hash: "0f".to_owned(),
        body_json: body.to_owned(),
        ..OfferEvent::default()
    };
    let expected = |body: &str| {
        format!(
            "{}{body}{}",
            concat!(
                r#"{"sequence":9,"kind":"contacted","actor":"a.officer","request_id":"6f","effective_date":"2021-10-04","#,
                r#""recorded_time":null,"reason_code":null,"text":null,"body":"#,
            ),
            r#","hash":"0f","text_erased":false}"#,
        )
    };
    assert_eq!(json(&json::of(&event(r#"{"party": "school"}"#))), document(&expected(r#"{"party":"school"}"#)));
    assert_eq!(json(&json::of(&event("not JSON {"))), document(&expected(r#""not JSON {""#)));
}

#[test]
fn the_columns_of_a_list_are_aligned() {
    let text = view::rows(&[offer()]);
    let expected = "\
OFFER KIND RECIPIENT NAME      REGION        STATE
1f    mat       2044 Oak Trust West Midlands contacted";
    assert_eq!(text, expected);
}
