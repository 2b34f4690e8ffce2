//! Tests the JSON of imports, and uploads to a server that records what it receives.

use std::path::PathBuf;
use std::sync::OnceLock;

use clap::Parser as _;
use uuid::Uuid;

use super::*;
use crate::cli::command::Cli;
use crate::cli::tests_server::{FakeServer, serve};
use crate::proto::{ImportKind, RowProblem};

fn outcome() -> ImportOutcome {
    ImportOutcome {
        import_id: "3c".to_owned(),
        kind: ImportKind::Membership.into(),
        as_at: "2022-03-31".to_owned(),
        rows: 10,
        accepted: 9,
        unchanged: 0,
        problems: vec![RowProblem { line: 4, column: "URN".to_owned(), reason: "not a number".to_owned() }],
        more_problems: 2,
        dry_run: false,
        replaced: String::new(),
        notes: vec!["1 row(s) repeat another one".to_owned()],
    }
}

#[test]
fn an_import_prints_one_element_per_file() {
    let files = [FileOutcome { file: "m.csv".to_owned(), outcome: Ok(outcome()) }];
    let files: Vec<_> = files.iter().map(FileOutcome::json).collect();
    let expected = concat!(
        r#"[{"import_id":"3c","kind":"membership","as_at":"2022-03-31","rows":10,"accepted":9,"unchanged":0,"#,
        r#""problems":[{"line":4,"column":"URN","reason":"not a number"}],"more_problems":2,"notes":["1 row(s) repeat another one"],"dry_run":false,"#,
        r#""replaced":null,"file":"m.csv"}]"#,
    );
    assert_eq!(serde_json::to_value(&files).ok(), serde_json::from_str(expected).ok());
}

#[test]
fn a_file_that_failed_among_several_is_an_element_with_its_error() {
    let error = ErrorView::new(&Failure::Local("FILE_UNREADABLE", "cannot read x".to_owned()), None);
    let failed = FileOutcome { file: "x".to_owned(), outcome: Err(Box::new(error)) };
    let expected = concat!(
        r#"{"file":"x","error":{"code":"INVALID_ARGUMENT","reason":"FILE_UNREADABLE","message":"cannot read x","#,
        r#""largest":null,"limits":[]}}"#,
    );
    assert_eq!(serde_json::to_string(&failed.json()).ok().as_deref(), Some(expected));
}

#[test]
fn problems_are_lines_that_editors_can_open() {
    let lines = FileOutcome { file: "m.csv".to_owned(), outcome: Ok(outcome()) }.finding_lines();
    assert_eq!(lines, ["m.csv: note: 1 row(s) repeat another one", "m.csv:4: URN: not a number", "m.csv: and 2 more"]);
    let with_line_break = ImportOutcome { notes: vec!["first\nsecond".to_owned()], ..ImportOutcome::default() };
    let lines = FileOutcome { file: "m.csv".to_owned(), outcome: Ok(with_line_break) }.finding_lines();
    assert_eq!(lines, ["m.csv: note: first\\u000asecond"]);
}

#[test]
fn a_file_has_its_own_date_or_that_of_the_command() -> std::io::Result<()> {
    let dir = tempfile::tempdir()?;
    let odd_name = dir.path().join("a=2021-01-01");
    std::fs::write(&odd_name, "x")?;
    let odd_name = odd_name.to_string_lossy().into_owned();
    let dated = |names: &[&str], as_at: Option<&str>| {
        let options = UploadOptions { as_at: as_at.map(ToOwned::to_owned), ..UploadOptions::default() };
        let files = dated_files(names.iter().map(PathBuf::from).collect(), &options);
        files.map(|files| files.into_iter().map(|it| (it.path.display().to_string(), it.as_at)).collect::<Vec<_>>())
    };
    let pairs = |list: &[(&str, &str)]| {
        list.iter().map(|(path, day)| ((*path).to_owned(), (*day).to_owned())).collect::<Vec<_>>()
    };
    let rows = [
        (vec!["a.csv"], Some("2021-11-30"), pairs(&[("a.csv", "2021-11-30")])),
        (
            vec!["a.csv=2021-10-31", "b.csv=30/11/2021"],
            None,
            pairs(&[("a.csv", "2021-10-31"), ("b.csv", "2021-11-30")]),
        ),
        (
            vec!["a.csv=2021-10-31", "b.csv"],
            Some("2021-11-30"),
            pairs(&[("a.csv", "2021-10-31"), ("b.csv", "2021-11-30")]),
        ),
        (vec![odd_name.as_str()], Some("2021-11-30"), pairs(&[(&odd_name, "2021-11-30")])),
        (vec!["x=y/a.csv=2021-10-31"], None, pairs(&[("x=y/a.csv", "2021-10-31")])),
    ];
    for (names, as_at, expected) in rows {
        assert_eq!(dated(&names, as_at).ok(), Some(expected), "{names:?}");
    }
    let mistakes = dated(&["a.csv", "b.csv=soon", "c.csv=2021-10-31"], None);
    let Err(Failure::Usage(text)) = mistakes else { panic!("{mistakes:?}") };
    assert!(text.contains("a.csv has no date") && text.contains("the date of b.csv must be a date"), "{text}");
    Ok(())
}

