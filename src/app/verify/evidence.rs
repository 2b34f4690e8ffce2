//! Checks events against the files that counted when they were decided: the rules that made schools eligible, and the trusts that
//! the events name.
//!
//! An event cites an event of the register's record; the imports that counted after the cited event are used. An event from
//! before that record began cites no event; then the imports that counted at its recorded time are used. Which imports
//! those were is not always certain, because the clocks of servers differ and withdrawals had no time. Then the event is
//! accepted if some possible history of the imports allows it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::cited::{Cited, Imports};
use crate::app::clock::APART;
use crate::app::register::facts::is_open;
use crate::domain::eligibility::assess_decided;
use crate::domain::eligibility::trusts::{Membership, assess_trusts};
use crate::domain::event::{Event, EventBody};
use crate::domain::ids::{ImportId, Uid, Urn};
use crate::domain::judgement::MonthRow;
use crate::domain::offer::{ListedSchool, Recipient};
use crate::domain::programme::{ProgrammeState, TrustAnswer};
use crate::domain::register_record::RegisterSeq;
use crate::domain::school::TrustKind;
use crate::domain::terms::{RuleId, Test};
use crate::domain::time::Micros;
use crate::store::cited_rows::Group;
use crate::store::imports::{FileKind, Import, ImportState};

/// Whether an import counted at the time of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
    Perhaps,
}

/// The imports at the time when a request was decided.
pub(super) struct ImportsAtDecision<'a> {
    imports: &'a Imports,
    /// The event of the register's record that the request cites; `None` if it cites no event.
    cited: Option<RegisterSeq>,
    /// When the request was recorded.
    recorded: Micros,
}

impl<'a> ImportsAtDecision<'a> {
    /// The imports at the time when the request with these events was decided. `recorded` is the recorded time of the request.
    pub(super) fn of(imports: &'a Imports, request_events: &[Event], recorded: Micros) -> Self {
        Self { imports, cited: request_events.iter().find_map(|it| it.body.register_seq()), recorded }
    }

    /// Whether an import counted at the decision.
    fn counted(&self, import: ImportId) -> Counted {
        match self.cited {
            Some(at) if self.imports.counted_at(import, at) => Counted::Yes,
            Some(_) => Counted::No,
            None => self.counted_by_time(import),
        }
    }

    /// Whether an import counted at the decision, judged by the recorded times.
    fn counted_by_time(&self, import: ImportId) -> Counted {
        let Some(it) = self.imports.stored.get(&import) else { return Counted::No };
        match (self.is_after(it), it.state) {
            (Counted::No, _) => Counted::No,
            (landed, ImportState::Landed) => landed,
            (_, ImportState::Withdrawn) => Counted::Perhaps,
            (landed, _) => match it.replaced_by.and_then(|id| self.imports.stored.get(&id)).map(|by| self.is_after(by))
            {
                Some(Counted::Yes) => Counted::No,
                Some(Counted::No) => landed,
                Some(Counted::Perhaps) | None => Counted::Perhaps,
            },
        }
    }

    /// Whether the decision was made after an import landed. Each server's clock may differ from the database's by
    /// [`APART`], so the clocks of two servers may differ by twice that.
    fn is_after(&self, import: &Import) -> Counted {
        let max_difference = i64::try_from(APART.as_micros()).unwrap_or(i64::MAX).saturating_mul(2);
        let since = self.recorded.0.saturating_sub(import.imported_at.0);
        match since {
            _ if since > max_difference => Counted::Yes,
            _ if since < max_difference.saturating_neg() => Counted::No,
            _ => Counted::Perhaps,
        }
    }

    /// Whether a condition holds for the rows of some possible history of the imports. Tries three kinds of history: with all
    /// imports that may have counted; with only the imports that certainly counted; and with these and one uncertain import.
    fn is_allowed_by_some_history<T: Clone>(
        &self,
        all: &[T],
        import: impl Fn(&T) -> ImportId,
        allows: impl Fn(&[T]) -> bool,
    ) -> bool {
        let counted: Vec<(Counted, &T)> = all.iter().map(|it| (self.counted(import(it)), it)).collect();
        let select = |selects: &dyn Fn(Counted, &T) -> bool| -> Vec<T> {
            let selected = counted.iter().filter(|(counted, it)| selects(*counted, it));
            selected.map(|(_, it)| (*it).clone()).collect()
        };
        if allows(&select(&|counted, _| counted != Counted::No)) {
            return true;
        }
        let uncertain = counted.iter().filter(|(counted, _)| *counted == Counted::Perhaps);
        let uncertain: BTreeSet<ImportId> = uncertain.map(|(_, it)| import(it)).collect();
        if uncertain.is_empty() {
            return false;
        }
        allows(&select(&|counted, _| counted == Counted::Yes))
            || uncertain.iter().any(|one| allows(&select(&|counted, it| counted == Counted::Yes || import(it) == *one)))
    }
}

