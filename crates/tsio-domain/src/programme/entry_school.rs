//! What the files and two people say of the judgements that a school entered the year with.

use crate::Date;
use crate::ids::{Actor, ApprovalId, Urn};
use crate::region::Region;
use crate::values::record::Seq;

/// A school that a file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySchool {
    /// Its region, where its local authority lies in one.
    pub region: Option<Region>,
    /// Whether the files say with what judgements it entered the year.
    pub position: EntryPosition,
    /// What two people decided of an older URN that it follows, where that counts while they have not decided it of the school.
    pub taken_over: Option<EntryDecision>,
    /// The older URNs that it follows.
    pub follows: Vec<Urn>,
}

/// What the files say of the judgements that a school entered the year with, before any decision by people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryPosition {
    /// They cannot say.
    Unknown,
    /// They do, as this sentence says.
    Known(String),
    /// The school counts under this newer URN.
    Superseded(Urn),
    /// No monthly file shows the school.
    NotInMonths,
    /// No rule of the programme asks for it.
    NotAsked,
}

/// What two people decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryDecision {
    /// Of which school.
    pub urn: Urn,
    /// Whether the entry position is met.
    pub met: bool,
    /// The approval that carried it out.
    pub approval: ApprovalId,
    /// Who asked.
    pub asked_by: Actor,
    /// Who decided.
    pub given_by: Actor,
    /// The day.
    pub on: Date,
    /// The event.
    pub seq: Seq,
}
