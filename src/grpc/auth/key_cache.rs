//! A cache of the issuer's key set. Requests look keys up without waiting; one background task fetches the set again.
//!
//! The set is fetched again every [`KeyCacheTimes::refresh`], even if no token arrives, so a withdrawn key is accepted no
//! longer than that plus one fetch. A token with an unknown key triggers a fetch, at most every [`KeyCacheTimes::eager`],
//! and waits for the running fetch. That wait is short and the number of waiters is limited: anyone can invent key ids,
//! and a key server that hangs must not hold up other requests. While the issuer is unreachable the old keys stay in
//! force for [`KeyCacheTimes::limit`].

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

/// The intervals and time limits of the cache. Only tests differ from [`KeyCacheTimes::USUAL`].
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyCacheTimes {
    /// The shortest time between the starts of two fetches, when an unknown key triggers the second.
    eager: Duration,
    /// The time from the start of one fetch to the next. Together with the timeout of a fetch it stays below the promised
    /// five minutes.
    refresh: Duration,
    /// The same after a failed fetch.
    retry: Duration,
    /// How long a token with an unknown key waits for a fetch.
    wait: Duration,
    /// How long a key id is remembered as unpublished.
    forget: Duration,
    /// How long the keys stay in force while the set cannot be fetched.
    limit: Duration,
}

impl KeyCacheTimes {
    pub(super) const USUAL: Self = Self {
        eager: Duration::from_secs(5),
        refresh: Duration::from_secs(4 * 60),
        retry: Duration::from_secs(15),
        wait: Duration::from_millis(1_500),
        forget: Duration::from_secs(30),
        limit: Duration::from_secs(24 * 3_600),
    };
}

/// The number of unpublished key ids remembered. Beyond it an unknown key only triggers a fetch, every
/// [`KeyCacheTimes::eager`].
const MAX_UNPUBLISHED: usize = 1_000;
/// The most requests that may wait for a fetch.
const MAX_WAITING: usize = 64;

/// A running fetch.
pub(super) type FetchedKeys = Pin<Box<dyn Future<Output = Result<Vec<Arc<PublicKey>>, String>> + Send>>;
/// Fetches the set.
pub(super) type Fetch = Box<dyn Fn() -> FetchedKeys + Send + Sync>;

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer does not publish it.
    Unpublished,
    /// Unknown, because the set cannot be fetched, or not soon enough.
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
    /// Key ids that the issuer does not publish, by digest, with the time when that was found.
    unpublished: Mutex<HashMap<[u8; 32], Instant>>,
    /// Notified when a request needs a key that is not in the set.
    requested: Notify,
    /// Changes when a fetch has ended.
    ended: watch::Sender<()>,
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
    fetched: Instant,
    /// When the last fetch began.
    began: Instant,
    last: FetchStatus,
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
    /// A fetch is running or begins at once, and may bring the key.
    Wait,
}

impl KeyCache {
    /// Fetches the set, then starts the background task. `max_calls` is the server's limit of requests in flight: a
    /// quarter of them may wait for a fetch, but at most [`MAX_WAITING`].
    ///
    /// # Errors
    /// The set cannot be fetched, or has no usable key.
    pub(super) async fn open(
        fetch: Fetch,
        times: KeyCacheTimes,
        max_calls: usize,
        metrics: Arc<InternalMetrics>,
    ) -> Result<Self, String> {
        let began = Instant::now();
        let state = KeyCacheState { keys: Arc::new(fetch().await?), fetched: began, began, last: FetchStatus::Done };
        metrics.key_set_fetched(began);
        let shared = Arc::new(SharedKeyCache {
            fetch,
            times,
            state: RwLock::new(state),
            unpublished: Mutex::default(),
            requested: Notify::new(),
            ended: watch::Sender::default(),
            wait_slots: Semaphore::new((max_calls / 4).clamp(1, MAX_WAITING)),
            metrics,
        });
        let mut refresher = JoinSet::new();
        refresher.spawn(refresh(Arc::clone(&shared)));
        Ok(Self { shared, _refresher: refresher })
    }

    /// Returns true if the keys are too old to be trusted. Then no token is accepted.
    pub(super) fn is_too_old(&self) -> bool {
        self.shared.state().is_too_old(self.shared.times.limit, Instant::now())
    }

    /// Finds the key with this id. For a token without a key id it returns the only key, if the set has just one.
    ///
    /// # Errors
    /// [`NoKey::Unpublished`], or [`NoKey::Unavailable`] if the set cannot be fetched now.
    pub(super) async fn find(&self, id: Option<&str>) -> Result<Arc<PublicKey>, NoKey> {
        let shared = &self.shared;
        // Subscribe before the lookup, so that the end of a fetch in between is not missed.
        let mut ended = shared.ended.subscribe();
        let looked_up = Instant::now();
        match shared.look_up(id, looked_up) {
            Lookup::Key(key) => Ok(key),
            Lookup::None(why) => Err(why),
            Lookup::Wait => {
                let Ok(_slot) = shared.wait_slots.try_acquire() else { return Err(NoKey::Unavailable) };
                let in_time = timeout(shared.times.wait, ended.changed()).await.is_ok();
                shared.look_again(id, looked_up, in_time, Instant::now())
            }
        }
    }
}

