//! Adds the columns of claims (the issuer and the total of an invoice, and the number of the payment, `part`), and columns about
//! leaders.
//!
//! Existing rows do not change. They have no part, so the unique index of parts does not restrict them. The index of invoices that
//! one draw pays covers the same rows as before, and new rows without a total.

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
-- In a row with a part, `provider` is the key of the issuer; without a part it is the provider's name, as before.
ALTER TABLE invoices ADD COLUMN issuer TEXT;
ALTER TABLE invoices ADD COLUMN printed TEXT;
ALTER TABLE invoices ADD COLUMN total {int} CHECK (total >= amount);
ALTER TABLE invoices ADD COLUMN part {int} CHECK (part >= 1);

-- An invoice without a total is paid by one draw, in any programme, until all of it has been refunded.
DROP INDEX one_payment_an_invoice;
CREATE UNIQUE INDEX one_payment_an_invoice ON invoices (provider, reference) WHERE refunded < amount AND total IS NULL;
-- The payments of an invoice are numbered over all programmes. If two are decided at the same time, the second finds its
-- number used and is decided again. Payments are looked up by reference.
CREATE UNIQUE INDEX one_payment_a_part ON invoices (reference, provider, part);

-- The leader of fees in the form that is compared; NULL in existing rows. A leader is funded once in a programme, unless
-- the whole award was released or refunded.
ALTER TABLE awards ADD COLUMN leader_key TEXT;
CREATE UNIQUE INDEX one_funded_award_a_leader ON awards (programme, leader_key)
    WHERE leader_key IS NOT NULL AND awarded > released + refunded;
CREATE INDEX awards_of_fees ON awards (programme, leader_key) WHERE strand = 'npqel';

-- Whether a leader is a national leader of education or an equivalent; NULL if that is not recorded.
ALTER TABLE bookings ADD COLUMN leader_kind TEXT;
";
