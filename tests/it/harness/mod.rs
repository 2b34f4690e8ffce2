//! What every scenario uses: its own database, the real binary that serves it, and the command line.
//!
//! This module has no scenario and no rule of the scheme. Its Rust code does not sleep: each wait is for an event.

mod database;
mod locked;
mod postgres;
pub(crate) mod process;
mod server;
mod sqlite;
mod stand_in;

pub(crate) use database::{Db, run, run_within};
pub(crate) use locked::{directory, lock_file};
pub(crate) use process::output_of;
pub(crate) use server::{Output, Server, cli, tsio};

/// The binary under test.
pub(crate) const TSIO: &str = env!("CARGO_BIN_EXE_tsio");

/// The whole number in this environment variable, such as a test's seed or size; `None` if it is not set. Panics if it
/// is not a whole number.
pub(crate) fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is not a whole number")))
}

/// Makes two tests from each named `async fn scenario(db: Db)`: `scenario::sqlite` and `scenario::postgres`.
macro_rules! both {
    ($($scenario:ident),+ $(,)?) => {$(
        mod $scenario {
            #[test]
            fn sqlite() {
                $crate::harness::run(super::$scenario($crate::harness::Db::sqlite()));
            }

            #[test]
            fn postgres() {
                $crate::harness::run(super::$scenario($crate::harness::Db::postgres()));
            }
        }
    )+};
}
pub(crate) use both;