impl Cited {
    /// What the register said of a trust at the time of a decision; `None` if no file names the trust. If several histories
    /// are possible, prefers a history in which the trust is open.
    pub(super) fn trust(&self, uid: Uid, at_decision: &ImportsAtDecision<'_>) -> Option<TrustAnswer> {
        let groups = self.groups.get(&uid)?;
        let answer = |open: bool, kind: TrustKind| TrustAnswer { kind, open };
        let is_possible = |expected: TrustAnswer| {
            at_decision.is_allowed_by_some_history(
                groups,
                |it| it.import,
                |groups| newest(groups, at_decision.imports) == Some(expected),
            )
        };
        let kinds = [TrustKind::Mat, TrustKind::Sat];
        let all = [true, false].into_iter().flat_map(|open| kinds.map(|kind| answer(open, kind)));
        all.into_iter().find(|it| is_possible(*it))
    }

    /// Describes what is wrong with the schools that an event adds to an offer. `None` if nothing is wrong.
    pub(super) fn wrong_schools(
        &self,
        (event, recipient): (&Event, Recipient),
        state: &ProgrammeState,
        granted: &BTreeSet<Urn>,
        at_decision: &ImportsAtDecision<'_>,
    ) -> Option<String> {
        let schools = event.body.listed();
        match recipient {
            Recipient::Standalone(urn) if schools.iter().any(|it| it.urn != urn) => {
                return Some(format!("an offer to school {urn} lists another school"));
            }
            Recipient::Mat(uid)
                if matches!(event.body, EventBody::Identified { .. }) && self.trust(uid, at_decision).is_none() =>
            {
                return Some(format!("trust {uid} is not in the register"));
            }
            Recipient::Mat(_) | Recipient::Standalone(_) => {}
        }
        schools.iter().find_map(|school| {
            let in_trust = match recipient {
                Recipient::Mat(uid) if !self.is_in(school.urn, uid, state, at_decision) => {
                    Some(format!("school {} is in trust {uid} by no register, nor placed there", school.urn))
                }
                Recipient::Mat(_) | Recipient::Standalone(_) => None,
            };
            in_trust.or_else(|| self.wrong_school((school, recipient), state, granted, at_decision))
        })
    }

    /// Whether a school may have been in a trust at the decision, by the register or by a placement.
    fn is_in(&self, urn: Urn, uid: Uid, state: &ProgrammeState, at_decision: &ImportsAtDecision<'_>) -> bool {
        let placed = state.placements.get(&urn).and_then(|it| it.trust()).is_some_and(|(trust, _)| trust == uid);
        let members = self.trusts_of.get(&urn).map(Vec::as_slice).unwrap_or_default();
        placed || members.iter().any(|it| it.uid == uid && at_decision.counted(it.import) != Counted::No)
    }

    /// Describes what is wrong with the rules by which a school is listed on an offer. `None` if nothing is wrong.
    fn wrong_school(
        &self,
        (school, recipient): (&ListedSchool, Recipient),
        state: &ProgrammeState,
        granted: &BTreeSet<Urn>,
        at_decision: &ImportsAtDecision<'_>,
    ) -> Option<String> {
        let terms = &state.programme.scheme;
        let urn = school.urn;
        if school.rules.is_empty() {
            return Some(format!("school {urn} is listed without a rule that makes it eligible"));
        }
        let lineage = self.lineage(urn);
        school.rules.iter().find_map(|name| {
            let id = RuleId::new(name);
            let Some(rule) = terms.rule(&id) else { return Some(format!("the terms have no rule {name}")) };
            if !terms.applies(&id, recipient.row()) {
                return Some(format!("rule {name} makes no {} offer", recipient.kind()));
            }
            let is_met = match &rule.test {
                Test::Exceptional { .. } => lineage.iter().any(|it| granted.contains(it)),
                Test::JudgedInYear { .. } | Test::TwiceOnEntry { .. } => {
                    self.is_met(urn, &lineage, &id, state, at_decision)
                }
                Test::TrustImprovement(_) => self.is_improving(urn, recipient, &id, state, at_decision),
            };
            (!is_met).then(|| format!("school {urn} is listed by rule {name}, which no row of the files meets"))
        })
    }

