//! Tests the trust-level rule, which looks at the long-standing schools of a trust together.
//!
//! All arithmetic is in whole numbers. A trust is tested on the last day before the year and on each later as-at date,
//! each time with the files up to that day. A trust that has met the rule stays eligible, and a school that is listed
//! stays listed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::rules::newest_by;
use crate::Date;
use crate::ids::{Uid, Urn};
use crate::judgement::{Grade, Judgement, MonthRow};
use crate::terms::{RuleId, Terms, Test, TrustTest};

/// A school's membership of a trust, as in the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The trust.
    pub uid: Uid,
    /// The school.
    pub urn: Urn,
    /// The date it joined; `None` if the register does not say.
    pub joined: Option<Date>,
}

/// The latest grade of a school.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LatestGrade {
    /// The grade, 1 to 4.
    pub grade: Grade,
    /// First day of the inspection.
    pub inspected: Option<Date>,
    /// The URN that was judged. If the academy has not been inspected yet, this is the URN of a predecessor.
    pub urn_judged: Urn,
}

/// The data on one school of a trust that the test uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TrustMember {
    /// The school.
    pub urn: Urn,
    /// The date it joined the trust; `None` if the register does not say.
    pub joined: Option<Date>,
    /// Its latest grade; `None` if the newest file by that day prints no grade for it.
    pub latest: Option<LatestGrade>,
    /// Its last grade before it joined; `None` if no file prints one or the joining date is unknown.
    pub before: Option<Grade>,
}

impl TrustMember {
    /// Whether the school has been in the trust for the years of the rule.
    fn is_long_standing(&self, test: &TrustTest) -> bool {
        let years = chrono::Months::new(test.years_in_trust.saturating_mul(12));
        self.joined.and_then(|joined| joined.checked_add_months(years)).is_some_and(|day| day <= test.on)
    }

    /// Returns the latest grade if the school was inspected after it joined the trust.
    fn grade_since_joining(&self) -> Option<Grade> {
        let latest = self.latest.as_ref()?;
        (latest.inspected? >= self.joined?).then_some(latest.grade)
    }
}

/// The numbers behind the result of the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    /// Schools that have been in the trust for the years of the rule.
    pub long_standing: usize,
    /// Schools with an unknown joining date. They never count as long-standing.
    pub joined_unknown: usize,
    /// Long-standing schools that were inspected since they joined.
    pub inspected: usize,
    /// Those of the inspected schools that have one of the grades of the rule.
    pub of_grades: usize,
    /// Long-standing schools that have both a latest grade and a grade before they joined.
    pub compared: usize,
    /// Sum of the latest grades of the compared schools.
    pub latest_sum: u32,
    /// Sum of the grades of the compared schools before they joined.
    pub before_sum: u32,
}

/// The result of the test for a trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum TrustVerdict {
    /// The rule is met, by one of its two tests or by both.
    Met {
        /// Whether enough of the schools inspected since joining have one of the grades of the rule.
        share: bool,
        /// Whether the grades of the compared schools have become worse on average.
        declined: bool,
    },
    /// The trust has fewer long-standing schools than the rule requires.
    TooFew,
    /// Neither test is met.
    NotMet,
    /// The rule is not met, but it might be met if the missing joining dates were known. A person must decide.
    Unknown,
}

/// The result of the trust-level rule for one trust, with its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrustAssessment {
    /// The trust.
    pub uid: Uid,
    /// The rule.
    pub rule: RuleId,
    /// The first tested day on which the trust met the rule; if it never did, the last tested day.
    pub as_at: Date,
    /// The result.
    pub verdict: TrustVerdict,
    /// The numbers behind the result.
    pub figures: Figures,
    /// The data on each school on that day.
    pub members: Vec<TrustMember>,
    /// The schools that an offer lists; empty unless the rule is met.
    pub listed: BTreeSet<Urn>,
}

impl TrustAssessment {
    /// Whether the trust is eligible.
    #[must_use]
    pub const fn is_eligible(&self) -> bool {
        matches!(self.verdict, TrustVerdict::Met { .. })
    }

    /// Returns the reason of the result, in a sentence with the numbers.
    #[must_use]
    pub fn reason(&self) -> String {
        let Figures { long_standing, joined_unknown, inspected, of_grades, compared, latest_sum, before_sum } =
            self.figures;
        let verdict = match self.verdict {
            TrustVerdict::Met { share: true, declined: true } => "by share and by decline",
            TrustVerdict::Met { share: true, .. } => "by share",
            TrustVerdict::Met { .. } => "by decline",
            TrustVerdict::TooFew => "too few long-standing schools",
            TrustVerdict::NotMet => "neither test is met",
            TrustVerdict::Unknown => "a person must decide: joining dates are missing",
        };
        format!(
            "{verdict}; as at {}: {long_standing} long-standing, {joined_unknown} of unknown joining date; {of_grades} of \
             {inspected} inspected since joining hold a grade of the rule; grades of {compared} compared add up to \
             {latest_sum}, before joining to {before_sum}",
            self.as_at
        )
    }
}

