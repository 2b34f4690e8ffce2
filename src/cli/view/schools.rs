//! Schools, their trusts, judgements and links, as they are printed.

use serde::Serialize;

use crate::cli::names::{name, some_number, some_text};
use crate::cli::output::{TableColumn, View, cell, facts, table};
use crate::proto::{
    EntryDecision, GetSchoolResponse, Judgement, Membership, MonthlyRow, PlaceSchoolResponse, ProgrammePlacement,
    School, SchoolLink,
};

/// A school.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct SchoolView {
    pub(in crate::cli) urn: i32,
    pub(in crate::cli) name: String,
    laestab: Option<i32>,
    la_code: Option<i32>,
    la_name: Option<String>,
    pub(in crate::cli) region: Option<String>,
    phase: Option<String>,
    school_type: Option<String>,
    diocese: Option<String>,
    status: Option<String>,
    pub(in crate::cli) placement: Option<String>,
    unplaced_reason: Option<String>,
    trust_uid: Option<i32>,
    close_date: Option<String>,
    pub(in crate::cli) closed_reason: Option<String>,
    successors: Vec<i32>,
}

impl From<School> for SchoolView {
    fn from(school: School) -> Self {
        Self {
            placement: name(school.placement().as_str_name(), "PLACEMENT_"),
            urn: school.urn,
            name: school.name,
            laestab: some_number(school.laestab),
            la_code: some_number(school.la_code),
            la_name: some_text(school.la_name),
            region: some_text(school.region),
            phase: some_text(school.phase),
            school_type: some_text(school.school_type),
            diocese: some_text(school.diocese),
            status: some_text(school.status),
            unplaced_reason: some_text(school.unplaced_reason),
            trust_uid: some_number(school.trust_uid),
            close_date: some_text(school.close_date),
            closed_reason: some_text(school.closed_reason),
            successors: school.successor_urns,
        }
    }
}

impl View for SchoolView {
    fn text(&self) -> String {
        facts([
            ("urn", self.urn.to_string()),
            ("name", self.name.clone()),
            ("laestab", cell(self.laestab.as_ref())),
            ("local authority", cell(self.la_name.as_ref())),
            ("region", cell(self.region.as_ref())),
            ("phase", cell(self.phase.as_ref())),
            ("type", cell(self.school_type.as_ref())),
            ("diocese", cell(self.diocese.as_ref())),
            ("status", cell(self.status.as_ref())),
            ("close date", cell(self.close_date.as_ref())),
            ("closed because", cell(self.closed_reason.as_ref())),
            ("placement", cell(self.placement.as_ref())),
            ("unplaced because", cell(self.unplaced_reason.as_ref())),
            ("trust", cell(self.trust_uid.as_ref())),
        ])
    }
}

/// A school placed by hand.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct PlacedView {
    urn: i32,
    name: String,
    placement: Option<String>,
    trust_uid: Option<i32>,
}

impl From<PlaceSchoolResponse> for PlacedView {
    fn from(placed: PlaceSchoolResponse) -> Self {
        Self {
            placement: name(placed.placement().as_str_name(), "PLACEMENT_"),
            urn: placed.urn,
            name: placed.name,
            trust_uid: some_number(placed.trust_uid),
        }
    }
}

impl View for PlacedView {
    fn text(&self) -> String {
        facts([
            ("urn", self.urn.to_string()),
            ("name", self.name.clone()),
            ("placement", cell(self.placement.as_ref())),
            ("trust", cell(self.trust_uid.as_ref())),
        ])
    }
}

impl View for Vec<SchoolView> {
    fn text(&self) -> String {
        use TableColumn::{Number, Text};
        let columns = [Number("URN"), Text("NAME"), Text("LOCAL AUTHORITY"), Text("PLACEMENT"), Number("TRUST")];
        let row = |school: &SchoolView| {
            vec![
                school.urn.to_string(),
                school.name.clone(),
                cell(school.la_name.as_ref()),
                cell(school.placement.as_ref()),
                cell(school.trust_uid.as_ref()),
            ]
        };
        table(&columns, self.iter().map(row))
    }
}

/// One judgement.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct JudgementView {
    inspection_number: String,
    urn_judged: i32,
    started: Option<String>,
    ended: Option<String>,
    published: Option<String>,
    grade: i32,
}

impl From<Judgement> for JudgementView {
    fn from(judgement: Judgement) -> Self {
        Self {
            inspection_number: judgement.inspection_number,
            urn_judged: judgement.urn_judged,
            started: some_text(judgement.started),
            ended: some_text(judgement.ended),
            published: some_text(judgement.published),
            grade: judgement.grade,
        }
    }
}

impl JudgementView {
    /// The grade, the inspection behind it, and the day it was published.
    pub(in crate::cli) fn text(&self) -> String {
        let published = self.published.as_deref().unwrap_or("date unknown");
        format!("grade {}, inspection {} of {}, {published}", self.grade, self.inspection_number, self.urn_judged)
    }
}

#[derive(Debug, Serialize)]
struct MembershipView {
    as_at: String,
    uid: i32,
    name: String,
    group_type: String,
    group_status: String,
    joined: Option<String>,
    import_id: String,
}

impl From<Membership> for MembershipView {
    fn from(membership: Membership) -> Self {
        Self {
            as_at: membership.as_at,
            uid: membership.uid,
            name: membership.name,
            group_type: membership.group_type,
            group_status: membership.group_status,
            joined: some_text(membership.joined),
            import_id: membership.import_id,
        }
    }
}

