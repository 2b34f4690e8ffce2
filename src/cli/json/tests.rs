//! Tests the conversion to JSON, and that each field in [`EXCEPTIONS`], which is printed differently, has a suitable type.

use prost_reflect::Cardinality;

use super::*;
use crate::proto::award::Support;
use crate::proto::{
    Award, AwardState, CreditSupport, GetFundPositionResponse, Import, ImportState, Limit, Offer, OfferEvent, Position,
    SummariseEligibilityResponse, WithdrawImportResponse,
};

fn contract() -> DescriptorPool {
    DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap()
}

/// Returns an object as JSON text.
fn printed(object: &Object) -> String {
    serde_json::to_string(object).unwrap()
}

/// Returns the value at a JSON pointer.
fn value(object: &Object, pointer: &str) -> serde_json::Value {
    serde_json::to_value(object).unwrap().pointer(pointer).unwrap_or_else(|| panic!("{pointer}: {object:?}")).clone()
}

#[test]
fn each_exception_is_of_a_field_of_a_suitable_type() {
    let contract = contract();
    for (field_name, exception) in EXCEPTIONS {
        let (message, field) = field_name.split_once('.').unwrap();
        let message = contract.get_message_by_name(&format!("tsio.v1.{message}"));
        let field = message.unwrap_or_else(|| panic!("{field_name}: no such message")).get_field_by_name(field);
        let field = field.unwrap_or_else(|| panic!("{field_name}: no such field"));
        let is_single = field.cardinality() != Cardinality::Repeated;
        let fits = match exception {
            Key(key) => key != field.name(),
            Hidden => true,
            Merged => is_single && field.kind().as_message().is_some() && !is_resource(&field),
            Nested => is_resource(&field),
            ZeroIsNone => is_single && matches!(field.kind(), Kind::Int32 | Kind::Int64),
            EmptyText | Parsed => is_single && field.kind() == Kind::String,
        };
        assert!(fits, "{field_name}: {exception:?} is not for {field:?}");
    }
    let mut exceptions = EXCEPTIONS.map(|(field_name, exception)| format!("{field_name} {exception:?}")).to_vec();
    exceptions.dedup();
    assert_eq!(exceptions.len(), EXCEPTIONS.len(), "no exception is listed twice");
    assert!(EXCEPTIONS.is_sorted_by_key(|(field_name, _)| *field_name));
}

/// [`element`] converts every type of field in the contract, except the bytes of an upload. [`short_name`] has a name for each
/// value of each enum, except for the unspecified value.
#[test]
fn every_field_type_and_enum_value_can_be_printed() {
    let is_converted = |kind: &Kind| {
        matches!(kind, Kind::Bool | Kind::Int32 | Kind::Int64 | Kind::String | Kind::Enum(_) | Kind::Message(_))
    };
    for message in contract().all_messages().filter(|it| it.package_name() == "tsio.v1") {
        for field in message.fields() {
            let is_upload = field.kind() == Kind::Bytes && field.name() == "chunk";
            assert!(is_upload || is_converted(&field.kind()), "{}", field.full_name());
        }
    }
    for it in contract().all_enums().filter(|it| it.parent_file().package_name() == "tsio.v1") {
        let names: Vec<_> = it.values().map(|value| short_name(&it, value.number())).collect();
        assert!(names[0].is_none() && names[1..].iter().all(Option::is_some), "{}: {names:?}", it.name());
        assert_eq!(short_name(&it, 999), None, "{}", it.name());
    }
}

