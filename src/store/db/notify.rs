//! Sends and receives hints between processes on one PostgreSQL database. A hint says that a programme has new events. It may be
//! lost or arrive twice, so readers also poll the record from time to time.

use std::collections::BTreeSet;

use sea_orm::SqlxError;
use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgListener;

use crate::domain::ids::Programme;
use crate::store::{Backend, Result, Store, StoreError};

/// The channel for hints. The payload of a hint is the name of a programme.
const CHANNEL: &str = "tsio_books";

/// Receives hints from every process on this database, including this one.
#[expect(missing_debug_implementations, reason = "the driver's listener has none")]
pub struct Hints(PgListener);

impl Store {
    /// Sends a hint for each programme. Only for PostgreSQL. The hints have their own statement, after the commits of the programmes:
    /// transactions that notify take one lock of the cluster, which PostgreSQL holds while their commit waits for the standby. Hints
    /// within a commit would thus make all programmes commit one at a time. This statement waits for no disk and no standby.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the hints may be lost.
    pub async fn send_hints(&self, programmes: &BTreeSet<Programme>) -> Result<()> {
        let Some(held) = &self.hint_connections else { return Ok(()) };
        let programmes: Vec<String> = programmes.iter().map(ToString::to_string).collect();
        let sql = "SELECT set_config('synchronous_commit', 'off', true), \
                   (SELECT COUNT(pg_notify($1, programme)) FROM unnest($2::text[]) AS programme)";
        let mut taken = held.take().await?;
        let statement = sqlx::query(sql).bind(CHANNEL).bind(programmes);
        statement.fetch_one(&mut *taken.connection).await.map_err(unavailable)?;
        held.hold(taken);
        Ok(())
    }

    /// Begins to listen for hints, on a connection that is taken from the pool for reading. `None` on SQLite, where no other process
    /// writes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn hints(&self) -> Result<Option<Hints>> {
        if self.backend == Backend::Sqlite {
            return Ok(None);
        }
        let mut listener =
            PgListener::connect_with(self.reads.get_postgres_connection_pool()).await.map_err(unavailable)?;
        listener.listen(CHANNEL).await.map_err(unavailable)?;
        Ok(Some(Hints(listener)))
    }
}

impl Hints {
    /// Waits for the next hint and returns its programme; `None` if the payload is not the name of a programme.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the connection was lost. Hints may be lost with it, and the caller must listen again.
    pub async fn next(&mut self) -> Result<Option<Programme>> {
        match self.0.try_recv().await.map_err(unavailable)? {
            Some(hint) => Ok(hint.payload().parse().ok()),
            None => Err(StoreError::Unavailable("the connection for hints was lost".to_owned())),
        }
    }
}

fn unavailable(error: SqlxError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
