//! Wrong files are refused with a reason. Nothing of them is written, and the server continues.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status};
use tsio::proto::eligibility_service_client::EligibilityServiceClient;
use tsio::proto::import_ofsted_request::Part;
use tsio::proto::{ImportHeader, ImportOfstedRequest};
use uuid::Uuid;

use super::harness::{Db, Server, both, cli};
use super::samples::{
    AUGUST, REGISTER_AUGUST, SEPTEMBER, import_all, import_args, path, run_ok, run_refused_for, summary, text,
};

both!(
    wrong_files_are_refused_as_a_whole,
    good_rows_of_a_file_with_wrong_rows_are_imported,
    an_interrupted_upload_imports_nothing
);

fn import_words<'a>(noun: &'a str, file: &'a str, as_at: &'a str) -> [&'a str; 5] {
    ["import", noun, file, "--as-at", as_at]
}

/// Reads what a refused file must not change: the imports and the counts of eligible schools.
fn state(server: &Server) -> (Value, Value) {
    (run_ok(server, &["import", "list"]), run_ok(server, &["eligibility", "summary"]))
}

async fn wrong_files_are_refused_as_a_whole(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST[..2]);
    let before = state(&server);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let sample = fs::read(path(AUGUST.0)).unwrap();
    let header_end = sample.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let header = &sample[..header_end];
    let compressed = gzip(&sample);
    #[rustfmt::skip]
    let files = [
        // file                                                            kind        texts that the message contains
        (path("bad/empty.csv"),                                            "ofsted",   &["empty"][..]),
        (path("bad/empty.csv"),                                            "register", &["empty"]),
        (path("bad/header_only.csv"),                                      "ofsted",   &["no row"]),
        (path("bad/not_csv.html"),                                         "ofsted",   &["not a CSV"]),
        (path("bad/not_csv.html"),                                         "register", &["not a CSV"]),
        (path("bad/missing_columns.csv"),                                  "ofsted",   &["LAESTAB", "Publication date", "Overall effectiveness", "Previous full inspection overall effectiveness"]),
        (path("bad/missing_columns_membership.csv"),                       "register", &["\"Group Type (code)\"", "\"Group Status\""]),
        (path(AUGUST.0),                                                   "register", &["Ofsted", "tsio import ofsted"]),
        (path("gias_groups_2021-08.csv"),                                  "ofsted",   &["GIAS groups", "tsio import register"]),
        (path("gias_membership_2022-03.csv"),                              "ofsted",   &["GIAS group membership", "tsio import register"]),
        (write("zip.csv", b"PK\x03\x04\x14\x00\x00\x00rest of it"),         "ofsted",   &["not a CSV"]),
        (write("pdf.csv", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),                "register", &["not a CSV"]),
        (write("nul.csv", &[header, b"a,\0,b\n"].concat()),                 "ofsted",   &["not a CSV"]),
        (write("spaces.csv", b" \r\n\t\n"),                                 "ofsted",   &["empty"]),
        (write("bomb.csv.gz", &bomb()),                                     "ofsted",   &["limit of 64 KiB"]),
        (write("endless.csv", &[header, &vec![b'x'; 1 << 20]].concat()),    "ofsted",   &["limit of 64 KiB"]),
        (write("quote.csv", &[header, b"\"never closed,\n"].concat()),      "ofsted",   &["quotation mark", "line 2"]),
        (write("commas.csv", &[header, &vec![b','; 4096]].concat()),        "ofsted",   &["limit of 512 columns"]),
        (write("cut.csv.gz", &compressed[..compressed.len() / 2]),                  "ofsted",   &["gzip", "cut short"]),
        (write("others.csv", b"Fruit,Colour\napple,red\n"),                 "register", &["no header row"]),
    ];
    for (file, kind, says) in files {
        let error = run_refused_for(&server, "FILE_REFUSED", &import_words(kind, &file, "2021-08-31"));
        assert_eq!(error["code"], "INVALID_ARGUMENT", "{file}");
        let message = text(&error, "message");
        assert!(says.iter().all(|it| message.contains(it)), "{file} as {kind}: {message}");
        // A message quotes no name of a person, which is always `XQZ` in the samples, and no path on the server.
        assert!(!message.contains("XQZ") && !message.contains(file.as_str()), "{file}: {message}");
    }
    let future = run_refused_for(&server, "FIELD_VIOLATIONS", &import_words("ofsted", &path(AUGUST.0), "2999-01-31"));
    assert_eq!(future["violations"][0]["field"], "header.as_at", "{future}");
    assert_eq!(cli(&server, &import_words("ofsted", &path(AUGUST.0), "2021-02-30")).code, 2);
    run_refused_for(&server, "FILE_UNREADABLE", &import_words("ofsted", "/nowhere/at/all.csv", "2021-08-31"));
    assert_eq!(state(&server), before, "a refused file changed something");
    other_files_are_imported(&server, folder.path());
    assert!(!server.stderr().contains("\"ERROR\""), "{}", server.stderr());
}

