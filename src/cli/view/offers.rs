//! Offers, their schools and contacts, as they are printed.

use serde::{Serialize, Serializer};

use super::awards::{AwardView, ReleasedView, awards_text, released_text};
use super::funds::{FundView, caps_text};
use crate::cli::names::{instant, name, some_number, some_text};
use crate::cli::output::{TableColumn, View, cell, facts, table};
use crate::cli::view::warnings::WarningView;
use crate::proto::{
    AcceptOfferResponse, AssignOfferResponse, ChangeOfferRegionResponse, CloseOfferResponse, Contact,
    CorrectContactResponse, CorrectOfferDateResponse, DeclineOfferResponse, GetOfferResponse, NoteOfferResponse, Offer,
    OfferSchool, ReleasedAward, ReopenOfferResponse, StartOfferResponse, Warning,
};

/// An offer in a list.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct OfferView {
    offer: String,
    programme: String,
    recipient_kind: Option<String>,
    recipient: i32,
    name: String,
    region: String,
    state: Option<String>,
    etag: String,
    assignee: Option<String>,
    outcome: Option<String>,
    accepted: Option<String>,
    started: Option<String>,
}

impl From<Offer> for OfferView {
    fn from(offer: Offer) -> Self {
        Self {
            recipient_kind: name(offer.recipient_kind().as_str_name(), "RECIPIENT_KIND_"),
            state: name(offer.state().as_str_name(), "OFFER_STATE_"),
            outcome: name(offer.outcome().as_str_name(), "OUTCOME_"),
            offer: offer.offer,
            programme: offer.programme,
            recipient: offer.recipient,
            name: offer.name,
            region: offer.region,
            etag: offer.etag,
            assignee: some_text(offer.assignee),
            accepted: some_text(offer.accepted_date),
            started: some_text(offer.started_date),
        }
    }
}

impl OfferDetail {
    /// It on one line.
    pub(in crate::cli) fn line(&self) -> String {
        let OfferView { offer, region, state, name, .. } = &self.offer;
        format!("{offer}  {:<10}  {name}, {region}", cell(state.as_ref()))
    }
}

impl OfferView {
    fn facts(&self) -> [(&'static str, String); 10] {
        [
            ("offer", self.offer.clone()),
            ("programme", self.programme.clone()),
            ("recipient", format!("{} {} {}", cell(self.recipient_kind.as_ref()), self.recipient, self.name)),
            ("region", self.region.clone()),
            ("state", cell(self.state.as_ref())),
            ("accepted", cell(self.accepted.as_ref())),
            ("started", cell(self.started.as_ref())),
            ("outcome", cell(self.outcome.as_ref())),
            ("assignee", cell(self.assignee.as_ref())),
            ("etag", self.etag.clone()),
        ]
    }
}

impl View for OfferView {
    fn text(&self) -> String {
        facts(self.facts())
    }
}

impl View for Vec<OfferView> {
    fn text(&self) -> String {
        use TableColumn::{Id, Number, Text};
        let columns = [Id("OFFER"), Text("KIND"), Number("RECIPIENT"), Text("NAME"), Text("REGION"), Text("STATE")];
        let row = |offer: &OfferView| {
            vec![
                offer.offer.clone(),
                cell(offer.recipient_kind.as_ref()),
                offer.recipient.to_string(),
                offer.name.clone(),
                offer.region.clone(),
                cell(offer.state.as_ref()),
            ]
        };
        table(&columns, self.iter().map(row))
    }
}

#[derive(Debug, Serialize)]
struct SchoolOnOffer {
    urn: i32,
    name: String,
    rules: Vec<String>,
}

impl From<OfferSchool> for SchoolOnOffer {
    fn from(school: OfferSchool) -> Self {
        Self { urn: school.urn, name: school.name, rules: school.rules }
    }
}

#[derive(Debug, Serialize)]
struct ContactView {
    contact: i64,
    party: Option<String>,
    urn: Option<i32>,
    date: String,
    corrected_by: Option<i64>,
}

impl From<Contact> for ContactView {
    fn from(contact: Contact) -> Self {
        Self {
            party: name(contact.party().as_str_name(), "PARTY_"),
            contact: contact.contact,
            urn: some_number(contact.urn),
            date: contact.date,
            corrected_by: some_number(contact.corrected_by),
        }
    }
}

/// One offer with all that is on it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct OfferDetail {
    #[serde(flatten)]
    offer: OfferView,
    trust_uid: Option<i32>,
    responsible_body: Option<String>,
    terms_sha256: String,
    create_time: Option<String>,
    schools: Vec<SchoolOnOffer>,
    contacts: Vec<ContactView>,
}

impl From<Offer> for OfferDetail {
    fn from(mut offer: Offer) -> Self {
        Self {
            trust_uid: some_number(offer.trust_uid),
            responsible_body: some_text(std::mem::take(&mut offer.responsible_body)),
            terms_sha256: std::mem::take(&mut offer.terms_sha256),
            create_time: instant(offer.create_time),
            schools: std::mem::take(&mut offer.schools).into_iter().map(SchoolOnOffer::from).collect(),
            contacts: std::mem::take(&mut offer.contacts).into_iter().map(ContactView::from).collect(),
            offer: offer.into(),
        }
    }
}

