//! Checks that the register's record has every import, replacement and withdrawal, and that verify finds changes made by SQL.

use std::thread;

use serde_json::{Value, json};
use tsio::domain::event::{Body as _, Event, Hash, Seq, chain};
use tsio::domain::ids::{RecordName, RequestId};
use tsio::domain::register_record::RegisterBody;
use tsio::domain::time::Micros;
use tsio::proto::VerifyLedgerRequest;

use crate::client::{Client, YEAR};
use crate::harness::{Db, Server, both, tsio};
use crate::raw_sql::{Head, RawSql, verified_heads, verified_register_head, verify};
use crate::samples::{
    AUGUST, REGISTER_AUGUST, SEPTEMBER, SEPTEMBER_CORRECTED, as_person, identify, import, import_all, import_args,
    run_filed, run_ok, text,
};

both!(
    imports_and_their_withdrawals_are_recorded,
    what_depends_on_the_files_cites_the_record,
    events_of_the_register_are_not_changed,
    tampering_with_reference_data_is_named,
    a_withdrawal_without_an_approval_is_named,
    an_answer_without_its_event_is_named_and_an_event_without_its_answer,
    a_reason_that_is_erased_with_its_salt_is_no_difference,
    existing_reference_data_is_adopted_once,
    a_deleted_record_does_not_begin_again_unseen,
);

/// Returns the kinds of the events of the register's record in order.
async fn kinds(raw_sql: &mut RawSql) -> Vec<String> {
    let last = raw_sql.number("SELECT MAX(seq) FROM register_events").await;
    let mut kinds = Vec::new();
    for seq in 1..=last {
        let mut found = None;
        for kind in KINDS {
            let sql = format!("SELECT COUNT(*) FROM register_events WHERE seq = {seq} AND kind = '{kind}'");
            if raw_sql.number(&sql).await == 1 {
                found = Some(kind.to_owned());
            }
        }
        kinds.push(found.unwrap());
    }
    kinds
}

/// The kinds of events of the register's record.
const KINDS: [&str; 12] = [
    "record_begun",
    "import_found",
    "approval_found",
    "answer_found",
    "import_landed",
    "import_repeated",
    "import_replaced",
    "approval_opened",
    "approval_given",
    "approval_denied",
    "approval_withdrawn",
    "import_withdrawn",
];

/// Returns the differences in the register's report.
fn differences(db: &Db) -> Vec<String> {
    let (code, reports) = verify(db, &["--programme", "register"]);
    let named = reports[0]["differences"].as_array().unwrap();
    assert_eq!(code, i32::from(!named.is_empty()), "{reports:#}");
    named.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// Checks that verify reports a difference of the register's record that contains `named`.
fn check_is_named(db: &Db, tamper: &str, named: &str) {
    let found = differences(db);
    assert!(found.iter().any(|it| it.contains(named)), "{tamper}: {named} is not in {found:#?}");
}

/// Returns the command that withdraws an import.
fn withdraw_args<'a>(actor: &'a str, import: &'a str, reason: &'a str) -> Vec<&'a str> {
    as_person(actor, "administrator", &["import", "withdraw", import, "--reason", reason])
}

/// Returns a command that answers an approval.
fn answer_args<'a>(actor: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    as_person(actor, "administrator", &[&["approvals"], rest].concat())
}

