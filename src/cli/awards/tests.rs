//! Tests how bundles are parsed, and the JSON and the tables of awards.

use serde_json::Value;

use super::bundle::{credit, nle, nlg, npqel, parse};
use super::{MadeAwards, view};
use crate::cli::json;
use crate::proto::award::Support;
use crate::proto::{
    Award, AwardState, BookDaysResponse, Booking, BookingState, Invoice, LeaderKind, NewAward, NleSupport,
    NpqelSupport, UndoMovementResponse, Unit, Warning,
};

fn text(text: &str) -> String {
    text.to_owned()
}

/// The awards of the bundles in `a_bundle_is_toml_or_json`.
fn expected_awards() -> Vec<NewAward> {
    vec![
        nle(5, text("nle-7"), text("Oak Trust"), None),
        nle(1, text("nle-8"), text("Ash Trust"), Some(LeaderKind::Equivalent)),
        credit(400_000, 2044, text("all good")),
        nlg(150_050, text("a new board"), None, None),
        nlg(90_000, text("a new chair"), Some(text("nlg-3")), Some(text("Oak Trust"))),
        npqel(400_000, text("ceo-7"), text("Teach First"), text("first trust")),
    ]
}

#[test]
fn a_bundle_is_toml_or_json() {
    let toml = r#"
        [[awards]]
        strand = "nle"
        days = "2.5"
        leader = "nle-7"
        organisation = "Oak Trust"

        [[awards]]
        strand = "nle"
        days = "0.5"
        leader = "nle-8"
        organisation = "Ash Trust"
        leader_kind = "equivalent"

        [[awards]]
        strand = "credit"
        amount = "£4,000"
        partner = 2044
        suitable_because = "all good"

        [[awards]]
        strand = "nlg"
        amount = "1500.50"
        because = "a new board"

        [[awards]]
        strand = "nlg"
        amount = "900"
        because = "a new chair"
        leader = "nlg-3"
        organisation = "Oak Trust"

        [[awards]]
        strand = "npqel"
        amount = "4000"
        leader = "ceo-7"
        provider = "Teach First"
        because = "first trust"
    "#;
    let json = r#"{"awards":[
        {"strand":"nle","days":"2.5","leader":"nle-7","organisation":"Oak Trust"},
        {"strand":"nle","days":"0.5","leader":"nle-8","organisation":"Ash Trust","leader_kind":"equivalent"},
        {"strand":"credit","amount":"£4,000","partner":2044,"suitable_because":"all good"},
        {"strand":"nlg","amount":"1500.50","because":"a new board"},
        {"strand":"nlg","amount":"900","because":"a new chair","leader":"nlg-3","organisation":"Oak Trust"},
        {"strand":"npqel","amount":"4000","leader":"ceo-7","provider":"Teach First","because":"first trust"}
    ]}"#;
    assert_eq!(parse(toml, false), Ok(expected_awards()));
    assert_eq!(parse(json, true), Ok(expected_awards()));
}

