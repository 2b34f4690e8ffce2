//! Reads awards, and finds their programme.

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

/// An award and its text, which is an organisation or a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwardWithText {
    /// The award.
    pub award: Award,
    /// The text of the award; `None` if there is none, or if the text was erased.
    pub text: Option<String>,
}

impl App {
    /// Finds the programme of an award. The command checks the caller's reach later.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub(in crate::app) async fn programme_of_award(&self, id: AwardId) -> Result<Programme> {
        let ids = [id];
        let mut found = self.programme_lookup().awards.find(&ids);
        if found.is_empty() {
            found = with_retry(|| awards::programme_of(self.store(), &ids)).await?;
            self.programme_lookup().awards.remember(&found);
        }
        found.pop().map(|(_, programme)| programme).ok_or_else(|| AppError::not_found(EntityKind::Award, id))
    }

    /// One award with its text.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn get_award(&self, caller: &Caller, id: AwardId) -> Result<AwardWithText> {
        authorise(caller, Action::Read)?;
        let unknown = || AppError::not_found(EntityKind::Award, id);
        let snapshot = self.snapshot().await?;
        let award = awards::find(&snapshot, &[id]).await?.remove(&id).ok_or_else(unknown)?;
        let offer = offers::find(&snapshot, &[award.offer]).await?.remove(&award.offer).ok_or_else(unknown)?;
        if !caller.reach(Action::Read).covers(offer.region, offer.assignee.as_ref()) {
            return Err(unknown());
        }
        with_texts(&snapshot, vec![(offer.programme, award)]).await?.into_iter().next().ok_or_else(unknown)
    }

    /// A page of the awards that match a filter, in the order in which they were made, each with its text.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for an unknown offer or programme; [`AppError::Denied`].
    pub async fn list_awards(&self, caller: &Caller, filter: &AwardFilter, page: Page) -> Result<Vec<AwardWithText>> {
        authorise(caller, Action::Read)?;
        if let Some(programme) = &filter.programme {
            self.terms(programme).await?;
        }
        if let Some(offer) = filter.offer {
            self.get_offer(caller, offer).await?;
        }
        let snapshot = self.snapshot().await?;
        let page = awards::page(&snapshot, &caller.reach(Action::Read), filter, page).await?;
        with_texts(&snapshot, page).await
    }
}

/// Adds the texts to awards. The text of an award is that of the event that made it.
async fn with_texts(snapshot: &ReadTx, awards: Vec<(Programme, Award)>) -> Result<Vec<AwardWithText>> {
    let mut seqs_by_programme: BTreeMap<Programme, Vec<Seq>> = BTreeMap::new();
    for (programme, award) in &awards {
        seqs_by_programme.entry(programme.clone()).or_default().push(award.made);
    }
    let mut texts = BTreeMap::new();
    for (programme, seqs) in seqs_by_programme {
        let found = events::texts(snapshot, &programme, &seqs).await?;
        texts.extend(found.into_iter().map(|it| ((programme.clone(), it.seq), it.text)));
    }
    let with_text = |(programme, award): (Programme, Award)| {
        let text = texts.remove(&(programme, award.made));
        AwardWithText { award, text }
    };
    Ok(awards.into_iter().map(with_text).collect())
}
