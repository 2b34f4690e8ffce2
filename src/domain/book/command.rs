//! The commands of a book, what deciding one needs besides the facts, and what comes out.

use uuid::Uuid;

use super::identify::Identified;
use crate::domain::Date;
use crate::domain::event::{Draft, Seq};
use crate::domain::ids::{Actor, ApprovalId, OfferId, Urn};
use crate::domain::offer::{Acceptor, DeclineReason, Outcome, Party};
use crate::domain::refusal::Refusal;
use crate::domain::region::Region;
use crate::domain::role::Action;
use crate::domain::school::HandPlacement;
use crate::domain::time::Now;

/// The offer a command is about, and the version the caller saw, if it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The offer.
    pub offer: OfferId,
    /// The etag the caller saw.
    pub etag: Option<String>,
}

/// A change asked of a book. Its fields are valid by themselves; whether it is allowed is decided against the facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make offers to whoever is eligible and has none.
    Identify,
    /// Record a contact on each of these offers, all or none.
    Contact {
        /// Which, with the school where the contact is with a school of a trust's offer.
        offers: Vec<(Target, Option<Urn>)>,
        /// With whom.
        party: Party,
        /// The day it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Take a mistaken contact back.
    Correct {
        /// Which offer.
        offer: Target,
        /// The contact's number.
        contact: Seq,
        /// Free text.
        text: Option<String>,
    },
    /// Accept.
    Accept {
        /// Which offer.
        offer: Target,
        /// Who accepts.
        by: Acceptor,
        /// The day it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Decline.
    Decline {
        /// Which offer.
        offer: Target,
        /// Why.
        reason: DeclineReason,
        /// The day it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Start delivery.
    Start {
        /// Which offer.
        offer: Target,
        /// The day it happened.
        on: Date,
    },
    /// Close.
    Close {
        /// Which offer.
        offer: Target,
        /// How it ends.
        outcome: Outcome,
        /// The day it happened.
        on: Date,
        /// Free text.
        text: Option<String>,
    },
    /// Ask to reopen: opens an approval.
    Reopen {
        /// Which offer.
        offer: Target,
        /// Why.
        reason: String,
    },
    /// Approve as the second person, which carries the call out.
    GiveApproval {
        /// Which approval.
        approval: ApprovalId,
    },
    /// Assign to somebody, or to nobody.
    Assign {
        /// Which offer.
        offer: Target,
        /// To whom.
        to: Option<Actor>,
    },
    /// Add a note.
    Note {
        /// Which offer.
        offer: Target,
        /// The note.
        text: String,
    },
    /// Move to another region.
    ChangeRegion {
        /// Which offer.
        offer: Target,
        /// To where.
        to: Region,
    },
    /// Place a school by hand.
    Place {
        /// Which school.
        urn: Urn,
        /// How.
        placement: HandPlacement,
        /// Why.
        reason: String,
    },
}

impl Command {
    /// The permission it needs.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::Identify
            | Self::Contact { .. }
            | Self::Correct { .. }
            | Self::Accept { .. }
            | Self::Decline { .. }
            | Self::Start { .. }
            | Self::Close { .. }
            | Self::Assign { .. }
            | Self::Note { .. } => Action::WorkOffers,
            Self::Reopen { .. } | Self::GiveApproval { .. } => Action::Reopen,
            Self::ChangeRegion { .. } => Action::ChangeRegion,
            Self::Place { .. } => Action::Place,
        }
    }

    /// The offers it names.
    #[must_use]
    pub fn offers(&self) -> Vec<OfferId> {
        match self {
            Self::Contact { offers, .. } => offers.iter().map(|(target, _)| target.offer).collect(),
            Self::Correct { offer, .. }
            | Self::Accept { offer, .. }
            | Self::Decline { offer, .. }
            | Self::Start { offer, .. }
            | Self::Close { offer, .. }
            | Self::Reopen { offer, .. }
            | Self::Assign { offer, .. }
            | Self::Note { offer, .. }
            | Self::ChangeRegion { offer, .. } => vec![offer.offer],
            Self::Identify | Self::GiveApproval { .. } | Self::Place { .. } => Vec::new(),
        }
    }
}

/// What deciding needs besides the facts: who asks, when it is, and where new ids come from.
pub struct Context<'a> {
    /// Who asks.
    pub actor: &'a Actor,
    /// The moment.
    pub now: Now,
    /// New ids, time-ordered.
    pub ids: &'a mut dyn FnMut() -> Uuid,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("actor", &self.actor).field("now", &self.now).finish_non_exhaustive()
    }
}

/// What a command changed, as the caller is told. Offers are shown as they are once its events are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// These offers.
    Offers(Vec<OfferId>),
    /// What identifying did.
    Identified(Identified),
    /// This school was placed.
    Placed {
        /// Which.
        urn: Urn,
        /// Its name.
        name: String,
        /// How.
        placement: HandPlacement,
    },
    /// This approval was given, and this offer changed by it.
    Approved(ApprovalId, OfferId),
    /// A second person has to approve: the caller is told by the refusal, after the approval has been recorded.
    ApprovalOpened(Refusal),
}

/// Worth knowing, and no reason to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// The effective date lies before today.
    DateInThePast(Date),
}

/// A decision: what to record and what to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The events to record, in order.
    pub drafts: Vec<Draft>,
    /// The answer.
    pub answer: Answer,
    /// Worth knowing.
    pub warnings: Vec<Warning>,
}

impl Decided {
    pub(super) const fn new(drafts: Vec<Draft>, answer: Answer) -> Self {
        Self { drafts, answer, warnings: Vec::new() }
    }

    pub(super) fn warn_if_past(mut self, on: Date, now: Now) -> Self {
        if on < now.today {
            self.warnings.push(Warning::DateInThePast(on));
        }
        self
    }
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The scheme does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something it names is not there.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The caller saw an older version.
    #[error("{subject} has changed: etag {given} was given, {current} is current")]
    Stale {
        /// Of what.
        subject: String,
        /// The etag given.
        given: String,
        /// The etag now.
        current: String,
    },
    /// Not reachable: the facts were loaded wrongly.
    #[error("bug: {0}")]
    Bug(&'static str),
}
