//! Parses the text of a terms file into [`Terms`]. Defines the keys of the file and the values that each key may have.
//!
//! The module `check` checks the parts of the file against each other.

use toml::de::DeTable;

use super::draft::{Dates, RecipientDraft, RuleDraft, StrandDraft};
use super::read::{Located, MistakeReport, TermsTable};
use super::{
    APPROVALS_EXPIRE_DAYS, AwardCondition, DateRange, Ground, JudgementDate, LOW_FUND_PERCENT, Rule, RuleId, Share,
    StageTimes, Strand, StrandId, StrandUnit, Terms, TermsMistake, Test, TrustTest, check,
};
use crate::judgement::Grade;
use crate::money::Pence;
use crate::placement::{PlacementKind, RecipientKind};

const JUDGEMENT_DATES: [(&str, JudgementDate); 2] =
    [("publication", JudgementDate::Publication), ("inspection", JudgementDate::Inspection)];

const CONDITIONS: [(&str, AwardCondition); 3] = [
    ("partner_mat", AwardCondition::PartnerMat),
    ("beneficial_reason", AwardCondition::BeneficialReason),
    ("accredited_provider", AwardCondition::AccreditedProvider),
];

const PLACEMENTS: [(&str, PlacementKind); 4] = [
    ("maintained", PlacementKind::Maintained),
    ("single_academy_trust", PlacementKind::SingleAcademyTrust),
    ("single_school_mat", PlacementKind::SingleSchoolMat),
    ("mat", PlacementKind::Mat),
];

/// Parses a terms file: see [`Terms::parse`].
pub(super) fn terms(file: &str, text: &str) -> Result<Terms, Vec<TermsMistake>> {
    let mut report = MistakeReport::new(file, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map_or(1, |span| report.line(&span));
        report.add_syntax_mistake(line, error.message());
    }
    let terms = read_root(TermsTable::new("", 1, root.get_ref(), &report), &mut report);
    let mistakes = report.finish();
    match terms {
        Some(terms) if mistakes.is_empty() => Ok(terms),
        _ => Err(mistakes),
    }
}

/// Reads the root table. Returns `None` if a value is missing or wrong. Adds every mistake to the report.
fn read_root(mut root: TermsTable<'_>, report: &mut MistakeReport<'_>) -> Option<Terms> {
    let mut dates = Dates {
        programme: root.parsed("programme", report),
        year: root.table("year", report).and_then(|t| period(t, report)),
        award_window: root.table("award_window", report).and_then(|t| period(t, report)),
        claims_until: root.date("claims_until", report),
        contact_until: if root.has("contact_until") { root.date("contact_until", report) } else { None },
    };
    let name = root.text("name", report);
    let judgement_date = root.word("judgement_date", &JUDGEMENT_DATES, report);
    let two_people_above = root.parsed::<Pence>("two_people_above", report);
    let approvals_expire_days = if root.has("approvals_expire_days") {
        root.number("approvals_expire_days", report).map(|it| it.value)
    } else {
        Some(APPROVALS_EXPIRE_DAYS)
    };
    let stage_days = if root.has("stage_days") { root.table("stage_days", report) } else { None };
    let stage_times = StageTimes::read(stage_days, report);
    let low_fund_percent = low_fund_percent(&mut root, report);
    let rules = root.table("rules", report).map_or_else(Vec::new, |t| rules(t, report));
    let strands = root.table("strands", report).map_or_else(Vec::new, |t| strands(t, report));
    let recipients = root.table("recipients", report).map_or_else(Vec::new, |t| recipients(t, report));
    let (providers, also) =
        root.table("accredited_providers", report).map_or_else(Default::default, |t| providers(t, report));
    root.finish(report);
    if report.has_syntax_mistakes() {
        return None;
    }

    check::dates(&dates, &rules, report);
    check::providers(&providers, &strands, report);
    let also = check::other_provider_names(also, &providers, report);
    check::rules_used(&rules, &recipients, report);
    let recipients = check::recipients(recipients, &rules, &strands, report);
    Some(Terms {
        programme: dates.programme.take()?.value,
        name: name?.value,
        year: dates.year?.value,
        award_window: dates.award_window?.value,
        claims_until: dates.claims_until?.value,
        contact_until: dates.contact_until.map(|it| it.value),
        judgement_date: judgement_date?.value,
        two_people_above: two_people_above?.value,
        approvals_expire_days: approvals_expire_days?,
        stage_times,
        low_fund_percent,
        rules: rules.into_iter().map(|draft| draft.rule).collect::<Option<_>>()?,
        strands: strands.into_iter().map(|draft| draft.strand).collect::<Option<_>>()?,
        recipients,
        providers: providers.into_iter().map(|provider| provider.value).collect(),
        also,
    })
}

