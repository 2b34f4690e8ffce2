//! Caches the issuer's key set. One background task fetches the set again, so that requests find most keys without waiting.
//!
//! The set is fetched again every [`KeyCacheTimes::refresh_interval`], even if no token arrives. So after the issuer
//! withdraws a key, lookups return the key for at most that time plus one fetch. (A token that was verified earlier may
//! stay in the cache of [`super::jwt`] for longer.) While the issuer is unreachable, the old keys stay in force for
//! [`KeyCacheTimes::max_age`].
//!
//! A token with an unknown key triggers a fetch. Such a fetch begins [`KeyCacheTimes::min_interval`] after the start of the
//! previous fetch, or later. If a fetch is running or begins at once, the request with the token waits for its end. This
//! wait is short, and the number of waiting requests is limited. Anyone can invent key ids, and a key server that hangs
//! must not hold up other requests.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::jwks::PublicKey;
use crate::grpc::telemetry::internal_metrics::InternalMetrics;

/// The intervals and time limits of the cache. Only tests use others than [`KeyCacheTimes::USUAL`].
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyCacheTimes {
    /// The shortest time from the start of any fetch to the start of the next one, if an unknown key triggers the next.
    min_interval: Duration,
    /// The time from the start of one fetch to the start of the next. The documentation promises that a withdrawn key
    /// counts for at most five minutes. So the sum of this time and the timeout of a fetch must be less than five
    /// minutes.
    refresh_interval: Duration,
    /// The time from the start of a failed fetch to the start of the next.
    retry_interval: Duration,
    /// The longest time that a token with an unknown key waits for a fetch.
    max_wait: Duration,
    /// The time for which a key id is remembered as unpublished.
    unpublished_for: Duration,
    /// The time for which the keys stay in force while the set cannot be fetched. It counts from the start of the fetch
    /// that returned these keys.
    max_age: Duration,
}

impl KeyCacheTimes {
    pub(super) const USUAL: Self = Self {
        min_interval: Duration::from_secs(5),
        refresh_interval: Duration::from_secs(4 * 60),
        retry_interval: Duration::from_secs(15),
        max_wait: Duration::from_millis(1_500),
        unpublished_for: Duration::from_secs(30),
        max_age: Duration::from_secs(24 * 3_600),
    };
}

/// The maximum number of unpublished key ids that are remembered. Further ids are not remembered, so tokens with them may
/// trigger a fetch every [`KeyCacheTimes::min_interval`].
const MAX_UNPUBLISHED: usize = 1_000;
/// The maximum number of requests that may wait for a fetch.
const MAX_WAITING: usize = 64;

/// A fetch, as a future that returns the keys of the set.
pub(super) type FetchedKeys = Pin<Box<dyn Future<Output = Result<Vec<Arc<PublicKey>>, String>> + Send>>;
/// The function that starts a fetch of the set.
pub(super) type Fetch = Box<dyn Fn() -> FetchedKeys + Send + Sync>;

/// The reason why a lookup returns no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer does not publish the key.
    Unpublished,
    /// The issuer may publish the key, but the set cannot be fetched, or not soon enough.
    Unavailable,
}

/// The key set, and the task that refreshes it. Dropping the cache ends the task.
#[derive(Debug)]
pub(super) struct KeyCache {
    shared: Arc<SharedKeyCache>,
    _refresher: JoinSet<()>,
}

struct SharedKeyCache {
    fetch: Fetch,
    times: KeyCacheTimes,
    state: RwLock<KeyCacheState>,
    /// The digests of key ids that the issuer does not publish, each with the time when a fetch showed this.
    unpublished: Mutex<HashMap<[u8; 32], Instant>>,
    /// Notified when a request needs a key that is not in the set.
    requested: Notify,
    /// Notifies the waiting requests when a fetch has ended.
    fetch_ended: watch::Sender<()>,
    /// One permit for each request that may wait for a fetch.
    wait_slots: Semaphore,
    metrics: Arc<InternalMetrics>,
}

impl std::fmt::Debug for SharedKeyCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedKeyCache").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The current keys, and the times of the fetches.
#[derive(Debug, Clone)]
struct KeyCacheState {
    keys: Arc<Vec<Arc<PublicKey>>>,
    /// When the fetch of these keys began.
    keys_fetched_at: Instant,
    /// When the last fetch began.
    last_fetch_at: Instant,
    last_fetch: FetchStatus,
}

/// The status of the last fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FetchStatus {
    Running,
    Done,
    Failed,
}