#[derive(Debug, Serialize)]
struct MonthView {
    as_at: String,
    import_id: String,
    current: Option<JudgementView>,
    previous: Option<JudgementView>,
}

impl From<MonthlyRow> for MonthView {
    fn from(row: MonthlyRow) -> Self {
        Self {
            as_at: row.as_at,
            import_id: row.import_id,
            current: row.current.map(JudgementView::from),
            previous: row.previous.map(JudgementView::from),
        }
    }
}

#[derive(Debug, Serialize)]
struct LinkView {
    urn: i32,
    name: String,
    link_type: String,
    date: Option<String>,
}

impl From<SchoolLink> for LinkView {
    fn from(link: SchoolLink) -> Self {
        Self { urn: link.urn, name: link.name, link_type: link.link_type, date: some_text(link.date) }
    }
}

/// How a person has placed a school in a programme.
#[derive(Debug, Serialize)]
struct HandPlacedView {
    programme: String,
    placement: Option<String>,
    trust_uid: Option<i32>,
}

impl From<ProgrammePlacement> for HandPlacedView {
    fn from(placed: ProgrammePlacement) -> Self {
        Self {
            placement: name(placed.placement().as_str_name(), "PLACEMENT_"),
            programme: placed.programme,
            trust_uid: some_number(placed.trust_uid),
        }
    }
}

/// An entry position that two people decided.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct DecisionView {
    programme: String,
    urn: i32,
    position: Option<String>,
    asked_by: Option<String>,
    decided_by: Option<String>,
    date: String,
    event: i64,
    counts: bool,
}

impl From<EntryDecision> for DecisionView {
    fn from(decision: EntryDecision) -> Self {
        Self {
            position: name(decision.position().as_str_name(), "ENTRY_POSITION_"),
            programme: decision.programme,
            urn: decision.urn,
            asked_by: some_text(decision.asked_by),
            decided_by: some_text(decision.decided_by),
            date: decision.date,
            event: decision.event,
            counts: decision.counts,
        }
    }
}

impl View for DecisionView {
    fn text(&self) -> String {
        facts([
            ("programme", self.programme.clone()),
            ("urn", self.urn.to_string()),
            ("entry position", cell(self.position.as_ref())),
            ("asked by", cell(self.asked_by.as_ref())),
            ("decided by", cell(self.decided_by.as_ref())),
            ("date", self.date.clone()),
            ("event", self.event.to_string()),
            ("counts", if self.counts { "yes" } else { "no" }.to_owned()),
        ])
    }
}

/// A school and its history.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct SchoolDetail {
    #[serde(flatten)]
    school: SchoolView,
    memberships: Vec<MembershipView>,
    months: Vec<MonthView>,
    links: Vec<LinkView>,
    placed_by_hand: Vec<HandPlacedView>,
    entry_decisions: Vec<DecisionView>,
}

impl From<GetSchoolResponse> for SchoolDetail {
    fn from(answer: GetSchoolResponse) -> Self {
        Self {
            school: answer.school.unwrap_or_default().into(),
            memberships: answer.memberships.into_iter().map(MembershipView::from).collect(),
            months: answer.months.into_iter().map(MonthView::from).collect(),
            links: answer.links.into_iter().map(LinkView::from).collect(),
            placed_by_hand: answer.placed.into_iter().map(HandPlacedView::from).collect(),
            entry_decisions: answer.entry_decisions.into_iter().map(DecisionView::from).collect(),
        }
    }
}

impl View for SchoolDetail {
    fn text(&self) -> String {
        use TableColumn::{Id, Number, Text};
        let mut parts = vec![self.school.text()];
        if !self.placed_by_hand.is_empty() {
            let columns = [Id("PROGRAMME"), Text("PLACED BY HAND"), Number("TRUST")];
            let row = |placed: &HandPlacedView| {
                vec![placed.programme.clone(), cell(placed.placement.as_ref()), cell(placed.trust_uid.as_ref())]
            };
            parts.push(table(&columns, self.placed_by_hand.iter().map(row)));
        }
        parts.extend(self.entry_decisions.iter().map(View::text));
        if !self.memberships.is_empty() {
            let columns = [Id("REGISTER"), Number("TRUST"), Text("NAME"), Text("TYPE"), Text("JOINED")];
            let row = |m: &MembershipView| {
                let joined = cell(m.joined.as_ref());
                vec![m.as_at.clone(), m.uid.to_string(), m.name.clone(), m.group_type.clone(), joined]
            };
            parts.push(table(&columns, self.memberships.iter().map(row)));
        }
        if !self.months.is_empty() {
            let columns = [Id("MONTH"), Text("CURRENT"), Text("PREVIOUS")];
            let judged = |judgement: &Option<JudgementView>| judgement.as_ref().map(JudgementView::text);
            let row = |month: &MonthView| {
                let [current, previous] = [&month.current, &month.previous].map(judged);
                vec![month.as_at.clone(), current.unwrap_or_default(), previous.unwrap_or_default()]
            };
            parts.push(table(&columns, self.months.iter().map(row)));
        }
        if !self.links.is_empty() {
            let columns = [Number("LINKED"), Text("NAME"), Text("KIND"), Text("DATE")];
            let row = |link: &LinkView| {
                vec![link.urn.to_string(), link.name.clone(), link.link_type.clone(), cell(link.date.as_ref())]
            };
            parts.push(table(&columns, self.links.iter().map(row)));
        }
        parts.join("\n\n")
    }
}
