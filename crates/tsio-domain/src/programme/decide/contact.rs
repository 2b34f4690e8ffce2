//! Contacts with responsible bodies and schools.

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
    /// Records contacts of several offers at once.
    pub(super) fn contact(
        &self,
        targets: &[(OfferTarget, Option<Urn>)],
        party: Party,
        on: Date,
        text: Option<&String>,
        now: Now,
    ) -> Result<Decision, CommandError> {
        let mut drafts = Vec::with_capacity(targets.len());
        let (mut refusals, mut assumed) = (Vec::new(), 0_usize);
        targets.iter().try_for_each(|(target, _)| self.existing(target.offer).map(drop))?;
        for (target, urn) in targets {
            let offer = self.target(target)?;
            let now_responsible = offer.follows_register().and_then(|urn| self.responsible.get(&urn));
            let mut followed = offer.clone();
            followed.responsible = now_responsible.map_or_else(|| offer.responsible.clone(), |it| it.body.clone());
            match followed.contact(party, *urn, on) {
                Ok(draft) => {
                    if party == Party::ResponsibleBody {
                        let change = now_responsible.and_then(|it| it.change_of(offer));
                        drafts.extend(change.map(|body| NewEvent::of(offer.id, on, body)));
                        assumed =
                            assumed.saturating_add(usize::from(now_responsible.is_some_and(|it| it.is_assumed())));
                    }
                    drafts.push(draft.with_text(text.cloned()));
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        let late = self.contact_too_late(on);
        Refusal::none_of(refusals.into_iter().chain(self.before_programme(on)).chain(late))?;
        let offers = targets.iter().map(|(target, _)| target.offer).collect();
        Ok(Decision::new(drafts, CommandAnswer::Offers(offers)).warn_if_past(on, now).warn_of_dioceses(assumed))
    }
}
