//! Tests the rules of eligibility of a terms file against the rows of the monthly files. Each result has a reason.
//!
//! * A file says something only about the URNs in it. A missing URN is never a change of grade and never a "no".
//! * The order of the rows never changes the result.
//! * If a file made a school eligible, the file of a later month never takes that away.
//! * Two people may decide with which judgements a school entered the year. Their decision counts only while no file
//!   shows these judgements, so a later import can replace it.
//! * Two URNs are joined if the monthly files print one as the predecessor of the other. A link of the register joins
//!   them only if the files do not contradict the link, and only for the rules about the judgements on entry.

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
pub use lineage::older_urns_printed;
pub use summary::{
    Changes, Entitled, EntitlementInputs, MatCount, NewlyMet, StandaloneCount, Succession, Summary, changes, entitled,
    schools_decided_by_people, summarise,
};

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Serialize;

use super::Date;
use super::ids::{ImportId, Urn};
use super::judgement::{Grade, Judgement, MonthRow};
use super::terms::{RuleId, Terms};

/// The row of a file that meets a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The URN of the row: the URN of the school or of a predecessor.
    pub urn: Urn,
    /// As-at date of the file.
    pub as_at: Date,
    /// The file.
    pub import: ImportId,
    /// The current judgement, with the URN that was judged.
    pub current: Judgement,
    /// The judgement before the current one; `None` if the file prints none.
    pub previous: Option<Judgement>,
    /// The date of the current judgement. The terms say which of its dates counts. `None` if the file does not print
    /// that date; the rule then does not need it.
    pub dated: Option<Date>,
}

/// The result of one rule for one school.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", content = "because", rename_all = "snake_case")]
pub enum Finding {
    /// A file meets the rule. No later file changes this.
    Met(Box<Evidence>),
    /// No file has met the rule so far.
    NotMet(Why),
    /// The files do not show whether the rule is met. A person must decide.
    Unknown(Why),
    /// The files do not show whether the rule is met, and two people decided it.
    Decided {
        /// Whether they decided that the rule is met.
        met: bool,
        /// The URN that they decided about: the URN of the school or of a predecessor.
        urn: Urn,
        /// Why the files do not show it.
        why: Why,
    },
}

impl Finding {
    /// The evidence of a rule that a file meets; otherwise `None`.
    #[must_use]
    pub fn evidence(&self) -> Option<&Evidence> {
        match self {
            Self::Met(evidence) => Some(evidence),
            Self::NotMet(_) | Self::Unknown(_) | Self::Decided { .. } => None,
        }
    }

    /// Whether the rule is met, by a file or by the decision of two people.
    #[must_use]
    pub const fn is_met(&self) -> bool {
        matches!(self, Self::Met(_) | Self::Decided { met: true, .. })
    }
}

/// Why a rule is not met, or cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// No file with an as-at date on this day or earlier has the school.
    NoFileBy {
        /// The day.
        day: Date,
    },
    /// No file with an as-at date on this day or later has the school.
    NoFileSince {
        /// The day.
        day: Date,
    },
    /// The school has no graded inspection.
    NeverInspected,
    /// The current grade is not one of the grades of the rule.
    CurrentGrade {
        /// The grade.
        grade: Grade,
    },
    /// The previous grade is not one of the grades of the rule.
    PreviousGrade {
        /// The grade; `None` if there was no previous inspection.
        grade: Option<Grade>,
    },
    /// The current grade meets the rule, but the date of the judgement is outside the period of the rule.
    Dated {
        /// The date.
        on: Date,
    },
    /// The current grade meets the rule, but the file prints no date for the judgement.
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

/// The results of the rules for one URN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchoolAssessment {
    /// The school.
    pub urn: Urn,
    /// The result of every school-level rule, in the order of the terms.
    pub findings: Vec<(RuleId, Finding)>,
    /// The newest URN of its lineage, if that is another URN. The school then counts only under that URN.
    pub superseded_by: Option<Urn>,
    /// The predecessor under which the school entered the year, if a file shows "not met" for that predecessor. Set
    /// only if the school's own URN is in no file dated before the academic year.
    pub entered_as: Option<Urn>,
}

impl SchoolAssessment {
    /// Returns the rules that the school meets, each with the row that meets it. The row is `None` if people decided
    /// the rule.
    pub fn met(&self) -> impl Iterator<Item = (&RuleId, Option<&Evidence>)> {
        let met = self.findings.iter().filter(|(_, finding)| finding.is_met());
        met.map(|(rule, finding)| (rule, finding.evidence()))
    }

