//! Migrates databases of earlier versions, and verifies them up to the same head. The tests read these databases,
//! change them, and repeat their recorded requests.
//!
//! Each issue adds the fixture of the version before it, so that each version keeps the promises of earlier ones
//! (CONTRIBUTING.md says how). Every test here uses all fixtures.

pub(crate) mod casework;
mod complete;
mod fingerprints;
pub(crate) mod format;
mod look;
mod recorder;
mod watch;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};

use tonic::Code;
use tonic::transport::Channel;
use tsio::domain::event::EventBody;
use tsio::proto::{ListAwardsRequest, ListOffersRequest, OfferState};

use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, both, run, tsio};
use crate::money::{Claim, Quantity, nle, npqel_of};
use crate::raw_sql::{RawSql, verify};
use format::{Answer, Call, Caller, EncodedMessage, Fixture, Head, Manifest};
use recorder::reason;
use watch::Place;

/// Makes two tests from each `async fn check(fixture: RestoredFixture)`: `check::sqlite` and `check::postgres`. Each
/// runs the check with every fixture of its database.
macro_rules! over_every_fixture {
    ($($check:ident),+ $(,)?) => {$(
        mod $check {
            #[test]
            fn sqlite() {
                super::over_every_fixture_of("sqlite", super::$check);
            }

            #[test]
            fn postgres() {
                super::over_every_fixture_of("postgres", super::$check);
            }
        }
    )+};
}

over_every_fixture!(
    the_record_is_verified_up_to_the_same_head,
    its_record_has_every_kind_of_event,
    everything_can_be_read,
    a_watcher_resumes_from_its_place,
    repeated_requests_are_answered_byte_for_byte,
    requests_keep_their_method_and_fingerprint,
    another_body_under_a_recorded_request_id_is_refused,
    work_goes_on,
    earlier_payments_stay_paid,
    a_changed_answer_and_another_head_are_noticed,
);

both!(this_version_leaves_a_complete_fixture);

/// A fixture, restored and migrated by the binary under test.
struct RestoredFixture {
    fixture: Fixture,
    db: Db,
    /// The heads of its programmes after the migration.
    upgraded: Vec<Head>,
}

/// Runs a check with every fixture of this database: `sqlite` or `postgres`.
fn over_every_fixture_of<F: Future<Output = ()>>(database: &str, check: impl Fn(RestoredFixture) -> F) {
    let folders = folders();
    assert!(!folders.is_empty(), "there is no fixture in {}", root().display());
    for folder in folders {
        let fixture = Fixture::read(&folder.join(database));
        assert_eq!(fixture.manifest.database, database);
        eprintln!("--- fixture {} of commit {}", folder.display(), fixture.manifest.commit);
        run(check(RestoredFixture::restore(fixture)));
    }
}

/// The folder of all fixtures.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The folder of each fixture, the oldest first.
fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

impl RestoredFixture {
    fn restore(fixture: Fixture) -> Self {
        let db = restore_unmigrated(&fixture);
        let migrated = tsio(&["migrate", "--database", &db.url()]);
        assert_eq!(migrated.code, 0, "{}", migrated.stderr);
        let upgraded = heads(&db);
        Self { fixture, db, upgraded }
    }

    /// How many events the upgrade appends to each programme: 1 if it adopts the current rules, 0 if an earlier version
    /// has adopted them.
    fn events_of_upgrade(&self) -> i64 {
        i64::from(!self.manifest().kinds.iter().any(|it| it == "rules_adopted"))
    }

    fn manifest(&self) -> &Manifest {
        &self.fixture.manifest
    }

    /// Starts a server on the database, and connects to it.
    async fn serve(&self) -> (Server, Channel) {
        let server = Server::start(&self.db);
        let channel = Client::of(&server).await.channel();
        (server, channel)
    }

    /// Checks that every programme still has the head that it had after the migration, and that its record contains the
    /// head that the fixture's version printed.
    fn check_same_heads(&self) {
        assert_eq!(heads(&self.db), self.upgraded);
        self.check_heads_in_record();
    }

    /// The programme and the sequence of each head of the fixture, with this number of events added to the sequence.
    fn sequences_plus(&self, events: impl Fn(&Head) -> i64) -> Vec<(String, i64)> {
        self.manifest().heads.iter().map(|it| (it.programme.clone(), it.sequence + events(it))).collect()
    }

