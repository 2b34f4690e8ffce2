//! Lists what needs attention in a programme, from the terms and from dates on record. Nothing is stored.
//!
//! | part | kinds |
//! |---|---|
//! | [`stages`] | offers, awards and bookings that have been in a stage for longer than the terms allow |
//! | [`waiting`] | referrals and approvals that wait for a person, funds with little left |
//! | [`schools`] | schools about which the newest files say something that a person has to deal with |

mod key;
mod schools;
mod stages;
mod waiting;

use std::collections::BTreeSet;

use crate::app::clock::start_of_day;
use crate::app::{App, Result, authorise};
use crate::domain::Date;
use crate::domain::due::{DueKind, DueStage};
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, Actor, ApprovalId, AwardId, LaCode, OfferId, Programme, ReferralId, Uid, Urn};
use crate::domain::placement::RecipientKind;
use crate::domain::region::Region;
use crate::domain::role::{Action, Caller, Reach};
use crate::domain::terms::Terms;
use crate::domain::time::{Micros, Now};
use crate::store::due::{ListedSchool, OffersWithSchools, listed_schools};
use crate::store::offers::OfferSearch;
use crate::store::{ReadTx, register};
pub use key::DueKey;

/// Which items a list has: those that meet all conditions that are set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueQuery {
    /// The programme.
    pub programme: Programme,
    /// The day of the list.
    pub on: Date,
    /// In this region.
    pub region: Option<Region>,
    /// About a school of this local authority, or about an offer that lists one.
    pub local_authority: Option<LaCode>,
    /// Of this owner; `Some(None)` for items without an owner.
    pub owner: Option<Option<Actor>>,
    /// Of these kinds; empty for every kind.
    pub kinds: BTreeSet<DueKind>,
    /// Where the page begins; by default at the first item.
    pub after: Option<DueKey>,
    /// The most items to return.
    pub limit: u64,
}

/// Something that needs attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueItem {
    /// Its place in the list. Has its due date and its kind.
    pub key: DueKey,
    /// The rule that lists it.
    pub rule: String,
    /// The day since which it waits.
    pub since: Date,
    /// What it is about, in words.
    pub subject: String,
    /// The reason, in one sentence.
    pub reason: String,
    /// The offer.
    pub offer: Option<OfferId>,
    /// The region; `None` if it belongs to none.
    pub region: Option<Region>,
    /// Who has to deal with it, if somebody is named.
    pub owner: Option<Actor>,
    /// The local authority of the school.
    pub la: Option<LaCode>,
    /// The kind of recipient of the offer.
    pub recipient_kind: Option<RecipientKind>,
    /// The school, if it is about one.
    pub urn: Option<Urn>,
    /// The trust, if it is about one.
    pub trust: Option<Uid>,
    /// The award, of a claim.
    pub award: Option<AwardId>,
    /// The booking, of a booked day.
    pub booking: Option<Seq>,
    /// The strand of the fund or award.
    pub strand: Option<String>,
    /// The referral.
    pub referral: Option<ReferralId>,
    /// The approval.
    pub approval: Option<ApprovalId>,
    /// The fund.
    pub fund: Option<AccountId>,
}

impl DueItem {
    /// An item that is due on the day since which it waits, and of which nothing else is known.
    fn due_at_once(kind: DueKind, since: Date, id: impl ToString, rule: impl Into<String>) -> Self {
        Self {
            key: DueKey { due: since, kind, number: 0, id: id.to_string() },
            rule: rule.into(),
            since,
            subject: String::new(),
            reason: String::new(),
            offer: None,
            recipient_kind: None,
            region: None,
            owner: None,
            la: None,
            urn: None,
            trust: None,
            award: None,
            booking: None,
            strand: None,
            referral: None,
            approval: None,
            fund: None,
        }
    }

    /// The end of the day on which it falls due, in London.
    #[must_use]
    pub fn due_time(&self) -> Micros {
        start_of_day(self.key.due.succ_opt().unwrap_or(self.key.due))
    }
}

