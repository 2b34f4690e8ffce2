//! Converts schools, trusts, imports and eligibility to messages.

use super::{count, date, number, timestamp};
use crate::app::eligibility::{DecidedEntry, RuleAnswer, SchoolEligibility};
use crate::app::imports::{AffectedOffer, FileKind, Import, ImportOutcome, ImportState, Problem};
use crate::app::register::{Link, Membership, School, Trust};
use crate::domain::eligibility;
use crate::domain::ids::{Programme, Urn};
use crate::domain::judgement::{Judgement, MonthRow};
use crate::domain::placement::Placement;
use crate::domain::programme::entry_school::EntryDecision;
use crate::domain::region::LocalAuthority;
use crate::domain::region::Region;
use crate::domain::school::HandPlacement;
use crate::proto;

/// Converts a local authority.
pub(in crate::grpc) fn area(it: &LocalAuthority) -> proto::Area {
    proto::Area { code: it.code.get().into(), name: it.name.to_owned(), region: it.region.to_string() }
}

/// Converts a count of rows. A larger number becomes the largest `i64`.
pub(in crate::grpc) fn row_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(in crate::grpc) const fn import_kind(kind: FileKind) -> proto::ImportKind {
    match kind {
        FileKind::Groups => proto::ImportKind::Groups,
        FileKind::Membership => proto::ImportKind::Membership,
        FileKind::Links => proto::ImportKind::Links,
        FileKind::Establishments => proto::ImportKind::Establishments,
        FileKind::Ofsted => proto::ImportKind::Ofsted,
    }
}

pub(in crate::grpc) fn import_kind_from(number: i32) -> Option<FileKind> {
    match proto::ImportKind::try_from(number) {
        Ok(proto::ImportKind::Groups) => Some(FileKind::Groups),
        Ok(proto::ImportKind::Membership) => Some(FileKind::Membership),
        Ok(proto::ImportKind::Links) => Some(FileKind::Links),
        Ok(proto::ImportKind::Establishments) => Some(FileKind::Establishments),
        Ok(proto::ImportKind::Ofsted) => Some(FileKind::Ofsted),
        Ok(proto::ImportKind::Unspecified) | Err(_) => None,
    }
}

pub(in crate::grpc) fn problem(it: &Problem) -> proto::RowProblem {
    proto::RowProblem { line: it.line, column: it.column.clone(), reason: it.reason.clone() }
}

pub(in crate::grpc) fn import_outcome(it: &ImportOutcome) -> proto::ImportOutcome {
    proto::ImportOutcome {
        import_id: it.import.map(|id| id.to_string()).unwrap_or_default(),
        kind: import_kind(it.kind).into(),
        as_at: it.as_at.to_string(),
        rows: it.rows,
        accepted: it.accepted,
        unchanged: it.unchanged,
        problems: it.problems.iter().map(problem).collect(),
        more_problems: it.more_problems,
        dry_run: it.dry_run,
        replaced: it.replaced.map(|id| id.to_string()).unwrap_or_default(),
        notes: it.notes.clone(),
    }
}

pub(in crate::grpc) fn import(it: &Import) -> proto::Import {
    let state = match it.state {
        ImportState::Landed => proto::ImportState::Landed,
        ImportState::Replaced => proto::ImportState::Replaced,
        ImportState::Withdrawn => proto::ImportState::Withdrawn,
        // Callers never see imports in these states.
        ImportState::Staging | ImportState::Discarded => proto::ImportState::Unspecified,
    };
    proto::Import {
        import_id: it.id.to_string(),
        kind: import_kind(it.kind).into(),
        as_at: it.as_at.to_string(),
        state: state.into(),
        file_name: it.file_name.clone(),
        sha256: it.sha256.to_string(),
        rows: it.rows,
        accepted: it.accepted,
        imported_by: it.imported_by.to_string(),
        imported_time: Some(timestamp(it.imported_at)),
        withdrawn_by: it.withdrawn_by.as_ref().map(ToString::to_string).unwrap_or_default(),
        withdrawn_reason: it.withdrawn_reason.clone().unwrap_or_default(),
    }
}

