//! Funds, their positions and their entries, as they are printed.

use serde::Serialize;

use crate::cli::amounts::shown;
use crate::cli::names::{instant, name, some_text};
use crate::cli::output::{TableColumn, View, cell, facts, table};
use crate::cli::view::warnings::WarningView;
use crate::proto::{
    Cap, FinancialYear, Fund, FundEntry, GetFundPositionResponse, MoveFundsResponse, Position, Warning,
};

/// A fund, or what an offer may have of a strand: a limit, and what of it is used.
#[derive(Debug, Clone, Default, Serialize)]
pub(in crate::cli) struct FundView {
    fund: Option<String>,
    programme: String,
    strand: String,
    region: Option<String>,
    unit: Option<String>,
    allocated: i64,
    committed: i64,
    spent: i64,
    available: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    binds: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    over_committed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

impl From<Fund> for FundView {
    fn from(fund: Fund) -> Self {
        Self {
            unit: name(fund.unit().as_str_name(), "UNIT_"),
            fund: some_text(fund.fund),
            programme: fund.programme,
            strand: fund.strand,
            region: some_text(fund.region),
            allocated: fund.allocated,
            committed: fund.committed,
            spent: fund.spent,
            available: fund.available,
            binds: Some(fund.binds),
            over_committed: Some(fund.over_committed),
            etag: some_text(fund.etag),
        }
    }
}

impl FundView {
    /// An offer's cap in the same shape; it is no fund, and has no region.
    pub(in crate::cli) fn of_cap(programme: &str, cap: Cap) -> Self {
        Self {
            unit: name(cap.unit().as_str_name(), "UNIT_"),
            programme: programme.to_owned(),
            strand: cap.strand,
            allocated: cap.allocated,
            committed: cap.committed,
            spent: cap.spent,
            available: cap.available,
            ..Self::default()
        }
    }

    fn amounts(&self) -> [String; 4] {
        [self.allocated, self.committed, self.spent, self.available].map(|it| shown(self.unit.as_deref(), it))
    }

    fn remarks(&self) -> String {
        let flags =
            [(self.binds == Some(false), "does not bind"), (self.over_committed == Some(true), "over-committed")];
        flags.into_iter().filter(|(holds, _)| *holds).map(|(_, words)| words).collect::<Vec<_>>().join(", ")
    }
}

impl View for FundView {
    fn text(&self) -> String {
        let [allocated, committed, spent, available] = self.amounts();
        facts([
            ("fund", cell(self.fund.as_ref())),
            ("programme", self.programme.clone()),
            ("strand", self.strand.clone()),
            ("region", self.region.clone().unwrap_or_else(|| "national".to_owned())),
            ("allocated", allocated),
            ("committed", committed),
            ("spent", spent),
            ("available", available),
            ("remarks", self.remarks()),
            ("etag", cell(self.etag.as_ref())),
        ])
    }
}

impl View for Vec<FundView> {
    fn text(&self) -> String {
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
        let row = |it: &FundView| {
            let region = it.region.clone().unwrap_or_else(|| "national".to_owned());
            let words = [cell(it.fund.as_ref()), it.programme.clone(), it.strand.clone(), region];
            words.into_iter().chain(it.amounts()).collect()
        };
        let mut text = table(&columns, self.iter().map(row));
        for it in self.iter().filter(|it| !it.remarks().is_empty()) {
            text.push_str(&format!("\n{}: {}", cell(it.fund.as_ref()), it.remarks()));
        }
        text
    }
}

/// Caps as a table.
pub(in crate::cli) fn caps_text(caps: &[FundView]) -> String {
    use TableColumn::{Number, Text};
    let columns = [Text("STRAND"), Number("CAP"), Number("COMMITTED"), Number("SPENT"), Number("AVAILABLE")];
    let row = |it: &FundView| std::iter::once(it.strand.clone()).chain(it.amounts()).collect();
    table(&columns, caps.iter().map(row))
}

/// A fund after a command.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ChangedFund {
    #[serde(flatten)]
    fund: FundView,
    warnings: Vec<WarningView>,
}

impl ChangedFund {
    pub(in crate::cli) fn new(fund: Option<Fund>, warnings: &[Warning]) -> Self {
        Self { fund: fund.unwrap_or_default().into(), warnings: warnings.iter().map(WarningView::from).collect() }
    }
}

