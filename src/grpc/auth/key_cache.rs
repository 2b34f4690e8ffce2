//! The issuer's key set as calls use it: looked up without a wait, and fetched again by one task in the background.
//!
//! The set is fetched before it is stale, whether or not tokens come, so that a withdrawn key counts no longer than
//! [`KeyCacheTimes::refresh`] and a fetch. A token with an unknown key asks for a fetch, at most every [`KeyCacheTimes::eager`], and waits
//! for the one that runs, for a short time and in one of few places: key ids are made up by anybody, and a key server
//! that hangs must hold nobody up. While the issuer is away the old keys stay in force for [`KeyCacheTimes::limit`], and no longer.

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

/// How often, how long and for how long. All but tests go by [`KeyCacheTimes::USUAL`].
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyCacheTimes {
    /// How soon after the last fetch began the set is fetched again because of an unknown key.
    eager: Duration,
    /// How soon after the last fetch began it is fetched again in any case. With the time that a fetch may take it stays
    /// under the five minutes that are promised.
    refresh: Duration,
    /// The same after a fetch that failed.
    retry: Duration,
    /// How long a token with an unknown key waits for a fetch.
    wait: Duration,
    /// How long it is remembered that the issuer does not publish a key.
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

/// Unknown keys remembered; past it they cause a fetch every [`KeyCacheTimes::eager`], and nothing else.
const REMEMBERED: usize = 1_000;
/// The most calls that wait for a fetch, however many the server may have in flight.
const WAITING: usize = 64;

/// A fetch that runs.
pub(super) type FetchedKeys = Pin<Box<dyn Future<Output = Result<Vec<Arc<PublicKey>>, String>> + Send>>;
/// Fetches the set.
pub(super) type Fetch = Box<dyn Fn() -> FetchedKeys + Send + Sync>;

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer does not publish it.
    Unpublished,
    /// Whether it does cannot be told: the set cannot be fetched, or not soon enough.
    Unavailable,
}

/// The key set, and the task that keeps it fresh, which ends with it.
#[derive(Debug)]
pub(super) struct KeyCache {
    shared: Arc<SharedKeyCache>,
    _refresher: JoinSet<()>,
}

struct SharedKeyCache {
    fetch: Fetch,
    times: KeyCacheTimes,
    state: RwLock<KeyCacheState>,
    /// Unknown keys by the digest of their ids, and since when they are known to be.
    unpublished: Mutex<HashMap<[u8; 32], Instant>>,
    /// Somebody wants a key that is not in the set.
    requested: Notify,
    /// Changes when a fetch has ended.
    ended: watch::Sender<()>,
    places: Semaphore,
    measured: Arc<InternalMetrics>,
}

impl std::fmt::Debug for SharedKeyCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

/// What is known at the moment.
#[derive(Debug, Clone)]
struct KeyCacheState {
    keys: Arc<Vec<Arc<PublicKey>>>,
    /// When the fetch that brought these keys began.
    fetched: Instant,
    /// When the last fetch began.
    began: Instant,
    last: Last,
}

/// How the last fetch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Running,
    Done,
    Failed,
}

/// What a look at the set comes to.
#[derive(Debug)]
enum Lookup {
    Key(Arc<PublicKey>),
    None(NoKey),
    /// A fetch runs, or begins at once, that may bring the key.
    Wait,
}

impl KeyCache {
    /// Fetches the set for the first time, and from then on in the background. Of `calls` that the server has in flight at
    /// most, a quarter may wait for a fetch, and never more than [`WAITING`].
    ///
    /// # Errors
    /// Why it cannot be had, or holds no key of use.
    pub(super) async fn open(
        fetch: Fetch,
        times: KeyCacheTimes,
        calls: usize,
        measured: Arc<InternalMetrics>,
    ) -> Result<Self, String> {
        let began = Instant::now();
        let state = KeyCacheState { keys: Arc::new(fetch().await?), fetched: began, began, last: Last::Done };
        measured.key_set_fetched(began);
        let shared = Arc::new(SharedKeyCache {
            fetch,
            times,
            state: RwLock::new(state),
            unpublished: Mutex::default(),
            requested: Notify::new(),
            ended: watch::Sender::default(),
            places: Semaphore::new((calls / 4).clamp(1, WAITING)),
            measured,
        });
        let mut refresher = JoinSet::new();
        refresher.spawn(refresh(Arc::clone(&shared)));
        Ok(Self { shared, _refresher: refresher })
    }

