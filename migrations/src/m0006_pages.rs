//! Adds indexes for listing the offers of a programme, or of one of its regions, page by page.
//!
//! Without these indexes SQLite, which has no statistics, reads and sorts all offers of the programme for each page.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(
            manager,
            "CREATE INDEX offers_by_id ON offers (programme, id);
             CREATE INDEX offers_by_region ON offers (programme, region, id)",
        )
        .await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}
