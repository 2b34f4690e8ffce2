//! Checks parts of a terms file against each other: names, dates, duplicates.
//!
//! The values have been read before. A name counts as defined even if its definition has a mistake, so that each
//! mistake is reported once.

use std::collections::BTreeSet;

use super::draft::{Dates, RecipientDraft, RuleDraft, StrandDraft, cap, recipient};
use super::read::{Located, MistakeReport};
use super::{AwardCondition, Cap, DateRange, RecipientTerms, StrandId, Test, plain};
use crate::ids::Programme;
use crate::placement::{PlacementKind, RecipientKind};

/// Checks the order of the dates, and that rules and grounds are in effect only within the year.
pub(super) fn dates(dates: &Dates, rules: &[RuleDraft], report: &mut MistakeReport<'_>) {
    if let (Some(window), Some(claims)) = (&dates.award_window, &dates.claims_until)
        && claims.value < window.value.to
    {
        let reason = format!("claims_until {} is before the award window ends {}", claims.value, window.value.to);
        report.add(claims.line, reason);
    }
    let Some(year) = &dates.year else { return };
    if let Some(contacts) = dates.contact_until.as_ref().filter(|it| it.value < year.value.from) {
        let reason = format!("contact_until {} is before the year begins {}", contacts.value, year.value.from);
        report.add(contacts.line, reason);
    }
    if let Some(programme) = &dates.programme {
        check_programme_name(programme, year, report);
    }
    if let Some(window) = &dates.award_window
        && window.value.to < year.value.from
    {
        report.add(window.line, format!("the award window ends before the year begins {}", year.value.from));
    }
    for draft in rules {
        let Some(rule) = &draft.rule else { continue };
        check_within(&format!("rule {}", draft.id), rule.in_effect, year.value, draft.line, report);
        if let Test::Exceptional { grounds } = &rule.test {
            for ground in grounds {
                let name = format!("ground {} of rule {}", ground.id, draft.id);
                check_within(&name, ground.in_effect, rule.in_effect, draft.line, report);
            }
        }
    }
}

/// Checks that the programme is named after the year in which it begins: `2021-22` begins in 2021.
fn check_programme_name(programme: &Located<Programme>, year: &Located<DateRange>, report: &mut MistakeReport<'_>) {
    let begins = year.value.from.format("%Y").to_string();
    if !programme.value.as_str().starts_with(&begins) {
        report.add(year.line, format!("the year begins in {begins}, but the programme is {}", programme.value));
    }
}

/// Checks that the period `inner` is in the period `outer`.
fn check_within(name: &str, inner: DateRange, outer: DateRange, line: usize, report: &mut MistakeReport<'_>) {
    if !outer.covers(&inner) {
        report.add(line, format!("{name} is in effect {inner}, outside {outer}"));
    }
}

/// Checks that no provider is named twice, and that there is at least one provider if a strand needs one.
pub(super) fn providers(providers: &[Located<String>], strands: &[StrandDraft], report: &mut MistakeReport<'_>) {
    let mut seen = BTreeSet::new();
    for provider in providers {
        if !seen.insert(plain(&provider.value)) {
            report.add(provider.line, format!("provider {:?} is named twice", provider.value));
        }
    }
    if !providers.is_empty() {
        return;
    }
    for draft in strands {
        if draft.strand.as_ref().is_some_and(|s| s.needs.contains(&AwardCondition::AccreditedProvider)) {
            let reason = format!("strand {} needs an accredited provider, but none is named", draft.id);
            report.add(draft.line, reason);
        }
    }
}

/// Checks the other names of providers. Returns each with its provider, in the spelling of
/// `accredited_providers.names`. Another name must not be in that list, and its provider must be in it.
pub(super) fn other_provider_names(
    also: Vec<(String, Located<String>)>,
    providers: &[Located<String>],
    report: &mut MistakeReport<'_>,
) -> Vec<(String, String)> {
    let mut seen: BTreeSet<String> = providers.iter().map(|provider| plain(&provider.value)).collect();
    let mut other_names = Vec::new();
    for (name, provider_text) in also {
        if plain(&name).is_empty() {
            report.add(provider_text.line, "accredited_providers.also: a name must be a text, not empty");
        } else if !seen.insert(plain(&name)) {
            report.add(provider_text.line, format!("provider {name:?} is named twice"));
        }
        let provider_name = plain(&provider_text.value);
        match providers.iter().find(|provider| plain(&provider.value) == provider_name) {
            Some(provider) => other_names.push((name, provider.value.clone())),
            None => report.add(
                provider_text.line,
                format!("accredited_providers.also: {:?} is none of the names", provider_text.value),
            ),
        }
    }
    other_names
}

