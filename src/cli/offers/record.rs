//! Prints the result of identifying offers, and the events of an offer.

use prost::{Message, Name};

use crate::cli::json::{self, Json, Object};
use crate::cli::output::{TableColumn, counts, parts, table, table_of_some};
use crate::proto::{
    BlockedSchool, ClosedSchool, IdentifyOffersResponse, NotEligibleSchool, OfferEvent, UnplacedSchool,
};

/// A school that waits for a person, and the command that deals with it.
trait LeftOut: Message + Name {
    /// Its URN, its name, and why it was left out.
    fn school(&self) -> (i32, &str, &str);

    fn command(&self) -> String;

    fn json(&self) -> Object
    where
        Self: Sized,
    {
        json::of(self).or("offer", Json::Null).with("command", self.command())
    }
}

impl LeftOut for BlockedSchool {
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

impl LeftOut for UnplacedSchool {
    fn school(&self) -> (i32, &str, &str) {
        (self.urn, &self.name, &self.reason)
    }

    fn command(&self) -> String {
        format!("tsio schools place {} --kind KIND --reason TEXT", self.urn)
    }
}

/// A closed school gets no offer; an offer that it is on does not change.
impl LeftOut for ClosedSchool {
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

impl LeftOut for NotEligibleSchool {
    fn school(&self) -> (i32, &str, &str) {
        (self.urn, &self.name, &self.reason)
    }

    fn command(&self) -> String {
        if self.whole_offer {
            format!("tsio offers close {} --outcome ineligible", self.offer)
        } else {
            format!("tsio offers show {}", self.offer)
        }
    }
}

/// The result of identifying as JSON, with the number and list of schools left out for each reason. `dry_run` is true if
/// nothing was written.
pub(super) fn identified_json(answer: &IdentifyOffersResponse, dry_run: bool) -> Object {
    fn list<S: LeftOut>(schools: &[S]) -> Json {
        schools.iter().map(LeftOut::json).collect()
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

/// The result of identifying as text.
pub(super) fn identified(answer: &IdentifyOffersResponse, dry_run: bool) -> String {
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
        left_out("BLOCKED", &answer.blocked),
        left_out("UNPLACED", &answer.unplaced),
        left_out("CLOSED", &answer.closed),
        left_out("NOT ELIGIBLE", &answer.not_eligible),
    ])
}

fn left_out<S: LeftOut>(heading: &'static str, schools: &[S]) -> String {
    use TableColumn::{Number, Text};
    let row = |it: &S| {
        let (urn, name, reason) = it.school();
        vec![urn.to_string(), name.to_owned(), reason.to_owned(), it.command()]
    };
    table_of_some(&[Number("URN"), Text(heading), Text("WHY"), Text("COMMAND")], schools, row)
}

/// Events of an offer, a row each.
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