    /// Checks that every record contains the head that the fixture's version printed.
    fn check_heads_in_record(&self) {
        for head in &self.manifest().heads {
            let (code, reports) = verify_with_head(&self.db, head);
            assert_eq!(code, 0, "{reports:#}");
        }
    }
}

/// The database of a fixture, not migrated.
fn restore_unmigrated(fixture: &Fixture) -> Db {
    match fixture.manifest.database.as_str() {
        "sqlite" => Db::sqlite_restored(&fixture.database),
        _ => Db::postgres_restored(&fixture.database),
    }
}

/// Verifies all programmes, and returns their heads.
fn heads(db: &Db) -> Vec<Head> {
    let (code, reports) = verify(db, &[]);
    assert_eq!(code, 0, "{reports:#}");
    Head::of_reports(&reports)
}

/// Runs `tsio verify` for one programme with an expected head. Returns the exit code and the reports.
fn verify_with_head(db: &Db, head: &Head) -> (i32, serde_json::Value) {
    let expect = format!("{}:{}", head.sequence, head.hash);
    verify(db, &["--programme", &head.programme, "--expect", &expect])
}

both!(the_adoption_lists_texts_erased_under_older_rules);

/// Before rules 2 a text was erased by deleting its row. The event that adopts rules 2 lists the deleted texts. A text
/// that is deleted after this event is a difference.
async fn the_adoption_lists_texts_erased_under_older_rules(db: Db) {
    let database = if db.is_postgres() { "postgres" } else { "sqlite" };
    let fixture = Fixture::read(&folders()[0].join(database));
    assert!(!fixture.manifest.kinds.iter().any(|it| it == "rules_adopted"), "the fixture does not use older rules");
    let db = restore_unmigrated(&fixture);
    let mut raw_sql = RawSql::of(&db).await;
    let mut deleted = Vec::new();
    for moment in ["before", "after"] {
        let first = raw_sql.number(&format!("SELECT MIN(seq) FROM texts WHERE programme = '{YEAR}'")).await;
        raw_sql.run(&format!("DELETE FROM texts WHERE programme = '{YEAR}' AND seq = {first}")).await.unwrap();
        deleted.push(first);
        if moment == "before" {
            let migrated = tsio(&["migrate", "--database", &db.url()]);
            assert_eq!(migrated.code, 0, "{}", migrated.stderr);
            heads(&db);
        }
    }
    let adopted = format!(
        "SELECT COUNT(*) FROM events WHERE programme = '{YEAR}' AND kind = 'rules_adopted' \
         AND body LIKE '%\"absent_texts\":[{}]%'",
        deleted[0]
    );
    assert_eq!(raw_sql.number(&adopted).await, 1);
    let (code, reports) = verify(&db, &[]);
    let named = format!("event {}: its text is not there, and no event erased it", deleted[1]);
    let year = reports.as_array().unwrap().iter().find(|it| it["programme"] == YEAR).unwrap();
    assert_eq!((code, &year["differences"]), (1, &serde_json::json!([named])), "{reports:#}");
}

/// The number of rows in each table to which a repeated call must not add rows.
async fn count_rows(db: &Db) -> Vec<i64> {
    let mut raw_sql = RawSql::of(db).await;
    let mut rows = Vec::new();
    for table in ["events", "entries", "requests", "approvals", "imports", "texts", "offers", "awards", "accounts"] {
        rows.push(raw_sql.number(&format!("SELECT count(*) FROM {table}")).await);
    }
    rows
}

/// The programme and the sequence of each head.
fn sequences(heads: &[Head]) -> Vec<(String, i64)> {
    heads.iter().map(|it| (it.programme.clone(), it.sequence)).collect()
}

