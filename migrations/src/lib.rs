//! Creates and changes the schema of the `tsio` database, for SQLite and PostgreSQL.
//!
//! Each migration is an SQL text. The few words in which the two databases differ are written as `{placeholders}`.
//! Migrations never write events or entries. A change first adds to the schema, and a later release removes what is old. The exception
//! is `m0015`: no release reads the column that it drops.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub use sea_orm_migration::MigratorTrait;

mod m0001_record;
mod m0002_register;
mod m0003_money;
mod m0004_decisions;
mod m0005_lists;
mod m0006_pages;
mod m0007_people;
mod m0008_referrals;
mod m0009_claims;
mod m0010_dates;
mod m0011_moved;
mod m0012_entries;
mod m0013_register_record;
mod m0014_erased;
mod m0015_fewer_rows;
pub mod tables;

/// Lists all migrations, from the first to the last.
#[derive(Debug, Clone, Copy)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_record::Migration),
            Box::new(m0002_register::Migration),
            Box::new(m0003_money::Migration),
            Box::new(m0004_decisions::Migration),
            Box::new(m0005_lists::Migration),
            Box::new(m0006_pages::Migration),
            Box::new(m0007_people::Migration),
            Box::new(m0008_referrals::Migration),
            Box::new(m0009_claims::Migration),
            Box::new(m0010_dates::Migration),
            Box::new(m0011_moved::Migration),
            Box::new(m0012_entries::Migration),
            Box::new(m0013_register_record::Migration),
            Box::new(m0014_erased::Migration),
            Box::new(m0015_fewer_rows::Migration),
        ]
    }
}

/// Makes the migrator run each migration in a transaction. By default it does so only on PostgreSQL, and a migration that fails
/// half-way on SQLite could neither be rolled back nor run again.
const IN_TRANSACTION: Option<bool> = Some(true);

/// Runs the statements of a text, after replacing its placeholders for the database in use.
async fn run(manager: &SchemaManager<'_>, text: &str) -> Result<(), DbErr> {
    let placeholders = match manager.get_database_backend() {
        DbBackend::Sqlite => [
            ("{uuid}", "BLOB"),
            ("{bytes}", "BLOB"),
            ("{date}", "TEXT"),
            ("{int}", "INTEGER"),
            ("{bool}", "INTEGER"),
            ("{true}", "1"),
            ("{strict}", "STRICT"),
            ("{clustered}", "STRICT, WITHOUT ROWID"),
        ],
        DbBackend::Postgres => [
            ("{uuid}", "UUID"),
            ("{bytes}", "BYTEA"),
            ("{date}", "DATE"),
            ("{int}", "BIGINT"),
            ("{bool}", "BOOLEAN"),
            ("{true}", "TRUE"),
            ("{strict}", ""),
            ("{clustered}", ""),
        ],
        other => return Err(DbErr::Custom(format!("{other:?} is not supported: use SQLite or PostgreSQL"))),
    };
    let text = placeholders.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
    manager.get_connection().execute_unprepared(&text).await.map(|_| ())
}