async fn imports_and_their_withdrawals_are_recorded(db: Db) {
    let mut server = Server::start(&db);
    let first_head = verified_register_head(&db);
    assert_eq!(first_head.sequence, 1, "the first start of a server begins the record");
    import_all(&server, &[REGISTER_AUGUST[0], AUGUST]);
    let wrong = text(&import(&server, SEPTEMBER), "import_id");
    // The same content again, then a corrected file that replaces it.
    assert_eq!(import(&server, SEPTEMBER)["import_id"], wrong.as_str());
    let corrected = import_args(SEPTEMBER_CORRECTED);
    let corrected: Vec<&str> = corrected.iter().map(String::as_str).chain(["--replaces", &wrong]).collect();
    let right = text(&run_ok(&server, &corrected)[0], "import_id");
    // Three approvals: one withdrawn, one denied, one given.
    let first = text(&run_filed(&server, &withdraw_args("ann", &right, "a mistake")), "approval");
    run_ok(&server, &answer_args("ann", &["withdraw", &first]));
    let second = text(&run_filed(&server, &withdraw_args("ann", &right, "wrong file")), "approval");
    run_ok(&server, &answer_args("bob", &["deny", &second, "--reason", "it is right"]));
    let third = text(&run_filed(&server, &withdraw_args("ann", &right, "wrong after all")), "approval");
    run_ok(&server, &answer_args("bob", &["give", &third]));
    let client = Client::of(&server).await;
    let over_wire = client.finance_service().verify_ledger(client.ask(VerifyLedgerRequest::default())).await.unwrap();
    server.stop();

    let mut raw_sql = RawSql::of(&db).await;
    let expected_kinds = [
        "record_begun",
        "import_landed",
        "import_landed",
        "import_landed",
        "import_repeated",
        "import_landed",
        "import_replaced",
        "approval_opened",
        "approval_withdrawn",
        "approval_opened",
        "approval_denied",
        "approval_opened",
        "approval_given",
        "import_withdrawn",
    ];
    assert_eq!(kinds(&mut raw_sql).await, expected_kinds);
    let Head { sequence, hash } = verified_register_head(&db);
    assert_eq!(sequence, 14);
    let over_wire = over_wire.into_inner();
    let report = over_wire.books.iter().find(|it| it.programme == "register").unwrap();
    assert_eq!((over_wire.sound, report.sequence, &report.hash, report.entries), (true, 14, &hash, 0));
    for (sequence, hash, code) in [(14, &hash, 0), (1, &first_head.hash, 0), (13, &hash, 1)] {
        let expected = verify(&db, &["--programme", "register", "--expect", &format!("{sequence}:{hash}")]);
        assert_eq!(expected.0, code, "{:#}", expected.1);
    }
    // The record has only hashes of the reasons: no body contains text that a person wrote.
    let texts = "SELECT COUNT(*) FROM register_events WHERE body LIKE '%wrong%' OR body LIKE '%mistake%'";
    assert_eq!(raw_sql.number(texts).await, 0);
    assert_eq!(raw_sql.number("SELECT COUNT(*) FROM register_events WHERE text_hash IS NOT NULL").await, 4);
    assert_eq!(raw_sql.number("SELECT COUNT(*) FROM register_salts").await, 4);
}

/// A decision cites the last event of the register's record at the time when it read the register and the files.
async fn what_depends_on_the_files_cites_the_record(db: Db) {
    let mut server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST]);
    identify(&server);
    import_all(&server, &[SEPTEMBER]);
    identify(&server);
    run_ok(&server, &["schools", "place", "910063", "--kind", "maintained", "--reason", "agreed by phone"]);
    server.stop();
    verified_heads(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let mut count_citing = async |kind: &str, seq: i64| {
        let sql =
            format!("SELECT COUNT(*) FROM events WHERE kind = '{kind}' AND body LIKE '%\"register_seq\":{seq}}}'");
        raw_sql.number(&sql).await
    };
    // The record has its first event, then an event for each of five files, then an event for a sixth file.
    assert_eq!([count_citing("identified", 6).await, count_citing("identified", 7).await], [19, 3]);
    assert_eq!(count_citing("placed", 7).await, 1);

    // Verify reports an event that cites a missing event, or an earlier event than the event before it cites.
    let mut raw_sql = RawSql::of(&db).await;
    let rows = [("7}", "8}", "an event cites event 8 of the register's record"), ("8}", "5}", "it cites event 5 of")];
    for (from, to, named) in rows {
        let sql = format!(
            "UPDATE events SET body = REPLACE(body, 'register_seq\":{from}', 'register_seq\":{to}') WHERE kind = 'placed'"
        );
        raw_sql.run_unguarded(&sql).await.unwrap();
        let (code, reports) = verify(&db, &["--programme", YEAR]);
        assert!(code == 1 && reports[0]["differences"].to_string().contains(named), "{named}: {reports:#}");
    }
}

