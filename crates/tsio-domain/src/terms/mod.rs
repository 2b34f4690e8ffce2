//! Defines the scheme as data. One reviewed file for each year says who is eligible, which support each kind of
//! recipient is offered, and the cap of that support.
//!
//! The code has the possible kinds of rules, strands and conditions, but no year, no amount and no rule name. A
//! value of [`Terms`] exists only if the whole file is valid; otherwise [`Terms::parse`] reports every mistake.

mod check;
mod draft;
mod model;
mod parse;
mod read;
pub mod released;
mod stage_times;
#[cfg(test)]
mod tests;
mod typed;
mod values;

use serde::Serialize;

use super::Date;
use super::ids::Programme;
use super::money::Pence;
use super::placement::RecipientKind;
pub use model::{
    AwardCondition, Cap, DateRange, Ground, JudgementDate, RecipientTerms, Rule, RuleId, Share, Strand, StrandId,
    StrandUnit, Test, TrustTest,
};
pub use stage_times::{Stage, StageTimes};
pub use values::{DifferenceKind, TermsDifference, TermsValue};

/// Returns the terms that are part of the program: the name and text of each file, oldest year first.
#[must_use]
pub const fn shipped() -> &'static [(&'static str, &'static str)] {
    &[
        ("2021-22.toml", include_str!("../../../../terms/2021-22.toml")),
        ("2022-23.toml", include_str!("../../../../terms/2022-23.toml")),
    ]
}

/// The number of days after which an approval expires, if the terms do not say it or the approval belongs to no
/// programme.
pub const APPROVALS_EXPIRE_DAYS: u32 = 30;

/// A fund is low if less than this share of its allocation is left, in percent, if the terms do not say it (our choice).
const LOW_FUND_PERCENT: u32 = 10;

/// One mistake in a terms file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct TermsMistake {
    /// The name of the file, as the caller gave it.
    pub file: String,
    /// The line of the mistake, from 1.
    pub line: usize,
    /// The mistake, in words for the author of the file.
    pub reason: String,
}

/// The complete and valid terms of one year's scheme.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Terms {
    programme: Programme,
    name: String,
    year: DateRange,
    award_window: DateRange,
    claims_until: Date,
    contact_until: Option<Date>,
    judgement_date: JudgementDate,
    two_people_above: Pence,
    approvals_expire_days: u32,
    stage_times: StageTimes,
    low_fund_percent: u32,
    rules: Vec<Rule>,
    strands: Vec<Strand>,
    recipients: Vec<RecipientTerms>,
    providers: Vec<String>,
    /// Other names of providers, each with its provider in `providers`.
    also: Vec<(String, String)>,
}

