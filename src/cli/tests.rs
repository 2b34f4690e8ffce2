//! Tests which arguments parse and which are wrong usage, and how refusals are printed.

use clap::Parser as _;
use prost::Message as _;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::pb;
use uuid::Uuid;

use super::command::{Cli, ClientCommand, Command};
use super::errors::{ErrorView, Failure};
use crate::proto::{Limit, Refusal, SubjectKind};

/// Parses a command line. It is split at spaces; `_` becomes a space within a word. Ids in the lines are short, such as `1f`,
/// because only the server checks them.
fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace().map(|word| word.replace('_', " ")))
}

#[test]
fn every_command_that_is_not_about_money_parses() {
    let lines = "\
        tsio demo
        tsio serve
        tsio serve --database sqlite:x.db --listen 127.0.0.1:0 --config tsio.toml --migrate
        tsio migrate --database sqlite:x.db
        tsio verify --database sqlite:x.db
        tsio verify --programme 2021-22
        tsio terms list
        tsio terms load 2022-23.toml
        tsio import register groups.csv --as-at 2022-03-31
        tsio import register groups.csv links.csv.gz --as-at 2022-03-31
        tsio import ofsted month.csv --as-at 2021-11-30
        tsio import ofsted month.csv --as-at 2021-11-30 --replaces 1f --dry-run
        tsio import list
        tsio import show 1f
        tsio import withdraw 1f --reason wrong_month
        tsio schools find st_mary
        tsio schools show 103150
        tsio schools place 148685 --kind maintained --reason by_letter
        tsio schools place 148685 --kind mat --trust 2044 --reason by_letter --programme 2022-23
        tsio trusts find learning
        tsio trusts show 2044
        tsio eligibility summary --programme 2021-22
        tsio eligibility summary
        tsio eligibility list
        tsio eligibility list --programme 2021-22 --filter unplaced
        tsio eligibility explain 103150
        tsio eligibility explain 2044 --trust
        tsio eligibility changes --from 2021-08-31 --to 2021-11-30
        tsio offers identify --programme 2021-22
        tsio offers identify --programme 2021-22 --dry-run
        tsio offers list
        tsio offers list --state closed --region West_Midlands --mine --search oak
        tsio offers list --assignee -
        tsio offers show 1f
        tsio offers events 1f
        tsio offers watch
        tsio offers watch --programme 2022-23 --region West_Midlands --region South_West --state closed --after 0
        tsio offers watch --resume 2021-22.7.ab --once
        tsio offers contact 1f --party responsible-body --on 2021-10-04
        tsio offers contact 1f 2f 3f --party responsible-body --on 2021-10-04 --note by_phone
        tsio offers contact 1f --party school --urn 103150 --on 2021-10-05 --etag e1
        tsio offers correct 1f --contact 12 --note wrong_school
        tsio offers correct-date 1f accepted --on 2021-10-08 --reason letter
        tsio offers correct-date 1f started --on 2021-10-08 --reason letter --etag e1
        tsio offers accept 1f --by school --on 2021-10-11
        tsio offers accept 1f --by trust
        tsio offers decline 1f --reason not-wanted
        tsio offers start 1f --etag e1
        tsio offers close 1f --outcome lapsed
        tsio offers reopen 1f --reason by_mistake
        tsio offers assign 1f --to a.officer
        tsio offers assign 1f --to -
        tsio offers note 1f head_on_leave
        tsio offers region 1f --to South-West_England
        tsio approvals list --all
        tsio approvals give 1f
        tsio approvals approve 1f
        tsio completions bash
        tsio offers list --server http://host:1 --output json --actor a --roles reader --timeout 5
        tsio --output json offers list
        tsio offers identify --request-id 6f1c8a52-30c5-4c3e-9d9e-0a4f5e6b7c8d";
    for line in lines.lines() {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
    }
    let hash = "0f".repeat(32);
    assert!(parse(&format!("tsio verify --database sqlite:x.db --expect 17:{hash}")).is_ok());
}

