//! The trust-level rule: a trust's long-standing schools taken together.
//!
//! Everything is counted in whole numbers. A trust is tested on what was known at each month's end; once it meets
//! the rule it stays eligible, and a school once listed stays listed, for any later file.

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
    /// When it joined; nothing when the register does not say.
    pub joined: Option<Date>,
}

/// A school's latest grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latest {
    /// The grade, 1 to 4.
    pub grade: Grade,
    /// First day of the inspection.
    pub inspected: Option<Date>,
    /// The URN judged, a predecessor's for a converter not yet inspected.
    pub urn_judged: Urn,
}

/// What the test knows of one school of a trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TrustMember {
    /// The school.
    pub urn: Urn,
    /// When it joined the trust.
    pub joined: Option<Date>,
    /// Its latest grade.
    pub latest: Option<Latest>,
    /// Its last grade before joining.
    pub before: Option<Grade>,
}

impl TrustMember {
    fn is_long_standing(&self, test: &TrustTest) -> bool {
        let years = chrono::Months::new(test.years_in_trust.saturating_mul(12));
        self.joined.and_then(|joined| joined.checked_add_months(years)).is_some_and(|day| day <= test.on)
    }

    fn inspected_since_joining(&self) -> Option<Grade> {
        let latest = self.latest.as_ref()?;
        (latest.inspected? >= self.joined?).then_some(latest.grade)
    }
}

/// The numbers behind a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Figures {
    /// Schools in the trust long enough.
    pub long_standing: usize,
    /// Schools whose joining date nobody knows; never taken as long-standing.
    pub joined_unknown: usize,
    /// Of the long-standing, those inspected since joining.
    pub inspected: usize,
    /// Of the inspected, those that hold one of the test's grades.
    pub of_grades: usize,
    /// Of the long-standing, those with both a latest grade and one before joining.
    pub compared: usize,
    /// Sum of the latest grades of those compared.
    pub latest_sum: u32,
    /// Sum of their grades before joining.
    pub before_sum: u32,
}

/// What the test says of a trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum TrustVerdict {
    /// The rule is met: by one of its two tests or both.
    Met {
        /// Enough of those inspected since joining hold one of the grades.
        share: bool,
        /// They have declined overall.
        declined: bool,
    },
    /// Fewer long-standing schools than the rule wants.
    TooFew,
    /// Neither test is met.
    NotMet,
    /// Not met, but schools of unknown joining date might change that: a person must say.
    Unknown,
}

/// A trust, tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrustAssessment {
    /// The trust.
    pub uid: Uid,
    /// The rule.
    pub rule: RuleId,
    /// The month's end at which it first met the rule, or else the latest at which it was tested.
    pub as_at: Date,
    /// What the test says.
    pub verdict: TrustVerdict,
    /// Its numbers.
    pub figures: Figures,
    /// What was known of each school then.
    pub members: Vec<TrustMember>,
    /// The schools an offer lists, by URN; none unless met.
    pub listed: BTreeSet<Urn>,
}

impl TrustAssessment {
    /// Whether the trust is eligible.
    #[must_use]
    pub const fn is_eligible(&self) -> bool {
        matches!(self.verdict, TrustVerdict::Met { .. })
    }

    /// Why, in a sentence with its numbers.
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

/// Tests every trust of these memberships by the terms' trust-level rule; nobody when they have none.
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
        // Left and come back: the present spell counts.
        *joined = (*joined).max(link.joined);
    }
    trusts.into_iter().filter_map(|(uid, schools)| over_days(uid, rule, test, &schools, &sorted, &days)).collect()
}

fn over_days(
    uid: Uid,
    rule: &RuleId,
    test: &TrustTest,
    schools: &BTreeMap<Urn, Option<Date>>,
    sorted: &[&MonthRow],
    days: &BTreeSet<Date>,
) -> Option<TrustAssessment> {
    let mut found: Option<TrustAssessment> = None;
    for &as_at in days {
        let members: Vec<TrustMember> =
            schools.iter().map(|(&urn, &joined)| member(urn, joined, history(sorted, urn), as_at)).collect();
        match &mut found {
            Some(met) if met.is_eligible() => met.listed.extend(listed(test, &members)),
            _ => {
                let (verdict, figures) = judge(test, &members);
                let met = matches!(verdict, TrustVerdict::Met { .. });
                let listed = if met { listed(test, &members).collect() } else { BTreeSet::new() };
                found = Some(TrustAssessment { uid, rule: rule.clone(), as_at, verdict, figures, members, listed });
            }
        }
    }
    found
}

fn listed<'m>(test: &'m TrustTest, members: &'m [TrustMember]) -> impl Iterator<Item = Urn> + 'm {
    let long_standing = members.iter().filter(|member| member.is_long_standing(test));
    long_standing.filter(|m| m.latest.is_some_and(|l| test.listed.contains(&l.grade))).map(|m| m.urn)
}

fn history<'h, 'r>(sorted: &'h [&'r MonthRow], urn: Urn) -> &'h [&'r MonthRow] {
    let from = sorted.partition_point(|row| row.urn < urn);
    let to = sorted.partition_point(|row| row.urn <= urn);
    sorted.get(from..to).unwrap_or_default()
}

/// What the files as at a day or before print of one school.
fn member(urn: Urn, joined: Option<Date>, history: &[&MonthRow], day: Date) -> TrustMember {
    let latest = newest_by(history, day).and_then(|row| row.current.as_ref()).filter(|j| j.grade.graded().is_some());
    let known = history.iter().filter(|row| row.as_at <= day);
    let printed = known.flat_map(|row| row.current.iter().chain(&row.previous));
    let before = printed
        .filter(|judgement| judgement.grade.graded().is_some())
        .filter_map(|judgement| Some((judgement.started.filter(|day| *day < joined.unwrap_or(Date::MIN))?, judgement)))
        .max_by_key(|(started, judgement)| (*started, &judgement.inspection))
        .map(|(_, judgement)| judgement.grade);
    let latest = latest.map(|Judgement { grade, started, urn_judged, .. }| Latest {
        grade: *grade,
        inspected: *started,
        urn_judged: *urn_judged,
    });
    TrustMember { urn, joined, latest, before }
}

/// The test itself, over what is known of a trust's schools.
#[must_use]
pub fn judge(test: &TrustTest, members: &[TrustMember]) -> (TrustVerdict, Figures) {
    let mut figures = Figures::default();
    let count = |n: &mut usize| *n = n.saturating_add(1);
    for member in members {
        if member.joined.is_none() {
            count(&mut figures.joined_unknown);
        }
        if !member.is_long_standing(test) {
            continue;
        }
        count(&mut figures.long_standing);
        if let Some(grade) = member.inspected_since_joining() {
            count(&mut figures.inspected);
            if test.grades.contains(&grade) {
                count(&mut figures.of_grades);
            }
        }
        let grades = member.latest.and_then(|latest| latest.grade.graded()).zip(member.before.and_then(Grade::graded));
        if let Some((latest, before)) = grades {
            count(&mut figures.compared);
            figures.latest_sum = figures.latest_sum.saturating_add(u32::from(latest));
            figures.before_sum = figures.before_sum.saturating_add(u32::from(before));
        }
    }
    let share = test.share.reached(figures.of_grades, figures.inspected);
    // Both means are over the same schools, so the sums compare as the means do.
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