impl Terms {
    /// Reads a terms file.
    ///
    /// # Errors
    /// Every mistake of the file, in the order of the lines. If the syntax is wrong somewhere, the parts that can be read are
    /// checked each for itself, and not against each other.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Vec<TermsMistake>> {
        parse::terms(file_name, text)
    }

    /// Finds each text and key of a file that has a control or invisible character, written directly or as an escape.
    #[must_use]
    pub fn forbidden_characters(file_name: &str, text: &str) -> Vec<TermsMistake> {
        typed::forbidden_characters(file_name, text)
    }

    /// The programme.
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
    pub const fn year(&self) -> DateRange {
        self.year
    }

    /// The last day before the year. A school "entered the year with" the judgements that it had on that day.
    #[must_use]
    pub fn entry(&self) -> Date {
        self.year.from.pred_opt().unwrap_or(Date::MIN)
    }

    /// The period in which awards may be made.
    #[must_use]
    pub const fn award_window(&self) -> DateRange {
        self.award_window
    }

    /// The last day on which a claim is paid.
    #[must_use]
    pub const fn claims_until(&self) -> Date {
        self.claims_until
    }

    /// The last day on which a contact may be dated; `None` if the terms set no limit.
    #[must_use]
    pub const fn contact_until(&self) -> Option<Date> {
        self.contact_until
    }

    /// The day that counts as the date of a judgement.
    #[must_use]
    pub const fn judgement_date(&self) -> JudgementDate {
        self.judgement_date
    }

    /// Movements of money of funds above this amount need a second person.
    #[must_use]
    pub const fn two_people_above(&self) -> Pence {
        self.two_people_above
    }

    /// The number of days after which an approval expires.
    #[must_use]
    pub const fn approvals_expire_days(&self) -> u32 {
        self.approvals_expire_days
    }

    /// How long an offer may stay in each stage before it needs attention.
    #[must_use]
    pub const fn stage_times(&self) -> &StageTimes {
        &self.stage_times
    }

    /// A fund needs attention if less than this share of its allocation is left, in percent.
    #[must_use]
    pub const fn low_fund_percent(&self) -> u32 {
        self.low_fund_percent
    }

    /// The eligibility rules, in the order of the file.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule with this name; `None` if the terms do not define it.
    #[must_use]
    pub fn rule(&self, id: &RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == *id)
    }

    /// The grounds on which an exceptional case may be made, each with its rule. Each ground has its own dates.
    pub fn grounds(&self) -> impl Iterator<Item = (&RuleId, &Ground)> {
        self.rules
            .iter()
            .filter_map(|rule| match &rule.test {
                Test::Exceptional { grounds } => Some(grounds.iter().map(move |ground| (&rule.id, ground))),
                Test::JudgedInYear { .. } | Test::TwiceOnEntry { .. } | Test::TrustImprovement(_) => None,
            })
            .flatten()
    }

    /// Whether at least one of these rules is tested on files. A person decides the other rules on a referral.
    pub fn has_file_rule<'a>(&self, mut rules: impl Iterator<Item = &'a str>) -> bool {
        rules.any(|name| !self.grounds().any(|(rule, _)| rule.as_str() == name))
    }

    /// The strands, in the order of the file.
    #[must_use]
    pub fn strands(&self) -> &[Strand] {
        &self.strands
    }

    /// The strand with this name; `None` if the terms do not define it.
    #[must_use]
    pub fn strand(&self, id: &StrandId) -> Option<&Strand> {
        self.strands.iter().find(|strand| strand.id == *id)
    }

    /// The terms for a kind of recipient; `None` if the file has no terms for that kind.
    #[must_use]
    pub fn recipient(&self, kind: RecipientKind) -> Option<&RecipientTerms> {
        self.recipients.iter().find(|recipient| recipient.kind == kind)
    }

    /// Whether a rule makes this kind of recipient eligible.
    #[must_use]
    pub fn applies(&self, rule: &RuleId, kind: RecipientKind) -> bool {
        self.recipient(kind).is_some_and(|recipient| recipient.rules.contains(rule))
    }

    /// The cap of a strand for a kind of recipient; `None` if the strand is not offered to that kind.
    #[must_use]
    pub fn cap(&self, kind: RecipientKind, strand: &StrandId) -> Option<Cap> {
        self.recipient(kind)?.caps.iter().find(|(id, _)| id == strand).map(|(_, cap)| *cap)
    }

    /// The accredited providers, in the order of the file.
    #[must_use]
    pub fn providers(&self) -> &[String] {
        &self.providers
    }

    /// Finds an accredited provider by one of its names, in any case and spacing. Returns the spelling of the terms, so
    /// that two invoices of one provider have the same issuer. Returns `None` if no provider has that name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&str> {
        let plain_name = plain(name);
        let other_names = self.also.iter().map(|(other, provider)| (other, provider));
        let mut all_names = self.providers.iter().map(|it| (it, it)).chain(other_names);
        all_names.find(|(name, _)| plain(name) == plain_name).map(|(_, provider)| provider.as_str())
    }
}

/// Returns a name in the form in which names are compared: lower case with single spaces.
pub(super) fn plain(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
