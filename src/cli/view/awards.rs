//! Awards as they are printed.

use serde::Serialize;

use crate::cli::amounts::shown;
use crate::cli::names::{name, some_number, some_text};
use crate::cli::output::{TableColumn, View, cell, facts, table};
use crate::cli::view::warnings::WarningView;
use crate::proto::award::Support;
use crate::proto::{Award, Booking, Invoice, LeaderKind, ReleasedAward, Warning};

/// An award.
#[derive(Debug, Clone, Default, Serialize)]
pub(in crate::cli) struct AwardView {
    award: String,
    offer: String,
    strand: String,
    unit: Option<String>,
    awarded: i64,
    drawn: i64,
    released: i64,
    state: Option<String>,
    etag: String,
    refunded: i64,
    committed: i64,
    fund: String,
    day_rate_pence: Option<i64>,
    date: String,
    awarded_by: String,
    leader: Option<String>,
    leader_kind: Option<String>,
    organisation: Option<String>,
    partner: Option<i32>,
    suitable_because: Option<String>,
    provider: Option<String>,
    because: Option<String>,
    bookings: Vec<BookingView>,
    invoices: Vec<InvoiceView>,
}

#[derive(Debug, Clone, Serialize)]
struct BookingView {
    booking: i64,
    half_days: i32,
    date: String,
    leader: String,
    state: Option<String>,
    leader_kind: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
struct InvoiceView {
    reference: String,
    amount_pence: i64,
    refunded_pence: i64,
    issuer: Option<String>,
    printed: Option<String>,
    total_pence: Option<i64>,
}

impl From<Award> for AwardView {
    fn from(award: Award) -> Self {
        let view = Self {
            unit: name(award.unit().as_str_name(), "UNIT_"),
            state: name(award.state().as_str_name(), "AWARD_STATE_"),
            award: award.award,
            offer: award.offer,
            strand: award.strand,
            awarded: award.awarded,
            drawn: award.drawn,
            released: award.released,
            etag: award.etag,
            refunded: award.refunded,
            committed: award.committed,
            fund: award.fund,
            day_rate_pence: some_number(award.day_rate_pence),
            date: award.date,
            awarded_by: award.awarded_by,
            bookings: award.bookings.into_iter().map(BookingView::from).collect(),
            invoices: award.invoices.into_iter().map(InvoiceView::from).collect(),
            ..Self::default()
        };
        match award.support {
            None => view,
            Some(Support::Nle(it)) => Self {
                leader_kind: leader_kind(it.leader_kind()),
                leader: some_text(it.leader),
                organisation: some_text(it.organisation),
                ..view
            },
            Some(Support::Credit(it)) => {
                Self { partner: some_number(it.partner_uid), suitable_because: some_text(it.suitable_because), ..view }
            }
            Some(Support::Nlg(it)) => Self {
                because: some_text(it.because),
                leader: some_text(it.leader),
                organisation: some_text(it.organisation),
                ..view
            },
            Some(Support::Npqel(it)) => Self {
                leader: some_text(it.leader),
                provider: some_text(it.provider),
                because: some_text(it.because),
                ..view
            },
        }
    }
}

impl From<Booking> for BookingView {
    fn from(it: Booking) -> Self {
        let state = name(it.state().as_str_name(), "BOOKING_STATE_");
        let leader_kind = leader_kind(it.leader_kind());
        Self { booking: it.booking, half_days: it.half_days, date: it.date, leader: it.leader, state, leader_kind }
    }
}

fn leader_kind(it: LeaderKind) -> Option<String> {
    name(it.as_str_name(), "LEADER_KIND_")
}

/// What was not recorded is shown so.
fn recorded(it: Option<&String>) -> String {
    it.map_or_else(|| "not recorded".to_owned(), Clone::clone)
}

impl From<Invoice> for InvoiceView {
    fn from(it: Invoice) -> Self {
        Self {
            reference: it.reference,
            amount_pence: it.amount_pence,
            refunded_pence: it.refunded_pence,
            issuer: some_text(it.issuer),
            printed: some_text(it.printed),
            total_pence: some_number(it.total_pence),
        }
    }
}

impl AwardView {
    fn amount(&self, amount: i64) -> String {
        shown(self.unit.as_deref(), amount)
    }

    /// What an award of one of these strands says: when it is missing, that it was not recorded.
    fn asked_of(&self, strands: &[&str], it: Option<&String>) -> String {
        if strands.contains(&self.strand.as_str()) { recorded(it) } else { cell(it) }
    }