/// The result of a lookup.
#[derive(Debug)]
enum Lookup {
    Key(Arc<PublicKey>),
    None(NoKey),
    /// A fetch is running or begins now, and may bring the key.
    Wait,
}

impl KeyCache {
    /// Fetches the set, then starts the background task. `max_calls` is the server's limit of requests in flight: a
    /// quarter of them may wait for a fetch, but at most [`MAX_WAITING`].
    ///
    /// # Errors
    /// A message that says why the set cannot be fetched, or that it has no usable key.
    pub(super) async fn open(
        fetch: Fetch,
        times: KeyCacheTimes,
        max_calls: usize,
        metrics: Arc<InternalMetrics>,
    ) -> Result<Self, String> {
        let began = Instant::now();
        let state = KeyCacheState {
            keys: Arc::new(fetch().await?),
            keys_fetched_at: began,
            last_fetch_at: began,
            last_fetch: FetchStatus::Done,
        };
        metrics.record_key_set_fetch(began);
        let shared = Arc::new(SharedKeyCache {
            fetch,
            times,
            state: RwLock::new(state),
            unpublished: Mutex::default(),
            requested: Notify::new(),
            fetch_ended: watch::Sender::default(),
            wait_slots: Semaphore::new((max_calls / 4).clamp(1, MAX_WAITING)),
            metrics,
        });
        let mut refresher = JoinSet::new();
        refresher.spawn(fetch_repeatedly(Arc::clone(&shared)));
        Ok(Self { shared, _refresher: refresher })
    }

    /// Returns true if the keys are too old to be trusted. Then no token is accepted.
    pub(super) fn is_too_old(&self) -> bool {
        self.shared.state().is_too_old(self.shared.times.max_age, Instant::now())
    }

    /// Finds the key with this id. For a token without a key id it returns the only key, if the set has just one.
    ///
    /// # Errors
    /// [`NoKey::Unpublished`] if the set does not have the key. [`NoKey::Unavailable`] if the set cannot be fetched now, or
    /// too many requests wait for a fetch.
    pub(super) async fn find(&self, id: Option<&str>) -> Result<Arc<PublicKey>, NoKey> {
        let shared = &self.shared;
        // Subscribe before the lookup, so that the end of a fetch in between is not missed.
        let mut fetch_ended = shared.fetch_ended.subscribe();
        let first_lookup_at = Instant::now();
        match shared.look_up(id, first_lookup_at) {
            Lookup::Key(key) => Ok(key),
            Lookup::None(no_key) => Err(no_key),
            Lookup::Wait => {
                let Ok(_slot) = shared.wait_slots.try_acquire() else { return Err(NoKey::Unavailable) };
                let in_time = timeout(shared.times.max_wait, fetch_ended.changed()).await.is_ok();
                shared.look_up_after_wait(id, first_lookup_at, in_time, Instant::now())
            }
        }
    }
}

impl KeyCacheState {
    fn is_too_old(&self, limit: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.keys_fetched_at) >= limit
    }

    /// Returns the key with this id; without an id, the only key of the set. `None` if there is no such key.
    fn key(&self, id: Option<&str>) -> Option<Arc<PublicKey>> {
        match (id, self.keys.as_slice()) {
            (Some(id), keys) => keys.iter().find(|it| it.id.as_deref() == Some(id)).cloned(),
            (None, [only]) => Some(Arc::clone(only)),
            (None, _) => None,
        }
    }
}

