//! Pages of all of a programme's offers, and of a region's, found in their order.
//!
//! Without these, SQLite, which has no statistics, reads all of the programme for each page and puts it in order.

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
        crate::WHOLE
    }
}
