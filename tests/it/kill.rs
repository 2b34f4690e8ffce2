//! Power cuts under load. Each acknowledged call is recorded; each other call is recorded completely or not at all. A call
//! that is repeated under its id gets the same answer.
//!
//! The power is cut after a random number of answers. A failure prints the seed, and `TSIO_SEED` sets it. `TSIO_KILLS` sets
//! the number of power cuts.

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
use crate::money::{Much, balances, nlg};
use crate::raw_sql::proved;

/// Concurrent callers.
const CALLERS: usize = 16;
/// Power cuts, unless `TSIO_KILLS` sets another number.
const KILLS: u64 = 3;
/// The highest number of answers before the next power cut.
const MAX_ANSWERS: usize = 80;
/// How long a round may take: the load, a start, the checks.
const ROUND: Duration = Duration::from_secs(40);
/// The fund begins with `FUND`, allocated in parts so small that one person may allocate each. `AWARD` of it is for the
/// award that the callers draw on.
const PARTS: usize = 20;
const PART: i64 = 5_000_000;
const FUND: i64 = 100_000_000;
const AWARD: i64 = 50_000_000;
/// Concurrent reads: more than the pool has connections, so that each connection is used.
const READS: usize = 64;
/// Tries of a call while the database starts again.
const TRIES: usize = 50;

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
    run_within(ROUND * u32::try_from(kills + 1).unwrap(), rounds(db(), Rng::with_seed(seed), kills));
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
    const fn verb(self) -> &'static str {
        match self {
            Self::Allocate => "allocate",
            Self::Award => "commit",
            Self::Draw => "spend",
        }
    }
}

/// One call and its first answer.
#[derive(Debug, Clone)]
struct Sent {
    what: CallKind,
    pence: i64,
    id: String,
    answer: Option<Vec<u8>>,
}

/// What the callers change.
#[derive(Clone)]
struct Fixture {
    fund: String,
    offer: String,
    award: String,
}

impl Fixture {
    /// A trust's offer in delivery, and an award with much left to draw.
    async fn set_up(client: &Client) -> Self {
        let mut offers = client.seed().await;
        offers.retain(|it| it.recipient_kind() == RecipientKind::Mat);
        let fund = client.made(YEAR, "nlg", "").await;
        // Several people, because together it is more than one person may allocate alone.
        for part in 0..PARTS {
            client.named(&format!("treasury-{part}")).allocate(&fund, PART, &fresh()).await.unwrap();
        }
        client.accepted(&offers[0]).await;
        let offer = offers.remove(0).offer;
        let award = client.awarded(&offer, nlg(AWARD)).await;
        client.start(&offer).await.unwrap();
        Self { fund, offer, award }
    }

    async fn send(&self, client: &Client, it: &Sent) -> Result<Vec<u8>, Status> {
        Ok(match it.what {
            // By many people, because one person may not allocate much alone.
            CallKind::Allocate => {
                let client = client.named(&format!("finance-{}", it.pence % 100));
                client.allocate(&self.fund, it.pence, &it.id).await?.encode_to_vec()
            }
            CallKind::Award => client.award(&self.offer, vec![nlg(it.pence)], &it.id).await?.encode_to_vec(),
            CallKind::Draw => client.draw(&self.award, Much::Pence(it.pence), &it.id).await?.encode_to_vec(),
        })
    }

    /// Sends the call until the database is available again.
    async fn send_until_answered(&self, client: &Client, it: &Sent) -> Vec<u8> {
        for _ in 0..TRIES {
            match self.send(client, it).await {
                Ok(answer) => return answer,
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{it:?}: {status:?}"),
            }
        }
        panic!("{it:?} is not answered after {TRIES} tries");
    }

    /// Reads until the pool has no connection from before the power cut. Each such connection fails once and is closed.
    async fn replace_connections(&self, client: &Client) {
        let read = || async {
            let request = client.ask(GetAwardRequest { award: self.award.clone() });
            client.award_service().get_award(request).await
        };
        for _ in 0..TRIES {
            let failed: Vec<Status> =
                join_all((0..READS).map(|_| read())).await.into_iter().filter_map(Result::err).collect();
            if failed.is_empty() {
                return;
            }
            assert!(failed.iter().all(|it| it.code() == Code::Unavailable), "{failed:?}");
        }
        panic!("reads still fail after {TRIES} tries");
    }
}

