//! Sends more calls than the server can carry out. It refuses some, drops those of callers who are gone, and still carries out
//! calls of another programme.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Code;
use tsio::proto::NoteOfferRequest;

use crate::client::{Client, NEXT_YEAR, YEAR, fresh, reason};
use crate::harness::{Db, Server, both, run};
use crate::money::{PROVIDER, Quantity, amounts, npqel, npqel_of};
use crate::raw_sql::{RawSql, verified_heads, verified_length};

/// The number of commands that may wait for one programme.
const QUEUE: usize = 4_096;
/// The largest number of commands in a batch, which is written while others wait.
const BATCH: usize = 512;
/// The number of connections that carry the calls.
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
        let server = Server::start_with_lock(&db, &[]);
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
        // Refusals do not wait for the lock: it is released only after these calls are answered.
        refused.subscribe().wait_for(|count| *count >= TOO_MANY).await.unwrap();
        raw_sql.release_lock().await;
        let answers = calls.join_all().await;
        let count = |code: Code| answers.iter().filter(|it| **it == code).count();
        // On a slow machine the batch that waits for the lock may time out.
        let (succeeded, timed_out) = (count(Code::Ok), count(Code::Unavailable));
        assert!(succeeded + timed_out >= QUEUE, "only {succeeded} and {timed_out} calls were queued");
        assert_eq!(succeeded + timed_out + *refused.borrow(), answers.len());
        // One event of adopted rules, 19 of identified offers, and one for each note. A refused call records no event.
        assert_eq!(verified_length(&db), 20 + i64::try_from(succeeded).unwrap());
    });
}

#[test]
fn nothing_is_carried_out_for_a_caller_that_is_late_or_gone() {
    run(async {
        let db = Db::postgres();
        let server = Server::start_with_lock(&db, &[]);
        let client = Client::of(&server).await;
        let offers = client.seed().await;
        let (mut raw_sql, mut watch) = (RawSql::of(&db).await, RawSql::of(&db).await);
        raw_sql.lock_programme(YEAR).await;
        let (first, offer) = (client.clone(), offers[0].offer.clone());
        let before = tokio::spawn(async move { first.note(&offer, "its batch has begun", &fresh()).await });
        watch.wait_for_blocked_writers(1).await;

        let late = fresh();
        let note = |id: &str| NoteOfferRequest {
            request_id: id.to_owned(),
            offer: offers[0].offer.clone(),
            text: "too late".to_owned(),
            ..Default::default()
        };
        let mut request = client.ask(note(&late));
        // The server ends a call shortly before its deadline, by a twentieth of the time. In 2 s that is long enough to answer
        // before the client gives up, even on a busy machine.
        request.set_timeout(Duration::from_secs(2));
        let status = client.offers().note_offer(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::DeadlineExceeded, "DEADLINE_PASSED"));
        // Another call is cancelled by its caller.
        let (gone, caller) = (fresh(), client.clone());
        let (offer, id) = (offers[0].offer.clone(), gone.clone());
        let cancelled = tokio::spawn(async move { caller.note(&offer, "never mind", &id).await });
        read_until_calls_arrived(&client, &offers[0].offer).await;
        cancelled.abort();
        read_until_calls_arrived(&client, &offers[0].offer).await;
        raw_sql.release_lock().await;
        before.await.unwrap().unwrap();

        // The queue is first in, first out: when this call is answered, the writer has passed the calls before it.
        client.note(&offers[0].offer, "after it", &fresh()).await.unwrap();
        assert_eq!(client.times_recorded(&offers[0].offer, &late).await, 0);
        assert_eq!(client.times_recorded(&offers[0].offer, &gone).await, 0);
        // The late call was not stored either: with enough time, the same call is carried out.
        client.offers().note_offer(client.ask(note(&late))).await.unwrap();
        assert_eq!(client.times_recorded(&offers[0].offer, &late).await, 1);
        assert_eq!(verified_length(&db), 23);
    });
}

/// Makes some reads, which need no lock. When they are answered, calls sent earlier on the connection have arrived.
async fn read_until_calls_arrived(client: &Client, offer: &str) {
    for _ in 0..20 {
        client.offer(offer).await;
    }
}

/// On PostgreSQL a locked programme does not block others. On SQLite both share one writer and alternate.
async fn a_flood_on_one_programme_does_not_starve_the_other(db: Db) {
    const FLOOD: usize = 1_200;
    let server = Server::start_with_lock(&db, &[]);
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
        read_until_calls_arrived(&client, &this[0].offer).await;
    }
    let (other, offer) = (client.clone(), next[0].offer.clone());
    let call = tokio::spawn(async move { other.note(&offer, "the only one", &fresh()).await });
    if db.is_postgres() {
        call.await.unwrap().unwrap();
        assert_eq!(answered.load(Ordering::Relaxed), 0);
        raw_sql.release_lock().await;
    } else {
        read_until_calls_arrived(&client, &next[0].offer).await;
        raw_sql.release_lock().await;
        call.await.unwrap().unwrap();
        let before = answered.load(Ordering::Relaxed);
        assert!(before < FLOOD, "the call of the other programme was answered after the flood");
    }
    while let Some(call) = flood.join_next().await {
        call.unwrap();
    }
    verified_heads(&db);
}

