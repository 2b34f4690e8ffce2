//! Lists the values of terms by their keys, for people, and compares two terms.

use std::collections::BTreeMap;

use super::Terms;
use super::model::{AwardCondition, Cap, JudgementDate, Rule, Strand, StrandUnit, Test, TrustTest};
use crate::judgement::Grade;

/// A value of terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsValue {
    /// Its key, as in the terms file: `strands.nle.day_rate`.
    pub key: String,
    /// The value, in the notation of the terms file: `£600`, `3 days`, `2021-09-01 to 2022-08-31`.
    pub value: String,
}

/// What a difference would mean for a programme in use (`domain.md` section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// It would take effect at once, for all offers.
    AtOnce,
    /// It would take effect only for offers made afterwards.
    LaterOffers,
    /// Terms in use cannot be changed in this way.
    NotAllowed,
}

/// A key whose value differs between two terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermsDifference {
    /// The key.
    pub key: String,
    /// The value before; `None` if the key is new.
    pub before: Option<String>,
    /// The value after; `None` if the key is gone.
    pub after: Option<String>,
    /// What the difference would mean for a programme in use.
    pub kind: DifferenceKind,
}

/// Collects values under a common prefix.
struct Values(Vec<TermsValue>);

impl Values {
    fn add(&mut self, key: impl Into<String>, value: impl ToString) {
        self.0.push(TermsValue { key: key.into(), value: value.to_string() });
    }
}

impl Terms {
    /// Every value of these terms, also those that the file leaves out, in the order of the shipped files.
    #[must_use]
    pub fn values(&self) -> Vec<TermsValue> {
        let mut values = Values(Vec::new());
        values.add("programme", &self.programme);
        values.add("name", &self.name);
        values.add("year", self.year);
        values.add("award_window", self.award_window);
        values.add("claims_until", self.claims_until);
        values.add("contact_until", self.contact_until.map_or_else(|| "no limit".to_owned(), |it| it.to_string()));
        values.add("judgement_date", judgement_date(self.judgement_date));
        values.add("two_people_above", self.two_people_above);
        values.add("approvals_expire_days", self.approvals_expire_days);
        values.add("low_fund_percent", self.low_fund_percent);
        for stage in super::Stage::ALL {
            values.add(format!("stage_days.{}", stage.name()), self.stage_times.days(stage));
        }
        self.rules.iter().for_each(|rule| add_rule(&mut values, rule));
        self.strands.iter().for_each(|strand| add_strand(&mut values, strand));
        for recipient in &self.recipients {
            let key = |name: &str| format!("recipients.{}.{name}", recipient.kind.as_str());
            values.add(key("who"), joined(recipient.who.iter().map(|it| it.as_str())));
            values.add(key("rules"), joined(recipient.rules.iter().map(|it| it.as_str())));
            for (strand, cap) in &recipient.caps {
                values.add(key(&format!("caps.{strand}")), shown_cap(*cap));
            }
        }
        // In quotation marks, because a name may have a comma.
        values.add("accredited_providers.names", joined(self.providers.iter().map(|it| format!("\"{it}\""))));
        for (name, provider) in &self.also {
            values.add(format!("accredited_providers.also.{name}"), provider);
        }
        values.0
    }

    /// The keys whose values differ, in the order of these terms, and then the new keys of the others. `after` are the terms that
    /// would replace these.
    #[must_use]
    pub fn differences(&self, after: &Self) -> Vec<TermsDifference> {
        let (old, new) = (self.values(), after.values());
        let by_key = |values: &[TermsValue]| -> BTreeMap<String, String> {
            values.iter().map(|it| (it.key.clone(), it.value.clone())).collect()
        };
        let (old_by_key, new_by_key) = (by_key(&old), by_key(&new));
        let added = new.iter().filter(|it| !old_by_key.contains_key(&it.key));
        let keys = old.iter().chain(added).map(|it| it.key.clone());
        let difference = |key: String| {
            let (before, after) = (old_by_key.get(&key).cloned(), new_by_key.get(&key).cloned());
            (before != after).then(|| TermsDifference {
                kind: kind(&key, before.as_deref(), after.as_deref()),
                key,
                before,
                after,
            })
        };
        keys.filter_map(difference).collect()
    }
}

/// What a difference of this key would mean for a programme in use.
fn kind(key: &str, before: Option<&str>, after: Option<&str>) -> DifferenceKind {
    const AT_ONCE: [&str; 5] =
        ["contact_until", "approvals_expire_days", "low_fund_percent", "stage_days.", "accredited_providers."];
    const LATER_OFFERS: [&str; 2] = ["rules.", "recipients."];
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| key.starts_with(prefix));
    let is_window = matches!(key, "award_window" | "claims_until");
    if begins(&AT_ONCE) || key.contains(".grounds.") || (is_window && ends_later(before, after)) {
        DifferenceKind::AtOnce
    } else if begins(&LATER_OFFERS) || key.ends_with(".day_rate") {
        DifferenceKind::LaterOffers
    } else {
        DifferenceKind::NotAllowed
    }
}

