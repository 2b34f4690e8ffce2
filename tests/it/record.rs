//! Checks that the record is append-only, and that verify finds changes that were made by SQL.

use serde_json::Value;

use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, both, tsio};
use crate::raw_sql::{Head, RawSql, verified_head, verified_heads, verified_length, verify};
use crate::samples::run_ok;

both!(
    events_are_not_changed,
    tampering_is_named,
    a_placement_is_compared_with_its_event,
    a_cut_tail_shows_against_a_head_kept_elsewhere,
    a_database_without_a_programme_proves_nothing,
);

/// Makes a programme of 22 events and stops its server. The events are one of adopted rules, 19 of identified offers, and an
/// assignment and a note of the first offer. Returns the id of that offer.
async fn make_programme(db: &Db) -> String {
    let mut server = Server::start(db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.remove(0).offer;
    client.assign(&offer, "ann", &fresh()).await.unwrap();
    client.note(&offer, "called", &fresh()).await.unwrap();
    server.stop();
    assert_eq!(verified_length(db), 22);
    offer
}

async fn events_are_not_changed(db: Db) {
    make_programme(&db).await;
    let heads = verified_heads(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let mut attempts = vec!["UPDATE events SET actor = 'nobody' WHERE seq = 21", "DELETE FROM events WHERE seq = 22"];
    attempts.push(if db.is_postgres() {
        "TRUNCATE events CASCADE"
    } else {
        "REPLACE INTO events SELECT programme, seq, kind, offer_id, 'nobody', request_id, effective_on, recorded_at, \
         reason_code, text_hash, body, hash, cap_entries FROM events WHERE seq = 21"
    });
    for attempt in attempts {
        let refused = raw_sql.run(attempt).await.unwrap_err();
        assert!(refused.contains("append-only"), "{attempt}: {refused}");
    }
    assert_eq!(verified_heads(&db), heads);
}

/// SQL that tampers, a part of the difference that verify reports, and SQL that undoes the tampering.
pub(crate) type Tampering = (String, String, String);

/// Carries out each tampering, checks that verify reports it in the first programme, and undoes it.
pub(crate) async fn check_each_is_named(db: &Db, raw_sql: &mut RawSql, rows: Vec<Tampering>) {
    let head = verified_head(db);
    for (tamper, named, mend) in rows {
        raw_sql.run_unguarded(&tamper).await.unwrap();
        check_is_named(db, &tamper, &named);
        raw_sql.run_unguarded(&mend).await.unwrap();
        assert_eq!(verified_head(db), head, "{mend}");
    }
}

/// Checks that verify reports a difference that contains `named` in the first programme.
fn check_is_named(db: &Db, tamper: &str, named: &str) {
    let (code, reports) = verify(db, &[]);
    assert_eq!(code, 1, "{tamper}");
    let differences = &reports[0]["differences"];
    let names = |it: &Value| it.as_str().unwrap().contains(named);
    assert!(differences.as_array().unwrap().iter().any(names), "{tamper}: {named} is not in {differences:#}");
}

/// Makes tamperings of these texts.
fn rows<const N: usize>(rows: [[&str; 3]; N]) -> Vec<Tampering> {
    rows.map(|[tamper, named, mend]| (tamper.to_owned(), named.to_owned(), mend.to_owned())).into()
}

/// Returns tamperings with events and their texts, which the chain of hashes covers.
fn event_tampering(db: &Db) -> Vec<Tampering> {
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
             reason_code, text_hash, body, hash, cap_entries FROM events WHERE seq = 21",
            "event 0: event 1 was expected",
            "DELETE FROM events WHERE seq = 0",
        ],
        [
            "UPDATE texts SET text = 'never called' WHERE seq = 22",
            "event 22: its text is not the one",
            "UPDATE texts SET text = 'called' WHERE seq = 22",
        ],
        // A text of an assignment, which must not have a text, and texts of missing events.
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
        // A date that is not a day of the calendar.
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

/// Returns tamperings with the states that are stored in addition to the events.
fn state_tampering(raw_sql: &RawSql, offer: &str) -> Vec<Tampering> {
    let id = raw_sql.id(offer);
    let offers = |set: &str| format!("UPDATE offers SET {set} WHERE id = {id}");
    let unreadable = format!("offer {offer}: it cannot be read");
    let this_year = |table: &str, set: &str| format!("UPDATE {table} SET {set} WHERE programme = '{YEAR}'");
    vec![
        (offers("state = 'contacted'"), format!("offer {offer} state"), offers("state = 'identified'")),
        // A region with a trailing space, and an acceptance without its day.
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
    let mut rows = event_tampering(&db);
    rows.extend(state_tampering(&raw_sql, &offer));
    check_each_is_named(&db, &mut raw_sql, rows).await;
    let cut = "DELETE FROM texts WHERE seq = 22; DELETE FROM events WHERE seq = 22";
    raw_sql.run_unguarded(cut).await.unwrap();
    check_is_named(&db, cut, "the head's sequence");
}

async fn a_placement_is_compared_with_its_event(db: Db) {
    let mut server = Server::start(&db);
    Client::of(&server).await.seed().await;
    run_ok(&server, &["schools", "place", "910063", "--kind", "maintained", "--reason", "agreed by phone"]);
    server.stop();
    // The event after the adopted rules and the 19 offers.
    assert_eq!(verified_length(&db), 21);
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
    check_each_is_named(&db, &mut raw_sql, rows).await;
}

/// Deletes the last event and its answer, and sets the head back. Only a head that is kept elsewhere shows the deletion.
async fn a_cut_tail_shows_against_a_head_kept_elsewhere(db: Db) {
    make_programme(&db).await;
    let Head { sequence, hash } = verified_head(&db);
    let kept_head = format!("{sequence}:{hash}");
    assert_eq!(verify(&db, &["--programme", YEAR, "--expect", &kept_head]).0, 0);
    let mut raw_sql = RawSql::of(&db).await;
    let cut = format!(
        "DELETE FROM requests WHERE request_id = (SELECT request_id FROM events WHERE seq = 22); \
         DELETE FROM texts WHERE seq = 22; DELETE FROM events WHERE seq = 22; \
         UPDATE books SET next_seq = 22, head = (SELECT hash FROM events WHERE programme = '{YEAR}' AND seq = 21) \
         WHERE programme = '{YEAR}'"
    );
    raw_sql.run_unguarded(&cut).await.unwrap();
    assert_eq!(verified_length(&db), 21);
    let (code, reports) = verify(&db, &["--programme", YEAR, "--expect", &kept_head]);
    assert_eq!(code, 1);
    assert_eq!(reports[0]["differences"][0], format!("event 22 with hash {hash} is not in the record"));
}

async fn a_database_without_a_programme_proves_nothing(db: Db) {
    let run_verify = |extra: &[&str]| tsio(&[&["verify", "--database", &db.url()], extra].concat());
    let empty = run_verify(&[]);
    let lines: Vec<Vec<&str>> = empty.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((empty.code, lines.len()), (0, 2), "{}", empty.stdout);
    assert_eq!(
        (lines[1][0], lines[1][1], lines[1][3]),
        ("register", "1", "0"),
        "the register's record has its first event"
    );
    let hash = "0f".repeat(32);
    let missing_head = run_verify(&["--expect", &format!("7:{hash}")]);
    assert_eq!(missing_head.code, 1);
    assert!(
        missing_head.stdout.contains(&format!("event 7 with hash {hash} is not in the record")),
        "{}",
        missing_head.stdout
    );
    let mut raw_sql = RawSql::of(&db).await;
    let id = raw_sql.id(&fresh());
    let booking = format!("INSERT INTO bookings VALUES ('2098-99', 1, {id}, 1, '2021-11-01', 'ada', 'booked', NULL)");
    raw_sql.run(&booking).await.unwrap();
    let unknown_programme = run_verify(&[]);
    assert_eq!(unknown_programme.code, 1, "{}", unknown_programme.stdout);
    assert!(
        unknown_programme.stdout.contains("bookings: there are rows of programme \"2098-99\""),
        "{}",
        unknown_programme.stdout
    );
}
