//! Allows referrals that the monthly files confirm. Such a referral has an offer but no decision.
//!
//! SQLite cannot change a CHECK, so the referrals are copied into a table that allows one more state. The same statements run
//! on PostgreSQL. Existing rows do not change.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, TABLE).await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}

const TABLE: &str = "
CREATE TABLE confirmable_referrals (
    id              {uuid} NOT NULL PRIMARY KEY,
    programme       TEXT NOT NULL,
    subject         TEXT NOT NULL,
    urns            TEXT NOT NULL,
    name            TEXT NOT NULL,
    region          TEXT NOT NULL,
    origin          TEXT NOT NULL,
    rule            TEXT NOT NULL,
    ground          TEXT NOT NULL,
    state           TEXT NOT NULL,
    raised_by       TEXT NOT NULL,
    raised_key      TEXT,
    raised_subject  {bytes},
    raised_on       {date} NOT NULL,
    raised_seq      {int} NOT NULL,
    discussions     TEXT NOT NULL,
    decided_by      TEXT,
    decided_key     TEXT,
    decided_subject {bytes},
    decided_on      {date},
    decided_seq     {int},
    offer_id        {uuid},
    exceptional     TEXT NOT NULL,
    version         {int} NOT NULL,
    CHECK (origin IN ('self_identified', 'exceptional')),
    CHECK (state IN ('open', 'approved', 'declined', 'withdrawn', 'confirmed')),
    CHECK ((state IN ('approved', 'declined')) = (decided_by IS NOT NULL)),
    CHECK ((decided_by IS NULL) = (decided_on IS NULL) AND (decided_by IS NULL) = (decided_seq IS NULL)),
    CHECK (decided_by <> raised_by),
    CHECK (decided_key <> raised_key),
    CHECK (decided_subject <> raised_subject),
    CHECK ((state IN ('approved', 'confirmed')) = (offer_id IS NOT NULL))
) {clustered};
INSERT INTO confirmable_referrals (id, programme, subject, urns, name, region, origin, rule, ground, state, raised_by, raised_key,
    raised_subject, raised_on, raised_seq, discussions, decided_by, decided_key, decided_subject, decided_on, decided_seq, offer_id,
    exceptional, version)
SELECT id, programme, subject, urns, name, region, origin, rule, ground, state, raised_by, raised_key, raised_subject, raised_on,
    raised_seq, discussions, decided_by, decided_key, decided_subject, decided_on, decided_seq, offer_id, exceptional, version
FROM referrals;
DROP TABLE referrals;
ALTER TABLE confirmable_referrals RENAME TO referrals;
CREATE UNIQUE INDEX one_open_referral_a_subject ON referrals (programme, subject) WHERE state = 'open';
CREATE INDEX referrals_by_region_and_state ON referrals (programme, region, state, id);
";
