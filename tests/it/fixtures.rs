//! Databases that earlier versions left: opened, proved up to the same head, read, repeated to and worked on.
//!
//! Each issue adds the fixture of the version before it, so that no version breaks what was promised to an earlier one
//! (CONTRIBUTING.md says how). Every test here goes through all of them.

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
use crate::money::{Claim, Much, nle, npqel_of};
use crate::raw_sql::{Past, verify};
use format::{Answer, Call, Caller, EncodedMessage, Fixture, Head, Manifest};
use recorder::reason;
use watch::Place;

/// Makes of each `async fn check(kept: Kept)` named two tests, `check::sqlite` and `check::postgres`, each over every
/// fixture of its database.
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
    the_record_is_proved_up_to_the_same_head,
    its_record_has_every_kind_of_event,
    everything_in_it_is_read,
    a_watcher_resumes_from_its_place,
    repeated_requests_are_answered_byte_for_byte,
    requests_keep_their_method_and_fingerprint,
    another_body_under_a_recorded_request_id_is_refused,
    work_goes_on,
    what_was_paid_before_stays_paid,
    a_changed_answer_and_another_head_are_noticed,
);

both!(this_version_leaves_a_complete_fixture);

/// A fixture, restored and migrated by the binary under test.
struct Kept {
    fixture: Fixture,
    db: Db,
    /// What its programmes are proved up to since then.
    upgraded: Vec<Head>,
}

