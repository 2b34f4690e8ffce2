//! Offers: which programme they belong to, and reads.

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
    /// Its caps, in the order of the terms; untouched ones too.
    pub caps: Vec<Account>,
}

/// Offers as they were at one moment.
#[derive(Debug, Clone)]
pub struct OffersAtOnce {
    /// In the order asked for.
    pub offers: Vec<OfferInFull>,
    /// The newest event of their programme at that moment; nothing where they are of several.
    pub at: Option<Seq>,
}

impl App {
    /// The programme of these offers, which must be one: a command goes to one programme. The programme itself looks whether they
    /// lie within the caller's reach; here only those that are named in an error have to.
    ///
    /// # Errors
    /// [`AppError::NotFound`] naming the offers that do not exist; [`AppError::Invalid`] for offers of two programmes.
    pub(super) async fn programme_of_offers(&self, reach: &Reach, ids: &[OfferId]) -> Result<Programme> {
        let mut found = self.routes().offers.of(ids);
        if found.len() < ids.len() {
            found = with_retry(|| offers::programmes(self.store(), ids)).await?;
            self.routes().offers.learn(&found);
        }
        let all_found = ids.iter().all(|id| found.iter().any(|(it, _)| it == id));
        let mut programmes = found.into_iter().map(|(_, programme)| programme);
        let Some(first) = programmes.next() else { return Err(self.missing(reach, ids).await?) };
        if all_found && programmes.all(|it| it == first) { Ok(first) } else { Err(self.missing(reach, ids).await?) }
    }

    /// What is wrong with offers that are not all there, or not all of one programme.
    async fn missing(&self, reach: &Reach, ids: &[OfferId]) -> Result<AppError> {
        let seen = with_retry(|| offers::find(self.store(), ids)).await?;
        let covered = |id: &OfferId| seen.get(id).is_some_and(|it| reach.covers(it.region, it.assignee.as_ref()));
        let missing: Vec<String> = ids.iter().filter(|id| !covered(id)).map(ToString::to_string).collect();
        let why = match (missing.as_slice(), ids) {
            ([], []) => "is empty",
            ([], _) => "belong to more than one programme",
            _ => return Ok(AppError::NotFound(EntityKind::Offer, missing)),
        };
        Ok(AppError::Invalid(vec![super::Violation::new("offers", why)]))
    }

    /// One offer.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn get_offer(&self, caller: &Caller, id: OfferId) -> Result<Offer> {
        Ok(self.get_whole_offer(caller, id).await?.offer)
    }

    /// One offer with its awards and caps.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn get_offer_in_full(&self, caller: &Caller, today: Date, id: OfferId) -> Result<OfferInFull> {
        self.in_full(self.get_whole_offer(caller, id).await?, today).await
    }

    /// Several offers with their awards and caps, all of one moment, in the order asked for.
    ///
    /// # Errors
    /// [`AppError::NotFound`] naming all that do not exist; [`AppError::Denied`].
    pub async fn get_offers_at_once(&self, caller: &Caller, today: Date, ids: &[OfferId]) -> Result<OffersAtOnce> {
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
        Ok(OffersAtOnce { offers, at })
    }

    /// Offers in one snapshot, and the number of the newest event in it where they are all of one programme.
    async fn read_at_once(&self, ids: &[OfferId]) -> store::Result<(HashMap<OfferId, reader::Whole>, Option<Seq>)> {
        let snapshot = self.store().snapshot().await?;
        let found = reader::read(&snapshot, ids).await?;
        let mut programmes: BTreeSet<Programme> = found.values().map(|it| it.offer.programme.clone()).collect();
        let at = match (programmes.pop_first(), programmes.pop_first()) {
            (Some(only), None) => programmes::head_of(&snapshot, &only).await?.map(|head| head.last()),
            _ => None,
        };
        Ok((found, at))
    }

    async fn in_full(&self, whole: reader::Whole, today: Date) -> Result<OfferInFull> {
        let reader::Whole { mut offer, awards, caps } = whole;
        self.follow_register(std::slice::from_mut(&mut offer), today).await?;
        let loaded = self.terms(&offer.programme).await?;
        let of_terms = caps_of_terms(&offer, &loaded.terms).into_iter();
        let used = |cap: Account| caps.iter().find(|it| it.id == cap.id).cloned().unwrap_or(cap);
        Ok(OfferInFull { caps: of_terms.map(used).collect(), offer, awards })
    }

    /// Shows the responsible body as in the newest register, where offers of one programme follow that still; the next
    /// identify or contact records it.
    async fn follow_register(&self, offers: &mut [Offer], today: Date) -> Result<()> {
        let urns: Vec<Urn> = offers.iter().filter_map(Offer::follows_register).collect();
        let Some(programme) = offers.first().map(|it| it.programme.clone()).filter(|_| !urns.is_empty()) else {
            return Ok(());
        };
        let answers = eligibility::responsible_bodies(self.store(), &programme, &urns, today).await?;
        for offer in offers {
            if let Some(answer) = offer.follows_register().and_then(|urn| answers.get(&urn)) {
                (offer.responsible, offer.trust) = (answer.body.clone(), answer.trust);
            }
        }
        Ok(())
    }

    async fn get_whole_offer(&self, caller: &Caller, id: OfferId) -> Result<reader::Whole> {
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

    /// A page of one offer's events of which a condition holds, with their texts as far as they are not erased.
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

/// The caps that the terms set for an offer, with nothing used. A strand that only its fund limits has none.
fn caps_of_terms(offer: &Offer, terms: &Terms) -> Vec<Account> {
    let caps = terms.recipient(offer.recipient.row()).into_iter().flat_map(|it| &it.caps);
    caps.filter_map(|(strand, cap)| Account::cap(offer.id, strand, *cap)).collect()
}
