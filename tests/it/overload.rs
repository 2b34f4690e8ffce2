//! More calls than the server can carry out: some are refused, some are dropped, and calls elsewhere are not starved.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Code;
use tsio::proto::NoteOfferRequest;

use crate::client::{Client, NEXT_YEAR, YEAR, fresh, reason};
use crate::harness::{Db, Server, both, run};
use crate::money::{Much, PROVIDER, amounts, npqel, npqel_of};
use crate::raw_sql::{RawSql, proved};

/// Commands that may wait for one programme, plus those of the batch that is being written.
const QUEUE: usize = 4_096;
const BATCH: usize = 512;
const CONNECTIONS: usize = 6;

both!(
    a_flood_on_one_programme_does_not_starve_the_other,
    an_invoice_is_freed_and_paid_again_in_one_batch,
    a_leader_is_freed_and_funded_again_in_one_batch,
    nothing_is_carried_out_for_a_caller_who_gave_up_during_the_retries,
);

#[test]
fn a_full_queue_answers_at_once() {
    run(async {
        const TOO_MANY: usize = 200;
        let db = Db::postgres();
        let server = Server::start(&db);
        let client = Client::of(&server).await;
        let offers = client.seed().await;
        let mut raw_sql = RawSql::of(&db).await;
        raw_sql.lock_programme(YEAR).await;
        let refused = Arc::new(watch::Sender::new(0));
        let mut calls = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let client = Client::of(&server).await;
            for n in 0..(QUEUE + BATCH + TOO_MANY).div_ceil(CONNECTIONS) {
                let (client, offer) = (client.clone(), offers[n % offers.len()].offer.clone());
                let refused = Arc::clone(&refused);
                calls.spawn(async move {
                    let answer = client.note(&offer, "one of many", &fresh()).await;
                    let answer =
                        answer.map_or_else(|status| (status.code(), reason(&status)), |_| (Code::Ok, String::new()));
                    if answer.0 == Code::ResourceExhausted {
                        assert_eq!(answer.1, "OVERLOADED");
                        refused.send_modify(|count| *count += 1);
                    }
                    answer.0
                });
            }
        }
        // These calls are answered at once: the programme stays locked until they are.
        refused.subscribe().wait_for(|count| *count >= TOO_MANY).await.unwrap();
        raw_sql.release_lock().await;
        let answers = calls.join_all().await;
        let count = |code: Code| answers.iter().filter(|it| **it == code).count();
        // On a slow machine the batch that waited for the programme may have given up.
        let (done, waited) = (count(Code::Ok), count(Code::Unavailable));
        assert!(done + waited >= QUEUE, "only {done} and {waited} were taken");
        assert_eq!(done + waited + *refused.borrow(), answers.len());
        // One event of adopted rules, 19 of identified offers, and one for each note; refused calls left nothing.
        assert_eq!(proved(&db)[0].0, 20 + i64::try_from(done).unwrap());
    });
}

