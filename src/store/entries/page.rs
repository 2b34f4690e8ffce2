//! Reads pages of a fund's entries, each with its event.

use sea_orm::Value;

use super::{EntryRow, fund_entries_clause, ledger_entry};
use crate::domain::Date;
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, Actor, OfferId, Programme};
use crate::domain::ledger::{EntrySeq, LedgerEntry};
use crate::domain::time::Micros;
use crate::store::db::bulk_sql::select_rows;
use crate::store::db::condition::{Comparison, Condition, Operand};
use crate::store::db::row::{Row as _, row};
use crate::store::{Backend, Readable, Result};

/// An entry of a fund, with columns of its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundEntry {
    /// The entry.
    pub entry: LedgerEntry,
    /// The number of its event.
    pub event: Seq,
    /// The kind of the event.
    pub kind: String,
    /// Who caused the event.
    pub actor: Actor,
    /// The offer that the event is about, if any.
    pub offer: Option<OfferId>,
    /// The day on which the event takes effect.
    pub effective: Date,
    /// When the event was recorded.
    pub recorded: Micros,
}

/// A field of an entry that a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryField {
    /// Its number.
    Entry,
    /// Its event's number.
    Event,
    /// The kind of the event, by name.
    Kind,
    /// The verb, by name.
    Verb,
    /// The amount, in pence.
    Amount,
    /// The accounting period, by name.
    Period,
    /// The day on which the event takes effect.
    Effective,
    /// When the event was recorded, in microseconds.
    Recorded,
    /// Who caused the event.
    Actor,
    /// The offer that the event is about, if any.
    Offer,
}

impl EntryField {
    const fn column(self) -> &'static str {
        match self {
            Self::Entry => "e.seq",
            Self::Event => "e.event_seq",
            Self::Kind => "v.kind",
            Self::Verb => "e.verb",
            Self::Amount => "e.amount",
            Self::Period => "e.period",
            Self::Effective => "v.effective_on",
            Self::Recorded => "v.recorded_at",
            Self::Actor => "v.actor",
            Self::Offer => "v.offer_id",
        }
    }
}

/// The query of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryPageQuery<'a> {
    /// The programme.
    pub programme: &'a Programme,
    /// The fund.
    pub fund: AccountId,
    /// Two entry numbers: the page has entries after the first number, up to and including the second.
    pub span: (EntrySeq, EntrySeq),
    /// The caller's filter.
    pub condition: Option<&'a Condition<EntryField>>,
    /// Whether to list the newest first.
    pub newest_first: bool,
    /// The most entries to return.
    pub limit: u64,
}

row! {
    /// The columns of an entry's event.
    struct EntryEvent {
        kind: String,
        actor: Actor,
        offer_id: Option<OfferId>,
        effective_on: Date,
        recorded_at: Micros,
    }
}

/// A page of a fund's entries, in order.
pub async fn page(from: &dyn Readable, query: &EntryPageQuery<'_>) -> Result<Vec<FundEntry>> {
    let conn = from.at();
    let (sql, values) = page_sql(conn.backend, query);
    let read = |(row, event): (EntryRow, EntryEvent)| {
        Ok(FundEntry {
            event: row.event_seq,
            entry: ledger_entry(row),
            kind: event.kind,
            actor: event.actor,
            offer: event.offer_id,
            effective: event.effective_on,
            recorded: event.recorded_at,
        })
    };
    select_rows(&conn, &sql, values, read).await
}

