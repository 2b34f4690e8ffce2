//! `tsio funds`: makes funds, moves money, and shows funds, positions and entries.

mod args;
#[cfg(test)]
mod tests;

use prost::{Message, Name};

use self::args::EntriesArgs;
pub(super) use self::args::FundsCommand;
use super::args::ListOutput;
use super::csv;
use super::errors::Failure;
use super::json;
use super::offers::warn;
use super::output;
use super::session::{PAGE, Session, every_page};
use super::view::funds;
use crate::proto::{
    AllocateFundRequest, CreateFundRequest, Fund, FundEntry, GetFundPositionRequest, GetFundRequest,
    ListFundEntriesRequest, ListFundsRequest, MoveFundsRequest, StreamFundEntriesRequest, Warning, WithdrawFundRequest,
};

/// The columns of entries in CSV: the keys of their JSON.
const ENTRY_COLUMNS: [&str; 12] = [
    "entry",
    "event_sequence",
    "event_kind",
    "verb",
    "from_bucket",
    "to_bucket",
    "amount_pence",
    "period",
    "effective_date",
    "recorded_time",
    "actor",
    "offer",
];
/// The page size of entries: the largest that the server allows.
const ENTRIES_PAGE_SIZE: i32 = 1000;

pub(super) async fn run(command: FundsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        FundsCommand::List { filter, output } => print_list(filter, &output, session).await,
        FundsCommand::Show { fund } => {
            let answer = session.services.funds().get_fund(session.call(GetFundRequest { fund })).await?.into_inner();
            session.print(|| json::of(&answer), || text(answer.fund.as_ref()))
        }
        FundsCommand::Position { fund, as_of, recorded_by, sequence } => {
            let request = GetFundPositionRequest {
                fund,
                as_of_date: as_of.unwrap_or_default(),
                recorded_by_time: recorded_by,
                at_sequence: sequence.unwrap_or_default(),
            };
            let answer = session.services.funds().get_fund_position(session.call(request)).await?.into_inner();
            session.print(|| json::of(&answer), || funds::position(&answer))
        }
        FundsCommand::Entries(args) if args.csv => print_csv(args, session).await,
        FundsCommand::Entries(args) => print_entries(args, session).await,
        FundsCommand::Create { strand, region } => {
            let (request_id, programme) = (session.request_id(), session.programme());
            let region = region.unwrap_or_default();
            let request = CreateFundRequest { request_id, programme, strand, region, validate_only: false };
            let answer = session.services.funds().create_fund(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.fund.as_ref(), &[])
        }
        FundsCommand::Allocate { fund, amount, options } => {
            let (request_id, (date, note, etag)) = (session.request_id(), options.parts());
            let request =
                AllocateFundRequest { request_id, fund, amount_pence: amount, date, note, etag, validate_only: false };
            let answer = session.services.funds().allocate_fund(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.fund.as_ref(), &answer.warnings)
        }
        FundsCommand::Withdraw { fund, amount, over_commit, options } => {
            let (date, note, etag) = options.parts();
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
            changed(session, &answer, answer.fund.as_ref(), &answer.warnings)
        }
        FundsCommand::Move { from, to, amount, options } => {
            let (date, note, etag) = options.parts();
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
            let both_funds = || [&answer.from_fund, &answer.to_fund].map(|it| it.clone().unwrap_or_default());
            session.print(|| json::of(&answer), || funds::rows(&both_funds()))
        }
    }
}

/// Formats a fund; empty if the answer has none.
fn text(fund: Option<&Fund>) -> String {
    fund.map(funds::detail).unwrap_or_default()
}

/// Prints the warnings of a command on stderr, and the fund in its new state.
fn changed<M: Message + Name>(
    session: &Session<'_>,
    answer: &M,
    fund: Option<&Fund>,
    warnings: &[Warning],
) -> Result<(), Failure> {
    warn(warnings);
    session.print(|| json::changed(answer), || text(fund))
}

async fn print_list(filter: String, output: &ListOutput, session: &Session<'_>) -> Result<(), Failure> {
    // Funds of all programmes, unless one is named.
    let programme = session.named_programme().unwrap_or_default().to_owned();
    let first_request = ListFundsRequest { programme, filter, page_size: PAGE, page_token: String::new() };
    let all_funds = every_page(async |page_token| {
        let request = ListFundsRequest { page_token, ..first_request.clone() };
        let answer = session.services.funds().list_funds(session.call(request)).await?.into_inner();
        Ok((answer.funds, answer.next_page_token))
    });
    let all_funds = all_funds.await?;
    session.print_list(&all_funds, output, json::of, funds::rows)
}

async fn print_entries(args: EntriesArgs, session: &Session<'_>) -> Result<(), Failure> {
    let EntriesArgs { fund, filter, order_by, .. } = args;
    let first_request =
        ListFundEntriesRequest { fund, filter, order_by, page_size: ENTRIES_PAGE_SIZE, ..Default::default() };
    let entries = every_page(async |page_token| {
        let request = ListFundEntriesRequest { page_token, ..first_request.clone() };
        let answer = session.services.funds().list_fund_entries(session.call(request)).await?.into_inner();
        Ok((answer.entries, answer.next_page_token))
    });
    let entries = entries.await?;
    session.print(|| json::list(&entries), || funds::entries(&entries))
}

/// Prints entries as CSV while they arrive, so that a large fund needs little memory. Stops if the reader closes the pipe.
async fn print_csv(args: EntriesArgs, session: &Session<'_>) -> Result<(), Failure> {
    let request = StreamFundEntriesRequest { fund: args.fund, filter: args.filter };
    let mut answers = session.services.funds().stream_fund_entries(session.call(request)).await?.into_inner();
    let mut reader_is_open = output::part(&csv::header(&ENTRY_COLUMNS)?)?;
    while reader_is_open && let Some(answer) = answers.message().await? {
        reader_is_open = output::part(&csv_rows(&answer.entries)?)?;
    }
    Ok(())
}

/// Formats entries as CSV, one row per entry, without the header.
fn csv_rows(entries: &[FundEntry]) -> Result<String, Failure> {
    csv::rows(&ENTRY_COLUMNS, entries.iter().map(json::of))
}
