//! `tsio schools`: finds schools, shows one with its history, and places one that the register does not place.

use clap::Subcommand;

use super::args::ListOutput;
use super::errors::Failure;
use super::json;
use super::names::choice;
use super::session::{FOUND_ROWS, Session, page_size_for, pages_up_to};
use super::view::schools;
use crate::proto::{GetSchoolRequest, ListSchoolsRequest, PlaceSchoolRequest, Placement};

/// A command about schools.
#[derive(Debug, Subcommand)]
pub enum SchoolsCommand {
    /// Find schools by URN, or by a part of the name
    #[command(after_help = "Example:\n  tsio schools find \"st mary\"")]
    Find {
        /// A URN, or part of a name; at least 2 characters
        text: String,
        #[command(flatten)]
        output: ListOutput,
    },
    /// Show one school with its trusts, judgements and predecessors
    #[command(after_help = "Example:\n  tsio schools show 103150")]
    Show {
        /// The URN of the school
        #[arg(value_parser = clap::value_parser!(i32).range(1..))]
        urn: i32,
    },
    /// Place a school that the register does not place
    #[command(
        after_help = "Example:\n  tsio schools place 148685 --kind mat --trust 2044 --reason \"confirmed by phone\""
    )]
    Place {
        /// The URN of the school
        #[arg(value_parser = clap::value_parser!(i32).range(1..))]
        urn: i32,
        /// The placement
        #[arg(long, value_parser = choice::<Placement>())]
        kind: Placement,
        /// The group UID of the school's trust
        #[arg(long, value_name = "UID", value_parser = clap::value_parser!(i32).range(1..))]
        trust: Option<i32>,
        /// The reason
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

pub(super) async fn run(command: SchoolsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        SchoolsCommand::Find { text, output } => {
            let output = output.or_limit(FOUND_ROWS);
            let limit = session.row_limit(&output);
            let page_size = page_size_for(limit);
            let found = pages_up_to(limit, async |page_token| {
                let request = ListSchoolsRequest { search: text.clone(), page_size, page_token };
                let answer = session.services.register().list_schools(session.call(request)).await?.into_inner();
                Ok((answer.schools, answer.next_page_token))
            });
            let (found, has_more) = found.await?;
            session.print_list(&found, &output, json::of, schools::rows)?;
            session.remark_more(has_more);
            Ok(())
        }
        SchoolsCommand::Show { urn } => {
            let answer =
                session.services.register().get_school(session.call(GetSchoolRequest { urn })).await?.into_inner();
            session.print(|| json::of(&answer), || schools::detail(&answer))
        }
        SchoolsCommand::Place { urn, kind, trust, reason } => {
            let request = PlaceSchoolRequest {
                request_id: session.request_id(),
                programme: session.programme(),
                urn,
                placement: kind.into(),
                trust_uid: trust.unwrap_or_default(),
                reason,
                ..Default::default()
            };
            let answer = session.services.register().place_school(session.call(request)).await?.into_inner();
            session.print(|| json::of(&answer), || schools::placed(&answer))
        }
    }
}
