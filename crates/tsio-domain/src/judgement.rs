//! Defines the judgements of schools, as Ofsted's monthly files print them.

use serde::{Deserialize, Serialize};

use super::Date;
use super::ids::{ImportId, Urn};

/// A value of overall effectiveness: a grade, 1 to 4, or one of 9, 8 and 0, which say why there is no grade (`domain.md` section 6).
/// A file prints the code or the words of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// 1, "Outstanding"
    Outstanding,
    /// 2, "Good"
    Good,
    /// 3, "Requires improvement", RI for short
    RequiresImprovement,
    /// 4, "Inadequate"
    Inadequate,
    /// 9, "Not judged"
    NotJudged,
    /// 8, "Does not apply"
    DoesNotApply,
    /// 0, "Insufficient evidence"
    InsufficientEvidence,
}

impl Grade {
    /// Ofsted's code for this value.
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

    /// The value with this code; `None` if Ofsted has no such code.
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

    /// Whether this is RI or worse: grade 3 or 4. The values 9, 8 and 0 are not (`domain.md` section 1).
    #[must_use]
    pub const fn is_ri_or_worse(self) -> bool {
        matches!(self, Self::RequiresImprovement | Self::Inadequate)
    }

    /// Returns the code of a grade, 1 to 4, and `None` for the values 9, 8 and 0.
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
    /// The judgement of the latest graded inspection; `None` if the file gives none, because the school was never inspected.
    pub current: Option<Judgement>,
    /// The judgement of the graded inspection before that; `None` if the file gives none.
    pub previous: Option<Judgement>,
}