#[test]
fn nothing_is_carried_out_for_a_caller_that_is_late_or_gone() {
    run(async {
        let db = Db::postgres();
        let server = Server::start(&db);
        let client = Client::of(&server).await;
        let offers = client.seed().await;
        let (mut raw_sql, mut watch) = (RawSql::of(&db).await, RawSql::of(&db).await);
        raw_sql.lock_programme(YEAR).await;
        let (first, offer) = (client.clone(), offers[0].offer.clone());
        let before = tokio::spawn(async move { first.note(&offer, "its batch has begun", &fresh()).await });
        watch.until_waiting(1).await;

        let late = fresh();
        let note = |id: &str| NoteOfferRequest {
            request_id: id.to_owned(),
            offer: offers[0].offer.clone(),
            text: "too late".to_owned(),
            ..Default::default()
        };
        let mut request = client.ask(note(&late));
        // The server ends a call a twentieth before its deadline. This is long enough for it to be first on a busy machine.
        request.set_timeout(Duration::from_secs(2));
        let status = client.offers().note_offer(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_PASSED"));
        // Another call is cancelled by its caller.
        let (gone, caller) = (fresh(), client.clone());
        let (about, under) = (offers[0].offer.clone(), gone.clone());
        let hung_up = tokio::spawn(async move { caller.note(&about, "never mind", &under).await });
        reads(&client, &offers[0].offer).await;
        hung_up.abort();
        reads(&client, &offers[0].offer).await;
        raw_sql.release_lock().await;
        before.await.unwrap().unwrap();

        // The queue is first in, first out: once this call is done, the others were reached before.
        client.note(&offers[0].offer, "after it", &fresh()).await.unwrap();
        assert_eq!(client.times(&offers[0].offer, &late).await, 0);
        assert_eq!(client.times(&offers[0].offer, &gone).await, 0);
        // The late call was not stored either: with enough time, the same call is carried out.
        client.offers().note_offer(client.ask(note(&late))).await.unwrap();
        assert_eq!(client.times(&offers[0].offer, &late).await, 1);
        assert_eq!(proved(&db)[0].0, 23);
    });
}

/// Makes some reads, which wait for nothing. Once they are answered, calls sent earlier on the connection have arrived.
async fn reads(client: &Client, offer: &str) {
    for _ in 0..20 {
        client.offer(offer).await;
    }
}

/// On PostgreSQL a locked programme does not block others. On SQLite both share one writer and alternate.
async fn a_flood_on_one_programme_does_not_starve_the_other(db: Db) {
    const FLOOD: usize = 1_200;
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let (this, next) = client.seed_both().await;
    assert_eq!((this[0].programme.as_str(), next[0].programme.as_str()), (YEAR, NEXT_YEAR));
    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.lock_programme(YEAR).await;
    let answered = Arc::new(AtomicUsize::new(0));
    let mut flood = JoinSet::new();
    for half in 0..2 {
        let client = Client::of(&server).await;
        for n in (half..FLOOD).step_by(2) {
            let (client, offer) = (client.clone(), this[n % this.len()].offer.clone());
            let answered = Arc::clone(&answered);
            flood.spawn(async move {
                client.note(&offer, "one of many", &fresh()).await.unwrap();
                answered.fetch_add(1, Ordering::Relaxed);
            });
        }
        reads(&client, &this[0].offer).await;
    }
    let (other, offer) = (client.clone(), next[0].offer.clone());
    let call = tokio::spawn(async move { other.note(&offer, "the only one", &fresh()).await });
    if db.is_postgres() {
        call.await.unwrap().unwrap();
        assert_eq!(answered.load(Ordering::Relaxed), 0);
        raw_sql.release_lock().await;
    } else {
        reads(&client, &next[0].offer).await;
        raw_sql.release_lock().await;
        call.await.unwrap().unwrap();
        let before = answered.load(Ordering::Relaxed);
        assert!(before < FLOOD, "the other book came after the flood");
    }
    while let Some(call) = flood.join_next().await {
        call.unwrap();
    }
    proved(&db);
}

/// The paying award is the older one, so its rows are written first; the rows that free the invoice follow.
async fn an_invoice_is_freed_and_paid_again_in_one_batch(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    client.financed(YEAR, "npqel", 200_000).await;
    let mut awards = Vec::new();
    for recipient in [90_001, 90_002] {
        let trust = offers.iter().find(|it| it.recipient == recipient).unwrap();
        client.accepted(trust).await;
        awards.push(client.awarded(&trust.offer, npqel(PROVIDER, 90_000)).await);
        client.start(&trust.offer).await.unwrap();
    }
    let [first, second] = awards.try_into().unwrap();
    client.claim(&second, 30_000, "INV-1").await.unwrap();
    let offer = offers[0].offer.clone();

    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.lock_programme(YEAR).await;
    // The commands are queued one after the other while the programme is locked, and so form one batch.
    let (caller, award) = (client.clone(), second.clone());
    let refund = tokio::spawn(async move { caller.refund(&award, Much::Pence(30_000)).await });
    reads(&client, &offer).await;
    let (caller, award) = (client.clone(), first.clone());
    let claim = tokio::spawn(async move { caller.claim(&award, 20_000, "inv 1").await });
    reads(&client, &offer).await;
    let (caller, about) = (client.clone(), offer.clone());
    let note = tokio::spawn(async move { caller.note(&about, "beside them", &fresh()).await });
    reads(&client, &offer).await;
    raw_sql.release_lock().await;
    refund.await.unwrap().unwrap();
    claim.await.unwrap().unwrap();
    note.await.unwrap().unwrap();
    // One batch has one recorded time: these three were written together.
    let times = "SELECT COUNT(DISTINCT recorded_at) FROM events WHERE seq > (SELECT MAX(seq) - 3 FROM events)";
    assert_eq!(RawSql::of(&db).await.number(times).await, 1);
    assert_eq!(amounts(&client.get_award(&first).await), [90_000, 20_000, 0, 0, 70_000]);
    assert_eq!(amounts(&client.get_award(&second).await), [90_000, 30_000, 0, 30_000, 60_000]);
    let again = client.claim(&second, 1, "INV1").await.unwrap_err();
    assert_eq!(reason(&again), "INVOICE_PAID");
    proved(&db);
}

/// The released amount comes after the new award in the batch, but has to be written first.
async fn a_leader_is_freed_and_funded_again_in_one_batch(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    client.financed(YEAR, "npqel", 200_000).await;
    let trust = offers.iter().find(|it| it.recipient == 90_001).unwrap().clone();
    client.accepted(&trust).await;
    let fees = |pence| vec![npqel_of("ceo-7", PROVIDER, pence)];
    let first = client.awarded(&trust.offer, fees(90_000).remove(0)).await;
    let offer = offers[0].offer.clone();

    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.lock_programme(YEAR).await;
    let (caller, award) = (client.clone(), first.clone());
    let release = tokio::spawn(async move { caller.release(&award, None).await });
    reads(&client, &offer).await;
    let (caller, about, awards) = (client.clone(), trust.offer.clone(), fees(80_000));
    let again = tokio::spawn(async move { caller.award(&about, awards, &fresh()).await });
    reads(&client, &offer).await;
    let (caller, about, awards) = (client.clone(), trust.offer.clone(), fees(70_000));
    let once_more = tokio::spawn(async move { caller.award(&about, awards, &fresh()).await });
    reads(&client, &offer).await;
    raw_sql.release_lock().await;
    release.await.unwrap().unwrap();
    let second = again.await.unwrap().unwrap().awards.remove(0).award;
    assert_eq!(reason(&once_more.await.unwrap().unwrap_err()), "LEADER_FUNDED");
    let times = "SELECT COUNT(DISTINCT recorded_at) FROM events WHERE seq > (SELECT MAX(seq) - 2 FROM events)";
    assert_eq!(RawSql::of(&db).await.number(times).await, 1, "they were written together");
    assert_eq!(amounts(&client.get_award(&first).await), [90_000, 0, 90_000, 0, 0]);
    assert_eq!(amounts(&client.get_award(&second).await), [80_000, 0, 0, 0, 80_000]);
    proved(&db);
}

/// A writer waits five seconds for a programme. Its first try has failed when this caller gives up; the second succeeds.
async fn nothing_is_carried_out_for_a_caller_who_gave_up_during_the_retries(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let offer = offers[0].offer.clone();
    let before = proved(&db);
    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.lock_programme(YEAR).await;
    let late = fresh();
    let (request_id, text) = (late.clone(), "too late".to_owned());
    let mut request = client.ask(NoteOfferRequest { request_id, offer: offer.clone(), text, ..Default::default() });
    request.set_timeout(Duration::from_secs(7));
    let status = client.offers().note_offer(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_PASSED"));
    raw_sql.release_lock().await;
    client.note(&offer, "after it", &fresh()).await.unwrap();
    assert_eq!(client.times(&offer, &late).await, 0);
    assert_eq!(proved(&db)[0].0, before[0].0 + 1);
}
