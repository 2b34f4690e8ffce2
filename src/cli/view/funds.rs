//! Formats funds, their positions and their entries as tables.

use crate::cli::amounts::{of, pence};
use crate::cli::output::{TableColumn, field_lines, table, table_if_any};
use crate::proto::{Cap, Fund, FundEntry, GetFundPositionResponse, Position};

/// Returns the amounts of a fund: allocated, committed, spent, available.
fn amounts(it: &Fund) -> [String; 4] {
    [it.allocated, it.committed, it.spent, it.available].map(|amount| of(it.unit(), amount))
}

/// Returns the region of a fund, or "national".
fn region(it: &Fund) -> String {
    if it.region.is_empty() { "national".to_owned() } else { it.region.clone() }
}

/// Returns the remarks about a fund: that it does not bind, or that it is over-committed. Empty if neither is true.
fn remarks(it: &Fund) -> String {
    let flags = [(!it.binds, "does not bind"), (it.over_committed, "over-committed")];
    flags.into_iter().filter(|(applies, _)| *applies).map(|(_, words)| words).collect::<Vec<_>>().join(", ")
}

/// Formats one fund.
pub(in crate::cli) fn detail(it: &Fund) -> String {
    let [allocated, committed, spent, available] = amounts(it);
    field_lines([
        ("fund", it.fund.clone()),
        ("programme", it.programme.clone()),
        ("strand", it.strand.clone()),
        ("region", region(it)),
        ("allocated", allocated),
        ("committed", committed),
        ("spent", spent),
        ("available", available),
        ("remarks", remarks(it)),
        ("etag", it.etag.clone()),
    ])
}

/// Formats funds as a table, one row per fund, and the remarks below it.
pub(in crate::cli) fn rows(funds: &[Fund]) -> String {
    use TableColumn::{Id, Number, Text};
    let columns = [
        Id("FUND"),
        Text("PROGRAMME"),
        Text("STRAND"),
        Text("REGION"),
        Number("ALLOCATED"),
        Number("COMMITTED"),
        Number("SPENT"),
        Number("AVAILABLE"),
    ];
    let row = |it: &Fund| {
        let words = [it.fund.clone(), it.programme.clone(), it.strand.clone(), region(it)];
        words.into_iter().chain(amounts(it)).collect()
    };
    let mut text = table(&columns, funds.iter().map(row));
    for it in funds.iter().filter(|it| !remarks(it).is_empty()) {
        text.push_str(&format!("\n{}: {}", it.fund, remarks(it)));
    }
    text
}

/// Formats the caps of an offer by strand; empty if no strand has a cap.
pub(in crate::cli) fn caps(caps: &[Cap]) -> String {
    use TableColumn::{Number, Text};
    let columns = [Text("STRAND"), Number("CAP"), Number("COMMITTED"), Number("SPENT"), Number("AVAILABLE")];
    let row = |it: &Cap| {
        let amounts = [it.allocated, it.committed, it.spent, it.available].map(|amount| of(it.unit(), amount));
        std::iter::once(it.strand.clone()).chain(amounts).collect()
    };
    table_if_any(&columns, caps, row)
}

/// Formats the position of a fund: the change in each financial year, and the total.
pub(in crate::cli) fn position(it: &GetFundPositionResponse) -> String {
    use TableColumn::{Number, Text};
    let columns = [Text("YEAR"), Number("ALLOCATED"), Number("COMMITTED"), Number("SPENT"), Number("AVAILABLE")];
    let row = |year: &str, it: Option<Position>| -> Vec<String> {
        let it = it.unwrap_or_default();
        let amounts = [it.allocated, it.committed, it.spent, it.available].map(pence);
        std::iter::once(year.to_owned()).chain(amounts).collect()
    };
    let years = it.financial_years.iter().map(|it| row(&it.year, it.moved));
    let rows = years.chain([row("total", it.position)]);
    let fund_lines = field_lines([("fund", it.fund.clone()), ("at sequence", it.at_sequence.to_string())]);
    format!("{fund_lines}\n\n{}", table(&columns, rows))
}

/// Formats entries as a table, one row per entry.
pub(in crate::cli) fn entries(entries: &[FundEntry]) -> String {
    use TableColumn::{Number, Text};
    let columns = [
        Number("ENTRY"),
        Text("DATE"),
        Text("WHAT"),
        Text("FROM"),
        Text("TO"),
        Number("AMOUNT"),
        Text("PERIOD"),
        Text("BY"),
    ];
    let row = |it: &FundEntry| {
        vec![
            it.entry.to_string(),
            it.effective_date.clone(),
            it.event_kind.clone(),
            it.from_bucket.clone(),
            it.to_bucket.clone(),
            pence(it.amount_pence),
            it.period.clone(),
            it.actor.clone(),
        ]
    };
    table(&columns, entries.iter().map(row))
}