async fn events_of_the_register_are_not_changed(db: Db) {
    let mut server = Server::start(&db);
    import_all(&server, &[AUGUST]);
    server.stop();
    let mut raw_sql = RawSql::of(&db).await;
    let mut attempts = vec!["UPDATE register_events SET actor = 'nobody'", "DELETE FROM register_events"];
    attempts.push(if db.is_postgres() {
        "TRUNCATE register_events CASCADE"
    } else {
        "REPLACE INTO register_events SELECT * FROM register_events WHERE seq = 1"
    });
    for attempt in attempts {
        let refused = raw_sql.run(attempt).await.unwrap_err();
        assert!(refused.contains("append-only"), "{attempt}: {refused}");
    }
    assert_eq!(verified_register_head(&db).sequence, 2);
}

/// Tamperings with the tables of imported rows: the table, a change, and a change that undoes it.
const ROWS: [(&str, &str, &str); 6] = [
    ("group_rows", "name = name || ' '", "name = RTRIM(name)"),
    ("membership_rows", "la_code = la_code + 1", "la_code = la_code - 1"),
    ("link_rows", "link_name = link_name || ' '", "link_name = RTRIM(link_name)"),
    ("establishment_rows", "urn = urn + 900000000", "urn = urn - 900000000"),
    ("ofsted_rows", "laestab = laestab + 1", "laestab = laestab - 1"),
    ("ofsted_rows", "prev_number = COALESCE(prev_number, '') || ' '", "prev_number = NULLIF(RTRIM(prev_number), '')"),
];

/// Tamperings with the columns of an import: a change, a change that undoes it, and a part of the difference.
const IMPORT: [(&str, &str, &str); 10] = [
    ("file_name = file_name || ' '", "file_name = RTRIM(file_name)", "file name"),
    ("rows = rows + 1", "rows = rows - 1", "rows in the file"),
    ("accepted = accepted + 1", "accepted = accepted - 1", "rows that went in"),
    ("more_problems = 1", "more_problems = 0", "further problems"),
    ("imported_by = imported_by || 'x'", "imported_by = RTRIM(imported_by, 'x')", "imported by"),
    ("imported_at = imported_at + 1", "imported_at = imported_at - 1", "imported at"),
    ("withdrawn_by = 'ann'", "withdrawn_by = NULL", "withdrawn by"),
    ("withdrawn_reason = 'none'", "withdrawn_reason = NULL", "reason of its withdrawal"),
    ("replaced_by = id", "replaced_by = NULL", "replaced by"),
    ("state = 'withdrawn'", "state = 'landed'", "state"),
];

/// Tamperings with the columns of an approval: a change, a change that undoes it, and a part of the difference.
const APPROVAL: [(&str, &str, &str); 5] = [
    ("requested_by = 'bob', requested_key = 'bob'", "requested_by = 'ann', requested_key = 'ann'", "requested by"),
    ("reason = 'another'", "reason = 'wrong date'", "is not the one it was recorded with"),
    ("expires_at = expires_at + 1", "expires_at = expires_at - 1", "expiry"),
    ("requested_at = requested_at + 1", "requested_at = requested_at - 1", "requested at"),
    ("state = 'withdrawn'", "state = 'open'", "state"),
];

/// SQL that tampers, a part of the difference that verify reports, and SQL that undoes the tampering.
type Tampering = (String, String, String);

/// Returns tamperings with imported rows and with an import.
fn import_tampering(month: &str, id: &str) -> Vec<Tampering> {
    let mut rows = Vec::new();
    for (table, set, back) in ROWS {
        let first = format!("(SELECT import_id FROM {table} ORDER BY import_id LIMIT 1)");
        let import = if table == "ofsted_rows" { id.to_owned() } else { first };
        let update = |set: &str| format!("UPDATE {table} SET {set} WHERE import_id = {import}");
        rows.push((update(set), "its rows are not those it landed with".to_owned(), update(back)));
    }
    for (set, back, what) in IMPORT {
        let update = |set: &str| format!("UPDATE imports SET {set} WHERE id = {id}");
        rows.push((update(set), format!("import {month} {what}"), update(back)));
    }
    let problem = format!("INSERT INTO import_problems VALUES ({id}, 0, 2, 'URN', 'made up')");
    let named = format!("import {month}: its problems and notes are not those");
    rows.push((problem, named, format!("DELETE FROM import_problems WHERE import_id = {id} AND reason = 'made up'")));
    rows
}

