//! Connections of PostgreSQL that stay with their user between two statements. A connection that goes back to its pool is asked for one
//! more answer, and the next statement gets another connection: two more round trips for a caller that is alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx::Postgres;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};

use crate::store::{Result, TEST_AFTER_IDLE};

/// How long a connection is held at most. Then its pool decides whether it is used any longer.
const HELD_FOR: Duration = Duration::from_secs(600);

/// The held connections of one pool. There are as many as were in use at the same time.
#[derive(Debug, Clone)]
pub(in crate::store) struct HeldConnections {
    pool: DatabaseConnection,
    /// The connections that no statement uses, the last used one at the end; `None` once the store is closed.
    idle: Arc<Mutex<Option<Vec<HeldConnection>>>>,
    /// How many users wait for a connection of the pool.
    waiting: Arc<AtomicUsize>,
}

/// A user that takes a connection of the pool. As long as it waits, the pool gets the connections that it has no others for.
#[derive(Debug)]
pub(in crate::store) struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A connection that was taken.
#[derive(Debug)]
pub(in crate::store) struct HeldConnection {
    pub(in crate::store) connection: PoolConnection<Postgres>,
    taken_from_pool: Instant,
    last_used: Instant,
}

impl HeldConnections {
    pub(in crate::store) fn of(pool: &DatabaseConnection) -> Self {
        let (idle, waiting) = (Arc::new(Mutex::new(Some(Vec::new()))), Arc::new(AtomicUsize::new(0)));
        Self { pool: pool.clone(), idle, waiting }
    }

    /// Takes a connection: a held one that was used just now, or else one of the pool, which tests it if it was idle for long.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`](crate::store::StoreError::Unavailable) if there is no connection in time.
    pub(in crate::store) async fn take(&self) -> Result<HeldConnection> {
        let held = self.idle().as_mut().and_then(Vec::pop);
        if let Some(held) = held {
            if held.last_used.elapsed() < TEST_AFTER_IDLE {
                return Ok(held);
            }
            // The others were idle for longer. The pool would wait for an answer of a dead connection, so all are closed.
            let others = self.idle().as_mut().map(std::mem::take).unwrap_or_default();
            others.into_iter().chain([held]).for_each(HeldConnection::close);
        }
        let _waiting = self.register_pool_waiter();
        let acquired = self.pool.get_postgres_connection_pool().acquire().await;
        let connection = acquired.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(error.into())))?;
        let now = Instant::now();
        Ok(HeldConnection { connection, taken_from_pool: now, last_used: now })
    }

    /// Holds a connection whose last statement was answered. Any other connection has to be dropped: it goes back to its pool, which
    /// tests it.
    pub(in crate::store) fn hold(&self, held: HeldConnection) {
        let is_old = held.taken_from_pool.elapsed() > HELD_FOR;
        let mut idle = self.idle();
        if let Some(idle) = idle.as_mut().filter(|_| !is_old && !self.lacks_connections()) {
            idle.push(HeldConnection { last_used: Instant::now(), ..held });
        }
    }

    /// Registers a user that is going to take a connection of the pool itself. Does not wait. The user counts as waiting until
    /// the returned guard is dropped. If the pool has too few connections, it gets back a held one. There are as many connections
    /// as permits, so each that is waited for is held or will be free.
    pub(in crate::store) fn register_pool_waiter(&self) -> Waiting<'_> {
        let mut idle = self.idle();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let given_back = idle.as_mut().filter(|_| self.lacks_connections()).and_then(Vec::pop);
        drop(idle);
        // The pool would wait for an answer of a dead connection, so one that was idle for long is closed. The pool opens another.
        if let Some(old) = given_back.filter(|it| it.last_used.elapsed() >= TEST_AFTER_IDLE) {
            old.close();
        }
        Waiting(&self.waiting)
    }

    /// Whether more users wait for a connection of the pool than it has unused and may still open.
    fn lacks_connections(&self) -> bool {
        let pool = self.pool.get_postgres_connection_pool();
        let unopened = pool.options().get_max_connections().saturating_sub(pool.size()) as usize;
        self.waiting.load(Ordering::SeqCst) > pool.num_idle().saturating_add(unopened)
    }

    /// The number of connections that no statement uses.
    pub(in crate::store) fn idle_count(&self) -> usize {
        self.idle().as_ref().map_or(0, Vec::len)
    }

    /// Closes all held connections, and holds none any more.
    pub(in crate::store) fn close(&self) {
        let idle = self.idle().take().unwrap_or_default();
        idle.into_iter().for_each(HeldConnection::close);
    }

    fn idle(&self) -> MutexGuard<'_, Option<Vec<HeldConnection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeldConnection {
    fn close(mut self) {
        self.connection.close_on_drop();
    }
}