#[test]
fn an_absent_value_is_null_and_0_is_a_number() {
    let limit = Limit { kind: "cap".to_owned(), limit: Some(0), largest: Some(-5), ..Limit::default() };
    let expected = concat!(
        r#"{"kind":"cap","account":null,"unit":null,"limit":0,"committed":null,"spent":null,"available":null,"#,
        r#""requested":null,"largest":-5,"remedy":null,"#,
        r#""subject_kind":null,"subject_id":null,"subject_part_of":null,"strand":null}"#
    );
    assert_eq!(printed(&of(&limit)), expected);
    let import = Import {
        state: ImportState::Landed.into(),
        rows: i64::MAX,
        // 2021-11-30T00:00:00Z is 1,638,230,400 seconds after the epoch.
        imported_time: Some(Timestamp { seconds: 1_638_230_400, nanos: 5_000_000 }),
        ..Import::default()
    };
    let expected = concat!(
        r#"{"import_id":null,"kind":null,"as_at":null,"state":"landed","file_name":"","sha256":null,"#,
        r#""rows":9223372036854775807,"accepted":0,"imported_by":null,"imported_time":"2021-11-30T00:00:00.005Z","#,
        r#""withdrawn_by":null,"withdrawn_reason":null}"#
    );
    assert_eq!(printed(&of(&import)), expected);
    // The first field of a response is the import, so the keys of the import are merged into the response.
    let answer = WithdrawImportResponse { import: Some(import), affected_offers: Vec::new() };
    assert_eq!(printed(&of(&answer)), format!("{},\"affected_offers\":[]}}", expected.trim_end_matches('}')));
    let unknown = Import { state: 999, ..Import::default() };
    assert_eq!(value(&of(&unknown), "/state"), serde_json::Value::Null);
}

#[test]
fn the_keys_of_a_merged_message_are_in_the_outer_object() {
    let support = Support::Credit(CreditSupport { partner_uid: 2044, suitable_because: "near by".to_owned() });
    let award = Award { state: AwardState::Open.into(), support: Some(support), ..Award::default() };
    let award = of(&award);
    for (key, expected) in
        [("partner", "2044"), ("suitable_because", "\"near by\""), ("leader", "null"), ("provider", "null")]
    {
        assert_eq!(value(&award, &format!("/{key}")).to_string(), expected, "{key}");
    }
    assert!(["credit", "nle", "partner_uid"].iter().all(|key| award.get(key).is_none()), "{award:?}");
    let position = Position { allocated: 9, committed: 2, spent: 3, available: 4 };
    let answer = GetFundPositionResponse { position: Some(position), ..GetFundPositionResponse::default() };
    let expected =
        r#"{"fund":null,"at_sequence":0,"allocated":9,"committed":2,"spent":3,"available":4,"financial_years":[]}"#;
    assert_eq!(printed(&of(&answer)), expected);
}

#[test]
fn a_key_may_be_renamed_or_put_in_an_inner_object_and_a_text_may_be_parsed() {
    let offer = Offer { accepted_date: "2021-10-06".to_owned(), ..Offer::default() };
    assert_eq!(value(&of(&offer), "/accepted"), "2021-10-06");
    let summary = SummariseEligibilityResponse {
        by_rule: [("B".to_owned(), 2), ("A".to_owned(), 0)].into(),
        mat_schools: 5,
        standalone_maintained: 7,
        ..SummariseEligibilityResponse::default()
    };
    let summary = of(&summary);
    assert_eq!(value(&summary, "/by_rule").to_string(), r#"{"A":0,"B":2}"#);
    assert_eq!((value(&summary, "/mat/schools"), value(&summary, "/standalone/maintained")), (5.into(), 7.into()));
    for (body, expected) in [(r#"{"party": 1}"#, r#"{"party":1}"#), ("not JSON {", r#""not JSON {""#), ("", r#""""#)] {
        let event = OfferEvent { body_json: body.to_owned(), ..OfferEvent::default() };
        assert_eq!(value(&of(&event), "/body").to_string(), expected, "{body:?}");
    }
}

#[test]
fn an_object_adds_replaces_and_removes_keys() {
    let object =
        Object::default().with("a", 1_usize).with("b", "x").with("a", true).or("b", false).or("c", None::<i64>);
    assert_eq!(printed(&object), r#"{"a":true,"b":"x","c":null}"#);
    assert_eq!(printed(&object.without(&["a", "c"])), r#"{"b":"x"}"#);
    let list: Json = [Object::default().with("d.e", "f".to_owned())].into_iter().collect();
    assert_eq!(serde_json::to_string(&list).unwrap(), r#"[{"d":{"e":"f"}}]"#);
}