/// Checks that each rule makes at least one kind of recipient eligible.
pub(super) fn rules_used(rules: &[RuleDraft], recipients: &[RecipientDraft], report: &mut MistakeReport<'_>) {
    for draft in rules {
        if !recipients.iter().flat_map(|r| &r.rules).any(|used| used.value == draft.id.as_str()) {
            report.add(draft.line, format!("rule {} makes no recipient eligible", draft.id));
        }
    }
}

/// Checks the placements, rules and caps of each kind of recipient. Returns the terms of each kind.
pub(super) fn recipients(
    drafts: Vec<RecipientDraft>,
    rules: &[RuleDraft],
    strands: &[StrandDraft],
    report: &mut MistakeReport<'_>,
) -> Vec<RecipientTerms> {
    let mut seen = BTreeSet::new();
    let mut recipients = Vec::new();
    for draft in drafts {
        for who in &draft.who {
            check_placement(draft.kind, who, seen.insert(who.value), report);
        }
        check_rule_names(&draft, rules, report);
        let caps = caps(&draft, strands, report);
        recipients.push(recipient(draft, caps));
    }
    recipients
}

/// Checks a placement of a kind of recipient. `is_new` is false if the placement was listed before.
fn check_placement(kind: RecipientKind, who: &Located<PlacementKind>, is_new: bool, report: &mut MistakeReport<'_>) {
    if !is_new {
        report.add(who.line, format!("recipients.{}: {} is listed twice", kind.as_str(), who.value.as_str()));
    } else if who.value.recipient_kind() != kind {
        let reason =
            format!("recipients.{}: an offer cannot be made to {} this way", kind.as_str(), who.value.as_str());
        report.add(who.line, reason);
    }
}

/// Checks that the rules of a recipient are defined, named once, and fit its kind.
fn check_rule_names(draft: &RecipientDraft, rules: &[RuleDraft], report: &mut MistakeReport<'_>) {
    let kind = draft.kind.as_str();
    let mut seen = BTreeSet::new();
    for name in &draft.rules {
        let defined = rules.iter().find(|rule| rule.id.as_str() == name.value);
        let is_trust_rule =
            defined.and_then(|it| it.rule.as_ref()).is_some_and(|it| matches!(it.test, Test::TrustImprovement(_)));
        if defined.is_none() {
            report.add(name.line, format!("recipients.{kind}: rule {} is not defined", name.value));
        } else if !seen.insert(&name.value) {
            report.add(name.line, format!("recipients.{kind}: rule {} is listed twice", name.value));
        } else if is_trust_rule && draft.kind == RecipientKind::Standalone {
            report.add(name.line, format!("recipients.{kind}: rule {} is one for trusts only", name.value));
        }
    }
}

/// Reads the caps of a recipient. A cap with a mistake is reported and left out.
fn caps(draft: &RecipientDraft, strands: &[StrandDraft], report: &mut MistakeReport<'_>) -> Vec<(StrandId, Cap)> {
    let mut caps = Vec::new();
    for (name, text) in &draft.caps {
        let path = format!("recipients.{}.caps", draft.kind.as_str());
        let Some(defined) = strands.iter().find(|strand| strand.id.as_str() == name) else {
            report.add(text.line, format!("{path}: strand {name} is not defined"));
            continue;
        };
        let Some(strand) = &defined.strand else { continue };
        match cap(&text.value, strand) {
            Ok(cap) => caps.push((defined.id.clone(), cap)),
            Err(reason) => report.add(text.line, format!("{path}: strand {name} {reason}")),
        }
    }
    caps
}
