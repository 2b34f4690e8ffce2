//! Whether what an event cites of the files is what they said: the rules that made schools eligible, against the rows; the
//! trusts that it names.
//!
//! Asked of the imports that counted at the event of the register's record that it cites. One from before there was that
//! record cites none, and is asked of those that counted when it was recorded. Of some that is not known to the moment, since
//! servers' clocks differ, and a withdrawal was not dated: then it is enough that some history of these allows the event.

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

/// Whether an import counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Yes,
    No,
    Perhaps,
}

/// The imports as they were when a call was decided.
pub(super) struct Then<'a> {
    imports: &'a Imports,
    /// The event of the register's record that the call cites.
    cited: Option<RegisterSeq>,
    recorded: Micros,
}

impl<'a> Then<'a> {
    /// When this call was decided, which was recorded at that moment.
    pub(super) fn of(imports: &'a Imports, call: &[Event], recorded: Micros) -> Self {
        Self { imports, cited: call.iter().find_map(|it| it.body.register_seq()), recorded }
    }

    fn counted(&self, import: ImportId) -> Counted {
        match self.cited {
            Some(at) if self.imports.counted_at(import, at) => Counted::Yes,
            Some(_) => Counted::No,
            None => self.counted_by_time(import),
        }
    }

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

    /// Whether the moment lies after an import landed: two servers' clocks may be twice as far from each other as from the
    /// database's.
    fn is_after(&self, import: &Import) -> Counted {
        let apart = i64::try_from(APART.as_micros()).unwrap_or(i64::MAX).saturating_mul(2);
        let since = self.recorded.0.saturating_sub(import.imported_at.0);
        match since {
            _ if since > apart => Counted::Yes,
            _ if since < apart.saturating_neg() => Counted::No,
            _ => Counted::Perhaps,
        }
    }

    /// Whether something holds of what some history of the imports says: all that may have counted, what did for certain,
    /// and that with each of the others.
    fn some_history<T: Clone>(&self, all: &[T], import: impl Fn(&T) -> ImportId, holds: impl Fn(&[T]) -> bool) -> bool {
        let counted: Vec<(Counted, &T)> = all.iter().map(|it| (self.counted(import(it)), it)).collect();
        let those = |requested: &dyn Fn(Counted, &T) -> bool| -> Vec<T> {
            let kept = counted.iter().filter(|(counted, it)| requested(*counted, it));
            kept.map(|(_, it)| (*it).clone()).collect()
        };
        if holds(&those(&|counted, _| counted != Counted::No)) {
            return true;
        }
        let open = counted.iter().filter(|(counted, _)| *counted == Counted::Perhaps);
        let open: BTreeSet<ImportId> = open.map(|(_, it)| import(it)).collect();
        if open.is_empty() {
            return false;
        }
        holds(&those(&|counted, _| counted == Counted::Yes))
            || open.iter().any(|one| holds(&those(&|counted, it| counted == Counted::Yes || import(it) == *one)))
    }
}

impl Cited {
    /// What the register said of a trust at a moment; of several histories the one in which it is an open trust.
    pub(super) fn trust(&self, uid: Uid, then: &Then<'_>) -> Option<TrustAnswer> {
        let groups = self.groups.get(&uid)?;
        let answer = |open: bool, kind: TrustKind| TrustAnswer { kind, open };
        let is = |requested: TrustAnswer| {
            then.some_history(groups, |it| it.import, |groups| newest(groups, then.imports) == Some(requested))
        };
        let kinds = [TrustKind::Mat, TrustKind::Sat];
        let all = [true, false].into_iter().flat_map(|open| kinds.map(|kind| answer(open, kind)));
        all.into_iter().find(|it| is(*it))
    }

    /// What is wrong with what an event says of the schools that it puts on an offer.
    pub(super) fn wrong_schools(
        &self,
        (event, recipient): (&Event, Recipient),
        facts: &ProgrammeState,
        granted: &BTreeSet<Urn>,
        then: &Then<'_>,
    ) -> Option<String> {
        let schools = event.body.listed();
        match recipient {
            Recipient::Standalone(urn) if schools.iter().any(|it| it.urn != urn) => {
                return Some(format!("an offer to school {urn} lists another school"));
            }
            Recipient::Mat(uid)
                if matches!(event.body, EventBody::Identified { .. }) && self.trust(uid, then).is_none() =>
            {
                return Some(format!("trust {uid} is not in the register"));
            }
            Recipient::Mat(_) | Recipient::Standalone(_) => {}
        }
        schools.iter().find_map(|school| {
            let in_trust = match recipient {
                Recipient::Mat(uid) if !self.is_in(school.urn, uid, facts, then) => {
                    Some(format!("school {} is in trust {uid} by no register, nor placed there", school.urn))
                }
                Recipient::Mat(_) | Recipient::Standalone(_) => None,
            };
            in_trust.or_else(|| self.wrong_school((school, recipient), facts, granted, then))
        })
    }