/// The request id of the command line in [`upload`].
const REQUEST_ID: &str = "6f1c8a52-30c5-4c3e-9d9e-0a4f5e6b7c8d";

/// Uploads a file as the file with this index in its command. Returns the result, and the request id that the session has used.
async fn upload(fake: &FakeServer, path: PathBuf, index: usize) -> (Result<ImportOutcome, Failure>, Option<Uuid>) {
    let server = serve(fake.clone()).await;
    let line = ["tsio", "import", "list", "--server", &server, "--request-id", REQUEST_ID, "--actor", "a.clerk"];
    let cli = Cli::parse_from(line);
    let request_id_used = OnceLock::new();
    let outcome = async {
        let session = Session::open(&cli.global, &request_id_used).await?;
        let options = UploadOptions { dry_run: true, day_first: true, ..UploadOptions::default() };
        let file = DatedFile { path: path.clone(), as_at: "2021-11-30".to_owned() };
        let header = header(&session, index, &file, &options);
        upload::ofsted(&session, &path, header).await
    };
    (outcome.await, request_id_used.get().copied())
}

#[tokio::test]
async fn a_file_arrives_whole_after_its_header() -> std::io::Result<()> {
    // Two whole chunks and a rest of 3 bytes.
    let bytes: Vec<u8> = (0..=250).cycle().take(2 * 256 * 1024 + 3).collect();
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("month.csv");
    std::fs::write(&path, &bytes)?;
    let fake = FakeServer::default();
    let (outcome, used) = upload(&fake, path, 2).await;
    assert_eq!(outcome.ok().map(|outcome| outcome.rows), Some(7));
    assert_eq!(used, REQUEST_ID.parse().ok());

    let received = fake.received();
    assert_eq!(received.actor, "a.clerk");
    assert!(received.complete);
    assert_eq!(received.chunks.iter().map(Vec::len).collect::<Vec<_>>(), [262_144, 262_144, 3]);
    assert!(received.chunks.concat() == bytes, "the bytes differ");
    let header = received.header.unwrap_or_default();
    assert_eq!(header.file_name, "month.csv");
    assert_eq!(header.size_bytes, 524_291);
    assert_eq!((header.validate_only, header.day_first, header.accept_problems), (true, true, false));
    // The request id of the file with index 2: the last digit d (1101) combined with 2 (0010) by XOR is f (1111).
    assert_eq!(header.request_id, "6f1c8a52-30c5-4c3e-9d9e-0a4f5e6b7c8f");
    Ok(())
}

#[tokio::test]
async fn a_file_with_a_read_error_is_not_imported_as_a_shorter_file() -> std::io::Result<()> {
    // A directory can be opened like a file, but its first read fails.
    let dir = tempfile::tempdir()?;
    let fake = FakeServer::default();
    let (outcome, _) = upload(&fake, dir.path().to_owned(), 0).await;
    assert!(matches!(outcome, Err(Failure::Local("FILE_UNREADABLE", _))), "{outcome:?}");
    assert!(!fake.received().complete);
    Ok(())
}

#[tokio::test]
async fn the_error_of_a_missing_file_names_the_path() {
    let (outcome, _) = upload(&FakeServer::default(), PathBuf::from("/nowhere/month.csv"), 0).await;
    let Err(Failure::Local("FILE_UNREADABLE", message)) = outcome else { unreachable!("{outcome:?}") };
    assert!(message.contains("/nowhere/month.csv"), "{message}");
}

#[tokio::test]
async fn a_refusal_during_an_upload_is_the_error_of_the_command() -> std::io::Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("month.csv");
    std::fs::write(&path, vec![b'x'; 3 * 1024 * 1024])?;
    let (outcome, _) = upload(&FakeServer::refusing(), path, 0).await;
    let Err(Failure::Refused(status)) = outcome else { unreachable!("{outcome:?}") };
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(status.message(), "no header row");
    Ok(())
}