/// Whether a period or a last day ends later than before, and begins as before.
fn ends_later(before: Option<&str>, after: Option<&str>) -> bool {
    let parts = |text: Option<&str>| {
        let text = text?.to_owned();
        Some(
            text.rsplit_once(" to ")
                .map_or_else(|| (String::new(), text.clone()), |(from, to)| (from.to_owned(), to.to_owned())),
        )
    };
    // Days in ISO format are ordered as texts.
    parts(before).zip(parts(after)).is_some_and(|(before, after)| before.0 == after.0 && before.1 < after.1)
}

fn add_rule(values: &mut Values, rule: &Rule) {
    let key = |name: &str| format!("rules.{}.{name}", rule.id);
    values.add(key("text"), &rule.text);
    values.add(key("in_effect"), rule.in_effect);
    match &rule.test {
        Test::JudgedInYear { current } => {
            values.add(key("kind"), "judged_in_year");
            values.add(key("current"), grades(current));
        }
        Test::TwiceOnEntry { current, previous } => {
            values.add(key("kind"), "twice_on_entry");
            values.add(key("current"), grades(current));
            values.add(key("previous"), grades(previous));
        }
        Test::Exceptional { grounds } => {
            values.add(key("kind"), "exceptional");
            for ground in grounds {
                values.add(key(&format!("grounds.{}.text", ground.id)), &ground.text);
                values.add(key(&format!("grounds.{}.in_effect", ground.id)), ground.in_effect);
            }
        }
        Test::TrustImprovement(test) => add_trust_test(values, &key, test),
    }
}

fn add_trust_test(values: &mut Values, key: &impl Fn(&str) -> String, test: &TrustTest) {
    values.add(key("kind"), "trust_improvement");
    values.add(key("on"), test.on);
    values.add(key("years_in_trust"), test.years_in_trust);
    values.add(key("schools"), test.schools);
    values.add(key("share"), format!("{}/{}", test.share.part, test.share.whole));
    values.add(key("grades"), grades(&test.grades));
    values.add(key("listed"), grades(&test.listed));
}

fn add_strand(values: &mut Values, strand: &Strand) {
    let key = |name: &str| format!("strands.{}.{name}", strand.id);
    values.add(key("name"), &strand.name);
    match strand.unit {
        StrandUnit::Pence => values.add(key("unit"), "pence"),
        StrandUnit::HalfDays { day_rate } => {
            values.add(key("unit"), "half-days");
            values.add(key("day_rate"), day_rate);
        }
    }
    values.add(key("funds_bind"), strand.funds_bind);
    values.add(key("needs"), joined(strand.needs.iter().map(|it| condition(*it))));
}

const fn judgement_date(it: JudgementDate) -> &'static str {
    match it {
        JudgementDate::Publication => "publication",
        JudgementDate::Inspection => "inspection",
    }
}

const fn condition(it: AwardCondition) -> &'static str {
    match it {
        AwardCondition::PartnerMat => "partner_mat",
        AwardCondition::BeneficialReason => "beneficial_reason",
        AwardCondition::AccreditedProvider => "accredited_provider",
    }
}

fn shown_cap(cap: Cap) -> String {
    match cap {
        Cap::Pence(pence) => pence.to_string(),
        Cap::HalfDays(half_days) => half_days.to_string(),
        Cap::FundsOnly => "no cap".to_owned(),
    }
}

fn grades(grades: &[Grade]) -> String {
    joined(grades.iter().map(|grade| grade.code().to_string()))
}

