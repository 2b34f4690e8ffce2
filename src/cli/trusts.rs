//! `tsio trusts`: finds trusts, and shows one with its schools.

use clap::Subcommand;

use super::args::ListOutput;
use super::errors::Failure;
use super::json;
use super::session::{FOUND_ROWS, Session, page_size_for, pages_up_to};
use super::view::schools;
use crate::proto::{GetTrustRequest, ListTrustsRequest};

/// A command about trusts.
#[derive(Debug, Subcommand)]
pub enum TrustsCommand {
    /// Find trusts by UID, or by a part of the name
    #[command(after_help = "Example:\n  tsio trusts find \"learning partnership\"")]
    Find {
        /// A UID, or part of a name; at least 2 characters
        text: String,
        #[command(flatten)]
        output: ListOutput,
    },
    /// Show one trust with its schools in the newest register
    #[command(after_help = "Example:\n  tsio trusts show 2044")]
    Show {
        /// The group UID of the trust
        #[arg(value_parser = clap::value_parser!(i32).range(1..))]
        uid: i32,
    },
}

pub(super) async fn run(command: TrustsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        TrustsCommand::Find { text, output } => {
            let output = output.or_limit(FOUND_ROWS);
            let limit = session.row_limit(&output);
            let page_size = page_size_for(limit);
            let found = pages_up_to(limit, async |page_token| {
                let request = ListTrustsRequest { search: text.clone(), page_size, page_token };
                let answer = session.services.register().list_trusts(session.call(request)).await?.into_inner();
                Ok((answer.trusts, answer.next_page_token))
            });
            let (found, has_more) = found.await?;
            session.print_list(&found, &output, json::of, schools::trusts)?;
            session.remark_more(has_more);
            Ok(())
        }
        TrustsCommand::Show { uid } => {
            let answer =
                session.services.register().get_trust(session.call(GetTrustRequest { uid })).await?.into_inner();
            session.print(|| json::of(&answer), || schools::trust(&answer))
        }
    }
}