/// The paying award is the older one, so its rows are written first; the rows that free the invoice follow.
async fn an_invoice_is_freed_and_paid_again_in_one_batch(db: Db) {
    let server = Server::start_with_lock(&db, &[]);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    client.create_fund_with(YEAR, "npqel", 200_000).await;
    let mut awards = Vec::new();
    for recipient in [90_001, 90_002] {
        let trust = offers.iter().find(|it| it.recipient == recipient).unwrap();
        client.accept_offer(trust).await;
        awards.push(client.create_award(&trust.offer, npqel(PROVIDER, 90_000)).await);
        client.start(&trust.offer).await.unwrap();
    }
    let [first, second] = awards.try_into().unwrap();
    client.claim(&second, 30_000, "INV-1").await.unwrap();
    let offer = offers[0].offer.clone();

    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.lock_programme(YEAR).await;
    // The commands are queued one after the other while the programme is locked, and so form one batch.
    let (caller, award) = (client.clone(), second.clone());
    let refund = tokio::spawn(async move { caller.refund(&award, Quantity::Pence(30_000)).await });
    read_until_calls_arrived(&client, &offer).await;
    let (caller, award) = (client.clone(), first.clone());
    let claim = tokio::spawn(async move { caller.claim(&award, 20_000, "inv 1").await });
    read_until_calls_arrived(&client, &offer).await;
    let (caller, offer_id) = (client.clone(), offer.clone());
    let note = tokio::spawn(async move { caller.note(&offer_id, "with them", &fresh()).await });
    read_until_calls_arrived(&client, &offer).await;
    raw_sql.release_lock().await;
    refund.await.unwrap().unwrap();
    claim.await.unwrap().unwrap();
    note.await.unwrap().unwrap();
    // All events of a batch have the same time: these three were written in one batch.
    let times = "SELECT COUNT(DISTINCT recorded_at) FROM events WHERE seq > (SELECT MAX(seq) - 3 FROM events)";
    assert_eq!(RawSql::of(&db).await.number(times).await, 1);
    assert_eq!(amounts(&client.get_award(&first).await), [90_000, 20_000, 0, 0, 70_000]);
    assert_eq!(amounts(&client.get_award(&second).await), [90_000, 30_000, 0, 30_000, 60_000]);
    let again = client.claim(&second, 1, "INV1").await.unwrap_err();
    assert_eq!(reason(&again), "INVOICE_PAID");
    verified_heads(&db);
}

/// The rows of the release come after those of the new award in the batch, but have to be written first.
async fn a_leader_is_freed_and_funded_again_in_one_batch(db: Db) {
    let server = Server::start_with_lock(&db, &[]);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    client.create_fund_with(YEAR, "npqel", 200_000).await;
    let trust = offers.iter().find(|it| it.recipient == 90_001).unwrap().clone();
    client.accept_offer(&trust).await;
    let fees = |pence| vec![npqel_of("ceo-7", PROVIDER, pence)];
    let first = client.create_award(&trust.offer, fees(90_000).remove(0)).await;
    let offer = offers[0].offer.clone();

    let mut raw_sql = RawSql::of(&db).await;
    raw_sql.lock_programme(YEAR).await;
    // The writer waits for the lock with the note, and so the release does not begin to be written alone.
    let (caller, offer_id) = (client.clone(), offer.clone());
    let note = tokio::spawn(async move { caller.note(&offer_id, "before them", &fresh()).await });
    read_until_calls_arrived(&client, &offer).await;
    let (caller, award) = (client.clone(), first.clone());
    let release = tokio::spawn(async move { caller.release(&award, None).await });
    read_until_calls_arrived(&client, &offer).await;
    let (caller, offer_id, awards) = (client.clone(), trust.offer.clone(), fees(80_000));
    let again = tokio::spawn(async move { caller.award(&offer_id, awards, &fresh()).await });
    read_until_calls_arrived(&client, &offer).await;
    let (caller, offer_id, awards) = (client.clone(), trust.offer.clone(), fees(70_000));
    let once_more = tokio::spawn(async move { caller.award(&offer_id, awards, &fresh()).await });
    read_until_calls_arrived(&client, &offer).await;
    raw_sql.release_lock().await;
    note.await.unwrap().unwrap();
    release.await.unwrap().unwrap();
    let second = again.await.unwrap().unwrap().awards.remove(0).award;
    assert_eq!(reason(&once_more.await.unwrap().unwrap_err()), "LEADER_FUNDED");
    let times = "SELECT COUNT(DISTINCT recorded_at) FROM events WHERE seq > (SELECT MAX(seq) - 2 FROM events)";
    assert_eq!(RawSql::of(&db).await.number(times).await, 1, "the two events were not written in one batch");
    assert_eq!(amounts(&client.get_award(&first).await), [90_000, 0, 90_000, 0, 0]);
    assert_eq!(amounts(&client.get_award(&second).await), [80_000, 0, 0, 0, 80_000]);
    verified_heads(&db);
}

/// A writer waits five seconds for the lock of a programme. The caller gives up after the first try has failed and before the
/// second succeeds.
async fn nothing_is_carried_out_for_a_caller_who_gave_up_during_the_retries(db: Db) {
    let server = Server::start_with_lock(&db, &[]);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let offer = offers[0].offer.clone();
    let before = verified_heads(&db);
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
    assert_eq!(client.times_recorded(&offer, &late).await, 0);
    assert_eq!(verified_length(&db), before[0].sequence + 1);
}
