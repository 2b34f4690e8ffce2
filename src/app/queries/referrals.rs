//! Reads referrals.

use crate::app::retry::with_retry;
use crate::app::{App, AppError, Result, authorise, eligibility};
use crate::domain::Date;
use crate::domain::event::Seq;
use crate::domain::ids::{Programme, ReferralId};
use crate::domain::referral::{Referral, State};
use crate::domain::refusal::EntityKind;
use crate::domain::role::{Action, Caller};
use crate::store::db::page::Page;
use crate::store::events::{self, Text};
use crate::store::referrals::{self, ReferralFilter};
use crate::store::{self, Readable};

/// A referral with its texts that are not erased.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferralInFull {
    /// The referral.
    pub referral: Referral,
    /// The texts, each with the number of its event.
    pub texts: Vec<Text>,
}

impl ReferralInFull {
    /// The text of an event; `None` if it has none, or if the text was erased.
    #[must_use]
    pub fn text(&self, seq: Seq) -> Option<&str> {
        self.texts.iter().find(|it| it.seq == seq).map(|it| it.text.as_str())
    }
}

impl App {
    /// Finds the programme of a referral, for a command, which checks the caller's reach itself.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub(in crate::app) async fn programme_of_referral(&self, id: ReferralId) -> Result<Programme> {
        let found = with_retry(|| referrals::get(self.store(), id)).await?;
        found.map(|it| it.programme).ok_or_else(|| missing(id))
    }

    /// One referral with its texts. An open referral is shown as confirmed if the files confirm it.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Denied`].
    pub async fn get_referral(&self, caller: &Caller, today: Date, id: ReferralId) -> Result<ReferralInFull> {
        authorise(caller, Action::Read)?;
        let reach = caller.reach(Action::Read);
        let snapshot = self.snapshot().await?;
        let found = referrals::get(&snapshot, id).await?.filter(|it| reach.covers_region(it.region));
        let mut referral = found.ok_or_else(|| missing(id))?;
        if referral.state == State::Open {
            let loaded = self.terms(&referral.programme).await?;
            let open = std::slice::from_ref(&referral);
            let confirmed = eligibility::confirmed(&snapshot, &loaded.terms, open, today).await?;
            mark_confirmed(&mut referral, &confirmed);
        }
        let mut whole = with_texts(&snapshot, &referral.programme.clone(), vec![referral]).await?;
        whole.pop().ok_or_else(|| missing(id))
    }

    /// A page of a programme's referrals within reach.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for an unknown programme; [`AppError::Denied`].
    pub async fn list_referrals(
        &self,
        caller: &Caller,
        today: Date,
        programme: &Programme,
        filter: &ReferralFilter,
        page: Page,
    ) -> Result<Vec<ReferralInFull>> {
        authorise(caller, Action::Read)?;
        let loaded = self.terms(programme).await?;
        let snapshot = self.snapshot().await?;
        let reach = caller.reach(Action::Read);
        let open = referrals::open(&snapshot, programme).await?;
        let confirmed = eligibility::confirmed(&snapshot, &loaded.terms, &open, today).await?;
        let filter = ReferralFilter { confirmed, ..filter.clone() };
        let mut page = referrals::page(&snapshot, programme, (&reach, &filter), page).await?;
        page.iter_mut().for_each(|it| mark_confirmed(it, &filter.confirmed));
        Ok(with_texts(&snapshot, programme, page).await?)
    }
}

/// Shows an open referral as confirmed if the files confirm it, which the next run of identify will record.
fn mark_confirmed(referral: &mut Referral, confirmed: &[ReferralId]) {
    if referral.state == State::Open && confirmed.contains(&referral.id) {
        referral.state = State::Confirmed;
    }
}

/// Adds to each referral the texts of its events, except erased ones.
async fn with_texts(
    from: &dyn Readable,
    programme: &Programme,
    page: Vec<Referral>,
) -> store::Result<Vec<ReferralInFull>> {
    let events_of = |it: &Referral| {
        let discussions = it.discussions.iter().map(|it| it.seq);
        // The version is the number of the last event. If that is a decision or a withdrawal, it has a text.
        discussions.chain([it.raised, it.version]).collect::<Vec<_>>()
    };
    let seqs: Vec<Seq> = page.iter().flat_map(events_of).collect();
    let texts = events::texts(from, programme, &seqs).await?;
    let whole = |referral: Referral| {
        let events = events_of(&referral);
        let texts = texts.iter().filter(|it| events.contains(&it.seq)).cloned().collect();
        ReferralInFull { referral, texts }
    };
    Ok(page.into_iter().map(whole).collect())
}

fn missing(id: ReferralId) -> AppError {
    AppError::not_found(EntityKind::Referral, id)
}
