//! Tests of starting and stopping a server, and of the settings and schemas with which it does not start.

use std::fs;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tsio::proto::register_service_client::RegisterServiceClient;

use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, both, run, tsio};
use crate::raw_sql::{RawSql, verified_heads, verified_length};

/// The longest wait for a message about the server's health.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Removes all tables.
const NO_SCHEMA: &str = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";

both!(health_and_reflection_answer, a_stopping_server_answers_the_calls_in_flight, a_newer_schema_is_refused);

/// Runs `tsio serve`, checks that it does not start, and returns its message.
fn refused(url: &str, extra: &[&str]) -> String {
    let output = tsio(&[&["serve", "--development", "--database", url, "--listen", "127.0.0.1:0"], extra].concat());
    assert_eq!(output.code, 1, "{}{}", output.stdout, output.stderr);
    assert!(!output.stdout.contains("LISTENING"), "{}", output.stdout);
    output.stderr
}

async fn health_and_reflection_answer(db: Db) {
    let server = Server::start(&db);
    assert!(server.address().ip().is_loopback() && server.address().port() != 0);
    let channel = Client::of(&server).await.channel();
    let check = HealthCheckRequest { service: String::new() };
    let health = HealthClient::new(channel.clone()).check(check).await.unwrap().into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);

    let list = MessageRequest::ListServices(String::new());
    let list = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut reflection = ServerReflectionClient::new(channel);
    let answers = reflection.server_reflection_info(tokio_stream::iter([list])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = list.service.iter().map(|it| it.name.as_str()).collect();
    let services = ["ApprovalService", "EligibilityService", "OfferService", "RegisterService", "TermsService"];
    for service in services.map(|it| format!("tsio.v1.{it}")) {
        assert!(names.contains(&service.as_str()), "{service} is not among {names:?}");
    }
}

/// The server is stopped while a request waits for the lock of the programme and a stream watches the server's health.
async fn a_stopping_server_answers_the_calls_in_flight(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.remove(0).offer;
    let (mut raw_sql, mut observer) = (RawSql::of(&db).await, RawSql::of(&db).await);
    let mut health = HealthClient::new(client.channel());
    let mut health = health.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
    assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    raw_sql.lock_programme(YEAR).await;
    let (caller, id) = (client.clone(), fresh());
    let (noted_offer, request_id) = (offer.clone(), id.clone());
    let note = tokio::spawn(async move { caller.note(&noted_offer, "the last note", &request_id).await });
    if db.is_postgres() {
        observer.wait_for_blocked_writers(1).await;
    }
    for _ in 0..20 {
        client.offer(&offer).await;
    }
    let stopping = thread::spawn(move || {
        server.stop();
        server
    });
    let health_status = timeout(MAX_WAIT, health.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(health_status.status(), ServingStatus::NotServing);
    raw_sql.release_lock().await;
    note.await.unwrap().unwrap();
    assert!(timeout(MAX_WAIT, health.message()).await.unwrap().unwrap().is_none());
    let mut server = stopping.join().unwrap();
    server.restart();
    assert_eq!(Client::of(&server).await.times_recorded(&offer, &id).await, 1);
}

/// An upload stays open. The server stops after `drain_seconds` anyway, with exit code 1.
#[test]
fn a_stream_without_an_end_does_not_hold_up_the_stop() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tsio.toml");
        fs::write(&config, "drain_seconds = 1\ndevelopment = true\n").unwrap();
        let db = Db::sqlite();
        let mut server = Server::start_with(&db, &["--config", config.to_str().unwrap()]);
        let client = Client::of(&server).await;
        let (open_sender, parts) = mpsc::channel(1);
        let mut register = RegisterServiceClient::new(client.channel());
        let answers = register.import_register(client.ask(ReceiverStream::new(parts))).await.unwrap();
        let server_exit = server.end();
        assert_eq!(server_exit.status.code(), Some(1), "{}", server_exit.stderr);
        assert!(server_exit.stderr.contains("calls still in flight were cut off"), "{}", server_exit.stderr);
        drop((open_sender, answers));
    });
}

async fn a_newer_schema_is_refused(db: Db) {
    RawSql::of(&db).await.run("INSERT INTO seaql_migrations VALUES ('m9999_of_the_future', 0)").await.unwrap();
    for extra in [&[][..], &["--migrate"]] {
        let message = refused(&db.url(), extra);
        assert!(message.contains("newer than this program") && message.contains("m9999_of_the_future"), "{message}");
    }
}

#[test]
fn a_file_is_served_once() {
    run(async {
        let db = Db::sqlite();
        let mut first = Server::start(&db);
        let client = Client::of(&first).await;
        let offer = client.seed().await.remove(0).offer;
        let message = refused(&db.url(), &[]);
        assert!(message.contains("another tsio process serves this file"), "{message}");
        assert_eq!(verified_length(&db), 20);
        client.note(&offer, "still served", &fresh()).await.unwrap();
        assert_eq!(verified_length(&db), 21);
        // The operating system releases the lock of a process that is killed.
        first.kill();
        let second = Server::start(&db);
        assert_eq!(Client::of(&second).await.offer(&offer).await.offer, offer);
    });
}

#[test]
fn an_old_schema_is_refused_until_it_is_migrated() {
    run(async {
        let db = Db::postgres();
        db.psql(NO_SCHEMA);
        let message = refused(&db.url(), &[]);
        assert!(message.contains("m0001_record") && message.contains("tsio migrate --database URL"), "{message}");
        assert_eq!(db.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
        let server = Server::start_with(&db, &["--migrate"]);
        Client::of(&server).await.seed().await;
        verified_heads(&db);
    });
}

#[test]
fn two_servers_may_migrate_at_once() {
    run(async {
        let db = Db::postgres();
        for _ in 0..3 {
            db.psql(NO_SCHEMA);
            let starts = [(); 2].map(|()| {
                let db = db.clone();
                thread::spawn(move || Server::start_with(&db, &["--migrate"]))
            });
            let [one, other] = starts.map(|start| start.join().unwrap());
            let (one, other) = (Client::of(&one).await, Client::of(&other).await);
            assert_eq!(one.seed().await, other.list(YEAR).await);
        }
    });
}

#[test]
fn a_setting_that_cannot_be_served_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("tsio.db").display());
    let rows = [
        ("mysql://root@127.0.0.1/tsio", &[][..], "MySQL is not supported"),
        ("oracle://127.0.0.1/tsio", &[], "starts with sqlite: or postgres://"),
        (&file, &[], "nothing says who may call"),
        (&file, &["--listen", "0.0.0.0:0"], "not a loopback address"),
        (&file, &["--listen", "[::]:0"], "not a loopback address"),
        (&file, &["--listen", "0.0.0.0:0", "--development"], "development mode serves on no other"),
    ];
    for (url, extra, expected) in rows {
        let mut args = vec!["serve", "--database", url];
        args.extend(if extra.is_empty() { &["--listen", "127.0.0.1:0"] } else { extra });
        let output = tsio(&args);
        assert_eq!(output.code, 1, "{args:?}: {}", output.stderr);
        assert!(output.stderr.contains(expected), "{args:?}: {}", output.stderr);
    }
    assert!(!folder.path().join("tsio.db").exists());
}
