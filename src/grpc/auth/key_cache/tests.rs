//! Tests which requests wait for keys and how long, how often keys are fetched, and when they are no longer trusted.

use jsonwebtoken::{Algorithm, DecodingKey};
use prometheus::Registry;
use tokio::sync::mpsc;

use super::*;
use crate::grpc::telemetry::internal_metrics::ScrapeLock;

const SECOND: Duration = Duration::from_secs(1);
/// A timeout that is longer than every wait of these tests.
const BOUND: Duration = Duration::from_secs(30);

type Answer = Result<Vec<&'static str>, String>;

fn key(id: &str) -> Arc<PublicKey> {
    let key = DecodingKey::from_secret(b"unused");
    Arc::new(PublicKey { id: Some(id.to_owned()), key, algorithms: vec![Algorithm::ES256] })
}

/// A fake issuer. Each fetch takes the next answer from the sender and hangs until there is one; the receiver counts
/// the fetches.
fn issuer() -> (mpsc::UnboundedSender<Answer>, watch::Receiver<usize>, Fetch) {
    let (answers, answer_queue) = mpsc::unbounded_channel::<Answer>();
    let answer_queue = Arc::new(tokio::sync::Mutex::new(answer_queue));
    let (count, fetches) = watch::channel(0);
    let count = Arc::new(count);
    let fetch: Fetch = Box::new(move || {
        count.send_modify(|it| *it += 1);
        let answer_queue = Arc::clone(&answer_queue);
        Box::pin(async move {
            let answer = answer_queue.lock().await.recv().await.unwrap();
            answer.map(|ids| ids.into_iter().map(key).collect())
        })
    });
    (answers, fetches, fetch)
}

async fn open(fetch: Fetch, times: KeyCacheTimes, calls: usize) -> KeyCache {
    let metrics = Arc::new(InternalMetrics::new(&Registry::new(), ScrapeLock::default()).unwrap());
    KeyCache::open(fetch, times, calls, metrics).await.unwrap()
}

fn id(key: &Result<Arc<PublicKey>, NoKey>) -> Result<&str, NoKey> {
    key.as_ref().map(|it| it.id.as_deref().unwrap()).map_err(|why| *why)
}

fn none(look_up: &Lookup) -> Option<NoKey> {
    if let Lookup::None(why) = look_up { Some(*why) } else { None }
}

/// An unknown key triggers a fetch at once; the regular refresh is longer than a test.
const EAGER: KeyCacheTimes = KeyCacheTimes { eager: Duration::ZERO, wait: BOUND, ..KeyCacheTimes::USUAL };

#[tokio::test]
async fn keys_that_cannot_be_fetched_stay_in_force_for_a_day() {
    let (answers, _, fetch) = issuer();
    answers.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes::USUAL, 8).await;
    let (shared, fetched) = (&keys.shared, keys.shared.state().fetched);
    let day = Duration::from_secs(24 * 3_600);
    shared.begin(fetched + SECOND);
    shared.end(Err("away".to_owned()), fetched + SECOND);
    assert!(matches!(shared.look_up(Some("first"), fetched + day - SECOND), Lookup::Key(_)));
    assert_eq!(none(&shared.look_up(Some("first"), fetched + day)), Some(NoKey::Unavailable));
    assert!(!shared.state().is_too_old(day, fetched + day - SECOND));
    assert!(shared.state().is_too_old(day, fetched + day));
    // Once the issuer is back, tokens are taken again.
    shared.begin(fetched + day + SECOND);
    shared.end(Ok(vec![key("second")]), fetched + day + SECOND);
    assert!(matches!(shared.look_up(Some("second"), fetched + day + SECOND), Lookup::Key(_)));
    assert!(!keys.is_too_old());
}

#[tokio::test]
async fn the_set_is_due_before_it_is_stale_and_sooner_after_a_failure() {
    let (answers, _, fetch) = issuer();
    answers.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes::USUAL, 8).await;
    let (shared, began) = (&keys.shared, keys.shared.state().began);
    assert_eq!(shared.due(), began + 240 * SECOND);
    shared.begin(began + SECOND);
    shared.end(Err("away".to_owned()), began + 11 * SECOND);
    assert_eq!(shared.due(), began + 16 * SECOND);
}

#[tokio::test]
async fn the_set_is_fetched_in_the_background_though_no_token_comes() {
    let (answers, mut fetches, fetch) = issuer();
    answers.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes { refresh: Duration::from_millis(1), ..KeyCacheTimes::USUAL }, 8).await;
    assert_eq!(id(&keys.find(Some("first")).await), Ok("first"));
    answers.send(Ok(vec!["second"])).unwrap();
    // The third fetch has begun, so the second has ended.
    timeout(BOUND, fetches.wait_for(|it| *it == 3)).await.unwrap().unwrap();
    assert_eq!(id(&keys.find(Some("second")).await), Ok("second"));
    assert!(matches!(keys.shared.look_up(Some("first"), Instant::now()), Lookup::Wait), "it was withdrawn");
}

#[tokio::test]
async fn a_hanging_fetch_does_not_hold_up_requests() {
    let (answers, fetches, fetch) = issuer();
    answers.send(Ok(vec!["first"])).unwrap();
    // A quarter of four: one request may wait.
    let keys = Arc::new(open(fetch, EAGER, 4).await);
    let waiting = tokio::spawn({
        let keys = Arc::clone(&keys);
        async move { keys.find(Some("second")).await }
    });
    timeout(BOUND, fetches.clone().wait_for(|it| *it == 2)).await.unwrap().unwrap();
    for number in 0..1_000 {
        let made_up = format!("made up {number}");
        let answer = timeout(SECOND, keys.find(Some(&made_up))).await.expect("it waits, though the slot is taken");
        assert_eq!(id(&answer), Err(NoKey::Unavailable));
    }
    assert_eq!(id(&timeout(SECOND, keys.find(Some("first"))).await.unwrap()), Ok("first"));
    assert_eq!(*fetches.borrow(), 2, "one fetch at a time");
    answers.send(Ok(vec!["first", "second"])).unwrap();
    assert_eq!(id(&waiting.await.unwrap()), Ok("second"));
}

