//! Lets approvals be denied, and creates the table of referrals.
//!
//! SQLite cannot change a CHECK, so the approvals are copied into a table that allows one more state. The same statements run
//! on PostgreSQL. Existing rows do not change.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, TABLES).await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}

const TABLES: &str = "
CREATE TABLE answered_approvals (
    id            {uuid} NOT NULL PRIMARY KEY,
    programme     TEXT,
    action        TEXT NOT NULL,
    subject       {uuid} NOT NULL,
    opened_seq    {int},
    reason        TEXT,
    state         TEXT NOT NULL,
    requested_by  TEXT NOT NULL,
    requested_at  {int} NOT NULL,
    given_by      TEXT,
    change        TEXT,
    request_id    {uuid},
    denied_seq    {int},
    denied_reason TEXT,
    CHECK (state IN ('open', 'carried_out', 'denied')),
    CHECK ((state = 'open') = (given_by IS NULL)),
    CHECK (given_by <> requested_by),
    CHECK ((programme IS NULL) = (opened_seq IS NULL)),
    CHECK (denied_seq IS NULL OR state = 'denied')
) {strict};
INSERT INTO answered_approvals (id, programme, action, subject, change, opened_seq, reason, state, requested_by, request_id,
    requested_at, given_by)
SELECT id, programme, action, subject, change, opened_seq, reason, state, requested_by, request_id, requested_at, given_by
FROM approvals;
DROP TABLE approvals;
ALTER TABLE answered_approvals RENAME TO approvals;
CREATE INDEX approvals_of_subject ON approvals (subject);
CREATE INDEX approvals_of_request ON approvals (request_id);

-- A school or trust that comes forward, or is put forward, although the monthly files do not make it eligible.
CREATE TABLE referrals (
    id          {uuid} NOT NULL PRIMARY KEY,
    programme   TEXT NOT NULL,
    subject     TEXT NOT NULL,
    urns        TEXT NOT NULL,
    name        TEXT NOT NULL,
    region      TEXT NOT NULL,
    origin      TEXT NOT NULL,
    rule        TEXT NOT NULL,
    ground      TEXT NOT NULL,
    state       TEXT NOT NULL,
    raised_by   TEXT NOT NULL,
    raised_on   {date} NOT NULL,
    raised_seq  {int} NOT NULL,
    discussions TEXT NOT NULL,
    decided_by  TEXT,
    decided_on  {date},
    decided_seq {int},
    offer_id    {uuid},
    exceptional TEXT NOT NULL,
    version     {int} NOT NULL,
    CHECK (origin IN ('self_identified', 'exceptional')),
    CHECK (state IN ('open', 'approved', 'declined', 'withdrawn')),
    CHECK ((state IN ('approved', 'declined')) = (decided_by IS NOT NULL)),
    CHECK ((decided_by IS NULL) = (decided_on IS NULL) AND (decided_by IS NULL) = (decided_seq IS NULL)),
    CHECK (decided_by <> raised_by),
    CHECK ((state = 'approved') = (offer_id IS NOT NULL))
) {clustered};
CREATE UNIQUE INDEX one_open_referral_a_subject ON referrals (programme, subject) WHERE state = 'open';
CREATE INDEX referrals_by_region_and_state ON referrals (programme, region, state, id);
";