    fn facts(&self) -> String {
        let some = |amount: i64| if amount == 0 { String::new() } else { self.amount(amount) };
        facts([
            ("award", self.award.clone()),
            ("offer", self.offer.clone()),
            ("strand", self.strand.clone()),
            ("awarded", self.amount(self.awarded)),
            ("drawn", some(self.drawn)),
            ("released", some(self.released)),
            ("refunded", some(self.refunded)),
            ("committed", self.amount(self.committed)),
            ("state", cell(self.state.as_ref())),
            ("date", self.date.clone()),
            ("by", self.awarded_by.clone()),
            ("fund", self.fund.clone()),
            ("day rate", self.day_rate_pence.map(|rate| shown(Some("pence"), rate)).unwrap_or_default()),
            ("leader", self.asked_of(&["nle", "nlg", "npqel"], self.leader.as_ref())),
            ("leader kind", self.asked_of(&["nle"], self.leader_kind.as_ref())),
            ("organisation", self.asked_of(&["nlg"], self.organisation.as_ref())),
            ("partner", cell(self.partner.as_ref())),
            ("suitable because", cell(self.suitable_because.as_ref())),
            ("provider", cell(self.provider.as_ref())),
            ("because", cell(self.because.as_ref())),
            ("etag", self.etag.clone()),
        ])
    }
}

impl View for AwardView {
    fn text(&self) -> String {
        use TableColumn::{Number, Text};
        let mut parts = vec![self.facts()];
        if !self.bookings.is_empty() {
            let columns =
                [Number("BOOKING"), Text("DATE"), Number("DAYS"), Text("LEADER"), Text("LEADER KIND"), Text("STATE")];
            let row = |it: &BookingView| {
                let days = shown(Some("half_days"), it.half_days.into());
                let kind = self.asked_of(&["nle"], it.leader_kind.as_ref());
                let words = [it.booking.to_string(), it.date.clone(), days, it.leader.clone(), kind];
                words.into_iter().chain([cell(it.state.as_ref())]).collect()
            };
            parts.push(table(&columns, self.bookings.iter().map(row)));
        }
        if !self.invoices.is_empty() {
            let columns = [
                Text("INVOICE"),
                Text("PRINTED"),
                Text("ISSUER"),
                Number("PAID"),
                Number("REFUNDED"),
                Number("OF A TOTAL OF"),
            ];
            let pounds = |pence| shown(Some("pence"), pence);
            let row = |it: &InvoiceView| {
                let total = it.total_pence.map_or_else(|| "not recorded".to_owned(), pounds);
                let words = [it.reference.clone(), recorded(it.printed.as_ref()), recorded(it.issuer.as_ref())];
                words.into_iter().chain([pounds(it.amount_pence), pounds(it.refunded_pence), total]).collect()
            };
            parts.push(table(&columns, self.invoices.iter().map(row)));
        }
        parts.join("\n\n")
    }
}

impl View for Vec<AwardView> {
    fn text(&self) -> String {
        awards_text(self)
    }
}

/// Awards as a table.
pub(in crate::cli) fn awards_text(awards: &[AwardView]) -> String {
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
    let row = |it: &AwardView| {
        let amounts = [it.awarded, it.drawn, it.released, it.committed].map(|amount| it.amount(amount));
        let words = [it.award.clone(), it.strand.clone()];
        words.into_iter().chain(amounts).chain([cell(it.state.as_ref())]).collect()
    };
    table(&columns, awards.iter().map(row))
}

/// An award after a command, or as a check shows it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ChangedAward {
    #[serde(flatten)]
    award: AwardView,
    #[serde(skip_serializing_if = "Option::is_none")]
    booking: Option<i64>,
    warnings: Vec<WarningView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    judged_at_sequence: Option<i64>,
}

impl ChangedAward {
    pub(in crate::cli) fn new(award: Option<Award>, warnings: &[Warning]) -> Self {
        let warnings = warnings.iter().map(WarningView::from).collect();
        Self { award: award.unwrap_or_default().into(), booking: None, warnings, judged_at_sequence: None }
    }

    /// The same with the number of the booking just made.
    pub(in crate::cli) fn with_booking(self, booking: i64) -> Self {
        Self { booking: Some(booking), ..self }
    }

    /// The same as a check judged it.
    pub(in crate::cli) fn judged_at(self, judged_at_sequence: Option<i64>) -> Self {
        Self { judged_at_sequence, ..self }
    }
}

impl View for ChangedAward {
    fn text(&self) -> String {
        let booked = self.booking.map(|booking| facts([("booking", booking.to_string())]));
        booked.into_iter().chain([self.award.text()]).collect::<Vec<_>>().join("\n\n")
    }
}

impl View for Vec<ChangedAward> {
    fn text(&self) -> String {
        awards_text(&self.iter().map(|it| it.award.clone()).collect::<Vec<_>>())
    }
}

/// What closing an offer gave back.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ReleasedView {
    award: String,
    strand: String,
    unit: Option<String>,
    amount: i64,
}

impl From<ReleasedAward> for ReleasedView {
    fn from(it: ReleasedAward) -> Self {
        let unit = name(it.unit().as_str_name(), "UNIT_");
        Self { award: it.award, strand: it.strand, unit, amount: it.amount }
    }
}

/// What closing gave back, as a table.
pub(in crate::cli) fn released_text(released: &[ReleasedView]) -> String {
    let columns = [TableColumn::Id("AWARD"), TableColumn::Text("STRAND"), TableColumn::Number("RELEASED")];
    let row = |it: &ReleasedView| vec![it.award.clone(), it.strand.clone(), shown(it.unit.as_deref(), it.amount)];
    table(&columns, released.iter().map(row))
}