impl View for OfferDetail {
    fn text(&self) -> String {
        use TableColumn::{Number, Text};
        let school = |school: &SchoolOnOffer| vec![school.urn.to_string(), school.name.clone(), school.rules.join(" ")];
        let contact = |contact: &ContactView| {
            vec![
                contact.contact.to_string(),
                contact.date.clone(),
                cell(contact.party.as_ref()),
                cell(contact.urn.as_ref()),
                cell(contact.corrected_by.as_ref()),
            ]
        };
        let more = [
            ("responsible body", cell(self.responsible_body.as_ref())),
            ("trust", cell(self.trust_uid.as_ref())),
            ("made", cell(self.create_time.as_ref())),
        ];
        let mut parts = vec![facts(self.offer.facts().into_iter().chain(more))];
        parts.push(table(&[Number("URN"), Text("SCHOOL"), Text("RULES")], self.schools.iter().map(school)));
        if !self.contacts.is_empty() {
            let columns = [Number("CONTACT"), Text("DATE"), Text("PARTY"), Number("URN"), Number("CORRECTED BY")];
            parts.push(table(&columns, self.contacts.iter().map(contact)));
        }
        parts.join("\n\n")
    }
}

/// One offer with all that was awarded under it, and what it may still have.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ShownOffer {
    #[serde(flatten)]
    offer: OfferDetail,
    awards: Vec<AwardView>,
    caps: Vec<FundView>,
}

impl From<GetOfferResponse> for ShownOffer {
    fn from(answer: GetOfferResponse) -> Self {
        let offer = answer.offer.unwrap_or_default();
        Self {
            awards: answer.awards.into_iter().map(AwardView::from).collect(),
            caps: answer.caps.into_iter().map(|cap| FundView::of_cap(&offer.programme, cap)).collect(),
            offer: offer.into(),
        }
    }
}

impl View for ShownOffer {
    fn text(&self) -> String {
        let mut parts = vec![self.offer.text()];
        if !self.caps.is_empty() {
            parts.push(caps_text(&self.caps));
        }
        if !self.awards.is_empty() {
            parts.push(awards_text(&self.awards));
        }
        parts.join("\n\n")
    }
}

impl View for Vec<ShownOffer> {
    fn text(&self) -> String {
        self.iter().map(View::text).collect::<Vec<_>>().join("\n\n\n")
    }
}

/// An offer after a command that changed it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct ChangedView {
    #[serde(flatten)]
    offer: OfferDetail,
    #[serde(serialize_with = "warning_views")]
    warnings: Vec<Warning>,
    /// What a command that closes gave back.
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<Vec<ReleasedView>>,
}

impl ChangedView {
    pub(in crate::cli) fn new(offer: Option<Offer>, warnings: Vec<Warning>) -> Self {
        Self { offer: offer.unwrap_or_default().into(), warnings, released: None }
    }

    fn closed(offer: Option<Offer>, warnings: Vec<Warning>, released: Vec<ReleasedAward>) -> Self {
        let released = released.into_iter().map(ReleasedView::from).collect();
        Self { released: Some(released), ..Self::new(offer, warnings) }
    }

    pub(in crate::cli) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}

fn warning_views<S: Serializer>(warnings: &[Warning], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(warnings.iter().map(WarningView::from))
}

/// The offer out of each answer, and the warnings where the answer has them.
macro_rules! changed {
    ($($answer:ty: [$($warnings:ident)?]),+ $(,)?) => {$(
        impl From<$answer> for ChangedView {
            fn from(answer: $answer) -> Self {
                let warnings: [Vec<Warning>; _] = [$(answer.$warnings)?];
                Self::new(answer.offer, warnings.concat())
            }
        }
    )+};
}

changed! {
    AcceptOfferResponse: [warnings],
    StartOfferResponse: [warnings],
    CorrectContactResponse: [],
    CorrectOfferDateResponse: [warnings],
    ReopenOfferResponse: [],
    AssignOfferResponse: [],
    NoteOfferResponse: [],
    ChangeOfferRegionResponse: [],
}

impl From<CloseOfferResponse> for ChangedView {
    fn from(answer: CloseOfferResponse) -> Self {
        Self::closed(answer.offer, answer.warnings, answer.released)
    }
}

impl From<DeclineOfferResponse> for ChangedView {
    fn from(answer: DeclineOfferResponse) -> Self {
        Self::closed(answer.offer, answer.warnings, answer.released)
    }
}

impl View for ChangedView {
    fn text(&self) -> String {
        let released = self.released.as_ref().filter(|it| !it.is_empty()).map(|it| released_text(it));
        [Some(self.offer.text()), released].into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }
}

impl View for Vec<ChangedView> {
    fn text(&self) -> String {
        self.iter().map(View::text).collect::<Vec<_>>().join("\n\n")
    }
}
