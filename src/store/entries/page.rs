//! Pages of a fund's entries, each with its event.

use sea_orm::Value;

use super::{EntryRow, entry, of_fund};
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
    /// Its event.
    pub event: Seq,
    /// The kind of the event.
    pub kind: String,
    /// Who did it.
    pub actor: Actor,
    /// The offer it is about.
    pub offer: Option<OfferId>,
    /// The day it happened.
    pub effective: Date,
    /// When it was recorded.
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
    /// Pence.
    Amount,
    /// The accounting period, by name.
    Period,
    /// The day it happened.
    Effective,
    /// When it was recorded, in microseconds.
    Recorded,
    /// Who did it.
    Actor,
    /// The offer it is about, if any.
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
    /// The entries after the first number and up to the second.
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
pub async fn page(from: &impl Readable, requested: &EntryPageQuery<'_>) -> Result<Vec<FundEntry>> {
    let conn = from.at();
    let (sql, values) = query(conn.backend, requested);
    let read = |(row, event): (EntryRow, EntryEvent)| {
        Ok(FundEntry {
            event: row.event_seq,
            entry: entry(row),
            kind: event.kind,
            actor: event.actor,
            offer: event.offer_id,
            effective: event.effective_on,
            recorded: event.recorded_at,
        })
    };
    select_rows(&conn, &sql, values, read).await
}

/// Narrows a span by the numbers in a condition. SQLite uses one bound at each end for its index, and would check a second
/// one entry by entry.
fn narrowed((after, upto): (EntrySeq, EntrySeq), condition: &Condition<EntryField>) -> (EntrySeq, EntrySeq) {
    let from = |first: i64| (after.max(EntrySeq(first.saturating_sub(1))), upto);
    let to = |last: i64| (after, upto.min(EntrySeq(last)));
    match condition {
        Condition::All(of) => of.iter().fold((after, upto), narrowed),
        Condition::Is(EntryField::Entry, Comparison::Greater, Operand::Number(it)) => from(it.saturating_add(1)),
        Condition::Is(EntryField::Entry, Comparison::AtLeast, Operand::Number(it)) => from(*it),
        Condition::Is(EntryField::Entry, Comparison::Less, Operand::Number(it)) => to(it.saturating_sub(1)),
        Condition::Is(EntryField::Entry, Comparison::AtMost, Operand::Number(it)) => to(*it),
        Condition::Is(EntryField::Entry, Comparison::Equal, Operand::Number(it)) => (from(*it).0, to(*it).1),
        Condition::Is(..) | Condition::Any(_) => (after, upto),
    }
}

fn query(backend: Backend, requested: &EntryPageQuery<'_>) -> (String, Vec<Value>) {
    let (after, upto) = requested.condition.map_or(requested.span, |it| narrowed(requested.span, it));
    let limit = i64::try_from(requested.limit).unwrap_or(i64::MAX);
    let mut values: Vec<Value> =
        vec![requested.fund.0.into(), requested.programme.as_str().into(), after.0.into(), upto.0.into(), limit.into()];
    let which =
        requested.condition.map(|it| format!(" AND {}", it.written(&|field: EntryField| field.column(), &mut values)));
    let sql = format!(
        "SELECT {}, {} {} AND e.seq > $3 AND e.seq <= $4{} ORDER BY e.seq{} LIMIT $5",
        EntryRow::names_of("e"),
        EntryEvent::names_of("v"),
        of_fund(backend),
        which.unwrap_or_default(),
        if requested.newest_first { " DESC" } else { "" },
    );
    (sql, values)
}

#[cfg(test)]
pub(super) mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_condition_on_the_number_narrows_the_span() {
        let by = |how, number| Condition::Is(EntryField::Entry, how, Operand::Number(number));
        let other = Condition::Is(EntryField::Amount, Comparison::Equal, Operand::Number(5));
        let rows = [
            (by(Comparison::Greater, 10), (10, 100)),
            (by(Comparison::AtLeast, 10), (9, 100)),
            (by(Comparison::Less, 10), (3, 9)),
            (by(Comparison::AtMost, 10), (3, 10)),
            (by(Comparison::Equal, 10), (9, 10)),
            (by(Comparison::NotEqual, 10), (3, 100)),
            (by(Comparison::Equal, 2), (3, 2)),
            (by(Comparison::AtLeast, i64::MIN), (3, 100)),
            (by(Comparison::Greater, i64::MAX), (i64::MAX - 1, 100)),
            (Condition::All(vec![by(Comparison::Greater, 10), other.clone(), by(Comparison::AtMost, 20)]), (10, 20)),
            (Condition::Any(vec![by(Comparison::Greater, 10), other.clone()]), (3, 100)),
            (other, (3, 100)),
        ];
        for (condition, (after, upto)) in rows {
            let found = narrowed((EntrySeq(3), EntrySeq(100)), &condition);
            assert_eq!(found, (EntrySeq(after), EntrySeq(upto)), "{condition:?}");
        }
    }

    /// The queries of pages from either end, with and without a condition.
    pub(in crate::store) fn queries() -> Vec<(String, Vec<Value>)> {
        let programme: Programme = "2021-22".parse().unwrap();
        let drawn = Condition::Is(EntryField::Kind, Comparison::NotEqual, Operand::Text("drawn".to_owned()));
        let ways = [(None, false), (None, true), (Some(&drawn), false), (Some(&drawn), true)];
        let query = |(condition, newest_first)| {
            let (fund, span) = (AccountId(Uuid::nil()), (EntrySeq(0), EntrySeq(9)));
            let expected = EntryPageQuery { programme: &programme, fund, span, condition, newest_first, limit: 100 };
            query(Backend::Sqlite, &expected)
        };
        ways.into_iter().map(query).collect()
    }
}
