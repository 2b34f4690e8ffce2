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
    /// Why a school cannot be placed in a trust: the trust must be open and of the requested kind.
    fn unsuitable_trust(&self, uid: Uid, requested: TrustKind) -> Result<Vec<Refusal>, CommandError> {
        let trust = self.trusts.get(&uid).ok_or_else(|| CommandError::not_found(EntityKind::Trust, uid))?;
        let mut refusals = Vec::new();
        let mut refuse = |message: String, remedy: String| {
            let limit = Limit::plain(LimitKind::Recipient, uid, remedy);
            refusals.push(Refusal::of(Reason::TrustNotSuitable, message, limit));
        };
        if trust.kind != requested {
            let (is, requested) = (trust.kind.phrase(), requested.phrase());
            refuse(format!("trust {uid} is a {is}"), format!("name a {requested}, or place the school in a {is}"));
        }
        if !trust.open {
            refuse(format!("trust {uid} is not open"), "name an open trust, or import a newer register".to_owned());
        }
        Ok(refusals)
    }

    /// Places a school, if the register does not place it and the trust is suitable.
    pub(super) fn place(
        &self,
        urn: Urn,
        placement: HandPlacement,
        reason: &str,
        today: Date,
    ) -> Result<Decision, CommandError> {
        let school = self.register.get(&urn).ok_or_else(|| CommandError::not_found(EntityKind::School, urn))?;
        let unsuitable = placement.trust().map(|(uid, requested)| self.unsuitable_trust(uid, requested)).transpose()?;
        match school {
            RegisterAnswer::Placed(how) => {
                let limit = Limit::plain(LimitKind::Recipient, urn, "nothing to do: the register places it");
                let message = format!("school {urn} is placed by the register: {how}");
                Err(Refusal::of(Reason::AlreadyPlaced, message, limit).into())
            }
            RegisterAnswer::Unplaced { name } => {
                Refusal::none_of(unsuitable.into_iter().flatten())?;
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
