//! Adds the version of the rules that each programme has adopted, and key columns by which people are compared.
//!
//! A migration never writes events. After the migration, the program writes the event with which a programme adopts the rules.
//! Existing rows have no keys, so the CHECKs that compare keys do not restrict them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, COLUMNS).await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}

const COLUMNS: &str = "
ALTER TABLE books ADD COLUMN rules {int} NOT NULL DEFAULT 1 CHECK (rules >= 1);

-- New columns: the id in the form that is compared and the hashed token subject, by which the second person must differ;
-- the statement and the expiry. The requester may withdraw an approval. SQLite cannot change a CHECK, so the table is copied.
CREATE TABLE stated_approvals (
    id                {uuid} NOT NULL PRIMARY KEY,
    programme         TEXT,
    action            TEXT NOT NULL,
    subject           {uuid} NOT NULL,
    opened_seq        {int},
    reason            TEXT,
    state             TEXT NOT NULL,
    requested_by      TEXT NOT NULL,
    requested_key     TEXT,
    requested_subject {bytes},
    requested_at      {int} NOT NULL,
    given_by          TEXT,
    given_key         TEXT,
    given_subject     {bytes},
    change            TEXT,
    statement         TEXT,
    expires_at        {int},
    request_id        {uuid},
    denied_seq        {int},
    denied_reason     TEXT,
    CHECK (state IN ('open', 'carried_out', 'denied', 'withdrawn')),
    CHECK ((state IN ('carried_out', 'denied')) = (given_by IS NOT NULL)),
    CHECK (given_by <> requested_by),
    CHECK (given_key <> requested_key),
    CHECK (given_subject <> requested_subject),
    CHECK ((programme IS NULL) = (opened_seq IS NULL)),
    CHECK (denied_seq IS NULL OR state = 'denied')
) {strict};
INSERT INTO stated_approvals (id, programme, action, subject, opened_seq, reason, state, requested_by, requested_at, given_by,
    change, request_id, denied_seq, denied_reason)
SELECT id, programme, action, subject, opened_seq, reason, state, requested_by, requested_at, given_by, change, request_id,
    denied_seq, denied_reason
FROM approvals;
DROP TABLE approvals;
ALTER TABLE stated_approvals RENAME TO approvals;
CREATE INDEX approvals_of_subject ON approvals (subject);
CREATE INDEX approvals_of_request ON approvals (request_id);
-- Open approvals have no statement, so they expire: here those about imports, and those of a programme when it adopts the
-- rules.
UPDATE approvals SET expires_at = requested_at WHERE state = 'open' AND programme IS NULL;

-- A request that opened an approval is stored without an answer until the approval is carried out.
ALTER TABLE requests ADD COLUMN approval {uuid};

ALTER TABLE referrals ADD COLUMN raised_key TEXT;
ALTER TABLE referrals ADD COLUMN raised_subject {bytes};
ALTER TABLE referrals ADD COLUMN decided_key TEXT CHECK (decided_key <> raised_key);
ALTER TABLE referrals ADD COLUMN decided_subject {bytes} CHECK (decided_subject <> raised_subject);
";
