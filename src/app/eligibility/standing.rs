//! Loads all data that the rules use from one snapshot: monthly rows, trusts and placements.
//!
//! Only monthly rows that can change an answer are read. The entry date of the year divides the files into two parts. Of
//! each school these rows are read: the newest row of each part; in the second part, the first row with each grade that a
//! rule of the year tests; and the first row that prints each older URN. A test checks that the answers are the same as
//! with all rows.

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
    Assessment, EntitlementInputs, Finding, SchoolAssessment, assess, assess_decided, entitled, older_urns_printed,
    schools_decided_by_people,
};
use crate::domain::ids::Urn;
use crate::domain::judgement::{Grade, MonthRow};
use crate::domain::placement::{Placement, UnplacedReason};
use crate::domain::referral::Referral;
use crate::domain::terms::{RuleId, Terms, Test};
use crate::store::imports::{FileKind, Import};
use crate::store::register::{LinkDirection, MembershipQuery};
use crate::store::{self, Readable, ofsted};

/// The most steps from a school to its oldest predecessor.
pub(crate) const GENERATIONS: usize = 5;

/// The schools of a programme, assessed by its rules and placed by the register.
#[derive(Debug)]
pub(super) struct Standings {
    pub(super) assessment: Assessment,
    pub(super) trusts: Vec<TrustAssessment>,
    /// Every school that some rule, its trust or a referral may make eligible.
    pub(super) schools: HashMap<Urn, School>,
    /// The schools that are eligible, with the rules that make them so.
    pub(super) entitled: Entitlements,
    /// Schools that are eligible by an approved referral, under the newest URN of their lineage, with that referral.
    pub(super) granted: BTreeMap<Urn, Referral>,
    /// All decisions about entry positions, whether they count or not.
    pub(super) decisions: Decisions,
    /// Schools for which a decision about the entry position counts, under the newest URN of their lineage.
    decided: BTreeSet<Urn>,
    /// The placement of each school in `schools`.
    placements: HashMap<Urn, Placement>,
    /// The schools in `granted`.
    exceptional: BTreeSet<Urn>,
    /// The schools in `schools` that have closed.
    closed: BTreeSet<Urn>,
}

impl Standings {
    /// Loads and assesses the schools. Whether a school has closed is judged on the given day.
    pub(super) async fn load(from: &dyn Readable, terms: &Terms, day: Date) -> Result<Self> {
        let decisions = entry_decisions::decisions(from, terms.programme()).await?;
        let (assessment, trusts) = assess_all(from, terms, &entry_decisions::positions(&decisions)).await?;
        let newest_urn = |urn: &Urn| assessment.newest_urn(*urn);
        let mut urns: BTreeSet<Urn> =
            assessment.schools().iter().filter(|it| needs_placement(it)).map(|it| it.urn).collect();
        urns.extend(trusts.iter().flat_map(|trust| &trust.listed).map(newest_urn));
        let approved = store::referrals::approved(from, terms.programme()).await?;
        let grants = approved.iter().flat_map(|it| it.exceptional.iter().map(move |urn| (newest_urn(urn), it.clone())));
        let granted: BTreeMap<Urn, Referral> = grants.collect();
        urns.extend(granted.keys());
        let urns: Vec<Urn> = urns.into_iter().collect();
        let schools = facts::schools(from, Some(terms.programme()), &urns, day).await?;
        let placements = schools.values().map(|school| (school.urn, school.placement)).collect();
        let closed = schools.values().filter(|school| school.closed.is_some()).map(|school| school.urn).collect();
        let mut standings = Self {
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
        standings.entitled = entitled(terms, &standings.assessment, &standings.standing());
        standings.decided = schools_decided_by_people(terms, &standings.assessment, &standings.standing());
        Ok(standings)
    }

    /// The inputs of the functions of the domain, borrowed from these standings.
    pub(super) fn standing(&self) -> EntitlementInputs<'_> {
        EntitlementInputs {
            placements: &self.placements,
            exceptional: &self.exceptional,
            trusts: &self.trusts,
            closed: &self.closed,
        }
    }

