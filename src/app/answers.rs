//! The answers of commands. There is a type for each kind of answer. An answer contains the entities in their state after the
//! command.
//!
//! A batch contains commands of every kind, so a decision returns an [`AnyAnswer`]. [`CommandOutcome::typed`] converts it to the
//! answer type of the command, from which the response is made.

use super::{AppError, Result};
use crate::domain::approval::Approval;
use crate::domain::award::Award;
use crate::domain::ids::{Programme, Urn};
use crate::domain::ledger::Account;
use crate::domain::offer::Offer;
use crate::domain::programme::candidates::IdentifyReport;
use crate::domain::programme::decision::Warning;
use crate::domain::programme::entry_school::EntryDecision;
use crate::domain::referral::Referral;
use crate::domain::school::HandPlacement;
use crate::domain::values::record::Seq;

/// The outcome of a command that was carried out.
#[derive(Debug, Clone)]
pub struct CommandOutcome<A = AnyAnswer> {
    /// The programme.
    pub programme: Programme,
    /// The answer.
    pub answer: A,
    /// Warnings for the caller.
    pub warnings: Vec<Warning>,
    /// The number of the programme's last event before the command.
    pub decided_after: Seq,
}

impl<A> CommandOutcome<A> {
    /// Replaces the answer, and keeps the rest of the outcome.
    #[must_use]
    pub fn with<B>(self, answer: B) -> CommandOutcome<B> {
        let Self { programme, warnings, decided_after, .. } = self;
        CommandOutcome { programme, answer, warnings, decided_after }
    }
}

impl CommandOutcome {
    /// Converts the answer to the answer type of the command.
    ///
    /// # Errors
    /// [`AppError::Bug`] if the answer is of another kind.
    pub(crate) fn typed<A: Answer>(self) -> Result<CommandOutcome<A>> {
        let Self { programme, answer, warnings, decided_after } = self;
        let answer =
            A::from_any(answer).ok_or_else(|| AppError::Bug("a command was answered as another one".to_owned()))?;
        Ok(CommandOutcome { programme, answer, warnings, decided_after })
    }
}

/// The answer of a command of any kind.
#[derive(Debug, Clone)]
pub enum AnyAnswer {
    /// Offers were changed.
    Offers(Vec<Offer>),
    /// An offer was ended.
    OfferEnded(Box<OfferEnded>),
    /// Offers were identified.
    Identified(Box<IdentifyReport>),
    /// A school was placed by hand: see [`SchoolPlaced`].
    Placed(SchoolPlaced),
    /// Awards were made or changed.
    Awards(Vec<Award>),
    /// Funds were made or changed. For a virement, which moves money between two funds, the fund that the money left comes
    /// first.
    Funds(Vec<Account>),
    /// An approval was given, so its change was carried out.
    ApprovalGiven(Box<ApprovalGiven>),
    /// An approval was denied or withdrawn, so its change is not carried out.
    ApprovalEnded(Box<ApprovalEnded>),
    /// A referral was made, changed or decided. Has an offer only if the referral was approved.
    Referral(Box<ReferralDecided>),
    /// A text was erased.
    Erased(TextErased),
}

/// The answer of one kind of command.
pub(crate) trait Answer: Sized + Send {
    /// Converts an answer to this type; `None` if the answer is of another kind.
    fn from_any(any: AnyAnswer) -> Option<Self>;
}

/// One offer was changed.
#[derive(Debug, Clone)]
pub struct OfferChanged {
    /// The offer.
    pub offer: Offer,
}

/// Several offers were changed.
#[derive(Debug, Clone)]
pub struct OffersChanged {
    /// The offers, in the order of the command.
    pub offers: Vec<Offer>,
}

/// An offer was closed or declined.
#[derive(Debug, Clone)]
pub struct OfferEnded {
    /// The offer.
    pub offer: Offer,
    /// The awards whose committed amounts were released, each with the released amount in the award's unit.
    pub released: Vec<(Award, i64)>,
}

/// A school was placed by hand: a person assigned it to a kind of recipient. This placement is used if the register does not
/// place the school.
#[derive(Debug, Clone)]
pub struct SchoolPlaced {
    /// The school.
    pub urn: Urn,
    /// The name of the school.
    pub name: String,
    /// The kind of recipient, with its trust if it has one.
    pub placement: HandPlacement,
}

/// Awards were made.
#[derive(Debug, Clone)]
pub struct AwardsMade {
    /// The awards, in the order of the command.
    pub awards: Vec<Award>,
}

/// One award was changed.
#[derive(Debug, Clone)]
pub struct AwardChanged {
    /// The award.
    pub award: Award,
}

/// Days of an award were booked.
#[derive(Debug, Clone)]
pub struct DaysBooked {
    /// The award.
    pub award: Award,
    /// The number of the new booking.
    pub booking: Seq,
}

/// A fund was made or changed.
#[derive(Debug, Clone)]
pub struct FundChanged {
    /// The fund.
    pub fund: Account,
}

/// Money was moved between funds.
#[derive(Debug, Clone)]
pub struct FundsMoved {
    /// The fund that the money left.
    pub from: Account,
    /// The fund that the money went to.
    pub to: Account,
}

/// An approval was given. A first person's request opens an approval. Another person gives or denies it, or the requester
/// withdraws it. Giving it carries out the change that was requested.
#[derive(Debug, Clone)]
pub struct ApprovalGiven {
    /// The approval.
    pub approval: Approval,
    /// The change that was carried out.
    pub carried_out: CarriedOut,
}

