//! Tests with servers of two releases on one database: after the newer server has migrated it, the older server reads but no
//! longer writes. PostgreSQL only, because one server uses a SQLite file alone.

use std::thread;
use std::time::Duration;

use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tsio::proto::{LoadTermsRequest, WatchOffersRequest};

use crate::client::{Client, YEAR, fresh, reason};
use crate::harness::{Db, Server, run, tsio};
use crate::ledger::before_money;
use crate::raw_sql::{RawSql, verified_heads};

/// The longest wait for a message of a stream.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// Records a migration that this program does not contain, as a newer release would.
const MIGRATED: &str = "INSERT INTO seaql_migrations VALUES ('m9999_of_the_future', 0)";
const EVENTS: &str = "SELECT COUNT(*) FROM events";

fn assert_outdated(status: &Status) {
    assert_eq!((status.code(), reason(status).as_str()), (Code::Unavailable, "SERVER_OUTDATED"), "{status:?}");
}

#[test]
fn an_older_server_still_reads_and_no_longer_writes() {
    run(async {
        let db = Db::postgres();
        let server = Server::start(&db);
        let client = Client::of(&server).await;
        let offers = client.seed().await;
        let all = WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
        let mut watch = client.offers().watch_offers(client.ask(all)).await.unwrap().into_inner();
        let mut health = HealthClient::new(client.channel());
        let mut health = health.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner();
        assert_eq!(health.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
        let mut raw_sql = RawSql::of(&db).await;
        let before = raw_sql.number(EVENTS).await;

        raw_sql.run(MIGRATED).await.unwrap();
        let id = fresh();
        assert_outdated(&client.note(&offers[0].offer, "on the older one", &id).await.unwrap_err());
        // Terms belong to no programme, and their loading is refused too.
        let (file_name, text) = ("2021-22.toml".to_owned(), include_str!("../../terms/2021-22.toml").to_owned());
        let terms = LoadTermsRequest { request_id: fresh(), file_name, text, validate_only: false };
        assert_outdated(&client.terms_service().load_terms(client.ask(terms)).await.unwrap_err());
        assert_eq!(raw_sql.number(EVENTS).await, before);
        assert_eq!(client.list(YEAR).await.len(), 19, "the older server still reads");

        let health_status = timeout(MAX_WAIT, health.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(health_status.status(), ServingStatus::NotServing);
        let watch_ends = timeout(MAX_WAIT, async {
            loop {
                if let Err(status) = watch.message().await {
                    return status;
                }
            }
        });
        let status = watch_ends.await.unwrap();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "SERVER_STOPPING"));

        // A newer server, which has this migration, carries out the request that the older server refused.
        raw_sql.run("DELETE FROM seaql_migrations WHERE version = 'm9999_of_the_future'").await.unwrap();
        let newer = Server::start(&db);
        Client::of(&newer).await.note(&offers[0].offer, "on the older one", &id).await.unwrap();
        assert_eq!(raw_sql.number(EVENTS).await, before + 1);
    });
}

#[test]
fn a_writer_that_waits_for_a_migration_sees_it() {
    run(async {
        let db = Db::postgres();
        let server = Server::start(&db);
        let client = Client::of(&server).await;
        let offer = client.seed().await.remove(0).offer;
        // Afterwards the server has planned and cached its statements, as any server that has run for a while.
        for _ in 0..10 {
            client.note(&offer, "before", &fresh()).await.unwrap();
        }
        let (mut migration, mut observer) = (RawSql::of(&db).await, RawSql::of(&db).await);
        let before = observer.number(EVENTS).await;
        migration.run(&format!("BEGIN; LOCK TABLE books IN EXCLUSIVE MODE; {MIGRATED}")).await.unwrap();
        let caller = client.clone();
        let note = tokio::spawn(async move { caller.note(&offer, "meanwhile", &fresh()).await });
        observer.wait_for_blocked_writers(1).await;
        assert_eq!(client.list(YEAR).await.len(), 19, "a read does not wait for the migration");
        migration.run("COMMIT").await.unwrap();
        assert_outdated(&note.await.unwrap().unwrap_err());
        assert_eq!(observer.number(EVENTS).await, before);
    });
}

#[test]
fn a_migration_waits_for_running_writers() {
    run(async {
        let db = Db::postgres();
        let (mut writer, mut observer) = (RawSql::of(&db).await, RawSql::of(&db).await);
        // The schema of an earlier release, and a writer in the middle of a batch.
        writer.run(&before_money(&db)).await.unwrap();
        writer.lock_programme(YEAR).await;
        let url = db.url();
        let migrating = thread::spawn(move || tsio(&["migrate", "--database", &url]));
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND wait_event_type = 'Lock' AND query LIKE '%LOCK TABLE books%' AND pid <> pg_backend_pid()";
        observer.wait_until(waits, 1).await;
        writer.release_lock().await;
        let migrated = migrating.join().unwrap();
        assert_eq!(migrated.code, 0, "{}", migrated.stderr);
        verified_heads(&db);
    });
}
