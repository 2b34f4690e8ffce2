//! What every scenario stands on: a database of its own, the real binary serving it, and its command line.
//!
//! No scenario and no rule of the scheme lives here. Nothing here sleeps: each wait is for an event, with a bound.

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

/// A whole number that the environment sets for a test, such as its seed or its size.
pub(crate) fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is no number")))
}

/// Makes of each `async fn scenario(db: Db)` named two tests, `scenario::sqlite` and `scenario::postgres`.
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
