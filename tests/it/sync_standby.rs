//! PostgreSQL with a synchronous standby: no change is acknowledged before the standby has it.
//!
//! The standby that these clusters name never connects, so each commit waits until the name is removed. A session that is
//! terminated while it waits has committed on this machine alone. One whose wait is cancelled even reports the commit.

use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tsio::proto::{LoadTermsRequest, NoteOfferResponse};

use crate::client::{Client, NEXT_YEAR, YEAR, fresh, reason};
use crate::harness::{Db, Server, run};
use crate::io_faults::wait_for_health;
use crate::raw_sql::{RawSql, proved};

/// Sessions that wait for a standby.
const WAITING: &str = "FROM pg_stat_activity WHERE application_name LIKE 'tsio%' AND wait_event = 'SyncRep'";

/// A server on its own cluster, in which commits can be made to wait.
struct Waiting {
    db: Db,
    server: Server,
    raw_sql: RawSql,
}

impl Waiting {
    async fn start() -> Self {
        let db = Db::postgres_alone();
        // The server must notice PostgreSQL's warnings even if it logs nothing.
        let server = Server::start_in(&db, &[("TSIO_LOG", "off")]);
        let raw_sql = RawSql::of(&db).await;
        Self { db, server, raw_sql }
    }

    /// Makes each further commit wait for a standby that never connects.
    async fn lose_standby(&mut self) {
        self.raw_sql.run("ALTER SYSTEM SET synchronous_standby_names = 'elsewhere'").await.unwrap();
        self.reload("elsewhere").await;
    }

    /// Lets all waiting commits finish.
    async fn need_no_standby(&mut self) {
        self.raw_sql.run("ALTER SYSTEM SET synchronous_standby_names = ''").await.unwrap();
        self.reload("").await;
    }

    async fn reload(&mut self, names: &str) {
        self.raw_sql.run("SELECT pg_reload_conf()").await.unwrap();
        let read = format!("SELECT (current_setting('synchronous_standby_names') = '{names}')::int::bigint");
        self.raw_sql.until(&read, 1).await;
    }

    /// Waits until a session whose statement began after this time waits for a standby. Panics if the call ends before.
    async fn until_waits<T: std::fmt::Debug>(&mut self, since: i64, call: &mut JoinHandle<T>) {
        let waits = format!("SELECT COUNT(*) {WAITING} AND {} > {since}", micros("query_start"));
        while self.raw_sql.number(&waits).await == 0 {
            if call.is_finished() {
                panic!("answered though no standby has it: {:?}", call.await);
            }
        }
    }

    /// Returns the database's time in microseconds.
    async fn now(&mut self) -> i64 {
        self.raw_sql.number(&format!("SELECT {}", micros("clock_timestamp()"))).await
    }

    /// Calls this function of PostgreSQL for each waiting session: the call's, and the readiness check's after a cut wait.
    async fn each_waiting(&mut self, function: &str) {
        assert!(self.raw_sql.number(&format!("SELECT COUNT({function}(pid)) {WAITING}")).await >= 1);
    }
}

fn micros(time: &str) -> String {
    format!("(EXTRACT(EPOCH FROM {time}) * 1000000)::bigint")
}

fn note(client: &Client, offer: &str, id: &str) -> JoinHandle<Result<NoteOfferResponse, Status>> {
    let (client, offer, id) = (client.clone(), offer.to_owned(), id.to_owned());
    tokio::spawn(async move { client.note(&offer, "is it anywhere else", &id).await })
}

/// This function of PostgreSQL cuts short a note's wait for the standby. The note waits again, and is stored once.
async fn cut_short_by(function: &str) {
    let mut it = Waiting::start().await;
    let client = Client::of(&it.server).await;
    let offer = client.seed().await.remove(0).offer;
    it.lose_standby().await;
    let id = fresh();
    let mut since = it.now().await;
    let mut call = note(&client, &offer, &id);
    for _ in 0..2 {
        it.until_waits(since, &mut call).await;
        since = it.now().await;
        it.each_waiting(function).await;
    }
    it.until_waits(since, &mut call).await;
    wait_for_health(&client, ServingStatus::NotServing).await;
    assert!(!call.is_finished(), "it was answered though no standby has it");
    it.need_no_standby().await;
    call.await.unwrap().unwrap();
    wait_for_health(&client, ServingStatus::Serving).await;
    assert_eq!(client.times(&offer, &id).await, 1);
    proved(&it.db);
}

#[test]
fn a_session_ended_while_it_waits_is_no_acknowledgement() {
    run(cut_short_by("pg_terminate_backend"));
}

#[test]
fn a_wait_that_is_cancelled_is_no_acknowledgement() {
    run(cut_short_by("pg_cancel_backend"));
}

/// Loading terms does not use the programmes' writers: it reads the stored answer of its request by itself.
#[test]
fn a_stored_answer_of_no_programme_waits_too() {
    run(async {
        let mut it = Waiting::start().await;
        let client = Client::of(&it.server).await;
        it.lose_standby().await;
        let later = [("2022-23", "2031-32"), ("2022-", "2031-"), ("2023-", "2032-")];
        let text = include_str!("../../terms/2022-23.toml").to_owned();
        let text = later.iter().fold(text, |text, (from, to)| text.replace(from, to));
        let terms =
            LoadTermsRequest { request_id: fresh(), file_name: "2031-32.toml".to_owned(), text, validate_only: false };
        let load = |terms: &LoadTermsRequest| {
            let (mut schemes, request) = (client.schemes(), client.ask(terms.clone()));
            tokio::spawn(async move { schemes.load_terms(request).await })
        };
        let since = it.now().await;
        let mut first = load(&terms);
        it.until_waits(since, &mut first).await;
        it.each_waiting("pg_terminate_backend").await;
        let lost = first.await.unwrap().unwrap_err();
        assert_eq!((lost.code(), reason(&lost).as_str()), (Code::Unavailable, "DATABASE_AWAY"), "{lost:?}");

        let since = it.now().await;
        let mut again = load(&terms);
        it.until_waits(since, &mut again).await;
        it.need_no_standby().await;
        again.await.unwrap().unwrap();
    });
}

/// Regression: the waiting transaction held a lock of the whole cluster, so the other programme could not begin to wait.
#[test]
fn programmes_wait_for_the_standby_beside_each_other() {
    run(async {
        let mut it = Waiting::start().await;
        let client = Client::of(&it.server).await;
        let (first, second) = client.seed_both().await;
        it.lose_standby().await;
        let calls = [note(&client, &first[0].offer, &fresh()), note(&client, &second[0].offer, &fresh())];
        it.raw_sql.until(&format!("SELECT COUNT(*) {WAITING}"), 2).await;
        assert!(calls.iter().all(|call| !call.is_finished()));
        it.need_no_standby().await;
        for call in calls {
            call.await.unwrap().unwrap();
        }
        let heads = proved(&it.db);
        assert!(heads.iter().map(|head| head.0).eq([21, 8]), "{YEAR}, {NEXT_YEAR}: {heads:?}");
    });
}
