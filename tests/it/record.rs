//! The record can only grow; who goes past the program to change it is found out.

use serde_json::Value;

use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, both};
use crate::past::{Past, proved, verify};

both!(events_are_not_changed, tampering_is_named, a_cut_tail_shows_against_a_head_kept_elsewhere);

/// A book of 21 events, the last two an assignment and a note on the first offer; nobody serves it.
async fn book(db: &Db) -> String {
    let mut server = Server::start(db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.remove(0).offer;
    client.assign(&offer, "ann", &fresh()).await.unwrap();
    client.note(&offer, "called", &fresh()).await.unwrap();
    server.stop();
    assert_eq!(proved(db)[0].0, 21);
    offer
}

async fn events_are_not_changed(db: Db) {
    book(&db).await;
    let head = proved(&db);
    let mut past = Past::of(&db).await;
    let mut attempts = vec!["UPDATE events SET actor = 'nobody' WHERE seq = 20", "DELETE FROM events WHERE seq = 21"];
    attempts.push(if db.is_postgres() {
        "TRUNCATE events CASCADE"
    } else {
        "REPLACE INTO events SELECT programme, seq, kind, offer_id, 'nobody', request_id, effective_on, recorded_at, \
         reason_code, text_hash, body, hash FROM events WHERE seq = 20"
    });
    for attempt in attempts {
        let refused = past.run(attempt).await.unwrap_err();
        assert!(refused.contains("append-only"), "{attempt}: {refused}");
    }
    assert_eq!(proved(&db), head);
}

/// Takes away what keeps events from being changed.
async fn unguarded(db: &Db) -> Past {
    let mut past = Past::of(db).await;
    let sql = if db.is_postgres() {
        "ALTER TABLE events DISABLE TRIGGER USER"
    } else {
        "DROP TRIGGER events_are_not_updated; DROP TRIGGER events_are_not_deleted"
    };
    past.run(sql).await.unwrap();
    past
}

async fn tampering_is_named(db: Db) {
    let offer = book(&db).await;
    let mut past = unguarded(&db).await;
    let id = past.id(&offer);
    let state = format!("UPDATE offers SET state = 'contacted' WHERE id = {id}");
    let mended = format!("UPDATE offers SET state = 'identified' WHERE id = {id}");
    let body =
        |from: &str, to: &str| format!("UPDATE events SET body = replace(body, '{from}', '{to}') WHERE seq = 20");
    // What is done, what verify names, and what undoes it.
    let rows = [
        (state, format!("offer {offer} state"), mended),
        (body("ann", "bob"), "event 20: its hash is".to_owned(), body("bob", "ann")),
        (
            "UPDATE events SET actor = 'other' WHERE seq = 21".to_owned(),
            "event 21: its hash is".to_owned(),
            "UPDATE events SET actor = 'officer' WHERE seq = 21".to_owned(),
        ),
        (
            "UPDATE texts SET text = 'never called' WHERE seq = 21".to_owned(),
            "event 21: its text is not the one".to_owned(),
            "UPDATE texts SET text = 'called' WHERE seq = 21".to_owned(),
        ),
        (
            "DELETE FROM texts WHERE seq = 21; DELETE FROM events WHERE seq = 21".to_owned(),
            "the head's sequence".to_owned(),
            String::new(),
        ),
    ];
    for (tamper, named, mend) in rows {
        past.run(&tamper).await.unwrap();
        let (code, reports) = verify(&db, &[]);
        assert_eq!(code, 1, "{tamper}");
        let differences = &reports[0]["differences"];
        let names = |it: &Value| it.as_str().unwrap().contains(&named);
        assert!(differences.as_array().unwrap().iter().any(names), "{tamper}: {differences:#}");
        past.run(&mend).await.unwrap();
        assert!(mend.is_empty() || proved(&db)[0].0 == 21, "{mend}");
    }
}

/// The last event is gone and its head put back: nothing in the database tells.
async fn a_cut_tail_shows_against_a_head_kept_elsewhere(db: Db) {
    book(&db).await;
    let (sequence, hash) = proved(&db).remove(0);
    let kept = format!("{sequence}:{hash}");
    assert_eq!(verify(&db, &["--programme", YEAR, "--expect", &kept]).0, 0);
    let mut past = unguarded(&db).await;
    let cut = format!(
        "DELETE FROM texts WHERE seq = 21; DELETE FROM events WHERE seq = 21; \
         UPDATE books SET next_seq = 21, head = (SELECT hash FROM events WHERE programme = '{YEAR}' AND seq = 20) \
         WHERE programme = '{YEAR}'"
    );
    past.run(&cut).await.unwrap();
    assert_eq!(proved(&db)[0].0, 20);
    let (code, reports) = verify(&db, &["--programme", YEAR, "--expect", &kept]);
    assert_eq!(code, 1);
    assert_eq!(reports[0]["differences"][0], format!("event 21 with hash {hash} is not in the record"));
}
