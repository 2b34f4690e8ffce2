//! Defines the parts of a terms file: rules, strands, caps, recipients.
//!
//! These are plain values. [`super::Terms::parse`] checks that they are consistent before it returns them.

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
            /// Makes a name without checking it. The terms may not define a rule or strand with this name.
            #[must_use]
            pub fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as it is written in the file.
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

name_id!(/// The name of a rule in its terms file: `E1_RI_IN_YEAR`.
    RuleId);
name_id!(/// The name of a strand in its terms file: `nle`.
    StrandId);

/// A period between two dates, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct DateRange {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
}

impl DateRange {
    /// Whether the day is in the period.
    #[must_use]
    pub fn contains(&self, day: Date) -> bool {
        self.from <= day && day <= self.to
    }

    /// Whether the period `other` is completely in this period.
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

/// The day that counts as the date of a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgementDate {
    /// The day the report was published.
    Publication,
    /// The first day of the inspection.
    Inspection,
}

impl JudgementDate {
    /// Returns the date of a judgement by this choice; `None` if the file does not print it.
    #[must_use]
    pub const fn of(self, judgement: &Judgement) -> Option<Date> {
        match self {
            Self::Publication => judgement.published,
            Self::Inspection => judgement.started,
        }
    }
}

/// A ground for an exceptional case. A ground may be in effect for a part of the year only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ground {
    /// Its name: `covid_disruption`.
    pub id: String,
    /// Its wording in the scheme.
    pub text: String,
    /// The period in which a case may be made on this ground.
    pub in_effect: DateRange,
}

/// A fraction of two integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Share {
    /// The numerator.
    pub part: u32,
    /// The denominator, never 0.
    pub whole: u32,
}

impl Share {
    /// Whether `count` divided by `all` is at least this share. False if `all` is 0.
    #[must_use]
    pub fn reached(self, count: usize, all: usize) -> bool {
        // Computes count / all >= part / whole without division.
        let widened = |n: usize| u128::try_from(n).unwrap_or(u128::MAX);
        let scaled_count = widened(count).saturating_mul(u128::from(self.whole));
        all > 0 && scaled_count >= widened(all).saturating_mul(u128::from(self.part))
    }
}

/// The parameters of the trust-level test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrustTest {
    /// The day up to which the years in the trust are counted.
    pub on: Date,
    /// The number of years after which a school is long-standing.
    pub years_in_trust: u32,
    /// The minimum number of long-standing schools.
    pub schools: usize,
    /// The minimum share of the schools inspected since joining that have one of `grades`.
    pub share: Share,
    /// The grades that count towards the share.
    pub grades: Vec<Grade>,
    /// The latest grades with which an offer lists a long-standing school.
    pub listed: Vec<Grade>,
}

/// The test of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Test {
    /// Tests the current grade in any file with an as-at date on the first day of the year or later. The date of the
    /// judgement must be in the period of the rule.
    JudgedInYear {
        /// The current grades that meet the rule.
        current: Vec<Grade>,
    },
    /// Tests the current and the previous grade in the newest file before the year.
    TwiceOnEntry {
        /// The current grades that meet the rule.
        current: Vec<Grade>,
        /// The previous grades that meet the rule.
        previous: Vec<Grade>,
    },
    /// The rule is met by the decision of a person on a referral.
    Exceptional {
        /// The grounds for such a decision.
        grounds: Vec<Ground>,
    },
    /// Tests the long-standing schools of a trust together.
    TrustImprovement(TrustTest),
}

/// One eligibility rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name.
    pub id: RuleId,
    /// Its wording in the scheme.
    pub text: String,
    /// The period in which it is in effect.
    pub in_effect: DateRange,
    /// Its test.
    pub test: Test,
}

impl Rule {
    /// Whether only the rows of the school in the monthly files decide the rule.
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
    /// Whole half-days. Each is charged to the fund at half the day rate.
    HalfDays {
        /// The rate in pence per day, always even.
        day_rate: Pence,
    },
}

/// A condition for an award of a strand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AwardCondition {
    /// The award names a suitable partner MAT.
    PartnerMat,
    /// The award has a reason why it is beneficial.
    BeneficialReason,
    /// The award names an accredited provider.
    AccreditedProvider,
}

/// One kind of support.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Strand {
    /// Its short name.
    pub id: StrandId,
    /// Its full name.
    pub name: String,
    /// The unit of its amounts.
    pub unit: StrandUnit,
    /// Whether its funds limit awards: "subject to the availability of funds".
    pub funds_bind: bool,
    /// The conditions for an award of this strand.
    pub needs: Vec<AwardCondition>,
}

/// The largest amount of a strand that one offer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// This amount of money.
    Pence(Pence),
    /// This number of half-days.
    HalfDays(HalfDays),
    /// No cap: only the fund limits the amount.
    FundsOnly,
}

/// The terms for one kind of recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecipientTerms {
    /// The kind.
    pub kind: RecipientKind,
    /// The placements that belong to this kind. A school whose placement belongs to no kind is not offered support.
    pub who: Vec<PlacementKind>,
    /// The rules that make a recipient of this kind eligible.
    pub rules: Vec<RuleId>,
    /// The strands that this kind is offered, each with its cap, in the order of the file.
    pub caps: Vec<(StrandId, Cap)>,
}