/// Tests every trust of these memberships by the trust-level rule. Returns no trusts if the terms have no such rule.
#[must_use]
pub fn assess_trusts<'a>(
    terms: &Terms,
    rows: impl IntoIterator<Item = &'a MonthRow>,
    memberships: &[Membership],
) -> Vec<TrustAssessment> {
    let rule = terms.rules().iter().find_map(|rule| match &rule.test {
        Test::TrustImprovement(test) => Some((&rule.id, test)),
        Test::JudgedInYear { .. } | Test::TwiceOnEntry { .. } | Test::Exceptional { .. } => None,
    });
    let Some((rule, test)) = rule else { return Vec::new() };
    let mut sorted: Vec<&MonthRow> = rows.into_iter().collect();
    sorted.sort_by_key(|row| (row.urn, row.as_at, row.import));
    let in_year = sorted.iter().map(|row| row.as_at).filter(|day| *day > terms.entry());
    let days: BTreeSet<Date> = in_year.chain([terms.entry()]).collect();
    let mut trusts: BTreeMap<Uid, BTreeMap<Urn, Option<Date>>> = BTreeMap::new();
    for link in memberships {
        let joined = trusts.entry(link.uid).or_default().entry(link.urn).or_insert(link.joined);
        // A school may have left and joined again: the latest joining date counts.
        *joined = (*joined).max(link.joined);
    }
    trusts.into_iter().filter_map(|(uid, schools)| assess_trust(uid, rule, test, &schools, &sorted, &days)).collect()
}

/// Tests one trust on each of `days`, in order. Returns the result of the first day on which the trust met the rule, or
/// of the last day if it never did. Schools that a later day would list are added to `listed`. Returns `None` if
/// `days` is empty.
fn assess_trust(
    uid: Uid,
    rule: &RuleId,
    test: &TrustTest,
    schools: &BTreeMap<Urn, Option<Date>>,
    sorted: &[&MonthRow],
    days: &BTreeSet<Date>,
) -> Option<TrustAssessment> {
    let mut assessment: Option<TrustAssessment> = None;
    for &as_at in days {
        let members: Vec<TrustMember> =
            schools.iter().map(|(&urn, &joined)| trust_member(urn, joined, history(sorted, urn), as_at)).collect();
        match &mut assessment {
            Some(met) if met.is_eligible() => met.listed.extend(schools_to_list(test, &members)),
            _ => {
                let (verdict, figures) = test_trust(test, &members);
                let met = matches!(verdict, TrustVerdict::Met { .. });
                let listed = if met { schools_to_list(test, &members).collect() } else { BTreeSet::new() };
                assessment =
                    Some(TrustAssessment { uid, rule: rule.clone(), as_at, verdict, figures, members, listed });
            }
        }
    }
    assessment
}

/// Returns the long-standing schools whose latest grade puts them on an offer.
fn schools_to_list<'m>(test: &'m TrustTest, members: &'m [TrustMember]) -> impl Iterator<Item = Urn> + 'm {
    let long_standing = members.iter().filter(|member| member.is_long_standing(test));
    long_standing.filter(|m| m.latest.is_some_and(|l| test.listed.contains(&l.grade))).map(|m| m.urn)
}

/// Returns the rows of one URN. `sorted` must be in order of URN.
fn history<'h, 'r>(sorted: &'h [&'r MonthRow], urn: Urn) -> &'h [&'r MonthRow] {
    let from = sorted.partition_point(|row| row.urn < urn);
    let to = sorted.partition_point(|row| row.urn <= urn);
    sorted.get(from..to).unwrap_or_default()
}

/// Collects the data on one school from the files with an as-at date on `day` or earlier. Without a joining date, no
/// judgement counts as before it.
fn trust_member(urn: Urn, joined: Option<Date>, history: &[&MonthRow], day: Date) -> TrustMember {
    let latest = newest_by(history, day).and_then(|row| row.current.as_ref()).filter(|j| j.grade.graded().is_some());
    let up_to_day = history.iter().filter(|row| row.as_at <= day);
    let printed = up_to_day.flat_map(|row| row.current.iter().chain(&row.previous));
    let before = printed
        .filter(|judgement| judgement.grade.graded().is_some())
        .filter_map(|judgement| {
            Some((judgement.started.filter(|started| *started < joined.unwrap_or(Date::MIN))?, judgement))
        })
        .max_by_key(|(started, judgement)| (*started, &judgement.inspection))
        .map(|(_, judgement)| judgement.grade);
    let latest = latest.map(|Judgement { grade, started, urn_judged, .. }| LatestGrade {
        grade: *grade,
        inspected: *started,
        urn_judged: *urn_judged,
    });
    TrustMember { urn, joined, latest, before }
}

/// Tests the schools of one trust. Returns the result with its numbers.
#[must_use]
pub fn test_trust(test: &TrustTest, members: &[TrustMember]) -> (TrustVerdict, Figures) {
    let mut figures = Figures::default();
    let increment = |count: &mut usize| *count = count.saturating_add(1);
    for member in members {
        if member.joined.is_none() {
            increment(&mut figures.joined_unknown);
        }
        if !member.is_long_standing(test) {
            continue;
        }
        increment(&mut figures.long_standing);
        if let Some(grade) = member.grade_since_joining() {
            increment(&mut figures.inspected);
            if test.grades.contains(&grade) {
                increment(&mut figures.of_grades);
            }
        }
        let grades = member.latest.and_then(|latest| latest.grade.graded()).zip(member.before.and_then(Grade::graded));
        if let Some((latest, before)) = grades {
            increment(&mut figures.compared);
            figures.latest_sum = figures.latest_sum.saturating_add(u32::from(latest));
            figures.before_sum = figures.before_sum.saturating_add(u32::from(before));
        }
    }
    let share = test.share.reached(figures.of_grades, figures.inspected);
    // Both sums are over the same schools, so comparing the sums is comparing the means.
    let declined = figures.latest_sum > figures.before_sum;
    let verdict = if figures.long_standing >= test.schools && (share || declined) {
        TrustVerdict::Met { share, declined }
    } else if figures.joined_unknown > 0 && figures.long_standing.saturating_add(figures.joined_unknown) >= test.schools
    {
        TrustVerdict::Unknown
    } else if figures.long_standing < test.schools {
        TrustVerdict::TooFew
    } else {
        TrustVerdict::NotMet
    };
    (verdict, figures)
}
