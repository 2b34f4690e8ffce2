//! Reads offers, and finds their programme.

mod reader;

use std::collections::{BTreeSet, HashMap};

use super::retry::with_retry;
use super::{App, AppError, Result, authorise, eligibility, register};
use crate::domain::Date;
use crate::domain::award::Award;
use crate::domain::event::Seq;
use crate::domain::ids::{LaCode, OfferId, Programme, Urn};
use crate::domain::ledger::Account;
use crate::domain::offer::Offer;
use crate::domain::refusal::EntityKind;
use crate::domain::role::{Action, Caller, Reach};
use crate::domain::terms::Terms;
use crate::store::db::condition::Condition;
use crate::store::db::page::Page;
use crate::store::due::{OffersWithSchools, listed_schools};
use crate::store::events::{EventField, Recorded, Text};
use crate::store::offers::{OfferFilter, OfferPageQuery, OfferSearch};
use crate::store::{self, ReadTx, events, offers, programmes};
pub(super) use reader::OfferReader;

/// An offer with its awards and caps.
#[derive(Debug, Clone)]
pub struct OfferInFull {
    /// The offer.
    pub offer: Offer,
    /// The awards under the offer, in the order in which they were made.
    pub awards: Vec<Award>,
    /// The caps of the offer, in the order of the terms, including unused caps.
    pub caps: Vec<Account>,
}

/// Offers from one snapshot.
#[derive(Debug, Clone)]
pub struct OffersSnapshot {
    /// The offers, in the requested order.
    pub offers: Vec<OfferInFull>,
    /// The number of the newest event of their programme in the snapshot; `None` if they belong to several programmes, or
    /// if there are no offers.
    pub at: Option<Seq>,
}

impl App {
    /// Finds the programme of these offers. All of them must belong to one programme, because a command changes only one
    /// programme. The command checks the caller's reach later; this function only checks it for offers that an error names.
    ///
    /// # Errors
    /// [`AppError::NotFound`] naming the offers that do not exist or are outside the reach; [`AppError::Invalid`] if there
    /// are no offers, or if they belong to several programmes.
    pub(super) async fn programme_of_offers(&self, reach: &Reach, ids: &[OfferId]) -> Result<Programme> {
        let mut found = self.programme_lookup().offers.find(ids);
        if found.len() < ids.len() {
            found = with_retry(|| offers::programmes(self.store(), ids)).await?;
            self.programme_lookup().offers.remember(&found);
        }
        let all_exist = ids.iter().all(|id| found.iter().any(|(it, _)| it == id));
        let mut programmes = found.into_iter().map(|(_, programme)| programme);
        let Some(first) = programmes.next() else { return Err(self.make_lookup_error(reach, ids).await?) };
        if all_exist && programmes.all(|it| it == first) {
            Ok(first)
        } else {
            Err(self.make_lookup_error(reach, ids).await?)
        }
    }