/// Returns tamperings with an approval and with the record.
fn record_tampering(db: &Db, approval: &str, id: &str) -> Vec<Tampering> {
    let mut rows = Vec::new();
    for (set, back, what) in APPROVAL {
        let update = |set: &str| format!("UPDATE approvals SET {set} WHERE id = {id}");
        rows.push((update(set), format!("approval {approval} {what}"), update(back)));
    }
    let event = |set: &str| format!("UPDATE register_events SET {set} WHERE seq = 2");
    let salt = if db.is_postgres() { "'\\x00'" } else { "X'00'" };
    let more = [
        (event("actor = actor || 'x'"), "event 2: its hash is", event("actor = SUBSTR(actor, 1, LENGTH(actor) - 1)")),
        (event("kind = 'other'"), "event 2: its kind is \"other\"", event("kind = 'import_landed'")),
        (
            "UPDATE register_lock SET next_seq = next_seq + 1".to_owned(),
            "the head's sequence",
            "UPDATE register_lock SET next_seq = next_seq - 1".to_owned(),
        ),
        (
            format!("INSERT INTO register_salts VALUES (2, {salt})"),
            "salt 2: there is no event with a text",
            "DELETE FROM register_salts WHERE seq = 2".to_owned(),
        ),
    ];
    rows.extend(more.map(|(tamper, named, mend)| (tamper, named.to_owned(), mend)));
    rows
}

