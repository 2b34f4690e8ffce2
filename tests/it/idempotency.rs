//! A request id of a caller identifies one change for ever, in every process and after a restart.

use futures_util::future::join_all;
use prost::Message as _;
use tonic::Code;
use tsio::proto::{AssignOfferRequest, Party};

use crate::client::{Client, NEXT_YEAR, YEAR, contact, fresh, offer_of_school, reason};
use crate::harness::{Db, Server, both, run};
use crate::raw_sql::{RawSql, verified_heads};

both!(
    fifty_calls_with_one_id_are_one_change,
    the_same_id_for_another_call_is_refused,
    a_refused_call_does_not_use_up_its_id,
    two_callers_may_use_the_same_id,
    an_id_of_another_programme_is_refused,
    a_repeated_call_is_answered_though_its_offer_is_unreadable,
    a_repeated_call_is_answered_though_loading_its_state_fails,
);

/// The calls go to one process on SQLite, and to two processes on PostgreSQL.
async fn fifty_calls_with_one_id_are_one_change(db: Db) {
    let mut servers = vec![Server::start(&db)];
    if db.is_postgres() {
        servers.push(Server::start(&db));
    }
    let mut clients = Vec::new();
    for server in &servers {
        clients.push(Client::of(server).await);
    }
    let offer = offer_of_school(&clients[0].seed().await, 910_003).offer.clone();
    let id = fresh();
    let calls = (0..50).map(|n| clients[n % clients.len()].assign(&offer, "case-7", &id));
    let answers: Vec<Vec<u8>> = join_all(calls).await.into_iter().map(|it| it.unwrap().encode_to_vec()).collect();
    assert!(answers.iter().all(|it| *it == answers[0]));
    assert_eq!(clients[0].times_recorded(&offer, &id).await, 1);

    // The offer changes, but the stored answer does not.
    clients[0].assign(&offer, "case-8", &fresh()).await.unwrap();
    for server in &mut servers {
        server.stop();
        server.restart();
        let client = Client::of(server).await;
        assert_eq!(client.assign(&offer, "case-7", &id).await.unwrap().encode_to_vec(), answers[0]);
        assert_eq!(client.offer(&offer).await.assignee, "case-8");
        assert_eq!(client.times_recorded(&offer, &id).await, 1);
    }
    verified_heads(&db);
}

async fn the_same_id_for_another_call_is_refused(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let (offer, other) = (&offers[0].offer, &offers[1].offer);
    let id = fresh();
    client.assign(offer, "case-7", &id).await.unwrap();
    let heads = verified_heads(&db);
    let refused = [
        client.assign(offer, "case-8", &id).await.unwrap_err(),
        client.assign(other, "case-7", &id).await.unwrap_err(),
        client.note(offer, "case-7", &id).await.unwrap_err(),
        client.identify(YEAR, &id).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    }
    assert_eq!(verified_heads(&db), heads);
    assert_eq!(client.offer(offer).await.assignee, "case-7");
}

async fn a_refused_call_does_not_use_up_its_id(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let offer = offer_of_school(&offers, 910_003);
    let id = fresh();
    let contact_school = || contact(Party::School, &[offer], &id);
    let refused = client.offers().contact_offers(client.ask(contact_school())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "CONTACT_MISSING"));
    let contact_body = contact(Party::ResponsibleBody, &[offer], &fresh());
    client.offers().contact_offers(client.ask(contact_body)).await.unwrap();
    let answer = client.offers().contact_offers(client.ask(contact_school())).await.unwrap().into_inner();
    assert_eq!(answer.offers[0].contacts.len(), 2);
    assert_eq!(client.times_recorded(&offer.offer, &id).await, 1);
}

async fn two_callers_may_use_the_same_id(db: Db) {
    let server = Server::start(&db);
    let (ann, bob) = (Client::of(&server).await, Client::of(&server).await.named("bob"));
    let offer = ann.seed().await.remove(0).offer;
    let id = fresh();
    assert_eq!(ann.assign(&offer, "ann", &id).await.unwrap().offer.unwrap().assignee, "ann");
    assert_eq!(bob.assign(&offer, "bob", &id).await.unwrap().offer.unwrap().assignee, "bob");
    assert_eq!(ann.times_recorded(&offer, &id).await, 2);
    // Each caller gets their own answer again.
    assert_eq!(ann.assign(&offer, "ann", &id).await.unwrap().offer.unwrap().assignee, "ann");
    assert_eq!(ann.times_recorded(&offer, &id).await, 2);
}

