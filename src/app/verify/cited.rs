//! Loads the data that a page of events cites from outside the page: rows of files, payments on invoices by all programmes,
//! and events of earlier pages. The data is loaded page by page, so that memory stays bounded.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::register;
use crate::app::Result;
use crate::app::eligibility::GENERATIONS;
use crate::domain::Date;
use crate::domain::award::claim::{ClaimKey, ClaimPayments};
use crate::domain::award::{Reference, Support};
use crate::domain::event::{Event, EventBody, Seq};
use crate::domain::events_about;
use crate::domain::ids::{ImportId, Programme, Uid, Urn};
use crate::domain::judgement::MonthRow;
use crate::domain::offer::Recipient;
use crate::domain::register_record::RegisterSeq;
use crate::domain::terms::{Terms, Test};
use crate::domain::time::Micros;
use crate::store::cited_rows::{CitedMember, Group, MembershipAt, Predecessor};
use crate::store::events::StoredEvent;
use crate::store::imports::{FileKind, Import};
use crate::store::{self, Readable, StoreError, cited_rows, claims, imports, ofsted};

/// Every import that ever landed.
pub(super) struct Imports {
    /// The stored imports, by id.
    pub(super) stored: HashMap<ImportId, Import>,
    /// The folded record of the register, from which it is known which imports counted after each of its events.
    register: Arc<register::RegisterFold>,
}

impl Imports {
    /// Loads every import that ever landed.
    pub(super) async fn load(from: &dyn Readable, register: Arc<register::RegisterFold>) -> Result<Self> {
        let stored = empty_if_unreadable(imports::ever_landed(from).await)?.into_iter().map(|it| (it.id, it)).collect();
        Ok(Self { stored, register })
    }

    /// When the register's record began.
    pub(super) fn register_began(&self) -> Micros {
        self.register.began_at()
    }

    /// Whether an import counted after this event of the register's record.
    pub(super) fn counted_at(&self, import: ImportId, at: RegisterSeq) -> bool {
        self.register.state.imports.get(&import).is_some_and(|it| it.counts_at(at))
    }

    /// The as-at date of an import.
    pub(super) fn as_at(&self, import: ImportId) -> Option<Date> {
        self.stored.get(&import).map(|it| it.as_at)
    }

    /// The imports of one kind.
    pub(super) fn of_kind(&self, kind: FileKind) -> impl Iterator<Item = &Import> {
        self.stored.values().filter(move |it| it.kind == kind)
    }
}

/// Replaces unreadable data by an empty result. The events that cite the data are then reported, because the data is missing.
fn empty_if_unreadable<T: Default>(result: store::Result<T>) -> Result<T> {
    match result {
        Err(StoreError::Unreadable(_)) => Ok(T::default()),
        result => Ok(result?),
    }
}

/// The data that some events cite.
#[derive(Debug, Default)]
pub(super) struct Cited {
    /// Rows about trusts in the files.
    pub(super) groups: HashMap<Uid, Vec<Group>>,
    /// The memberships of schools in trusts, by school.
    pub(super) trusts_of: HashMap<Urn, Vec<CitedMember>>,
    /// The memberships by trust, loaded if a rule needs all schools of a trust.
    pub(super) schools_of: HashMap<Uid, Vec<CitedMember>>,
    /// The rows of schools and their predecessors in the monthly files.
    pub(super) months: HashMap<Urn, Vec<MonthRow>>,
    /// The predecessors in the files of links.
    pub(super) links: HashMap<Urn, Vec<Predecessor>>,
    /// Events that later ones undo, or whose text they erase.
    pub(super) events: HashMap<Seq, Event>,
    /// The payments on invoices, by all programmes.
    pub(super) payments: HashMap<ClaimKey, ClaimPayments>,
}

impl Cited {
    /// Adds the data that the next page cites.
    pub(super) fn add(&mut self, next: Self) {
        self.groups.extend(next.groups);
        self.trusts_of.extend(next.trusts_of);
        self.schools_of.extend(next.schools_of);
        self.months.extend(next.months);
        self.links.extend(next.links);
        self.events.extend(next.events);
        self.payments.extend(next.payments);
    }

    /// Loads the data that these events cite.
    pub(super) async fn load(
        from: &dyn Readable,
        (programme, terms): (&Programme, &Terms),
        imports: &Imports,
        events: &[StoredEvent],
    ) -> Result<Self> {
        let cited_ids =
            CitedIds::of_events(events.iter().filter_map(|it| it.recorded.as_ref().ok()).map(|it| &it.event));
        let mut cited = Self::default();
        let cited_ids = cited.load_events(from, programme, cited_ids).await?;
        cited.load_groups(from, &cited_ids).await?;
        cited.load_schools(from, terms, imports, &cited_ids).await?;
        Ok(cited)
    }

    /// Loads the events that the page undoes, and those whose texts it erases. Then loads the payments on the invoices that
    /// the page and the loaded events name. Returns the ids, to which the invoices of the loaded events are added.
    async fn load_events(
        &mut self,
        from: &dyn Readable,
        programme: &Programme,
        mut cited_ids: CitedIds,
    ) -> Result<CitedIds> {
        if !cited_ids.events.is_empty() {
            let mut requested: Vec<Seq> = cited_ids.events.iter().copied().collect();
            for _ in 0..2 {
                let loaded = empty_if_unreadable(cited_rows::of_numbers(from, programme, &requested).await)?;
                // A refund that is undone names the payment that it refunded, which is loaded in the second step.
                requested = loaded.iter().filter_map(|it| refunded_payment(&it.body)).collect();
                cited_ids.references.extend(loaded.iter().filter_map(|it| paid_invoice(&it.body)).cloned());
                self.events.extend(loaded.into_iter().map(|it| (it.seq, it)));
                requested.retain(|it| !self.events.contains_key(it));
            }
        }
        let references: Vec<Reference> = cited_ids.references.iter().cloned().collect();
        self.payments = empty_if_unreadable(claims::payments(from, &references).await)?;
        Ok(cited_ids)
    }

