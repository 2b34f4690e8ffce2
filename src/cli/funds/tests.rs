//! Tests the JSON and the tables of funds, entries as CSV, and the parsing of times.

use std::sync::OnceLock;

use clap::Parser as _;
use prost_types::Timestamp;
use serde_json::Value;
use tonic::Code;

use super::args::time;
use super::{ENTRY_COLUMNS, EntriesArgs, csv, csv_rows, json, print_csv};
use crate::cli::command::Cli;
use crate::cli::errors::Failure;
use crate::cli::session::Session;
use crate::cli::tests_server::{FakeServer, serve};
use crate::cli::view::funds;
use crate::proto::{CreateFundResponse, FinancialYear, Fund, FundEntry, GetFundPositionResponse, Position, Unit};

fn fund() -> Fund {
    Fund {
        fund: "3f".to_owned(),
        programme: "2021-22".to_owned(),
        strand: "credit".to_owned(),
        unit: Unit::Pence.into(),
        binds: true,
        allocated: 4_000_000,
        committed: 400_000,
        spent: 100_050,
        available: 3_499_950,
        etag: "v3".to_owned(),
        ..Fund::default()
    }
}

/// The JSON of [`fund`] without the closing brace, so that a test can add keys.
const FUND_JSON: &str = concat!(
    r#"{"fund":"3f","programme":"2021-22","strand":"credit","region":null,"unit":"pence","allocated":4000000,"#,
    r#""committed":400000,"spent":100050,"available":3499950,"binds":true,"over_committed":false,"etag":"v3""#,
);

fn value(printed: &impl serde::Serialize) -> Value {
    serde_json::to_value(printed).unwrap()
}

/// Parses a document, so that the order of keys does not matter.
fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Returns a table without its padding.
fn plain(text: &str) -> String {
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_json_of_a_fund_in_a_list_and_after_a_command() {
    assert_eq!(value(&json::list(&[fund()])), document(&format!("[{FUND_JSON}}}]")));
    let made = CreateFundResponse { fund: Some(fund()) };
    assert_eq!(value(&json::changed(&made)), document(&format!(r#"{FUND_JSON},"warnings":[]}}"#)));
}

#[test]
fn the_table_of_funds_is_in_pounds_and_has_remarks() {
    let nle = Fund { fund: "5f".to_owned(), strand: "nle".to_owned(), available: -60_000, ..Fund::default() };
    let nle = Fund { programme: "2021-22".to_owned(), ..nle };
    let nle = Fund { unit: Unit::Pence.into(), committed: 60_000, ..nle };
    let text = plain(&funds::rows(&[fund(), nle]));
    let expected = "\
FUND PROGRAMME STRAND REGION ALLOCATED COMMITTED SPENT AVAILABLE
3f 2021-22 credit national £40,000 £4,000 £1,000.50 £34,999.50
5f 2021-22 nle national £0 £600 £0 -£600
5f: does not bind";
    assert_eq!(text, expected);
}

#[test]
fn a_position_has_a_total_and_financial_years() {
    let position = |allocated, committed, spent, available| Position { allocated, committed, spent, available };
    let year = |year: &str, moved| FinancialYear { year: year.to_owned(), moved: Some(moved) };
    let answer = GetFundPositionResponse {
        fund: "3f".to_owned(),
        at_sequence: 41,
        position: Some(position(1_000, 200, 300, 500)),
        financial_years: vec![
            year("2021-22", position(1_000, 500, 0, 500)),
            year("2022-23", position(0, -300, 300, 0)),
        ],
    };
    let expected = concat!(
        r#"{"fund":"3f","at_sequence":41,"allocated":1000,"committed":200,"spent":300,"available":500,"#,
        r#""financial_years":[{"year":"2021-22","allocated":1000,"committed":500,"spent":0,"available":500},"#,
        r#"{"year":"2022-23","allocated":0,"committed":-300,"spent":300,"available":0}]}"#,
    );
    assert_eq!(value(&json::of(&answer)), document(expected));
    let expected = "\
fund 3f
at sequence 41

YEAR ALLOCATED COMMITTED SPENT AVAILABLE
2021-22 £10 £5 £0 £5
2022-23 £0 -£3 £3 £0
total £10 £2 £3 £5";
    assert_eq!(plain(&funds::position(&answer)), expected);
}

#[test]
fn entries_are_csv_under_their_json_names() {
    let entry = FundEntry {
        entry: 7,
        event_sequence: 41,
        event_kind: "drawn".to_owned(),
        verb: "spend".to_owned(),
        from_bucket: "committed".to_owned(),
        to_bucket: "spent".to_owned(),
        amount_pence: 30_000,
        period: "FY2021-22/M12".to_owned(),
        effective_date: "2022-03-14".to_owned(),
        // 2022-03-15T00:00:00Z is 1,647,302,400 seconds after the epoch.
        recorded_time: Some(Timestamp { seconds: 1_647_302_400, nanos: 0 }),
        actor: "a,\"b\"".to_owned(),
        offer: String::new(),
    };
    let rows = csv_rows(std::slice::from_ref(&entry)).ok().unwrap_or_default();
    let expected =
        "7,41,drawn,spend,committed,spent,30000,FY2021-22/M12,2022-03-14,2022-03-15T00:00:00Z,\"a,\"\"b\"\"\",\n";
    assert_eq!(rows, expected);
    let keys: Vec<String> = match serde_json::to_value(json::of(&entry)) {
        Ok(serde_json::Value::Object(entry)) => entry.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let mut columns = ENTRY_COLUMNS.map(ToOwned::to_owned).to_vec();
    assert_eq!(csv::header(&ENTRY_COLUMNS).ok(), Some(columns.join(",") + "\n"));
    columns.sort();
    let mut keys = keys;
    keys.sort();
    assert_eq!(keys, columns);
}

#[tokio::test]
async fn the_request_for_entries_as_csv_has_the_timeout() {
    let fake = FakeServer::default();
    let server = serve(fake.clone()).await;
    let cli = Cli::parse_from(["tsio", "funds", "entries", "3f", "--csv", "--server", &server, "--timeout", "9"]);
    let request_id_used = OnceLock::new();
    let session = Session::open(&cli.global, &request_id_used).await.unwrap();
    // The fake server has no service for funds, but records the timeout of the request.
    let args = EntriesArgs { fund: "3f".to_owned(), csv: true, filter: String::new(), order_by: String::new() };
    let answer = print_csv(args, &session).await;
    assert!(matches!(&answer, Err(Failure::Refused(it)) if it.code() == Code::Unimplemented), "{answer:?}");
    // gRPC sends the 9 seconds of `--timeout` in microseconds.
    assert_eq!(fake.received().timeout, "9000000u");
}

#[test]
fn a_time_has_an_offset() {
    let seconds = |text| time(text).map(|it| it.seconds).ok();
    assert_eq!(seconds("2022-03-15T00:00:00Z"), Some(1_647_302_400));
    assert_eq!(seconds("2022-03-15T01:00:00+01:00"), Some(1_647_302_400));
    for wrong in ["2022-03-15", "2022-03-15T00:00:00", "yesterday", ""] {
        assert_eq!(seconds(wrong), None, "{wrong}");
    }
}
