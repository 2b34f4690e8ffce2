//! Who is eligible in a programme: counted, listed, explained, compared between two months.
//!
//! The rules are the domain's; here only the rows and facts they look at are fetched, from one snapshot ([`standing`]).

mod affected;
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
use crate::app::terms_cache::Loaded;
use crate::domain::Date;
use crate::domain::eligibility::{Evidence, RuleOutcome, Summary, changes, summarise, up_to};
use crate::domain::ids::{OfferId, Programme, Uid, Urn};
use crate::domain::role::{Action, Caller, Reach};
use crate::domain::terms::RuleId;
use crate::store::Readable;
pub use affected::AffectedOffer;
pub use entry::DecidedEntry;
pub(crate) use entry::{counting, entry_schools, regions};
pub(crate) use identify::{
    affected, candidates, confirmed, lock_register, offer_placements, register_answer, responsible_bodies,
    trust_answers,
};
pub(crate) use standing::GENERATIONS;
use standing::Standings;

/// One rule's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAnswer {
    /// The rule.
    pub rule: RuleId,
    /// What it comes to; never [`RuleOutcome::Elsewhere`] but for a rule that a person decides on a referral.
    pub outcome: RuleOutcome,
    /// Why, one sentence.
    pub reason: String,
    /// The row it depends on.
    pub evidence: Option<Evidence>,
    /// What two people decided of it, where it depends on that.
    pub decided: Option<DecidedEntry>,
}

/// One school's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchoolEligibility {
    /// The school, placed as in the programme.
    pub school: School,
    /// Whether it is eligible by at least one rule.
    pub eligible: bool,
    /// Every rule of the programme.
    pub rules: Vec<RuleAnswer>,
    /// The newer URN of its lineage that counts in its place.
    pub superseded_by: Option<Urn>,
    /// The open offer it is on, where the caller may see that.
    pub offer: Option<OfferId>,
    /// Whether its entry position is unknown: two people can decide it.
    pub entry_unknown: bool,
}

/// A school or a trust, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The school asked for, or each school of the trust asked for.
    pub schools: Vec<SchoolEligibility>,
    /// The trust-level rules, for the trust asked for or the one behind the school.
    pub trust_rules: Vec<RuleAnswer>,
    /// The trust, when one was asked for.
    pub trust: Option<Trust>,
}

/// How a school changed between two months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Eligible now, and not before.
    BecameEligible,
    /// Eligible before too, and now by further rules.
    RuleAdded,
    /// Counted under a newer URN now.
    Superseded,
    /// The files cannot say, and before they could or did not show it.
    BecameUnknown,
    /// Eligible before, and no more: only after a file was withdrawn or replaced.
    NoLongerEligible,
}

/// One school's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedEligibility {
    /// The school.
    pub urn: Urn,
    /// Its name; empty when no landed file names it any more.
    pub name: String,
    /// What changed.
    pub kind: ChangeKind,
    /// The rules behind it.
    pub rules: Vec<RuleId>,
    /// The newer URN, when superseded.
    pub superseded_by: Option<Urn>,
}

/// What of a school's answer a condition may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EligibilityField {
    /// Whether a word is true of it: `eligible`, `unknown`, `unplaced`, `closed`, `decided`, or a rule's id.
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
    /// How it is placed, by name; nothing when it is not.
    Placement,
    /// Its trust, by UID.
    Trust,
}

/// In which order a list comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EligibilityOrder {
    /// By URN.
    Urn,
    /// By URN, the highest first.
    UrnLast,
    /// By name, those of one name by URN.
    Name,
    /// The same the other way round.
    NameLast,
}

/// Where a page begins: after this school, which had this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EligibilityPageStart {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
}

/// What is asked of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EligibilityQuery {
    /// Which schools; those that are eligible when not said.
    pub condition: Option<Condition<EligibilityField>>,
    /// In which order.
    pub order: EligibilityOrder,
    /// From where on; from the first when not said.
    pub after: Option<EligibilityPageStart>,
    /// How many at most.
    pub limit: usize,
}

