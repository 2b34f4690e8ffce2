//! The scheme as data: one reviewed file a year says who is eligible, what is offered to whom, up to which cap.
//!
//! Code here knows the kinds of rule, strand and condition there can be, never a year, an amount or a rule's
//! name. A [`Terms`] exists only when the whole file is sound; [`Terms::parse`] otherwise reports every mistake.

mod check;
mod draft;
mod model;
mod parse;
mod read;
pub mod released;
#[cfg(test)]
mod tests;
mod typed;

use serde::Serialize;

use super::Date;
use super::ids::Programme;
use super::money::Pence;
use super::placement::RecipientKind;
pub use model::{
    AwardCondition, Cap, DateRange, Ground, JudgementDate, RecipientTerms, Rule, RuleId, Share, Strand, StrandId,
    StrandUnit, Test, TrustTest,
};

/// The terms that ship with the program: file name and text, oldest year first.
#[must_use]
pub const fn shipped() -> &'static [(&'static str, &'static str)] {
    &[
        ("2021-22.toml", include_str!("../../../../terms/2021-22.toml")),
        ("2022-23.toml", include_str!("../../../../terms/2022-23.toml")),
    ]
}

/// After how many days an approval expires where no terms say: a file without the key, or an approval of no programme.
pub const APPROVALS_EXPIRE_DAYS: u32 = 30;

/// One mistake in a terms file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error("{file}:{line}: {reason}")]
pub struct TermsMistake {
    /// The file as named by the caller.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong, for the person who wrote the file.
    pub reason: String,
}

/// One year's scheme, whole and sound.
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
    rules: Vec<Rule>,
    strands: Vec<Strand>,
    recipients: Vec<RecipientTerms>,
    providers: Vec<String>,
    /// Other names of providers, each with the one among `providers`.
    also: Vec<(String, String)>,
}

impl Terms {
    /// Reads a terms file.
    ///
    /// # Errors
    /// Every mistake of the file, in the order of its lines; syntax first, since nothing past it is certain.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Vec<TermsMistake>> {
        parse::terms(file_name, text)
    }

    /// What people must not type: each text and key of a file that has a control or invisible character, escaped or not.
    #[must_use]
    pub fn unseen(file_name: &str, text: &str) -> Vec<TermsMistake> {
        typed::unseen(file_name, text)
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

    /// The last day before the year: what a school "entered the year with".
    #[must_use]
    pub fn entry(&self) -> Date {
        self.year.from.pred_opt().unwrap_or(Date::MIN)
    }

    /// When awards may be made.
    #[must_use]
    pub const fn award_window(&self) -> DateRange {
        self.award_window
    }

    /// The last day a claim is paid.
    #[must_use]
    pub const fn claims_until(&self) -> Date {
        self.claims_until
    }

    /// The last day of contacts; no limit where the terms name none.
    #[must_use]
    pub const fn contact_until(&self) -> Option<Date> {
        self.contact_until
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

    /// An approval expires so many days after it was asked for.
    #[must_use]
    pub const fn approvals_expire_days(&self) -> u32 {
        self.approvals_expire_days
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

    /// The grounds on which an exceptional case may be made, each with its rule; each has its own dates.
    pub fn grounds(&self) -> impl Iterator<Item = (&RuleId, &Ground)> {
        self.rules
            .iter()
            .filter_map(|rule| match &rule.test {
                Test::Exceptional { grounds } => Some(grounds.iter().map(move |ground| (&rule.id, ground))),
                Test::JudgedInYear { .. } | Test::TwiceOnEntry { .. } | Test::TrustImprovement(_) => None,
            })
            .flatten()
    }

    /// Whether one of these rules is one that a file may meet: of the others a person decides, on a referral.
    pub fn asks_files<'a>(&self, mut rules: impl Iterator<Item = &'a str>) -> bool {
        rules.any(|met| !self.grounds().any(|(rule, _)| rule.as_str() == met))
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
    pub fn recipient(&self, kind: RecipientKind) -> Option<&RecipientTerms> {
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

    /// The accredited provider of this name or other name, as the terms spell it, in any case and spacing
    /// with: one provider, one spelling, so that its invoice is known again.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&str> {
        let expected = plain(name);
        let also = self.also.iter().map(|(other, provider)| (other, provider));
        let mut known = self.providers.iter().map(|it| (it, it)).chain(also);
        known.find(|(name, _)| plain(name) == expected).map(|(_, provider)| provider.as_str())
    }
}

/// A name without its case and stray spaces, for comparing.
pub(super) fn plain(name: &str) -> String {
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
