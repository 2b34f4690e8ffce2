//! Formats awards as tables.

use crate::cli::amounts::{of, pence};
use crate::cli::names::word;
use crate::cli::output::{TableColumn, field_lines, number, parts, table, table_if_any};
use crate::proto::award::Support;
use crate::proto::{Award, Booking, Invoice, LeaderKind, ReleasedAward};

/// Returns the text, or "not recorded" if it is empty.
fn recorded(text: &str) -> String {
    if text.is_empty() { "not recorded".to_owned() } else { text.to_owned() }
}

/// Returns the JSON name of the kind, or an empty text if it is not specified.
fn kind_of_leader(kind: LeaderKind) -> String {
    word(kind.as_str_name(), "LEADER_KIND_")
}

fn state(award: &Award) -> String {
    word(award.state().as_str_name(), "AWARD_STATE_")
}

/// Returns the texts of an award's support, each empty if the strand does not have it. Their order: leader, kind of leader,
/// organisation, partner, why the partner is suitable, provider, reason.
fn support(award: &Award) -> [String; 7] {
    let empty = String::new;
    match award.support.clone() {
        None => Default::default(),
        Some(Support::Nle(it)) => {
            let kind = kind_of_leader(it.leader_kind());
            [it.leader, kind, it.organisation, empty(), empty(), empty(), empty()]
        }
        Some(Support::Credit(it)) => {
            [empty(), empty(), empty(), number(it.partner_uid), it.suitable_because, empty(), empty()]
        }
        Some(Support::Nlg(it)) => [it.leader, empty(), it.organisation, empty(), empty(), empty(), it.because],
        Some(Support::Npqel(it)) => [it.leader, empty(), empty(), empty(), empty(), it.provider, it.because],
    }
}

fn award_fields(award: &Award) -> String {
    let amount = |amount| of(award.unit(), amount);
    let unless_zero = |value: i64| if value == 0 { String::new() } else { amount(value) };
    // For these strands a missing text is shown as "not recorded". For other strands the line is left out.
    let expected_for = |strands: &[&str], text: String| {
        if strands.contains(&award.strand.as_str()) { recorded(&text) } else { text }
    };
    let [leader, leader_kind, organisation, partner, suitable_because, provider, because] = support(award);
    field_lines([
        ("award", award.award.clone()),
        ("offer", award.offer.clone()),
        ("strand", award.strand.clone()),
        ("awarded", amount(award.awarded)),
        ("drawn", unless_zero(award.drawn)),
        ("released", unless_zero(award.released)),
        ("refunded", unless_zero(award.refunded)),
        ("committed", amount(award.committed)),
        ("state", state(award)),
        ("date", award.date.clone()),
        ("by", award.awarded_by.clone()),
        ("fund", award.fund.clone()),
        ("day rate", if award.day_rate_pence == 0 { String::new() } else { pence(award.day_rate_pence) }),
        ("leader", expected_for(&["nle", "nlg", "npqel"], leader)),
        ("leader kind", expected_for(&["nle"], leader_kind)),
        ("organisation", expected_for(&["nlg"], organisation)),
        ("partner", partner),
        ("suitable because", suitable_because),
        ("provider", provider),
        ("because", because),
        ("etag", award.etag.clone()),
    ])
}

/// Formats one award with its bookings and invoices.
pub(in crate::cli) fn detail(award: &Award) -> String {
    use TableColumn::{Number, Text};
    let bookings =
        [Number("BOOKING"), Text("DATE"), Number("DAYS"), Text("LEADER"), Text("LEADER KIND"), Text("STATE")];
    let booking = |it: &Booking| {
        let kind = kind_of_leader(it.leader_kind());
        vec![
            it.booking.to_string(),
            it.date.clone(),
            of(crate::proto::Unit::HalfDays, it.half_days.into()),
            it.leader.clone(),
            if award.strand == "nle" { recorded(&kind) } else { kind },
            word(it.state().as_str_name(), "BOOKING_STATE_"),
        ]
    };
    let invoices = ["INVOICE", "PRINTED", "ISSUER"].map(Text).into_iter();
    let invoices: Vec<_> = invoices.chain(["PAID", "REFUNDED", "OF A TOTAL OF"].map(Number)).collect();
    let invoice = |it: &Invoice| {
        let total = if it.total_pence == 0 { recorded("") } else { pence(it.total_pence) };
        let words = [it.reference.clone(), recorded(&it.printed), recorded(&it.issuer)];
        words.into_iter().chain([pence(it.amount_pence), pence(it.refunded_pence), total]).collect()
    };
    parts([
        award_fields(award),
        table_if_any(&bookings, &award.bookings, booking),
        table_if_any(&invoices, &award.invoices, invoice),
    ])
}

/// Formats awards as a table, one row per award.
pub(in crate::cli) fn rows(awards: &[Award]) -> String {
    use TableColumn::{Id, Number, Text};
    let columns = [
        Id("AWARD"),
        Text("STRAND"),
        Number("AWARDED"),
        Number("DRAWN"),
        Number("RELEASED"),
        Number("COMMITTED"),
        Text("STATE"),
    ];
    let row = |it: &Award| {
        let amounts = [it.awarded, it.drawn, it.released, it.committed].map(|amount| of(it.unit(), amount));
        [it.award.clone(), it.strand.clone()].into_iter().chain(amounts).chain([state(it)]).collect()
    };
    table(&columns, awards.iter().map(row))
}

/// Formats the amounts that closing an offer released; empty if there are none.
pub(in crate::cli) fn released(released: &[ReleasedAward]) -> String {
    let columns = [TableColumn::Id("AWARD"), TableColumn::Text("STRAND"), TableColumn::Number("RELEASED")];
    let row = |it: &ReleasedAward| vec![it.award.clone(), it.strand.clone(), of(it.unit(), it.amount)];
    table_if_any(&columns, released, row)
}
