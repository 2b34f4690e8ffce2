//! Tests with a synchronous standby of PostgreSQL: no change is acknowledged before the standby has stored it.
//!
//! The clusters of these tests name a standby that never connects, so each commit waits until the name is removed. If a
//! waiting session is terminated, its change is committed, but only in the primary. If a wait is cancelled, PostgreSQL even
//! reports the commit as done, with a warning.

use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tsio::proto::{LoadTermsRequest, NoteOfferResponse, RecipientKind};

use crate::client::{Client, NEXT_YEAR, YEAR, fresh, reason};
use crate::harness::{Db, Server, run};
use crate::io_faults::wait_for_health;
use crate::money::{balances, nlg};
use crate::race::of_kind;
use crate::raw_sql::{RawSql, verified_heads};

/// The part of a query that selects the sessions of the server that wait for a standby.
const WAITING: &str = "FROM pg_stat_activity WHERE application_name LIKE 'tsio%' AND wait_event = 'SyncRep'";

/// A server with a PostgreSQL cluster of its own, in which a test can make commits wait.
struct StandbyTest {
    db: Db,
    server: Server,
    raw_sql: RawSql,
}

impl StandbyTest {
    async fn start() -> Self {
        let db = Db::postgres_alone();
        // The server has to read PostgreSQL's warnings even if its own log is off.
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
    async fn require_no_standby(&mut self) {
        self.raw_sql.run("ALTER SYSTEM SET synchronous_standby_names = ''").await.unwrap();
        self.reload("").await;
    }

    /// Reloads the configuration, and waits until a session sees these names of standbys.
    async fn reload(&mut self, names: &str) {
        self.raw_sql.run("SELECT pg_reload_conf()").await.unwrap();
        let has_names = format!("SELECT (current_setting('synchronous_standby_names') = '{names}')::int::bigint");
        self.raw_sql.wait_until(&has_names, 1).await;
    }

    /// Waits until a session waits for a standby with a statement that began after this time. Panics if the request ends
    /// first.
    async fn until_waits<T: std::fmt::Debug>(&mut self, since: i64, call: &mut JoinHandle<T>) {
        let waits = format!("SELECT COUNT(*) {WAITING} AND {} > {since}", micros("query_start"));
        while self.raw_sql.number(&waits).await == 0 {
            if call.is_finished() {
                panic!("the request ended although no standby has its change: {:?}", call.await);
            }
        }
    }

    /// Returns the database's time in microseconds.
    async fn now(&mut self) -> i64 {
        self.raw_sql.number(&format!("SELECT {}", micros("clock_timestamp()"))).await
    }

    /// Calls this function of PostgreSQL for each waiting session: that of the request and, after the first interrupted
    /// wait, that of the readiness check.
    async fn interrupt_waits(&mut self, function: &str) {
        assert!(self.raw_sql.number(&format!("SELECT COUNT({function}(pid)) {WAITING}")).await >= 1);
    }
}

/// Returns SQL for the microseconds of a time since 1970.
fn micros(time: &str) -> String {
    format!("(EXTRACT(EPOCH FROM {time}) * 1000000)::bigint")
}

fn note(client: &Client, offer: &str, id: &str) -> JoinHandle<Result<NoteOfferResponse, Status>> {
    let (client, offer, id) = (client.clone(), offer.to_owned(), id.to_owned());
    tokio::spawn(async move { client.note(&offer, "does the standby have it", &id).await })
}

/// Cancels the wait of an award for the standby. The award is one statement without COMMIT, and its server must notice the warning
/// all the same: the request has to wait again, and the award has to be stored once.
#[test]
fn a_cancelled_wait_of_an_award_is_no_acknowledgement() {
    run(async {
        let mut test = StandbyTest::start().await;
        let client = Client::of(&test.server).await;
        let offers = client.seed().await;
        let offer = of_kind(&offers, RecipientKind::Mat).remove(0);
        client.accept_offer(&offer).await;
        let fund = client.create_fund_with(YEAR, "nlg", 1_000).await;
        for _ in 0..3 {
            client.create_award(&offer.offer, nlg(100)).await;
        }
        test.lose_standby().await;
        let id = fresh();
        let mut since = test.now().await;
        let (caller, offer_id, request) = (client.clone(), offer.offer.clone(), id.clone());
        let mut call = tokio::spawn(async move { caller.award(&offer_id, vec![nlg(700)], &request).await });
        for _ in 0..2 {
            test.until_waits(since, &mut call).await;
            since = test.now().await;
            test.interrupt_waits("pg_cancel_backend").await;
        }
        test.until_waits(since, &mut call).await;
        assert!(!call.is_finished(), "the request ended although no standby has its change");
        test.require_no_standby().await;
        call.await.unwrap().unwrap();
        assert_eq!(client.times_recorded(&offer.offer, &id).await, 1);
        assert_eq!(balances(&client.fund(&fund).await), [1_000, 1_000, 0, 0]);
        verified_heads(&test.db);
    });
}

/// Interrupts the wait of a note for the standby with this function of PostgreSQL. The request has to wait again, and its
/// note has to be stored once.
async fn interrupt_a_note_by(function: &str) {
    let mut test = StandbyTest::start().await;
    let client = Client::of(&test.server).await;
    let offer = client.seed().await.remove(0).offer;
    test.lose_standby().await;
    let id = fresh();
    let mut since = test.now().await;
    let mut call = note(&client, &offer, &id);
    for _ in 0..2 {
        test.until_waits(since, &mut call).await;
        since = test.now().await;
        test.interrupt_waits(function).await;
    }
    test.until_waits(since, &mut call).await;
    wait_for_health(&client, ServingStatus::NotServing).await;
    assert!(!call.is_finished(), "the request ended although no standby has its change");
    test.require_no_standby().await;
    call.await.unwrap().unwrap();
    wait_for_health(&client, ServingStatus::Serving).await;
    assert_eq!(client.times_recorded(&offer, &id).await, 1);
    verified_heads(&test.db);
}

#[test]
fn a_session_ended_while_it_waits_is_no_acknowledgement() {
    run(interrupt_a_note_by("pg_terminate_backend"));
}

#[test]
fn a_wait_that_is_cancelled_is_no_acknowledgement() {
    run(interrupt_a_note_by("pg_cancel_backend"));
}

/// Loading terms does not use the writers of programmes: its use case reads the stored answer of the request itself.
#[test]
fn a_stored_answer_of_no_programme_waits_too() {
    run(async {
        let mut test = StandbyTest::start().await;
        let client = Client::of(&test.server).await;
        test.lose_standby().await;
        let replacements = [("2022-23", "2031-32"), ("2022-", "2031-"), ("2023-", "2032-")];
        let text = include_str!("../../terms/2022-23.toml").to_owned();
        let text = replacements.iter().fold(text, |text, (from, to)| text.replace(from, to));
        let terms =
            LoadTermsRequest { request_id: fresh(), file_name: "2031-32.toml".to_owned(), text, validate_only: false };
        let load = |terms: &LoadTermsRequest| {
            let (mut schemes, request) = (client.terms_service(), client.ask(terms.clone()));
            tokio::spawn(async move { schemes.load_terms(request).await })
        };
        let since = test.now().await;
        let mut first = load(&terms);
        test.until_waits(since, &mut first).await;
        test.interrupt_waits("pg_terminate_backend").await;
        let lost = first.await.unwrap().unwrap_err();
        assert_eq!((lost.code(), reason(&lost).as_str()), (Code::Unavailable, "DATABASE_AWAY"), "{lost:?}");

        let since = test.now().await;
        let mut again = load(&terms);
        test.until_waits(since, &mut again).await;
        test.require_no_standby().await;
        again.await.unwrap().unwrap();
    });
}

/// Regression: the waiting transaction held a lock of the whole cluster, so the other programme could not begin to wait.
#[test]
fn programmes_wait_for_the_standby_beside_each_other() {
    run(async {
        let mut test = StandbyTest::start().await;
        let client = Client::of(&test.server).await;
        let (first, second) = client.seed_both().await;
        test.lose_standby().await;
        let calls = [note(&client, &first[0].offer, &fresh()), note(&client, &second[0].offer, &fresh())];
        test.raw_sql.wait_until(&format!("SELECT COUNT(*) {WAITING}"), 2).await;
        assert!(calls.iter().all(|call| !call.is_finished()));
        test.require_no_standby().await;
        for call in calls {
            call.await.unwrap().unwrap();
        }
        let heads = verified_heads(&test.db);
        assert!(heads.iter().map(|head| head.sequence).eq([21, 8]), "{YEAR}, {NEXT_YEAR}: {heads:?}");
    });
}
