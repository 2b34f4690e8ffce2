//! Adds an index for the entries that bring money into a fund or take it out, so that the entries of its awards need not be read.
//! Adds an index for the events that adopt rules.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, INDEXES).await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}

const INDEXES: &str = "
CREATE INDEX moved_on_fund ON entries (account_id, event_seq) WHERE verb IN ('allocate', 'withdraw') AND on_fund = {true};
-- The events that adopt a version of the rules: one for each version.
CREATE INDEX rules_adopted ON events (programme, seq) WHERE kind = 'rules_adopted';
";