    fn is_in(&self, urn: Urn, uid: Uid, facts: &ProgrammeState, then: &Then<'_>) -> bool {
        let placed = facts.placements.get(&urn).and_then(|it| it.trust()).is_some_and(|(trust, _)| trust == uid);
        let members = self.trusts_of.get(&urn).map(Vec::as_slice).unwrap_or_default();
        placed || members.iter().any(|it| it.uid == uid && then.counted(it.import) != Counted::No)
    }

    fn wrong_school(
        &self,
        (school, recipient): (&ListedSchool, Recipient),
        facts: &ProgrammeState,
        granted: &BTreeSet<Urn>,
        then: &Then<'_>,
    ) -> Option<String> {
        let terms = &facts.programme.scheme;
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
                Test::JudgedInYear { .. } | Test::TwiceOnEntry { .. } => self.is_met(urn, &lineage, &id, facts, then),
                Test::TrustImprovement(_) => self.is_improving(urn, recipient, &id, facts, then),
            };
            (!is_met).then(|| format!("school {urn} is listed by rule {name}, which no row of the files meets"))
        })
    }

    /// A school and those that it follows, by what the files and the links say.
    fn lineage(&self, urn: Urn) -> BTreeSet<Urn> {
        let mut lineage = BTreeSet::from([urn]);
        let mut next = vec![urn];
        while let Some(urn) = next.pop() {
            let rows = self.months.get(&urn).into_iter().flatten();
            let judged = rows.flat_map(|it| it.current.iter().chain(&it.previous)).map(|it| it.urn_judged);
            let linked = self.links.get(&urn).into_iter().flatten().map(|it| it.predecessor);
            next.extend(judged.chain(linked).filter(|it| *it < urn && lineage.insert(*it)).collect::<Vec<_>>());
        }
        lineage
    }

    fn is_met(
        &self,
        urn: Urn,
        lineage: &BTreeSet<Urn>,
        rule: &RuleId,
        facts: &ProgrammeState,
        then: &Then<'_>,
    ) -> bool {
        let rows: Vec<&MonthRow> = lineage.iter().filter_map(|it| self.months.get(it)).flatten().collect();
        let decided = lineage.iter().filter_map(|it| facts.entry_decisions.get(it));
        let decided: BTreeMap<Urn, bool> = decided.map(|it| (it.urn, it.met)).collect();
        let is_met = |links: &HashMap<Urn, Vec<Urn>>| {
            then.some_history(
                &rows,
                |it| it.import,
                |rows| {
                    let assessed = assess_decided(&facts.programme.scheme, rows.iter().copied(), links, &decided);
                    assessed.school(urn).is_some_and(|it| it.met().any(|(met, _)| met == rule))
                },
            )
        };
        let files: Vec<ImportId> = then.imports.of_kind(FileKind::Links).map(|it| it.id).collect();
        then.some_history(&files, |it| *it, |files| is_met(&self.links_by(files, lineage, then.imports)))
    }

    /// The predecessors of these schools by the newest of these files.
    fn links_by(&self, files: &[ImportId], lineage: &BTreeSet<Urn>, imports: &Imports) -> HashMap<Urn, Vec<Urn>> {
        let newest = files.iter().filter_map(|it| imports.as_at(*it)).max();
        let is_newest = |import: &ImportId| files.contains(import) && imports.as_at(*import) == newest;
        let mut found: HashMap<Urn, Vec<Urn>> = HashMap::new();
        for link in lineage.iter().filter_map(|it| self.links.get(it)).flatten().filter(|it| is_newest(&it.import)) {
            let others = found.entry(link.urn).or_default();
            if !others.contains(&link.predecessor) {
                others.push(link.predecessor);
            }
        }
        found
    }

    fn is_improving(
        &self,
        urn: Urn,
        recipient: Recipient,
        rule: &RuleId,
        facts: &ProgrammeState,
        then: &Then<'_>,
    ) -> bool {
        let Recipient::Mat(uid) = recipient else { return false };
        let members = self.schools_of.get(&uid).map(Vec::as_slice).unwrap_or_default();
        then.some_history(
            members,
            |it| it.import,
            |members| {
                let newest = members.iter().filter_map(|it| then.imports.as_at(it.import)).max();
                let current = members.iter().filter(|it| then.imports.as_at(it.import) == newest);
                let current: Vec<Membership> =
                    current.map(|it| Membership { uid, urn: it.urn, joined: it.joined }).collect();
                let urns: BTreeSet<Urn> = current.iter().map(|it| it.urn).collect();
                let rows: Vec<&MonthRow> = urns.iter().filter_map(|it| self.months.get(it)).flatten().collect();
                then.some_history(
                    &rows,
                    |it| it.import,
                    |rows| {
                        let assessed = assess_trusts(&facts.programme.scheme, rows.iter().copied(), &current);
                        assessed.iter().any(|it| it.rule == *rule && it.listed.contains(&urn))
                    },
                )
            },
        )
    }
}

/// What the newest of these files says of a group, if that is a trust.
fn newest(groups: &[Group], imports: &Imports) -> Option<TrustAnswer> {
    let order = |it: &&Group| (imports.as_at(it.import), it.of_groups, it.status.clone(), it.kind);
    let newest = groups.iter().max_by_key(order)?;
    TrustKind::from_gias(newest.kind).map(|kind| TrustAnswer { kind, open: is_open(&newest.status) })
}
