//! Everything the rules look at, from one snapshot: the monthly rows that can matter, the trusts, the placements.
//!
//! Of the monthly rows only those are read that can change an answer: each school's newest row before the year and its
//! newest since; of the rows since with a grade that a rule of the year wants, and of the rows that print an older URN,
//! the first that prints it so. A test holds the answer equal to the one over every row.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    CLOSED, DECIDED, ELIGIBLE, EligibilityField, EligibilityOrder, EligibilityQuery, Entitlements, UNKNOWN, UNPLACED,
    entry_decisions,
};
use crate::app::eligibility::entry_decisions::Decisions;
use crate::app::register::{School, facts};
use crate::app::{Comparison, Condition, Operand, Result};
use crate::domain::Date;
use crate::domain::eligibility::trusts::{Membership, TrustAssessment, assess_trusts};
use crate::domain::eligibility::{
    Assessment, Finding, SchoolAssessment, Standing, assess, assess_decided, decided, entitled, printed,
};
use crate::domain::ids::Urn;
use crate::domain::judgement::{Grade, MonthRow};
use crate::domain::placement::{Placement, UnplacedReason};
use crate::domain::referral::Referral;
use crate::domain::terms::{RuleId, Terms, Test};
use crate::store::imports::{FileKind, Import};
use crate::store::register::{Kin, MembershipQuery};
use crate::store::{self, Readable, ofsted};

/// A school follows another, and that one another: so many times at most.
pub(crate) const GENERATIONS: usize = 5;

/// A programme's schools as its rules and the register have them.
#[derive(Debug)]
pub(super) struct Standings {
    pub(super) assessment: Assessment,
    pub(super) trusts: Vec<TrustAssessment>,
    /// Every school about which a rule says yes or cannot say.
    pub(super) schools: HashMap<Urn, School>,
    pub(super) entitled: Entitlements,
    /// The approved referral that each of these schools is eligible by, under the newest URN of its lineage.
    pub(super) granted: BTreeMap<Urn, Referral>,
    /// What two people decided of these schools, whether it counts or not.
    pub(super) decisions: Decisions,
    /// Schools of which such a decision counts, by the newest URN of their lineage.
    decided: BTreeSet<Urn>,
    placements: HashMap<Urn, Placement>,
    exceptional: BTreeSet<Urn>,
    closed: BTreeSet<Urn>,
}

impl Standings {
    /// Reads and assesses; who has closed, as on a day.
    pub(super) async fn load(from: &impl Readable, terms: &Terms, day: Date) -> Result<Self> {
        let decisions = entry_decisions::decisions(from, terms.programme()).await?;
        let (assessment, trusts) = assessed(from, terms, &entry_decisions::positions(&decisions)).await?;
        let heir = |urn: &Urn| assessment.heir(*urn);
        let mut urns: BTreeSet<Urn> = assessment.schools().iter().filter(|it| matters(it)).map(|it| it.urn).collect();
        urns.extend(trusts.iter().flat_map(|trust| &trust.listed).map(heir));
        let approved = store::referrals::approved(from, terms.programme()).await?;
        let grants = approved.iter().flat_map(|it| it.exceptional.iter().map(move |urn| (heir(urn), it.clone())));
        let granted: BTreeMap<Urn, Referral> = grants.collect();
        urns.extend(granted.keys());
        let urns: Vec<Urn> = urns.into_iter().collect();
        let schools = facts::schools(from, Some(terms.programme()), &urns, day).await?;
        let placements = schools.values().map(|school| (school.urn, school.placement)).collect();
        let closed = schools.values().filter(|school| school.closed.is_some()).map(|school| school.urn).collect();
        let mut found = Self {
            assessment,
            trusts,
            schools,
            entitled: Entitlements::new(),
            exceptional: granted.keys().copied().collect(),
            granted,
            decisions,
            decided: BTreeSet::new(),
            placements,
            closed,
        };
        found.entitled = entitled(terms, &found.assessment, &found.standing());
        found.decided = decided(terms, &found.assessment, &found.standing());
        Ok(found)
    }

