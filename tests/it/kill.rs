//! Power cuts under load: what was acknowledged is there, what was not is there whole or not at all, and a caller who asks
//! again under the same id is answered the same.
//!
//! The moment is the answer of a number drawn from a seed, which a failure prints and `TSIO_SEED` sets. `TSIO_KILLS` says
//! how often.

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

/// Callers at the same time.
const CALLERS: usize = 16;
/// Power cuts, unless `TSIO_KILLS` says another number.
const KILLS: u64 = 3;
/// The most answers before the next power cut.
const MOST: usize = 80;
/// A round: the load, a start, the questions after it.
const ROUND: Duration = Duration::from_secs(40);
/// What the fund begins with, in parts that one person may allocate, and what of it the award that is drawn on takes.
const PARTS: usize = 20;
const PART: i64 = 5_000_000;
const FUND: i64 = 100_000_000;
const AWARD: i64 = 50_000_000;
/// Reads at once: more than the pool has connections, so that every one is used.
const READS: usize = 64;
/// Tries of a call on a database that is coming back.
const TRIES: usize = 50;

#[test]
fn what_was_acknowledged_outlives_a_power_cut_sqlite() {
    killed(Db::sqlite);
}

#[test]
fn what_was_acknowledged_outlives_a_power_cut_postgres() {
    killed(Db::postgres_alone);
}

fn killed(db: fn() -> Db) {
    let seed = setting("TSIO_SEED").unwrap_or_else(|| fastrand::u64(..));
    let kills = setting("TSIO_KILLS").unwrap_or(KILLS);
    let _told = Told(seed);
    run_within(ROUND * u32::try_from(kills + 1).unwrap(), rounds(db(), Rng::with_seed(seed), kills));
}

/// Says its seed when the test fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- replay with TSIO_SEED={}", self.0);
        }
    }
}

/// What a caller asks for. No two amounts of a test are the same, so that each entry of the fund tells which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Allocate,
    Award,
    Draw,
}

impl What {
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
    what: What,
    pence: i64,
    id: String,
    answer: Option<Vec<u8>>,
}

/// What callers work on.
#[derive(Clone)]
struct Desk {
    fund: String,
    offer: String,
    award: String,
}

impl Desk {
    /// A trust's offer in delivery, with an award of which much is left to draw.
    async fn set(client: &Client) -> Self {
        let mut offers = client.seed().await;
        offers.retain(|it| it.recipient_kind() == RecipientKind::Mat);
        let fund = client.made(YEAR, "nlg", "").await;
        // More than one person may put in alone.
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
            // By turns, as one person may not put in much alone.
            What::Allocate => {
                let client = client.named(&format!("finance-{}", it.pence % 100));
                client.allocate(&self.fund, it.pence, &it.id).await?.encode_to_vec()
            }
            What::Award => client.award(&self.offer, vec![nlg(it.pence)], &it.id).await?.encode_to_vec(),
            What::Draw => client.draw(&self.award, Much::Pence(it.pence), &it.id).await?.encode_to_vec(),
        })
    }

    /// The same until the database is back.
    async fn insist(&self, client: &Client, it: &Sent) -> Vec<u8> {
        for _ in 0..TRIES {
            match self.send(client, it).await {
                Ok(answer) => return answer,
                Err(status) => assert_eq!(status.code(), Code::Unavailable, "{it:?}: {status:?}"),
            }
        }
        panic!("{it:?} is not answered after {TRIES} tries");
    }

    /// Reads until no connection from before the power cut is left in the pool: each fails once, and is closed.
    async fn read_again(&self, client: &Client) {
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
        panic!("reading is not answered after {TRIES} tries");
    }
}