/// A wrong file does not stop the import of other files, and each file has its own answer. A gzip file is imported like
/// a plain file.
fn other_files_are_imported(server: &Server, folder: &std::path::Path) {
    let compressed = folder.join("establishments.csv.gz");
    fs::write(&compressed, gzip(&fs::read(path("gias_establishments_full.csv")).unwrap())).unwrap();
    let (compressed, bad) = (compressed.to_str().unwrap(), path("bad/empty.csv"));
    let answer = cli(server, &["import", "register", &bad, compressed, "--as-at", "2021-08-31"]);
    assert_eq!(answer.code, 1);
    assert_eq!(answer.json[0]["error"]["reason"], "FILE_REFUSED", "{}", answer.stdout);
    assert_eq!((&answer.json[1]["kind"], &answer.json[1]["accepted"]), (&json!("establishments"), &json!(21)));
    import_all(server, &[AUGUST]);
    // The compressed file has the same rows as the plain one, so no row is new.
    let again = folder.join("august.csv.gz");
    fs::write(&again, gzip(&fs::read(path(AUGUST.0)).unwrap())).unwrap();
    let again = run_ok(server, &import_words("ofsted", again.to_str().unwrap(), AUGUST.1));
    assert_eq!((&again[0]["accepted"], &again[0]["unchanged"]), (&json!(0), &json!(73)));
    assert_eq!(summary(server, "2021-22"), [73, 28, 0, 28, 0, 10, 5, 14, 11, 2, 1, 4, 0]);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A gzip file of some 300 kB that decompresses to 300 MiB without a line break. The server must not decompress all
/// of it before it refuses it. A unit test checks the limit on all decompressed bytes, which would take too long here.
fn bomb() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let filler = vec![b'x'; 1 << 20];
    for _ in 0..300 {
        encoder.write_all(&filler).unwrap();
    }
    let compressed = encoder.finish().unwrap();
    assert!(compressed.len() < 2 << 20, "{} bytes", compressed.len());
    compressed
}

async fn good_rows_of_a_file_with_wrong_rows_are_imported(db: Db) {
    let server = Server::start(&db);
    let file = path("bad/wrong_dates.csv");
    let words = [&import_words("ofsted", &file, "2021-08-31")[..], &["--accept-problems"]].concat();
    let dry = run_ok(&server, &[&words[..], &["--dry-run"]].concat());
    assert_eq!(
        (&dry[0]["import_id"], &dry[0]["dry_run"], &dry[0]["accepted"]),
        (&Value::Null, &json!(true), &json!(3))
    );
    assert_eq!(run_ok(&server, &["import", "list"]), json!([]), "a dry run writes nothing");

    let answer = run_ok(&server, &words);
    assert_eq!((&answer[0]["rows"], &answer[0]["accepted"]), (&json!(11), &json!(3)), "{answer}");
    assert_eq!(dry[0]["problems"], answer[0]["problems"]);
    let problems = answer[0]["problems"].as_array().unwrap();
    let mut wrong_cells: Vec<(i64, String)> =
        problems.iter().map(|it| (it["line"].as_i64().unwrap(), text(it, "column"))).collect();
    wrong_cells.sort();
    #[rustfmt::skip]
    let expected = [
        (3, "Publication date"), (4, "Inspection start date"), (5, "LAESTAB"), (7, "URN"), (8, "URN"), (9, "URN"),
        (10, "Publication date"), (11, "Overall effectiveness"),
    ];
    assert_eq!(wrong_cells, expected.map(|(line, column)| (line, column.to_owned())), "{answer}");
    for (line, says) in
        [(3, "31/02/2019"), (4, "2019-13-40"), (5, "999"), (7, "9100O8"), (10, "of 4 characters"), (11, "7")]
    {
        let problem = problems.iter().find(|it| it["line"] == line).unwrap();
        assert!(text(problem, "reason").contains(says), "{problem}");
    }
    // 910001, 910007 and 910024 are imported, and all three are RI after RI.
    let list = run_ok(&server, &["eligibility", "list"]);
    assert_eq!(super::samples::numbers(&list, "urn"), [910_001, 910_007, 910_024]);
    assert_eq!(run_ok(&server, &["eligibility", "summary"])["schools"], 3);
    let shown = run_ok(&server, &["import", "show", answer[0]["import_id"].as_str().unwrap()]);
    assert_eq!(
        (&shown["rows"], &shown["accepted"], &shown["problems"]),
        (&json!(11), &json!(3), &answer[0]["problems"])
    );
}