#[test]
fn every_command_about_money_parses() {
    let lines = "\
        tsio awards nle 1f --days 2.5 --leader nle-7 --organisation Oak_Trust
        tsio awards nle 1f --days 3 --leader nle-7 --organisation Oak_Trust --on 2022-01-10 --etag v3 --check
        tsio awards credit 1f --amount 4000 --partner 2044 --suitable-because all_good
        tsio awards nlg 1f --amount £4,000 --because a_new_board
        tsio awards npqel 1f --amount 4000.50 --leader ceo-7 --provider Teach_First --because first_trust
        tsio awards bundle 1f awards.toml --check
        tsio awards show 2f
        tsio awards list
        tsio awards list --offer 1f --strand nle --state open
        tsio awards list --programme 2021-22
        tsio awards book 2f --days 1 --on 2022-03-14 --leader nle-8
        tsio awards cancel 2f --booking 9
        tsio awards draw 2f --days 0.5 --on 2022-03-14
        tsio awards draw 2f --booking 9 --on 2022-03-14
        tsio awards draw 2f --amount 1250.50 --on 2022-05-01 --invoice INV-77 --note by_post
        tsio awards release 2f
        tsio awards release 2f --days 0.5 --on 2022-05-01
        tsio awards refund 2f --amount 250 --reason paid_twice --invoice INV-77
        tsio awards undo 2f --event 24 --reason wrong_award
        tsio funds list
        tsio funds list --programme 2021-22
        tsio funds show 3f
        tsio funds create --programme 2021-22 --strand credit
        tsio funds create --strand credit --region West_Midlands
        tsio funds allocate 3f 250000 --on 2021-09-06 --note first
        tsio funds withdraw 3f £4,000 --over-commit --etag v1
        tsio funds move 3f 4f 12500
        tsio funds position 3f
        tsio funds position 3f --as-of 2022-03-31 --recorded-by 2022-04-05T00:00:00Z --sequence 41
        tsio funds entries 3f
        tsio funds entries 3f --csv";
    for line in lines.lines() {
        assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).err());
    }
}

#[test]
fn wrong_usage_exits_2() {
    let lines = "\
        tsio
        tsio offers
        tsio nonsense
        tsio import register --as-at 2022-03-31
        tsio import ofsted a.csv --as-at 11/30/2021
        tsio import ofsted a.csv --as-at 2021-11-31
        tsio import ofsted a.csv --as-at 2021-9-1
        tsio import withdraw 1f
        tsio schools show oak
        tsio schools place 148685 --kind unplaced --reason x
        tsio eligibility explain -5
        tsio eligibility changes --from 2021-08-31
        tsio offers list --state opened
        tsio offers list --mine --assignee a
        tsio offers contact --party school --on 2021-10-04
        tsio offers contact 1f --party school
        tsio offers accept 1f --by diocese --on 2021-10-04
        tsio offers decline 1f
        tsio offers close 1f --outcome unspecified
        tsio offers identify --request-id 17
        tsio offers list --output xml
        tsio offers list --timeout 0
        tsio awards nle 1f --days 2.25 --leader nle-7 --organisation Oak
        tsio awards nle 1f --days 2 --leader nle-7
        tsio awards credit 1f --amount €5 --partner 2044 --suitable-because x
        tsio awards credit 1f --amount -5 --partner 2044 --suitable-because x
        tsio awards draw 2f --days 1 --amount 5 --on 2022-03-14
        tsio awards draw 2f --days 1
        tsio awards book 2f --days 1
        tsio awards refund 2f --amount 5
        tsio funds create --programme 2021-22
        tsio funds allocate 3f 4.000,50
        tsio funds allocate 3f
        tsio funds position 3f --recorded-by 2022-04-05
        tsio funds position 3f --sequence 0
        tsio verify --database sqlite:x.db --expect 17:abc
        tsio verify --database sqlite:x.db --expect abc";
    for line in lines.lines() {
        assert_eq!(parse(line).err().map(|error| error.exit_code()), Some(2), "{line}");
    }
}

#[test]
fn arguments_for_one_offer_are_not_allowed_with_several() {
    #[rustfmt::skip]
    let rows = [
        ("tsio offers contact 1f    --party school --on 2021-10-04 --urn 103150 --etag e1", true),
        ("tsio offers contact 1f 2f --party school --on 2021-10-04",                        true),
        ("tsio offers contact 1f 2f --party school --on 2021-10-04 --urn 103150",           false),
        ("tsio offers contact 1f 2f --party school --on 2021-10-04 --etag e1",              false),
    ];
    for (line, is_allowed) in rows {
        let Ok(Cli { command: Command::Client(ClientCommand::Offers(command)), .. }) = parse(line) else {
            unreachable!("{line}")
        };
        assert_eq!(super::offers::check(&command).is_ok(), is_allowed, "{line}");
    }
}

