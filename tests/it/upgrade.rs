//! Servers of two releases on one database: once the newer one has migrated it, the older one no longer writes. PostgreSQL
//! only, since a SQLite file has one server.

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
use crate::raw_sql::{RawSql, proved};

const BOUND: Duration = Duration::from_secs(30);
/// Marks a migration as done that this program does not know.
const MIGRATED: &str = "INSERT INTO seaql_migrations VALUES ('m9999_of_the_future', 0)";
const EVENTS: &str = "SELECT COUNT(*) FROM events";

fn is_outdated(status: &Status) {
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
        is_outdated(&client.note(&offers[0].offer, "on the older one", &id).await.unwrap_err());
        // Terms belong to no programme, and their loading is refused too.
        let (file_name, text) = ("2021-22.toml".to_owned(), include_str!("../../terms/2021-22.toml").to_owned());
        let terms = LoadTermsRequest { request_id: fresh(), file_name, text, validate_only: false };
        is_outdated(&client.schemes().load_terms(client.ask(terms)).await.unwrap_err());
        assert_eq!(raw_sql.number(EVENTS).await, before);
        assert_eq!(client.list(YEAR).await.len(), 19, "it reads on");

        let health_status = timeout(BOUND, health.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(health_status.status(), ServingStatus::NotServing);
        let sent_on = timeout(BOUND, async {
            loop {
                if let Err(status) = watch.message().await {
                    return status;
                }
            }
        });
        let sent_on = sent_on.await.unwrap();
        assert_eq!((sent_on.code(), reason(&sent_on).as_str()), (Code::Unavailable, "SERVER_STOPPING"));

        // A newer server, which knows the schema, carries out what the older one refused.
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
        // Its statements are planned and cached now, as on any server that has run for a while.
        for _ in 0..10 {
            client.note(&offer, "before", &fresh()).await.unwrap();
        }
        let (mut migration, mut beside) = (RawSql::of(&db).await, RawSql::of(&db).await);
        let before = beside.number(EVENTS).await;
        migration.run(&format!("BEGIN; LOCK TABLE books IN EXCLUSIVE MODE; {MIGRATED}")).await.unwrap();
        let caller = client.clone();
        let note = tokio::spawn(async move { caller.note(&offer, "meanwhile", &fresh()).await });
        beside.until_waiting(1).await;
        assert_eq!(client.list(YEAR).await.len(), 19, "who reads does not wait");
        migration.run("COMMIT").await.unwrap();
        is_outdated(&note.await.unwrap().unwrap_err());
        assert_eq!(beside.number(EVENTS).await, before);
    });
}

#[test]
fn a_migration_waits_for_running_writers() {
    run(async {
        let db = Db::postgres();
        let (mut writer, mut beside) = (RawSql::of(&db).await, RawSql::of(&db).await);
        // The schema of a release ago, with a writer in the middle of a batch.
        writer.run(&before_money(&db)).await.unwrap();
        writer.lock_programme(YEAR).await;
        let url = db.url();
        let migrating = thread::spawn(move || tsio(&["migrate", "--database", &url]));
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND wait_event_type = 'Lock' AND query LIKE '%LOCK TABLE books%' AND pid <> pg_backend_pid()";
        beside.until(waits, 1).await;
        writer.release_lock().await;
        let migrated = migrating.join().unwrap();
        assert_eq!(migrated.code, 0, "{}", migrated.stderr);
        proved(&db);
    });
}
