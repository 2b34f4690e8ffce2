//! Referrals as they are printed.

use serde::Serialize;

use super::offers::OfferView;
use crate::cli::names::{name, some_number, some_text};
use crate::cli::output::{TableColumn, View, cell, facts, table};
use crate::cli::view::warnings::WarningView;
use crate::proto::{Discussion, Offer, Referral, Warning};

#[derive(Debug, Serialize)]
struct DiscussionView {
    sequence: i64,
    date: String,
    recorded_by: String,
    /// Nothing where it was recorded before anybody was asked.
    held_with: Option<String>,
    note: Option<String>,
}

impl From<Discussion> for DiscussionView {
    fn from(it: Discussion) -> Self {
        let held_with = name(it.held_with().as_str_name(), "DISCUSSION_PARTNER_");
        let Discussion { sequence, date, recorded_by, note, .. } = it;
        Self { sequence, date, recorded_by, held_with, note: some_text(note) }
    }
}

/// A referral.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ReferralView {
    referral: String,
    programme: String,
    uid: Option<i32>,
    urns: Vec<i32>,
    name: String,
    region: String,
    origin: Option<String>,
    rule: String,
    ground: String,
    state: Option<String>,
    raised_by: String,
    raise_date: String,
    reason: Option<String>,
    discussions: Vec<DiscussionView>,
    decided_by: Option<String>,
    decide_date: Option<String>,
    outcome_reason: Option<String>,
    offer: Option<String>,
    exceptional_urns: Vec<i32>,
    etag: String,
}

impl From<Referral> for ReferralView {
    fn from(it: Referral) -> Self {
        Self {
            origin: name(it.origin().as_str_name(), "REFERRAL_ORIGIN_"),
            state: name(it.state().as_str_name(), "REFERRAL_STATE_"),
            referral: it.referral,
            programme: it.programme,
            uid: some_number(it.uid),
            urns: it.urns,
            name: it.name,
            region: it.region,
            rule: it.rule,
            ground: it.ground,
            raised_by: it.raised_by,
            raise_date: it.raise_date,
            reason: some_text(it.reason),
            discussions: it.discussions.into_iter().map(DiscussionView::from).collect(),
            decided_by: some_text(it.decided_by),
            decide_date: some_text(it.decide_date),
            outcome_reason: some_text(it.outcome_reason),
            offer: some_text(it.offer),
            exceptional_urns: it.exceptional_urns,
            etag: it.etag,
        }
    }
}

impl ReferralView {
    /// Who is referred: `trust 2571`, `school 103150`.
    fn subject(&self) -> String {
        match (self.uid, self.urns.first()) {
            (Some(uid), _) => format!("trust {uid}"),
            (None, Some(urn)) => format!("school {urn}"),
            (None, None) => String::new(),
        }
    }

    fn facts(&self) -> String {
        let numbers = |urns: &[i32]| urns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        facts([
            ("referral", self.referral.clone()),
            ("programme", self.programme.clone()),
            ("of", format!("{} ({})", self.name, self.subject())),
            ("schools", numbers(&self.urns)),
            ("region", self.region.clone()),
            ("origin", cell(self.origin.as_ref())),
            ("ground", format!("{} of {}", self.ground, self.rule)),
            ("state", cell(self.state.as_ref())),
            ("raised", format!("{} by {}", self.raise_date, self.raised_by)),
            ("why", cell(self.reason.as_ref())),
            ("decided", cell(self.decide_date.as_ref())),
            ("by", cell(self.decided_by.as_ref())),
            ("because", cell(self.outcome_reason.as_ref())),
            ("offer", cell(self.offer.as_ref())),
            ("exceptional", numbers(&self.exceptional_urns)),
            ("etag", self.etag.clone()),
        ])
    }
}

impl View for Vec<ReferralView> {
    fn text(&self) -> String {
        use TableColumn::{Id, Text};
        let columns = [Id("REFERRAL"), Text("OF"), Text("NAME"), Text("REGION"), Text("GROUND"), Text("STATE")];
        let row = |it: &ReferralView| {
            vec![
                it.referral.clone(),
                it.subject(),
                it.name.clone(),
                it.region.clone(),
                it.ground.clone(),
                cell(it.state.as_ref()),
            ]
        };
        table(&columns, self.iter().map(row))
    }
}

/// A referral with its discussions.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(in crate::cli) struct WholeView(pub(in crate::cli) ReferralView);

impl View for WholeView {
    fn text(&self) -> String {
        use TableColumn::{Number, Text};
        let columns = [Number("NUMBER"), Text("DATE"), Text("RECORDED BY"), Text("HELD WITH"), Text("NOTE")];
        let row = |it: &DiscussionView| {
            let (with, note) = (cell(it.held_with.as_ref()), cell(it.note.as_ref()));
            vec![it.sequence.to_string(), it.date.clone(), it.recorded_by.clone(), with, note]
        };
        let held = &self.0.discussions;
        let discussions = (!held.is_empty()).then(|| format!("discussions\n{}", table(&columns, held.iter().map(row))));
        [Some(self.0.facts()), discussions].into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }
}

/// A referral after a change, and the offer that came of it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ChangedView {
    #[serde(flatten)]
    referral: ReferralView,
    /// The offer after it; `offer` is its id.
    made_offer: Option<OfferView>,
    warnings: Vec<WarningView>,
}

impl ChangedView {
    pub(in crate::cli) fn new(referral: Option<Referral>, offer: Option<Offer>, warnings: &[Warning]) -> Self {
        Self {
            referral: referral.unwrap_or_default().into(),
            made_offer: offer.map(OfferView::from),
            warnings: warnings.iter().map(WarningView::from).collect(),
        }
    }
}

impl View for ChangedView {
    fn text(&self) -> String {
        let offer = self.made_offer.as_ref().map(View::text);
        [Some(self.referral.facts()), offer].into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }
}