async fn the_record_is_verified_up_to_the_same_head(restored: RestoredFixture) {
    // The upgrade appends at most one event to each programme, and does not change the earlier record.
    assert_eq!(sequences(&restored.upgraded), restored.sequences_plus(|_| restored.events_of_upgrade()));
    restored.check_same_heads();
    let mut raw_sql = RawSql::of(&restored.db).await;
    let adopted = raw_sql.number("SELECT count(*) FROM events WHERE kind = 'rules_adopted'").await;
    assert!(adopted >= i64::try_from(restored.upgraded.len()).unwrap(), "{adopted}");
    let last = "SELECT count(*) FROM books b JOIN events e ON e.programme = b.programme AND e.seq = b.next_seq - 1 \
                WHERE e.kind = 'rules_adopted' AND e.actor = 'tsio' AND e.offer_id IS NULL";
    assert_eq!(
        raw_sql.number(last).await,
        restored.events_of_upgrade() * i64::try_from(restored.upgraded.len()).unwrap()
    );
    drop(raw_sql);
    // Migrating once more adds nothing.
    let migrated = tsio(&["migrate", "--database", &restored.db.url()]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    restored.check_same_heads();
    // A server that starts and stops adds nothing.
    let (mut server, _) = restored.serve().await;
    server.stop();
    restored.check_same_heads();
}

async fn its_record_has_every_kind_of_event(restored: RestoredFixture) {
    let manifest = restored.manifest();
    assert!(!manifest.kinds.is_empty());
    let current_kinds: BTreeSet<&str> = EventBody::KINDS.into_iter().collect();
    let mut raw_sql = RawSql::of(&restored.db).await;
    for kind in &manifest.kinds {
        let recorded = raw_sql.number(&format!("SELECT count(*) FROM events WHERE kind = '{kind}'")).await;
        assert!(recorded > 0, "no event of the kind {kind}");
        assert!(current_kinds.contains(kind.as_str()), "this version does not know the kind {kind}");
    }
    let events = raw_sql.number("SELECT count(*) FROM events").await;
    assert_eq!(
        events,
        restored.sequences_plus(|_| restored.events_of_upgrade()).iter().map(|(_, sequence)| sequence).sum::<i64>()
    );
}

async fn everything_can_be_read(restored: RestoredFixture) {
    let (mut server, channel) = restored.serve().await;
    let mut counted = look::counted(channel).await;
    // This version may count more things than the version that made the fixture.
    counted.retain(|what, _| restored.manifest().counts.contains_key(what));
    assert_eq!(counted, restored.manifest().counts);
    server.stop();
    restored.check_same_heads();
}

async fn a_watcher_resumes_from_its_place(restored: RestoredFixture) {
    let (_server, channel) = restored.serve().await;
    let place = &restored.manifest().place;
    assert!(place.changes_after.len() > 10, "{place:?}");
    assert_eq!(place.resumed(&channel).await, place.changes_after);
}

async fn repeated_requests_are_answered_byte_for_byte(restored: RestoredFixture) {
    let before = count_rows(&restored.db).await;
    let (mut server, channel) = restored.serve().await;
    let stored = restored.fixture.stored().count();
    assert!(0 < stored && stored < restored.fixture.calls.len(), "{stored} stored answers, the others are refusals");
    check_same_answers(&expected_after_upgrade(&restored), &channel).await;
    server.stop();
    restored.check_same_heads();
    assert_eq!(count_rows(&restored.db).await, before);
}

async fn requests_keep_their_method_and_fingerprint(restored: RestoredFixture) {
    let mut raw_sql = RawSql::of(&restored.db).await;
    fingerprints::check_stored(&mut raw_sql, &restored.fixture.calls).await;
}

/// Repeats a call, and returns its answer.
async fn repeat(call: &Call, channel: &Channel) -> Answer {
    match call.send(channel).await {
        Ok(answers) => Answer::Stored(EncodedMessage(answers.last().unwrap().to_vec())),
        Err(status) => Answer::Refused(reason(&status)),
    }
}

/// The calls with the answers that are expected after the upgrade: approvals that were open have expired.
fn expected_after_upgrade(restored: &RestoredFixture) -> Vec<Call> {
    let mut calls = restored.fixture.calls.clone();
    let open = Answer::Refused("APPROVAL_REQUIRED".to_owned());
    for call in calls.iter_mut().filter(|it| restored.events_of_upgrade() > 0 && it.answer == open) {
        call.answer = Answer::Refused("APPROVAL_CLOSED".to_owned());
    }
    calls
}

/// Repeats each call, and checks that it gets its recorded answer.
async fn check_same_answers(calls: &[Call], channel: &Channel) {
    for call in calls {
        assert_eq!(repeat(call, channel).await, call.answer, "{} of request {}", call.method, call.request_id);
    }
}

async fn another_body_under_a_recorded_request_id_is_refused(restored: RestoredFixture) {
    let before = count_rows(&restored.db).await;
    let (mut server, channel) = restored.serve().await;
    for call in restored.fixture.stored() {
        let other = call.with_another_body(&restored.fixture.calls);
        let other = other.unwrap_or_else(|| panic!("every call of {} has the same body", call.method));
        let status = other.send(&channel).await.expect_err(&call.method);
        let seen = (status.code(), reason(&status));
        assert_eq!(seen, (Code::AlreadyExists, "REQUEST_ID_REUSED".to_owned()), "{}: {status:?}", call.method);
    }
    server.stop();
    restored.check_same_heads();
    assert_eq!(count_rows(&restored.db).await, before);
}

async fn work_goes_on(restored: RestoredFixture) {
    let (mut server, _) = restored.serve().await;
    let client = Client::of(&server).await;
    let accepted =
        ListOffersRequest { programme: YEAR.to_owned(), state: OfferState::Accepted.into(), ..Default::default() };
    let accepted = client.offers().list_offers(client.ask(accepted)).await.unwrap().into_inner().offers;
    let offer = &accepted.first().expect("the fixture has an accepted offer").offer;
    client.note(offer, "after the upgrade", &fresh()).await.unwrap();
    let award = client.create_award(offer, nle(1)).await;
    client.start(offer).await.unwrap();
    client.draw(&award, Quantity::Days(1), &fresh()).await.unwrap();
    server.stop();
    restored.check_heads_in_record();
    let worked_on = |head: &Head| restored.events_of_upgrade() + if head.programme == YEAR { 4 } else { 0 };
    assert_eq!(sequences(&heads(&restored.db)), restored.sequences_plus(worked_on));
}

/// The commits of the versions that stored only the normalised reference of an invoice.
const BEFORE_CLAIMS: [&str; 2] = ["9f9fc2a", "7cc23b9"];

/// If an earlier version paid an invoice or funded a leader, this version refuses to do it again, in any spelling and
/// in parts. An invoice can be paid again after a full refund.
async fn earlier_payments_stay_paid(restored: RestoredFixture) {
    let (mut server, _) = restored.serve().await;
    let client = Client::of(&server).await;
    let (programme, strand) = (YEAR.to_owned(), "npqel".to_owned());
    let of_fees = ListAwardsRequest { programme, strand, page_size: 500, ..Default::default() };
    let listed = client.award_service().list_awards(client.ask(of_fees)).await.unwrap().into_inner().awards;
    let before = listed.into_iter().find(|it| !it.invoices.is_empty()).unwrap();
    let offer = &before.offer;
    let unrefunded = before.invoices.iter().find(|it| it.refunded_pence < it.amount_pence).unwrap();
    // Later versions also store the reference as printed.
    let printed = if BEFORE_CLAIMS.contains(&restored.manifest().commit.as_str()) { "" } else { "INV-7" };
    assert_eq!(
        (unrefunded.issuer.as_str(), unrefunded.printed.as_str(), unrefunded.total_pence),
        ("Teach First", printed, 0)
    );

    let again = client.award(offer, vec![npqel_of("LEADER-3", "Teach First", 1_000)], &fresh()).await.unwrap_err();
    assert_eq!(reason(&again), "LEADER_FUNDED");
    let fees = client.create_award(offer, npqel_of("leader-4", "Teach First", 1_000)).await;
    for (award, issuer) in [(&fees, ""), (&fees, "teach first"), (&before.award, "")] {
        for total_pence in [0, 500] {
            let claim = Claim { issuer, total_pence, ..Claim::of(award, 100, &unrefunded.reference) };
            let refused = client.pay(claim).await.unwrap_err();
            assert_eq!(reason(&refused), "INVOICE_PAID", "{refused:?}");
        }
    }
    // Once an invoice is refunded in full, it can be paid again.
    client
        .refund_invoice(&before.award, unrefunded.amount_pence - unrefunded.refunded_pence, &unrefunded.reference)
        .await;
    client.pay(Claim::of(&fees, 100, &unrefunded.reference)).await.unwrap();
    server.stop();
    restored.check_heads_in_record();
}

/// Checks that the tests above notice a changed head and a changed answer.
async fn a_changed_answer_and_another_head_are_noticed(restored: RestoredFixture) {
    // Changes one digit of a head's hash.
    let mut head = restored.manifest().heads[0].clone();
    let digit = if head.hash.starts_with('0') { "1" } else { "0" };
    head.hash.replace_range(..1, digit);
    let (code, reports) = verify_with_head(&restored.db, &head);
    assert_eq!(code, 1, "{reports:#}");

    // Changes one digit of the id at the beginning of a stored answer.
    let call = restored.fixture.calls.iter().find(|it| it.method == "OfferService/NoteOffer").unwrap();
    let Answer::Stored(EncodedMessage(first)) = &call.answer else { panic!("the note was refused") };
    let mut changed = first.clone();
    let digit = changed.iter_mut().find(|it| it.is_ascii_digit()).unwrap();
    *digit = if *digit == b'7' { b'8' } else { b'7' };
    let hex: String = changed.iter().map(|byte| format!("{byte:02x}")).collect();
    let literal = if restored.db.is_postgres() { format!("'\\x{hex}'") } else { format!("X'{hex}'") };
    let mut raw_sql = RawSql::of(&restored.db).await;
    let id = raw_sql.id(&call.request_id);
    raw_sql.run(&format!("UPDATE requests SET answer = {literal} WHERE request_id = {id}")).await.unwrap();
    let (_server, channel) = restored.serve().await;
    let answered = repeat(call, &channel).await;
    assert_eq!(answered, Answer::Stored(EncodedMessage(changed)));
    assert_ne!(answered, call.answer);
}

#[test]
fn a_fixture_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let head = Head { programme: YEAR.to_owned(), sequence: 3, hash: "0a".repeat(32) };
    let manifest = Manifest {
        version: "tsio 0.1.0".to_owned(),
        commit: "9f9fc2a".to_owned(),
        database: "sqlite".to_owned(),
        kinds: vec!["noted".to_owned()],
        heads: vec![head],
        counts: [("imports".to_owned(), 2)].into(),
        place: Place { programme: YEAR.to_owned(), resume_token: "abc".to_owned(), changes_after: vec![2, 3] },
    };
    let caller = Caller { actor: "ann".to_owned(), roles: "reader".to_owned(), regions: Some("a; b".to_owned()) };
    let call = |answer| Call {
        method: "OfferService/NoteOffer".to_owned(),
        caller: caller.clone(),
        request_id: fresh(),
        sent: vec![EncodedMessage(vec![0, 1, 255])],
        answer,
    };
    let calls = vec![call(Answer::Stored(EncodedMessage(vec![]))), call(Answer::Refused("WHY".to_owned()))];
    let written = Fixture { manifest, calls, database: vec![0; 10_000] };
    written.write(folder.path());
    assert_eq!(Fixture::read(folder.path()), written);
}