#[test]
fn the_error_of_a_bundle_names_the_mistake() {
    let rows = [
        (r#"{"awards":[{"strand":"nle","days":"2.25","leader":"a","organisation":"b"}]}"#, "2.25"),
        (r#"{"awards":[{"strand":"nlg","amount":"€5","because":"b"}]}"#, "€5"),
        (r#"{"awards":[{"strand":"nlg","amount":"5"}]}"#, "because"),
        (r#"{"awards":[{"strand":"nlg","amount":"5","because":"b","days":"1"}]}"#, "days"),
        (
            r#"{"awards":[{"strand":"nle","days":"1","leader":"a","organisation":"b","leader_kind":"nlg"}]}"#,
            "got \"nlg\"",
        ),
        (r#"{"awards":[{"strand":"ngl","amount":"5","because":"b"}]}"#, "ngl"),
        (r#"{"award":[]}"#, "award"),
    ];
    for (file, expected) in rows {
        let error = parse(file, true).err().unwrap_or_default();
        assert!(error.contains(expected), "{file}: {error}");
    }
}

fn award() -> Award {
    Award {
        award: text("2f"),
        offer: text("1f"),
        strand: text("nle"),
        unit: Unit::HalfDays.into(),
        state: AwardState::Open.into(),
        awarded: 5,
        drawn: 2,
        released: 1,
        refunded: 0,
        committed: 2,
        fund: text("3f"),
        day_rate_pence: 60_000,
        date: text("2022-01-10"),
        awarded_by: text("officer"),
        support: Some(Support::Nle(NleSupport {
            leader: text("nle-7"),
            organisation: text("Oak Trust"),
            leader_kind: LeaderKind::NationalLeader.into(),
        })),
        bookings: vec![Booking {
            booking: 9,
            half_days: 2,
            date: text("2022-03-14"),
            leader: text("nle-8"),
            state: BookingState::Delivered.into(),
            leader_kind: LeaderKind::Unspecified.into(),
        }],
        invoices: Vec::new(),
        etag: text("v12"),
    }
}

/// The JSON of [`award`] without the closing brace, so that a test can add keys.
const AWARD_JSON: &str = concat!(
    r#"{"award":"2f","offer":"1f","strand":"nle","unit":"half_days","awarded":5,"drawn":2,"released":1,"#,
    r#""state":"open","etag":"v12","refunded":0,"committed":2,"fund":"3f","day_rate_pence":60000,"#,
    r#""date":"2022-01-10","awarded_by":"officer","leader":"nle-7","leader_kind":"national_leader","#,
    r#""organisation":"Oak Trust","partner":null,"#,
    r#""suitable_because":null,"provider":null,"because":null,"bookings":[{"booking":9,"half_days":2,"#,
    r#""date":"2022-03-14","leader":"nle-8","state":"delivered","leader_kind":null}],"#,
    r#""invoices":[]"#,
);

fn value(printed: &impl serde::Serialize) -> Value {
    serde_json::to_value(printed).unwrap()
}

/// Parses a document, so that the order of keys does not matter.
fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_json_of_an_award_after_each_command() {
    assert_eq!(value(&json::of(&award())), document(&format!("{AWARD_JSON}}}")));
    let warning = Warning { code: text("DATE_ASSUMED"), message: text("Assumed.") };
    let booked = BookDaysResponse { award: Some(award()), warnings: vec![warning], booking: 9 };
    let added_keys = r#","booking":9,"warnings":[{"code":"DATE_ASSUMED","message":"Assumed."}]"#;
    assert_eq!(value(&json::changed(&booked)), document(&format!("{AWARD_JSON}{added_keys}}}")));
    let undone = UndoMovementResponse { award: Some(award()) };
    assert_eq!(value(&json::changed(&undone)), document(&format!(r#"{AWARD_JSON},"warnings":[]}}"#)));
    let checked = MadeAwards { awards: vec![award()], warnings: Vec::new(), judged_at_sequence: Some(41) };
    let expected = format!(r#"{AWARD_JSON},"warnings":[],"judged_at_sequence":41}}"#);
    assert_eq!(value(&checked.json(&checked.awards[0])), document(&expected));
}

#[test]
fn awards_for_a_person_are_in_days_and_pounds() {
    let npqel = Award {
        award: text("4f"),
        strand: text("npqel"),
        unit: Unit::Pence.into(),
        awarded: 400_000,
        drawn: 400_000,
        state: AwardState::Settled.into(),
        support: Some(Support::Npqel(NpqelSupport::default())),
        invoices: vec![
            Invoice {
                reference: text("INV77"),
                amount_pence: 400_000,
                refunded_pence: 5_050,
                issuer: text("Teach First"),
                printed: text("inv-77"),
                total_pence: 900_000,
            },
            Invoice { reference: text("INV78"), amount_pence: 1, ..Invoice::default() },
        ],
        ..Award::default()
    };
    let list = view::rows(&[award(), npqel.clone()]);
    let expected = "\
AWARD STRAND AWARDED DRAWN RELEASED COMMITTED STATE
2f nle 2.5 days 1 day 0.5 days 1 day open
4f npqel £4,000 £4,000 £0 £0 settled";
    assert_eq!(plain(&list), expected);
    let detail = plain(&view::detail(&npqel));
    let invoices = "\
INVOICE PRINTED ISSUER PAID REFUNDED OF A TOTAL OF
INV77 inv-77 Teach First £4,000 £50.50 £9,000
INV78 not recorded not recorded £0.01 £0 not recorded";
    assert!(detail.ends_with(invoices), "{detail}");
    assert!(detail.contains("leader not recorded"), "{detail}");
    let bookings = "\
BOOKING DATE DAYS LEADER LEADER KIND STATE
9 2022-03-14 1 day nle-8 not recorded delivered";
    let detail = plain(&view::detail(&award()));
    assert!(detail.contains("leader kind national_leader") && detail.ends_with(bookings), "{detail}");
}

/// Returns a table without its padding.
fn plain(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
