//! Adds columns for what an award no longer writes as rows of its own: entries of caps lie in the row of their event, and the daily
//! changes of a cap in its own row. Drops the version of an offer, which is the number of its last event that changes the etag.
//!
//! Older rows of caps in `entries` stay as they are.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, COLUMNS).await?;
        let days = match manager.get_database_backend() {
            DbBackend::Postgres => DAYS_POSTGRES,
            _ => DAYS_SQLITE,
        };
        crate::run(manager, days).await?;
        crate::run(
            manager,
            "DELETE FROM account_days WHERE account_id IN (SELECT id FROM accounts WHERE owner = 'cap')",
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}

const COLUMNS: &str = "
-- First the table that most reads lock first, so that a read and this migration do not wait for each other.
ALTER TABLE offers DROP COLUMN version;
-- The entries of caps, as JSON: [[number, account, verb, amount], ..]. NULL for an event without such entries, and for older events,
-- whose entries of caps are rows of `entries`.
ALTER TABLE events ADD COLUMN cap_entries TEXT;
-- By how much the entries of each effective date changed what is available in a cap, as JSON: [[day, change], ..]. NULL for a fund, whose
-- changes are rows of `account_days`, and for a cap without changes.
ALTER TABLE accounts ADD COLUMN days TEXT;
";

const DAYS_SQLITE: &str = "
UPDATE accounts SET days = (SELECT json_group_array(json_array(on_day, change)) FROM
    (SELECT on_day, change FROM account_days WHERE account_id = accounts.id AND change <> 0 ORDER BY on_day))
WHERE owner = 'cap' AND EXISTS (SELECT 1 FROM account_days WHERE account_id = accounts.id AND change <> 0);
";

const DAYS_POSTGRES: &str = "
-- No award writes to an offer's row any more, so its pages need no free space for new versions.
ALTER TABLE offers RESET (fillfactor);
UPDATE accounts SET days = d.days FROM (
    SELECT account_id, REPLACE(json_agg(json_build_array(on_day, change) ORDER BY on_day)::text, ' ', '') AS days
    FROM account_days WHERE change <> 0 GROUP BY account_id) d
WHERE d.account_id = accounts.id AND owner = 'cap';
";