/// Checks that the tool that makes fixtures is complete. Its casework must make every kind of event, and call every
/// mutating method of this version. Its recorded calls must pass the checks above.
async fn this_version_leaves_a_complete_fixture(db: Db) {
    let mut server = Server::start(&db);
    let channel = Client::of(&server).await.channel();
    let calls = casework::carry_out(channel).await;
    server.stop();
    let mut raw_sql = RawSql::of(&db).await;
    let mut recorded = BTreeSet::new();
    for kind in EventBody::KINDS {
        if raw_sql.number(&format!("SELECT count(*) FROM events WHERE kind = '{kind}'")).await > 0 {
            recorded.insert(kind.to_owned());
        }
    }
    assert_eq!(complete::missing(&recorded, &calls), Vec::<String>::new());
    fingerprints::check_stored(&mut raw_sql, &calls).await;
    // The check of completeness names a missing kind, a missing method and a missing second call.
    recorded.remove("refunded");
    let first_release = calls.iter().position(|it| it.method == "AwardService/ReleaseAward").unwrap();
    let fewer =
        calls.iter().enumerate().filter(|(index, it)| *index != first_release && it.method != "OfferService/NoteOffer");
    let fewer: Vec<Call> = fewer.map(|(_, it)| it.clone()).collect();
    let named = [
        "an event of the kind refunded",
        "a call of OfferService/NoteOffer",
        "a second call of AwardService/ReleaseAward by case-officer-1, with another body",
    ];
    assert_eq!(complete::missing(&recorded, &fewer), named);
    server.restart();
    let channel = Client::of(&server).await.channel();
    check_same_answers(&calls, &channel).await;
    Place::in_the_middle_of(&channel, casework::YEAR).await;
}