#[test]
fn a_draw_and_a_refund_must_have_an_amount() {
    #[rustfmt::skip]
    let rows = [
        ("tsio awards draw 2f --on 2022-03-14",             false),
        ("tsio awards draw 2f --on 2022-03-14 --booking 9", true),
        ("tsio awards draw 2f --on 2022-03-14 --days 1",    true),
        ("tsio awards refund 2f --reason x",                false),
        ("tsio awards refund 2f --reason x --days 1",       true),
        ("tsio awards release 2f",                          true),
    ];
    for (line, is_allowed) in rows {
        let Ok(Cli { command: Command::Client(ClientCommand::Awards(command)), .. }) = parse(line) else {
            unreachable!("{line}")
        };
        assert_eq!(super::awards::check(&command).is_ok(), is_allowed, "{line}");
    }
}

#[test]
fn the_definition_of_the_command_line_has_no_mistake() {
    super::command().debug_assert();
}

#[test]
fn every_command_shows_an_example() {
    fn check(command: &clap::Command, path: &str) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name());
            let example = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(sub.has_subcommands() || example.contains(&path), "{path}: {example}");
            check(sub, &path);
        }
    }
    check(&super::command(), "tsio");
}

fn any(kind: &str, value: Vec<u8>) -> Any {
    Any { type_url: format!("type.googleapis.com/{kind}"), value }
}

/// Returns the failure of a call that ended with this status.
fn status(code: Code, message: &str, details: Vec<Any>) -> Failure {
    let rich = pb::Status { code: code as i32, message: message.to_owned(), details };
    Status::with_details(code, message, rich.encode_to_vec().into()).into()
}

fn info(reason: &str) -> Any {
    let info = pb::ErrorInfo { reason: reason.to_owned(), domain: "tsio".to_owned(), ..Default::default() };
    any("google.rpc.ErrorInfo", info.encode_to_vec())
}

fn json(view: ErrorView) -> String {
    serde_json::to_string(&view.document()).unwrap_or_default()
}

/// Makes a refusal with two limits; one of them has no numbers.
fn refusal_with_two_limits() -> Failure {
    let cap = Limit {
        kind: "cap".to_owned(),
        account: "1f/nle".to_owned(),
        unit: "half_days".to_owned(),
        limit: Some(6),
        committed: Some(4),
        spent: Some(0),
        available: Some(2),
        requested: Some(5),
        largest: Some(2),
        remedy: "Release what is not needed.".to_owned(),
        subject_kind: SubjectKind::Offer.into(),
        subject_id: "1f".to_owned(),
        strand: "nle".to_owned(),
        ..Limit::default()
    };
    let state = Limit { kind: "state".to_owned(), account: "1f".to_owned(), ..Limit::default() };
    let refusal = Refusal { limits: vec![cap, state], largest: Some(2), ..Refusal::default() };
    // The client ignores a detail of another type, even a malformed one.
    let details =
        vec![info("CAP_EXCEEDED"), any("google.rpc.Help", vec![255]), any("tsio.v1.Refusal", refusal.encode_to_vec())];
    status(Code::FailedPrecondition, "The cap is 3 days.", details)
}

#[test]
fn a_refusal_prints_every_limit_as_json() {
    let expected = concat!(
        r#"{"error":{"code":"FAILED_PRECONDITION","reason":"CAP_EXCEEDED","message":"The cap is 3 days.","largest":2,"#,
        r#""limits":[{"kind":"cap","account":"1f/nle","unit":"half_days","limit":6,"committed":4,"spent":0,"#,
        r#""available":2,"requested":5,"largest":2,"subject_kind":"offer","subject_id":"1f","#,
        r#""subject_part_of":null,"strand":"nle","remedy":"Release what is not needed."},"#,
        r#"{"kind":"state","account":"1f","unit":null,"limit":null,"committed":null,"spent":null,"#,
        r#""available":null,"requested":null,"largest":null,"subject_kind":null,"subject_id":null,"#,
        r#""subject_part_of":null,"strand":null}],"#,
        r#""request_id":"6f1c8a52-30c5-4c3e-9d9e-0a4f5e6b7c8d"}}"#,
    );
    let id = Uuid::from_u128(0x6f1c_8a52_30c5_4c3e_9d9e_0a4f_5e6b_7c8d);
    assert_eq!(json(ErrorView::new(&refusal_with_two_limits(), Some(id))), expected);
}

