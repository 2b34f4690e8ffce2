//! Tests the JSON of each event body, the hash over rows, and the report of records that break a rule.

use super::*;
use crate::event::{Encoder, Event};
use crate::ids::OfferId;
use crate::time::Now;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn import(n: u128) -> ImportId {
    ImportId(uuid::Uuid::from_u128(n))
}

fn approval(n: u128) -> ApprovalId {
    ApprovalId(uuid::Uuid::from_u128(n))
}

fn file(kind: FileKind, as_at: &str, content: u8) -> ImportedFile {
    let rows = RowsHash { count: 3, sha256: Hash([content; 32]) };
    ImportedFile {
        kind,
        as_at: as_at.parse().unwrap(),
        name: "month.csv".to_owned(),
        sha256: Hash([content; 32]),
        rows: 4,
        accepted: rows,
        findings: RowsHash { count: 1, ..rows },
        more_problems: 0,
    }
}

/// Midnight of 31 January 2022 in London. All events of these tests happen on this day, unless a test says otherwise.
const DAY: i64 = 1_643_587_200_000_000;

/// The time at which event `seq` is recorded.
const fn recorded(seq: i64) -> Micros {
    Micros(DAY + seq * 1_000)
}

/// Thirty days after event `seq` is recorded.
const fn expiry(seq: i64) -> Micros {
    Micros(recorded(seq).0 + 30 * 86_400_000_000)
}

/// Applies an event that was recorded on 31 January 2022.
fn apply(state: &mut RegisterState, event: &RegisterEvent) -> Vec<String> {
    let today = "2022-01-31".parse().unwrap();
    state.apply(event, Some(Now { at: event.recorded, today }))
}

/// An event by the actor `by`. `request` is the number of the request.
fn event(seq: i64, by: &str, request: u128, body: RegisterBody) -> RegisterEvent {
    Event {
        seq: Seq(seq),
        offer: None,
        actor: by.parse().unwrap(),
        request: RequestId(uuid::Uuid::from_u128(request)),
        effective: "2022-01-31".parse().unwrap(),
        recorded: recorded(seq),
        reason_code: None,
        text_hash: None,
        body,
        entries: Vec::new(),
    }
}

fn landed(n: u128, content: u8) -> RegisterBody {
    RegisterBody::ImportLanded { import: import(n), file: file(FileKind::Ofsted, "2021-09-30", content) }
}

/// Opens approval `n` to withdraw the import `import_number`. The approval expires thirty days after event `seq`.
fn opened(n: u128, import_number: u128, seq: i64) -> RegisterBody {
    RegisterBody::ApprovalOpened {
        approval: approval(n),
        import: import(import_number),
        statement: Statement::Import { offers: vec![OfferId(uuid::Uuid::max())] },
        expires_at: expiry(seq),
        token_subject: None,
    }
}

fn given(n: u128) -> RegisterBody {
    RegisterBody::ApprovalGiven { approval: approval(n), token_subject: None }
}

fn withdrawn(import_number: u128, n: u128) -> RegisterBody {
    RegisterBody::ImportWithdrawn { import: import(import_number), approval: approval(n) }
}