/// What the parts of a list are made from.
struct Search<'a> {
    snapshot: &'a ReadTx,
    terms: &'a Terms,
    caller: &'a Caller,
    reach: &'a Reach,
    now: Now,
    query: &'a DueQuery,
    /// The schools of all open offers of the programme, also of those that the caller may not see, if an item of the query needs
    /// them. Otherwise a school would count as one without an offer.
    listed: Vec<ListedSchool>,
}

impl Search<'_> {
    fn includes(&self, kind: DueKind) -> bool {
        self.query.kinds.is_empty() || self.query.kinds.contains(&kind)
    }

    /// Whether an item meets the conditions on region, local authority and owner.
    fn meets(&self, item: &DueItem) -> bool {
        self.query.region.is_none_or(|region| item.region == Some(region))
            && self.query.local_authority.is_none_or(|la| item.la == Some(la))
            && self.query.owner.as_ref().is_none_or(|owner| item.owner == *owner)
    }

    /// The searched offers, except for the condition on the local authority.
    fn offers(&self) -> OfferSearch<'_> {
        let assignee = self.query.owner.as_ref().map(|owner| owner.as_ref().map(Actor::as_str));
        let (programme, region) = (&self.query.programme, self.query.region);
        OfferSearch { programme, reach: self.reach, state: None, region, assignee, schools: None }
    }
}

impl App {
    /// A page of what needs attention in a programme, within the caller's reach: what fell due first comes first.
    ///
    /// # Errors
    /// [`crate::app::AppError::NotFound`] for an unknown programme; [`crate::app::AppError::Denied`].
    pub async fn list_due(&self, caller: &Caller, now: Now, query: &DueQuery) -> Result<Vec<DueItem>> {
        authorise(caller, Action::Read)?;
        let loaded = self.terms(&query.programme).await?;
        let (snapshot, reach) = (self.snapshot().await?, caller.reach(Action::Read));
        let terms = &loaded.terms;
        let mut search = Search { snapshot: &snapshot, terms, caller, reach: &reach, now, query, listed: Vec::new() };
        let needs_schools = schools::KINDS.iter().any(|kind| search.includes(*kind));
        if needs_schools || query.local_authority.is_some() {
            let everywhere = Reach::everything();
            let all = OfferSearch { reach: &everywhere, region: None, assignee: None, ..search.offers() };
            let listed = listed_schools(&snapshot, &all, OffersWithSchools::Open).await?;
            search.listed = listed;
        }
        let mut items = search.stages().await?;
        let referrals = search.open_referrals().await?;
        let findings = search.findings(&referrals).await?;
        items.extend(search.referrals(&referrals, &findings.confirmed));
        items.extend(search.approvals().await?);
        items.extend(search.low_funds().await?);
        items.extend(search.schools(findings));
        items.retain(|it| it.since <= query.on && query.after.as_ref().is_none_or(|after| it.key > *after));
        items.sort_by(|one, other| one.key.cmp(&other.key));
        items.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
        add_local_authorities(&snapshot, &mut items).await?;
        Ok(items)
    }
}

/// Sets the local authority of the items about a school that have none yet.
async fn add_local_authorities(snapshot: &ReadTx, items: &mut [DueItem]) -> Result<()> {
    let urns: Vec<Urn> = items.iter().filter(|it| it.la.is_none()).filter_map(|it| it.urn).collect();
    let schools = register::schools(snapshot, &urns).await?;
    for item in items.iter_mut().filter(|it| it.la.is_none()) {
        item.la = item.urn.and_then(|urn| schools.get(&urn)?.la);
    }
    Ok(())
}

/// The stages whose items the query includes.
fn stages_of(search: &Search<'_>) -> impl Iterator<Item = DueStage> {
    DueStage::ALL.into_iter().filter(|it| search.includes(it.kind()))
}