    /// Makes the error for a list of offers that is empty, or in which some do not exist, or which belong to several
    /// programmes.
    async fn make_lookup_error(&self, reach: &Reach, ids: &[OfferId]) -> Result<AppError> {
        let offers = with_retry(|| offers::find(self.store(), ids)).await?;
        let is_visible = |id: &OfferId| offers.get(id).is_some_and(|it| reach.covers(it.region, it.assignee.as_ref()));
        let missing: Vec<String> = ids.iter().filter(|id| !is_visible(id)).map(ToString::to_string).collect();
        let description = match (missing.as_slice(), ids) {
            ([], []) => "is empty",
            ([], _) => "belong to more than one programme",
            _ => return Ok(AppError::NotFound(EntityKind::Offer, missing)),
        };
        Ok(AppError::Invalid(vec![super::Violation::new("offers", description)]))
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
    /// [`AppError::NotFound`] naming all that do not exist or are outside the caller's reach; [`AppError::Denied`].
    pub async fn get_offers_of_snapshot(
        &self,
        caller: &Caller,
        today: Date,
        ids: &[OfferId],
    ) -> Result<OffersSnapshot> {
        authorise(caller, Action::Read)?;
        let reach = caller.reach(Action::Read);
        let (mut found, at) = with_retry(|| self.read_from_one_snapshot(ids)).await?;
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

    /// Reads offers from one snapshot. If all of them belong to one programme, also returns the number of the programme's
    /// newest event in the snapshot.
    async fn read_from_one_snapshot(
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

    /// Converts an offer to the form that is shown, with all caps of the terms and the current responsible body.
    async fn in_full(&self, whole: reader::WholeOffer, today: Date) -> Result<OfferInFull> {
        let reader::WholeOffer { mut offer, awards, caps } = whole;
        self.set_current_responsible_bodies(std::slice::from_mut(&mut offer), today).await?;
        let loaded = self.terms(&offer.programme).await?;
        let of_terms = caps_of_terms(&offer, &loaded.terms).into_iter();
        let stored_or_unused = |cap: Account| caps.iter().find(|it| it.id == cap.id).cloned().unwrap_or(cap);
        Ok(OfferInFull { caps: of_terms.map(stored_or_unused).collect(), offer, awards })
    }

    /// Sets the responsible body and the trust from the newest register, in offers that still take them from the register.
    /// All offers must belong to one programme. Nothing is stored; the next identify or contact records the same body.
    async fn set_current_responsible_bodies(&self, offers: &mut [Offer], today: Date) -> Result<()> {
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

    /// Reads one offer with its awards and stored caps, if it is within the caller's reach.
    async fn get_whole_offer(&self, caller: &Caller, id: OfferId) -> Result<reader::WholeOffer> {
        authorise(caller, Action::Read)?;
        let found = self.inner.reader.get(id, caller.reach(Action::Read)).await?;
        found.ok_or_else(|| AppError::not_found(EntityKind::Offer, id))
    }

    /// The schools on offers of a programme that are in a local authority by the newest register.
    async fn schools_in(
        &self,
        snapshot: &ReadTx,
        reach: &Reach,
        requested: &OfferPageQuery<'_>,
        la: LaCode,
    ) -> Result<Vec<Urn>> {
        let OfferFilter { state, region, .. } = *requested.filter;
        let search =
            OfferSearch { programme: requested.programme, reach, state, region, assignee: None, schools: None };
        let listed = listed_schools(snapshot, &search, OffersWithSchools::All).await?;
        let urns: Vec<Urn> = listed.iter().map(|it| it.urn).collect();
        register::in_local_authority(snapshot, &urns, la).await
    }

    /// A page of a programme's offers within the caller's reach. With a local authority, only those that list a school there.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for an unknown programme; [`AppError::Denied`].
    pub async fn list_offers(
        &self,
        caller: &Caller,
        today: Date,
        requested: &OfferPageQuery<'_>,
        local_authority: Option<LaCode>,
    ) -> Result<Vec<Offer>> {
        authorise(caller, Action::Read)?;
        self.terms(requested.programme).await?;
        let reach = caller.reach(Action::Read);
        let mut page = match local_authority {
            None => offers::page(self.store(), &reach, requested).await?,
            Some(la) => {
                let snapshot = self.snapshot().await?;
                let schools = Some(self.schools_in(&snapshot, &reach, requested, la).await?);
                let filter = OfferFilter { schools, ..requested.filter.clone() };
                offers::page(&snapshot, &reach, &OfferPageQuery { filter: &filter, ..requested.clone() }).await?
            }
        };
        self.set_current_responsible_bodies(&mut page, today).await?;
        Ok(page)
    }

    /// A page of one offer's events that match a condition, each with its text if it has one that is not erased.
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
        let mut text_of = |seq: Seq| texts.iter().position(|it| it.seq == seq).map(|index| texts.swap_remove(index));
        Ok(page.into_iter().map(|it| (it.event.seq, it)).map(|(seq, it)| (it, text_of(seq))).collect())
    }
}

/// The caps that the terms set for an offer, with nothing used. A strand that is limited only by its fund has no cap.
fn caps_of_terms(offer: &Offer, terms: &Terms) -> Vec<Account> {
    let caps = terms.recipient(offer.recipient.row()).into_iter().flat_map(|it| &it.caps);
    caps.filter_map(|(strand, cap)| Account::cap(offer.id, strand, *cap)).collect()
}