pub(in crate::grpc) fn affected_offer(it: &AffectedOffer) -> proto::AffectedOffer {
    proto::AffectedOffer { offer: it.offer.to_string(), urns: it.urns.iter().map(|urn| number(urn.get())).collect() }
}

pub(in crate::grpc) const fn placement(it: Placement) -> proto::Placement {
    match it {
        Placement::Maintained => proto::Placement::Maintained,
        Placement::SingleAcademyTrust(_) => proto::Placement::SingleAcademyTrust,
        Placement::SingleSchoolMat(_) => proto::Placement::SingleSchoolMat,
        Placement::Mat(_) => proto::Placement::Mat,
        Placement::Unplaced(_) => proto::Placement::Unplaced,
    }
}

pub(in crate::grpc) fn school(it: &School) -> proto::School {
    proto::School {
        urn: number(it.urn.get()),
        name: it.name.clone(),
        laestab: it.laestab.map_or(0, |it| number(it.get())),
        la_code: it.la.map_or(0, |it| i32::from(it.get())),
        la_name: it.la_name().unwrap_or_default().to_owned(),
        region: it.region().map(|it| it.to_string()).unwrap_or_default(),
        phase: it.phase.clone(),
        school_type: it.school_type.clone(),
        diocese: it.diocese.clone().unwrap_or_default(),
        status: it.ending.status.clone().unwrap_or_default(),
        placement: placement(it.placement).into(),
        unplaced_reason: match it.placement {
            Placement::Unplaced(reason) => reason.to_string(),
            _ => String::new(),
        },
        trust_uid: it.placement.trust().map_or(0, |uid| number(uid.get())),
        close_date: date(it.ending.close_date),
        closed_reason: it.closed.clone().unwrap_or_default(),
        successor_urns: it.ending.successors.iter().map(|urn| number(urn.get())).collect(),
    }
}

/// Converts the placement of a school in a programme that a person decided.
pub(in crate::grpc) fn programme_placement(
    (programme, hand_placement): &(Programme, HandPlacement),
) -> proto::ProgrammePlacement {
    let (placement, uid) = super::hand_placement(*hand_placement);
    proto::ProgrammePlacement {
        programme: programme.to_string(),
        placement: placement.into(),
        trust_uid: uid.map_or(0, |uid| number(uid.get())),
    }
}

const fn entry_position(met: bool) -> proto::EntryPosition {
    if met { proto::EntryPosition::Met } else { proto::EntryPosition::NotMet }
}

/// Converts an entry position: true if met, false if not met, `None` for unspecified or an unknown number.
pub(in crate::grpc) fn entry_position_from(number: i32) -> Option<bool> {
    match proto::EntryPosition::try_from(number) {
        Ok(proto::EntryPosition::Met) => Some(true),
        Ok(proto::EntryPosition::NotMet) => Some(false),
        Ok(proto::EntryPosition::Unspecified) | Err(_) => None,
    }
}

/// Makes the statement of an approval about an entry position, still without its offers. `before` is the position that was
/// decided earlier.
pub(super) fn entry_statement(
    urn: Urn,
    met: bool,
    region: Option<Region>,
    before: Option<bool>,
) -> proto::EntryStatement {
    proto::EntryStatement {
        urn: number(urn.get()),
        position: entry_position(met).into(),
        region: region.map(|it| it.to_string()).unwrap_or_default(),
        before: before.map_or(proto::EntryPosition::Unspecified, entry_position).into(),
        offers: Vec::new(),
    }
}

/// Converts a stored decision about an entry position. The two people who made the decision are left out if the caller may
/// not see them.
pub(in crate::grpc) fn stored_entry_decision(it: &DecidedEntry) -> proto::EntryDecision {
    let message = entry_decision(&it.programme, &it.decision, it.counts);
    match &it.people {
        Some(_) => message,
        None => proto::EntryDecision { asked_by: String::new(), decided_by: String::new(), ..message },
    }
}