impl KeyCacheState {
    fn is_too_old(&self, limit: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.fetched) >= limit
    }

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

    fn look_up(&self, id: Option<&str>, now: Instant) -> Lookup {
        let state = self.state();
        if state.is_too_old(self.times.limit, now) {
            return Lookup::None(NoKey::Unavailable);
        }
        if let Some(key) = state.key(id) {
            return Lookup::Key(key);
        }
        if self.is_remembered(id, now) {
            return Lookup::None(NoKey::Unpublished);
        }
        if state.last == FetchStatus::Running {
            return Lookup::Wait;
        }
        self.requested.notify_one();
        if now.saturating_duration_since(state.began) >= self.times.eager {
            return Lookup::Wait;
        }
        Lookup::None(if state.last == FetchStatus::Done { NoKey::Unpublished } else { NoKey::Unavailable })
    }

    /// Looks a key up again after waiting; `in_time` says whether a fetch ended within the wait. Only a fetch that began
    /// after the first lookup proves that the key is not published: an earlier one may have read an older set.
    fn look_again(
        &self,
        id: Option<&str>,
        looked_up: Instant,
        in_time: bool,
        now: Instant,
    ) -> Result<Arc<PublicKey>, NoKey> {
        let state = self.state();
        if let Some(key) = state.key(id) {
            return Ok(key);
        }
        if !in_time || state.last != FetchStatus::Done {
            return Err(NoKey::Unavailable);
        }
        if state.fetched < looked_up {
            self.requested.notify_one();
            return Err(NoKey::Unavailable);
        }
        self.remember(id, now);
        Err(NoKey::Unpublished)
    }

    fn is_remembered(&self, id: Option<&str>, now: Instant) -> bool {
        let unpublished = self.unpublished.lock().unwrap_or_else(PoisonError::into_inner);
        unpublished.get(&digest(id)).is_some_and(|since| now.saturating_duration_since(*since) < self.times.forget)
    }

    fn remember(&self, id: Option<&str>, now: Instant) {
        let mut unpublished = self.unpublished.lock().unwrap_or_else(PoisonError::into_inner);
        if unpublished.len() >= MAX_UNPUBLISHED {
            unpublished.retain(|_, since| now.saturating_duration_since(*since) < self.times.forget);
        }
        if unpublished.len() < MAX_UNPUBLISHED {
            unpublished.insert(digest(id), now);
        }
    }

    /// When the set is fetched next, if no request needs it earlier.
    fn due(&self) -> Instant {
        let KeyCacheState { began, last, .. } = self.state();
        began + if last == FetchStatus::Failed { self.times.retry } else { self.times.refresh }
    }

    fn begin(&self, now: Instant) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        (state.began, state.last) = (now, FetchStatus::Running);
    }

    /// Stores the result of a fetch, and wakes the waiting requests.
    fn end(&self, fetched: Result<Vec<Arc<PublicKey>>, String>, now: Instant) {
        let error = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            match fetched {
                Ok(keys) => {
                    (state.keys, state.fetched, state.last) = (Arc::new(keys), state.began, FetchStatus::Done);
                    self.metrics.key_set_fetched(state.fetched);
                    None
                }
                Err(error) => {
                    state.last = FetchStatus::Failed;
                    Some((error, now.saturating_duration_since(state.fetched)))
                }
            }
        };
        if let Some((error, age)) = error {
            self.metrics.key_fetch_failed();
            let age_seconds = age.as_secs();
            if age < self.times.limit {
                tracing::warn!(error, age_seconds, "the issuer's keys cannot be fetched; the old ones stay in force");
            } else {
                tracing::error!(error, age_seconds, "the issuer's keys cannot be fetched; no token is taken any more");
            }
        }
        self.ended.send_replace(());
    }
}

/// Fetches the set when it is due or requested, one fetch at a time.
async fn refresh(shared: Arc<SharedKeyCache>) {
    loop {
        if timeout_at(shared.due(), shared.requested.notified()).await.is_ok() {
            let soonest = shared.state().began + shared.times.eager;
            #[expect(clippy::disallowed_methods, reason = "bounds how often made-up key ids have the set fetched")]
            sleep_until(soonest).await;
        }
        shared.begin(Instant::now());
        // A panic counts as a failed fetch; the loop goes on.
        let fetched = AssertUnwindSafe(async { (shared.fetch)().await }).catch_unwind().await;
        let fetched = fetched.unwrap_or_else(|_| Err("the fetch panicked; the log has it".to_owned()));
        shared.end(fetched, Instant::now());
    }
}

/// Digests a key id, because it may have any length.
fn digest(id: Option<&str>) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update([u8::from(id.is_some())]);
    digest.update(id.unwrap_or_default());
    digest.finalize().into()
}

#[cfg(test)]
mod tests;
