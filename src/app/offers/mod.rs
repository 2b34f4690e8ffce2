//! Reads of offers, and the lookup of their programme.

mod reader;

use std::collections::{BTreeSet, HashMap};

use super::retry::with_retry;
use super::{App, AppError, Result, authorise, eligibility};
use crate::domain::Date;
use crate::domain::award::Award;
use crate::domain::event::Seq;
use crate::domain::ids::{OfferId, Programme, Urn};
use crate::domain::ledger::Account;
use crate::domain::offer::Offer;
use crate::domain::refusal::EntityKind;
use crate::domain::role::{Action, Caller, Reach};
use crate::domain::terms::Terms;
use crate::store::db::condition::Condition;
use crate::store::db::page::Page;
use crate::store::events::{EventField, Recorded, Text};
use crate::store::offers::OfferPageQuery;
use crate::store::{self, events, offers, programmes};
pub(super) use reader::OfferReader;

/// An offer with what was awarded under it.
#[derive(Debug, Clone)]
pub struct OfferInFull {
    /// The offer.
    pub offer: Offer,
    /// Its awards, in the order they were made.
    pub awards: Vec<Award>,
    /// Its caps, in the order of the terms, including unused ones.
    pub caps: Vec<Account>,
}

/// Offers from one snapshot.
#[derive(Debug, Clone)]
pub struct OffersSnapshot {
    /// The offers, in the requested order.
    pub offers: Vec<OfferInFull>,
    /// The newest event of their programme in the snapshot; `None` if they belong to several programmes.
    pub at: Option<Seq>,
}

impl App {
    /// The programme of these offers. All must belong to one, as a command goes to one programme. The command itself checks the
    /// caller's reach later; here it is checked only for offers that an error names.
    ///
    /// # Errors
    /// [`AppError::NotFound`] naming the offers that do not exist; [`AppError::Invalid`] for offers of two programmes.
    pub(super) async fn programme_of_offers(&self, reach: &Reach, ids: &[OfferId]) -> Result<Programme> {
        let mut found = self.programme_lookup().offers.find(ids);
        if found.len() < ids.len() {
            found = with_retry(|| offers::programmes(self.store(), ids)).await?;
            self.programme_lookup().offers.remember(&found);
        }
        let all_exist = ids.iter().all(|id| found.iter().any(|(it, _)| it == id));
        let mut programmes = found.into_iter().map(|(_, programme)| programme);
        let Some(first) = programmes.next() else { return Err(self.lookup_error(reach, ids).await?) };
        if all_exist && programmes.all(|it| it == first) {
            Ok(first)
        } else {
            Err(self.lookup_error(reach, ids).await?)
        }
    }

    /// The error for offers of which some do not exist, or which belong to several programmes.
    async fn lookup_error(&self, reach: &Reach, ids: &[OfferId]) -> Result<AppError> {
        let offers = with_retry(|| offers::find(self.store(), ids)).await?;
        let is_visible = |id: &OfferId| offers.get(id).is_some_and(|it| reach.covers(it.region, it.assignee.as_ref()));
        let missing: Vec<String> = ids.iter().filter(|id| !is_visible(id)).map(ToString::to_string).collect();
        let why = match (missing.as_slice(), ids) {
            ([], []) => "is empty",
            ([], _) => "belong to more than one programme",
            _ => return Ok(AppError::NotFound(EntityKind::Offer, missing)),
        };
        Ok(AppError::Invalid(vec![super::Violation::new("offers", why)]))
    }

