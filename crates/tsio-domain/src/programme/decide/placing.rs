//! Places a school by hand, if the register does not place it.

use crate::Date;
use crate::event::{EventBody, NewEvent};
use crate::ids::{Uid, Urn};
use crate::programme::decision::{CommandAnswer, Decision};
use crate::programme::error::CommandError;
use crate::programme::state::{ProgrammeState, RegisterAnswer};
use crate::refusal::{EntityKind, Limit, LimitKind, Reason, Refusal};
use crate::school::{HandPlacement, TrustKind};

impl ProgrammeState {
    /// The refusals to place a school in a trust. Empty if the trust is open and of the requested kind.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for a trust that is not in the register.
    fn trust_refusals(&self, uid: Uid, requested: TrustKind) -> Result<Vec<Refusal>, CommandError> {
        let trust = self.trusts.get(&uid).ok_or_else(|| CommandError::not_found(EntityKind::Trust, uid))?;
        let mut refusals = Vec::new();
        let mut refuse = |message: String, remedy: String| {
            let limit = Limit::plain(LimitKind::Recipient, uid, remedy);
            refusals.push(Refusal::of(Reason::TrustNotSuitable, message, limit));
        };
        if trust.kind != requested {
            let (kind, requested) = (trust.kind.phrase(), requested.phrase());
            refuse(format!("trust {uid} is a {kind}"), format!("name a {requested}, or place the school in a {kind}"));
        }
        if !trust.open {
            refuse(format!("trust {uid} is not open"), "name an open trust, or import a newer register".to_owned());
        }
        Ok(refusals)
    }

    /// Decides to place a school by hand. Refuses if the register places the school, or if the trust is not suitable.
    pub(super) fn place(
        &self,
        urn: Urn,
        placement: HandPlacement,
        reason: &str,
        today: Date,
    ) -> Result<Decision, CommandError> {
        let school = self.register.get(&urn).ok_or_else(|| CommandError::not_found(EntityKind::School, urn))?;
        let trust_refusals =
            placement.trust().map(|(uid, requested)| self.trust_refusals(uid, requested)).transpose()?;
        match school {
            RegisterAnswer::Placed(placement_phrase) => {
                let limit = Limit::plain(LimitKind::Recipient, urn, "nothing to do: the register places it");
                let message = format!("school {urn} is placed by the register: {placement_phrase}");
                Err(Refusal::of(Reason::AlreadyPlaced, message, limit).into())
            }
            RegisterAnswer::Unplaced { name } => {
                Refusal::join(trust_refusals.into_iter().flatten())?;
                let body = EventBody::Placed { urn, placement, register_seq: None };
                let draft = NewEvent::without_offer(today, body);
                Ok(Decision::new(
                    vec![draft.with_text(Some(reason.to_owned()))],
                    CommandAnswer::Placed { urn, name: name.clone(), placement },
                ))
            }
        }
    }
}
