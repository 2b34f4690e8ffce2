//! Which version of the rules each programme has adopted.
//!
//! The program that migrates writes the event itself, after the schema: a migration never writes events.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, "ALTER TABLE books ADD COLUMN rules {int} NOT NULL DEFAULT 1 CHECK (rules >= 1)").await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::WHOLE
    }
}