async fn rounds(db: Db, mut rng: Rng, kills: u64) {
    let mut server = Server::start(&db);
    let fixture = Fixture::set_up(&Client::of(&server).await).await;
    let mut all: Vec<Sent> = Vec::new();
    for round in 0..kills {
        let client = Client::of(&server).await;
        let progress = Arc::new(Progress { answers: watch::Sender::new(0), stop: AtomicBool::new(false) });
        // Unique amounts: each caller counts from its own number in steps of `CALLERS`.
        let highest = all.iter().map(|it| it.pence).max().unwrap_or_default();
        let callers: Vec<JoinHandle<Vec<Sent>>> = (1..=CALLERS)
            .map(|n| {
                let first = highest + i64::try_from(n).unwrap();
                tokio::spawn(make_calls(client.clone(), fixture.clone(), rng.fork(), first, Arc::clone(&progress)))
            })
            .collect();
        let answers_before_cut = rng.usize(1..=MAX_ANSWERS);
        progress.answers.subscribe().wait_for(|count| *count >= answers_before_cut).await.unwrap();
        // On PostgreSQL every third cut is of the database, and the server stays up.
        let cuts_database = db.is_postgres() && round % 3 == 1;
        tokio::task::block_in_place(|| if cuts_database { db.crash() } else { server.kill() });
        progress.stop.store(true, Ordering::Relaxed);
        let mut sent: Vec<Sent> = join_all(callers).await.into_iter().flat_map(Result::unwrap).collect();
        if !cuts_database {
            server.restart();
        }
        let client = Client::of(&server).await;
        all.append(&mut sent);
        // Reads may fail while the database starts. The answer to a repeated call shows that it is available.
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
        proved(&db);
    }
}

/// What the callers of a round share: the number of answers, and whether to stop.
struct Progress {
    answers: watch::Sender<usize>,
    stop: AtomicBool,
}

/// Makes calls without pause until one is not answered, or until it is told to stop.
async fn make_calls(client: Client, fixture: Fixture, mut rng: Rng, first: i64, progress: Arc<Progress>) -> Vec<Sent> {
    let mut all: Vec<Sent> = Vec::new();
    while !progress.stop.load(Ordering::Relaxed) {
        let what = [CallKind::Allocate, CallKind::Award, CallKind::Draw][rng.usize(0..3)];
        let pence = first + i64::try_from(all.len() * CALLERS).unwrap();
        let mut sent = Sent { what, pence, id: fresh(), answer: None };
        let answer = fixture.send(&client, &sent).await;
        match answer {
            Ok(answer) => sent.answer = Some(answer),
            Err(status) => {
                let lost = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
                assert!(lost.contains(&status.code()), "{sent:?}: {status:?}");
                all.push(sent);
                break;
            }
        }
        all.push(sent);
        progress.answers.send_modify(|count| *count += 1);
    }
    all
}

/// Checks that each answered call is recorded once, in the fund's entries and in the offer's events. Each other call is in
/// both or in neither. Nothing else is recorded, and the balances are the sums of the entries.
async fn check_all_or_nothing(client: &Client, fixture: &Fixture, all: &[Sent]) {
    let mut sent_by_amount: BTreeMap<(&str, i64), &Sent> = BTreeMap::new();
    for it in all {
        assert!(
            sent_by_amount.insert((it.what.verb(), it.pence), it).is_none(),
            "{it:?} has the amount of another call"
        );
    }
    let entries = client.entries(&fixture.fund).await;
    // The first entries are the fund's money and the award that the callers draw on.
    let (set_up, entries) = entries.split_at(PARTS + 1);
    assert_eq!(set_up.iter().map(|it| it.amount_pence).sum::<i64>(), FUND + AWARD);
    let mut carried_out: BTreeSet<&str> = BTreeSet::new();
    let mut sums = BTreeMap::from([(CallKind::Allocate, FUND), (CallKind::Award, AWARD), (CallKind::Draw, 0)]);
    for entry in entries {
        let it = sent_by_amount.get(&(entry.verb.as_str(), entry.amount_pence));
        let it = it.unwrap_or_else(|| panic!("no call made {entry:?}"));
        assert!(carried_out.insert(&it.id), "{it:?} is recorded twice");
        *sums.entry(it.what).or_default() += it.pence;
    }
    let lost: Vec<&Sent> =
        all.iter().filter(|it| it.answer.is_some() && !carried_out.contains(it.id.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged but not recorded: {lost:?}");
    let mut events: Vec<String> = client.events(&fixture.offer).await.into_iter().map(|it| it.request_id).collect();
    events.retain(|id| all.iter().any(|it| it.id == *id));
    let mut expected_events: Vec<String> = Vec::new();
    for it in all.iter().filter(|it| it.what != CallKind::Allocate && carried_out.contains(it.id.as_str())) {
        expected_events.push(it.id.clone());
    }
    events.sort();
    expected_events.sort();
    assert_eq!(events, expected_events);
    let [allocated, awarded, drawn] = [CallKind::Allocate, CallKind::Award, CallKind::Draw].map(|what| sums[&what]);
    let left = allocated - awarded;
    assert_eq!(balances(&client.fund(&fixture.fund).await), [allocated, awarded - drawn, drawn, left]);
    assert_eq!(client.get_award(&fixture.award).await.drawn, drawn);
}