fn over_every_fixture_of<F: Future<Output = ()>>(database: &str, check: impl Fn(Kept) -> F) {
    let folders = folders();
    assert!(!folders.is_empty(), "there is no fixture in {}", root().display());
    for folder in folders {
        let fixture = Fixture::read(&folder.join(database));
        assert_eq!(fixture.manifest.database, database);
        eprintln!("--- fixture {} of commit {}", folder.display(), fixture.manifest.commit);
        run(check(Kept::restored(fixture)));
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Every fixture's folder, the oldest first.
fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

impl Kept {
    fn restored(fixture: Fixture) -> Self {
        let db = as_it_was_left(&fixture);
        let migrated = tsio(&["migrate", "--database", &db.url()]);
        assert_eq!(migrated.code, 0, "{}", migrated.stderr);
        let upgraded = heads(&db);
        Self { fixture, db, upgraded }
    }

    /// The events that the upgrade appends to each programme: it adopts the rules of today, unless it had before.
    fn adopted(&self) -> i64 {
        i64::from(!self.manifest().kinds.iter().any(|it| it == "rules_adopted"))
    }

    fn manifest(&self) -> &Manifest {
        &self.fixture.manifest
    }

    /// What is served, and a connection to it.
    async fn served(&self) -> (Server, Channel) {
        let server = Server::start(&self.db);
        let channel = Client::of(&server).await.channel();
        (server, channel)
    }

    /// Holds every programme to the head that the upgrade left, and that to the one that the fixture's version printed.
    fn has_the_same_heads(&self) {
        assert_eq!(heads(&self.db), self.upgraded);
        self.has_the_heads_in_its_record();
    }

    /// The programmes and the sequences of their heads, each so much further than the fixture's version left it.
    fn heads_further_by(&self, events: impl Fn(&Head) -> i64) -> Vec<(String, i64)> {
        self.manifest().heads.iter().map(|it| (it.programme.clone(), it.sequence + events(it))).collect()
    }

    /// Holds every programme to the head that the fixture's version printed, before later events.
    fn has_the_heads_in_its_record(&self) {
        for head in &self.manifest().heads {
            let (code, reports) = expecting(&self.db, head);
            assert_eq!(code, 0, "{reports:#}");
        }
    }
}

/// The database of a fixture, which nothing has migrated.
fn as_it_was_left(fixture: &Fixture) -> Db {
    match fixture.manifest.database.as_str() {
        "sqlite" => Db::sqlite_restored(&fixture.database),
        _ => Db::postgres_restored(&fixture.database),
    }
}

/// The heads of all programmes, each proved.
fn heads(db: &Db) -> Vec<Head> {
    let (code, reports) = verify(db, &[]);
    assert_eq!(code, 0, "{reports:#}");
    Head::of_reports(&reports)
}

/// `tsio verify` of one programme, held to a head.
fn expecting(db: &Db, head: &Head) -> (i32, serde_json::Value) {
    let expect = format!("{}:{}", head.sequence, head.hash);
    verify(db, &["--programme", &head.programme, "--expect", &expect])
}

both!(texts_erased_before_are_adopted_with_the_rules);

/// Before rules 2 a text was erased by deleting its row: the adoption of the rules says which were gone by then.
async fn texts_erased_before_are_adopted_with_the_rules(db: Db) {
    let database = if db.is_postgres() { "postgres" } else { "sqlite" };
    let fixture = Fixture::read(&folders()[0].join(database));
    assert!(!fixture.manifest.kinds.iter().any(|it| it == "rules_adopted"), "it uses older rules");
    let db = as_it_was_left(&fixture);
    let mut past = Past::of(&db).await;
    let mut deleted = Vec::new();
    for moment in ["before", "after"] {
        let first = past.number(&format!("SELECT MIN(seq) FROM texts WHERE programme = '{YEAR}'")).await;
        past.run(&format!("DELETE FROM texts WHERE programme = '{YEAR}' AND seq = {first}")).await.unwrap();
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
    assert_eq!(past.number(&adopted).await, 1);
    let (code, reports) = verify(&db, &[]);
    let named = format!("event {}: its text is not there, and no event erased it", deleted[1]);
    let year = reports.as_array().unwrap().iter().find(|it| it["programme"] == YEAR).unwrap();
    assert_eq!((code, &year["differences"]), (1, &serde_json::json!([named])), "{reports:#}");
}

/// Rows that a repeated call must not add.
async fn rows(db: &Db) -> Vec<i64> {
    let mut past = Past::of(db).await;
    let mut rows = Vec::new();
    for table in ["events", "entries", "requests", "approvals", "imports", "texts", "offers", "awards", "accounts"] {
        rows.push(past.number(&format!("SELECT count(*) FROM {table}")).await);
    }
    rows
}

/// The programmes and the sequences of their heads.
fn sequences(heads: &[Head]) -> Vec<(String, i64)> {
    heads.iter().map(|it| (it.programme.clone(), it.sequence)).collect()
}

async fn the_record_is_proved_up_to_the_same_head(kept: Kept) {
    // The upgrade adds one event to each programme, which keeps the record as it was.
    assert_eq!(sequences(&kept.upgraded), kept.heads_further_by(|_| kept.adopted()));
    kept.has_the_same_heads();
    let mut past = Past::of(&kept.db).await;
    let adopted = past.number("SELECT count(*) FROM events WHERE kind = 'rules_adopted'").await;
    assert!(adopted >= i64::try_from(kept.upgraded.len()).unwrap(), "{adopted}");
    let last = "SELECT count(*) FROM books b JOIN events e ON e.programme = b.programme AND e.seq = b.next_seq - 1 \
                WHERE e.kind = 'rules_adopted' AND e.actor = 'tsio' AND e.offer_id IS NULL";
    assert_eq!(past.number(last).await, kept.adopted() * i64::try_from(kept.upgraded.len()).unwrap());
    drop(past);
    // Migrating once more adds nothing.
    let migrated = tsio(&["migrate", "--database", &kept.db.url()]);
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    kept.has_the_same_heads();
    // Serving it adds nothing: neither now nor after a restart.
    let (mut server, _) = kept.served().await;
    server.stop();
    kept.has_the_same_heads();
}

async fn its_record_has_every_kind_of_event(kept: Kept) {
    let manifest = kept.manifest();
    assert!(!manifest.kinds.is_empty());
    let today: BTreeSet<&str> = EventBody::KINDS.into_iter().collect();
    let mut past = Past::of(&kept.db).await;
    for kind in &manifest.kinds {
        let recorded = past.number(&format!("SELECT count(*) FROM events WHERE kind = '{kind}'")).await;
        assert!(recorded > 0, "no event of the kind {kind}");
        assert!(today.contains(kind.as_str()), "{kind} is not known any more");
    }
    let events = past.number("SELECT count(*) FROM events").await;
    assert_eq!(events, kept.heads_further_by(|_| kept.adopted()).iter().map(|(_, sequence)| sequence).sum::<i64>());
}

async fn everything_in_it_is_read(kept: Kept) {
    let (mut server, channel) = kept.served().await;
    let mut counted = look::counted(channel).await;
    // A later version may count more than the version that made it.
    counted.retain(|what, _| kept.manifest().counts.contains_key(what));
    assert_eq!(counted, kept.manifest().counts);
    server.stop();
    kept.has_the_same_heads();
}

async fn a_watcher_resumes_from_its_place(kept: Kept) {
    let (_server, channel) = kept.served().await;
    let place = &kept.manifest().place;
    assert!(place.changes_after.len() > 10, "{place:?}");
    assert_eq!(place.resumed(&channel).await, place.changes_after);
}

async fn repeated_requests_are_answered_byte_for_byte(kept: Kept) {
    let before = rows(&kept.db).await;
    let (mut server, channel) = kept.served().await;
    let stored = kept.fixture.stored().count();
    assert!(0 < stored && stored < kept.fixture.calls.len(), "{stored} stored answers, the others are refusals");
    each_is_answered_as_before(&since_the_upgrade(&kept), &channel).await;
    server.stop();
    kept.has_the_same_heads();
    assert_eq!(rows(&kept.db).await, before);
}

async fn requests_keep_their_method_and_fingerprint(kept: Kept) {
    let mut past = Past::of(&kept.db).await;
    fingerprints::are_by_the_formulas(&mut past, &kept.fixture.calls).await;
}

/// What a call is answered when it is made once more.
async fn again(call: &Call, channel: &Channel) -> Answer {
    match call.send(channel).await {
        Ok(answers) => Answer::Stored(EncodedMessage(answers.last().unwrap().to_vec())),
        Err(status) => Answer::Refused(reason(&status)),
    }
}

/// What a call has to be answered now: an approval that was open at the upgrade has expired.
fn since_the_upgrade(kept: &Kept) -> Vec<Call> {
    let mut calls = kept.fixture.calls.clone();
    let open = Answer::Refused("APPROVAL_REQUIRED".to_owned());
    for call in calls.iter_mut().filter(|it| kept.adopted() > 0 && it.answer == open) {
        call.answer = Answer::Refused("APPROVAL_CLOSED".to_owned());
    }
    calls
}

async fn each_is_answered_as_before(calls: &[Call], channel: &Channel) {
    for call in calls {
        assert_eq!(again(call, channel).await, call.answer, "{} of request {}", call.method, call.request_id);
    }
}

async fn another_body_under_a_recorded_request_id_is_refused(kept: Kept) {
    let before = rows(&kept.db).await;
    let (mut server, channel) = kept.served().await;
    for call in kept.fixture.stored() {
        let other = call.with_another_body(&kept.fixture.calls);
        let other = other.unwrap_or_else(|| panic!("every call of {} has the same body", call.method));
        let status = other.send(&channel).await.expect_err(&call.method);
        let seen = (status.code(), reason(&status));
        assert_eq!(seen, (Code::AlreadyExists, "REQUEST_ID_REUSED".to_owned()), "{}: {status:?}", call.method);
    }
    server.stop();
    kept.has_the_same_heads();
    assert_eq!(rows(&kept.db).await, before);
}

async fn work_goes_on(kept: Kept) {
    let (mut server, _) = kept.served().await;
    let client = Client::of(&server).await;
    let accepted =
        ListOffersRequest { programme: YEAR.to_owned(), state: OfferState::Accepted.into(), ..Default::default() };
    let accepted = client.offers().list_offers(client.ask(accepted)).await.unwrap().into_inner().offers;
    let offer = &accepted.first().expect("the fixture has an accepted offer").offer;
    client.note(offer, "after the upgrade", &fresh()).await.unwrap();
    let award = client.awarded(offer, nle(1)).await;
    client.start(offer).await.unwrap();
    client.draw(&award, Much::Days(1), &fresh()).await.unwrap();
    server.stop();
    kept.has_the_heads_in_its_record();
    let worked_on = |head: &Head| kept.adopted() + if head.programme == YEAR { 4 } else { 0 };
    assert_eq!(sequences(&heads(&kept.db)), kept.heads_further_by(worked_on));
}

/// Versions that kept of an invoice only its normalised reference.
const BEFORE_CLAIMS: [&str; 2] = ["9f9fc2a", "7cc23b9"];

/// An invoice and a leader that an earlier version paid for are paid for today: under any strand and writing, in parts
/// too. What it refunded in full may be paid again.
async fn what_was_paid_before_stays_paid(kept: Kept) {
    let (mut server, _) = kept.served().await;
    let client = Client::of(&server).await;
    let (programme, strand) = (YEAR.to_owned(), "npqel".to_owned());
    let of_fees = ListAwardsRequest { programme, strand, page_size: 500, ..Default::default() };
    let listed = client.award_service().list_awards(client.ask(of_fees)).await.unwrap().into_inner().awards;
    let before = listed.into_iter().find(|it| !it.invoices.is_empty()).unwrap();
    let offer = &before.offer;
    let standing = before.invoices.iter().find(|it| it.refunded_pence < it.amount_pence).unwrap();
    // The reference as it is printed is kept since claims are.
    let printed = if BEFORE_CLAIMS.contains(&kept.manifest().commit.as_str()) { "" } else { "INV-7" };
    assert_eq!(
        (standing.issuer.as_str(), standing.printed.as_str(), standing.total_pence),
        ("Teach First", printed, 0)
    );

    let again = client.award(offer, vec![npqel_of("LEADER-3", "Teach First", 1_000)], &fresh()).await.unwrap_err();
    assert_eq!(reason(&again), "LEADER_FUNDED");
    let fees = client.awarded(offer, npqel_of("leader-4", "Teach First", 1_000)).await;
    for (award, issuer) in [(&fees, ""), (&fees, "teach first"), (&before.award, "")] {
        for total_pence in [0, 500] {
            let claim = Claim { issuer, total_pence, ..Claim::of(award, 100, &standing.reference) };
            let refused = client.pay(claim).await.unwrap_err();
            assert_eq!(reason(&refused), "INVOICE_PAID", "{refused:?}");
        }
    }
    // Of the other one all is refunded, and then it is free.
    client.refund_invoice(&before.award, standing.amount_pence - standing.refunded_pence, &standing.reference).await;
    client.pay(Claim::of(&fees, 100, &standing.reference)).await.unwrap();
    server.stop();
    kept.has_the_heads_in_its_record();
}

/// The checks above can fail.
async fn a_changed_answer_and_another_head_are_noticed(kept: Kept) {
    // Another head: one digit of its hash.
    let mut head = kept.manifest().heads[0].clone();
    let digit = if head.hash.starts_with('0') { "1" } else { "0" };
    head.hash.replace_range(..1, digit);
    let (code, reports) = expecting(&kept.db, &head);
    assert_eq!(code, 1, "{reports:#}");

    // Another stored answer: one digit of the id that it begins with.
    let call = kept.fixture.calls.iter().find(|it| it.method == "OfferService/NoteOffer").unwrap();
    let Answer::Stored(EncodedMessage(first)) = &call.answer else { panic!("a note is answered") };
    let mut changed = first.clone();
    let digit = changed.iter_mut().find(|it| it.is_ascii_digit()).unwrap();
    *digit = if *digit == b'7' { b'8' } else { b'7' };
    let hex: String = changed.iter().map(|byte| format!("{byte:02x}")).collect();
    let literal = if kept.db.is_postgres() { format!("'\\x{hex}'") } else { format!("X'{hex}'") };
    let mut past = Past::of(&kept.db).await;
    let id = past.id(&call.request_id);
    past.run(&format!("UPDATE requests SET answer = {literal} WHERE request_id = {id}")).await.unwrap();
    let (_server, channel) = kept.served().await;
    let answered = again(call, &channel).await;
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

/// Keeps the tool that makes fixtures in step with the rules: its casework has to reach every kind of event and every
/// mutating method of this version, and what it recorded passes the checks above.
async fn this_version_leaves_a_complete_fixture(db: Db) {
    let mut server = Server::start(&db);
    let channel = Client::of(&server).await.channel();
    let calls = casework::carry_out(channel).await;
    server.stop();
    let mut past = Past::of(&db).await;
    let mut recorded = BTreeSet::new();
    for kind in EventBody::KINDS {
        if past.number(&format!("SELECT count(*) FROM events WHERE kind = '{kind}'")).await > 0 {
            recorded.insert(kind.to_owned());
        }
    }
    assert_eq!(complete::missing(&recorded, &calls), Vec::<String>::new());
    fingerprints::are_by_the_formulas(&mut past, &calls).await;
    // It can fail: it names the kind, the method and the lonely call that are taken away here.
    recorded.remove("refunded");
    let first_release = calls.iter().position(|it| it.method == "AwardService/ReleaseAward").unwrap();
    let fewer = calls.iter().enumerate().filter(|(n, it)| *n != first_release && it.method != "OfferService/NoteOffer");
    let fewer: Vec<Call> = fewer.map(|(_, it)| it.clone()).collect();
    let named = [
        "an event of the kind refunded",
        "a call of OfferService/NoteOffer",
        "a second call of AwardService/ReleaseAward by case-officer-1, with another body",
    ];
    assert_eq!(complete::missing(&recorded, &fewer), named);
    server.restart();
    let channel = Client::of(&server).await.channel();
    each_is_answered_as_before(&calls, &channel).await;
    Place::in_the_middle_of(&channel, casework::YEAR).await;
}