/// The messages of an upload: a header with this size, then these bytes.
fn messages(size_bytes: i64, bytes: &[u8]) -> Vec<ImportOfstedRequest> {
    let header = ImportHeader {
        request_id: Uuid::new_v4().to_string(),
        file_name: SEPTEMBER.0.to_owned(),
        as_at: SEPTEMBER.1.to_owned(),
        size_bytes,
        ..Default::default()
    };
    let parts = [Part::Header(header), Part::Chunk(bytes.to_vec())];
    parts.into_iter().map(|part| ImportOfstedRequest { part: Some(part) }).collect()
}

fn by_ann<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-tsio-actor", "ann".parse().unwrap());
    request.metadata_mut().insert("x-tsio-roles", "administrator".parse().unwrap());
    request
}

/// Uploads these bytes completely, with this size in the header.
async fn upload(url: String, size_bytes: i64, bytes: &[u8]) -> Result<(), Status> {
    let mut client = EligibilityServiceClient::connect(url).await.unwrap();
    let upload = tokio_stream::iter(messages(size_bytes, bytes));
    let mut answers = client.import_ofsted(by_ann(upload)).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

/// Starts to upload these bytes without a size, and closes the connection during the upload, like a killed process.
fn disconnect(url: String, bytes: &[u8]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut client = EligibilityServiceClient::connect(url).await.unwrap();
        let upload = tokio_stream::iter(messages(0, bytes)).chain(tokio_stream::pending());
        let answers = client.import_ofsted(by_ann(upload)).await.unwrap();
        drop(answers);
    });
    runtime.shutdown_background();
}

/// Starts to upload these bytes without a size, and then cancels the call. The stream is reset, but its connection
/// stays open.
async fn cancel_call(address: SocketAddr, bytes: &[u8]) {
    let (client, connection) = h2::client::handshake(TcpStream::connect(address).await.unwrap()).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::post(format!("http://{address}/tsio.v1.EligibilityService/ImportOfsted"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-tsio-actor", "ann")
        .header("x-tsio-roles", "administrator")
        .body(())
        .unwrap();
    let (answer, mut upload) = client.ready().await.unwrap().send_request(request, false).unwrap();
    for message in messages(0, bytes) {
        let message = message.encode_to_vec();
        let size = u32::try_from(message.len()).unwrap().to_be_bytes();
        upload.send_data([&[0], &size[..], &message].concat().into(), false).unwrap();
    }
    // The server has started: it sends its headers before it has read everything.
    let answers = answer.await.unwrap().into_body();
    upload.send_reset(h2::Reason::CANCEL);
    drop((upload, answers));
    connection.await.unwrap().unwrap();
}

async fn an_interrupted_upload_imports_nothing(db: Db) {
    let mut server = Server::start(&db);
    let bytes = fs::read(path(SEPTEMBER.0)).unwrap();
    let size = i64::try_from(bytes.len()).unwrap();
    let half = &bytes[..bytes.len() / 2];
    for (size, bytes) in [(size, half), (size - 1, &bytes), (size + 1, &bytes), (1, &bytes)] {
        let status = upload(server.url(), size, bytes).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains("size_bytes"), "{status}");
    }
    for _ in 0..5 {
        let (url, part) = (server.url(), half.to_vec());
        tokio::task::spawn_blocking(move || disconnect(url, &part)).await.unwrap();
        cancel_call(server.address(), half).await;
    }
    assert_eq!(run_ok(&server, &["import", "list"]), json!([]));
    assert_eq!(run_ok(&server, &["eligibility", "summary"])["schools"], 0);
    // The next upload gets a slot when the server has noticed that the interrupted uploads have ended.
    let mut tries = 0;
    loop {
        tries += 1;
        match upload(server.url(), size, &bytes).await {
            Err(busy) if busy.code() == Code::ResourceExhausted && tries < 1_000 => tokio::task::yield_now().await,
            uploaded => break uploaded.unwrap(),
        }
    }
    assert_eq!(run_ok(&server, &["eligibility", "summary"])["schools"], 58);
    let again = import_args(SEPTEMBER);
    assert_eq!(run_ok(&server, &again.each_ref().map(String::as_str))[0]["unchanged"], 58);
    // The server stops only after all uploads in progress have ended, so an upload that was still running would show
    // here.
    server.stop();
    server.restart();
    assert_eq!(run_ok(&server, &["import", "list"]).as_array().unwrap().len(), 1, "an interrupted file was imported");
}
