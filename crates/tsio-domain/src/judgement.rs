//! Defines the judgements of schools, as Ofsted's monthly files print them.

use serde::{Deserialize, Serialize};

use super::Date;
use super::ids::{ImportId, Urn};

/// Overall effectiveness as printed. Only 1 to 4 are grades. The other codes say why there is no grade
/// (`domain.md` section 6: "different things that must not be confused").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// 1
    Outstanding,
    /// 2
    Good,
    /// 3, "RI" for short
    RequiresImprovement,
    /// 4
    Inadequate,
    /// 9, also printed "Not judged"
    NotJudged,
    /// 8
    DoesNotApply,
    /// 0
    InsufficientEvidence,
}

impl Grade {
    /// Ofsted's code for this grade.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Outstanding => 1,
            Self::Good => 2,
            Self::RequiresImprovement => 3,
            Self::Inadequate => 4,
            Self::NotJudged => 9,
            Self::DoesNotApply => 8,
            Self::InsufficientEvidence => 0,
        }
    }

    /// The grade with this code; `None` if Ofsted has no such code.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Outstanding,
            2 => Self::Good,
            3 => Self::RequiresImprovement,
            4 => Self::Inadequate,
            9 => Self::NotJudged,
            8 => Self::DoesNotApply,
            0 => Self::InsufficientEvidence,
            _ => return None,
        })
    }

    /// Whether the judgement is RI or worse: grade 3 or 4, but not a code above 4 (`domain.md` section 1).
    #[must_use]
    pub const fn is_ri_or_worse(self) -> bool {
        matches!(self, Self::RequiresImprovement | Self::Inadequate)
    }

    /// Returns 1 to 4 for a grade, and `None` for the codes that say why there is no grade.
    #[must_use]
    pub const fn graded(self) -> Option<u8> {
        match self {
            Self::Outstanding | Self::Good | Self::RequiresImprovement | Self::Inadequate => Some(self.code()),
            Self::NotJudged | Self::DoesNotApply | Self::InsufficientEvidence => None,
        }
    }
}

/// One judgement as a monthly file prints it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Judgement {
    /// Ofsted's number of the inspection, e.g. `10088473` or `ITS449512`.
    pub inspection: String,
    /// The URN that the school had when it was judged. If an academy has not been inspected yet, this is the URN of its
    /// predecessor.
    pub urn_judged: Urn,
    /// First day of the inspection.
    pub started: Option<Date>,
    /// Last day of the inspection.
    pub ended: Option<Date>,
    /// Day the report was published; `None` if the file does not say.
    pub published: Option<Date>,
    /// Overall effectiveness.
    pub grade: Grade,
}

/// A school's row in one monthly file. The rules of eligibility test such rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthRow {
    /// The URN of the school in that month.
    pub urn: Urn,
    /// The as-at date of the file.
    pub as_at: Date,
    /// The import of the file.
    pub import: ImportId,
    /// The latest graded inspection; `None` if the school was never inspected.
    pub current: Option<Judgement>,
    /// The graded inspection before it.
    pub previous: Option<Judgement>,
}
