//! Defines the entry position of a school: what the files say about it, and what two people decided.

use crate::Date;
use crate::ids::{Actor, ApprovalId, Urn};
use crate::region::Region;
use crate::values::record::Seq;

/// A school that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySchool {
    /// Its region, if its local authority is in one.
    pub region: Option<Region>,
    /// What the files say about its entry position.
    pub position: EntryPosition,
    /// The decision about an older URN that the school follows. It applies until the school has a decision of its own.
    pub inherited_decision: Option<EntryDecision>,
    /// The older URNs that the school follows.
    pub predecessors: Vec<Urn>,
}

/// What the files say about the judgements with which a school entered the year, without any decision by people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryPosition {
    /// The files do not contain the judgements.
    Unknown,
    /// The files contain the judgements. The sentence says whether the rule is met, and why.
    Known(String),
    /// The school counts under this newer URN.
    Superseded(Urn),
    /// No monthly file shows the school.
    NotInMonths,
    /// No rule of the programme depends on the entry position.
    NotNeeded,
}

/// A decision by two people about the entry position of a school.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryDecision {
    /// The school.
    pub urn: Urn,
    /// Whether the entry position is met.
    pub met: bool,
    /// The approval that the second person gave.
    pub approval: ApprovalId,
    /// The person who asked for the decision.
    pub asked_by: Actor,
    /// The person who gave the approval.
    pub given_by: Actor,
    /// The effective date.
    pub on: Date,
    /// The event that recorded the decision.
    pub seq: Seq,
}
