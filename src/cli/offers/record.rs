//! What identifying did, and the events of an offer, as they are printed.

use serde::Serialize;
use serde_json::Value;

use crate::cli::names::{instant, some_text};
use crate::cli::out::{Column, View, cell, counts, table};
use crate::proto::{BlockedSchool, IdentifyOffersResponse, OfferEvent, UnplacedSchool};

/// What identifying did.
#[derive(Debug, Serialize)]
pub(super) struct IdentifiedView {
    created: i32,
    updated: i32,
    already_open: i32,
    already_closed: i32,
    blocked: usize,
    unplaced: usize,
    blocked_schools: Vec<LeftOut>,
    unplaced_schools: Vec<LeftOut>,
    judged_at_sequence: i64,
    dry_run: bool,
}

/// A school that is on no offer by this, and why.
#[derive(Debug, Serialize)]
struct LeftOut {
    urn: i32,
    name: String,
    offer: Option<String>,
    reason: String,
}

impl From<BlockedSchool> for LeftOut {
    fn from(school: BlockedSchool) -> Self {
        Self { urn: school.urn, name: school.name, offer: some_text(school.offer), reason: school.reason }
    }
}

impl From<UnplacedSchool> for LeftOut {
    fn from(school: UnplacedSchool) -> Self {
        Self { urn: school.urn, name: school.name, offer: None, reason: school.reason }
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
            blocked_schools: answer.blocked.into_iter().map(LeftOut::from).collect(),
            unplaced_schools: answer.unplaced.into_iter().map(LeftOut::from).collect(),
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
        ];
        let mut parts = vec![counts(rows.map(|(key, value)| (key.to_owned(), value)))];
        for (heading, schools) in [("BLOCKED", &self.blocked_schools), ("UNPLACED", &self.unplaced_schools)] {
            if !schools.is_empty() {
                let columns = [Column::Number("URN"), Column::Text(heading), Column::Text("WHY")];
                let row = |school: &LeftOut| vec![school.urn.to_string(), school.name.clone(), school.reason.clone()];
                parts.push(table(&columns, schools.iter().map(row)));
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
        use Column::{Id, Number, Text};
        let columns = [Number("SEQ"), Id("DATE"), Text("EVENT"), Text("BY"), Text("REASON"), Text("TEXT")];
        let row = |event: &EventView| {
            vec![
                event.sequence.to_string(),
                event.effective_date.clone(),
                event.kind.clone(),
                event.actor.clone(),
                cell(event.reason_code.as_ref()),
                cell(event.text.as_ref()),
            ]
        };
        table(&columns, self.iter().map(row))
    }
}
