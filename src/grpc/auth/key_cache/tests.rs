//! Tests which requests wait for keys and how long, how often keys are fetched, and when they are no longer trusted.

use jsonwebtoken::{Algorithm, DecodingKey};
use prometheus::Registry;
use tokio::sync::mpsc;

use super::*;
use crate::grpc::telemetry::internal_metrics::ScrapeLock;

const SECOND: Duration = Duration::from_secs(1);
/// A timeout that is longer than every wait of these tests.
const MAX_WAIT: Duration = Duration::from_secs(30);

type FetchResult = Result<Vec<&'static str>, String>;

fn key(id: &str) -> Arc<PublicKey> {
    let key = DecodingKey::from_secret(b"unused");
    Arc::new(PublicKey { id: Some(id.to_owned()), key, algorithms: vec![Algorithm::ES256] })
}

/// Makes a fake issuer: the sender of its results, the number of fetches, and the function that fetches. Each fetch
/// returns the next result that was sent, and hangs until there is a result.
fn issuer() -> (mpsc::UnboundedSender<FetchResult>, watch::Receiver<usize>, Fetch) {
    let (results, result_queue) = mpsc::unbounded_channel::<FetchResult>();
    let result_queue = Arc::new(tokio::sync::Mutex::new(result_queue));
    let (count, fetches) = watch::channel(0);
    let count = Arc::new(count);
    let fetch: Fetch = Box::new(move || {
        count.send_modify(|it| *it += 1);
        let result_queue = Arc::clone(&result_queue);
        Box::pin(async move {
            let result = result_queue.lock().await.recv().await.unwrap();
            result.map(|ids| ids.into_iter().map(key).collect())
        })
    });
    (results, fetches, fetch)
}

async fn open(fetch: Fetch, times: KeyCacheTimes, max_calls: usize) -> KeyCache {
    let metrics = Arc::new(InternalMetrics::new(&Registry::new(), ScrapeLock::default()).unwrap());
    KeyCache::open(fetch, times, max_calls, metrics).await.unwrap()
}

/// Returns the id of a found key, or the reason why none was found.
fn key_id(key: &Result<Arc<PublicKey>, NoKey>) -> Result<&str, NoKey> {
    key.as_ref().map(|it| it.id.as_deref().unwrap()).map_err(|no_key| *no_key)
}

/// Returns the reason why a lookup brought no key; `None` if it brought a key or has to wait.
fn no_key(look_up: &Lookup) -> Option<NoKey> {
    if let Lookup::None(no_key) = look_up { Some(*no_key) } else { None }
}

/// An unknown key triggers a fetch without delay. The interval of regular fetches is longer than a test.
const NO_MIN_INTERVAL: KeyCacheTimes =
    KeyCacheTimes { min_interval: Duration::ZERO, max_wait: MAX_WAIT, ..KeyCacheTimes::USUAL };

#[tokio::test]
async fn keys_that_cannot_be_fetched_stay_in_force_for_a_day() {
    let (results, _, fetch) = issuer();
    results.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes::USUAL, 8).await;
    let (shared, fetched) = (&keys.shared, keys.shared.state().keys_fetched_at);
    let day = Duration::from_secs(24 * 3_600);
    shared.begin_fetch(fetched + SECOND);
    shared.end_fetch(Err("away".to_owned()), fetched + SECOND);
    assert!(matches!(shared.look_up(Some("first"), fetched + day - SECOND), Lookup::Key(_)));
    assert_eq!(no_key(&shared.look_up(Some("first"), fetched + day)), Some(NoKey::Unavailable));
    assert!(!shared.state().is_too_old(day, fetched + day - SECOND));
    assert!(shared.state().is_too_old(day, fetched + day));
    // Once the issuer is back, tokens are taken again.
    shared.begin_fetch(fetched + day + SECOND);
    shared.end_fetch(Ok(vec![key("second")]), fetched + day + SECOND);
    assert!(matches!(shared.look_up(Some("second"), fetched + day + SECOND), Lookup::Key(_)));
    assert!(!keys.is_too_old());
}

