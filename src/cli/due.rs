//! `tsio due`: lists what needs attention, each item with the command that deals with it.

use clap::Args;

use super::args::ListOutput;
use super::dates::date;
use super::errors::Failure;
use super::json;
use super::names::choice;
use super::session::{PAGE, Session, pages_up_to};
use super::view::due as view;
use crate::proto::{DueKind, ListDueRequest};

/// The arguments of `tsio due`.
#[derive(Debug, Args)]
pub struct DueArgs {
    /// The day of the list; later contacts, acceptances, starts and closings do not count [default: today]
    #[arg(long, value_name = "DATE", value_parser = date)]
    on: Option<String>,
    /// Only what I have to deal with
    #[arg(long, conflicts_with = "owner")]
    mine: bool,
    /// Only items of this owner; `-` for items without an owner
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    owner: Option<String>,
    /// Only in this RSC region, by name
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Only schools of this local authority, and offers that list one
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(i32).range(100..=999))]
    local_authority: Option<i32>,
    /// Only items of this kind; may be repeated
    #[arg(long = "kind", value_parser = choice::<DueKind>(), value_name = "KIND")]
    kinds: Vec<DueKind>,
    #[command(flatten)]
    output: ListOutput,
}

pub(super) async fn run(args: DueArgs, session: &Session<'_>) -> Result<(), Failure> {
    let owner = if args.mine { session.actor() } else { args.owner.unwrap_or_default() };
    let first_request = ListDueRequest {
        programme: session.programme(),
        date: args.on.unwrap_or_default(),
        region: args.region.unwrap_or_default(),
        local_authority: args.local_authority.unwrap_or_default(),
        owner,
        kinds: args.kinds.into_iter().map(i32::from).collect(),
        page_size: PAGE,
        page_token: String::new(),
    };
    let items = pages_up_to(session.row_limit(&args.output), async |page_token| {
        let request = ListDueRequest { page_token, ..first_request.clone() };
        let answer = session.services.work().list_due(session.call(request)).await?.into_inner();
        Ok((answer.items, answer.next_page_token))
    });
    let ((items, has_more), programme) = (items.await?, session.named_programme());
    let with_command = |it: &_| json::of(it).with("command", view::command(it, programme));
    session.print_list(&items, &args.output, with_command, |items| view::rows(items, programme))?;
    session.remark_more(has_more);
    Ok(())
}
