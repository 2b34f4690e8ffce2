//! Tests imports from end to end, each test with its own database.

mod row_hashes;
mod withdraw;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::app::clock::{Clock, new_id};
use crate::app::testing::{
    AUGUST, MONTHS, TestApp, admin, date, denial, give_withdrawal, header, programme, replacing_header,
    request_withdrawal, sample, submit, urn,
};
use crate::app::verify::verify;
use crate::domain::approval::Approval;
use crate::domain::event::{Hash, Seq};
use crate::domain::ids::{ApprovalId, RecordName};
use crate::domain::programme::Command;
use crate::domain::refusal::{EntityKind, Reason};
use crate::domain::role::{Regions, Role};
use crate::domain::time::Micros;
use crate::store::requests::Stored;
use crate::store::testing::counts;

const SEPTEMBER: (&str, &str) = MONTHS[1];
const CORRECTED: &str = "ofsted_2021-09-30_corrected.csv";

fn refused<T: std::fmt::Debug>(answer: Result<T>) -> crate::domain::refusal::Refusal {
    match answer {
        Err(AppError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn every_row_of_a_sample_is_imported() {
    let test_app = TestApp::new().await;
    let rows = [("gias_groups_2021-08.csv", 22), ("gias_membership_2021-08.csv", 49), ("gias_links.csv", 14)];
    for (name, rows) in rows {
        let outcome = test_app.import_sample(name, "2021-08-31").await;
        assert_eq!(
            (outcome.rows, outcome.accepted, outcome.unchanged, outcome.problems.len()),
            (rows, rows, 0, 0),
            "{name}"
        );
    }
    let outcome = test_app.import_sample(SEPTEMBER.0, SEPTEMBER.1).await;
    assert_eq!((outcome.kind, outcome.rows, outcome.accepted, outcome.dry_run), (FileKind::Ofsted, 58, 58, false));
    let (import, problems, _) = test_app.app.get_import(&admin("ann"), outcome.import.unwrap()).await.unwrap();
    assert_eq!(
        (import.state, import.as_at, import.indexed, problems.len()),
        (ImportState::Landed, date("2021-09-30"), true, 0)
    );
    let list = test_app.imports(None).await;
    assert!(list.is_sorted_by(|a, b| a.id > b.id) && list.len() == 4, "{list:?}");
    let ofsted = test_app.imports(Some(FileKind::Ofsted)).await;
    assert_eq!(ofsted, [import]);
}

#[tokio::test]
async fn the_same_content_as_at_another_date_is_noted() {
    let test_app = TestApp::new().await;
    let first = test_app.import_sample(SEPTEMBER.0, SEPTEMBER.1).await;
    assert_eq!(first.notes, Vec::<String>::new());
    let note = format!(
        "the same content counts as at 2021-09-30 already (import {}): check the as-at date",
        first.import.unwrap()
    );
    let other = test_app.import_sample(SEPTEMBER.0, "2021-10-31").await;
    assert_eq!(other.notes, [note]);
    let (_, _, kept) = test_app.app.get_import(&admin("ann"), other.import.unwrap()).await.unwrap();
    assert_eq!(kept, other.notes, "the note is stored with the import");
    let again = test_app.import_sample(SEPTEMBER.0, SEPTEMBER.1).await;
    assert_eq!((again.import, again.notes), (first.import, Vec::new()), "a repetition lands no import");
}

#[tokio::test]
async fn problems_are_kept_with_the_import() {
    let test_app = TestApp::new().await;
    let bytes = sample("bad/wrong_dates.csv");
    let anyway = UploadHeader { accept_problems: true, ..header("ofsted.csv", "2021-08-31") };
    let outcome = test_app.upload(anyway, bytes).await.unwrap().fresh.unwrap();
    assert_eq!((outcome.rows, outcome.accepted), (11, 3));
    let (_, problems, notes) = test_app.app.get_import(&admin("ann"), outcome.import.unwrap()).await.unwrap();
    assert_eq!((&problems, &notes), (&outcome.problems, &outcome.notes));
    assert_eq!(problems.iter().map(|it| it.line).collect::<Vec<_>>(), [3, 4, 5, 7, 8, 9, 10, 11]);
}

#[tokio::test]
async fn the_same_content_again_changes_nothing() {
    let test_app = TestApp::new().await;
    let first = test_app.import_sample(SEPTEMBER.0, SEPTEMBER.1).await;
    let mut before = counts(test_app.app.store()).await;
    let again = test_app.import_sample(SEPTEMBER.0, SEPTEMBER.1).await;
    assert_eq!(again, ImportOutcome { accepted: 0, unchanged: 58, ..first });
    // Only the answer to the second request is stored, with its event.
    *before.get_mut("requests").unwrap() += 1;
    *before.get_mut("register_events").unwrap() += 1;
    assert_eq!(counts(test_app.app.store()).await, before);
}

#[tokio::test]
async fn a_dry_run_returns_the_same_outcome_and_writes_nothing() {
    let test_app = TestApp::with_files(&[SEPTEMBER]).await;
    let before = counts(test_app.app.store()).await;
    let dry = |name, as_at| UploadHeader { validate_only: true, ..header(name, as_at) };
    let good = test_app.upload(dry(MONTHS[0].0, MONTHS[0].1), sample(MONTHS[0].0)).await.unwrap().fresh.unwrap();
    assert_eq!((good.import, good.rows, good.accepted, good.dry_run), (None, 73, 73, true));
    let other = refused(test_app.upload(dry(CORRECTED, "2021-09-30"), sample(CORRECTED)).await);
    assert_eq!(other.reason, Reason::ImportDisagrees);
    let same = test_app.upload(dry(SEPTEMBER.0, SEPTEMBER.1), sample(SEPTEMBER.0)).await.unwrap().fresh.unwrap();
    assert_eq!((same.import, same.accepted, same.unchanged, same.dry_run), (None, 0, 58, true));
    assert_eq!(counts(test_app.app.store()).await, before);
}

#[tokio::test]
async fn a_file_that_disagrees_is_refused_unless_it_replaces_the_other() {
    let test_app = TestApp::new().await;
    let first = test_app.import_sample(SEPTEMBER.0, SEPTEMBER.1).await.import.unwrap();
    let refusal = refused(test_app.upload(header(CORRECTED, "2021-09-30"), sample(CORRECTED)).await);
    let [limit] = refusal.limits.as_slice() else { panic!("one URN: {refusal:?}") };
    assert_eq!(
        (refusal.reason, limit.subject.to_string()),
        (Reason::ImportDisagrees, format!("URN 910022 in import {first}"))
    );
    assert!(limit.remedy.contains(&format!("--replaces {first}")), "{limit:?}");
    let left = counts(test_app.app.store()).await;
    assert_eq!((left["imports"], left["ofsted_rows"]), (1, 58), "a refused import leaves no rows");

    let landed = test_app
        .upload(replacing_header(CORRECTED, "2021-09-30", first), sample(CORRECTED))
        .await
        .unwrap()
        .fresh
        .unwrap();
    assert_eq!((landed.accepted, landed.replaced), (58, Some(first)));
    let (old, ..) = test_app.app.get_import(&admin("ann"), first).await.unwrap();
    assert_eq!((old.state, old.replaced_by), (ImportState::Replaced, landed.import));

    for (wrong, as_at) in
        [(first, "2021-09-30"), (landed.import.unwrap(), "2021-08-31"), (ImportId(new_id()), "2021-09-30")]
    {
        let answer = test_app.upload(replacing_header(MONTHS[0].0, as_at, wrong), sample(MONTHS[0].0)).await;
        assert!(matches!(&answer, Err(AppError::Invalid(found)) if found[0].field == "header.replaces"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_import_of_content_that_has_landed_still_replaces_the_named_import() {
    let test_app = TestApp::new().await;
    // The rows are the same, so both files may count. One more empty line makes the content different.
    let same_rows = [sample(SEPTEMBER.0), b"\r\n".to_vec()].concat();
    let wrong = test_app.import_sample(SEPTEMBER.0, SEPTEMBER.1).await.import.unwrap();
    let right = test_app.upload(header("ofsted.csv", "2021-09-30"), same_rows.clone()).await.unwrap().fresh.unwrap();
    assert_eq!((right.accepted, right.unchanged, right.replaced), (58, 0, None));
    let replace_wrong = || replacing_header("ofsted.csv", "2021-09-30", wrong);
    let state = async |id| test_app.app.get_import(&admin("ann"), id).await.unwrap().0;

    let dry = test_app
        .upload(UploadHeader { validate_only: true, ..replace_wrong() }, same_rows.clone())
        .await
        .unwrap()
        .fresh
        .unwrap();
    assert_eq!((dry.replaced, state(wrong).await.state), (Some(wrong), ImportState::Landed));
    let outcome = test_app.upload(replace_wrong(), same_rows.clone()).await.unwrap().fresh.unwrap();
    assert_eq!(outcome, ImportOutcome { accepted: 0, unchanged: 58, replaced: Some(wrong), ..right.clone() });
    let old = state(wrong).await;
    assert_eq!((old.state, old.replaced_by, old.indexed), (ImportState::Replaced, right.import, true));
    assert_eq!(state(right.import.unwrap()).await.state, ImportState::Landed);

    // Repeating the request, or replacing the import by itself, changes nothing.
    for replaced in [wrong, right.import.unwrap()] {
        let outcome =
            test_app.upload(replacing_header("ofsted.csv", "2021-09-30", replaced), same_rows.clone()).await.unwrap();
        assert_eq!(outcome.fresh, Some(ImportOutcome { accepted: 0, unchanged: 58, ..right.clone() }));
    }
    let unknown = test_app.upload(replacing_header("ofsted.csv", "2021-09-30", ImportId(new_id())), same_rows).await;
    assert!(matches!(&unknown, Err(AppError::Invalid(found)) if found[0].field == "header.replaces"), "{unknown:?}");
}

#[tokio::test]
async fn the_register_may_not_disagree_either() {
    let test_app = TestApp::with_files(&AUGUST[1..2]).await;
    let closed = String::from_utf8_lossy(&sample("gias_membership_2021-08.csv")).replacen(",Open,", ",Closed,", 1);
    let refusal = refused(test_app.upload(header("gias.csv", "2021-08-31"), closed.into_bytes()).await);
    assert_eq!((refusal.reason, refusal.limits.len()), (Reason::ImportDisagrees, 1), "{refusal:?}");
}

#[tokio::test]
async fn a_repeated_import_request_gets_the_same_bytes() {
    let test_app = TestApp::new().await;
    let upload_header = header(SEPTEMBER.0, SEPTEMBER.1);
    let first = test_app.upload(upload_header.clone(), sample(SEPTEMBER.0)).await.unwrap();
    let again = test_app.upload(upload_header.clone(), sample(SEPTEMBER.0)).await.unwrap();
    assert_eq!((again.fresh, again.answer), (None, first.answer));
    for (other, bytes) in [
        (UploadHeader { as_at: date("2021-10-31"), ..upload_header.clone() }, sample(SEPTEMBER.0)),
        (upload_header.clone(), sample(CORRECTED)),
        (UploadHeader { file_name: "ofsted.csv".to_owned(), ..upload_header.clone() }, sample(SEPTEMBER.0)),
    ] {
        assert_eq!(test_app.upload(other, bytes).await, Err(AppError::RequestIdReused));
    }
    // A refusal does not use up the request id.
    let refusal = header(CORRECTED, "2021-09-30");
    refused(test_app.upload(refusal.clone(), sample(CORRECTED)).await);
    test_app.upload(UploadHeader { as_at: date("2021-10-31"), ..refusal }, sample(CORRECTED)).await.unwrap();
}

#[tokio::test]
async fn the_error_says_why_a_file_cannot_be_imported() {
    let test_app = TestApp::new().await;
    let future = test_app.upload(header(SEPTEMBER.0, "2023-02-02"), sample(SEPTEMBER.0)).await;
    assert!(matches!(&future, Err(AppError::Invalid(found)) if found[0].field == "header.as_at"), "{future:?}");
    let wrong_command = test_app.upload(header("ofsted.csv", "2021-08-31"), sample("gias_links.csv")).await;
    assert!(
        matches!(&wrong_command, Err(AppError::FileRefused { why, .. }) if why.contains("tsio import register")),
        "{wrong_command:?}"
    );
    let reader = Caller {
        actor: "rob".parse().unwrap(),
        roles: vec![Role::Reader, Role::Finance],
        regions: Regions::Every,
        subject: None,
    };
    let nothing = Upload {
        source: ImportSource::Ofsted,
        rpc: "EligibilityService/ImportOfsted",
        today: test_app.today(),
        bytes: Vec::new(),
    };
    let denied = test_app.app.import_file(&reader, header("x", "2021-08-31"), nothing, |_| {}, |_| Vec::new()).await;
    assert_eq!(denied, Err(AppError::Denied(vec![Action::Import])));
}

#[tokio::test]
async fn progress_is_reported_after_reading_and_after_writing() {
    let mut with_refused_row = sample(SEPTEMBER.0);
    let urn = with_refused_row.windows(8).position(|it| it == b",990002,").unwrap() + 1;
    with_refused_row[urn] = b'x';
    for (bytes, expected) in [(with_refused_row, [(58, 0), (58, 57)]), (sample(SEPTEMBER.0), [(58, 0), (58, 58)])] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let reported = Arc::clone(&seen);
        let progress = move |it: Progress| reported.lock().unwrap().push((it.rows_read, it.rows_written));
        let (test_app, upload_header) = (TestApp::new().await, header(SEPTEMBER.0, SEPTEMBER.1));
        let september = Upload {
            source: ImportSource::Ofsted,
            rpc: "EligibilityService/ImportOfsted",
            today: test_app.today(),
            bytes,
        };
        test_app.app.import_file(&admin("ann"), upload_header, september, progress, |_| Vec::new()).await.unwrap();
        assert_eq!(*seen.lock().unwrap(), expected);
    }
}

/// Stages a monthly file and then stops, like a process that dies. Returns the id of the import.
async fn interrupt_import(app: &App, at: Micros) -> ImportId {
    let id = ImportId(new_id());
    let parsed = ImportSource::Ofsted.parse(&sample(SEPTEMBER.0), &Reading::of(date("2021-09-30"))).unwrap();
    let import = Import {
        id,
        kind: parsed.kind,
        as_at: date("2021-09-30"),
        state: ImportState::Staging,
        file_name: "interrupted.csv".to_owned(),
        sha256: Hash(parsed.sha256),
        rows: 58,
        accepted: 58,
        more_problems: 0,
        imported_by: "ann".parse().unwrap(),
        imported_at: at,
        withdrawn_by: None,
        withdrawn_reason: None,
        replaced_by: None,
        indexed: false,
    };
    let tx = app.store().write(app.store().write_permit().await.unwrap()).await.unwrap();
    store::imports::put(&tx, &[&import]).await.unwrap();
    parsed.rows(id).into_writes(app.store().backend()).run(&tx).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn an_interrupted_import_is_invisible_and_deleted_when_it_is_old() {
    let test_app = TestApp::new().await;
    let now = test_app.app.clock().now().at;
    let hour = 3_600_000_000;
    let (old, young) =
        (interrupt_import(&test_app.app, Micros(now.0 - hour - 1)).await, interrupt_import(&test_app.app, now).await);
    let ann = admin("ann");
    let summary = test_app.app.eligibility_summary(&ann, test_app.today(), &programme("2021-22")).await.unwrap();
    assert_eq!((summary.as_at, summary.schools), (None, 0));
    assert_eq!(test_app.imports(None).await, []);
    for id in [old, young] {
        assert_eq!(test_app.app.get_import(&ann, id).await, Err(AppError::not_found(EntityKind::Import, id)));
    }
    assert_eq!(test_app.app.find_schools(&ann, test_app.today(), "school", None, 9).await.unwrap().keys, []);
    assert_eq!(counts(test_app.app.store()).await["ofsted_rows"], 2 * 58);
    // Another process may still be staging the young import.
    let landed = test_app.import_sample(SEPTEMBER.0, SEPTEMBER.1).await;
    assert_eq!((landed.accepted, landed.unchanged), (58, 0));
    let left = counts(test_app.app.store()).await;
    assert_eq!((left["imports"], left["ofsted_rows"]), (2, 2 * 58));
}

#[tokio::test]
async fn names_of_people_in_the_files_are_not_stored() {
    let test_app = TestApp::with_files(&AUGUST).await;
    for name in ["tsio.db", "tsio.db-wal"] {
        let bytes = std::fs::read(test_app.path(name)).unwrap();
        // The samples mark each name of a person with these letters.
        assert!(!bytes.windows(3).any(|it| it == b"XQZ"), "{name}");
    }
}

async fn identify(test_app: &TestApp) {
    submit(test_app, &programme("2021-22"), Command::Identify).await.unwrap();
}

#[tokio::test]
async fn a_withdrawal_needs_two_people_and_names_the_affected_offers() {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..2]].concat()).await;
    identify(&test_app).await;
    let (ann, ben) = (admin("ann"), admin("ben"));
    let september = test_app.imports(Some(FileKind::Ofsted)).await[0].id;
    let ask = async |reason| request_withdrawal(&test_app, &ann, (RequestId(new_id()), september), reason).await;
    assert!(matches!(ask(" ").await, Err(AppError::Invalid(_))));
    let opened = refused(ask("wrong month").await);
    let approval = opened.approval.unwrap();
    assert_eq!(opened.reason, Reason::ApprovalRequired);
    assert_eq!(refused(ask("wrong month").await).approval, Some(approval), "the same caller gets the same approval");

    let encode = EncodeWithdrawn { given: |it| format!("{it:?}").into_bytes(), asked: |_| Vec::new() };
    let request = RequestId(new_id());
    let own = refused(give_withdrawal(&test_app, &ann, (request, approval), encode).await);
    assert_eq!(own.reason, Reason::SelfApproval);
    assert!(!test_app.app.is_write_in_doubt(), "a refusal leaves no doubt");
    let done = give_withdrawal(&test_app, &ben, (request, approval), encode).await.unwrap();
    let withdrawn = done.fresh.unwrap();
    assert_eq!(
        (withdrawn.import.state, withdrawn.import.withdrawn_reason.as_deref()),
        (ImportState::Withdrawn, Some("wrong month"))
    );
    let lost: Vec<_> = withdrawn.affected.iter().flat_map(|it| it.urns.clone()).collect();
    assert_eq!(lost, [urn(910_017), urn(910_019), urn(910_021)]);

    let again = give_withdrawal(&test_app, &ben, (request, approval), encode).await.unwrap();
    assert_eq!((again.fresh, again.answer), (None, done.answer));
    let other = ApprovalId(new_id());
    assert_eq!(give_withdrawal(&test_app, &ben, (request, other), encode).await, Err(AppError::RequestIdReused));
    assert!(!test_app.app.is_write_in_doubt(), "a refusal leaves no doubt");
    let given = refused(give_withdrawal(&test_app, &ben, (RequestId(new_id()), approval), encode).await);
    assert_eq!(given.reason, Reason::ApprovalNotOpen);
    assert!(!test_app.app.is_write_in_doubt(), "a refusal leaves no doubt");
    assert_eq!(refused(ask("again").await).reason, Reason::ImportNotLanded);
    assert!(!test_app.app.is_write_in_doubt(), "a refusal leaves no doubt");

    let summary = test_app.app.eligibility_summary(&ann, test_app.today(), &programme("2021-22")).await.unwrap();
    assert_eq!((summary.as_at, summary.schools, summary.eligible_schools), (Some(date("2021-08-31")), 73, 28));
    assert_eq!(
        test_app.app.find_schools(&ann, test_app.today(), "990001", None, 9).await.unwrap().keys,
        [],
        "no file names it any more"
    );
    // A withdrawn file can be imported again.
    assert_eq!(test_app.import_sample(SEPTEMBER.0, SEPTEMBER.1).await.accepted, 58);
}

/// The clock is set back before each step.
#[tokio::test]
async fn recorded_times_of_reference_data_never_go_back() {
    let noon = "2023-02-01T12:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let steps = Arc::new(AtomicU32::new(0));
    let clock = Clock::of({
        let steps = Arc::clone(&steps);
        move || noon - chrono::TimeDelta::hours(steps.load(Ordering::Relaxed).into())
    });
    let test_app = TestApp::with_clock(clock).await;
    let ann = admin("ann");
    for (name, as_at) in &AUGUST[..2] {
        steps.fetch_add(1, Ordering::Relaxed);
        test_app.import_sample(name, as_at).await;
    }
    let imports = test_app.imports(None).await;
    let at = Micros(noon.timestamp_micros());
    assert_eq!(imports.iter().map(|it| it.imported_at).collect::<Vec<_>>(), [at, at]);

    steps.fetch_add(1, Ordering::Relaxed);
    refused(request_withdrawal(&test_app, &ann, (RequestId(new_id()), imports[0].id), "wrong").await);
    let page = Page { newest_first: true, after: None, limit: 9 };
    let all = test_app
        .app
        .list_approvals(&ann, test_app.app.clock().now().at, (crate::app::ApprovalScope::All, None), page)
        .await
        .unwrap();
    assert_eq!(all.iter().map(|it| it.requested_at).collect::<Vec<_>>(), [at]);
}

/// An earlier version with a clock that was ahead stored an answer. Its time is later than that of any import or approval.
#[tokio::test]
async fn the_record_begins_no_earlier_than_the_last_stored_answer() {
    let methods = [
        "RegisterService/ImportRegister",
        "EligibilityService/ImportOfsted",
        "RegisterService/WithdrawImport",
        "ApprovalService/GiveApproval",
        "ApprovalService/DenyApproval",
        "ApprovalService/WithdrawApproval",
    ];
    for rpc in methods {
        let test_app = TestApp::new().await;
        let now = test_app.app.clock().now().at;
        let (late, request) = (Micros(now.0 + 5_000_000), RequestId(new_id()));
        let answered = Stored {
            actor: "ann".parse().unwrap(),
            request,
            rpc: rpc.to_owned(),
            fingerprint: Hash([7; 32]),
            answer: vec![1],
            approval: None,
        };
        let tx = test_app.app.store().write(test_app.app.store().write_permit().await.unwrap()).await.unwrap();
        store::requests::keep(&tx, &[answered], late).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(test_app.app.begin_register_record().await.unwrap(), Some(0), "{rpc}");
        let begun = store::register::record::page(test_app.app.store(), Seq(1), 1).await.unwrap().remove(0);
        assert_eq!(begun.recorded.unwrap().event.recorded, late, "{rpc}");
        let reports = verify(test_app.app.store(), Some(&RecordName::Register), None).await.unwrap();
        assert!(reports.iter().all(|it| it.differences.is_empty()), "{rpc}: {reports:#?}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_error_is_logged_if_its_caller_has_disconnected() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (fail, must_fail) = tokio::sync::oneshot::channel::<()>();
    let (ended, has_ended) = tokio::sync::oneshot::channel::<()>();
    let work = async move {
        must_fail.await.unwrap();
        drop(ended);
        Err::<(), AppError>(AppError::Bug("it is unsound".to_owned()))
    };
    tokio::select! {
        biased;
        _ = run_to_end(work) => panic!("the work ended before it was released"),
        () = tokio::task::yield_now() => {}
    }
    fail.send(()).unwrap();
    // The sender is dropped when the work ends.
    assert!(has_ended.await.is_err(), "the work continues without its caller");
    tokio::task::yield_now().await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("it is unsound"), "{text}");
}