impl SharedKeyCache {
    fn state(&self) -> KeyCacheState {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks a key up without waiting, and requests a fetch if the key is not in the set.
    fn look_up(&self, id: Option<&str>, now: Instant) -> Lookup {
        let state = self.state();
        if state.is_too_old(self.times.max_age, now) {
            return Lookup::None(NoKey::Unavailable);
        }
        if let Some(key) = state.key(id) {
            return Lookup::Key(key);
        }
        if self.is_unpublished(id, now) {
            return Lookup::None(NoKey::Unpublished);
        }
        if state.last_fetch == FetchStatus::Running {
            return Lookup::Wait;
        }
        self.requested.notify_one();
        if now.saturating_duration_since(state.last_fetch_at) >= self.times.min_interval {
            return Lookup::Wait;
        }
        Lookup::None(if state.last_fetch == FetchStatus::Done { NoKey::Unpublished } else { NoKey::Unavailable })
    }

    /// Looks a key up again after waiting; `in_time` says whether a fetch ended within the wait. Only a fetch that began
    /// after the first lookup proves that the key is not published: an earlier fetch may have read an older set.
    ///
    /// # Errors
    /// [`NoKey::Unpublished`] if such a fetch did not bring the key, else [`NoKey::Unavailable`].
    fn look_up_after_wait(
        &self,
        id: Option<&str>,
        first_lookup_at: Instant,
        in_time: bool,
        now: Instant,
    ) -> Result<Arc<PublicKey>, NoKey> {
        let state = self.state();
        if let Some(key) = state.key(id) {
            return Ok(key);
        }
        if !in_time || state.last_fetch != FetchStatus::Done {
            return Err(NoKey::Unavailable);
        }
        if state.keys_fetched_at < first_lookup_at {
            self.requested.notify_one();
            return Err(NoKey::Unavailable);
        }
        self.remember_unpublished(id, now);
        Err(NoKey::Unpublished)
    }

    fn is_unpublished(&self, id: Option<&str>, now: Instant) -> bool {
        let unpublished = self.unpublished.lock().unwrap_or_else(PoisonError::into_inner);
        unpublished
            .get(&digest(id))
            .is_some_and(|since| now.saturating_duration_since(*since) < self.times.unpublished_for)
    }

    fn remember_unpublished(&self, id: Option<&str>, now: Instant) {
        let mut unpublished = self.unpublished.lock().unwrap_or_else(PoisonError::into_inner);
        if unpublished.len() >= MAX_UNPUBLISHED {
            unpublished.retain(|_, since| now.saturating_duration_since(*since) < self.times.unpublished_for);
        }
        if unpublished.len() < MAX_UNPUBLISHED {
            unpublished.insert(digest(id), now);
        }
    }

    /// Returns when the set is fetched next, if no request needs it earlier.
    fn next_fetch_at(&self) -> Instant {
        let KeyCacheState { last_fetch_at, last_fetch, .. } = self.state();
        last_fetch_at
            + if last_fetch == FetchStatus::Failed { self.times.retry_interval } else { self.times.refresh_interval }
    }

    /// Records that a fetch begins.
    fn begin_fetch(&self, now: Instant) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        (state.last_fetch_at, state.last_fetch) = (now, FetchStatus::Running);
    }

    /// Stores the result of a fetch, and wakes the waiting requests.
    fn end_fetch(&self, fetched: Result<Vec<Arc<PublicKey>>, String>, now: Instant) {
        let error = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            match fetched {
                Ok(keys) => {
                    state.keys = Arc::new(keys);
                    state.keys_fetched_at = state.last_fetch_at;
                    state.last_fetch = FetchStatus::Done;
                    self.metrics.record_key_set_fetch(state.keys_fetched_at);
                    None
                }
                Err(error) => {
                    state.last_fetch = FetchStatus::Failed;
                    Some((error, now.saturating_duration_since(state.keys_fetched_at)))
                }
            }
        };
        if let Some((error, age)) = error {
            self.metrics.record_key_fetch_failure();
            let age_seconds = age.as_secs();
            if age < self.times.max_age {
                tracing::warn!(error, age_seconds, "the issuer's keys cannot be fetched; the old ones stay in force");
            } else {
                tracing::error!(error, age_seconds, "the issuer's keys cannot be fetched; no token is taken any more");
            }
        }
        self.fetch_ended.send_replace(());
    }
}

/// Fetches the set for ever: when its next fetch is due, or a request needs a key. There is one fetch at a time.
async fn fetch_repeatedly(shared: Arc<SharedKeyCache>) {
    loop {
        if timeout_at(shared.next_fetch_at(), shared.requested.notified()).await.is_ok() {
            let earliest = shared.state().last_fetch_at + shared.times.min_interval;
            #[expect(clippy::disallowed_methods, reason = "limits how often invented key ids trigger a fetch")]
            sleep_until(earliest).await;
        }
        shared.begin_fetch(Instant::now());
        // A panic counts as a failed fetch; the loop goes on.
        let fetched = AssertUnwindSafe(async { (shared.fetch)().await }).catch_unwind().await;
        let fetched = fetched.unwrap_or_else(|_| Err("the fetch panicked; the log has it".to_owned()));
        shared.end_fetch(fetched, Instant::now());
    }
}

/// Returns the digest of a key id. Digests are stored instead of ids, because an id may have any length.
fn digest(id: Option<&str>) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update([u8::from(id.is_some())]);
    digest.update(id.unwrap_or_default());
    digest.finalize().into()
}

#[cfg(test)]
mod tests;