#[test]
fn a_refusal_prints_every_limit_for_a_person() {
    let id = Uuid::from_u128(1);
    let text = ErrorView::new(&refusal_with_two_limits(), Some(id)).text();
    let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "error: The cap is 3 days. (CAP_EXCEEDED)",
        "KIND ACCOUNT LIMIT COMMITTED SPENT AVAILABLE REQUESTED LARGEST",
        "cap 1f/nle 3 days 2 days 0 days 1 day 2.5 days 1 day",
        "state 1f",
        "cap 1f/nle: Release what is not needed.",
        "the largest that would pass: 1 day",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_request_id_is_printed_for_a_person_if_the_outcome_is_unknown() {
    let id = Uuid::from_u128(1);
    let line = "to try the same call again: --request-id 00000000-0000-0000-0000-000000000001";
    let rows = [
        (Code::FailedPrecondition, false),
        (Code::InvalidArgument, false),
        (Code::NotFound, false),
        (Code::Aborted, false),
        (Code::AlreadyExists, false),
        (Code::PermissionDenied, false),
        (Code::Unauthenticated, false),
        (Code::ResourceExhausted, false),
        (Code::Unavailable, true),
        (Code::DeadlineExceeded, true),
        (Code::Cancelled, true),
        (Code::Internal, true),
        (Code::Unknown, true),
    ];
    for (code, is_printed) in rows {
        let failure = Status::new(code, "no").into();
        assert_eq!(ErrorView::new(&failure, Some(id)).text().contains(line), is_printed, "{code:?}");
        // A script always gets it.
        assert!(json(ErrorView::new(&failure, Some(id))).contains(&id.to_string()), "{code:?}");
    }
}

#[test]
fn limits_that_are_not_in_the_status_are_counted() {
    // One limit is in the table, the other only has a remedy.
    let cap = Limit { kind: "cap".to_owned(), account: "1f/nle".to_owned(), limit: Some(6), ..Limit::default() };
    let contact = Limit { kind: "contact".to_owned(), remedy: "Tell it first.".to_owned(), ..Limit::default() };
    for (more_limits, expected) in [(0, None), (1, Some("and 1 more limit")), (493, Some("and 493 more limits"))] {
        for limit in [&cap, &contact] {
            let refusal = Refusal { limits: vec![limit.clone()], more_limits, ..Refusal::default() };
            let details = vec![any("tsio.v1.Refusal", refusal.encode_to_vec())];
            let failure = status(Code::FailedPrecondition, "Too much.", details);
            let text = ErrorView::new(&failure, None).text();
            assert_eq!(text.lines().find(|line| line.starts_with("and ")), expected, "{text}");
            let printed = json(ErrorView::new(&failure, None));
            let has_count = printed.contains(&format!(r#""more_limits":{more_limits}"#));
            assert_eq!(has_count, expected.is_some(), "{printed}");
        }
    }
}

#[test]
fn field_violations_and_approvals_are_printed() {
    let field = |field: &str, description: &str| pb::bad_request::FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
        ..Default::default()
    };
    let bad = pb::BadRequest { field_violations: vec![field("date", "in the future"), field("urn", "not a URN")] };
    let details = vec![info("FIELD_INVALID"), any("google.rpc.BadRequest", bad.encode_to_vec())];
    let error = ErrorView::new(&status(Code::InvalidArgument, "Two fields.", details), None);
    assert!(error.text().contains("\n  date: in the future\n  urn: not a URN\n"), "{}", error.text());
    let expected = concat!(
        r#"{"error":{"code":"INVALID_ARGUMENT","reason":"FIELD_INVALID","message":"Two fields.","largest":null,"#,
        r#""limits":[],"violations":[{"field":"date","description":"in the future"},"#,
        r#"{"field":"urn","description":"not a URN"}]}}"#,
    );
    assert_eq!(json(error), expected);

    let refusal = Refusal { approval: "7a".to_owned(), ..Refusal::default() };
    let details = vec![info("APPROVAL_REQUIRED"), any("tsio.v1.Refusal", refusal.encode_to_vec())];
    let error = ErrorView::new(&status(Code::FailedPrecondition, "Needs two.", details), None);
    let filed = error.filed().unwrap();
    assert!(filed.text().contains("tsio approvals give 7a"), "{}", filed.text());
    assert_eq!(serde_json::to_string(&filed).unwrap(), r#"{"approval":"7a","message":"Needs two."}"#);
}

#[test]
fn the_reason_of_a_status_without_details_is_its_code() {
    let error = ErrorView::new(&Status::new(Code::DeadlineExceeded, "too slow").into(), None);
    let expected = concat!(
        r#"{"error":{"code":"DEADLINE_EXCEEDED","reason":"DEADLINE_EXCEEDED","message":"too slow","#,
        r#""largest":null,"limits":[]}}"#,
    );
    assert_eq!(json(error), expected);
}