    /// Whether the keys are too old to be believed: then no token is.
    pub(super) fn is_too_old(&self) -> bool {
        self.shared.state().is_too_old(self.shared.times.limit, Instant::now())
    }

    /// The key of this id; for a token that names none, the only one there is.
    ///
    /// # Errors
    /// That the issuer does not publish it, or that this cannot be told.
    pub(super) async fn find(&self, id: Option<&str>) -> Result<Arc<PublicKey>, NoKey> {
        let shared = &self.shared;
        // Before the look, so that no end of a fetch is missed after it.
        let mut ended = shared.ended.subscribe();
        let asked = Instant::now();
        match shared.look_up(id, asked) {
            Lookup::Key(key) => Ok(key),
            Lookup::None(why) => Err(why),
            Lookup::Wait => {
                let Ok(_place) = shared.places.try_acquire() else { return Err(NoKey::Unavailable) };
                let in_time = timeout(shared.times.wait, ended.changed()).await.is_ok();
                shared.look_again(id, asked, in_time, Instant::now())
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
        if state.last == Last::Running {
            return Lookup::Wait;
        }
        self.requested.notify_one();
        if now.saturating_duration_since(state.began) >= self.times.eager {
            return Lookup::Wait;
        }
        Lookup::None(if state.last == Last::Done { NoKey::Unpublished } else { NoKey::Unavailable })
    }

    /// The look after a wait, which a fetch has ended in time or not. Only a fetch that began after the key was asked for shows
    /// that the key is not published: an older one may have read the set before the key was in it.
    fn look_again(
        &self,
        id: Option<&str>,
        asked: Instant,
        in_time: bool,
        now: Instant,
    ) -> Result<Arc<PublicKey>, NoKey> {
        let state = self.state();
        if let Some(key) = state.key(id) {
            return Ok(key);
        }
        if !in_time || state.last != Last::Done {
            return Err(NoKey::Unavailable);
        }
        if state.fetched < asked {
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
        if unpublished.len() >= REMEMBERED {
            unpublished.retain(|_, since| now.saturating_duration_since(*since) < self.times.forget);
        }
        if unpublished.len() < REMEMBERED {
            unpublished.insert(digest(id), now);
        }
    }

    /// When the set is fetched next, though nobody asks for it.
    fn due(&self) -> Instant {
        let KeyCacheState { began, last, .. } = self.state();
        began + if last == Last::Failed { self.times.retry } else { self.times.refresh }
    }

    fn begin(&self, now: Instant) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        (state.began, state.last) = (now, Last::Running);
    }

    /// Takes over what a fetch brought.
    fn end(&self, fetched: Result<Vec<Arc<PublicKey>>, String>, now: Instant) {
        let error = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            match fetched {
                Ok(keys) => {
                    (state.keys, state.fetched, state.last) = (Arc::new(keys), state.began, Last::Done);
                    self.measured.key_set_fetched(state.fetched);
                    None
                }
                Err(error) => {
                    state.last = Last::Failed;
                    Some((error, now.saturating_duration_since(state.fetched)))
                }
            }
        };
        if let Some((error, age)) = error {
            self.measured.key_fetch_failed();
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

/// Fetches the set when it is due, or wanted, one fetch at a time.
async fn refresh(shared: Arc<SharedKeyCache>) {
    loop {
        if timeout_at(shared.due(), shared.requested.notified()).await.is_ok() {
            let soonest = shared.state().began + shared.times.eager;
            #[expect(clippy::disallowed_methods, reason = "bounds how often made-up key ids have the set fetched")]
            sleep_until(soonest).await;
        }
        shared.begin(Instant::now());
        // A panic is a fetch that failed: the next one is begun all the same.
        let fetched = AssertUnwindSafe(async { (shared.fetch)().await }).catch_unwind().await;
        let fetched = fetched.unwrap_or_else(|_| Err("the fetch panicked; the log has it".to_owned()));
        shared.end(fetched, Instant::now());
    }
}

/// An id may have any length.
fn digest(id: Option<&str>) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update([u8::from(id.is_some())]);
    digest.update(id.unwrap_or_default());
    digest.finalize().into()
}

#[cfg(test)]
mod tests;
