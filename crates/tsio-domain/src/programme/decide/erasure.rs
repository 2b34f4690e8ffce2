//! Erases the free text of an event. The erasure is an event too, so that the record distinguishes an erased text from one that was
//! removed without permission.

use crate::Date;
use crate::event::{EventBody, NewEvent, Seq};
use crate::programme::ProgrammeState;
use crate::programme::decision::{CommandAnswer, Decision};
use crate::programme::error::CommandError;
use crate::refusal::{EntityKind, Limit, LimitKind, LimitSubject, Reason, Refusal};
use crate::values::record::ErasureReason;

impl ProgrammeState {
    /// Decides to erase the text of an event. The decision has one event, which records the erasure.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for an event that the programme does not have; [`Reason::NoText`]; [`Reason::TextErased`].
    pub(in crate::programme) fn erase_text(
        &self,
        event: Seq,
        reason: ErasureReason,
        today: Date,
    ) -> Result<Decision, CommandError> {
        let text = self.texts.get(&event).ok_or_else(|| CommandError::not_found(EntityKind::Event, event))?;
        let refuse = |reason, message: String| {
            let limit =
                Limit::plain(LimitKind::Text, LimitSubject::Event(event), "nothing to do: there is no text to erase");
            Err(Refusal::of(reason, message, limit).into())
        };
        if !text.was_recorded {
            return refuse(Reason::NoText, format!("event {event} was recorded without a text"));
        }
        if text.is_erased {
            return refuse(Reason::TextErased, format!("the text of event {event} has been erased"));
        }
        let draft = NewEvent::without_offer(today, EventBody::TextErased { event });
        let draft = NewEvent { offer: text.offer, reason_code: Some(reason.name()), ..draft };
        Ok(Decision::new(vec![draft], CommandAnswer::Erased(event)))
    }

    /// Marks a text as erased, so that a later command of the batch does not erase it again.
    pub(in crate::programme) fn mark_text_erased(&mut self, event: Seq) {
        self.texts.entry(event).and_modify(|it| it.is_erased = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programme::EventText;
    use crate::programme::tests::script::{Script, day};

    #[test]
    fn a_text_is_erased_once_and_only_where_there_is_one() {
        let mut state = Script::empty().state;
        let text = |was_recorded, is_erased| EventText { offer: None, was_recorded, is_erased };
        state.texts = [(Seq(2), text(true, false)), (Seq(3), text(false, false)), (Seq(4), text(true, true))].into();
        let today = day("2022-01-05");
        let refusal_reason = |seq| match state.erase_text(Seq(seq), ErasureReason::Mistake, today) {
            Err(CommandError::Refused(refusal)) => Some(refusal.reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(refusal_reason(3), Some(Reason::NoText));
        assert_eq!(refusal_reason(4), Some(Reason::TextErased));
        let unknown = state.erase_text(Seq(9), ErasureReason::Mistake, today);
        assert_eq!(unknown, Err(CommandError::not_found(EntityKind::Event, 9)));
        let erased = state.erase_text(Seq(2), ErasureReason::PersonalData, today).unwrap();
        let draft = &erased.events[0];
        assert_eq!((&draft.body, draft.reason_code), (&EventBody::TextErased { event: Seq(2) }, Some("personal_data")));
        state.mark_text_erased(Seq(2));
        assert!(matches!(state.erase_text(Seq(2), ErasureReason::Mistake, today), Err(CommandError::Refused(_))));
    }
}
