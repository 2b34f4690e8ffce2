//! The entries of a fund: a page of them, and all of them as a stream.

use std::pin::Pin;

use futures_util::stream::{self, Stream};
use tokio::time::Instant;
use tonic::Status;

use crate::app::{App, Condition, EntryField, Result, WantedEntries};
use crate::domain::ids::{AccountId, Programme};
use crate::domain::ledger::{EntryKind, EntrySeq};
use crate::domain::period::Period;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size_within, token};
use crate::grpc::message::filter::values::{Value, actor, day, instant, name, number, some_id};
use crate::grpc::message::filter::{self, FilterColumn, ORDERED, SAME};
use crate::grpc::service::call::{Call, fail, within};
use crate::proto::{
    ListFundEntriesRequest, ListFundEntriesResponse, StreamFundEntriesRequest, StreamFundEntriesResponse,
};

/// Entries of one message of the stream.
const STREAMED: u64 = 1_000;

/// What a filter may ask of an entry, by the names of the message's fields. docs/reference/lists.md lists them.
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
    FilterColumn { name: "offer",          column: EntryField::Offer,     comparisons: SAME,    read: some_id },
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
    let bound = call.bound(&ListFundEntriesRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let last: Option<EntrySeq> = token::read_as(&bound, &message.page_token)?.map(EntrySeq);
    let limit = page_size_within(message.page_size, 100, STREAMED);
    let (programme, upto) = app.fund_ledger(&call.caller, fund).await?;
    let span = match last {
        Some(last) if newest_first => (EntrySeq(0), EntrySeq(last.0.saturating_sub(1))),
        Some(last) => (last, upto),
        None => (EntrySeq(0), upto),
    };
    let condition = condition.as_ref();
    let page =
        app.fund_entries(&WantedEntries { programme: &programme, fund, span, condition, newest_first, limit }).await?;
    let next_page_token = token::next(&bound, limit, &page, |last| last.entry.seq.0.to_string());
    Ok(ListFundEntriesResponse { entries: page.iter().map(conversion::fund_entry).collect(), next_page_token })
}

/// The stream's messages.
pub(super) type EntriesStream =
    Pin<Box<dyn Stream<Item = std::result::Result<StreamFundEntriesResponse, Status>> + Send>>;

/// Entries up to the last there is now, page by page, read as the caller takes them; nothing is read for a caller that has
/// gone. The deadline is that of the whole stream.
pub(super) async fn stream(app: &App, call: Call<StreamFundEntriesRequest>) -> Result<EntriesStream> {
    let mut fields = Fields::default();
    let fund = fields.parse("fund", &call.message.fund);
    let condition = filter::read(&mut fields, COLUMNS, &call.message.filter);
    let fund = fields.done(fund)?;
    let (programme, upto) = app.fund_ledger(&call.caller, fund).await?;
    let (app, deadline) = (app.clone(), call.deadline);
    let unread = Unread { app, programme, fund, condition, after: EntrySeq(0), upto, deadline };
    Ok(Box::pin(stream::try_unfold(unread, next_page)))
}

/// What of a stream is still to be read.
struct Unread {
    app: App,
    programme: Programme,
    fund: AccountId,
    condition: Option<Condition<EntryField>>,
    after: EntrySeq,
    upto: EntrySeq,
    deadline: Option<Instant>,
}

type EntriesPage = (StreamFundEntriesResponse, Unread);

async fn next_page(unread: Unread) -> std::result::Result<Option<EntriesPage>, Status> {
    let requested = WantedEntries {
        programme: &unread.programme,
        fund: unread.fund,
        span: (unread.after, unread.upto),
        condition: unread.condition.as_ref(),
        newest_first: false,
        limit: STREAMED,
    };
    let page = within(unread.deadline, unread.app.fund_entries(&requested)).await.map_err(fail)?;
    let Some(last) = page.last() else { return Ok(None) };
    let rest = Unread { after: last.entry.seq, ..unread };
    Ok(Some((StreamFundEntriesResponse { entries: page.iter().map(conversion::fund_entry).collect() }, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_asks_fields_of_the_message() {
        filter::tests::are_fields_of("FundEntry", COLUMNS);
    }
}
