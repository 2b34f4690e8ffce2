//! `tsio funds`: makes funds, moves money, and shows what there is and was.

mod args;
#[cfg(test)]
mod tests;

use self::args::EntriesArgs;
pub(super) use self::args::FundsCommand;
use super::csv;
use super::errors::Failure;
use super::offers::warn;
use super::output;
use super::session::{PAGE, Session, every_page};
use crate::cli::view::funds::{ChangedFund, EntryView, FundView, MovedView, PositionView};
use crate::proto::{
    AllocateFundRequest, CreateFundRequest, Fund, FundEntry, GetFundPositionRequest, GetFundRequest,
    ListFundEntriesRequest, ListFundsRequest, MoveFundsRequest, StreamFundEntriesRequest, Warning, WithdrawFundRequest,
};

/// How many entries are asked for at a time: the most that the server gives.
const ENTRIES: i32 = 1000;

pub(super) async fn run(command: FundsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        FundsCommand::List { programme, filter } => list(programme.unwrap_or_default(), filter, session).await,
        FundsCommand::Show { fund } => {
            let answer = session.services.funds().get_fund(session.call(GetFundRequest { fund })).await?.into_inner();
            session.print(&FundView::from(answer.fund.unwrap_or_default()))
        }
        FundsCommand::Position { fund, as_of, recorded_by, sequence } => {
            let request = GetFundPositionRequest {
                fund,
                as_of_date: as_of.unwrap_or_default(),
                recorded_by_time: recorded_by,
                at_sequence: sequence.unwrap_or_default(),
            };
            let answer = session.services.funds().get_fund_position(session.call(request)).await?.into_inner();
            session.print(&PositionView::from(answer))
        }
        FundsCommand::Entries(args) if args.csv => stream(args, session).await,
        FundsCommand::Entries(args) => entries(args, session).await,
        FundsCommand::Create { programme, strand, region } => {
            let (request_id, region) = (session.request_id(), region.unwrap_or_default());
            let request = CreateFundRequest { request_id, programme, strand, region, validate_only: false };
            let answer = session.services.funds().create_fund(session.call(request)).await?.into_inner();
            print(session, answer.fund, &[])
        }
        FundsCommand::Allocate { fund, amount, with } => {
            let (request_id, (date, note, etag)) = (session.request_id(), with.parts());
            let request =
                AllocateFundRequest { request_id, fund, amount_pence: amount, date, note, etag, validate_only: false };
            let answer = session.services.funds().allocate_fund(session.call(request)).await?.into_inner();
            print(session, answer.fund, &answer.warnings)
        }
        FundsCommand::Withdraw { fund, amount, over_commit, with } => {
            let (date, note, etag) = with.parts();
            let request = WithdrawFundRequest {
                request_id: session.request_id(),
                fund,
                amount_pence: amount,
                over_commit,
                date,
                note,
                etag,
                validate_only: false,
            };
            let answer = session.services.funds().withdraw_fund(session.call(request)).await?.into_inner();
            print(session, answer.fund, &answer.warnings)
        }
        FundsCommand::Move { from, to, amount, with } => {
            let (date, note, etag) = with.parts();
            let request = MoveFundsRequest {
                request_id: session.request_id(),
                from_fund: from,
                to_fund: to,
                amount_pence: amount,
                date,
                note,
                etag,
                validate_only: false,
            };
            let answer = session.services.funds().move_funds(session.call(request)).await?.into_inner();
            warn(&answer.warnings);
            session.print(&MovedView::from(answer))
        }
    }
}

fn print(session: &Session<'_>, fund: Option<Fund>, warnings: &[Warning]) -> Result<(), Failure> {
    warn(warnings);
    session.print(&ChangedFund::new(fund, warnings))
}

async fn list(programme: String, filter: String, session: &Session<'_>) -> Result<(), Failure> {
    let first = ListFundsRequest { programme, filter, page_size: PAGE, page_token: String::new() };
    let funds = every_page(async |page_token| {
        let request = ListFundsRequest { page_token, ..first.clone() };
        let answer = session.services.funds().list_funds(session.call(request)).await?.into_inner();
        Ok((answer.funds, answer.next_page_token))
    });
    session.print(&funds.await?.into_iter().map(FundView::from).collect::<Vec<_>>())
}

async fn entries(args: EntriesArgs, session: &Session<'_>) -> Result<(), Failure> {
    let EntriesArgs { fund, filter, order_by, .. } = args;
    let first = ListFundEntriesRequest { fund, filter, order_by, page_size: ENTRIES, ..Default::default() };
    let entries = every_page(async |page_token| {
        let request = ListFundEntriesRequest { page_token, ..first.clone() };
        let answer = session.services.funds().list_fund_entries(session.call(request)).await?.into_inner();
        Ok((answer.entries, answer.next_page_token))
    });
    session.print(&entries.await?.into_iter().map(EntryView::from).collect::<Vec<_>>())
}

/// Prints entries as CSV while they come, so that the largest fund takes no memory.
async fn stream(args: EntriesArgs, session: &Session<'_>) -> Result<(), Failure> {
    let request = StreamFundEntriesRequest { fund: args.fund, filter: args.filter };
    let mut answers = session.services.funds().stream_fund_entries(session.call(request)).await?.into_inner();
    let mut expected = output::part(&csv::header(&EntryView::COLUMNS)?)?;
    while expected && let Some(answer) = answers.message().await? {
        expected = output::part(&csv_rows(answer.entries)?)?;
    }
    Ok(())
}

/// Entries, a row each.
fn csv_rows(entries: Vec<FundEntry>) -> Result<String, Failure> {
    csv::rows(&EntryView::COLUMNS, entries.into_iter().map(EntryView::from))
}