/// The actor, the number of the request, and the body of an event.
type Step = (&'static str, u128, RegisterBody);

/// Applies a `record_begun` event and then `steps`. Returns the state and the violations, each after the number of its
/// event.
fn state_and_violations(steps: Vec<Step>) -> (RegisterState, Vec<String>) {
    let mut state = RegisterState::default();
    let begun = ("tsio", 0, RegisterBody::RecordBegun { found: 0 });
    let mut violations = Vec::new();
    for (seq, (by, request, body)) in (1_i64..).zip(std::iter::once(begun).chain(steps)) {
        let event = event(seq, by, request, body);
        violations.extend(apply(&mut state, &event).into_iter().map(|it| format!("{seq}: {it}")));
    }
    violations.extend(state.unfinished());
    (state, violations)
}

#[test]
fn files_land_and_are_replaced_and_withdrawn_by_two_people() {
    let (state, violations) = state_and_violations(vec![
        ("ann", 1, landed(1, 1)),
        ("ann", 2, landed(2, 2)),
        ("ann", 2, RegisterBody::ImportReplaced { import: import(1), by: import(2) }),
        ("ann", 3, RegisterBody::ImportRepeated { import: import(2) }),
        ("ann", 4, opened(7, 2, 6)),
        ("bob", 5, given(7)),
        ("bob", 5, withdrawn(2, 7)),
    ]);
    assert_eq!(violations, Vec::<String>::new());
    let [first, second] = [1, 2].map(|n| state.imports.get(&import(n)).unwrap().clone());
    assert_eq!((first.state, first.replaced_by), (ImportState::Replaced, Some(import(2))));
    assert_eq!((second.state, second.withdrawn_by.unwrap().to_string()), (ImportState::Withdrawn, "ann".to_owned()));
    // Which of the two imports counted after each event. Event 2 landed the first and event 3 the second, event 4
    // replaced the first, event 8 withdrew the second.
    let counted = |seq| [1, 2].map(|n| state.imports[&import(n)].counts_at(Seq(seq)));
    assert_eq!(counted(1), [false, false]);
    assert_eq!(counted(2), [true, false]);
    assert_eq!(counted(4), [false, true]);
    assert_eq!(counted(7), [false, true]);
    assert_eq!(counted(8), [false, false]);
}

#[test]
fn each_broken_rule_is_reported() {
    let opened_by_ann = || vec![("ann", 1, landed(1, 1)), ("ann", 2, opened(7, 1, 3))];
    let after_opening = |more: Vec<Step>| opened_by_ann().into_iter().chain(more).collect::<Vec<_>>();
    #[rustfmt::skip]
    let rows: Vec<(Vec<Step>, &str)> = vec![
        (vec![("ann", 1, landed(1, 1)), ("ann", 2, landed(1, 2))],                "3: import 00000000-0000-0000-0000-000000000001 is in the record already"),
        (vec![("ann", 1, landed(1, 1)), ("ann", 2, landed(2, 1))],                "3: its content is that of import"),
        (vec![("ann", 1, RegisterBody::ImportRepeated { import: import(1) })],    "2: import 00000000-0000-0000-0000-000000000001 is not in the record"),
        (vec![("ann", 1, landed(1, 1)), ("ann", 2, RegisterBody::ImportReplaced { import: import(1), by: import(1) })], "3: import 00000000-0000-0000-0000-000000000001 takes its own place"),
        (vec![("ann", 1, RegisterBody::ImportLanded { import: import(1), file: file(FileKind::Ofsted, "2022-02-01", 1) })], "2: its file speaks for a later day, 2022-02-01"),
        (vec![("ann", 1, landed(1, 1)), ("ann", 2, withdrawn(1, 7))],             "3: import 00000000-0000-0000-0000-000000000001 is withdrawn without an approval of that"),
        (after_opening(vec![("ANN", 3, given(7)), ("ANN", 3, withdrawn(1, 7))]),          "4: approval 00000000-0000-0000-0000-000000000007: the requester may neither approve nor deny (SELF_APPROVAL)"),
        (after_opening(vec![("bob", 3, given(7)), ("bob", 4, withdrawn(1, 7))]),          "5: import 00000000-0000-0000-0000-000000000001 is withdrawn without an approval of that"),
        (after_opening(vec![("bob", 3, given(7))]),                                       "approval 00000000-0000-0000-0000-000000000007 was given, and withdraws nothing"),
        (after_opening(vec![("bob", 3, given(7)), ("ann", 4, landed(2, 2))]),             "5: approval 00000000-0000-0000-0000-000000000007 was given before it, and withdraws nothing"),
        (after_opening(vec![("ann", 3, RegisterBody::ApprovalDenied { approval: approval(7), token_subject: None })]), "4: approval 00000000-0000-0000-0000-000000000007: the requester may neither"),
        (after_opening(vec![("bob", 3, RegisterBody::ApprovalWithdrawn { approval: approval(7), token_subject: None })]), "4: approval 00000000-0000-0000-0000-000000000007: only the requester"),
        (after_opening(vec![("bob", 3, given(7)), ("eve", 3, withdrawn(1, 7))]),          "5: import 00000000-0000-0000-0000-000000000001 is withdrawn without an approval of that"),
        (vec![("ann", 1, landed(1, 1)), ("ann", 2, opened(7, 1, 4))],             "3: approval 00000000-0000-0000-0000-000000000007 expires at 1646179200004000, not 30 days after it was opened, at 1646179200003000"),
        (vec![("ann", 1, opened(7, 1, 2))],                                   "2: import 00000000-0000-0000-0000-000000000001 is not in the record"),
        (vec![("bob", 1, given(7)), ("bob", 1, withdrawn(1, 7))],                 "2: approval 00000000-0000-0000-0000-000000000007 is not in the record"),
        (vec![("tsio", 1, RegisterBody::RecordBegun { found: 1 })],               "2: the record begins with record_begun, and with nothing else"),
        (vec![("tsio", 1, RegisterBody::AnswerFound { approval: approval(7), answer: AdoptedAnswer::Withdrawn, answered_by: None, token_subject: None })],
                                                                                  "2: what was found is adopted right after the beginning"),
    ];
    for (steps, expected) in rows {
        let (_, violations) = state_and_violations(steps);
        assert!(violations.iter().any(|it| it.starts_with(expected)), "{expected} is not in {violations:#?}");
    }
}

/// The five events of a valid record: it begins, a file lands, an approval is opened and given, and the import is
/// withdrawn.
fn withdrawal() -> [RegisterEvent; 5] {
    [
        event(1, "tsio", 0, RegisterBody::RecordBegun { found: 0 }),
        event(2, "ann", 1, landed(1, 1)),
        event(3, "ann", 2, opened(7, 1, 3)),
        event(4, "bob", 3, given(7)),
        event(5, "bob", 3, withdrawn(1, 7)),
    ]
}

#[test]
fn an_approval_is_given_before_it_expires() {
    let expected = "approval 00000000-0000-0000-0000-000000000007: this approval has expired";
    for (answered_at, is_reported) in [(expiry(3).0 - 1, false), (expiry(3).0, true)] {
        let mut state = RegisterState::default();
        let mut violations = Vec::new();
        for mut event in withdrawal() {
            if event.seq.0 > 3 {
                event.recorded = Micros(answered_at);
            }
            let today = if event.seq.0 > 3 { "2022-03-02" } else { "2022-01-31" }.parse().unwrap();
            violations.extend(state.apply(&event, Some(Now { at: event.recorded, today })));
        }
        assert_eq!(violations.iter().any(|it| it.starts_with(expected)), is_reported, "{answered_at}: {violations:#?}");
        assert_eq!(violations.len(), usize::from(is_reported), "{violations:#?}");
    }
}

#[test]
fn impossible_times_and_dates_are_reported() {
    type Change = fn(&mut RegisterEvent);
    let rows: [(Change, &str); 2] = [
        (
            |it| it.recorded = Micros(recorded(4).0 - 1_001),
            "4: it is recorded at 1643587200002999, before the event before it, at 1643587200003000",
        ),
        (
            |it| it.effective = "2022-02-01".parse().unwrap(),
            "4: it takes effect on 2022-02-01, after the day it was recorded on, 2022-01-31",
        ),
    ];
    for (change, expected) in rows {
        let mut state = RegisterState::default();
        let mut violations = Vec::new();
        for mut event in withdrawal() {
            if event.seq == Seq(4) {
                change(&mut event);
            }
            violations.extend(apply(&mut state, &event).into_iter().map(|it| format!("{}: {it}", event.seq)));
        }
        assert_eq!(violations, [expected]);
    }
    let begun = event(1, "tsio", 0, RegisterBody::RecordBegun { found: 0 });
    let violations = RegisterState::default().apply(&begun, None);
    assert_eq!(violations, ["it is recorded at a time that no calendar has"]);
    // Events of one request have the same time.
    let mut state = RegisterState::default();
    let violations: Vec<String> = withdrawal()
        .into_iter()
        .flat_map(|it| apply(&mut state, &RegisterEvent { recorded: recorded(3), ..it }))
        .collect();
    assert_eq!(violations, Vec::<String>::new());
}

#[test]
fn adopting_events_follow_the_first_event_and_are_counted() {
    let begun = |found| event(1, "tsio", 0, RegisterBody::RecordBegun { found });
    let body = RegisterBody::ImportFound {
        import: import(1),
        file: file(FileKind::Groups, "2021-08-31", 1),
        state: ImportState::Landed,
        imported_by: "ann".parse().unwrap(),
        imported_at: Micros(5),
        withdrawn_by: None,
        replaced_by: None,
    };
    for (count, violation_count) in [(1, 0), (0, 1), (2, 1)] {
        let mut state = RegisterState::default();
        let mut violations = apply(&mut state, &begun(count));
        violations.extend(apply(&mut state, &event(2, "tsio", 0, body.clone())));
        violations.extend(state.unfinished());
        assert_eq!(violations.len(), violation_count, "{count}: {violations:?}");
        assert_eq!(state.imports[&import(1)].imported_by.to_string(), "ann");
    }
}

#[test]
fn every_body_keeps_its_json() {
    let (import, approval) = (ImportId(ID.parse().unwrap()), ApprovalId(ID.parse().unwrap()));
    let hex = "07".repeat(32);
    let file = file(FileKind::Ofsted, "2021-09-30", 7);
    let file_json = format!(
        r#"{{"kind":"ofsted","as_at":"2021-09-30","name":"month.csv","sha256":"{hex}","rows":4,"accepted":{{"count":3,"sha256":"{hex}"}},"findings":{{"count":1,"sha256":"{hex}"}},"more_problems":0}}"#
    );
    let ann: Actor = "ann".parse().unwrap();
    let statement = Statement::Import { offers: vec![] };
    #[rustfmt::skip]
    let rows = vec![
        (RegisterBody::RecordBegun { found: 2 }, r#"{"kind":"record_begun","found":2}"#.to_owned()),
        (RegisterBody::ImportFound { import, file: file.clone(), state: ImportState::Landed, imported_by: ann.clone(), imported_at: Micros(5), withdrawn_by: None, replaced_by: None },
            format!(r#"{{"kind":"import_found","import":"{ID}","file":{file_json},"state":"landed","imported_by":"ann","imported_at":5}}"#)),
        (RegisterBody::ApprovalFound { approval, import, requested_by: ann.clone(), requested_at: Micros(6), request: None, token_subject: None, statement: None, expires_at: Some(Micros(6)) },
            format!(r#"{{"kind":"approval_found","approval":"{ID}","import":"{ID}","requested_by":"ann","requested_at":6,"expires_at":6}}"#)),
        (RegisterBody::AnswerFound { approval, answer: AdoptedAnswer::CarriedOut, answered_by: Some(ann), token_subject: None },
            format!(r#"{{"kind":"answer_found","approval":"{ID}","answer":"carried_out","answered_by":"ann"}}"#)),
        (RegisterBody::ImportLanded { import, file }, format!(r#"{{"kind":"import_landed","import":"{ID}","file":{file_json}}}"#)),
        (RegisterBody::ImportRepeated { import }, format!(r#"{{"kind":"import_repeated","import":"{ID}"}}"#)),
        (RegisterBody::ImportReplaced { import, by: import }, format!(r#"{{"kind":"import_replaced","import":"{ID}","by":"{ID}"}}"#)),
        (RegisterBody::ApprovalOpened { approval, import, statement, expires_at: Micros(9), token_subject: None },
            format!(r#"{{"kind":"approval_opened","approval":"{ID}","import":"{ID}","statement":{{"kind":"import","offers":[]}},"expires_at":9}}"#)),
        (RegisterBody::ApprovalGiven { approval, token_subject: None }, format!(r#"{{"kind":"approval_given","approval":"{ID}"}}"#)),
        (RegisterBody::ApprovalDenied { approval, token_subject: None }, format!(r#"{{"kind":"approval_denied","approval":"{ID}"}}"#)),
        (RegisterBody::ApprovalWithdrawn { approval, token_subject: None }, format!(r#"{{"kind":"approval_withdrawn","approval":"{ID}"}}"#)),
        (RegisterBody::ImportWithdrawn { import, approval }, format!(r#"{{"kind":"import_withdrawn","import":"{ID}","approval":"{ID}"}}"#)),
    ];
    for (body, json) in rows {
        assert_eq!(serde_json::to_string(&body).unwrap(), json);
        assert_eq!(serde_json::from_str::<RegisterBody>(&json).unwrap(), body, "{json}");
        assert!(json.starts_with(&format!(r#"{{"kind":"{}""#, body.kind())), "{json}");
    }
}

/// The expected hashes were computed with Python's hashlib from the description in `docs/reference/record.md`.
#[test]
fn rows_are_hashed_as_the_documentation_describes() {
    // A row of the links: from school 100001 to 100002, named Ash Academy, of type Successor, without a date.
    let mut row = Encoder::new(b"tsio row v1\n");
    row.number(100_001);
    row.number(100_002);
    row.text("Ash Academy");
    row.text("Successor");
    row.optional(None::<&String>, |to, it| to.text(it));
    let row = row.finish();
    assert_eq!(row.to_string(), "fd05cd2ecc610662fa8d59c0d6e9728246aed322ff14504c3d7ee3010df13b01");
    let mut list = RowsHasher::default();
    list.add(row);
    list.add(Hash([0; 32]));
    let RowsHash { count, sha256 } = list.finish();
    assert_eq!(
        (count, sha256.to_string().as_str()),
        (2, "9b39e6c10382ac1ed1e93b02d0c750a4256fb042e46f70ae982faae7c09a4e22")
    );
    assert_eq!(
        RowsHasher::default().finish().sha256.to_string(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}