async fn an_id_of_another_programme_is_refused(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let (this, next) = client.seed_both().await;
    let id = fresh();
    client.note(&this[0].offer, "kept", &id).await.unwrap();
    let status = client.note(&next[0].offer, "kept", &id).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    assert_eq!(client.times_recorded(&next[0].offer, &id).await, 0);
}

async fn a_repeated_call_is_answered_though_its_offer_is_unreadable(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.remove(0).offer;
    let (identified, assigned) = (fresh(), fresh());
    let first =
        (client.identify(YEAR, &identified).await.unwrap(), client.assign(&offer, "ann", &assigned).await.unwrap());
    server.stop();
    let heads = verified_heads(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let id = raw_sql.id(&offer);
    raw_sql.run(&format!("UPDATE offers SET region = region || ' ' WHERE id = {id}")).await.unwrap();
    server.restart();
    let client = Client::of(&server).await;
    // New calls fail, because the offer cannot be read. The repeated calls get their stored answers.
    let refused =
        [client.identify(YEAR, &fresh()).await.unwrap_err(), client.assign(&offer, "bob", &fresh()).await.unwrap_err()];
    assert!(refused.iter().all(|it| it.code() == Code::Internal), "{refused:?}");
    let again =
        (client.identify(YEAR, &identified).await.unwrap(), client.assign(&offer, "ann", &assigned).await.unwrap());
    assert_eq!(again, first);
    server.stop();
    raw_sql.run(&format!("UPDATE offers SET region = RTRIM(region) WHERE id = {id}")).await.unwrap();
    assert_eq!(verified_heads(&db), heads);
}

/// Loading the state of the offer fails. On PostgreSQL the failed statement also aborts its transaction. The repeated
/// call still gets its stored answer.
async fn a_repeated_call_is_answered_though_loading_its_state_fails(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.remove(0).offer;
    let assigned = fresh();
    let first = client.assign(&offer, "ann", &assigned).await.unwrap();
    server.stop();
    let heads = verified_heads(&db);
    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.run("ALTER TABLE contacts RENAME TO contacts_kept").await.unwrap();
    server.restart();
    let client = Client::of(&server).await;
    let refused = client.assign(&offer, "bob", &fresh()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Internal, "{refused:?}");
    assert_eq!(client.assign(&offer, "ann", &assigned).await.unwrap(), first);
    server.stop();
    raw_sql.run("ALTER TABLE contacts_kept RENAME TO contacts").await.unwrap();
    assert_eq!(verified_heads(&db), heads);
}

/// Both calls look for the id before either of them stores its answer, so neither finds it.
#[test]
fn an_id_used_concurrently_in_two_programmes_is_one_change() {
    run(async {
        let db = Db::postgres();
        let server = Server::start(&db);
        let client = Client::of(&server).await;
        let (this, next) = client.seed_both().await;
        assert_eq!((this[0].programme.as_str(), next[0].programme.as_str()), (YEAR, NEXT_YEAR));
        let mut raw_sql = RawSql::of(&db).await;
        let mut lock_monitor = RawSql::of(&db).await;
        raw_sql.run("BEGIN; LOCK TABLE events IN SHARE MODE").await.unwrap();
        let id = fresh();
        let assign = |offer: &str| {
            let request = AssignOfferRequest {
                request_id: id.clone(),
                offer: offer.to_owned(),
                assignee: "ann".to_owned(),
                ..Default::default()
            };
            let (mut offers, request) = (client.offers(), client.ask(request));
            tokio::spawn(async move { offers.assign_offer(request).await })
        };
        let calls = [assign(&this[0].offer), assign(&next[0].offer)];
        lock_monitor.wait_for_blocked_writers(2).await;
        raw_sql.release_lock().await;
        let [first, second] = join_all(calls).await.try_into().unwrap();
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_ne!(first.is_ok(), second.is_ok(), "{first:?} {second:?}");
        let status = first.err().or(second.err()).unwrap();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
        assert_eq!(
            client.times_recorded(&this[0].offer, &id).await + client.times_recorded(&next[0].offer, &id).await,
            1
        );
        verified_heads(&db);
    });
}
