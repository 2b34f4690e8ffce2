//! Lists the entries of a fund in pages, and streams them.

use std::pin::Pin;

use futures_util::stream::{self, Stream};
use tokio::time::Instant;
use tonic::Status;

use crate::app::{App, Condition, EntryField, EntryPageQuery, Result};
use crate::domain::ids::{AccountId, Programme};
use crate::domain::ledger::{EntryKind, EntrySeq};
use crate::domain::period::Period;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size_within, token};
use crate::grpc::message::filter::values::{Value, actor, day, instant, name, number, optional_id};
use crate::grpc::message::filter::{self, FilterColumn, ORDERED, SAME};
use crate::grpc::service::call::{Call, fail, within};
use crate::proto::{
    ListFundEntriesRequest, ListFundEntriesResponse, StreamFundEntriesRequest, StreamFundEntriesResponse,
};

/// The most entries in a page of the list, and in one message of the stream.
const MAX_ENTRIES: u64 = 1_000;

/// The fields of an entry that a filter may compare, by their names in the message. docs/reference/lists.md lists them.
#[rustfmt::skip]
const COLUMNS: &[FilterColumn<EntryField>] = &[
    FilterColumn { name: "entry",          column: EntryField::Entry,     comparisons: ORDERED, read: number },
    FilterColumn { name: "event_sequence", column: EntryField::Event,     comparisons: ORDERED, read: number },
    FilterColumn { name: "event_kind",     column: EntryField::Kind,      comparisons: SAME,    read: kind },
    FilterColumn { name: "verb",           column: EntryField::Verb,      comparisons: SAME,    read: verb },
    FilterColumn { name: "amount_pence",   column: EntryField::Amount,    comparisons: ORDERED, read: number },
    FilterColumn { name: "period",         column: EntryField::Period,    comparisons: SAME,    read: period },
    FilterColumn { name: "effective_date", column: EntryField::Effective, comparisons: ORDERED, read: day },
    FilterColumn { name: "recorded_time",  column: EntryField::Recorded,  comparisons: ORDERED, read: instant },
    FilterColumn { name: "actor",          column: EntryField::Actor,     comparisons: SAME,    read: actor },
    FilterColumn { name: "offer",          column: EntryField::Offer,     comparisons: SAME,    read: optional_id },
];

/// The kinds of event that move money.
const KINDS: &[&str] = &[
    "fund_allocated",
    "fund_withdrawn",
    "funds_moved",
    "awarded",
    "drawn",
    "released",
    "refunded",
    "undone",
    "closed",
];

fn kind(text: &str) -> Value {
    name(text, KINDS)
}

fn verb(text: &str) -> Value {
    let verbs: Vec<&str> = EntryKind::ALL.iter().map(|it| it.name()).collect();
    name(text, &verbs)
}

fn period(text: &str) -> Value {
    let period: Period = text.parse().map_err(|_| "a period as \"FY2021-22/M07\"".to_owned())?;
    Ok(crate::app::Operand::Text(period.to_string()))
}

pub(super) async fn list(app: &App, call: Call<ListFundEntriesRequest>) -> Result<ListFundEntriesResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    let fund = fields.parse("fund", &message.fund);
    let condition = filter::read(&mut fields, COLUMNS, &message.filter);
    let orders = [("entry", false), ("entry desc", true)];
    let newest_first = filter::order(&mut fields, &orders, &message.order_by);
    let (fund, newest_first) = fields.done(fund.zip(newest_first))?;
    let token_binding =
        call.token_binding(&ListFundEntriesRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let page_after: Option<EntrySeq> = token::read_as(&token_binding, &message.page_token)?.map(EntrySeq);
    let limit = page_size_within(message.page_size, 100, MAX_ENTRIES);
    let (programme, last_entry) = app.fund_ledger(&call.caller, fund).await?;
    // The entries after the first number, up to and including the second.
    let span = match page_after {
        Some(last) if newest_first => (EntrySeq(0), EntrySeq(last.0.saturating_sub(1))),
        Some(last) => (last, last_entry),
        None => (EntrySeq(0), last_entry),
    };
    let condition = condition.as_ref();
    let page =
        app.fund_entries(&EntryPageQuery { programme: &programme, fund, span, condition, newest_first, limit }).await?;
    let next_page_token = token::next(&token_binding, limit, &page, |last| last.entry.seq.0.to_string());
    Ok(ListFundEntriesResponse { entries: page.iter().map(conversion::fund_entry).collect(), next_page_token })
}

/// The response stream of `StreamFundEntries`.
pub(super) type EntriesStream =
    Pin<Box<dyn Stream<Item = std::result::Result<StreamFundEntriesResponse, Status>> + Send>>;

/// Streams the entries up to the last entry at the time of the request. A page is read when the client has taken the page
/// before, so no page is read for a client that has disconnected. The deadline of the request ends the whole stream.
pub(super) async fn stream(app: &App, call: Call<StreamFundEntriesRequest>) -> Result<EntriesStream> {
    let mut fields = Fields::default();
    let fund = fields.parse("fund", &call.message.fund);
    let condition = filter::read(&mut fields, COLUMNS, &call.message.filter);
    let fund = fields.done(fund)?;
    let (programme, last_entry) = app.fund_ledger(&call.caller, fund).await?;
    let (app, deadline) = (app.clone(), call.deadline);
    let unread = UnreadEntries { app, programme, fund, condition, after: EntrySeq(0), last_entry, deadline };
    Ok(Box::pin(stream::try_unfold(unread, next_page)))
}

/// The entries of a stream that are not read yet.
struct UnreadEntries {
    app: App,
    programme: Programme,
    fund: AccountId,
    condition: Option<Condition<EntryField>>,
    /// The last entry that was sent.
    after: EntrySeq,
    last_entry: EntrySeq,
    deadline: Option<Instant>,
}

/// A message of the stream, and what remains to be read after it.
type EntriesPage = (StreamFundEntriesResponse, UnreadEntries);

/// Reads the next message of the stream; `None` at the end.
async fn next_page(unread: UnreadEntries) -> std::result::Result<Option<EntriesPage>, Status> {
    let query = EntryPageQuery {
        programme: &unread.programme,
        fund: unread.fund,
        span: (unread.after, unread.last_entry),
        condition: unread.condition.as_ref(),
        newest_first: false,
        limit: MAX_ENTRIES,
    };
    let page = within(unread.deadline, unread.app.fund_entries(&query)).await.map_err(fail)?;
    let Some(last) = page.last() else { return Ok(None) };
    let rest = UnreadEntries { after: last.entry.seq, ..unread };
    Ok(Some((StreamFundEntriesResponse { entries: page.iter().map(conversion::fund_entry).collect() }, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_column_is_a_field_of_the_message() {
        filter::tests::assert_are_fields_of("FundEntry", COLUMNS);
    }
}