#[tokio::test]
async fn the_next_fetch_is_due_in_four_minutes_and_sooner_after_a_failure() {
    let (results, _, fetch) = issuer();
    results.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes::USUAL, 8).await;
    let (shared, began) = (&keys.shared, keys.shared.state().last_fetch_at);
    assert_eq!(shared.next_fetch_at(), began + 240 * SECOND);
    shared.begin_fetch(began + SECOND);
    shared.end_fetch(Err("away".to_owned()), began + 11 * SECOND);
    assert_eq!(shared.next_fetch_at(), began + 16 * SECOND);
}

#[tokio::test]
async fn the_set_is_fetched_in_the_background_even_if_no_token_arrives() {
    let (results, mut fetches, fetch) = issuer();
    results.send(Ok(vec!["first"])).unwrap();
    let keys =
        open(fetch, KeyCacheTimes { refresh_interval: Duration::from_millis(1), ..KeyCacheTimes::USUAL }, 8).await;
    assert_eq!(key_id(&keys.find(Some("first")).await), Ok("first"));
    results.send(Ok(vec!["second"])).unwrap();
    // The third fetch has begun, so the second has ended.
    timeout(MAX_WAIT, fetches.wait_for(|it| *it == 3)).await.unwrap().unwrap();
    assert_eq!(key_id(&keys.find(Some("second")).await), Ok("second"));
    assert!(matches!(keys.shared.look_up(Some("first"), Instant::now()), Lookup::Wait), "the first key was withdrawn");
}

#[tokio::test]
async fn a_hanging_fetch_does_not_hold_up_requests() {
    let (results, fetches, fetch) = issuer();
    results.send(Ok(vec!["first"])).unwrap();
    // One request may wait: a quarter of the four requests in flight.
    let keys = Arc::new(open(fetch, NO_MIN_INTERVAL, 4).await);
    let waiting = tokio::spawn({
        let keys = Arc::clone(&keys);
        async move { keys.find(Some("second")).await }
    });
    timeout(MAX_WAIT, fetches.clone().wait_for(|it| *it == 2)).await.unwrap().unwrap();
    for number in 0..1_000 {
        let made_up = format!("made up {number}");
        let found = timeout(SECOND, keys.find(Some(&made_up))).await.expect("the lookup waits without a slot");
        assert_eq!(key_id(&found), Err(NoKey::Unavailable));
    }
    assert_eq!(key_id(&timeout(SECOND, keys.find(Some("first"))).await.unwrap()), Ok("first"));
    assert_eq!(*fetches.borrow(), 2, "there is one fetch at a time");
    results.send(Ok(vec!["first", "second"])).unwrap();
    assert_eq!(key_id(&waiting.await.unwrap()), Ok("second"));
}

#[tokio::test]
async fn the_wait_for_a_fetch_is_short() {
    let (results, _, fetch) = issuer();
    results.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes { max_wait: Duration::from_millis(10), ..NO_MIN_INTERVAL }, 8).await;
    let found = timeout(MAX_WAIT, keys.find(Some("second"))).await.expect("the lookup waits for a fetch that hangs");
    assert_eq!(key_id(&found), Err(NoKey::Unavailable));
}

#[tokio::test]
async fn an_unpublished_key_differs_from_a_key_that_could_not_be_looked_up() {
    let (results, fetches, fetch) = issuer();
    results.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, NO_MIN_INTERVAL, 8).await;
    results.send(Err("away".to_owned())).unwrap();
    assert_eq!(key_id(&keys.find(Some("second")).await), Err(NoKey::Unavailable));
    assert_eq!(key_id(&keys.find(Some("first")).await), Ok("first"));
    results.send(Ok(vec!["first"])).unwrap();
    assert_eq!(key_id(&keys.find(Some("second")).await), Err(NoKey::Unpublished));
    // The id is remembered as unpublished, so it triggers no fetch for a while.
    assert_eq!(key_id(&keys.find(Some("second")).await), Err(NoKey::Unpublished));
    assert_eq!(*fetches.borrow(), 3);
    let now = Instant::now();
    assert_eq!(no_key(&keys.shared.look_up(Some("second"), now + 29 * SECOND)), Some(NoKey::Unpublished));
    assert!(matches!(keys.shared.look_up(Some("second"), now + 31 * SECOND), Lookup::Wait));
}

