//! The record is append-only, and verify finds changes that were made by SQL.

use serde_json::Value;

use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, both, tsio};
use crate::raw_sql::{RawSql, proved, verify};
use crate::samples::done;

both!(
    events_are_not_changed,
    tampering_is_named,
    a_placement_is_compared_with_its_event,
    a_cut_tail_shows_against_a_head_kept_elsewhere,
    a_database_without_a_programme_proves_nothing,
);

/// Makes a programme of 22 events and stops its server: one of adopted rules, 19 of identified offers, then an assignment and
/// a note on the first offer.
async fn make_programme(db: &Db) -> String {
    let mut server = Server::start(db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.remove(0).offer;
    client.assign(&offer, "ann", &fresh()).await.unwrap();
    client.note(&offer, "called", &fresh()).await.unwrap();
    server.stop();
    assert_eq!(proved(db)[0].0, 22);
    offer
}

async fn events_are_not_changed(db: Db) {
    make_programme(&db).await;
    let head = proved(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let mut attempts = vec!["UPDATE events SET actor = 'nobody' WHERE seq = 21", "DELETE FROM events WHERE seq = 22"];
    attempts.push(if db.is_postgres() {
        "TRUNCATE events CASCADE"
    } else {
        "REPLACE INTO events SELECT programme, seq, kind, offer_id, 'nobody', request_id, effective_on, recorded_at, \
         reason_code, text_hash, body, hash FROM events WHERE seq = 21"
    });
    for attempt in attempts {
        let refused = raw_sql.run(attempt).await.unwrap_err();
        assert!(refused.contains("append-only"), "{attempt}: {refused}");
    }
    assert_eq!(proved(&db), head);
}

/// SQL that tampers, the difference that verify names in the first programme, and SQL that undoes it.
pub(crate) type Tampering = (String, String, String);

/// Carries out each tampering, checks that verify names it, and undoes it.
pub(crate) async fn each_is_named(db: &Db, raw_sql: &mut RawSql, rows: Vec<Tampering>) {
    let head = proved(db).remove(0);
    for (tamper, named, mend) in rows {
        raw_sql.run_unguarded(&tamper).await.unwrap();
        is_named(db, &tamper, &named);
        raw_sql.run_unguarded(&mend).await.unwrap();
        assert_eq!(proved(db)[0], head, "{mend}");
    }
}

fn is_named(db: &Db, tamper: &str, named: &str) {
    let (code, reports) = verify(db, &[]);
    assert_eq!(code, 1, "{tamper}");
    let differences = &reports[0]["differences"];
    let names = |it: &Value| it.as_str().unwrap().contains(named);
    assert!(differences.as_array().unwrap().iter().any(names), "{tamper}: {named} is not in {differences:#}");
}

fn rows<const N: usize>(rows: [[&str; 3]; N]) -> Vec<Tampering> {
    rows.map(|[tamper, named, mend]| (tamper.to_owned(), named.to_owned(), mend.to_owned())).into()
}

/// Tampers with events and their texts, which the chain of hashes covers.
fn tampering(db: &Db) -> Vec<Tampering> {
    let mut all = rows([
        [
            "UPDATE events SET body = REPLACE(body, 'ann', 'bob') WHERE seq = 21",
            "event 21: its hash is",
            "UPDATE events SET body = REPLACE(body, 'bob', 'ann') WHERE seq = 21",
        ],
        [
            "UPDATE events SET body = body || 'x' WHERE seq = 21",
            "event 21: it cannot be read",
            "UPDATE events SET body = SUBSTR(body, 1, LENGTH(body) - 1) WHERE seq = 21",
        ],
        [
            "UPDATE events SET actor = 'other' WHERE seq = 22",
            "event 22: its hash is",
            "UPDATE events SET actor = 'officer' WHERE seq = 22",
        ],
        [
            "INSERT INTO events SELECT programme, 0, kind, offer_id, actor, request_id, effective_on, recorded_at, \
             reason_code, text_hash, body, hash FROM events WHERE seq = 21",
            "event 0: event 1 was expected",
            "DELETE FROM events WHERE seq = 0",
        ],
        [
            "UPDATE texts SET text = 'never called' WHERE seq = 22",
            "event 22: its text is not the one",
            "UPDATE texts SET text = 'called' WHERE seq = 22",
        ],
        // A text of an assignment, which has none, and a text of a missing event.
        [
            "INSERT INTO texts SELECT programme, 21, salt, text FROM texts WHERE seq = 22",
            "event 21: it has a text",
            "DELETE FROM texts WHERE seq = 21",
        ],
        [
            "INSERT INTO texts SELECT programme, 23, salt, text FROM texts WHERE seq = 22",
            "text 23: there is no such event",
            "DELETE FROM texts WHERE seq = 23",
        ],
        [
            "INSERT INTO texts SELECT programme, -1, salt, text FROM texts WHERE seq = 22",
            "text -1: there is no such event",
            "DELETE FROM texts WHERE seq = -1",
        ],
    ]);
    if db.is_postgres() {
        // A day that is in no calendar.
        all.extend(rows([[
            "CREATE TABLE days AS SELECT seq, effective_on FROM events; \
             UPDATE events SET effective_on = 'infinity' WHERE seq = 22",
            "event 22: it cannot be read",
            "UPDATE events SET effective_on = (SELECT effective_on FROM days WHERE days.seq = 22) WHERE seq = 22",
        ]]));
    } else {
        all.extend(rows([[
            "UPDATE events SET effective_on = ' ' || effective_on WHERE seq = 22",
            "event 22: it cannot be read",
            "UPDATE events SET effective_on = LTRIM(effective_on) WHERE seq = 22",
        ]]));
    }
    all
}

/// Tampers with the states that are stored beside the events.
fn tampering_beside(raw_sql: &RawSql, offer: &str) -> Vec<Tampering> {
    let id = raw_sql.id(offer);
    let offers = |set: &str| format!("UPDATE offers SET {set} WHERE id = {id}");
    let unreadable = format!("offer {offer}: it cannot be read");
    let this_year = |table: &str, set: &str| format!("UPDATE {table} SET {set} WHERE programme = '{YEAR}'");
    vec![
        (offers("state = 'contacted'"), format!("offer {offer} state"), offers("state = 'identified'")),
        // Another spelling of the region, and an acceptance without its day.
        (offers("region = region || ' '"), unreadable.clone(), offers("region = RTRIM(region)")),
        (offers("accepted_by = 'school'"), unreadable, offers("accepted_by = NULL")),
        (
            this_year("books", "open = NOT open"),
            "whether the programme is open".to_owned(),
            this_year("books", "open = NOT open"),
        ),
        (
            this_year("terms", "text = text || '# more'"),
            "the terms: the hash of their text is".to_owned(),
            this_year("terms", "text = SUBSTR(text, 1, LENGTH(text) - 6)"),
        ),
        (
            this_year("terms", "text = 'no ' || text"),
            format!("terms of {YEAR}: their text is unsound"),
            this_year("terms", "text = SUBSTR(text, 4)"),
        ),
    ]
}

async fn tampering_is_named(db: Db) {
    let offer = make_programme(&db).await;
    let mut raw_sql = RawSql::of(&db).await;
    let mut rows = tampering(&db);
    rows.extend(tampering_beside(&raw_sql, &offer));
    each_is_named(&db, &mut raw_sql, rows).await;
    let cut = "DELETE FROM texts WHERE seq = 22; DELETE FROM events WHERE seq = 22";
    raw_sql.run_unguarded(cut).await.unwrap();
    is_named(&db, cut, "the head's sequence");
}

async fn a_placement_is_compared_with_its_event(db: Db) {
    let mut server = Server::start(&db);
    Client::of(&server).await.seed().await;
    done(&server, &["schools", "place", "910063", "--kind", "maintained", "--reason", "agreed by phone"]);
    server.stop();
    // The event after the adopted rules and the 19 offers.
    assert_eq!(proved(&db)[0].0, 21);
    let mut raw_sql = RawSql::of(&db).await;
    let rows = rows([
        [
            "UPDATE placements SET seq = 20",
            "placement of school 910063: the record says",
            "UPDATE placements SET seq = 21",
        ],
        [
            "UPDATE placements SET uid = 90001",
            "placement of school 910063: it cannot be read",
            "UPDATE placements SET uid = NULL",
        ],
    ]);
    each_is_named(&db, &mut raw_sql, rows).await;
}

/// The last event and its answer are deleted and the head is set back: only a head kept elsewhere shows it.
async fn a_cut_tail_shows_against_a_head_kept_elsewhere(db: Db) {
    make_programme(&db).await;
    let (sequence, hash) = proved(&db).remove(0);
    let kept = format!("{sequence}:{hash}");
    assert_eq!(verify(&db, &["--programme", YEAR, "--expect", &kept]).0, 0);
    let mut raw_sql = RawSql::of(&db).await;
    let cut = format!(
        "DELETE FROM requests WHERE request_id = (SELECT request_id FROM events WHERE seq = 22); \
         DELETE FROM texts WHERE seq = 22; DELETE FROM events WHERE seq = 22; \
         UPDATE books SET next_seq = 22, head = (SELECT hash FROM events WHERE programme = '{YEAR}' AND seq = 21) \
         WHERE programme = '{YEAR}'"
    );
    raw_sql.run_unguarded(&cut).await.unwrap();
    assert_eq!(proved(&db)[0].0, 21);
    let (code, reports) = verify(&db, &["--programme", YEAR, "--expect", &kept]);
    assert_eq!(code, 1);
    assert_eq!(reports[0]["differences"][0], format!("event 22 with hash {hash} is not in the record"));
}

async fn a_database_without_a_programme_proves_nothing(db: Db) {
    let verified = |extra: &[&str]| tsio(&[&["verify", "--database", &db.url()], extra].concat());
    let nothing = verified(&[]);
    let lines: Vec<Vec<&str>> = nothing.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((nothing.code, lines.len()), (0, 2), "{}", nothing.stdout);
    assert_eq!((lines[1][0], lines[1][1], lines[1][3]), ("register", "1", "0"), "its record has begun");
    let hash = "0f".repeat(32);
    let expected = verified(&["--expect", &format!("7:{hash}")]);
    assert_eq!(expected.code, 1);
    assert!(expected.stdout.contains(&format!("event 7 with hash {hash} is not in the record")), "{}", expected.stdout);
    let mut raw_sql = RawSql::of(&db).await;
    let id = raw_sql.id(&fresh());
    let booking = format!("INSERT INTO bookings VALUES ('2098-99', 1, {id}, 1, '2021-11-01', 'ada', 'booked', NULL)");
    raw_sql.run(&booking).await.unwrap();
    let stray = verified(&[]);
    assert_eq!(stray.code, 1, "{}", stray.stdout);
    assert!(stray.stdout.contains("bookings: there are rows of programme \"2098-99\""), "{}", stray.stdout);
}