/// The change that was carried out when an approval was given. Each variant has the answer type of the command that
/// requested the change.
#[derive(Debug, Clone)]
pub enum CarriedOut {
    /// An offer was reopened.
    Reopened(Box<OfferChanged>),
    /// Money was put into a fund.
    Allocated(Box<FundChanged>),
    /// Money was taken out of a fund.
    Withdrawn(Box<FundChanged>),
    /// Money was moved between funds.
    Moved(Box<FundsMoved>),
    /// The entry position of a school was decided: see [`EntryDecided`].
    EntryDecided(EntryDecided),
}

/// An approval was denied, or withdrawn by its requester.
#[derive(Debug, Clone)]
pub struct ApprovalEnded {
    /// The approval.
    pub approval: Approval,
}

/// The entry position of a school was decided: whether the judgements with which it entered the year meet the rule.
#[derive(Debug, Clone)]
pub struct EntryDecided {
    /// The decision.
    pub decision: EntryDecision,
}

/// A referral was made or changed.
#[derive(Debug, Clone)]
pub struct ReferralChanged {
    /// The referral.
    pub referral: Referral,
}

/// A referral was decided.
#[derive(Debug, Clone)]
pub struct ReferralDecided {
    /// The referral.
    pub referral: Referral,
    /// The offer that was made or extended; `None` if the referral was declined.
    pub offer: Option<Offer>,
}

/// The text of an event was erased.
#[derive(Debug, Clone, Copy)]
pub struct TextErased {
    /// The event.
    pub event: Seq,
}

impl Answer for OfferChanged {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::Offers(offers) = any else { return None };
        only_element(offers).map(|offer| Self { offer })
    }
}

impl Answer for OffersChanged {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::Offers(offers) = any else { return None };
        Some(Self { offers })
    }
}

impl Answer for OfferEnded {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::OfferEnded(it) = any else { return None };
        Some(*it)
    }
}

impl Answer for IdentifyReport {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::Identified(it) = any else { return None };
        Some(*it)
    }
}

impl Answer for SchoolPlaced {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::Placed(it) = any else { return None };
        Some(it)
    }
}

impl Answer for AwardsMade {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::Awards(awards) = any else { return None };
        Some(Self { awards })
    }
}

impl Answer for AwardChanged {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::Awards(awards) = any else { return None };
        only_element(awards).map(|award| Self { award })
    }
}

impl Answer for DaysBooked {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AwardChanged { award } = AwardChanged::from_any(any)?;
        // Bookings are in the order in which they were made.
        let booking = award.bookings.last()?.seq;
        Some(Self { award, booking })
    }
}

impl Answer for FundChanged {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::Funds(funds) = any else { return None };
        only_element(funds).map(|fund| Self { fund })
    }
}

impl Answer for FundsMoved {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::Funds(funds) = any else { return None };
        let [from, to] = <[Account; 2]>::try_from(funds).ok()?;
        Some(Self { from, to })
    }
}

impl Answer for ApprovalGiven {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::ApprovalGiven(it) = any else { return None };
        Some(*it)
    }
}

impl Answer for ApprovalEnded {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::ApprovalEnded(it) = any else { return None };
        Some(*it)
    }
}

impl Answer for EntryDecided {
    /// Always returns `None`. The command never has an answer of its own: it opens an approval or is refused, so normally this
    /// is not called. The decision is returned as [`CarriedOut::EntryDecided`] when the approval is given.
    fn from_any(_: AnyAnswer) -> Option<Self> {
        None
    }
}

impl Answer for ReferralChanged {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let ReferralDecided { referral, offer: None } = ReferralDecided::from_any(any)? else { return None };
        Some(Self { referral })
    }
}

impl Answer for ReferralDecided {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::Referral(it) = any else { return None };
        Some(*it)
    }
}

impl Answer for TextErased {
    fn from_any(any: AnyAnswer) -> Option<Self> {
        let AnyAnswer::Erased(it) = any else { return None };
        Some(it)
    }
}

/// The element of a list that has exactly one element; `None` for other lists.
fn only_element<T>(list: Vec<T>) -> Option<T> {
    let [element] = <[T; 1]>::try_from(list).ok()?;
    Some(element)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(answer: AnyAnswer) -> CommandOutcome {
        CommandOutcome { programme: "2021-22".parse().unwrap(), answer, warnings: Vec::new(), decided_after: Seq(7) }
    }

    #[test]
    fn an_answer_of_another_command_is_a_bug() {
        let erased = outcome(AnyAnswer::Erased(TextErased { event: Seq(3) }));
        assert_eq!(erased.clone().typed::<TextErased>().unwrap().answer.event, Seq(3));
        assert!(matches!(erased.typed::<OfferChanged>(), Err(AppError::Bug(_))));
    }

    #[test]
    fn an_answer_with_too_few_entities_is_a_bug() {
        assert!(outcome(AnyAnswer::Offers(Vec::new())).typed::<OfferChanged>().is_err());
        assert!(outcome(AnyAnswer::Awards(Vec::new())).typed::<AwardChanged>().is_err());
        assert!(outcome(AnyAnswer::Funds(Vec::new())).typed::<FundChanged>().is_err());
        assert!(outcome(AnyAnswer::Funds(Vec::new())).typed::<FundsMoved>().is_err());
    }
}