    /// The same for the domain's functions.
    pub(super) fn standing(&self) -> Standing<'_> {
        Standing {
            placements: &self.placements,
            exceptional: &self.exceptional,
            trusts: &self.trusts,
            closed: &self.closed,
        }
    }

    /// A page of the schools that are entitled, unknown or decided, in its order.
    pub(super) fn page(&self, terms: &Terms, requested: &EligibilityQuery) -> Vec<Urn> {
        // Of the eligible, unless it is said which are meant.
        let eligible = Condition::Is(EligibilityField::Word, Comparison::Equal, Operand::Text(ELIGIBLE.to_owned()));
        let says_which = |field, operand: &Operand| {
            field == EligibilityField::Word
                && matches!(operand, Operand::Text(word) if [ELIGIBLE, UNKNOWN, DECIDED].contains(&word.as_str()))
        };
        let condition = match requested.condition.clone() {
            None => eligible,
            Some(condition) if condition.asks(&says_which) => condition,
            Some(condition) => Condition::All(vec![eligible, condition]),
        };
        let by_name = matches!(requested.order, EligibilityOrder::Name | EligibilityOrder::NameLast);
        let key = |name: &str, urn: Urn| (if by_name { name.to_owned() } else { String::new() }, urn);
        let entitled = self.entitled.keys().copied();
        let unknown = self.assessment.schools().iter().filter(|it| self.is_unknown(terms, it)).map(|it| it.urn);
        let not_entitled = self.decided.iter().copied().filter(|urn| !self.entitled.contains_key(urn));
        let mut found: Vec<(String, Urn)> = entitled
            .chain(unknown.filter(|urn| !self.decided.contains(urn)))
            .chain(not_entitled)
            .filter_map(|urn| self.schools.get(&urn))
            .filter(|school| condition.holds(&|field, how, operand| self.stands(school, field, how, operand)))
            .map(|school| key(&school.name, school.urn))
            .collect();
        found.sort_unstable();
        let after = requested.after.as_ref().map(|it| key(&it.name, it.urn));
        let page = if matches!(requested.order, EligibilityOrder::UrnLast | EligibilityOrder::NameLast) {
            let rest = found.into_iter().rev().filter(|it| after.as_ref().is_none_or(|after| it < after));
            rest.take(requested.limit).collect::<Vec<_>>()
        } else {
            let rest = found.into_iter().filter(|it| after.as_ref().is_none_or(|after| it > after));
            rest.take(requested.limit).collect()
        };
        page.into_iter().map(|(_, urn)| urn).collect()
    }

    /// Whether a school that is entitled, unknown or decided meets a comparison.
    fn stands(&self, school: &School, field: EligibilityField, how: Comparison, operand: &Operand) -> bool {
        let number = |it: u32| Operand::Number(it.into());
        let text = |it: &str| Operand::Text(it.to_owned());
        let value = match field {
            EligibilityField::Word => {
                let is = matches!(operand, Operand::Text(word) if self.is(school, word));
                return is == (how == Comparison::Equal);
            }
            EligibilityField::Urn => Some(number(school.urn.get())),
            EligibilityField::Name => Some(text(&school.name)),
            EligibilityField::Region => school.region().map(|it| text(it.name())),
            EligibilityField::LocalAuthority => school.la.map(|it| number(it.get().into())),
            EligibilityField::Phase => Some(text(&school.phase)),
            EligibilityField::Placement => school.placement.kind().map(|it| text(it.as_str())),
            EligibilityField::Trust => school.placement.trust().map(|it| number(it.get())),
        };
        value.unwrap_or(Operand::Nothing).stands(how, operand)
    }

    /// Whether a word is true of a school that is entitled, unknown or decided.
    fn is(&self, school: &School, word: &str) -> bool {
        let entitled = self.entitled.get(&school.urn);
        match word {
            ELIGIBLE => entitled.is_some(),
            UNKNOWN => entitled.is_none() && !self.decided.contains(&school.urn),
            DECIDED => self.decided.contains(&school.urn),
            UNPLACED => entitled.is_some_and(|it| !it.closed && matches!(it.placement, Placement::Unplaced(_))),
            CLOSED => entitled.is_some_and(|it| it.closed),
            rule => entitled.is_some_and(|it| it.rules.contains(&RuleId::new(rule))),
        }
    }

    /// As the summary counts it: not entitled, and a rule of its recipient cannot say.
    fn is_unknown(&self, terms: &Terms, school: &SchoolAssessment) -> bool {
        let nowhere = Placement::Unplaced(UnplacedReason::NotInRegister);
        let placement = self.placements.get(&school.urn).copied().unwrap_or(nowhere);
        let counts = |rule| placement.recipient_kind().is_none_or(|kind| terms.applies(rule, kind));
        school.superseded_by.is_none()
            && !self.entitled.contains_key(&school.urn)
            && school.findings.iter().any(|(rule, finding)| matches!(finding, Finding::Unknown(_)) && counts(rule))
    }
}

/// Whether its placement can matter: some rule says yes or cannot say.
fn matters(school: &SchoolAssessment) -> bool {
    school.superseded_by.is_none() && !school.findings.iter().all(|(_, it)| matches!(it, Finding::NotMet(_)))
}

