//! Reads and updates the version of the schema. `tsio migrate` updates it, and `tsio serve` checks it.

use std::sync::LazyLock;

use migrations::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait, TransactionTrait as _};

use super::answer_check;
use crate::store::{Backend, Result, Store, StoreError};

/// Advisory lock number that keeps two migrating processes apart on PostgreSQL ("tsio" in ASCII).
const ADVISORY_LOCK: i64 = 0x7473_696f;

/// The newest migration that this program knows.
static NEWEST: LazyLock<String> =
    LazyLock::new(|| Migrator::migrations().last().map(|it| it.name().to_owned()).unwrap_or_default());
/// The newest migration of the database, as an expression of PostgreSQL. A newer server may migrate a PostgreSQL database while
/// older servers run. A SQLite file has only one server, so there is nothing to check.
pub(in crate::store) const APPLIED: &str = "(SELECT MAX(version) FROM seaql_migrations)";
/// The statement that takes a migration's first lock. The first statement of every writer takes a weaker lock that conflicts with it.
/// So each writer either ends before the schema changes, or begins afterwards and sees the new version. Reads are not
/// blocked.
const EXCLUDE_WRITERS: &str =
    "DO $$ BEGIN IF to_regclass('books') IS NOT NULL THEN LOCK TABLE books IN EXCLUSIVE MODE; END IF; END $$";
/// The statement that takes the weaker lock, for writers whose first statement does not lock a programme's row.
const JOIN_WRITERS: &str = "LOCK TABLE books IN ROW SHARE MODE";

/// Checks that this program knows the version of the schema.
///
/// # Errors
/// [`StoreError::Outdated`] if `applied`, the database's newest migration, is newer than this program.
pub(in crate::store) fn check_known(applied: &str) -> Result<()> {
    if applied > NEWEST.as_str() { Err(StoreError::Outdated(applied.to_owned())) } else { Ok(()) }
}

/// The newest migration that this program knows.
pub(in crate::store) fn newest() -> &'static str {
    NEWEST.as_str()
}

/// The version of a database's schema, compared with this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// The version of this program.
    Current,
    /// These migrations are missing.
    Old(Vec<String>),
    /// It has migrations that this program does not know.
    Newer(Vec<String>),
}

impl Store {
    /// Reads the version of the schema. Writes nothing.
    pub async fn version(&self) -> Result<Version> {
        let known: Vec<String> = Migrator::migrations().iter().map(|it| it.name().to_owned()).collect();
        let rows = self.writes.query_all_raw(self.text("SELECT version FROM seaql_migrations ORDER BY version")).await;
        let applied: Vec<String> = match rows {
            Ok(rows) => rows.iter().map(|row| row.try_get_by_index(0)).collect::<std::result::Result<_, _>>()?,
            Err(error) => match StoreError::from(error) {
                // The table does not exist: the database was never migrated.
                StoreError::Unusable(_) => Vec::new(),
                other => return Err(other),
            },
        };
        let newer: Vec<String> = applied.iter().filter(|it| !known.contains(it)).cloned().collect();
        let missing: Vec<String> = known.into_iter().filter(|it| !applied.contains(it)).collect();
        Ok(if !newer.is_empty() {
            Version::Newer(newer)
        } else if missing.is_empty() {
            Version::Current
        } else {
            Version::Old(missing)
        })
    }

