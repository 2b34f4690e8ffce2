//! Power cuts under load. Each acknowledged call is recorded, and each other call is recorded completely or not at all.
//! A call that is repeated under its id gets the same answer.
//!
//! A power cut is simulated after a random number of answers: the server is killed or, on PostgreSQL, the database
//! crashes. A failure prints the seed, and `TSIO_SEED` sets it. `TSIO_KILLS` sets the number of power cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use prost::Message as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tsio::proto::{GetAwardRequest, RecipientKind};

use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, run_within, setting};
use crate::money::{Quantity, balances, nlg};
use crate::raw_sql::verified_heads;

/// The number of concurrent callers.
const CALLERS: usize = 16;
/// The number of power cuts, unless `TSIO_KILLS` sets another one.
const KILLS: u64 = 3;
/// The highest number of answers before the next power cut.
const MAX_ANSWERS: usize = 80;
/// How long a round may take: the load, a start of the server, and the checks.
const MAX_ROUND: Duration = Duration::from_secs(40);
/// The number of first allocations of the fund. Each is small enough for one person to allocate alone.
const ALLOCATIONS: usize = 20;
/// The pence of one first allocation.
const ALLOCATION: i64 = 5_000_000;
/// The pence of all first allocations together.
const FUND: i64 = 100_000_000;
/// The pence of the award that the callers draw on.
const AWARD: i64 = 50_000_000;
/// The number of concurrent reads: more than the pool has connections, so that each connection is used.
const READS: usize = 64;
/// The maximum number of tries of a call while the database starts again.
const MAX_TRIES: usize = 50;

#[test]
fn acknowledged_calls_survive_a_power_cut_sqlite() {
    run_rounds(Db::sqlite);
}

#[test]
fn acknowledged_calls_survive_a_power_cut_postgres() {
    run_rounds(Db::postgres_alone);
}

fn run_rounds(db: fn() -> Db) {
    let seed = setting("TSIO_SEED").unwrap_or_else(|| fastrand::u64(..));
    let kills = setting("TSIO_KILLS").unwrap_or(KILLS);
    let _print_seed = PrintSeedOnPanic(seed);
    run_within(MAX_ROUND * u32::try_from(kills + 1).unwrap(), rounds(db(), Rng::with_seed(seed), kills));
}

/// Prints its seed when the test fails.
struct PrintSeedOnPanic(u64);

impl Drop for PrintSeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- replay with TSIO_SEED={}", self.0);
        }
    }
}

/// The kinds of calls. Each call of a test has its own amount, which identifies its entry in the fund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum CallKind {
    Allocate,
    Award,
    Draw,
}

impl CallKind {
    /// The verb of the entry that the call makes in the fund.
    const fn verb(self) -> &'static str {
        match self {
            Self::Allocate => "allocate",
            Self::Award => "commit",
            Self::Draw => "spend",
        }
    }
}

/// One call that was sent.
#[derive(Debug, Clone)]
struct Sent {
    kind: CallKind,
    pence: i64,
    id: String,
    /// Its first answer; `None` if the call was not answered.
    answer: Option<Vec<u8>>,
}

/// The ids of the fund, the offer and the award that the callers change.
#[derive(Clone)]
struct Fixture {
    fund: String,
    offer: String,
    award: String,
}

impl Fixture {
    /// Makes a fund, a trust's offer in delivery, and an award of the offer that is not yet drawn.
    async fn set_up(client: &Client) -> Self {
        let mut offers = client.seed().await;
        offers.retain(|it| it.recipient_kind() == RecipientKind::Mat);
        let fund = client.create_fund(YEAR, "nlg", "").await;
        // Several people allocate, because the total is more than one person may allocate alone.
        for part in 0..ALLOCATIONS {
            client.named(&format!("treasury-{part}")).allocate(&fund, ALLOCATION, &fresh()).await.unwrap();
        }
        client.accept_offer(&offers[0]).await;
        let offer = offers.remove(0).offer;
        let award = client.create_award(&offer, nlg(AWARD)).await;
        client.start(&offer).await.unwrap();
        Self { fund, offer, award }
    }