/// Narrows a span by the entry numbers in a condition. SQLite searches its index with only one bound at each end, and would check
/// a second bound entry by entry.
fn narrow_span((after, last): (EntrySeq, EntrySeq), condition: &Condition<EntryField>) -> (EntrySeq, EntrySeq) {
    let starting_at = |first: i64| (after.max(EntrySeq(first.saturating_sub(1))), last);
    let ending_at = |end: i64| (after, last.min(EntrySeq(end)));
    match condition {
        Condition::All(conditions) => conditions.iter().fold((after, last), narrow_span),
        Condition::Is(EntryField::Entry, Comparison::Greater, Operand::Number(it)) => starting_at(it.saturating_add(1)),
        Condition::Is(EntryField::Entry, Comparison::AtLeast, Operand::Number(it)) => starting_at(*it),
        Condition::Is(EntryField::Entry, Comparison::Less, Operand::Number(it)) => ending_at(it.saturating_sub(1)),
        Condition::Is(EntryField::Entry, Comparison::AtMost, Operand::Number(it)) => ending_at(*it),
        Condition::Is(EntryField::Entry, Comparison::Equal, Operand::Number(it)) => {
            (starting_at(*it).0, ending_at(*it).1)
        }
        Condition::Is(..) | Condition::Any(_) => (after, last),
    }
}

/// The SQL of a page, and its bound values.
fn page_sql(backend: Backend, query: &EntryPageQuery<'_>) -> (String, Vec<Value>) {
    let (after, last) = query.condition.map_or(query.span, |it| narrow_span(query.span, it));
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let mut values: Vec<Value> =
        vec![query.fund.0.into(), query.programme.as_str().into(), after.0.into(), last.0.into(), limit.into()];
    let filter =
        query.condition.map(|it| format!(" AND {}", it.to_sql(&|field: EntryField| field.column(), &mut values)));
    let sql = format!(
        "SELECT {}, {} {} AND e.seq > $3 AND e.seq <= $4{} ORDER BY e.seq{} LIMIT $5",
        EntryRow::names_of("e"),
        EntryEvent::names_of("v"),
        fund_entries_clause(backend),
        filter.unwrap_or_default(),
        if query.newest_first { " DESC" } else { "" },
    );
    (sql, values)
}

#[cfg(test)]
pub(super) mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_condition_on_the_number_narrows_the_span() {
        let number_is = |comparison, number| Condition::Is(EntryField::Entry, comparison, Operand::Number(number));
        let on_amount = Condition::Is(EntryField::Amount, Comparison::Equal, Operand::Number(5));
        let rows = [
            (number_is(Comparison::Greater, 10), (10, 100)),
            (number_is(Comparison::AtLeast, 10), (9, 100)),
            (number_is(Comparison::Less, 10), (3, 9)),
            (number_is(Comparison::AtMost, 10), (3, 10)),
            (number_is(Comparison::Equal, 10), (9, 10)),
            (number_is(Comparison::NotEqual, 10), (3, 100)),
            (number_is(Comparison::Equal, 2), (3, 2)),
            (number_is(Comparison::AtLeast, i64::MIN), (3, 100)),
            (number_is(Comparison::Greater, i64::MAX), (i64::MAX - 1, 100)),
            (
                Condition::All(vec![
                    number_is(Comparison::Greater, 10),
                    on_amount.clone(),
                    number_is(Comparison::AtMost, 20),
                ]),
                (10, 20),
            ),
            (Condition::Any(vec![number_is(Comparison::Greater, 10), on_amount.clone()]), (3, 100)),
            (on_amount, (3, 100)),
        ];
        for (condition, (after, last)) in rows {
            let narrowed = narrow_span((EntrySeq(3), EntrySeq(100)), &condition);
            assert_eq!(narrowed, (EntrySeq(after), EntrySeq(last)), "{condition:?}");
        }
    }

    /// The queries of pages from either end, with and without a condition.
    pub(in crate::store) fn queries() -> Vec<(String, Vec<Value>)> {
        let programme: Programme = "2021-22".parse().unwrap();
        let not_drawn = Condition::Is(EntryField::Kind, Comparison::NotEqual, Operand::Text("drawn".to_owned()));
        let cases = [(None, false), (None, true), (Some(&not_drawn), false), (Some(&not_drawn), true)];
        let sql_of_case = |(condition, newest_first)| {
            let (fund, span) = (AccountId(Uuid::nil()), (EntrySeq(0), EntrySeq(9)));
            let page_query = EntryPageQuery { programme: &programme, fund, span, condition, newest_first, limit: 100 };
            page_sql(Backend::Sqlite, &page_query)
        };
        cases.into_iter().map(sql_of_case).collect()
    }
}
