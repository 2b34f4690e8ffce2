//! `tsio record`: erases the free text of an event.

use clap::Subcommand;

use super::errors::Failure;
use super::json;
use super::names::choice;
use super::output::field_lines;
use super::session::Session;
use crate::proto::{EraseTextRequest, ErasureReason};

/// A command about the record.
#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// Erase the free text of an event, and record who has erased it and why
    #[command(after_help = "Example:\n  tsio record erase-text 21 --reason personal-data --roles administrator")]
    EraseText {
        /// The number of the event
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        sequence: i64,
        /// The reason
        #[arg(long, value_parser = choice::<ErasureReason>())]
        reason: ErasureReason,
    },
}

pub(super) async fn run(command: RecordCommand, session: &Session<'_>) -> Result<(), Failure> {
    let RecordCommand::EraseText { sequence, reason } = command;
    let request = EraseTextRequest {
        request_id: session.request_id(),
        programme: session.programme(),
        sequence,
        reason: reason.into(),
        ..Default::default()
    };
    let answer = session.services.record().erase_text(session.call(request)).await?.into_inner();
    let (programme, event) = (answer.programme.clone(), answer.sequence.to_string());
    session.print(|| json::of(&answer), || field_lines([("programme", programme), ("text erased of event", event)]))
}