    /// Migrates the schema to the newest version. If two processes migrate at the same time, the second waits for the first.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] for a schema newer than this program.
    pub async fn migrate(&self) -> Result<()> {
        if let Version::Newer(names) = self.version().await? {
            let names = names.join(", ");
            return Err(StoreError::Unusable(format!("the database is newer than this program: it has {names}")));
        }
        if self.version().await? == Version::Current {
            return Ok(());
        }
        match self.backend {
            Backend::Sqlite => Migrator::up(&self.writes, None).await?,
            Backend::Postgres => {
                #[expect(clippy::disallowed_methods, reason = "a migration is PostgreSQL's own kind of transaction")]
                let tx = self.writes.begin().await?;
                // Waiting for the migration of another process has no timeout.
                tx.execute_unprepared("SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0").await?;
                tx.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")).await?;
                tx.execute_unprepared(EXCLUDE_WRITERS).await?;
                Migrator::up(&tx, None).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// Checks that this program still knows the schema.
    ///
    /// # Errors
    /// [`StoreError::Outdated`] if a newer program has migrated; [`StoreError::Unavailable`].
    pub(in crate::store) async fn check_still_known(&self, on: &impl ConnectionTrait) -> Result<()> {
        let applied = on.query_one_raw(self.text(&format!("SELECT {APPLIED}"))).await?;
        let applied = applied.ok_or_else(answer_check::out_of_step)?.try_get_by_index::<Option<String>>(0)?;
        applied.map_or(Ok(()), |it| check_known(&it))
    }

    /// Checks that this program still knows the schema, and keeps migrations from running until the writer's transaction ends.
    ///
    /// # Errors
    /// As [`Store::check_still_known`].
    pub(in crate::store) async fn lock_schema(&self, on: &impl ConnectionTrait) -> Result<()> {
        on.execute_unprepared(JOIN_WRITERS).await?;
        self.check_still_known(on).await
    }

    fn text(&self, sql: &str) -> sea_orm::Statement {
        sea_orm::Statement::from_string(self.db_backend(), sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Use;

    #[test]
    fn a_schema_is_known_up_to_the_newest_migration() {
        let names: Vec<String> = Migrator::migrations().iter().map(|it| it.name().to_owned()).collect();
        assert!(names.is_sorted(), "migrations are compared by name: {names:?}");
        assert!(names.iter().all(|it| check_known(it).is_ok()));
        assert!(matches!(check_known("m9999_of_the_future"), Err(StoreError::Outdated(_))));
    }

    #[tokio::test]
    async fn a_migration_that_fails_half_way_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("tsio.db").display()), Use::Serve).await.unwrap();
        Migrator::up(&store.writes, Some(2)).await.unwrap();
        let before = store.version().await.unwrap();
        // The third migration makes its other tables, and then fails to make this one.
        store.writes.execute_unprepared("CREATE TABLE invoices (number INTEGER)").await.unwrap();
        assert!(store.migrate().await.is_err());
        assert!(matches!(before, Version::Old(_)));
        assert_eq!(store.version().await.unwrap(), before);
        store.writes.execute_unprepared("DROP TABLE invoices").await.unwrap();
        store.migrate().await.unwrap();
        assert_eq!(store.version().await.unwrap(), Version::Current);
    }

    /// This is why migrations are kept as they are (ADR 0041). If they were merged into one migration with a new name, the program
    /// could not open a database that has applied the old ones. Running servers of older versions would stop only if the new name
    /// came last.
    #[tokio::test]
    async fn a_database_whose_migration_this_program_lacks_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("tsio.db").display()), Use::Serve).await.unwrap();
        store.migrate().await.unwrap();
        let applied = "INSERT INTO seaql_migrations VALUES ('m0003_dropped', 0)";
        store.writes.execute_unprepared(applied).await.unwrap();
        let refused = Migrator::up(&store.writes, None).await.unwrap_err().to_string();
        assert!(refused.contains("m0003_dropped") && refused.contains("missing"), "the migrator itself: {refused}");
        assert_eq!(store.version().await.unwrap(), Version::Newer(vec!["m0003_dropped".to_owned()]));
        assert!(matches!(store.migrate().await, Err(StoreError::Unusable(_))));
        store.check_still_known(&store.writes).await.unwrap();
        let last = "UPDATE seaql_migrations SET version = 'm9999_dropped' WHERE version = 'm0003_dropped'";
        store.writes.execute_unprepared(last).await.unwrap();
        let outdated = store.check_still_known(&store.writes).await;
        assert!(
            matches!(outdated, Err(StoreError::Outdated(_))),
            "a running server stops at a later name: {outdated:?}"
        );
    }

    /// The fourth migration copies the approvals into a table that allows one state more.
    #[tokio::test]
    async fn approvals_are_kept_when_their_table_is_rebuilt() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("tsio.db").display()), Use::Serve).await.unwrap();
        Migrator::up(&store.writes, Some(3)).await.unwrap();
        let rows = "INSERT INTO approvals (id, programme, action, subject, opened_seq, reason, state, requested_by, \
                    requested_at, given_by, change, request_id) VALUES \
                    (x'0190a4c17d3e7c558f0e3a5b6c7d8e9f', '2021-22', 'reopen_offer', x'0190a4c17d3e7c558f0e3a5b6c7d8e90', 7, \
                     NULL, 'carried_out', 'ann', 5, 'ben', NULL, x'0190a4c17d3e7c558f0e3a5b6c7d8e91'), \
                    (x'0190a4c17d3e7c558f0e3a5b6c7d8e92', NULL, 'withdraw_import', x'0190a4c17d3e7c558f0e3a5b6c7d8e93', NULL, \
                     'wrong month', 'open', 'cy', 6, NULL, NULL, NULL)";
        store.writes.execute_unprepared(rows).await.unwrap();
        store.migrate().await.unwrap();
        let id = |text: &str| crate::domain::ids::ApprovalId(text.parse().unwrap());
        let ids = ["0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f", "0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e92"].map(id);
        let mut kept = crate::store::approvals::find(&store, &ids, &[], &[]).await.unwrap();
        kept.sort_by_key(|it| it.requested_at.0);
        let shown = |it: &crate::domain::approval::Approval| {
            let by = it.state.answered_by().map(ToString::to_string);
            (
                it.action.to_string(),
                it.opened.map(|seq| seq.0),
                it.reason.clone(),
                it.state.name(),
                by,
                it.request.is_some(),
            )
        };
        let expected = [
            ("reopen_offer".to_owned(), Some(7), None, "carried_out", Some("ben".to_owned()), true),
            ("withdraw_import".to_owned(), None, Some("wrong month".to_owned()), "open", None, false),
        ];
        assert_eq!(kept.iter().map(shown).collect::<Vec<_>>(), expected);
    }
}
