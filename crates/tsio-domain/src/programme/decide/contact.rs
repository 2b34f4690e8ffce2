//! Decides contacts with responsible bodies and schools.

use crate::Date;
use crate::event::NewEvent;
use crate::ids::Urn;
use crate::offer::Party;
use crate::programme::command::OfferTarget;
use crate::programme::decision::{CommandAnswer, Decision};
use crate::programme::error::CommandError;
use crate::programme::state::ProgrammeState;
use crate::refusal::Refusal;
use crate::time::Now;

impl ProgrammeState {
    /// Records a contact on each of several offers, or on none of them. If an offer still follows the register, a contact with its
    /// responsible body first changes that body to the one in the newest register.
    pub(super) fn contact(
        &self,
        targets: &[(OfferTarget, Option<Urn>)],
        party: Party,
        on: Date,
        text: Option<&String>,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let mut drafts = Vec::with_capacity(targets.len());
        let (mut refusals, mut assumed_bodies) = (Vec::new(), 0_usize);
        // A missing offer is reported before a stale etag of another offer.
        targets.iter().try_for_each(|(target, _)| self.existing_offer(target.offer).map(drop))?;
        for (target, urn) in targets {
            let offer = self.target_offer(target)?;
            let registered = offer.school_of_responsible_body().and_then(|urn| self.responsible_bodies.get(&urn));
            let mut updated_offer = offer.clone();
            updated_offer.responsible = registered.map_or_else(|| offer.responsible.clone(), |it| it.body.clone());
            match updated_offer.contact(party, *urn, on) {
                Ok(draft) => {
                    if party == Party::ResponsibleBody {
                        let change = registered.and_then(|it| it.change_of(offer));
                        drafts.extend(change.map(|body| NewEvent::of(offer.id, on, body)));
                        let is_assumed = registered.is_some_and(|it| it.is_assumed());
                        assumed_bodies = assumed_bodies.saturating_add(usize::from(is_assumed));
                    }
                    drafts.push(draft.with_text(text.cloned()));
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        let too_late = self.contact_too_late(on);
        Refusal::join(refusals.into_iter().chain(self.before_programme(on)).chain(too_late))?;
        let offers = targets.iter().map(|(target, _)| target.offer).collect();
        Ok(Decision::new(drafts, CommandAnswer::Offers(offers)).warn_if_past(on, now).warn_of_dioceses(assumed_bodies))
    }
}
