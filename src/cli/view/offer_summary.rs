//! Formats summaries of offers.

use crate::cli::amounts::{of, pence};
use crate::cli::json::{self, Object};
use crate::cli::names::word;
use crate::cli::output::{TableColumn, table};
use crate::proto::{OfferSummary, SummaryDimension, Unit};

/// The JSON of a row: the dimensions that were requested, and the figures.
pub(in crate::cli) fn row_json(it: &OfferSummary, by: &[SummaryDimension]) -> Object {
    let others = ALL.iter().filter(|dimension| !by.contains(dimension)).map(|dimension| key(*dimension));
    json::of(it).without(&others.collect::<Vec<_>>())
}

/// Formats the rows as a table: the dimensions in the requested order, and the figures.
pub(in crate::cli) fn rows(rows: &[OfferSummary], by: &[SummaryDimension]) -> String {
    use TableColumn::{Number, Text};
    let headings: Vec<String> = by.iter().map(|it| key(*it).to_uppercase().replace('_', " ")).collect();
    let mut columns: Vec<TableColumn<'_>> = headings.iter().map(|it| Text(it)).collect();
    columns.extend([
        Number("OFFERS"),
        Number("CONTACTED"),
        Number("DAYS"),
        Number("ACCEPTED"),
        Number("DAYS"),
        Number("AWARDED"),
        Number("LEFT"),
        Number("NLE DAYS"),
        Number("LEFT"),
    ]);
    let row = |it: &OfferSummary| {
        let mut cells: Vec<String> = by.iter().map(|dimension| value(it, *dimension)).collect();
        cells.extend([
            it.offers.to_string(),
            it.contacted_offers.to_string(),
            median_and_p90(it.contacted_median_days, it.contacted_p90_days),
            it.accepted_offers.to_string(),
            median_and_p90(it.accepted_median_days, it.accepted_p90_days),
            pence(it.awarded_pence),
            pence(it.left_pence),
            of(Unit::HalfDays, it.awarded_half_days),
            of(Unit::HalfDays, it.left_half_days),
        ]);
        cells
    };
    table(&columns, rows.iter().map(row))
}

const ALL: [SummaryDimension; 6] = [
    SummaryDimension::Region,
    SummaryDimension::State,
    SummaryDimension::Assignee,
    SummaryDimension::LocalAuthority,
    SummaryDimension::RecipientKind,
    SummaryDimension::Month,
];

/// The key of a dimension in JSON.
const fn key(dimension: SummaryDimension) -> &'static str {
    match dimension {
        SummaryDimension::Unspecified => "",
        SummaryDimension::Region => "region",
        SummaryDimension::State => "state",
        SummaryDimension::Assignee => "assignee",
        SummaryDimension::LocalAuthority => "local_authority",
        SummaryDimension::RecipientKind => "recipient_kind",
        SummaryDimension::Month => "month",
    }
}

/// The value of a dimension of a row. A value that is not known or not set is a hyphen.
fn value(it: &OfferSummary, dimension: SummaryDimension) -> String {
    let value = match dimension {
        SummaryDimension::Unspecified => String::new(),
        SummaryDimension::Region => it.region.clone(),
        SummaryDimension::State => word(it.state().as_str_name(), "OFFER_STATE_"),
        SummaryDimension::Assignee => it.assignee.clone(),
        SummaryDimension::LocalAuthority if it.local_authority == 0 => String::new(),
        SummaryDimension::LocalAuthority => it.local_authority.to_string(),
        SummaryDimension::RecipientKind => word(it.recipient_kind().as_str_name(), "RECIPIENT_KIND_"),
        SummaryDimension::Month => it.month.clone(),
    };
    if value.is_empty() { "-".to_owned() } else { value }
}

/// The median and the 90th percentile, as `5/12`; empty if no offer has the date.
fn median_and_p90(median: Option<i32>, p90: Option<i32>) -> String {
    median.zip(p90).map(|(median, p90)| format!("{median}/{p90}")).unwrap_or_default()
}
