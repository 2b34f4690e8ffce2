//! Contains one programme: its state, its commands, and the changes that each command makes.
//!
//! [`ProgrammeState`] holds all data that a batch of commands needs. [`ProgrammeState::decide`] decides one command and
//! [`ProgrammeState::apply`] applies its events, so that the next command of the batch sees them.

mod account_days;
mod apply;
mod batch_snapshot;
pub mod candidates;
pub mod command;
mod context;
pub mod decide;
pub mod decision;
pub mod entry_school;
mod error;
mod holdings;
pub mod opening;
pub mod replay;
mod state;
#[cfg(test)]
pub(crate) mod tests;

pub use account_days::AccountDays;
pub use command::Command;
pub use context::Context;
pub use decision::{CommandAnswer, Decision};
pub use error::{CommandError, unknown_name};
pub use replay::reconstruct::main_event;
pub use state::{
    EventText, ProgrammeHeader, ProgrammeState, RegisterAnswer, ResponsibleAnswer, TrustAnswer, UnapprovedMovement,
};
