//! Every programme adopts the rules of this version exactly once, before anything else is recorded. The first process
//! that starts, or that writes to the programme, records the adoption.

use std::thread;

use tonic::Code;
use tsio::domain::event::genesis;
use tsio::proto::{IdentifyOffersRequest, LoadTermsRequest};

use crate::client::{Client, NEXT_YEAR, YEAR, fresh, reason};
use crate::harness::{Db, Server, both, tsio};
use crate::raw_sql::{RawSql, verified_heads, verify};

both!(
    a_start_finishes_an_interrupted_upgrade,
    a_writer_adopts_the_rules_first,
    a_programme_with_newer_rules_is_read_only,
    a_programme_begins_with_the_rules,
);

/// A query for the number of events that adopt rules.
const ADOPTED: &str = "SELECT count(*) FROM events WHERE kind = 'rules_adopted'";

/// Restores the state of a process that was killed after it migrated the schema and before it wrote an event.
async fn interrupt_upgrade(db: &Db) {
    let mut raw_sql = RawSql::of(db).await;
    raw_sql.run_unguarded("DELETE FROM events").await.unwrap();
    for programme in [YEAR, NEXT_YEAR] {
        let hash = genesis(&programme).to_string();
        let hash = if db.is_postgres() { format!("'\\x{hash}'") } else { format!("X'{hash}'") };
        let sql = format!("UPDATE books SET rules = 1, next_seq = 1, head = {hash} WHERE programme = '{programme}'");
        raw_sql.run(&sql).await.unwrap();
    }
}

/// Verifies all programmes, and returns the sequences of their heads.
fn head_sequences(db: &Db) -> Vec<i64> {
    verified_heads(db).into_iter().map(|head| head.sequence).collect()
}

/// Several servers start at once on PostgreSQL. A SQLite file can have only one server.
async fn a_start_finishes_an_interrupted_upgrade(db: Db) {
    let mut server = Server::start(&db);
    server.stop();
    interrupt_upgrade(&db).await;
    let server_count = if db.is_postgres() { 4 } else { 1 };
    let starting: Vec<_> = (0..server_count)
        .map(|_| {
            thread::spawn({
                let db = db.clone();
                move || Server::start(&db)
            })
        })
        .collect();
    let servers: Vec<Server> = starting.into_iter().map(|it| it.join().unwrap()).collect();
    assert_eq!(RawSql::of(&db).await.number(ADOPTED).await, 2, "one event for each programme");
    let client = Client::of(&servers[0]).await;
    client.seed().await;
    drop(servers);
    assert_eq!(head_sequences(&db), [20, 1], "the adoptions, and the 19 offers of the first programme");

    // `tsio migrate` adopts the rules too, and names the programmes. The events are deleted again, so the
    // offers must be deleted too.
    interrupt_upgrade(&db).await;
    RawSql::of(&db)
        .await
        .run("DELETE FROM offer_schools; DELETE FROM offers; DELETE FROM requests WHERE rpc LIKE 'OfferService/%'")
        .await
        .unwrap();
    let migrated = tsio(&["migrate", "--database", &db.url()]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    for programme in [YEAR, NEXT_YEAR] {
        assert!(migrated.stderr.contains(&format!("programme {programme} has adopted")), "{}", migrated.stderr);
    }
    assert_eq!(head_sequences(&db), [1, 1]);
}

/// A running server checks the version of the rules while it holds the lock of the programme. It records nothing under
/// older rules: it adopts the current ones first.
async fn a_writer_adopts_the_rules_first(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.import_august().await;
    interrupt_upgrade(&db).await;
    let (request_id, programme) = (fresh(), YEAR.to_owned());
    let request = IdentifyOffersRequest { request_id, programme, validate_only: true };
    let preview = client.offers().identify_offers(client.ask(request)).await.unwrap().into_inner();
    assert_eq!((preview.created, RawSql::of(&db).await.number(ADOPTED).await), (19, 0), "a preview writes nothing");
    assert_eq!(client.identify(YEAR, &fresh()).await.unwrap().created, 19);
    let adopted_first = format!("{ADOPTED} AND programme = '{YEAR}' AND seq = 1");
    assert_eq!(RawSql::of(&db).await.number(&adopted_first).await, 1);
    assert_eq!(head_sequences(&db)[0], 20);
}

async fn a_programme_with_newer_rules_is_read_only(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.remove(0).offer;
    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.run(&format!("UPDATE books SET rules = 3 WHERE programme = '{YEAR}'")).await.unwrap();
    let refused = client.note(&offer, "under rules not known here", &fresh()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "SERVER_OUTDATED"));
    let (code, reports) = verify(&db, &["--programme", YEAR]);
    let difference = "the version of the rules: the record says RulesVersion(2), the database has RulesVersion(3)";
    assert_eq!((code, reports[0]["differences"][0].as_str()), (1, Some(difference)), "{reports:#}");
    assert_eq!(client.list(YEAR).await.len(), 19, "reads still succeed");
}

/// The shipped programmes adopt the rules with the actor `tsio`. A loaded programme adopts them with the actor who
/// loads it.
async fn a_programme_begins_with_the_rules(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    // The terms of 2021-22, with all dates moved three years back.
    let years = [("2021-22", "2018-19"), ("2021-09", "2018-09"), ("2022-", "2019-")];
    let text = include_str!("../../terms/2021-22.toml").to_owned();
    let text = years.into_iter().fold(text, |text, (from, to)| text.replace(from, to));
    let file_name = "2018-19.toml".to_owned();
    let load = LoadTermsRequest { request_id: fresh(), file_name, text, validate_only: false };
    let mut raw_sql = RawSql::of(&db).await;
    client.terms_service().load_terms(client.ask(load)).await.unwrap();
    let adopted_by = |actor: &str| format!("{ADOPTED} AND seq = 1 AND actor = '{actor}'");
    assert_eq!((raw_sql.number(&adopted_by("tsio")).await, raw_sql.number(&adopted_by("officer")).await), (2, 1));
    assert_eq!(head_sequences(&db), [1, 1, 1]);
}