async fn tampering_with_reference_data_is_named(db: Db) {
    let mut server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    let month = text(&import(&server, AUGUST), "import_id");
    let second = text(&import(&server, SEPTEMBER), "import_id");
    let approval = text(&run_filed(&server, &withdraw_args("ann", &second, "wrong date")), "approval");
    server.stop();
    let head = verified_register_head(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let id = raw_sql.id(&month);
    let mut rows = import_tampering(&month, &id);
    rows.extend(record_tampering(&db, &approval, &raw_sql.id(&approval)));
    for (tamper, named, mend) in rows {
        raw_sql.run_unguarded(&tamper).await.unwrap_or_else(|wrong| panic!("{tamper}: {wrong}"));
        check_is_named(&db, &tamper, &named);
        raw_sql.run_unguarded(&mend).await.unwrap();
        assert_eq!(verified_register_head(&db), head, "{mend}");
    }
    // A deleted row.
    let last = format!("(SELECT MAX(urn) FROM ofsted_rows WHERE import_id = {id})");
    raw_sql.run(&format!("DELETE FROM ofsted_rows WHERE import_id = {id} AND urn = {last}")).await.unwrap();
    check_is_named(&db, "a deleted row", &format!("import {month}: its rows are not those"));
}

/// Forges a complete withdrawal with a valid chain of hashes. Only the approval by a second person is missing.
async fn a_withdrawal_without_an_approval_is_named(db: Db) {
    let mut server = Server::start(&db);
    import_all(&server, &[AUGUST]);
    let import = text(&import(&server, SEPTEMBER), "import_id");
    server.stop();
    let Head { sequence, hash } = verified_register_head(&db);
    let (approval, request) = (crate::client::fresh(), crate::client::fresh());
    let body = RegisterBody::ImportWithdrawn { import: import.parse().unwrap(), approval: approval.parse().unwrap() };
    let mut raw_sql = RawSql::of(&db).await;
    let recorded = raw_sql.number("SELECT MAX(recorded_at) FROM register_events").await;
    let event = Event {
        seq: Seq(sequence + 1),
        offer: None,
        actor: "mallory".parse().unwrap(),
        request: request.parse::<RequestId>().unwrap(),
        effective: "2022-01-31".parse().unwrap(),
        recorded: Micros(recorded),
        reason_code: None,
        text_hash: None,
        body,
        entries: Vec::new(),
    };
    let json = serde_json::to_string(&event.body).unwrap();
    let before: Hash = hash.parse().unwrap();
    let forged = chain(before, &RecordName::Register, &event, &json).to_string();
    let forged = if db.is_postgres() { format!("'\\x{forged}'") } else { format!("X'{forged}'") };
    let (request, id) = (raw_sql.id(&request), raw_sql.id(&import));
    let (seq, kind) = (event.seq, event.body.kind());
    let sql = format!(
        "INSERT INTO register_events VALUES ({seq}, '{kind}', 'mallory', {request}, '2022-01-31', {recorded}, NULL, \
         '{json}', {forged}); UPDATE register_lock SET next_seq = {next}, head = {forged}; \
         UPDATE imports SET state = 'withdrawn' WHERE id = {id}; \
         INSERT INTO requests (actor, request_id, rpc, fingerprint, answer, recorded_at) \
         SELECT 'mallory', {request}, 'ApprovalService/GiveApproval', fingerprint, answer, {recorded} FROM requests LIMIT 1",
        next = sequence + 2
    );
    raw_sql.run_unguarded(&sql).await.unwrap();
    let named =
        format!("event {seq}: import {import} is withdrawn without an approval of that, given by the event before");
    assert_eq!(differences(&db), [named]);
}

async fn an_answer_without_its_event_is_named_and_an_event_without_its_answer(db: Db) {
    let mut server = Server::start(&db);
    let client = Client::of(&server).await;
    let offer = client.seed().await.remove(0).offer;
    let noted = crate::client::fresh();
    client.note(&offer, "called", &noted).await.unwrap();
    server.stop();
    verified_heads(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let id = raw_sql.id(&noted);
    let move_to = |table: &str, from: &str| format!("{table} SELECT * FROM {from} WHERE request_id = {id}");
    raw_sql.run(&move_to("CREATE TABLE kept AS", "requests")).await.unwrap();
    raw_sql.run(&format!("DELETE FROM requests WHERE request_id = {id}")).await.unwrap();
    check_is_named(&db, "no answer", &format!("request {noted} of officer: it has an event, and no answer"));
    raw_sql.run("INSERT INTO requests SELECT * FROM kept").await.unwrap();
    verified_heads(&db);
    // An answer with another time than its event, then one under an id that no event has.
    raw_sql.run(&format!("UPDATE requests SET recorded_at = recorded_at - 1 WHERE request_id = {id}")).await.unwrap();
    check_is_named(&db, "another time", &format!("request {noted} of officer: it was answered, and has no event"));
    raw_sql.run(&format!("UPDATE requests SET recorded_at = recorded_at + 1 WHERE request_id = {id}")).await.unwrap();
    let other = crate::client::fresh();
    let made_up = raw_sql.id(&other);
    let copied = format!(
        "INSERT INTO requests (actor, request_id, rpc, fingerprint, answer, recorded_at) \
         SELECT actor, {made_up}, rpc, fingerprint, answer, recorded_at FROM requests WHERE request_id = {id}"
    );
    raw_sql.run(&copied).await.unwrap();
    let named = format!("request {other} of officer: it was answered, and has no event of that moment");
    assert_eq!(differences(&db), [named.as_str()]);
    if !db.is_postgres() {
        // A row id below all that the program writes.
        raw_sql.run(&format!("UPDATE requests SET rowid = -5 WHERE request_id = {made_up}")).await.unwrap();
        assert_eq!(differences(&db), [named]);
    }
}

/// Erases a text as described in `docs/how-to/administrator.md` ("Erase a text").
async fn a_reason_that_is_erased_with_its_salt_is_no_difference(db: Db) {
    let mut server = Server::start(&db);
    let month = text(&import(&server, AUGUST), "import_id");
    let approval = text(&run_filed(&server, &withdraw_args("ann", &month, "wrong date")), "approval");
    run_ok(&server, &answer_args("bob", &["give", &approval]));
    server.stop();
    let head = verified_register_head(&db);
    let mut raw_sql = RawSql::of(&db).await;
    let (import, id) = (raw_sql.id(&month), raw_sql.id(&approval));
    let erase = format!("UPDATE approvals SET reason = NULL, denied_reason = NULL WHERE id = {id}");
    raw_sql.run(&erase).await.unwrap();
    check_is_named(
        &db,
        "only the text of the approval is erased",
        &format!("the reason of approval {approval} or its salt is missing"),
    );
    check_is_named(&db, "the reason of the import is not erased", &format!("import {month} reason of its withdrawal"));
    raw_sql.run(&format!("UPDATE imports SET withdrawn_reason = NULL WHERE id = {import}")).await.unwrap();
    let salts = format!(
        "DELETE FROM register_salts WHERE seq IN \
         (SELECT seq FROM register_events WHERE body LIKE '%\"approval\":\"{approval}\"%')"
    );
    raw_sql.run_unguarded(&salts).await.unwrap();
    assert_eq!(verified_register_head(&db), head);
}

/// Deletes the record, as if a process was killed after it migrated the schema and before it began the record.
async fn delete_record(db: &Db) {
    let mut raw_sql = RawSql::of(db).await;
    raw_sql.run_unguarded(
        "DELETE FROM register_salts; DELETE FROM register_events; UPDATE register_lock SET next_seq = 1, head = NULL",
    )
    .await
    .unwrap();
}

/// The first server to start adopts the imports and approvals of an earlier version, in every state, exactly once.
async fn existing_reference_data_is_adopted_once(db: Db) {
    let mut server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST]);
    let month = text(&import(&server, SEPTEMBER), "import_id");
    for (why, verb) in [("first", "withdraw"), ("second", "deny"), ("third", "give")] {
        let approval = text(&run_filed(&server, &withdraw_args("ann", &month, why)), "approval");
        let by = if why == "first" { "ann" } else { "bob" };
        let rest = if why == "second" { vec!["--reason", "not now"] } else { vec![] };
        run_ok(&server, &answer_args(by, &[verb, &approval].into_iter().chain(rest).collect::<Vec<_>>()));
    }
    server.stop();
    delete_record(&db).await;
    check_is_named(&db, "the record is deleted", &format!("import {month}: the database has it, no event makes it"));
    let servers = if db.is_postgres() { 4 } else { 1 };
    let starting: Vec<_> = (0..servers)
        .map(|_| {
            let db = db.clone();
            thread::spawn(move || Server::start(&db))
        })
        .collect();
    let servers: Vec<Server> = starting.into_iter().map(|it| it.join().unwrap()).collect();
    let mut raw_sql = RawSql::of(&db).await;
    let begins = vec!["record_begun"];
    let found = begins.into_iter().chain(vec!["import_found"; 6]);
    let approvals = ["approval_found", "answer_found"].into_iter().cycle().take(6);
    assert_eq!(kinds(&mut raw_sql).await, found.chain(approvals).collect::<Vec<_>>());
    // New imports continue the record.
    import_all(&servers[0], &[SEPTEMBER]);
    drop(servers);
    assert_eq!(verified_register_head(&db).sequence, 14);
    // Verify covers adopted imports like new ones.
    let id = raw_sql.id(&month);
    raw_sql.run(&format!("UPDATE ofsted_rows SET cur_grade = 1 WHERE import_id = {id}")).await.unwrap();
    check_is_named(&db, "grades", &format!("import {month}: its rows are not those it landed with"));
    delete_record(&db).await;
    let migrated = tsio(&["migrate", "--database", &db.url()]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    assert!(migrated.stderr.contains("adopted 7 imports"), "{}", migrated.stderr);
}

/// If the record and its head are deleted, a new record adopts the data. Only a head kept elsewhere shows the deletion.
async fn a_deleted_record_does_not_begin_again_unseen(db: Db) {
    let mut server = Server::start(&db);
    import_all(&server, &[AUGUST]);
    server.stop();
    let Head { sequence, hash } = verified_register_head(&db);
    delete_record(&db).await;
    server.restart();
    server.stop();
    verified_register_head(&db);
    let expect = format!("{sequence}:{hash}");
    let (code, reports): (i32, Value) = verify(&db, &["--programme", "register", "--expect", &expect]);
    assert_eq!(code, 1);
    assert_eq!(reports[0]["differences"], json!([format!("event {sequence} with hash {hash} is not in the record")]));
}