/// The words that are true of a school or not, besides the ids of rules.
const ELIGIBLE: &str = "eligible";
const UNKNOWN: &str = "unknown";
const UNPLACED: &str = "unplaced";
const CLOSED: &str = "closed";
const DECIDED: &str = "decided";

impl App {
    /// The numbers of a programme.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a programme that has no terms.
    pub async fn eligibility_summary(&self, caller: &Caller, today: Date, programme: &Programme) -> Result<Summary> {
        authorise(caller, Action::Read)?;
        let loaded = self.terms(programme).await?;
        let snapshot = self.snapshot().await?;
        let standings = Standings::load(&snapshot, &loaded.terms, today).await?;
        Ok(summarise(&loaded.terms, &standings.assessment, &standings.standing()))
    }

    /// The words that a list's condition may use: `eligible`, `unknown`, `unplaced` (eligible, but fitting no row of the
    /// scheme), `closed` (eligible, but closed by the newest register), `decided` (its entry position was decided by two people), and the
    /// ids of the programme's rules.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a programme that has no terms.
    pub async fn eligibility_words(&self, caller: &Caller, programme: &Programme) -> Result<Vec<String>> {
        authorise(caller, Action::Read)?;
        let loaded = self.terms(programme).await?;
        let rules = loaded.terms.rules().iter().map(|rule| rule.id.as_str());
        Ok([ELIGIBLE, UNKNOWN, UNPLACED, CLOSED, DECIDED].into_iter().chain(rules).map(ToOwned::to_owned).collect())
    }

    /// A page of the schools that are eligible, or about which the files cannot say, whether decided or not.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a programme that has no terms.
    pub async fn list_eligibility(
        &self,
        caller: &Caller,
        today: Date,
        programme: &Programme,
        expected: &EligibilityQuery,
    ) -> Result<Vec<SchoolEligibility>> {
        authorise(caller, Action::Read)?;
        let loaded = self.terms(programme).await?;
        let snapshot = self.snapshot().await?;
        let standings = Standings::load(&snapshot, &loaded.terms, today).await?;
        let page = standings.page(&loaded.terms, expected);
        show::schools(&snapshot, &loaded.terms, &standings, (&caller.reach(Action::Read), today), &page).await
    }

    /// One school, rule by rule.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a programme without terms, or a school that no file names.
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

    /// Every school of a trust in the newest register, rule by rule, and the trust-level rules.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a programme without terms, or a trust that no file names.
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
        let seen = (&caller.reach(Action::Read), today);
        let explained = explain(&snapshot, &loaded, seen, &urns, Some(uid)).await?;
        Ok(Explanation { trust: Some(trust), ..explained })
    }

    /// What changed in the school-level rules between what the files up to one date say and those up to another; by URN.
    /// Entry positions that two people decided count at both dates, whenever that was.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a programme that has no terms; [`AppError::Invalid`] for dates the wrong way round.
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
        let decided = entry_decisions::positions(&entry_decisions::decisions(&snapshot, programme).await?);
        let before = standing::linked(&snapshot, &loaded.terms, &earlier, &decided).await?;
        let after = standing::linked(&snapshot, &loaded.terms, &rows.iter().collect::<Vec<_>>(), &decided).await?;
        show::changes(&snapshot, changes(&before, &after)).await
    }
}

async fn explain(
    from: &impl Readable,
    loaded: &Loaded,
    (reach, day): (&Reach, Date),
    urns: &[Urn],
    trust: Option<Uid>,
) -> Result<Explanation> {
    let standings = Standings::load(from, &loaded.terms, day).await?;
    let schools = show::schools(from, &loaded.terms, &standings, (reach, day), urns).await?;
    let tested = standings.trusts.iter().find(|it| Some(it.uid) == trust);
    let trust_rules = tested.map(show::trust_rule).into_iter().collect();
    Ok(Explanation { schools, trust_rules, trust: None })
}

/// The rules entitling each school, by URN.
type Entitlements = BTreeMap<Urn, crate::domain::eligibility::Entitled>;