    /// A school and all its predecessors, by the monthly files and by the files of links.
    fn lineage(&self, urn: Urn) -> BTreeSet<Urn> {
        let mut lineage = BTreeSet::from([urn]);
        let mut next = vec![urn];
        while let Some(urn) = next.pop() {
            let rows = self.months.get(&urn).into_iter().flatten();
            let judged = rows.flat_map(|it| it.current.iter().chain(&it.previous)).map(|it| it.urn_judged);
            let linked = self.links.get(&urn).into_iter().flatten().map(|it| it.predecessor);
            // Only a lower URN counts as a predecessor.
            next.extend(judged.chain(linked).filter(|it| *it < urn && lineage.insert(*it)).collect::<Vec<_>>());
        }
        lineage
    }

    /// Whether some possible history of the files meets a school-level rule for a school.
    fn is_met(
        &self,
        urn: Urn,
        lineage: &BTreeSet<Urn>,
        rule: &RuleId,
        state: &ProgrammeState,
        at_decision: &ImportsAtDecision<'_>,
    ) -> bool {
        let rows: Vec<&MonthRow> = lineage.iter().filter_map(|it| self.months.get(it)).flatten().collect();
        let decided = lineage.iter().filter_map(|it| state.entry_decisions.get(it));
        let decided: BTreeMap<Urn, bool> = decided.map(|it| (it.urn, it.met)).collect();
        let is_met = |links: &HashMap<Urn, Vec<Urn>>| {
            at_decision.is_allowed_by_some_history(
                &rows,
                |it| it.import,
                |rows| {
                    let assessed = assess_decided(&state.programme.scheme, rows.iter().copied(), links, &decided);
                    assessed.school(urn).is_some_and(|it| it.met().any(|(met, _)| met == rule))
                },
            )
        };
        let files: Vec<ImportId> = at_decision.imports.of_kind(FileKind::Links).map(|it| it.id).collect();
        at_decision.is_allowed_by_some_history(
            &files,
            |it| *it,
            |files| is_met(&self.links_by(files, lineage, at_decision.imports)),
        )
    }

    /// The predecessors of these schools in the newest of these files.
    fn links_by(&self, files: &[ImportId], lineage: &BTreeSet<Urn>, imports: &Imports) -> HashMap<Urn, Vec<Urn>> {
        let newest = files.iter().filter_map(|it| imports.as_at(*it)).max();
        let is_newest = |import: &ImportId| files.contains(import) && imports.as_at(*import) == newest;
        let mut predecessors: HashMap<Urn, Vec<Urn>> = HashMap::new();
        for link in lineage.iter().filter_map(|it| self.links.get(it)).flatten().filter(|it| is_newest(&it.import)) {
            let others = predecessors.entry(link.urn).or_default();
            if !others.contains(&link.predecessor) {
                others.push(link.predecessor);
            }
        }
        predecessors
    }

    /// Whether some possible history of the files meets the trust-level rule for a school of this recipient.
    fn is_improving(
        &self,
        urn: Urn,
        recipient: Recipient,
        rule: &RuleId,
        state: &ProgrammeState,
        at_decision: &ImportsAtDecision<'_>,
    ) -> bool {
        let Recipient::Mat(uid) = recipient else { return false };
        let members = self.schools_of.get(&uid).map(Vec::as_slice).unwrap_or_default();
        at_decision.is_allowed_by_some_history(
            members,
            |it| it.import,
            |members| {
                let newest = members.iter().filter_map(|it| at_decision.imports.as_at(it.import)).max();
                let current = members.iter().filter(|it| at_decision.imports.as_at(it.import) == newest);
                let current: Vec<Membership> =
                    current.map(|it| Membership { uid, urn: it.urn, joined: it.joined }).collect();
                let urns: BTreeSet<Urn> = current.iter().map(|it| it.urn).collect();
                let rows: Vec<&MonthRow> = urns.iter().filter_map(|it| self.months.get(it)).flatten().collect();
                at_decision.is_allowed_by_some_history(
                    &rows,
                    |it| it.import,
                    |rows| {
                        let assessed = assess_trusts(&state.programme.scheme, rows.iter().copied(), &current);
                        assessed.iter().any(|it| it.rule == *rule && it.listed.contains(&urn))
                    },
                )
            },
        )
    }
}

/// What the newest of these files says of a group, if the group is a trust.
fn newest(groups: &[Group], imports: &Imports) -> Option<TrustAnswer> {
    let order = |it: &&Group| (imports.as_at(it.import), it.of_groups, it.status.clone(), it.kind);
    let newest = groups.iter().max_by_key(order)?;
    TrustKind::from_gias(newest.kind).map(|kind| TrustAnswer { kind, open: is_open(&newest.status) })
}