/// Reads the share below which a fund is low, in percent. A wrong value is reported.
fn low_fund_percent(root: &mut TermsTable<'_>, report: &mut MistakeReport<'_>) -> u32 {
    let percent = if root.has("low_fund_percent") { root.number("low_fund_percent", report) } else { None };
    if let Some(percent) = percent.filter(|it| it.value > 100) {
        report.add(percent.line, format!("low_fund_percent must be at most 100, got {}", percent.value));
    }
    percent.map_or(LOW_FUND_PERCENT, |it| it.value)
}

fn period(mut table: TermsTable<'_>, report: &mut MistakeReport<'_>) -> Option<Located<DateRange>> {
    let period = table.period(report);
    table.finish(report);
    period
}

/// The names of the providers, and their other names. Each other name has the name of its provider.
type Providers = (Vec<Located<String>>, Vec<(String, Located<String>)>);

fn providers(mut table: TermsTable<'_>, report: &mut MistakeReport<'_>) -> Providers {
    let names = table.texts("names", report).map_or_else(Vec::new, |names| names.value);
    let also = if table.has("also") { table.table("also", report) } else { None };
    let also = also.map_or_else(Vec::new, |mut also| also.all_texts(report));
    table.finish(report);
    (names, also)
}

/// Reads all rules. A rule with a mistake is kept as a draft without a rule.
fn rules(mut table: TermsTable<'_>, report: &mut MistakeReport<'_>) -> Vec<RuleDraft> {
    let mut drafts = Vec::new();
    for (name, mut fields) in table.tables(report) {
        let line = fields.line;
        let rule = rule(&name, &mut fields, report);
        fields.finish(report);
        drafts.push(RuleDraft { id: RuleId::new(name), line, rule });
    }
    drafts
}

fn rule(name: &str, fields: &mut TermsTable<'_>, report: &mut MistakeReport<'_>) -> Option<Rule> {
    // Numbers and not tests, because a test can be made only after its other fields have been read.
    const JUDGED_IN_YEAR: u8 = 0;
    const TWICE_ON_ENTRY: u8 = 1;
    const EXCEPTIONAL: u8 = 2;
    const TRUST_IMPROVEMENT: u8 = 3;
    const KINDS: [(&str, u8); 4] = [
        ("judged_in_year", JUDGED_IN_YEAR),
        ("twice_on_entry", TWICE_ON_ENTRY),
        ("exceptional", EXCEPTIONAL),
        ("trust_improvement", TRUST_IMPROVEMENT),
    ];
    let kind = fields.word("kind", &KINDS, report);
    let text = fields.text("text", report);
    let in_effect = fields.period(report);
    let test = match kind?.value {
        JUDGED_IN_YEAR => grades("current", fields, report).map(|current| Test::JudgedInYear { current }),
        TWICE_ON_ENTRY => {
            let (current, previous) = (grades("current", fields, report), grades("previous", fields, report));
            current.zip(previous).map(|(current, previous)| Test::TwiceOnEntry { current, previous })
        }
        EXCEPTIONAL => fields.table("grounds", report).map(|t| Test::Exceptional { grounds: grounds(t, report) }),
        _ => trust_test(fields, report).map(Test::TrustImprovement),
    };
    Some(Rule { id: RuleId::new(name), text: text?.value, in_effect: in_effect?.value, test: test? })
}

/// Reads a list of grades, with at least one grade from 1 to 4. The codes 0, 8 and 9 are not grades.
fn grades(key: &str, fields: &mut TermsTable<'_>, report: &mut MistakeReport<'_>) -> Option<Vec<Grade>> {
    let numbers = fields.numbers(key, report)?;
    if numbers.value.is_empty() {
        report.add(numbers.line, format!("{key} names no grade"));
        return None;
    }
    let mut grades = Vec::new();
    for number in numbers.value {
        let grade = u8::try_from(number.value).ok().and_then(Grade::from_code).filter(|g| g.graded().is_some());
        match grade {
            Some(grade) => grades.push(grade),
            None => report.add(number.line, format!("{key}: {} is not a grade (1 to 4)", number.value)),
        }
    }
    Some(grades)
}

