//! Reads the eligibility of schools in a programme: the summary, the list, the explanation of a school or trust, and the
//! changes between two dates.
//!
//! The rules are in the domain. This module loads the data that the rules use, from one snapshot ([`standing`]).

mod affected;
mod attention;
mod entry;
mod entry_decisions;
mod identify;
mod show;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::register::{self, School, Trust};
use super::{App, AppError, Condition, Result, Violation, authorise};
use crate::app::terms_cache::LoadedScheme;
use crate::domain::Date;
use crate::domain::eligibility::{Evidence, RuleOutcome, Summary, changes, summarise, up_to};
use crate::domain::ids::{OfferId, Programme, Uid, Urn};
use crate::domain::role::{Action, Caller, Reach};
use crate::domain::terms::RuleId;
use crate::store::Readable;
pub use affected::AffectedOffer;
pub(crate) use attention::{Findings, SchoolFinding, findings};
pub use entry::DecidedEntry;
pub(crate) use entry::{decisions_of_school, entry_schools, regions};
pub(crate) use identify::{
    affected, candidates, confirmed, lock_register, offer_placements, register_answer, responsible_bodies,
    trust_answers,
};
pub(crate) use standing::GENERATIONS;
use standing::Standings;

/// The answer of one rule for a school or trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAnswer {
    /// The rule.
    pub rule: RuleId,
    /// Its outcome; [`RuleOutcome::DecidedElsewhere`] only for a rule that a person decides on a referral.
    pub outcome: RuleOutcome,
    /// The reason, in one sentence.
    pub reason: String,
    /// The row of a file that the answer depends on; `None` if it depends on no single row.
    pub evidence: Option<Evidence>,
    /// The decision of two people that the answer depends on; `None` if it depends on no decision.
    pub decided: Option<DecidedEntry>,
}

/// The eligibility of one school.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchoolEligibility {
    /// The school, placed as in the programme.
    pub school: School,
    /// Whether it is eligible by at least one rule.
    pub eligible: bool,
    /// The answer of every rule of the programme.
    pub rules: Vec<RuleAnswer>,
    /// The newer URN of its lineage that counts in its place, if there is one.
    pub superseded_by: Option<Urn>,
    /// The open offer that lists the school, if there is one that the caller may see.
    pub offer: Option<OfferId>,
    /// Whether its entry position is unknown and not decided, so that two people can decide it.
    pub entry_unknown: bool,
}

/// The explanation of the eligibility of a school or a trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The requested school, or each school of the requested trust.
    pub schools: Vec<SchoolEligibility>,
    /// The answers of the trust-level rules, for the requested trust or the trust of the school. Empty if there is no such
    /// rule or trust.
    pub trust_rules: Vec<RuleAnswer>,
    /// The trust, if one was requested.
    pub trust: Option<Trust>,
}

/// How a school changed between two dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Eligible now, but not before.
    BecameEligible,
    /// Eligible before, and now by further rules.
    RuleAdded,
    /// Counted under a newer URN now.
    Superseded,
    /// Unknown now; before, it was known or no file showed it.
    BecameUnknown,
    /// Eligible before, but not now under any URN. For example, its school was split, and the result that it had from a
    /// predecessor passed to a newer URN.
    NoLongerEligible,
}

/// A change of one school's eligibility.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedEligibility {
    /// The school.
    pub urn: Urn,
    /// Its name; empty when no landed file names it any more.
    pub name: String,
    /// What changed.
    pub kind: ChangeKind,
    /// The rules that made the school eligible; empty for other changes.
    pub rules: Vec<RuleId>,
    /// The newer URN if the school was superseded, otherwise `None`.
    pub superseded_by: Option<Urn>,
}

/// A field of a school's answer that a filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EligibilityField {
    /// A word that is true of the school: `eligible`, `unknown`, `unplaced`, `closed`, `decided`, or a rule's id.
    Word,
    /// Its URN.
    Urn,
    /// Its name.
    Name,
    /// Its region, by name.
    Region,
    /// Its local authority, by code.
    LocalAuthority,
    /// Its phase, as printed.
    Phase,
    /// Its placement, by name; no value if it is unplaced.
    Placement,
    /// Its trust, by UID.
    Trust,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EligibilityOrder {
    /// By URN.
    Urn,
    /// By URN, the highest first.
    UrnLast,
    /// By name, then by URN.
    Name,
    /// By name, then by URN, the last first.
    NameLast,
}

/// The start of a page: it begins after this school, which had this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EligibilityPageStart {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
}

/// The query of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EligibilityQuery {
    /// The condition that the schools must meet; `None` for the eligible schools.
    pub condition: Option<Condition<EligibilityField>>,
    /// Their order.
    pub order: EligibilityOrder,
    /// Where the page begins; by default at the first school.
    pub after: Option<EligibilityPageStart>,
    /// The most schools to return.
    pub limit: usize,
}

// The words for [`EligibilityField::Word`]. The ids of rules are words too.
const ELIGIBLE: &str = "eligible";
const UNKNOWN: &str = "unknown";
const UNPLACED: &str = "unplaced";
const CLOSED: &str = "closed";
const DECIDED: &str = "decided";