    /// Returns one offer.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn get_offer(&self, caller: &Caller, id: OfferId) -> Result<Offer> {
        Ok(self.get_whole_offer(caller, id).await?.offer)
    }

    /// Returns one offer with its awards and caps.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn get_offer_in_full(&self, caller: &Caller, today: Date, id: OfferId) -> Result<OfferInFull> {
        self.in_full(self.get_whole_offer(caller, id).await?, today).await
    }

    /// Returns several offers with their awards and caps, from one snapshot, in the requested order.
    ///
    /// # Errors
    /// [`AppError::NotFound`] naming all that do not exist; [`AppError::Denied`].
    pub async fn get_offers_of_snapshot(
        &self,
        caller: &Caller,
        today: Date,
        ids: &[OfferId],
    ) -> Result<OffersSnapshot> {
        authorise(caller, Action::Read)?;
        let reach = caller.reach(Action::Read);
        let (mut found, at) = with_retry(|| self.read_at_once(ids)).await?;
        found.retain(|_, it| reach.covers(it.offer.region, it.offer.assignee.as_ref()));
        let missing: Vec<String> = ids.iter().filter(|id| !found.contains_key(id)).map(ToString::to_string).collect();
        if !missing.is_empty() {
            return Err(AppError::NotFound(EntityKind::Offer, missing));
        }
        let mut offers = Vec::with_capacity(ids.len());
        for whole in ids.iter().filter_map(|id| found.remove(id)) {
            offers.push(self.in_full(whole, today).await?);
        }
        Ok(OffersSnapshot { offers, at })
    }

    /// Reads offers from one snapshot, and the number of its newest event if all offers belong to one programme.
    async fn read_at_once(
        &self,
        ids: &[OfferId],
    ) -> store::Result<(HashMap<OfferId, reader::WholeOffer>, Option<Seq>)> {
        let snapshot = self.store().snapshot().await?;
        let found = reader::read(&snapshot, ids).await?;
        let mut programmes: BTreeSet<Programme> = found.values().map(|it| it.offer.programme.clone()).collect();
        let at = match (programmes.pop_first(), programmes.pop_first()) {
            (Some(only), None) => programmes::head_of(&snapshot, &only).await?.map(|head| head.last()),
            _ => None,
        };
        Ok((found, at))
    }

    async fn in_full(&self, whole: reader::WholeOffer, today: Date) -> Result<OfferInFull> {
        let reader::WholeOffer { mut offer, awards, caps } = whole;
        self.follow_register(std::slice::from_mut(&mut offer), today).await?;
        let loaded = self.terms(&offer.programme).await?;
        let of_terms = caps_of_terms(&offer, &loaded.terms).into_iter();
        let used = |cap: Account| caps.iter().find(|it| it.id == cap.id).cloned().unwrap_or(cap);
        Ok(OfferInFull { caps: of_terms.map(used).collect(), offer, awards })
    }

    /// Sets the responsible body from the newest register in offers that still follow it. All offers must be of one
    /// programme. The next identify or contact records the same body.
    async fn follow_register(&self, offers: &mut [Offer], today: Date) -> Result<()> {
        let urns: Vec<Urn> = offers.iter().filter_map(Offer::school_of_responsible_body).collect();
        let Some(programme) = offers.first().map(|it| it.programme.clone()).filter(|_| !urns.is_empty()) else {
            return Ok(());
        };
        let answers = eligibility::responsible_bodies(self.store(), &programme, &urns, today).await?;
        for offer in offers {
            if let Some(answer) = offer.school_of_responsible_body().and_then(|urn| answers.get(&urn)) {
                (offer.responsible, offer.trust) = (answer.body.clone(), answer.trust);
            }
        }
        Ok(())
    }

    async fn get_whole_offer(&self, caller: &Caller, id: OfferId) -> Result<reader::WholeOffer> {
        authorise(caller, Action::Read)?;
        let found = self.inner.reader.get(id, caller.reach(Action::Read)).await?;
        found.ok_or_else(|| AppError::not_found(EntityKind::Offer, id))
    }

    /// A page of offers.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for an unknown programme; [`AppError::Denied`].
    pub async fn list_offers(
        &self,
        caller: &Caller,
        today: Date,
        requested: &OfferPageQuery<'_>,
    ) -> Result<Vec<Offer>> {
        authorise(caller, Action::Read)?;
        self.terms(requested.programme).await?;
        let mut page = offers::page(self.store(), &caller.reach(Action::Read), requested).await?;
        self.follow_register(&mut page, today).await?;
        Ok(page)
    }

    /// A page of one offer's events that match a condition, with their texts unless erased.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn offer_events(
        &self,
        caller: &Caller,
        id: OfferId,
        condition: Option<&Condition<EventField>>,
        page: Page<i64>,
    ) -> Result<Vec<(Recorded, Option<Text>)>> {
        let offer = self.get_offer(caller, id).await?;
        let page = events::page_of_offer(self.store(), id, condition, page).await?;
        let with_text: Vec<Seq> =
            page.iter().filter(|it| it.event.text_hash.is_some()).map(|it| it.event.seq).collect();
        let mut texts = events::texts(self.store(), &offer.programme, &with_text).await?;
        let mut text_of = |seq: Seq| texts.iter().position(|it| it.seq == seq).map(|at| texts.swap_remove(at));
        Ok(page.into_iter().map(|it| (it.event.seq, it)).map(|(seq, it)| (it, text_of(seq))).collect())
    }
}

/// The caps that the terms set for an offer, unused. A strand that is limited by its fund alone has no cap.
fn caps_of_terms(offer: &Offer, terms: &Terms) -> Vec<Account> {
    let caps = terms.recipient(offer.recipient.row()).into_iter().flat_map(|it| &it.caps);
    caps.filter_map(|(strand, cap)| Account::cap(offer.id, strand, *cap)).collect()
}