    /// A page of the schools that are entitled, unknown or decided, in the requested order.
    pub(super) fn page(&self, terms: &Terms, requested: &EligibilityQuery) -> Vec<Urn> {
        // A condition that does not choose among eligible, unknown and decided applies to the eligible schools.
        let eligible = Condition::Is(EligibilityField::Word, Comparison::Equal, Operand::Text(ELIGIBLE.to_owned()));
        let chooses_word = |field, operand: &Operand| {
            field == EligibilityField::Word
                && matches!(operand, Operand::Text(word) if [ELIGIBLE, UNKNOWN, DECIDED].contains(&word.as_str()))
        };
        let condition = match requested.condition.clone() {
            None => eligible,
            Some(condition) if condition.asks(&chooses_word) => condition,
            Some(condition) => Condition::All(vec![eligible, condition]),
        };
        let by_name = matches!(requested.order, EligibilityOrder::Name | EligibilityOrder::NameLast);
        let sort_key = |name: &str, urn: Urn| (if by_name { name.to_owned() } else { String::new() }, urn);
        let entitled = self.entitled.keys().copied();
        let decided_only = self.decided.iter().copied().filter(|urn| !self.entitled.contains_key(urn));
        let mut keys: Vec<(String, Urn)> = entitled
            .chain(self.undecided(terms))
            .chain(decided_only)
            .filter_map(|urn| self.schools.get(&urn))
            .filter(|school| condition.holds(&|field, how, operand| self.meets(school, field, how, operand)))
            .map(|school| sort_key(&school.name, school.urn))
            .collect();
        keys.sort_unstable();
        let after = requested.after.as_ref().map(|it| sort_key(&it.name, it.urn));
        let page = if matches!(requested.order, EligibilityOrder::UrnLast | EligibilityOrder::NameLast) {
            let rest = keys.into_iter().rev().filter(|it| after.as_ref().is_none_or(|after| it < after));
            rest.take(requested.limit).collect::<Vec<_>>()
        } else {
            let rest = keys.into_iter().filter(|it| after.as_ref().is_none_or(|after| it > after));
            rest.take(requested.limit).collect()
        };
        page.into_iter().map(|(_, urn)| urn).collect()
    }

    /// The schools of which it is unknown whether they are eligible, and whose entry position was not decided by people.
    pub(super) fn undecided(&self, terms: &Terms) -> impl Iterator<Item = Urn> {
        let unknown = self.assessment.schools().iter().filter(|it| self.is_unknown(terms, it)).map(|it| it.urn);
        unknown.filter(|urn| !self.decided.contains(urn))
    }

    /// Whether a school that is entitled, unknown or decided meets a comparison.
    fn meets(&self, school: &School, field: EligibilityField, how: Comparison, operand: &Operand) -> bool {
        let number = |it: u32| Operand::Number(it.into());
        let text = |it: &str| Operand::Text(it.to_owned());
        let value = match field {
            EligibilityField::Word => {
                let has_word = matches!(operand, Operand::Text(word) if self.has_word(school, word));
                return has_word == (how == Comparison::Equal);
            }
            EligibilityField::Urn => Some(number(school.urn.get())),
            EligibilityField::Name => Some(text(&school.name)),
            EligibilityField::Region => school.region().map(|it| text(it.name())),
            EligibilityField::LocalAuthority => school.la.map(|it| number(it.get().into())),
            EligibilityField::Phase => Some(text(&school.phase)),
            EligibilityField::Placement => school.placement.kind().map(|it| text(it.as_str())),
            EligibilityField::Trust => school.placement.trust().map(|it| number(it.get())),
        };
        value.unwrap_or(Operand::Nothing).compares(how, operand)
    }