    /// Loads the rows about the cited trusts.
    async fn load_groups(&mut self, from: &dyn Readable, cited_ids: &CitedIds) -> Result<()> {
        if !cited_ids.trusts.is_empty() {
            let uids: Vec<Uid> = cited_ids.trusts.iter().copied().collect();
            self.groups = uids.iter().map(|uid| (*uid, Vec::new())).collect();
            for group in empty_if_unreadable(cited_rows::groups(from, &uids).await)? {
                self.groups.entry(group.uid).or_default().push(group);
            }
        }
        Ok(())
    }

    /// Loads the memberships of the cited schools, and the rows and links of the schools and their predecessors.
    async fn load_schools(
        &mut self,
        from: &dyn Readable,
        terms: &Terms,
        imports: &Imports,
        cited_ids: &CitedIds,
    ) -> Result<()> {
        if cited_ids.schools.is_empty() {
            return Ok(());
        }
        let mut urns: Vec<Urn> = cited_ids.schools.iter().copied().collect();
        for member in empty_if_unreadable(cited_rows::members(from, MembershipAt::Schools(&urns)).await)? {
            self.trusts_of.entry(member.urn).or_default().push(member);
        }
        if terms.rules().iter().any(|rule| matches!(rule.test, Test::TrustImprovement(_))) {
            let trusts: BTreeSet<Uid> = self.trusts_of.values().flatten().map(|it| it.uid).collect();
            let trusts: Vec<Uid> = trusts.into_iter().collect();
            for member in empty_if_unreadable(cited_rows::members(from, MembershipAt::Groups(&trusts)).await)? {
                self.schools_of.entry(member.uid).or_default().push(member);
                urns.push(member.urn);
            }
        }
        for _ in 0..GENERATIONS {
            urns.sort_unstable();
            urns.dedup();
            urns.retain(|it| !self.months.contains_key(it));
            if urns.is_empty() {
                break;
            }
            let mut older = self.load_months(from, imports, &urns).await?;
            for link in empty_if_unreadable(cited_rows::predecessors(from, &urns).await)? {
                self.links.entry(link.urn).or_default().push(link);
                older.push(link.predecessor);
            }
            urns = older;
        }
        Ok(())
    }

    /// Loads the rows of these schools in the monthly files. Returns the older URNs under which some of them were judged.
    async fn load_months(&mut self, from: &dyn Readable, imports: &Imports, urns: &[Urn]) -> Result<Vec<Urn>> {
        self.months.extend(urns.iter().map(|urn| (*urn, Vec::new())));
        // Only a lower URN counts as a predecessor.
        let mut older = Vec::new();
        for import in imports.of_kind(FileKind::Ofsted) {
            for row in empty_if_unreadable(ofsted::of_schools(from, import, urns).await)? {
                let judged = row.current.iter().chain(&row.previous).map(|it| it.urn_judged);
                older.extend(judged.filter(|judged| *judged < row.urn));
                self.months.entry(row.urn).or_default().push(row);
            }
        }
        Ok(older)
    }
}

/// The ids that some events name.
#[derive(Debug, Default)]
struct CitedIds {
    trusts: BTreeSet<Uid>,
    schools: BTreeSet<Urn>,
    events: BTreeSet<Seq>,
    references: BTreeSet<Reference>,
}

impl CitedIds {
    /// Collects the ids that these events name.
    fn of_events<'a>(events: impl Iterator<Item = &'a Event>) -> Self {
        let mut cited_ids = Self::default();
        for event in events {
            cited_ids.schools.extend(event.body.listed().iter().map(|it| it.urn));
            cited_ids.references.extend(paid_invoice(&event.body).cloned());
            match &event.body {
                EventBody::Identified { recipient: Recipient::Mat(uid), .. } => cited_ids.trusts.extend([*uid]),
                EventBody::Awarded { support: Support::Credit { partner }, .. } => cited_ids.trusts.extend([*partner]),
                EventBody::Placed { placement, .. } => cited_ids.trusts.extend(placement.trust().map(|(uid, _)| uid)),
                EventBody::Undone { undoes, invoice, .. } => {
                    cited_ids.events.extend([Some(*undoes), *invoice].into_iter().flatten());
                }
                EventBody::TextErased { event } => cited_ids.events.extend([*event]),
                EventBody::EntryDecided { .. }
                | EventBody::RulesAdopted { .. }
                | events_about!(offer, approval, fund, award, referral) => {}
            }
        }
        cited_ids
    }
}

/// The invoice that a draw pays; `None` for other events and for draws without an invoice.
const fn paid_invoice(body: &EventBody) -> Option<&Reference> {
    if let EventBody::Drawn { invoice, .. } = body { invoice.as_ref() } else { None }
}

/// The event of the payment that a refund pays back; `None` for other events and for refunds without an invoice.
const fn refunded_payment(body: &EventBody) -> Option<Seq> {
    if let EventBody::Refunded { invoice, .. } = body { *invoice } else { None }
}
