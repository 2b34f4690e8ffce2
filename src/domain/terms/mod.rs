//! The scheme as data: one reviewed file a year says who is eligible, what is offered to whom, up to which cap.
//!
//! Code here knows the kinds of rule, strand and condition there can be, never a year, an amount or a rule's
//! name. A [`Terms`] exists only when the whole file is sound; [`Terms::parse`] otherwise reports every mistake.

mod check;
mod parse;
mod read;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Date;
use super::ids::Programme;
use super::judgement::{Grade, Judgement};
use super::money::{HalfDays, Pence};
use super::placement::{PlacementKind, RecipientKind};

/// The terms that ship with the program: file name and text, oldest year first.
#[must_use]
pub const fn shipped() -> &'static [(&'static str, &'static str)] {
    &[
        ("2021-22.toml", include_str!("../../../terms/2021-22.toml")),
        ("2022-23.toml", include_str!("../../../terms/2022-23.toml")),
    ]
}

/// One mistake in a terms file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct Mistake {
    /// The file as named by the caller.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong, for the person who wrote the file.
    pub reason: String,
}

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
pub struct Period {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
}

impl Period {
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

impl fmt::Display for Period {
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
    pub in_effect: Period,
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
    pub in_effect: Period,
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
pub enum Unit {
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
pub enum Condition {
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
    pub unit: Unit,
    /// Whether it is "subject to the availability of funds".
    pub funds_bind: bool,
    /// What an award of it needs.
    pub needs: Vec<Condition>,
}

/// The most one offer may have of a strand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// So many pence.
    Pence(Pence),
    /// So many half-days.
    HalfDays(HalfDays),
    /// Whatever the fund can bear.
    FundsOnly,
}

/// What one kind of recipient is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recipient {
    /// Which kind.
    pub kind: RecipientKind,
    /// The placements it is made up of; a placement in no recipient is offered nothing.
    pub who: Vec<PlacementKind>,
    /// The rules that make it eligible.
    pub rules: Vec<RuleId>,
    /// The strands it is offered, each with its cap, in the file's order.
    pub caps: Vec<(StrandId, Cap)>,
}

/// One year's scheme, whole and sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Terms {
    programme: Programme,
    name: String,
    year: Period,
    award_window: Period,
    claims_until: Date,
    judgement_date: JudgementDate,
    two_people_above: Pence,
    rules: Vec<Rule>,
    strands: Vec<Strand>,
    recipients: Vec<Recipient>,
    providers: Vec<String>,
}

impl Terms {
    /// Reads a terms file.
    ///
    /// # Errors
    /// Every mistake of the file, in the order of its lines; syntax first, since nothing past it is certain.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Vec<Mistake>> {
        parse::terms(file_name, text)
    }

    /// The programme, which is also its book.
    #[must_use]
    pub const fn programme(&self) -> &Programme {
        &self.programme
    }

    /// The scheme's full name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The academic year.
    #[must_use]
    pub const fn year(&self) -> Period {
        self.year
    }

    /// The last day before the year: what a school "entered the year with".
    #[must_use]
    pub fn entry(&self) -> Date {
        self.year.from.pred_opt().unwrap_or(Date::MIN)
    }

    /// When awards may be made.
    #[must_use]
    pub const fn award_window(&self) -> Period {
        self.award_window
    }

    /// The last day a claim is paid.
    #[must_use]
    pub const fn claims_until(&self) -> Date {
        self.claims_until
    }

    /// Which day dates a judgement.
    #[must_use]
    pub const fn judgement_date(&self) -> JudgementDate {
        self.judgement_date
    }

    /// Fund movements above this need a second person.
    #[must_use]
    pub const fn two_people_above(&self) -> Pence {
        self.two_people_above
    }

    /// The eligibility rules, in the file's order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule of this name.
    #[must_use]
    pub fn rule(&self, id: &RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == *id)
    }

    /// The grounds on which an exceptional case may be made on a day, each with its rule.
    pub fn grounds_on(&self, day: Date) -> impl Iterator<Item = (&RuleId, &Ground)> {
        self.rules
            .iter()
            .filter_map(|rule| match &rule.test {
                Test::Exceptional { grounds } => Some(grounds.iter().map(move |ground| (&rule.id, ground))),
                Test::JudgedInYear { .. } | Test::TwiceOnEntry { .. } | Test::TrustImprovement(_) => None,
            })
            .flatten()
            .filter(move |(_, ground)| ground.in_effect.contains(day))
    }

    /// The strands, in the file's order.
    #[must_use]
    pub fn strands(&self) -> &[Strand] {
        &self.strands
    }

    /// The strand of this name.
    #[must_use]
    pub fn strand(&self, id: &StrandId) -> Option<&Strand> {
        self.strands.iter().find(|strand| strand.id == *id)
    }

    /// What a kind of recipient is offered; nothing when these terms do not know it.
    #[must_use]
    pub fn recipient(&self, kind: RecipientKind) -> Option<&Recipient> {
        self.recipients.iter().find(|recipient| recipient.kind == kind)
    }

    /// Whether a rule makes this kind of recipient eligible.
    #[must_use]
    pub fn applies(&self, rule: &RuleId, kind: RecipientKind) -> bool {
        self.recipient(kind).is_some_and(|recipient| recipient.rules.contains(rule))
    }

    /// The cap of a strand for a kind of recipient; nothing when it is not offered the strand.
    #[must_use]
    pub fn cap(&self, kind: RecipientKind, strand: &StrandId) -> Option<Cap> {
        self.recipient(kind)?.caps.iter().find(|(id, _)| id == strand).map(|(_, cap)| *cap)
    }

    /// The accredited providers, in the file's order.
    #[must_use]
    pub fn providers(&self) -> &[String] {
        &self.providers
    }

    /// The accredited provider of this name, as the terms spell it, whatever the case and spacing asked with.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&str> {
        let wanted = plain(name);
        self.providers.iter().map(String::as_str).find(|provider| plain(provider) == wanted)
    }
}

/// A name without its case and stray spaces, for comparing.
pub(super) fn plain(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