    /// Whether a word of a filter is true of a school that is entitled, unknown or decided.
    fn has_word(&self, school: &School, word: &str) -> bool {
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

    /// Whether a school counts as unknown, in the same way as in the summary: it is not superseded, not entitled, and a
    /// rule for its kind of recipient is unknown.
    fn is_unknown(&self, terms: &Terms, school: &SchoolAssessment) -> bool {
        let nowhere = Placement::Unplaced(UnplacedReason::NotInRegister);
        let placement = self.placements.get(&school.urn).copied().unwrap_or(nowhere);
        let counts = |rule| placement.recipient_kind().is_none_or(|kind| terms.applies(rule, kind));
        school.superseded_by.is_none()
            && !self.entitled.contains_key(&school.urn)
            && school.findings.iter().any(|(rule, finding)| matches!(finding, Finding::Unknown(_)) && counts(rule))
    }
}

/// Whether the placement of a school can change an answer: the school is not superseded, and some rule is met or unknown.
fn needs_placement(school: &SchoolAssessment) -> bool {
    school.superseded_by.is_none() && !school.findings.iter().all(|(_, it)| matches!(it, Finding::NotMet(_)))
}

/// Assesses every school by the school-level rules, and every MAT by the trust-level rule. If the terms have no trust-level
/// rule, the list of trusts is empty.
async fn assess_all(
    from: &dyn Readable,
    terms: &Terms,
    positions: &BTreeMap<Urn, bool>,
) -> Result<(Assessment, Vec<TrustAssessment>)> {
    if !terms.rules().iter().any(|rule| matches!(rule.test, Test::TrustImprovement(_))) {
        return Ok((by_school_rules(from, terms, positions).await?, Vec::new()));
    }
    // The trust-level rule compares a school's grades over the years, so it needs all rows.
    let rows = every_row(from, None).await?;
    let members = store::register::members(from, MembershipQuery::Mats).await?;
    let open = facts::open(from, members.iter().map(|it| it.uid)).await?;
    let members = members.into_iter().filter(|it| open.contains(&it.uid));
    let members: Vec<Membership> =
        members.map(|it| Membership { uid: it.uid, urn: it.urn, joined: it.joined }).collect();
    let assessment = assess_with_links(from, terms, &rows.iter().collect::<Vec<_>>(), positions).await?;
    Ok((assessment, assess_trusts(terms, &rows, &members)))
}

/// Assesses every school by the school-level rules, from the rows that can change an answer. `positions` are the decisions
/// about entry positions.
pub(super) async fn by_school_rules(
    from: &dyn Readable,
    terms: &Terms,
    positions: &BTreeMap<Urn, bool>,
) -> Result<Assessment> {
    let rows = relevant_rows(from, terms).await?;
    assess_with_links(from, terms, &rows.iter().collect::<Vec<_>>(), positions).await
}

/// Assesses the schools of these rows by the school-level rules. For URNs without a row by the entry date, also uses the
/// register's links and the decisions about entry positions. Such URNs include those with a successor, because the successor
/// takes over their answer.
pub(super) async fn assess_with_links(
    from: &dyn Readable,
    terms: &Terms,
    rows: &[&MonthRow],
    positions: &BTreeMap<Urn, bool>,
) -> Result<Assessment> {
    let by_files = assess(terms, rows.iter().copied());
    let without_row = by_files.schools().iter().filter(|school| school.has_no_row_by_entry(terms));
    let without_row: Vec<Urn> = without_row.map(|school| school.urn).collect();
    if without_row.is_empty() {
        return Ok(by_files);
    }
    let links = predecessors(from, rows, without_row).await?;
    let adds_nothing = links.is_empty() && positions.is_empty();
    Ok(if adds_nothing { by_files } else { assess_decided(terms, rows.iter().copied(), &links, positions) })
}

/// Finds the predecessors of these schools, over several generations. Follows the register's links and the older URNs that
/// these rows print. Returns the register's links only.
async fn predecessors(from: &dyn Readable, rows: &[&MonthRow], mut urns: Vec<Urn>) -> Result<HashMap<Urn, Vec<Urn>>> {
    let printed = older_urns_printed(rows.iter().copied());
    let (mut links, mut visited) = (HashMap::new(), BTreeSet::new());
    for _ in 0..GENERATIONS {
        urns.retain(|urn| visited.insert(*urn));
        if urns.is_empty() {
            break;
        }
        let of_register = store::register::linked_schools(from, &urns, LinkDirection::Predecessors).await?;
        let older = urns.iter().filter_map(|urn| printed.get(urn)).flatten();
        urns = older.chain(of_register.values().flatten()).copied().collect();
        links.extend(of_register);
    }
    Ok(links)
}

/// Loads every row of the landed monthly files, up to an as-at date if one is given.
pub(super) async fn every_row(from: &dyn Readable, to: Option<Date>) -> Result<Vec<MonthRow>> {
    let mut rows = Vec::new();
    for import in store::imports::landed(from, FileKind::Ofsted).await? {
        if to.is_none_or(|day| import.as_at <= day) {
            rows.extend(ofsted::all(from, &import).await?);
        }
    }
    Ok(rows)
}

/// Loads the monthly rows that can change an answer of the school-level rules.
pub(super) async fn relevant_rows(from: &dyn Readable, terms: &Terms) -> Result<Vec<MonthRow>> {
    let landed = store::imports::landed(from, FileKind::Ofsted).await?;
    let is_after_entry = |it: &Import| it.as_at > terms.entry();
    let mut tested_grades: Vec<Grade> = Vec::new();
    for rule in terms.rules() {
        if let Test::JudgedInYear { current } = &rule.test {
            tested_grades.extend(current);
        }
    }
    let mut rows = Vec::new();
    for import in &landed {
        let same_part = || landed.iter().filter(|it| is_after_entry(it) == is_after_entry(import));
        let newer: Vec<&Import> = same_part().filter(|it| it.as_at > import.as_at).collect();
        let older: Vec<&Import> = same_part().filter(|it| it.as_at < import.as_at).collect();
        let grades: &[Grade] = if is_after_entry(import) { &tested_grades } else { &[] };
        rows.extend(ofsted::decisive_rows(from, import, &newer, &older, grades).await?);
    }
    Ok(rows)
}
