//! Adds an index for listing offers in the order of their names, page by page.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, "CREATE INDEX offers_by_name ON offers (programme, name, id)").await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}
