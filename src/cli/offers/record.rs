//! What identifying did, and the events of an offer, as they are printed.

use serde::Serialize;
use serde_json::Value;

use crate::cli::names::{instant, some_text};
use crate::cli::output::{TableColumn, View, cell, counts, table};
use crate::cli::view::warnings::WarningView;
use crate::proto::{
    BlockedSchool, ClosedSchool, IdentifyOffersResponse, NotEligibleSchool, OfferEvent, UnplacedSchool,
};

/// What identifying did.
#[derive(Debug, Serialize)]
pub(super) struct IdentifiedView {
    created: i32,
    updated: i32,
    already_open: i32,
    already_closed: i32,
    blocked: usize,
    unplaced: usize,
    closed: usize,
    not_eligible: usize,
    blocked_schools: Vec<LeftOut>,
    unplaced_schools: Vec<LeftOut>,
    closed_schools: Vec<ClosedView>,
    not_eligible_schools: Vec<LeftOut>,
    confirmed_referrals: Vec<String>,
    warnings: Vec<WarningView>,
    judged_at_sequence: i64,
    dry_run: bool,
}

/// A school that waits for a person, and why.
#[derive(Debug, Serialize)]
struct LeftOut {
    urn: i32,
    name: String,
    offer: Option<String>,
    reason: String,
    /// The command that deals with it.
    command: String,
}

impl From<BlockedSchool> for LeftOut {
    fn from(school: BlockedSchool) -> Self {
        let offer = some_text(school.offer);
        let command = offer.as_ref().map_or_else(
            || format!("tsio eligibility explain {}", school.urn),
            |offer| format!("tsio offers show {offer}"),
        );
        Self { urn: school.urn, name: school.name, offer, reason: school.reason, command }
    }
}

impl From<UnplacedSchool> for LeftOut {
    fn from(school: UnplacedSchool) -> Self {
        let command = format!("tsio schools place {} --kind KIND --reason TEXT", school.urn);
        Self { urn: school.urn, name: school.name, offer: None, reason: school.reason, command }
    }
}

impl From<NotEligibleSchool> for LeftOut {
    fn from(school: NotEligibleSchool) -> Self {
        let command = if school.whole_offer {
            format!("tsio offers close {} --outcome ineligible", school.offer)
        } else {
            format!("tsio offers show {}", school.offer)
        };
        Self { urn: school.urn, name: school.name, offer: some_text(school.offer), reason: school.reason, command }
    }
}

/// A school that has closed: no offer is made for it, and one it is on stays as it is.
#[derive(Debug, Serialize)]
struct ClosedView {
    #[serde(flatten)]
    school: LeftOut,
    successors: Vec<i32>,
}

impl From<ClosedSchool> for ClosedView {
    fn from(school: ClosedSchool) -> Self {
        let offer = some_text(school.offer);
        let command = match (&offer, school.successor_urns.as_slice()) {
            (Some(offer), _) => format!("tsio offers show {offer}"),
            (None, [successor, ..]) => format!("tsio eligibility explain {successor}"),
            (None, []) => format!("tsio schools show {}", school.urn),
        };
        let school_left = LeftOut { urn: school.urn, name: school.name, offer, reason: school.reason, command };
        Self { school: school_left, successors: school.successor_urns }
    }
}

impl IdentifiedView {
    /// Of an answer; `dry_run` when nothing was written.
    pub(super) fn new(answer: IdentifyOffersResponse, dry_run: bool) -> Self {
        Self {
            created: answer.created,
            updated: answer.updated,
            already_open: answer.already_open,
            already_closed: answer.already_closed,
            blocked: answer.blocked.len(),
            unplaced: answer.unplaced.len(),
            closed: answer.closed.len(),
            not_eligible: answer.not_eligible.len(),
            blocked_schools: answer.blocked.into_iter().map(LeftOut::from).collect(),
            unplaced_schools: answer.unplaced.into_iter().map(LeftOut::from).collect(),
            closed_schools: answer.closed.into_iter().map(ClosedView::from).collect(),
            not_eligible_schools: answer.not_eligible.into_iter().map(LeftOut::from).collect(),
            confirmed_referrals: answer.confirmed_referrals,
            warnings: answer.warnings.iter().map(WarningView::from).collect(),
            judged_at_sequence: answer.judged_at_sequence,
            dry_run,
        }
    }
}

impl View for IdentifiedView {
    fn text(&self) -> String {
        let rows = [
            (if self.dry_run { "would be created" } else { "created" }, self.created.to_string()),
            (if self.dry_run { "would be updated" } else { "updated" }, self.updated.to_string()),
            ("already open", self.already_open.to_string()),
            ("already closed", self.already_closed.to_string()),
            ("blocked", self.blocked.to_string()),
            ("unplaced", self.unplaced.to_string()),
            ("closed", self.closed.to_string()),
            ("not eligible", self.not_eligible.to_string()),
            ("confirmed", self.confirmed_referrals.len().to_string()),
        ];
        let mut parts = vec![counts(rows.map(|(key, value)| (key.to_owned(), value)))];
        let lists: [(&'static str, Vec<&LeftOut>); 4] = [
            ("BLOCKED", self.blocked_schools.iter().collect()),
            ("UNPLACED", self.unplaced_schools.iter().collect()),
            ("CLOSED", self.closed_schools.iter().map(|it| &it.school).collect()),
            ("NOT ELIGIBLE", self.not_eligible_schools.iter().collect()),
        ];
        for (heading, schools) in lists {
            if !schools.is_empty() {
                let columns = [
                    TableColumn::Number("URN"),
                    TableColumn::Text(heading),
                    TableColumn::Text("WHY"),
                    TableColumn::Text("COMMAND"),
                ];
                let row =
                    |it: &LeftOut| vec![it.urn.to_string(), it.name.clone(), it.reason.clone(), it.command.clone()];
                parts.push(table(&columns, schools.into_iter().map(row)));
            }
        }
        parts.join("\n\n")
    }
}

/// One event of an offer.
#[derive(Debug, Serialize)]
pub(super) struct EventView {
    sequence: i64,
    kind: String,
    actor: String,
    request_id: String,
    effective_date: String,
    recorded_time: Option<String>,
    reason_code: Option<String>,
    text: Option<String>,
    body: Value,
    hash: String,
    text_erased: bool,
}

impl From<OfferEvent> for EventView {
    fn from(event: OfferEvent) -> Self {
        Self {
            sequence: event.sequence,
            kind: event.kind,
            actor: event.actor,
            request_id: event.request_id,
            effective_date: event.effective_date,
            recorded_time: instant(event.recorded_time),
            reason_code: some_text(event.reason_code),
            text: some_text(event.text),
            text_erased: event.text_erased,
            body: serde_json::from_str(&event.body_json).unwrap_or(Value::String(event.body_json)),
            hash: event.hash,
        }
    }
}

impl EventView {
    /// What happened.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }
}

impl View for Vec<EventView> {
    fn text(&self) -> String {
        use TableColumn::{Id, Number, Text};
        let columns = [Number("SEQ"), Id("DATE"), Text("EVENT"), Text("BY"), Text("REASON"), Text("TEXT")];
        let row = |event: &EventView| {
            vec![
                event.sequence.to_string(),
                event.effective_date.clone(),
                event.kind.clone(),
                event.actor.clone(),
                cell(event.reason_code.as_ref()),
                if event.text_erased { "(erased)".to_owned() } else { cell(event.text.as_ref()) },
            ]
        };
        table(&columns, self.iter().map(row))
    }
}
