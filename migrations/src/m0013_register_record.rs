//! Creates the tables for the record of reference data, `register`. Its events form a hash chain like those of a programme. The
//! head of the record is in the row that requests lock when they land or withdraw an import.
//!
//! A migration never writes events. The program that migrates writes an event for each existing import afterwards.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, TABLES).await?;
        let guards = match manager.get_database_backend() {
            DbBackend::Postgres => APPEND_ONLY_POSTGRES,
            _ => APPEND_ONLY_SQLITE,
        };
        crate::run(manager, guards).await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}

const TABLES: &str = "
-- The head of the record: the number of its next event, and the hash of the last one, which is NULL before the first.
ALTER TABLE register_lock ADD COLUMN next_seq {int} NOT NULL DEFAULT 1 CHECK (next_seq >= 1);
ALTER TABLE register_lock ADD COLUMN head {bytes} CHECK ((head IS NULL) = (next_seq = 1));

-- Append-only, numbered without gaps. The hash of each row covers the hash of the previous row.
CREATE TABLE register_events (
    seq          {int} NOT NULL PRIMARY KEY,
    kind         TEXT NOT NULL,
    actor        TEXT NOT NULL,
    request_id   {uuid} NOT NULL,
    effective_on {date} NOT NULL,
    recorded_at  {int} NOT NULL,
    text_hash    {bytes},
    body         TEXT NOT NULL,
    hash         {bytes} NOT NULL
) {strict};

-- The salts of the texts of these events. The texts are stored with the approvals and the withdrawn imports.
CREATE TABLE register_salts (
    seq         {int} NOT NULL PRIMARY KEY REFERENCES register_events (seq),
    salt        {bytes} NOT NULL
) {strict};
";

const APPEND_ONLY_SQLITE: &str = "
CREATE TRIGGER register_events_are_not_replaced BEFORE INSERT ON register_events
WHEN EXISTS (SELECT 1 FROM register_events WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'register_events is append-only'); END;
CREATE TRIGGER register_events_are_not_updated BEFORE UPDATE ON register_events
BEGIN SELECT RAISE(ABORT, 'register_events is append-only'); END;
CREATE TRIGGER register_events_are_not_deleted BEFORE DELETE ON register_events
BEGIN SELECT RAISE(ABORT, 'register_events is append-only'); END;
";

const APPEND_ONLY_POSTGRES: &str = "
CREATE TRIGGER register_events_are_not_changed BEFORE UPDATE OR DELETE ON register_events
FOR EACH ROW EXECUTE FUNCTION append_only();
CREATE TRIGGER register_events_are_not_truncated BEFORE TRUNCATE ON register_events
FOR EACH STATEMENT EXECUTE FUNCTION append_only();
";
