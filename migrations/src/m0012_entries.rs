//! Entry positions that two people decided, of schools of which the files cannot say it; and the region of an approval that
//! asks for one.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, ENTRIES).await
    }

    fn use_transaction(&self) -> Option<bool> {
        crate::WHOLE
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

-- Where an approval lies: the region of the school whose entry position it decides. Of every other it is empty.
ALTER TABLE approvals ADD COLUMN region TEXT;
";
