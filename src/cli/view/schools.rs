//! Formats schools with their trusts, judgements and links, and trusts with their schools.

use crate::cli::names::word;
use crate::cli::output::{TableColumn, field_lines, number, parts, table, table_if_any};
use crate::proto::{
    self, EntryDecision, GetSchoolResponse, GetTrustResponse, Judgement, Membership, MonthlyRow, PlaceSchoolResponse,
    ProgrammePlacement, School, SchoolLink, Trust,
};

/// Returns the JSON name of a placement; empty if it is not specified.
pub(in crate::cli) fn placement(placement: proto::Placement) -> String {
    word(placement.as_str_name(), "PLACEMENT_")
}

/// Formats one school without its history.
fn brief(it: &School) -> String {
    field_lines([
        ("urn", it.urn.to_string()),
        ("name", it.name.clone()),
        ("laestab", number(it.laestab)),
        ("local authority", it.la_name.clone()),
        ("region", it.region.clone()),
        ("phase", it.phase.clone()),
        ("type", it.school_type.clone()),
        ("diocese", it.diocese.clone()),
        ("status", it.status.clone()),
        ("close date", it.close_date.clone()),
        ("closed because", it.closed_reason.clone()),
        ("placement", placement(it.placement())),
        ("unplaced because", it.unplaced_reason.clone()),
        ("trust", number(it.trust_uid)),
    ])
}

/// Formats a school that a person has placed.
pub(in crate::cli) fn placed(it: &PlaceSchoolResponse) -> String {
    field_lines([
        ("urn", it.urn.to_string()),
        ("name", it.name.clone()),
        ("placement", placement(it.placement())),
        ("trust", number(it.trust_uid)),
    ])
}

/// Formats schools as a table, one row per school.
pub(in crate::cli) fn rows(schools: &[School]) -> String {
    use TableColumn::{Number, Text};
    let columns = [Number("URN"), Text("NAME"), Text("LOCAL AUTHORITY"), Text("PLACEMENT"), Number("TRUST")];
    let row = |it: &School| {
        vec![it.urn.to_string(), it.name.clone(), it.la_name.clone(), placement(it.placement()), number(it.trust_uid)]
    };
    table(&columns, schools.iter().map(row))
}

/// Formats a judgement: the grade, the number of the inspection, the URN that was judged, and the date of publication.
pub(in crate::cli) fn judgement(it: &Judgement) -> String {
    let published = if it.published.is_empty() { "date unknown" } else { &it.published };
    format!("grade {}, inspection {} of {}, {published}", it.grade, it.inspection_number, it.urn_judged)
}

/// Formats an entry position that two people have decided.
pub(in crate::cli) fn decision(it: &EntryDecision) -> String {
    field_lines([
        ("programme", it.programme.clone()),
        ("urn", it.urn.to_string()),
        ("entry position", word(it.position().as_str_name(), "ENTRY_POSITION_")),
        ("asked by", it.asked_by.clone()),
        ("decided by", it.decided_by.clone()),
        ("date", it.date.clone()),
        ("event", it.event.to_string()),
        ("counts", if it.counts { "yes" } else { "no" }.to_owned()),
    ])
}

/// Formats a school with its history: placements, decisions, trusts, judgements and links.
pub(in crate::cli) fn detail(answer: &GetSchoolResponse) -> String {
    use TableColumn::{Id, Number, Text};
    let by_hand = |it: &ProgrammePlacement| vec![it.programme.clone(), placement(it.placement()), number(it.trust_uid)];
    let membership = |it: &Membership| {
        vec![it.as_at.clone(), it.uid.to_string(), it.name.clone(), it.group_type.clone(), it.joined.clone()]
    };
    let month = |it: &MonthlyRow| {
        let judged = |it: &Option<Judgement>| it.as_ref().map(judgement).unwrap_or_default();
        vec![it.as_at.clone(), judged(&it.current), judged(&it.previous)]
    };
    let link = |it: &SchoolLink| vec![it.urn.to_string(), it.name.clone(), it.link_type.clone(), it.date.clone()];
    let memberships = [Id("REGISTER"), Number("TRUST"), Text("NAME"), Text("TYPE"), Text("JOINED")];
    let links = [Number("LINKED"), Text("NAME"), Text("KIND"), Text("DATE")];
    let school_and_placements = answer.school.iter().map(brief).chain([table_if_any(
        &[Id("PROGRAMME"), Text("PLACED BY HAND"), Number("TRUST")],
        &answer.placed,
        by_hand,
    )]);
    parts(school_and_placements.chain(answer.entry_decisions.iter().map(decision)).chain([
        table_if_any(&memberships, &answer.memberships, membership),
        table_if_any(&[Id("MONTH"), Text("CURRENT"), Text("PREVIOUS")], &answer.months, month),
        table_if_any(&links, &answer.links, link),
    ]))
}

/// Formats trusts as a table, one row per trust.
pub(in crate::cli) fn trusts(trusts: &[Trust]) -> String {
    use TableColumn::{Number, Text};
    let columns = [Number("UID"), Text("NAME"), Text("TYPE"), Text("STATUS"), Number("SCHOOLS")];
    let row = |it: &Trust| {
        vec![it.uid.to_string(), it.name.clone(), it.group_type.clone(), it.status.clone(), it.schools.to_string()]
    };
    table(&columns, trusts.iter().map(row))
}

/// Formats a trust with its schools.
pub(in crate::cli) fn trust(answer: &GetTrustResponse) -> String {
    let trust = answer.trust.clone().unwrap_or_default();
    let fields = field_lines([
        ("uid", trust.uid.to_string()),
        ("name", trust.name),
        ("type", trust.group_type),
        ("status", trust.status),
    ]);
    format!("{fields}\n\n{}", rows(&answer.schools))
}
