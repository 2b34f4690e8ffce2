//! Awards: which programme they belong to, and reads.

use std::collections::BTreeMap;

use crate::app::retry::with_retry;
use crate::app::{App, AppError, Result, authorise};
use crate::domain::award::Award;
use crate::domain::event::Seq;
use crate::domain::ids::{AwardId, Programme};
use crate::domain::refusal::EntityKind;
use crate::domain::role::{Action, Caller};
use crate::store::awards::AwardFilter;
use crate::store::db::page::Page;
use crate::store::{ReadTx, awards, events, offers};

/// An award and its text, an organisation or a reason, as far as that is not erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldAward {
    /// The award.
    pub award: Award,
    /// Its text.
    pub text: Option<String>,
}

impl App {
    /// The programme of this award: the programme that a command about it goes to.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub(in crate::app) async fn programme_of_award(&self, id: AwardId) -> Result<Programme> {
        let ids = [id];
        let mut found = self.routes().awards.of(&ids);
        if found.is_empty() {
            found = with_retry(|| awards::programme_of(self.store(), &ids)).await?;
            self.routes().awards.learn(&found);
        }
        found.pop().map(|(_, programme)| programme).ok_or_else(|| AppError::not_found(EntityKind::Award, id))
    }

    /// One award with its text.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn get_award(&self, caller: &Caller, id: AwardId) -> Result<ToldAward> {
        authorise(caller, Action::Read)?;
        let unknown = || AppError::not_found(EntityKind::Award, id);
        let snapshot = self.snapshot().await?;
        let award = awards::find(&snapshot, &[id]).await?.remove(&id).ok_or_else(unknown)?;
        let offer = offers::find(&snapshot, &[award.offer]).await?.remove(&award.offer).ok_or_else(unknown)?;
        if !caller.reach(Action::Read).covers(offer.region, offer.assignee.as_ref()) {
            return Err(unknown());
        }
        told(&snapshot, vec![(offer.programme, award)]).await?.into_iter().next().ok_or_else(unknown)
    }

    /// A page of awards in the order they were made, after `after`, each with its text.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for an unknown offer or programme; [`AppError::Denied`].
    pub async fn list_awards(&self, caller: &Caller, filter: &AwardFilter, page: Page) -> Result<Vec<ToldAward>> {
        authorise(caller, Action::Read)?;
        if let Some(programme) = &filter.programme {
            self.terms(programme).await?;
        }
        if let Some(offer) = filter.offer {
            self.get_offer(caller, offer).await?;
        }
        let snapshot = self.snapshot().await?;
        let page = awards::page(&snapshot, &caller.reach(Action::Read), filter, page).await?;
        told(&snapshot, page).await
    }
}

/// Awards with their texts, which lie with the events that made them.
async fn told(snapshot: &ReadTx, awards: Vec<(Programme, Award)>) -> Result<Vec<ToldAward>> {
    let mut made: BTreeMap<Programme, Vec<Seq>> = BTreeMap::new();
    for (programme, award) in &awards {
        made.entry(programme.clone()).or_default().push(award.made);
    }
    let mut texts = BTreeMap::new();
    for (programme, seqs) in made {
        let found = events::texts(snapshot, &programme, &seqs).await?;
        texts.extend(found.into_iter().map(|it| ((programme.clone(), it.seq), it.text)));
    }
    let with_text = |(programme, award): (Programme, Award)| {
        let text = texts.remove(&(programme, award.made));
        ToldAward { award, text }
    };
    Ok(awards.into_iter().map(with_text).collect())
}
