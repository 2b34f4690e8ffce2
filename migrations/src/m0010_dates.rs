//! Adds the data for checks of the order of dates: the day on which delivery under an offer started, and the daily changes of accounts.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, DATES).await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}

const DATES: &str = "
ALTER TABLE offers ADD COLUMN started_on {date};
-- An offer starts at most once: reopening a closed offer returns it to its old state.
UPDATE offers SET started_on = (SELECT MAX(e.effective_on) FROM events e
    WHERE e.offer_id = offers.id AND e.kind = 'started')
WHERE id IN (SELECT e.offer_id FROM events e WHERE e.kind = 'started' AND e.offer_id IS NOT NULL);

-- By how much the entries of each effective date changed the available amount of an account, to compute it as of a day.
-- Two things are left out: the allocation of a cap by the terms, which counts on every day, and accounts that do not bind.
-- No foreign keys: see m0003.
CREATE TABLE account_days (
    account_id {uuid} NOT NULL,
    on_day     {date} NOT NULL,
    programme  TEXT NOT NULL,
    change     {int} NOT NULL,
    PRIMARY KEY (account_id, on_day)
) {clustered};
INSERT INTO account_days (account_id, on_day, programme, change)
SELECT e.account_id, v.effective_on, e.programme,
    CAST(SUM(CASE WHEN e.verb IN ('allocate', 'release', 'refund') THEN e.amount ELSE -e.amount END) AS {int})
FROM entries e
JOIN events v ON v.programme = e.programme AND v.seq = e.event_seq
JOIN accounts a ON a.id = e.account_id
WHERE a.binds AND e.verb <> 'spend' AND NOT (a.owner = 'cap' AND e.verb = 'allocate')
GROUP BY e.account_id, v.effective_on, e.programme;
";
