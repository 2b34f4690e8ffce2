//! Hints between processes on one PostgreSQL that a programme has new events. A hint may be lost or arrive twice, so readers
//! also poll the record from time to time.

use std::collections::BTreeSet;

use sea_orm::sqlx::postgres::PgListener;
use sea_orm::{ConnectionTrait as _, DbBackend, SqlxError, Statement};

use crate::domain::ids::Programme;
use crate::store::{Backend, Result, Store, StoreError};

/// The channel. The payload is the name of a programme.
const CHANNEL: &str = "tsio_books";

/// Receives hints from every process on this database, including this one.
#[expect(missing_debug_implementations, reason = "the driver's listener has none")]
pub struct Hints(PgListener);

impl Store {
    /// Sends a hint for each programme, in a statement of its own after their commits: within a commit it would let all
    /// programmes of a cluster commit one at a time, since PostgreSQL orders transactions that notify by one lock, which
    /// it holds while the commit waits for its standby. This one waits for no disk and no standby.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: hints may be lost.
    pub async fn send_hints(&self, programmes: &BTreeSet<Programme>) -> Result<()> {
        let programmes: Vec<String> = programmes.iter().map(ToString::to_string).collect();
        let sql = "SELECT set_config('synchronous_commit', 'off', true), \
                   (SELECT COUNT(pg_notify($1, programme)) FROM unnest($2::text[]) AS programme)";
        let values = [CHANNEL.into(), programmes.into()];
        self.reads.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        Ok(())
    }

    /// Listens on a connection of its own, out of those for reading; nothing on SQLite, where no other process writes.
    pub async fn hints(&self) -> Result<Option<Hints>> {
        if self.backend == Backend::Sqlite {
            return Ok(None);
        }
        let mut listener = PgListener::connect_with(self.reads.get_postgres_connection_pool()).await.map_err(away)?;
        listener.listen(CHANNEL).await.map_err(away)?;
        Ok(Some(Hints(listener)))
    }
}

impl Hints {
    /// The programme of the next hint; `None` if the payload names none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the connection was lost, and with it hints: listen again.
    pub async fn next(&mut self) -> Result<Option<Programme>> {
        match self.0.try_recv().await.map_err(away)? {
            Some(hint) => Ok(hint.payload().parse().ok()),
            None => Err(StoreError::Unavailable("the connection for hints was lost".to_owned())),
        }
    }
}

fn away(error: SqlxError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