impl App {
    /// Counts the schools of a programme, by rule and by kind of recipient.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::NotFound`] for a programme that has no terms.
    pub async fn eligibility_summary(&self, caller: &Caller, today: Date, programme: &Programme) -> Result<Summary> {
        authorise(caller, Action::Read)?;
        let loaded = self.terms(programme).await?;
        let snapshot = self.snapshot().await?;
        let standings = Standings::load(&snapshot, &loaded.terms, today).await?;
        Ok(summarise(&loaded.terms, &standings.assessment, &standings.standing()))
    }

    /// The words that the condition of a list may use: `eligible`; `unknown`; `unplaced` (eligible, but of no kind of
    /// recipient); `closed` (eligible, but closed by the newest register); `decided` (a decision of two people about its
    /// entry position counts); and the ids of the programme's rules.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::NotFound`] for a programme that has no terms.
    pub async fn eligibility_words(&self, caller: &Caller, programme: &Programme) -> Result<Vec<String>> {
        authorise(caller, Action::Read)?;
        let loaded = self.terms(programme).await?;
        let rules = loaded.terms.rules().iter().map(|rule| rule.id.as_str());
        Ok([ELIGIBLE, UNKNOWN, UNPLACED, CLOSED, DECIDED].into_iter().chain(rules).map(ToOwned::to_owned).collect())
    }

    /// A page of the schools that are eligible, unknown or decided, and that meet the condition of the query.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::NotFound`] for a programme that has no terms.
    pub async fn list_eligibility(
        &self,
        caller: &Caller,
        today: Date,
        programme: &Programme,
        query: &EligibilityQuery,
    ) -> Result<Vec<SchoolEligibility>> {
        authorise(caller, Action::Read)?;
        let loaded = self.terms(programme).await?;
        let snapshot = self.snapshot().await?;
        let standings = Standings::load(&snapshot, &loaded.terms, today).await?;
        let page = standings.page(&loaded.terms, query);
        show::schools(&snapshot, &loaded.terms, &standings, (&caller.reach(Action::Read), today), &page).await
    }

    /// Explains the eligibility of one school, rule by rule.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::NotFound`] for a programme without terms, or a school that no file names.
    pub async fn explain_school(
        &self,
        caller: &Caller,
        today: Date,
        programme: &Programme,
        urn: Urn,
    ) -> Result<Explanation> {
        authorise(caller, Action::Read)?;
        let loaded = self.terms(programme).await?;
        let snapshot = self.snapshot().await?;
        let school = register::one_school(&snapshot, Some(programme), urn, today).await?;
        let trust = school.placement.trust();
        explain(&snapshot, &loaded, (&caller.reach(Action::Read), today), &[urn], trust).await
    }

    /// Explains the eligibility of every school of a trust in the newest register, and the trust-level rules.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::NotFound`] for a programme without terms, or a trust that no file names.
    pub async fn explain_trust(
        &self,
        caller: &Caller,
        today: Date,
        programme: &Programme,
        uid: Uid,
    ) -> Result<Explanation> {
        authorise(caller, Action::Read)?;
        let loaded = self.terms(programme).await?;
        let snapshot = self.snapshot().await?;
        let (trust, urns) = register::one_trust(&snapshot, uid).await?;
        let explanation = explain(&snapshot, &loaded, (&caller.reach(Action::Read), today), &urns, Some(uid)).await?;
        Ok(Explanation { trust: Some(trust), ..explanation })
    }

    /// Applies the school-level rules to the files up to `from` and to the files up to `to`, and returns the differences,
    /// ordered by URN. Decisions about entry positions count at both dates, even if they were made later.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::NotFound`] for a programme that has no terms; [`AppError::Invalid`] if `from` is
    /// after `to`.
    pub async fn eligibility_changes(
        &self,
        caller: &Caller,
        programme: &Programme,
        from: Date,
        to: Date,
    ) -> Result<Vec<ChangedEligibility>> {
        authorise(caller, Action::Read)?;
        if from > to {
            return Err(AppError::Invalid(vec![Violation::new("to_date", format!("lies before {from}"))]));
        }
        let loaded = self.terms(programme).await?;
        let snapshot = self.snapshot().await?;
        let rows = standing::every_row(&snapshot, Some(to)).await?;
        let earlier: Vec<_> = up_to(&rows, from).collect();
        let positions = entry_decisions::positions(&entry_decisions::decisions(&snapshot, programme).await?);
        let before = standing::assess_with_links(&snapshot, &loaded.terms, &earlier, &positions).await?;
        let after =
            standing::assess_with_links(&snapshot, &loaded.terms, &rows.iter().collect::<Vec<_>>(), &positions).await?;
        show::changes(&snapshot, changes(&before, &after)).await
    }
}

/// Explains these schools, and this trust by the trust-level rules.
async fn explain(
    from: &dyn Readable,
    loaded: &LoadedScheme,
    (reach, day): (&Reach, Date),
    urns: &[Urn],
    trust: Option<Uid>,
) -> Result<Explanation> {
    let standings = Standings::load(from, &loaded.terms, day).await?;
    let schools = show::schools(from, &loaded.terms, &standings, (reach, day), urns).await?;
    let trust_assessment = standings.trusts.iter().find(|it| Some(it.uid) == trust);
    let trust_rules = trust_assessment.map(show::trust_rule).into_iter().collect();
    Ok(Explanation { schools, trust_rules, trust: None })
}

/// The rules that entitle each school, by URN.
type Entitlements = BTreeMap<Urn, crate::domain::eligibility::Entitled>;