#[tokio::test]
async fn the_wait_for_a_fetch_is_short() {
    let (answers, _, fetch) = issuer();
    answers.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes { wait: Duration::from_millis(10), ..EAGER }, 8).await;
    let answer = timeout(BOUND, keys.find(Some("second"))).await.expect("it waits as long as the fetch hangs");
    assert_eq!(id(&answer), Err(NoKey::Unavailable));
}

#[tokio::test]
async fn an_unpublished_key_differs_from_one_that_could_not_be_looked_up() {
    let (answers, fetches, fetch) = issuer();
    answers.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, EAGER, 8).await;
    answers.send(Err("away".to_owned())).unwrap();
    assert_eq!(id(&keys.find(Some("second")).await), Err(NoKey::Unavailable));
    assert_eq!(id(&keys.find(Some("first")).await), Ok("first"));
    answers.send(Ok(vec!["first"])).unwrap();
    assert_eq!(id(&keys.find(Some("second")).await), Err(NoKey::Unpublished));
    // The id is remembered as unpublished, so it triggers no fetch for a while.
    assert_eq!(id(&keys.find(Some("second")).await), Err(NoKey::Unpublished));
    assert_eq!(*fetches.borrow(), 3);
    let now = Instant::now();
    assert_eq!(none(&keys.shared.look_up(Some("second"), now + 29 * SECOND)), Some(NoKey::Unpublished));
    assert!(matches!(keys.shared.look_up(Some("second"), now + 31 * SECOND), Lookup::Wait));
}

#[tokio::test]
async fn a_fetch_that_began_before_the_lookup_does_not_prove_a_key_unpublished() {
    let (answers, fetches, fetch) = issuer();
    answers.send(Ok(vec!["first"])).unwrap();
    let keys = Arc::new(open(fetch, EAGER, 8).await);
    let find = |id: &'static str| {
        let keys = Arc::clone(&keys);
        tokio::spawn(async move { keys.find(Some(id)).await })
    };
    let early = find("second");
    timeout(BOUND, fetches.clone().wait_for(|it| *it == 2)).await.unwrap().unwrap();
    // The fetch runs, and may have read the set before the third key was in it.
    let late = find("third");
    while keys.shared.wait_slots.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    answers.send(Ok(vec!["first"])).unwrap();
    assert_eq!(id(&early.await.unwrap()), Err(NoKey::Unpublished));
    assert_eq!(id(&late.await.unwrap()), Err(NoKey::Unavailable));
    // Another fetch was requested; a caller who tries again succeeds.
    timeout(BOUND, fetches.clone().wait_for(|it| *it == 3)).await.unwrap().unwrap();
    let again = find("third");
    while keys.shared.wait_slots.available_permits() > 1 {
        tokio::task::yield_now().await;
    }
    answers.send(Ok(vec!["first", "third"])).unwrap();
    assert_eq!(id(&again.await.unwrap()), Ok("third"));
}

#[tokio::test]
async fn a_fetch_that_panics_is_one_that_failed() {
    let first = std::sync::atomic::AtomicUsize::new(0);
    let fetch: Fetch = Box::new(move || {
        assert!(first.fetch_add(1, std::sync::atomic::Ordering::Relaxed) != 1, "the second fetch panics");
        Box::pin(async { Ok(vec![key("first")]) })
    });
    let keys = open(fetch, EAGER, 8).await;
    assert_eq!(id(&keys.find(Some("second")).await), Err(NoKey::Unavailable));
    assert_eq!(id(&keys.find(Some("first")).await), Ok("first"));
    assert_eq!(id(&keys.find(Some("second")).await), Err(NoKey::Unpublished), "the third fetch answers");
}

#[tokio::test]
async fn right_after_a_fetch_no_request_waits() {
    let (answers, fetches, fetch) = issuer();
    answers.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes::USUAL, 8).await;
    let (shared, began) = (&keys.shared, keys.shared.state().began);
    assert_eq!(none(&shared.look_up(Some("second"), began + 4 * SECOND)), Some(NoKey::Unpublished));
    assert!(matches!(shared.look_up(Some("second"), began + 5 * SECOND), Lookup::Wait));
    shared.begin(began);
    shared.end(Err("away".to_owned()), began);
    assert_eq!(none(&shared.look_up(Some("second"), began + 4 * SECOND)), Some(NoKey::Unavailable));
    assert_eq!(*fetches.borrow(), 1);
}

#[tokio::test]
async fn the_number_of_remembered_unknown_keys_is_limited() {
    let (answers, _, fetch) = issuer();
    answers.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes::USUAL, 8).await;
    let (shared, now) = (&keys.shared, Instant::now());
    let count = |shared: &SharedKeyCache| shared.unpublished.lock().unwrap().len();
    for number in 0..=MAX_UNPUBLISHED {
        shared.remember(Some(&number.to_string()), now);
    }
    assert_eq!(count(shared), MAX_UNPUBLISHED);
    assert!(shared.is_remembered(Some("0"), now) && !shared.is_remembered(Some("1000"), now));
    shared.remember(None, now + 30 * SECOND);
    assert_eq!(count(shared), 1, "forgotten ones free their slots");
    assert!(shared.is_remembered(None, now + 30 * SECOND) && !shared.is_remembered(Some(""), now + 30 * SECOND));
}
