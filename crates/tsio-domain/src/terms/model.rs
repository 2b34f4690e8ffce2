//! The words a terms file is written in: rules, strands, caps, recipients.
//!
//! Plain values; that they fit together is checked before any of them leaves this folder.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Date;
use crate::judgement::{Grade, Judgement};
use crate::money::{HalfDays, Pence};
use crate::placement::{PlacementKind, RecipientKind};

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The name as the file writes it. Not checked here: terms look names up, they never trust them.
            #[must_use]
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as the file writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_id!(/// A rule's name in its terms file: `E1_RI_IN_YEAR`.
    RuleId);
name_id!(/// A strand's name in its terms file: `nle`.
    StrandId);

/// Two dates, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct DateRange {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
}

impl DateRange {
    /// Whether the day lies in it.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        self.from <= day && day <= self.to
    }

    /// Whether the whole other period lies in it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

impl fmt::Display for DateRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from, self.to)
    }
}

/// Which day dates a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgementDate {
    /// The day the report was published.
    Publication,
    /// The first day of the inspection.
    Inspection,
}

impl JudgementDate {
    /// The judgement's date by this choice; nothing when the file does not print it.
    #[must_use]
    pub const fn of(self, judgement: &Judgement) -> Option<Date> {
        match self {
            Self::Publication => judgement.published,
            Self::Inspection => judgement.started,
        }
    }
}

/// A ground on which an exceptional case may be made; grounds come and go within a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ground {
    /// Its name: `covid_disruption`.
    pub id: String,
    /// It as the scheme words it.
    pub text: String,
    /// When a case may be made on it.
    pub in_effect: DateRange,
}

/// A share of a whole, as two integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Above the line.
    pub part: u32,
    /// Below it, never 0.
    pub whole: u32,
}

impl Share {
    /// Whether `count` of `all` is at least this share; never of nothing.
    #[must_use]
    pub fn reached(self, count: usize, all: usize) -> bool {
        let wide = |n: usize| u128::try_from(n).unwrap_or(u128::MAX);
        let left = wide(count).saturating_mul(u128::from(self.whole));
        all > 0 && left >= wide(all).saturating_mul(u128::from(self.part))
    }
}

/// The figures of a trust-level test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrustTest {
    /// Years in the trust are counted to this day.
    pub on: Date,
    /// Years after which a school is long-standing.
    pub years_in_trust: u32,
    /// Fewest long-standing schools.
    pub schools: usize,
    /// Least share of those inspected since joining that hold one of `grades`.
    pub share: Share,
    /// The grades that count towards the share.
    pub grades: Vec<Grade>,
    /// Latest grades of the long-standing schools that an offer lists.
    pub listed: Vec<Grade>,
}

/// What a rule looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Test {
    /// A current grade, dated while the rule is in effect, in any file as at the year's first day or later.
    JudgedInYear {
        /// The current grades it wants.
        current: Vec<Grade>,
    },
    /// A current and a previous grade in the newest file before the year.
    TwiceOnEntry {
        /// The current grades it wants.
        current: Vec<Grade>,
        /// The previous grades it wants.
        previous: Vec<Grade>,
    },
    /// A person's decision on a referral.
    Exceptional {
        /// The grounds there are.
        grounds: Vec<Ground>,
    },
    /// A trust's long-standing schools taken together.
    TrustImprovement(TrustTest),
}

/// One eligibility rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name.
    pub id: RuleId,
    /// It as the scheme words it.
    pub text: String,
    /// When it holds.
    pub in_effect: DateRange,
    /// What it looks at.
    pub test: Test,
}

impl Rule {
    /// Whether monthly files alone decide it, school by school.
    #[must_use]
    pub const fn is_of_schools(&self) -> bool {
        matches!(self.test, Test::JudgedInYear { .. } | Test::TwiceOnEntry { .. })
    }
}

/// A strand's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "unit", rename_all = "snake_case")]
pub enum StrandUnit {
    /// Whole pence.
    Pence,
    /// Whole half-days, each posting half the day rate on the fund.
    HalfDays {
        /// Pence a day, always even.
        day_rate: Pence,
    },
}

/// What must be on record before an award of a strand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AwardCondition {
    /// A named partner MAT recorded as suitable.
    PartnerMat,
    /// Why it is beneficial.
    BeneficialReason,
    /// One of the accredited providers.
    AccreditedProvider,
}

/// One kind of support.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Strand {
    /// Its short name.
    pub id: StrandId,
    /// Its full name.
    pub name: String,
    /// What its amounts count.
    pub unit: StrandUnit,
    /// Whether it is "subject to the availability of funds".
    pub funds_bind: bool,
    /// What an award of it needs.
    pub needs: Vec<AwardCondition>,
}

/// The most one offer may have of a strand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// So many pence.
    Pence(Pence),
    /// So many half-days.
    HalfDays(HalfDays),
    /// Limited by the fund only.
    FundsOnly,
}

/// What one kind of recipient is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecipientTerms {
    /// Which kind.
    pub kind: RecipientKind,
    /// The placements it is made up of; a placement in no recipient is offered nothing.
    pub who: Vec<PlacementKind>,
    /// The rules that make it eligible.
    pub rules: Vec<RuleId>,
    /// The strands it is offered, each with its cap, in the file's order.
    pub caps: Vec<(StrandId, Cap)>,
}