/// A list as one text; `none` if it is empty.
fn joined<T: AsRef<str>>(texts: impl Iterator<Item = T>) -> String {
    let texts: Vec<String> = texts.map(|it| it.as_ref().to_owned()).collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::shipped;

    fn terms(edit: impl Fn(&str) -> String) -> Terms {
        let (file, text) = shipped().first().unwrap();
        Terms::parse(file, &edit(text)).unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
    }

    #[test]
    fn every_key_of_the_shipped_file_has_a_value() {
        let values = terms(str::to_owned).values();
        let value = |key: &str| values.iter().find(|it| it.key == key).map(|it| it.value.as_str());
        let rows = [
            ("programme", "2021-22"),
            ("year", "2021-09-01 to 2022-08-31"),
            ("claims_until", "2022-12-31"),
            ("contact_until", "2022-10-31"),
            ("judgement_date", "publication"),
            ("two_people_above", "£50,000"),
            ("approvals_expire_days", "30"),
            ("low_fund_percent", "10"),
            ("stage_days.acceptance", "28"),
            ("rules.E1_RI_IN_YEAR.current", "3"),
            ("rules.E2_RI_TWICE_ON_ENTRY.previous", "3, 4"),
            ("rules.E3_EXCEPTIONAL.grounds.covid_disruption.in_effect", "2022-01-20 to 2022-08-31"),
            ("strands.nle.day_rate", "£600"),
            ("strands.nle.funds_bind", "false"),
            ("strands.nle.needs", "none"),
            ("strands.npqel.needs", "beneficial_reason, accredited_provider"),
            ("recipients.standalone.who", "maintained, single_academy_trust, single_school_mat"),
            ("recipients.standalone.caps.nle", "3 days"),
            ("recipients.standalone.caps.credit", "£10,000"),
            ("recipients.mat.caps.nlg", "no cap"),
            ("accredited_providers.also.Harris Federation", "School-Led Network"),
        ];
        for (key, expected) in rows {
            assert_eq!(value(key), Some(expected), "{key}");
        }
        let mut keys: Vec<&str> = values.iter().map(|it| it.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), values.len());
    }

    #[test]
    fn a_difference_has_the_kind_of_its_key() {
        use DifferenceKind::{AtOnce, LaterOffers, NotAllowed};
        let before = terms(str::to_owned);
        let rows = [
            ("contact_until  = 2022-10-31", "contact_until = 2022-11-30", "contact_until", AtOnce),
            ("contact_until  = 2022-10-31", "", "contact_until", AtOnce),
            ("claims_until   = 2022-12-31", "claims_until = 2023-01-31", "claims_until", AtOnce),
            ("claims_until   = 2022-12-31", "claims_until = 2022-11-30", "claims_until", NotAllowed),
            (
                "award_window   = { from = 2021-09-01, to = 2022-08-31 }",
                "award_window = { from = 2021-09-01, to = 2022-09-30 }",
                "award_window",
                AtOnce,
            ),
            (
                "award_window   = { from = 2021-09-01, to = 2022-08-31 }",
                "award_window = { from = 2021-10-01, to = 2022-09-30 }",
                "award_window",
                NotAllowed,
            ),
            ("two_people_above = \"£50,000\"", "two_people_above = \"£60,000\"", "two_people_above", NotAllowed),
            ("judgement_date = \"publication\"", "judgement_date = \"inspection\"", "judgement_date", NotAllowed),
            ("nle    = \"3 days\"", "nle = \"4 days\"", "recipients.standalone.caps.nle", LaterOffers),
            ("day_rate   = \"£600\"", "day_rate = \"£650\"", "strands.nle.day_rate", LaterOffers),
            ("previous = [3, 4]", "previous = [4]", "rules.E2_RI_TWICE_ON_ENTRY.previous", LaterOffers),
            (
                "from = 2022-01-20",
                "from = 2022-01-10",
                "rules.E3_EXCEPTIONAL.grounds.covid_disruption.in_effect",
                AtOnce,
            ),
            ("    \"Teach First\",\n", "", "accredited_providers.names", AtOnce),
            ("funds_bind = false", "funds_bind = true", "strands.nle.funds_bind", NotAllowed),
        ];
        for (from, to, key, kind) in rows {
            let after = terms(|text| {
                assert!(text.contains(from), "{from}");
                text.replacen(from, to, 1)
            });
            let differences = before.differences(&after);
            let found: Vec<_> = differences.iter().map(|it| (it.key.as_str(), it.kind)).collect();
            assert_eq!(found, [(key, kind)], "{to}");
        }
        assert_eq!(before.differences(&before), []);
        let stage = terms(|text| text.replacen("[strands.nle]", "[stage_days]\nclaim = 5\n\n[strands.nle]", 1));
        let expected = TermsDifference {
            key: "stage_days.claim".to_owned(),
            before: Some("30".to_owned()),
            after: Some("5".to_owned()),
            kind: AtOnce,
        };
        assert_eq!(before.differences(&stage), [expected]);
    }

    #[test]
    fn lists_are_compared_item_by_item() {
        let before = terms(str::to_owned);
        let one_name = terms(|text| {
            text.replacen(
                "\"Ambition Institute\",\n    \"Best Practice Network\",",
                "\"Ambition Institute, Best Practice Network\",",
                1,
            )
        });
        assert_eq!(before.differences(&one_name).len(), 1);
        let with_need = terms(|text| text.replacen("needs      = []", "needs      = [\"beneficial_reason\"]", 1));
        let differences = before.differences(&with_need);
        let values: Vec<_> = differences.iter().map(|it| (it.before.as_deref(), it.after.as_deref())).collect();
        assert_eq!(values, [(Some("none"), Some("beneficial_reason"))]);
    }

    #[test]
    fn a_key_that_only_one_has_is_a_difference() {
        let before = terms(str::to_owned);
        let after = terms(|text| text.replacen("credit = \"£10,000\"\n", "", 1));
        let gone = &before.differences(&after)[0];
        assert_eq!(
            (gone.key.as_str(), gone.before.as_deref(), gone.after.as_deref()),
            ("recipients.standalone.caps.credit", Some("£10,000"), None)
        );
        let added = &after.differences(&before)[0];
        assert_eq!((added.before.as_deref(), added.after.as_deref()), (None, Some("£10,000")));
    }
}
