//! Formats the answer to `tsio offers identify`, and the events of an offer.

use prost::{Message, Name};

use crate::cli::json::{self, Json, Object};
use crate::cli::output::{TableColumn, counts, parts, table, table_if_any};
use crate::proto::{
    BlockedSchool, ClosedSchool, IdentifyOffersResponse, NotEligibleSchool, OfferEvent, UnplacedSchool,
};

/// A school that was not put on an offer, or should leave its offer, and waits for a person.
trait LeftOutSchool: Message + Name {
    /// Returns the URN of the school, its name, and why it is left out.
    fn school(&self) -> (i32, &str, &str);

    /// Returns the next command for a person.
    fn command(&self) -> String;

    /// Returns the JSON of the school, with the keys `offer`, which may be null, and `command`.
    fn json(&self) -> Object
    where
        Self: Sized,
    {
        json::of(self).or("offer", Json::Null).with("command", self.command())
    }
}

impl LeftOutSchool for BlockedSchool {
    fn school(&self) -> (i32, &str, &str) {
        (self.urn, &self.name, &self.reason)
    }

    fn command(&self) -> String {
        match self.offer.as_str() {
            "" => format!("tsio eligibility explain {}", self.urn),
            offer => format!("tsio offers show {offer}"),
        }
    }
}

impl LeftOutSchool for UnplacedSchool {
    fn school(&self) -> (i32, &str, &str) {
        (self.urn, &self.name, &self.reason)
    }

    fn command(&self) -> String {
        format!("tsio schools place {} --kind KIND --reason TEXT", self.urn)
    }
}

/// A closed school gets no offer. If it is on an offer already, that offer does not change.
impl LeftOutSchool for ClosedSchool {
    fn school(&self) -> (i32, &str, &str) {
        (self.urn, &self.name, &self.reason)
    }

    fn command(&self) -> String {
        match (self.offer.as_str(), self.successor_urns.as_slice()) {
            ("", [successor, ..]) => format!("tsio eligibility explain {successor}"),
            ("", []) => format!("tsio schools show {}", self.urn),
            (offer, _) => format!("tsio offers show {offer}"),
        }
    }
}

impl LeftOutSchool for NotEligibleSchool {
    fn school(&self) -> (i32, &str, &str) {
        (self.urn, &self.name, &self.reason)
    }

    fn command(&self) -> String {
        // True if no school of the offer is eligible.
        if self.whole_offer {
            format!("tsio offers close {} --outcome ineligible", self.offer)
        } else {
            format!("tsio offers show {}", self.offer)
        }
    }
}

/// Returns the JSON of the answer to `identify`. For each reason it has the number and the list of schools that are left out.
/// `dry_run` is true if nothing was written.
pub(super) fn identify_json(answer: &IdentifyOffersResponse, dry_run: bool) -> Object {
    fn list<S: LeftOutSchool>(schools: &[S]) -> Json {
        schools.iter().map(LeftOutSchool::json).collect()
    }
    json::of(answer)
        .with("blocked", answer.blocked.len())
        .with("unplaced", answer.unplaced.len())
        .with("closed", answer.closed.len())
        .with("not_eligible", answer.not_eligible.len())
        .with("blocked_schools", list(&answer.blocked))
        .with("unplaced_schools", list(&answer.unplaced))
        .with("closed_schools", list(&answer.closed))
        .with("not_eligible_schools", list(&answer.not_eligible))
        .with("dry_run", dry_run)
}

/// Formats the answer to `identify`.
pub(super) fn identify_text(answer: &IdentifyOffersResponse, dry_run: bool) -> String {
    let rows = [
        (if dry_run { "would be created" } else { "created" }, answer.created.to_string()),
        (if dry_run { "would be updated" } else { "updated" }, answer.updated.to_string()),
        ("already open", answer.already_open.to_string()),
        ("already closed", answer.already_closed.to_string()),
        ("blocked", answer.blocked.len().to_string()),
        ("unplaced", answer.unplaced.len().to_string()),
        ("closed", answer.closed.len().to_string()),
        ("not eligible", answer.not_eligible.len().to_string()),
        ("confirmed", answer.confirmed_referrals.len().to_string()),
    ];
    parts([
        counts(rows.map(|(key, value)| (key.to_owned(), value))),
        left_out_table("BLOCKED", &answer.blocked),
        left_out_table("UNPLACED", &answer.unplaced),
        left_out_table("CLOSED", &answer.closed),
        left_out_table("NOT ELIGIBLE", &answer.not_eligible),
    ])
}

/// Formats the schools that are left out for one reason; empty if there are none.
fn left_out_table<S: LeftOutSchool>(heading: &'static str, schools: &[S]) -> String {
    use TableColumn::{Number, Text};
    let row = |it: &S| {
        let (urn, name, reason) = it.school();
        vec![urn.to_string(), name.to_owned(), reason.to_owned(), it.command()]
    };
    table_if_any(&[Number("URN"), Text(heading), Text("WHY"), Text("COMMAND")], schools, row)
}

/// Formats events of an offer as a table, one row per event.
pub(super) fn events(events: &[OfferEvent]) -> String {
    use TableColumn::{Id, Number, Text};
    let columns = [Number("SEQ"), Id("DATE"), Text("EVENT"), Text("BY"), Text("REASON"), Text("TEXT")];
    let row = |it: &OfferEvent| {
        vec![
            it.sequence.to_string(),
            it.effective_date.clone(),
            it.kind.clone(),
            it.actor.clone(),
            it.reason_code.clone(),
            if it.text_erased { "(erased)".to_owned() } else { it.text.clone() },
        ]
    };
    table(&columns, events.iter().map(row))
}