fn grounds(mut table: TermsTable<'_>, report: &mut MistakeReport<'_>) -> Vec<Ground> {
    let line = table.line;
    let mut grounds = Vec::new();
    for (id, mut fields) in table.tables(report) {
        let text = fields.text("text", report);
        let in_effect = fields.period(report);
        fields.finish(report);
        if let (Some(text), Some(in_effect)) = (text, in_effect) {
            grounds.push(Ground { id, text: text.value, in_effect: in_effect.value });
        }
    }
    if grounds.is_empty() {
        report.add(line, "an exceptional rule needs at least one ground");
    }
    grounds
}

fn trust_test(fields: &mut TermsTable<'_>, report: &mut MistakeReport<'_>) -> Option<TrustTest> {
    let on = fields.date("on", report);
    let years = fields.number("years_in_trust", report);
    let schools = fields.number("schools", report);
    let share = fields.text("share", report).and_then(|text| share(&text, report));
    let share_grades = grades("grades", fields, report);
    let listed = grades("listed", fields, report);
    Some(TrustTest {
        on: on?.value,
        years_in_trust: years?.value,
        schools: usize::try_from(schools?.value).ok()?,
        share: share?,
        grades: share_grades?,
        listed: listed?,
    })
}

/// Reads a share, such as `1/2`.
fn share(text: &Located<String>, report: &mut MistakeReport<'_>) -> Option<Share> {
    let parts = text
        .value
        .split_once('/')
        .and_then(|(part, whole)| Some((part.trim().parse().ok()?, whole.trim().parse().ok()?)));
    let share = parts.map(|(part, whole)| Share { part, whole }).filter(|s| 0 < s.part && s.part <= s.whole);
    if share.is_none() {
        report.add(text.line, "share must be above 0 and at most 1, like \"1/2\"");
    }
    share
}

fn strands(mut table: TermsTable<'_>, report: &mut MistakeReport<'_>) -> Vec<StrandDraft> {
    let mut drafts = Vec::new();
    for (name, mut fields) in table.tables(report) {
        let line = fields.line;
        let strand = strand(&name, &mut fields, report);
        fields.finish(report);
        drafts.push(StrandDraft { id: StrandId::new(name), line, strand });
    }
    drafts
}

fn strand(id: &str, fields: &mut TermsTable<'_>, report: &mut MistakeReport<'_>) -> Option<Strand> {
    let name = fields.text("name", report);
    let in_half_days = fields.word("unit", &[("half-days", true), ("pence", false)], report);
    let funds_bind = fields.yes_or_no("funds_bind", report);
    let needs = fields.words("needs", &CONDITIONS, report);
    let has_rate = in_half_days.map_or_else(|| fields.has("day_rate"), |unit| unit.value);
    let rate =
        if has_rate { fields.parsed::<Pence>("day_rate", report).and_then(|r| day_rate(r, report)) } else { None };
    // A wrong rate has been reported, so the file is refused. The rate zero only allows the caps of the strand to be
    // checked.
    let day_rate = rate.unwrap_or(Pence::ZERO);
    let unit = if in_half_days?.value { StrandUnit::HalfDays { day_rate } } else { StrandUnit::Pence };
    Some(Strand {
        id: StrandId::new(id),
        name: name?.value,
        unit,
        funds_bind: funds_bind?.value,
        needs: needs?.value.into_iter().map(|need| need.value).collect(),
    })
}

/// Checks a day rate: half a day must cost whole pence (`domain.md` section 5).
fn day_rate(rate: Located<Pence>, report: &mut MistakeReport<'_>) -> Option<Pence> {
    if !rate.value.is_positive() {
        report.add(rate.line, "day_rate must be above £0");
        return None;
    }
    if rate.value.get() % 2 != 0 {
        report
            .add(rate.line, format!("day_rate {} is of odd pence: half a day would not cost whole pence", rate.value));
        return None;
    }
    Some(rate.value)
}

fn recipients(mut table: TermsTable<'_>, report: &mut MistakeReport<'_>) -> Vec<RecipientDraft> {
    let mut drafts = Vec::new();
    for kind in [RecipientKind::Standalone, RecipientKind::Mat] {
        let Some(mut fields) = table.table(kind.as_str(), report) else { continue };
        let who = fields.words("who", &PLACEMENTS, report).map_or_else(Vec::new, |who| who.value);
        let rules = fields.texts("rules", report).map_or_else(Vec::new, |rules| rules.value);
        let caps = fields.table("caps", report).map_or_else(Vec::new, |mut caps| caps.all_texts(report));
        fields.finish(report);
        drafts.push(RecipientDraft { kind, who, rules, caps });
    }
    table.finish(report);
    drafts
}
