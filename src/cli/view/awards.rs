//! Awards as tables.

use crate::cli::amounts::{of, pence};
use crate::cli::names::word;
use crate::cli::output::{TableColumn, field_lines, number, parts, table, table_of_some};
use crate::proto::award::Support;
use crate::proto::{Award, Booking, Invoice, LeaderKind, ReleasedAward};

/// The text, or "not recorded" if it is empty.
fn recorded(text: &str) -> String {
    if text.is_empty() { "not recorded".to_owned() } else { text.to_owned() }
}

fn kind_of_leader(kind: LeaderKind) -> String {
    word(kind.as_str_name(), "LEADER_KIND_")
}

fn state(award: &Award) -> String {
    word(award.state().as_str_name(), "AWARD_STATE_")
}

/// The texts of an award's support: leader, kind of leader, organisation, partner, why the partner is suitable, provider,
/// reason.
fn support(award: &Award) -> [String; 7] {
    let none = String::new;
    match award.support.clone() {
        None => Default::default(),
        Some(Support::Nle(it)) => {
            let kind = kind_of_leader(it.leader_kind());
            [it.leader, kind, it.organisation, none(), none(), none(), none()]
        }
        Some(Support::Credit(it)) => {
            [none(), none(), none(), number(it.partner_uid), it.suitable_because, none(), none()]
        }
        Some(Support::Nlg(it)) => [it.leader, none(), it.organisation, none(), none(), none(), it.because],
        Some(Support::Npqel(it)) => [it.leader, none(), none(), none(), none(), it.provider, it.because],
    }
}

fn award_facts(it: &Award) -> String {
    let amount = |amount| of(it.unit(), amount);
    let some = |value: i64| if value == 0 { String::new() } else { amount(value) };
    // A text that awards of these strands must have is shown as "not recorded" if it is missing.
    let required_of = |strands: &[&str], text: String| {
        if strands.contains(&it.strand.as_str()) { recorded(&text) } else { text }
    };
    let [leader, leader_kind, organisation, partner, suitable_because, provider, because] = support(it);
    field_lines([
        ("award", it.award.clone()),
        ("offer", it.offer.clone()),
        ("strand", it.strand.clone()),
        ("awarded", amount(it.awarded)),
        ("drawn", some(it.drawn)),
        ("released", some(it.released)),
        ("refunded", some(it.refunded)),
        ("committed", amount(it.committed)),
        ("state", state(it)),
        ("date", it.date.clone()),
        ("by", it.awarded_by.clone()),
        ("fund", it.fund.clone()),
        ("day rate", if it.day_rate_pence == 0 { String::new() } else { pence(it.day_rate_pence) }),
        ("leader", required_of(&["nle", "nlg", "npqel"], leader)),
        ("leader kind", required_of(&["nle"], leader_kind)),
        ("organisation", required_of(&["nlg"], organisation)),
        ("partner", partner),
        ("suitable because", suitable_because),
        ("provider", provider),
        ("because", because),
        ("etag", it.etag.clone()),
    ])
}

/// One award with its bookings and invoices.
pub(in crate::cli) fn one(award: &Award) -> String {
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
        award_facts(award),
        table_of_some(&bookings, &award.bookings, booking),
        table_of_some(&invoices, &award.invoices, invoice),
    ])
}

/// Awards, a row each.
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

/// The commitments that closing an offer released; empty if there are none.
pub(in crate::cli) fn released(released: &[ReleasedAward]) -> String {
    let columns = [TableColumn::Id("AWARD"), TableColumn::Text("STRAND"), TableColumn::Number("RELEASED")];
    let row = |it: &ReleasedAward| vec![it.award.clone(), it.strand.clone(), of(it.unit(), it.amount)];
    table_of_some(&columns, released, row)
}