    /// Makes a call, and returns the bytes of its answer.
    async fn send(&self, client: &Client, it: &Sent) -> Result<Vec<u8>, Status> {
        Ok(match it.kind {
            // Many people allocate, because one person may not allocate much alone.
            CallKind::Allocate => {
                let client = client.named(&format!("finance-{}", it.pence % 100));
                client.allocate(&self.fund, it.pence, &it.id).await?.encode_to_vec()
            }
            CallKind::Award => client.award(&self.offer, vec![nlg(it.pence)], &it.id).await?.encode_to_vec(),
            CallKind::Draw => client.draw(&self.award, Quantity::Pence(it.pence), &it.id).await?.encode_to_vec(),
        })
    }

    /// Sends the call until it is answered, and returns the answer. Panics if it fails with a code other than
    /// UNAVAILABLE.
    async fn send_until_answered(&self, client: &Client, it: &Sent) -> Vec<u8> {
        for _ in 0..MAX_TRIES {
            match self.send(client, it).await {
                Ok(answer) => return answer,
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{it:?}: {status:?}"),
            }
        }
        panic!("{it:?} is not answered after {MAX_TRIES} tries");
    }

    /// Reads until no read fails. A connection of the pool from before the power cut fails one read, and is then
    /// closed.
    async fn replace_connections(&self, client: &Client) {
        let read = || async {
            let request = client.ask(GetAwardRequest { award: self.award.clone() });
            client.award_service().get_award(request).await
        };
        for _ in 0..MAX_TRIES {
            let failed: Vec<Status> =
                join_all((0..READS).map(|_| read())).await.into_iter().filter_map(Result::err).collect();
            if failed.is_empty() {
                return;
            }
            assert!(failed.iter().all(|it| it.code() == Code::Unavailable), "{failed:?}");
        }
        panic!("reads still fail after {MAX_TRIES} tries");
    }
}

/// Runs rounds of load that end with a power cut, and checks the record after each.
async fn rounds(db: Db, mut rng: Rng, kills: u64) {
    let mut server = Server::start(&db);
    let fixture = Fixture::set_up(&Client::of(&server).await).await;
    let mut all: Vec<Sent> = Vec::new();
    for round in 0..kills {
        let client = Client::of(&server).await;
        let progress = Arc::new(Progress { answers: watch::Sender::new(0), stop: AtomicBool::new(false) });
        // Each call has a unique amount: each caller counts from its own first amount in steps of `CALLERS`.
        let highest = all.iter().map(|it| it.pence).max().unwrap_or_default();
        let callers: Vec<JoinHandle<Vec<Sent>>> = (1..=CALLERS)
            .map(|n| {
                let first = highest + i64::try_from(n).unwrap();
                tokio::spawn(make_calls(client.clone(), fixture.clone(), rng.fork(), first, Arc::clone(&progress)))
            })
            .collect();
        let answers_before_cut = rng.usize(1..=MAX_ANSWERS);
        progress.answers.subscribe().wait_for(|count| *count >= answers_before_cut).await.unwrap();
        // On PostgreSQL, every third power cut ends the database and not the server.
        let cuts_database = db.is_postgres() && round % 3 == 1;
        tokio::task::block_in_place(|| if cuts_database { db.crash() } else { server.kill() });
        progress.stop.store(true, Ordering::Relaxed);
        let mut sent: Vec<Sent> = join_all(callers).await.into_iter().flat_map(Result::unwrap).collect();
        if !cuts_database {
            server.restart();
        }
        let client = Client::of(&server).await;
        all.append(&mut sent);
        // Reads may fail while the database starts. The answer to a repeated call shows that the database is available.
        if let Some(answered) = all.iter().find(|it| it.answer.is_some()) {
            fixture.send_until_answered(&client, answered).await;
        }
        fixture.replace_connections(&client).await;
        check_all_or_nothing(&client, &fixture, &all).await;
        for chunk in all.chunks_mut(64) {
            let again = join_all(chunk.iter().map(|it| fixture.send_until_answered(&client, it))).await;
            for (sent, answer) in chunk.iter_mut().zip(again) {
                assert!(
                    sent.answer.is_none() || sent.answer.as_ref() == Some(&answer),
                    "{} is answered again",
                    sent.id
                );
                sent.answer = Some(answer);
            }
        }
        check_all_or_nothing(&client, &fixture, &all).await;
        verified_heads(&db);
    }
}

