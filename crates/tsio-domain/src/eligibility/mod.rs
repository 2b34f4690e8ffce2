//! Who is eligible, and why: the rules of a terms file over what the monthly files print.
//!
//! A file speaks only for the URNs in it: absence is never a change of grade and never a "no". The order of the
//! rows never changes the answer, and a file of a later month never takes away what a file made eligible. What two people decided
//! of the judgements that a school entered the year with is the exception: it counts while no file says it, so a file that is
//! imported later can take that away. What joins two URNs is what the
//! monthly files print of predecessors; a link of the register does only where they do not contradict it, for what a school
//! entered the year with.

mod explain;
mod lineage;
#[cfg(test)]
mod lineage_tests;
mod rules;
mod summary;
#[cfg(test)]
mod tests;
pub mod trusts;

pub use explain::{RuleAnswer, RuleOutcome, explain};
pub use lineage::printed;
pub use summary::{
    Changes, Entitled, MatCount, NewlyMet, StandaloneCount, Standing, Succession, Summary, changes, decided, entitled,
    summarise,
};

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Serialize;

use super::Date;
use super::ids::{ImportId, Urn};
use super::judgement::{Grade, Judgement, MonthRow};
use super::terms::{RuleId, Terms};

/// The row that meets a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The URN of the row: the school's own, or that of one it follows.
    pub urn: Urn,
    /// As-at date of the file.
    pub as_at: Date,
    /// The file.
    pub import: ImportId,
    /// The current judgement, which names the URN judged.
    pub current: Judgement,
    /// The one before, when the file prints it.
    pub previous: Option<Judgement>,
    /// The current judgement's date, by the choice of the terms; nothing when unknown and not asked for.
    pub dated: Option<Date>,
}

/// What a rule says of a school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", content = "because", rename_all = "snake_case")]
pub enum Finding {
    /// The rule is met, for ever in this programme.
    Met(Box<Evidence>),
    /// It is not met by any file so far.
    NotMet(Why),
    /// The files cannot say: a person must.
    Unknown(Why),
    /// The files cannot say, and two people decided it.
    Decided {
        /// Whether it is met.
        met: bool,
        /// The school they decided it of: its own URN, or that of one it follows.
        urn: Urn,
        /// Why the files cannot say.
        why: Why,
    },
}

impl Finding {
    /// The evidence, when met.
    #[must_use]
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Met(evidence) => Some(evidence),
            Self::NotMet(_) | Self::Unknown(_) | Self::Decided { .. } => None,
        }
    }

    /// Whether it is met, by a file or by what people decided.
    #[must_use]
    pub const fn is_met(&self) -> bool {
        matches!(self, Self::Met(_) | Self::Decided { met: true, .. })
    }
}

/// Why a rule is not met, or cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// No file as at this day or before shows the school.
    NoFileBy {
        /// The day.
        day: Date,
    },
    /// No file as at this day or later shows the school.
    NoFileSince {
        /// The day.
        day: Date,
    },
    /// It has no graded inspection.
    NeverInspected,
    /// The current grade is another one.
    CurrentGrade {
        /// The grade.
        grade: Grade,
    },
    /// The previous grade is another one; nothing when there was no previous inspection.
    PreviousGrade {
        /// The grade.
        grade: Option<Grade>,
    },
    /// The grade fits, but is dated outside the rule.
    Dated {
        /// The date.
        on: Date,
    },
    /// The grade fits, but the file prints no date.
    NoDate {
        /// As-at date of the file.
        as_at: Date,
    },
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFileBy { day } => write!(f, "no file as at {day} or before shows this URN"),
            Self::NoFileSince { day } => write!(f, "no file as at {day} or later shows this URN"),
            Self::NeverInspected => f.write_str("no graded inspection"),
            Self::CurrentGrade { grade } => write!(f, "the current grade is {}", grade.code()),
            Self::PreviousGrade { grade: Some(grade) } => write!(f, "the previous grade is {}", grade.code()),
            Self::PreviousGrade { grade: None } => f.write_str("there is no previous judgement"),
            Self::Dated { on } => write!(f, "the judgement is dated {on}"),
            Self::NoDate { as_at } => write!(f, "the file as at {as_at} prints no date for the judgement"),
        }
    }
}

/// What the rules say of one URN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchoolAssessment {
    /// The school.
    pub urn: Urn,
    /// Every school-level rule of the terms, in their order.
    pub findings: Vec<(RuleId, Finding)>,
    /// The newest URN of its lineage, when that is another: the school counts there, and no more here.
    pub superseded_by: Option<Urn>,
    /// The older URN whose answer for entry it took over, where that is a file's no: it has no row of its own by entry.
    pub entered_as: Option<Urn>,
}

impl SchoolAssessment {
    /// The rules it meets, with the row that meets each; without one where people decided it.
    pub fn met(&self) -> impl Iterator<Item = (&RuleId, Option<&Evidence>)> {
        let met = self.findings.iter().filter(|(_, finding)| finding.is_met());
        met.map(|(rule, finding)| (rule, finding.evidence()))
    }