/// Converts a decision that the current command has made. A new decision always counts.
pub(in crate::grpc) fn new_entry_decision(programme: &Programme, it: &EntryDecision) -> proto::EntryDecision {
    entry_decision(programme, it, true)
}

fn entry_decision(programme: &Programme, it: &EntryDecision, counts: bool) -> proto::EntryDecision {
    proto::EntryDecision {
        programme: programme.to_string(),
        urn: number(it.urn.get()),
        position: entry_position(it.met).into(),
        asked_by: it.asked_by.to_string(),
        decided_by: it.given_by.to_string(),
        date: it.on.to_string(),
        event: it.seq.0,
        counts,
    }
}

pub(in crate::grpc) fn trust(it: &Trust) -> proto::Trust {
    proto::Trust {
        uid: number(it.uid.get()),
        name: it.name.clone(),
        group_type: it.group_type.clone(),
        status: it.status.clone(),
        schools: count(it.schools),
    }
}

pub(in crate::grpc) fn membership(it: &Membership) -> proto::Membership {
    proto::Membership {
        as_at: it.as_at.to_string(),
        uid: number(it.uid.get()),
        name: it.name.clone(),
        group_type: it.kind_name.clone(),
        group_status: it.status.clone(),
        joined: date(it.joined),
        import_id: it.import.to_string(),
    }
}

pub(in crate::grpc) fn link(it: &Link) -> proto::SchoolLink {
    proto::SchoolLink {
        urn: number(it.urn.get()),
        name: it.name.clone(),
        link_type: it.link_type.clone(),
        date: date(it.on),
    }
}

pub(in crate::grpc) fn month(it: &MonthRow) -> proto::MonthlyRow {
    proto::MonthlyRow {
        as_at: it.as_at.to_string(),
        import_id: it.import.to_string(),
        current: it.current.as_ref().map(judgement),
        previous: it.previous.as_ref().map(judgement),
    }
}

fn judgement(it: &Judgement) -> proto::Judgement {
    proto::Judgement {
        inspection_number: it.inspection.clone(),
        urn_judged: number(it.urn_judged.get()),
        started: date(it.started),
        ended: date(it.ended),
        published: date(it.published),
        grade: i32::from(it.grade.code()),
    }
}

pub(in crate::grpc) fn school_eligibility(it: &SchoolEligibility) -> proto::SchoolEligibility {
    proto::SchoolEligibility {
        school: Some(school(&it.school)),
        eligible: it.eligible,
        rules: it.rules.iter().map(rule_answer).collect(),
        superseded_by: it.superseded_by.map_or(0, |urn: Urn| number(urn.get())),
        offer: it.offer.map(|id| id.to_string()).unwrap_or_default(),
        entry_unknown: it.entry_unknown,
    }
}

pub(in crate::grpc) fn rule_answer(it: &RuleAnswer) -> proto::RuleAnswer {
    let outcome = match it.outcome {
        eligibility::RuleOutcome::Met => proto::RuleOutcome::Met,
        // A rule that is decided on a referral (`DecidedElsewhere`) counts as not met here.
        eligibility::RuleOutcome::NotMet | eligibility::RuleOutcome::DecidedElsewhere => proto::RuleOutcome::NotMet,
        eligibility::RuleOutcome::Unknown => proto::RuleOutcome::Unknown,
    };
    proto::RuleAnswer {
        rule: it.rule.to_string(),
        outcome: outcome.into(),
        reason: it.reason.clone(),
        evidence: it.evidence.as_ref().map(evidence),
        decided: it.decided.as_ref().map(stored_entry_decision),
    }
}

fn evidence(it: &eligibility::Evidence) -> proto::Evidence {
    proto::Evidence {
        as_at: it.as_at.to_string(),
        import_id: it.import.to_string(),
        urn: number(it.urn.get()),
        current: Some(judgement(&it.current)),
        previous: it.previous.as_ref().map(judgement),
    }
}