    /// Whether the school meets at least one school-level rule, and counts under this URN.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        self.superseded_by.is_none() && self.met().next().is_some()
    }

    /// Whether the files do not show with which judgements the school entered the year, and it counts under this URN. A
    /// decision of people does not change this.
    #[must_use]
    pub fn is_unknown_on_entry(&self, terms: &Terms) -> bool {
        self.superseded_by.is_none() && self.has_no_row_by_entry(terms)
    }

    /// Like [`Self::is_unknown_on_entry`], but also true for a superseded URN, because such a URN still passes on the
    /// results of its predecessors.
    #[must_use]
    pub fn has_no_row_by_entry(&self, terms: &Terms) -> bool {
        self.on_entry(terms).any(|it| matches!(it, Finding::Unknown(_) | Finding::Decided { .. }))
    }

    /// Returns the results of the rules about the judgements with which the school entered the year.
    pub fn on_entry<'a>(&'a self, terms: &'a Terms) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter(|(rule, _)| lineage::is_on_entry(terms, rule)).map(|(_, finding)| finding)
    }

    /// Whether the school counts under this URN and meets no rule, but the files do not show the result of at least one
    /// rule.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.superseded_by.is_none()
            && self.met().next().is_none()
            && self.findings.iter().any(|(_, finding)| matches!(finding, Finding::Unknown(_)))
    }
}

/// The results of the school-level rules for every URN of the files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assessment {
    as_at: Option<Date>,
    schools: Vec<SchoolAssessment>,
}

impl Assessment {
    /// As-at date of the newest file; `None` without files.
    #[must_use]
    pub const fn as_at(&self) -> Option<Date> {
        self.as_at
    }

    /// The results for every URN of the files, in order of URN. Superseded URNs are included.
    #[must_use]
    pub fn schools(&self) -> &[SchoolAssessment] {
        &self.schools
    }

    /// The results for one URN; `None` if no file has it.
    #[must_use]
    pub fn school(&self, urn: Urn) -> Option<&SchoolAssessment> {
        let index = self.schools.binary_search_by_key(&urn, |school| school.urn).ok()?;
        self.schools.get(index)
    }

    /// The newest URN of the lineage of `urn`: `urn` itself, unless another URN superseded it.
    #[must_use]
    pub fn newest_urn(&self, urn: Urn) -> Urn {
        self.school(urn).and_then(|school| school.superseded_by).unwrap_or(urn)
    }

    /// The schools that meet at least one school-level rule. Each is returned once, under the newest URN of its
    /// lineage.
    pub fn eligible(&self) -> impl Iterator<Item = &SchoolAssessment> {
        self.schools.iter().filter(|school| school.is_eligible())
    }
}

/// Assesses every URN of these rows. The caller leaves out the rows of withdrawn files.
#[must_use]
pub fn assess<'a>(terms: &Terms, rows: impl IntoIterator<Item = &'a MonthRow>) -> Assessment {
    assess_linked(terms, rows, &HashMap::new())
}

/// Like [`assess`], with the predecessors that the register's links name for each school. Links are needed only for
/// schools that are unknown on entry and for their predecessors.
#[must_use]
pub fn assess_linked<'a>(
    terms: &Terms,
    rows: impl IntoIterator<Item = &'a MonthRow>,
    links: &HashMap<Urn, Vec<Urn>>,
) -> Assessment {
    assess_decided(terms, rows, links, &BTreeMap::new())
}

/// Like [`assess_linked`], with the entry positions that two people decided, by school: true means met. A decision
/// counts only while the files do not show the entry position.
#[must_use]
pub fn assess_decided<'a>(
    terms: &Terms,
    rows: impl IntoIterator<Item = &'a MonthRow>,
    links: &HashMap<Urn, Vec<Urn>>,
    decided: &BTreeMap<Urn, bool>,
) -> Assessment {
    let mut sorted: Vec<&MonthRow> = rows.into_iter().collect();
    // The rows of a file come in order of URN, so a stable sort is fast. Two files with the same as-at date
    // never disagree on a URN, so either row would do. The import id only makes the choice the same every time.
    sorted.sort_by_key(|row| (row.urn, row.as_at, row.import));
    let mut schools: Vec<SchoolAssessment> =
        sorted.chunk_by(|a, b| a.urn == b.urn).filter_map(|history| rules::school(terms, history)).collect();
    for school in &mut schools {
        if let Some(met) = decided.get(&school.urn) {
            apply_decision(terms, school, *met);
        }
    }
    lineage::inherit(terms, &sorted, links, &mut schools);
    Assessment { as_at: sorted.iter().map(|row| row.as_at).max(), schools }
}

/// Records a decision of two people about the entry position. It replaces each result `Unknown` of a rule about entry.
fn apply_decision(terms: &Terms, school: &mut SchoolAssessment, met: bool) {
    let urn = school.urn;
    for (rule, finding) in &mut school.findings {
        if let Finding::Unknown(why) = finding
            && lineage::is_on_entry(terms, rule)
        {
            *finding = Finding::Decided { met, urn, why: *why };
        }
    }
}

/// Returns the rows of files with an as-at date on `day` or earlier.
pub fn up_to(rows: &[MonthRow], day: Date) -> impl Iterator<Item = &MonthRow> {
    rows.iter().filter(move |row| row.as_at <= day)
}