async fn rounds(db: Db, mut rng: Rng, kills: u64) {
    let mut server = Server::start(&db);
    let desk = Desk::set(&Client::of(&server).await).await;
    let mut all: Vec<Sent> = Vec::new();
    for round in 0..kills {
        let client = Client::of(&server).await;
        let seen = Arc::new(Seen { answers: watch::Sender::new(0), stop: AtomicBool::new(false) });
        // Unlike amounts: each caller counts from its own number in steps of all of them.
        let most = all.iter().map(|it| it.pence).max().unwrap_or_default();
        let callers: Vec<JoinHandle<Vec<Sent>>> = (1..=CALLERS)
            .map(|n| {
                let first = most + i64::try_from(n).unwrap();
                tokio::spawn(call(client.clone(), desk.clone(), rng.fork(), first, Arc::clone(&seen)))
            })
            .collect();
        let moment = rng.usize(1..=MOST);
        seen.answers.subscribe().wait_for(|count| *count >= moment).await.unwrap();
        // Every third time it is the database that goes, where it can, and the server stays.
        let database = db.is_postgres() && round % 3 == 1;
        tokio::task::block_in_place(|| if database { db.crash() } else { server.kill() });
        seen.stop.store(true, Ordering::Relaxed);
        let mut sent: Vec<Sent> = join_all(callers).await.into_iter().flat_map(Result::unwrap).collect();
        if !database {
            server.restart();
        }
        let client = Client::of(&server).await;
        all.append(&mut sent);
        // While the database comes back, reading may fail: the first answer says that it is there.
        if let Some(known) = all.iter().find(|it| it.answer.is_some()) {
            desk.insist(&client, known).await;
        }
        desk.read_again(&client).await;
        whole_or_not(&client, &desk, &all).await;
        for some in all.chunks_mut(64) {
            let again = join_all(some.iter().map(|it| desk.insist(&client, it))).await;
            for (sent, answer) in some.iter_mut().zip(again) {
                assert!(
                    sent.answer.is_none() || sent.answer.as_ref() == Some(&answer),
                    "{} is answered again",
                    sent.id
                );
                sent.answer = Some(answer);
            }
        }
        whole_or_not(&client, &desk, &all).await;
        proved(&db);
    }
}

/// What the callers of a round have seen: how many answers; and whether to go home.
struct Seen {
    answers: watch::Sender<usize>,
    stop: AtomicBool,
}

/// Asks without pause until it is not answered, or the power is back.
async fn call(client: Client, desk: Desk, mut rng: Rng, first: i64, seen: Arc<Seen>) -> Vec<Sent> {
    let mut all: Vec<Sent> = Vec::new();
    while !seen.stop.load(Ordering::Relaxed) {
        let what = [What::Allocate, What::Award, What::Draw][rng.usize(0..3)];
        let pence = first + i64::try_from(all.len() * CALLERS).unwrap();
        let mut sent = Sent { what, pence, id: fresh(), answer: None };
        let answer = desk.send(&client, &sent).await;
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
        seen.answers.send_modify(|count| *count += 1);
    }
    all
}

/// Each call that was answered is in the fund's entries and in the offer's events once; of the others each is in both or
/// in neither; there is nothing else, and the balances are their sums.
async fn whole_or_not(client: &Client, desk: &Desk, all: &[Sent]) {
    let mut known: BTreeMap<(&str, i64), &Sent> = BTreeMap::new();
    for it in all {
        assert!(known.insert((it.what.verb(), it.pence), it).is_none(), "{it:?} is not the only one");
    }
    let entries = client.entries(&desk.fund).await;
    // The first are the fund's money and the award that is drawn on.
    let (begun, entries) = entries.split_at(PARTS + 1);
    assert_eq!(begun.iter().map(|it| it.amount_pence).sum::<i64>(), FUND + AWARD);
    let mut carried_out: BTreeSet<&str> = BTreeSet::new();
    let mut sums = BTreeMap::from([(What::Allocate, FUND), (What::Award, AWARD), (What::Draw, 0)]);
    for entry in entries {
        let it = known.get(&(entry.verb.as_str(), entry.amount_pence));
        let it = it.unwrap_or_else(|| panic!("nobody asked for {entry:?}"));
        assert!(carried_out.insert(&it.id), "{it:?} is there twice");
        *sums.entry(it.what).or_default() += it.pence;
    }
    let lost: Vec<&Sent> =
        all.iter().filter(|it| it.answer.is_some() && !carried_out.contains(it.id.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged and not there: {lost:?}");
    let mut events: Vec<String> = client.events(&desk.offer).await.into_iter().map(|it| it.request_id).collect();
    events.retain(|id| all.iter().any(|it| it.id == *id));
    let mut of_offer: Vec<String> = Vec::new();
    for it in all.iter().filter(|it| it.what != What::Allocate && carried_out.contains(it.id.as_str())) {
        of_offer.push(it.id.clone());
    }
    events.sort();
    of_offer.sort();
    assert_eq!(events, of_offer);
    let [allocated, awarded, drawn] = [What::Allocate, What::Award, What::Draw].map(|what| sums[&what]);
    let left = allocated - awarded;
    assert_eq!(balances(&client.fund(&desk.fund).await), [allocated, awarded - drawn, drawn, left]);
    assert_eq!(client.get_award(&desk.award).await.drawn, drawn);
}