/// The state that the callers of a round share: the number of answers, and whether to stop.
struct Progress {
    answers: watch::Sender<usize>,
    stop: AtomicBool,
}

/// Makes calls without pause until a call is not answered or `progress.stop` is set. Returns the calls.
async fn make_calls(client: Client, fixture: Fixture, mut rng: Rng, first: i64, progress: Arc<Progress>) -> Vec<Sent> {
    let mut all: Vec<Sent> = Vec::new();
    while !progress.stop.load(Ordering::Relaxed) {
        let kind = [CallKind::Allocate, CallKind::Award, CallKind::Draw][rng.usize(0..3)];
        let pence = first + i64::try_from(all.len() * CALLERS).unwrap();
        let mut sent = Sent { kind, pence, id: fresh(), answer: None };
        let answer = fixture.send(&client, &sent).await;
        match answer {
            Ok(answer) => sent.answer = Some(answer),
            Err(status) => {
                let lost_codes = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
                assert!(lost_codes.contains(&status.code()), "{sent:?}: {status:?}");
                all.push(sent);
                break;
            }
        }
        all.push(sent);
        progress.answers.send_modify(|count| *count += 1);
    }
    all
}

/// Checks that each answered call is recorded once: in the fund's entries and, unless it is an allocation, in the
/// offer's events. Each other call is recorded in the same way or not at all. No other entry is recorded, and the
/// balances are the sums of the entries.
async fn check_all_or_nothing(client: &Client, fixture: &Fixture, all: &[Sent]) {
    let mut sent_by_amount: BTreeMap<(&str, i64), &Sent> = BTreeMap::new();
    for it in all {
        assert!(
            sent_by_amount.insert((it.kind.verb(), it.pence), it).is_none(),
            "{it:?} has the amount of another call"
        );
    }
    let entries = client.entries(&fixture.fund).await;
    // The first entries are the first allocations, and the award that the callers draw on.
    let (set_up, entries) = entries.split_at(ALLOCATIONS + 1);
    assert_eq!(set_up.iter().map(|it| it.amount_pence).sum::<i64>(), FUND + AWARD);
    let mut carried_out: BTreeSet<&str> = BTreeSet::new();
    let mut sums = BTreeMap::from([(CallKind::Allocate, FUND), (CallKind::Award, AWARD), (CallKind::Draw, 0)]);
    for entry in entries {
        let it = sent_by_amount.get(&(entry.verb.as_str(), entry.amount_pence));
        let it = it.unwrap_or_else(|| panic!("no call made {entry:?}"));
        assert!(carried_out.insert(&it.id), "{it:?} is recorded twice");
        *sums.entry(it.kind).or_default() += it.pence;
    }
    let lost: Vec<&Sent> =
        all.iter().filter(|it| it.answer.is_some() && !carried_out.contains(it.id.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged calls are not recorded: {lost:?}");
    let mut events: Vec<String> = client.events(&fixture.offer).await.into_iter().map(|it| it.request_id).collect();
    events.retain(|id| all.iter().any(|it| it.id == *id));
    let mut expected_events: Vec<String> = Vec::new();
    for it in all.iter().filter(|it| it.kind != CallKind::Allocate && carried_out.contains(it.id.as_str())) {
        expected_events.push(it.id.clone());
    }
    events.sort();
    expected_events.sort();
    assert_eq!(events, expected_events);
    let [allocated, awarded, drawn] = [CallKind::Allocate, CallKind::Award, CallKind::Draw].map(|kind| sums[&kind]);
    let available = allocated - awarded;
    assert_eq!(balances(&client.fund(&fixture.fund).await), [allocated, awarded - drawn, drawn, available]);
    assert_eq!(client.get_award(&fixture.award).await.drawn, drawn);
}