/// What the school-level rules say of every school, and the trust-level rule of every MAT.
async fn assessed(
    from: &impl Readable,
    terms: &Terms,
    decided: &BTreeMap<Urn, bool>,
) -> Result<(Assessment, Vec<TrustAssessment>)> {
    if !terms.rules().iter().any(|rule| matches!(rule.test, Test::TrustImprovement(_))) {
        return Ok((by_school_rules(from, terms, decided).await?, Vec::new()));
    }
    // The trust-level rule compares a school's grades over the years: no row can be left out.
    let rows = every_row(from, None).await?;
    let members = store::register::members(from, MembershipQuery::Mats).await?;
    let open = facts::open(from, members.iter().map(|it| it.uid)).await?;
    let members = members.into_iter().filter(|it| open.contains(&it.uid));
    let members: Vec<Membership> =
        members.map(|it| Membership { uid: it.uid, urn: it.urn, joined: it.joined }).collect();
    let assessment = linked(from, terms, &rows.iter().collect::<Vec<_>>(), decided).await?;
    Ok((assessment, assess_trusts(terms, &rows, &members)))
}

/// What the school-level rules say of every school.
pub(super) async fn by_school_rules(
    from: &impl Readable,
    terms: &Terms,
    decided: &BTreeMap<Urn, bool>,
) -> Result<Assessment> {
    let rows = telling_rows(from, terms).await?;
    linked(from, terms, &rows.iter().collect::<Vec<_>>(), decided).await
}

/// What the school-level rules say of these rows, with the register's links and what two people decided for the URNs that have
/// no row by entry: those that a newer URN follows too, as they hand on what their predecessors answer.
pub(super) async fn linked(
    from: &impl Readable,
    terms: &Terms,
    rows: &[&MonthRow],
    decided: &BTreeMap<Urn, bool>,
) -> Result<Assessment> {
    let by_files = assess(terms, rows.iter().copied());
    let unknown = by_files.schools().iter().filter(|school| school.has_no_row_by_entry(terms));
    let unknown: Vec<Urn> = unknown.map(|school| school.urn).collect();
    if unknown.is_empty() {
        return Ok(by_files);
    }
    let links = predecessors(from, rows, unknown).await?;
    let says_nothing = links.is_empty() && decided.is_empty();
    Ok(if says_nothing { by_files } else { assess_decided(terms, rows.iter().copied(), &links, decided) })
}

/// The predecessors that the register's links name of these schools, and of all that they follow, by the links and by these rows.
async fn predecessors(from: &impl Readable, rows: &[&MonthRow], mut urns: Vec<Urn>) -> Result<HashMap<Urn, Vec<Urn>>> {
    let printed = printed(rows.iter().copied());
    let (mut links, mut asked) = (HashMap::new(), BTreeSet::new());
    for _ in 0..GENERATIONS {
        urns.retain(|urn| asked.insert(*urn));
        if urns.is_empty() {
            break;
        }
        let found = store::register::kin(from, &urns, Kin::Predecessors).await?;
        let older = urns.iter().filter_map(|urn| printed.get(urn)).flatten();
        urns = older.chain(found.values().flatten()).copied().collect();
        links.extend(found);
    }
    Ok(links)
}

/// Every monthly row that counts, of files as at a day or before.
pub(super) async fn every_row(from: &impl Readable, to: Option<Date>) -> Result<Vec<MonthRow>> {
    let mut rows = Vec::new();
    for import in store::imports::landed(from, FileKind::Ofsted).await? {
        if to.is_none_or(|day| import.as_at <= day) {
            rows.extend(ofsted::all(from, &import).await?);
        }
    }
    Ok(rows)
}

/// The monthly rows that can change an answer of the school-level rules.
pub(super) async fn telling_rows(from: &impl Readable, terms: &Terms) -> Result<Vec<MonthRow>> {
    let landed = store::imports::landed(from, FileKind::Ofsted).await?;
    let since = |it: &Import| it.as_at > terms.entry();
    let mut requested: Vec<Grade> = Vec::new();
    for rule in terms.rules() {
        if let Test::JudgedInYear { current } = &rule.test {
            requested.extend(current);
        }
    }
    let mut rows = Vec::new();
    for import in &landed {
        let side = || landed.iter().filter(|it| since(it) == since(import));
        let newer: Vec<&Import> = side().filter(|it| it.as_at > import.as_at).collect();
        let older: Vec<&Import> = side().filter(|it| it.as_at < import.as_at).collect();
        let grades: &[Grade] = if since(import) { &requested } else { &[] };
        rows.extend(ofsted::telling(from, import, &newer, &older, grades).await?);
    }
    Ok(rows)
}