    /// Whether it is eligible by some school-level rule, and counts under this URN.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        self.superseded_by.is_none() && self.met().next().is_some()
    }

    /// Whether the files cannot say with what judgements it entered the year, before any decision by people.
    #[must_use]
    pub fn is_unknown_on_entry(&self, terms: &Terms) -> bool {
        self.superseded_by.is_none() && self.has_no_row_by_entry(terms)
    }

    /// The same of a URN that a newer one may follow: it is asked for its predecessors, to hand their answers on.
    #[must_use]
    pub fn has_no_row_by_entry(&self, terms: &Terms) -> bool {
        self.on_entry(terms).any(|it| matches!(it, Finding::Unknown(_) | Finding::Decided { .. }))
    }

    /// What the rules say that ask with what judgements it entered the year.
    pub fn on_entry<'a>(&'a self, terms: &'a Terms) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter(|(rule, _)| lineage::is_on_entry(terms, rule)).map(|(_, finding)| finding)
    }

    /// Whether it is not eligible, but only because the files cannot say.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.superseded_by.is_none()
            && self.met().next().is_none()
            && self.findings.iter().any(|(_, finding)| matches!(finding, Finding::Unknown(_)))
    }
}

/// What the school-level rules say of every URN of the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assessment {
    as_at: Option<Date>,
    schools: Vec<SchoolAssessment>,
}

impl Assessment {
    /// As-at date of the newest file; nothing without any.
    #[must_use]
    pub const fn as_at(&self) -> Option<Date> {
        self.as_at
    }

    /// Every URN of the files, in order, superseded ones too.
    #[must_use]
    pub fn schools(&self) -> &[SchoolAssessment] {
        &self.schools
    }

    /// One URN.
    #[must_use]
    pub fn school(&self, urn: Urn) -> Option<&SchoolAssessment> {
        let at = self.schools.binary_search_by_key(&urn, |school| school.urn).ok()?;
        self.schools.get(at)
    }

    /// The newest URN of the lineage of this one: its own, unless a newer record is named as its successor.
    #[must_use]
    pub fn heir(&self, urn: Urn) -> Urn {
        self.school(urn).and_then(|school| school.superseded_by).unwrap_or(urn)
    }

    /// The schools eligible by some school-level rule, each once, under the newest URN of its lineage.
    pub fn eligible(&self) -> impl Iterator<Item = &SchoolAssessment> {
        self.schools.iter().filter(|school| school.is_eligible())
    }
}

/// Assesses every URN of these rows. Rows of a file withdrawn are simply not handed in.
#[must_use]
pub fn assess<'a>(terms: &Terms, rows: impl IntoIterator<Item = &'a MonthRow>) -> Assessment {
    assess_linked(terms, rows, &HashMap::new())
}

/// The same with the predecessors that the register's links name, by school: of schools that are unknown on entry, and of those
/// that they follow.
#[must_use]
pub fn assess_linked<'a>(
    terms: &Terms,
    rows: impl IntoIterator<Item = &'a MonthRow>,
    links: &HashMap<Urn, Vec<Urn>>,
) -> Assessment {
    assess_decided(terms, rows, links, &BTreeMap::new())
}

/// The same with the entry positions that two people decided, by school: each counts while the files cannot say.
#[must_use]
pub fn assess_decided<'a>(
    terms: &Terms,
    rows: impl IntoIterator<Item = &'a MonthRow>,
    links: &HashMap<Urn, Vec<Urn>>,
    decided: &BTreeMap<Urn, bool>,
) -> Assessment {
    let mut sorted: Vec<&MonthRow> = rows.into_iter().collect();
    // Files come in order of URN, and a stable sort is quick on runs. Two files of one day cannot disagree on a
    // URN, so the smallest import stands for both.
    sorted.sort_by_key(|row| (row.urn, row.as_at, row.import));
    let mut schools: Vec<SchoolAssessment> =
        sorted.chunk_by(|a, b| a.urn == b.urn).filter_map(|history| rules::school(terms, history)).collect();
    for school in &mut schools {
        if let Some(met) = decided.get(&school.urn) {
            decide(terms, school, *met);
        }
    }
    lineage::inherit(terms, &sorted, links, &mut schools);
    Assessment { as_at: sorted.iter().map(|row| row.as_at).max(), schools }
}

/// Puts what two people decided where the files cannot say with what judgements a school entered the year.
fn decide(terms: &Terms, school: &mut SchoolAssessment, met: bool) {
    let urn = school.urn;
    for (rule, finding) in &mut school.findings {
        if let Finding::Unknown(why) = finding
            && lineage::is_on_entry(terms, rule)
        {
            *finding = Finding::Decided { met, urn, why: *why };
        }
    }
}

/// The rows of files as at a day or before: what was known then.
pub fn up_to(rows: &[MonthRow], day: Date) -> impl Iterator<Item = &MonthRow> {
    rows.iter().filter(move |row| row.as_at <= day)
}