#[tokio::test]
async fn a_fetch_that_began_before_the_lookup_does_not_prove_a_key_unpublished() {
    let (results, fetches, fetch) = issuer();
    results.send(Ok(vec!["first"])).unwrap();
    let keys = Arc::new(open(fetch, NO_MIN_INTERVAL, 8).await);
    let find = |id: &'static str| {
        let keys = Arc::clone(&keys);
        tokio::spawn(async move { keys.find(Some(id)).await })
    };
    let early = find("second");
    timeout(MAX_WAIT, fetches.clone().wait_for(|it| *it == 2)).await.unwrap().unwrap();
    // The fetch is running. It may have read the set before the third key was added.
    let late = find("third");
    while keys.shared.wait_slots.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    results.send(Ok(vec!["first"])).unwrap();
    assert_eq!(key_id(&early.await.unwrap()), Err(NoKey::Unpublished));
    assert_eq!(key_id(&late.await.unwrap()), Err(NoKey::Unavailable));
    // The late lookup has requested a further fetch, so a caller who tries again succeeds.
    timeout(MAX_WAIT, fetches.clone().wait_for(|it| *it == 3)).await.unwrap().unwrap();
    let retried = find("third");
    while keys.shared.wait_slots.available_permits() > 1 {
        tokio::task::yield_now().await;
    }
    results.send(Ok(vec!["first", "third"])).unwrap();
    assert_eq!(key_id(&retried.await.unwrap()), Ok("third"));
}

#[tokio::test]
async fn a_fetch_that_panics_counts_as_failed() {
    let fetch_count = std::sync::atomic::AtomicUsize::new(0);
    let fetch: Fetch = Box::new(move || {
        assert!(fetch_count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) != 1, "the second fetch panics");
        Box::pin(async { Ok(vec![key("first")]) })
    });
    let keys = open(fetch, NO_MIN_INTERVAL, 8).await;
    assert_eq!(key_id(&keys.find(Some("second")).await), Err(NoKey::Unavailable));
    assert_eq!(key_id(&keys.find(Some("first")).await), Ok("first"));
    assert_eq!(key_id(&keys.find(Some("second")).await), Err(NoKey::Unpublished), "the third fetch brings the set");
}

#[tokio::test]
async fn right_after_a_fetch_no_request_waits() {
    let (results, fetches, fetch) = issuer();
    results.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes::USUAL, 8).await;
    let (shared, began) = (&keys.shared, keys.shared.state().last_fetch_at);
    assert_eq!(no_key(&shared.look_up(Some("second"), began + 4 * SECOND)), Some(NoKey::Unpublished));
    assert!(matches!(shared.look_up(Some("second"), began + 5 * SECOND), Lookup::Wait));
    shared.begin_fetch(began);
    shared.end_fetch(Err("away".to_owned()), began);
    assert_eq!(no_key(&shared.look_up(Some("second"), began + 4 * SECOND)), Some(NoKey::Unavailable));
    assert_eq!(*fetches.borrow(), 1);
}

#[tokio::test]
async fn the_number_of_remembered_unpublished_keys_is_limited() {
    let (results, _, fetch) = issuer();
    results.send(Ok(vec!["first"])).unwrap();
    let keys = open(fetch, KeyCacheTimes::USUAL, 8).await;
    let (shared, now) = (&keys.shared, Instant::now());
    let count = |shared: &SharedKeyCache| shared.unpublished.lock().unwrap().len();
    for number in 0..=MAX_UNPUBLISHED {
        shared.remember_unpublished(Some(&number.to_string()), now);
    }
    assert_eq!(count(shared), MAX_UNPUBLISHED);
    assert!(shared.is_unpublished(Some("0"), now) && !shared.is_unpublished(Some("1000"), now));
    shared.remember_unpublished(None, now + 30 * SECOND);
    assert_eq!(count(shared), 1, "forgotten key ids are replaced by others");
    assert!(shared.is_unpublished(None, now + 30 * SECOND) && !shared.is_unpublished(Some(""), now + 30 * SECOND));
}
