//! Acknowledged changes are recorded exactly once, although rows cannot be written, sessions end, the database is not
//! available or the server is killed.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::client::{Client, YEAR, fresh, reason};
use crate::harness::{Db, Server, both, run};
use crate::load::{Load, OnFailure, check_all_recorded};
use crate::raw_sql::{RawSql, verified_heads, verified_length};

/// Longer than the server needs to notice the state of the database. It checks its readiness every 2 s, and a call
/// waits some seconds.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// SQL that ends all sessions of the program, and returns how many it ended.
pub(crate) const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE datname = current_database() AND application_name LIKE 'tsio%'";

both!(a_command_that_cannot_be_written_fails_alone, acknowledged_changes_survive_a_killed_server);

async fn a_command_that_cannot_be_written_fails_alone(db: Db) {
    let mut server = Server::start_with_lock(&db, &[]);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let mut raw_sql = RawSql::of(&db).await;
    let failing_offer = raw_sql.id(&offers[0].offer);
    let trigger = match raw_sql {
        RawSql::Sqlite(_) => format!(
            "CREATE TRIGGER cursed BEFORE INSERT ON events WHEN NEW.offer_id = {failing_offer} \
             BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        ),
        RawSql::Postgres(_) => format!(
            "CREATE FUNCTION curse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'not this one'; END $$; \
             CREATE TRIGGER cursed BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.offer_id = {failing_offer}) \
             EXECUTE FUNCTION curse()"
        ),
    };
    raw_sql.run(&trigger).await.unwrap();

    // While the programme is locked, the calls collect in one batch. The 51st call cannot be written.
    raw_sql.lock_programme(YEAR).await;
    let calls: Vec<_> = (0..100)
        .map(|n| {
            let offer = if n == 50 { offers[0].offer.clone() } else { offers[1 + n % 18].offer.clone() };
            let client = client.clone();
            tokio::spawn(async move { client.note(&offer, "together", &fresh()).await })
        })
        .collect();
    // These reads give the calls time to reach the server.
    for _ in 0..20 {
        client.offer(&offers[1].offer).await;
    }
    raw_sql.release_lock().await;
    let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    for (n, answer) in answers.iter().enumerate() {
        match answer {
            Err(status) if n == 50 => {
                assert_eq!((status.code(), status.message().contains("not this")), (Code::Internal, false))
            }
            answer => assert_eq!(answer.is_ok(), n != 50, "{n}: {answer:?}"),
        }
    }
    let drop_trigger =
        if db.is_postgres() { "DROP TRIGGER cursed ON events; DROP FUNCTION curse()" } else { "DROP TRIGGER cursed" };
    raw_sql.run(drop_trigger).await.unwrap();
    // One event adopts the rules, 19 make offers, and 99 are notes.
    assert_eq!(verified_length(&db), 1 + 19 + 99);
    server.stop();
    assert!(server.stderr().contains("halving a batch"), "the calls were not in one batch");
}

async fn acknowledged_changes_survive_a_killed_server(db: Db) {
    let mut server = Server::start_losing_state(&db);
    let offers = Client::of(&server).await.seed().await;
    let mut sent = Vec::new();
    for _ in 0..3 {
        let load = Load::on(&Client::of(&server).await, &offers, OnFailure::Stop);
        load.until_more(40).await;
        server.kill();
        sent.extend(load.end().await);
        server.restart();
        verified_heads(&db);
    }
    assert!(sent.len() > 120);
    check_all_recorded(&Client::of(&server).await, &offers, &sent).await;
    verified_heads(&db);
}

#[test]
fn terminated_sessions_lose_no_change() {
    run(async {
        let db = Db::postgres();
        let mut server = Server::start_losing_state(&db);
        let client = Client::of(&server).await;
        let offers = client.seed().await;
        let mut raw_sql = RawSql::of(&db).await;
        let load = Load::on(&client, &offers, OnFailure::Retry);
        // A round ends no session if the server has none open at that moment.
        let mut ended = 0;
        while ended < 20 {
            load.until_more(5).await;
            ended += raw_sql.number(TERMINATE).await;
        }
        load.until_more(20).await;
        let sent = load.end().await;
        check_all_recorded(&client, &offers, &sent).await;
        verified_heads(&db);
        // A lost session must not be treated as the fault of a command.
        server.stop();
        assert!(!server.stderr().contains("halving a batch"), "{}", server.stderr());
    });
}

#[test]
fn the_server_reconnects_to_a_restarted_database() {
    run(async {
        let (db, other_db) = (Db::postgres(), Db::postgres());
        let url = db.url();
        let name = url.rsplit('/').next().unwrap();
        let server = Server::start_losing_state(&db);
        let client = Client::of(&server).await;
        let offer = client.seed().await.remove(0).offer;
        // This session uses another database, because PostgreSQL does not let a session close its own to connections.
        let mut raw_sql = RawSql::of(&other_db).await;
        let mut health = watch_health(&client).await;
        wait_for_health(&mut health, ServingStatus::Serving).await;

        let refuse_connections = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false");
        raw_sql.run(&refuse_connections).await.unwrap();
        raw_sql.run(&TERMINATE.replace("current_database()", &format!("'{name}'"))).await.unwrap();
        let started = Instant::now();
        let id = fresh();
        for _ in 0..3 {
            let status = client.note(&offer, "is anybody there", &id).await.unwrap_err();
            assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "DATABASE_AWAY"), "{status:?}");
        }
        assert!(started.elapsed() < MAX_WAIT, "answered after {:?}", started.elapsed());
        wait_for_health(&mut health, ServingStatus::NotServing).await;

        raw_sql.run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await.unwrap();
        wait_for_health(&mut health, ServingStatus::Serving).await;
        client.note(&offer, "is anybody there", &id).await.unwrap();
        assert_eq!(client.times_recorded(&offer, &id).await, 1);
        verified_heads(&db);
    });
}

/// Starts a health watch of the whole server.
async fn watch_health(client: &Client) -> Streaming<HealthCheckResponse> {
    let mut health = HealthClient::new(client.channel());
    health.watch(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner()
}

/// Waits until a health watch reports the expected status.
async fn wait_for_health(health: &mut Streaming<HealthCheckResponse>, expected: ServingStatus) {
    let until = async { while health.message().await.unwrap().unwrap().status() != expected {} };
    timeout(MAX_WAIT, until).await.unwrap_or_else(|_| panic!("health does not become {expected:?}"));
}
