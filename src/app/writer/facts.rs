//! Everything a group is decided against, in a few queries, however many commands.

use std::collections::BTreeSet;

use crate::app::terms::{Loaded, TermsCache};
use crate::app::{AppError, eligibility};
use crate::domain::book::approval::Approval;
use crate::domain::book::{Command, Facts, ProgrammeFacts};
use crate::domain::event::Seq;
use crate::domain::ids::{ApprovalId, OfferId, Programme, Urn};
use crate::store::{Readable, StoreError, approvals, offers};

/// Why facts could not be loaded.
#[derive(Debug)]
pub(super) enum Unloadable {
    /// The database failed: the group may be tried again.
    Store(StoreError),
    /// Something else: everybody is told.
    App(AppError),
}

impl From<StoreError> for Unloadable {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Unloadable> for AppError {
    fn from(error: Unloadable) -> Self {
        match error {
            Unloadable::Store(error) => error.into(),
            Unloadable::App(error) => error,
        }
    }
}

/// Loads the facts these commands are decided against. Inside a write transaction the book is locked already; identify
/// also takes the register's lock, so that it never sees half of an import.
pub(super) async fn load(
    from: &impl Readable,
    terms: &TermsCache,
    programme: &Programme,
    open: bool,
    commands: &[&Command],
) -> Result<Facts, Unloadable> {
    let loaded = terms.of(from, programme).await.map_err(sort)?;
    let mut facts = Facts::new(programme_facts(&loaded, open));
    load_approvals(from, commands, &mut facts).await?;
    let identifies = commands.iter().any(|command| matches!(command, Command::Identify));
    if identifies {
        eligibility::lock_register(from).await?;
        facts.offers = offers::of_programme(from, programme).await?;
        facts.recipients = facts.offers.values().map(|offer| (offer.recipient, offer.id)).collect();
        let open = facts.offers.values().filter(|offer| offer.is_open());
        facts.listed = open.flat_map(|offer| offer.schools.keys().map(|urn| (*urn, offer.id))).collect();
        let candidates = eligibility::candidates(from, &loaded.terms).await.map_err(sort)?;
        facts.candidates = Some(candidates);
    } else {
        let mut ids: BTreeSet<OfferId> = commands.iter().flat_map(|command| command.offers()).collect();
        ids.extend(facts.approvals.values().map(|approval| approval.offer));
        let ids: Vec<OfferId> = ids.into_iter().collect();
        if !ids.is_empty() {
            facts.offers = offers::find(from, &ids).await?;
            facts.offers.retain(|_, offer| offer.programme == *programme);
        }
        let reopens = |command: &&Command| matches!(command, Command::Reopen { .. } | Command::GiveApproval { .. });
        if commands.iter().any(reopens) {
            let urns: Vec<Urn> = facts.offers.values().flat_map(|offer| offer.schools.keys().copied()).collect();
            facts.listed = offers::listing(from, programme, &urns).await?;
        }
    }
    for command in commands {
        let Command::Place { urn, placement, .. } = command else { continue };
        let answer = eligibility::register_answer(from, &loaded.terms, *urn).await.map_err(sort)?;
        facts.register.extend(answer.map(|answer| (*urn, answer)));
        if let Some((uid, _)) = placement.trust() {
            let answer = eligibility::trust_answer(from, uid).await.map_err(sort)?;
            facts.trusts.extend(answer.map(|answer| (uid, answer)));
        }
    }
    Ok(facts)
}

/// The approvals that are given, and the open ones about offers that are to be reopened.
async fn load_approvals(from: &impl Readable, commands: &[&Command], facts: &mut Facts) -> Result<(), StoreError> {
    let mut given: Vec<ApprovalId> = Vec::new();
    let mut subjects = Vec::new();
    for command in commands {
        match command {
            Command::GiveApproval { approval } => given.push(*approval),
            Command::Reopen { offer, .. } => subjects.push(offer.offer.0),
            _ => {}
        }
    }
    if given.is_empty() && subjects.is_empty() {
        return Ok(());
    }
    let programme = facts.programme.programme.clone();
    let found = approvals::find(from, &given, &subjects).await?;
    let of_this_book = found.into_iter().filter(|it| it.programme.as_ref() == Some(&programme));
    facts.approvals = of_this_book
        .map(|it| {
            let approval = Approval {
                id: it.id,
                action: it.action,
                offer: OfferId(it.subject),
                opened: it.opened.unwrap_or(Seq(0)),
                requested_by: it.requested_by,
                requested_at: it.requested_at,
                given_by: it.given_by,
            };
            (it.id, approval)
        })
        .collect();
    Ok(())
}

fn programme_facts(loaded: &Loaded, open: bool) -> ProgrammeFacts {
    let year = loaded.terms.year();
    ProgrammeFacts {
        programme: loaded.terms.programme().clone(),
        starts: year.from,
        ends: year.to,
        terms: loaded.sha256.0,
        open,
    }
}

fn sort(error: AppError) -> Unloadable {
    match error {
        AppError::Unavailable => Unloadable::Store(StoreError::Away("while the facts were read".to_owned())),
        error => Unloadable::App(error),
    }
}
