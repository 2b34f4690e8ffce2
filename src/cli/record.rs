//! `tsio record`: erase the free text of an event.

use clap::Subcommand;
use serde::Serialize;

use super::args::PROGRAMME;
use super::errors::Failure;
use super::names::choice;
use super::output::{View, facts};
use super::session::Session;
use crate::proto::{EraseTextRequest, EraseTextResponse, ErasureReason};

/// A command about the record.
#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// Erase the free text of an event, and record who did and why
    #[command(after_help = "Example:\n  tsio record erase-text 21 --reason personal-data --roles administrator")]
    EraseText {
        /// The event whose text it is, by its number
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        sequence: i64,
        /// Why
        #[arg(long, value_parser = choice::<ErasureReason>())]
        reason: ErasureReason,
        /// The programme
        #[arg(long, value_name = "PROGRAMME", default_value = PROGRAMME)]
        programme: String,
    },
}

pub(super) async fn run(command: RecordCommand, session: &Session<'_>) -> Result<(), Failure> {
    let RecordCommand::EraseText { sequence, reason, programme } = command;
    let request = EraseTextRequest {
        request_id: session.request_id(),
        programme,
        sequence,
        reason: reason.into(),
        ..Default::default()
    };
    let answer = session.services.record().erase_text(session.call(request)).await?.into_inner();
    session.print(&ErasedView::from(answer))
}

#[derive(Debug, Serialize)]
struct ErasedView {
    programme: String,
    sequence: i64,
}

impl From<EraseTextResponse> for ErasedView {
    fn from(answer: EraseTextResponse) -> Self {
        Self { programme: answer.programme, sequence: answer.sequence }
    }
}

impl View for ErasedView {
    fn text(&self) -> String {
        facts([("programme", self.programme.clone()), ("text erased of event", self.sequence.to_string())])
    }
}