impl View for ChangedFund {
    fn text(&self) -> String {
        self.fund.text()
    }
}

/// Both funds after money moved.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct MovedView {
    from_fund: FundView,
    to_fund: FundView,
    warnings: Vec<WarningView>,
}

impl From<MoveFundsResponse> for MovedView {
    fn from(answer: MoveFundsResponse) -> Self {
        Self {
            from_fund: answer.from_fund.unwrap_or_default().into(),
            to_fund: answer.to_fund.unwrap_or_default().into(),
            warnings: answer.warnings.iter().map(WarningView::from).collect(),
        }
    }
}

impl View for MovedView {
    fn text(&self) -> String {
        vec![self.from_fund.clone(), self.to_fund.clone()].text()
    }
}

/// Balances, or what a year did to them, in pence.
#[derive(Debug, Serialize)]
struct Balances {
    allocated: i64,
    committed: i64,
    spent: i64,
    available: i64,
}

impl From<Option<Position>> for Balances {
    fn from(position: Option<Position>) -> Self {
        let Position { allocated, committed, spent, available } = position.unwrap_or_default();
        Self { allocated, committed, spent, available }
    }
}

#[derive(Debug, Serialize)]
struct YearView {
    year: String,
    #[serde(flatten)]
    moved: Balances,
}

impl From<FinancialYear> for YearView {
    fn from(it: FinancialYear) -> Self {
        Self { year: it.year, moved: it.moved.into() }
    }
}

/// What a fund's balances were.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct PositionView {
    fund: String,
    at_sequence: i64,
    #[serde(flatten)]
    position: Balances,
    financial_years: Vec<YearView>,
}

impl From<GetFundPositionResponse> for PositionView {
    fn from(answer: GetFundPositionResponse) -> Self {
        Self {
            fund: answer.fund,
            at_sequence: answer.at_sequence,
            position: answer.position.into(),
            financial_years: answer.financial_years.into_iter().map(YearView::from).collect(),
        }
    }
}

impl View for PositionView {
    fn text(&self) -> String {
        use TableColumn::{Number, Text};
        let columns = [Text("YEAR"), Number("ALLOCATED"), Number("COMMITTED"), Number("SPENT"), Number("AVAILABLE")];
        let row = |year: &str, it: &Balances| -> Vec<String> {
            let amounts = [it.allocated, it.committed, it.spent, it.available].map(|it| shown(Some("pence"), it));
            std::iter::once(year.to_owned()).chain(amounts).collect()
        };
        let years = self.financial_years.iter().map(|it| row(&it.year, &it.moved));
        let rows = years.chain([row("total", &self.position)]);
        let what = facts([("fund", self.fund.clone()), ("at sequence", self.at_sequence.to_string())]);
        format!("{what}\n\n{}", table(&columns, rows))
    }
}

/// An entry of a fund. The names are the columns of its CSV too.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct EntryView {
    entry: i64,
    event_sequence: i64,
    event_kind: String,
    verb: String,
    from_bucket: String,
    to_bucket: String,
    amount_pence: i64,
    period: String,
    effective_date: String,
    recorded_time: Option<String>,
    actor: String,
    offer: Option<String>,
}

impl EntryView {
    /// The header of the CSV.
    pub(in crate::cli) const COLUMNS: [&'static str; 12] = [
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
}

impl From<FundEntry> for EntryView {
    fn from(it: FundEntry) -> Self {
        Self {
            entry: it.entry,
            event_sequence: it.event_sequence,
            event_kind: it.event_kind,
            verb: it.verb,
            from_bucket: it.from_bucket,
            to_bucket: it.to_bucket,
            amount_pence: it.amount_pence,
            period: it.period,
            effective_date: it.effective_date,
            recorded_time: instant(it.recorded_time),
            actor: it.actor,
            offer: some_text(it.offer),
        }
    }
}

impl View for Vec<EntryView> {
    fn text(&self) -> String {
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
        let row = |it: &EntryView| {
            vec![
                it.entry.to_string(),
                it.effective_date.clone(),
                it.event_kind.clone(),
                it.from_bucket.clone(),
                it.to_bucket.clone(),
                shown(Some("pence"), it.amount_pence),
                it.period.clone(),
                it.actor.clone(),
            ]
        };
        table(&columns, self.iter().map(row))
    }
}
