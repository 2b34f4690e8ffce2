//! Creates the table of entry positions that two people decided because the files do not show them. Adds the region of an approval
//! for such a decision.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, ENTRIES).await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::IN_TRANSACTION
    }
}

const ENTRIES: &str = "
CREATE TABLE entry_decisions (
    programme  TEXT NOT NULL REFERENCES books (programme),
    urn        {int} NOT NULL,
    met        {bool} NOT NULL,
    approval   {uuid} NOT NULL,
    decided_on {date} NOT NULL,
    seq        {int} NOT NULL,
    PRIMARY KEY (programme, urn)
) {strict};
CREATE INDEX entry_decisions_of_school ON entry_decisions (urn);

-- The region of the school whose entry position the approval decides. NULL for all other approvals.
ALTER TABLE approvals ADD COLUMN region TEXT;
";
