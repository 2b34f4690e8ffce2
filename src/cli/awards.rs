//! `tsio awards`: makes awards, and books, draws, releases and refunds them.
//!
//! Every mutation prints the award in its new state; a bundle prints all of its awards. The server checks caps and funds.

mod args;
mod bundle;
#[cfg(test)]
mod tests;

use prost::{Message, Name};

pub(super) use self::args::AwardsCommand;
use self::args::{ChangeCommand, HowMuch, ListArgs, MakeCommand, Making};
use super::args::PROGRAMME;
use super::errors::Failure;
use super::json::{self, Json, Object};
use super::offers::warn;
use super::output::{self, field_lines, parts};
use super::session::{PAGE, Session, every_page};
use super::view::awards as view;
use crate::proto::{
    Award, AwardState, BookDaysRequest, CancelBookingRequest, CheckAwardRequest, CreateAwardsRequest, DrawAwardRequest,
    GetAwardRequest, LeaderKind, ListAwardsRequest, NewAward, RefundAwardRequest, ReleaseAwardRequest,
    UndoMovementRequest, Warning, draw_award_request, refund_award_request, release_award_request,
};

/// Checks the arguments beyond what the parser can check.
///
/// # Errors
/// [`Failure::Usage`] if a required amount is missing.
pub(super) fn check(command: &AwardsCommand) -> Result<(), Failure> {
    let missing = match command {
        AwardsCommand::Change(ChangeCommand::Draw { much, booking: None, .. }) if much.is_unsaid() => {
            "--days or --amount is required, unless --booking says which days were delivered"
        }
        AwardsCommand::Change(ChangeCommand::Refund { much, .. }) if much.is_unsaid() => {
            "--amount or --days is required"
        }
        _ => return Ok(()),
    };
    Err(Failure::Usage(missing.to_owned()))
}

pub(super) async fn run(command: AwardsCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        AwardsCommand::Make(command) => make(command, session).await,
        AwardsCommand::Show { award } => {
            let answer =
                session.services.awards().get_award(session.call(GetAwardRequest { award })).await?.into_inner();
            session.print(|| json::of(&answer), || text(answer.award.as_ref()))
        }
        AwardsCommand::List(args) => list(args, session).await,
        AwardsCommand::Change(command) => change(command, session).await,
    }
}

async fn make(command: MakeCommand, session: &Session<'_>) -> Result<(), Failure> {
    let (offer, award, making) = match command {
        MakeCommand::Nle { offer, days, leader, organisation, leader_kind, making } => {
            (offer, bundle::nle(days, leader, organisation, leader_kind), making)
        }
        MakeCommand::Credit { offer, amount, partner, suitable_because, making } => {
            (offer, bundle::credit(amount, partner, suitable_because), making)
        }
        MakeCommand::Nlg { offer, amount, because, leader, organisation, making } => {
            (offer, bundle::nlg(amount, because, leader, organisation), making)
        }
        MakeCommand::Npqel { offer, amount, leader, provider, because, making } => {
            (offer, bundle::npqel(amount, leader, provider, because), making)
        }
        MakeCommand::Bundle { offer, file, making } => {
            let awards = bundle::read(&file).await?;
            let made = make_all(offer, awards, making, session).await?;
            return session
                .print(|| made.awards.iter().map(|it| made.json(it)).collect::<Json>(), || view::rows(&made.awards));
        }
    };
    let made = make_all(offer, vec![award], making, session).await?;
    let one = made.awards.first();
    session.print(|| one.map(|it| made.json(it)).unwrap_or_default(), || text(one))
}

fn text(award: Option<&Award>) -> String {
    award.map(view::one).unwrap_or_default()
}

/// Awards that were made, or would be made.
struct Made {
    awards: Vec<Award>,
    warnings: Vec<Warning>,
    /// The last event that a check has seen; `None` if the awards were made.
    decided_after: Option<i64>,
}

impl Made {
    /// One award as JSON, with the warnings of all.
    fn json(&self, award: &Award) -> Object {
        let made = json::of(award).with("warnings", json::list(&self.warnings));
        match self.decided_after {
            Some(sequence) => made.with("judged_at_sequence", sequence),
            None => made,
        }
    }
}

/// Makes awards, or only checks them.
async fn make_all(
    offer: String,
    awards: Vec<NewAward>,
    making: Making,
    session: &Session<'_>,
) -> Result<Made, Failure> {
    let (date, etag) = (making.on.unwrap_or_default(), making.etag.unwrap_or_default());
    let (awards, warnings, decided_after) = if making.check {
        let request = CheckAwardRequest { offer, awards, date, etag };
        let answer = session.services.awards().check_award(session.call(request)).await?.into_inner();
        output::remark("checked only: nothing was written");
        (answer.awards, answer.warnings, Some(answer.judged_at_sequence))
    } else {
        let request_id = session.request_id();
        let request = CreateAwardsRequest { request_id, offer, awards, date, etag, validate_only: false };
        let answer = session.services.awards().create_awards(session.call(request)).await?.into_inner();
        (answer.awards, answer.warnings, None)
    };
    warn(&warnings);
    Ok(Made { awards, warnings, decided_after })
}

async fn list(args: ListArgs, session: &Session<'_>) -> Result<(), Failure> {
    let default_programme = args.offer.is_none().then(|| PROGRAMME.to_owned());
    let first = ListAwardsRequest {
        offer: args.offer.unwrap_or_default(),
        programme: args.programme.or(default_programme).unwrap_or_default(),
        strand: args.strand.unwrap_or_default(),
        state: args.state.unwrap_or(AwardState::Unspecified).into(),
        page_size: PAGE,
        filter: args.query.filter,
        order_by: args.query.order_by,
        page_token: String::new(),
    };
    let awards = every_page(async |page_token| {
        let request = ListAwardsRequest { page_token, ..first.clone() };
        let answer = session.services.awards().list_awards(session.call(request)).await?.into_inner();
        Ok((answer.awards, answer.next_page_token))
    });
    let awards = awards.await?;
    session.print(|| json::list(&awards), || view::rows(&awards))
}

/// Runs a command that changes one award, and prints the award in its new state.
async fn change(command: ChangeCommand, session: &Session<'_>) -> Result<(), Failure> {
    let (mut awards, request_id, validate_only) = (session.services.awards(), session.request_id(), false);
    match command {
        ChangeCommand::Book { which, days, on, leader, leader_kind } => {
            let (award, etag) = which.parts();
            let request = BookDaysRequest {
                request_id,
                award,
                half_days: days,
                date: on,
                leader: leader.unwrap_or_default(),
                leader_kind: leader_kind.unwrap_or(LeaderKind::Unspecified).into(),
                etag,
                validate_only,
            };
            let answer = awards.book_days(session.call(request)).await?.into_inner();
            warn(&answer.warnings);
            let booked = field_lines([("booking", answer.booking.to_string())]);
            session.print(|| json::of(&answer), || parts([booked, text(answer.award.as_ref())]))
        }
        ChangeCommand::Cancel { which, booking } => {
            let (award, etag) = which.parts();
            let request = CancelBookingRequest { request_id, award, booking, etag, validate_only };
            let answer = awards.cancel_booking(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.award.as_ref(), &[])
        }
        ChangeCommand::Draw { which, much, on, booking, invoice, issuer, total, note } => {
            let (award, etag) = which.parts();
            let request = DrawAwardRequest {
                request_id,
                award,
                amount: much.into(),
                date: on,
                booking: booking.unwrap_or_default(),
                invoice: invoice.unwrap_or_default(),
                note: note.unwrap_or_default(),
                etag,
                validate_only,
                issuer: issuer.unwrap_or_default(),
                total_pence: total.unwrap_or_default(),
            };
            let answer = awards.draw_award(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.award.as_ref(), &answer.warnings)
        }
        ChangeCommand::Release { which, much, on, note } => {
            let (award, etag) = which.parts();
            let (amount, date, note) = (much.into(), on.unwrap_or_default(), note.unwrap_or_default());
            let request = ReleaseAwardRequest { request_id, award, amount, date, note, etag, validate_only };
            let answer = awards.release_award(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.award.as_ref(), &answer.warnings)
        }
        ChangeCommand::Refund { which, much, reason, on, invoice, issuer } => {
            let (award, etag) = which.parts();
            let (amount, date) = (much.into(), on.unwrap_or_default());
            let (invoice, issuer) = (invoice.unwrap_or_default(), issuer.unwrap_or_default());
            let request =
                RefundAwardRequest { request_id, award, amount, reason, date, invoice, issuer, etag, validate_only };
            let answer = awards.refund_award(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.award.as_ref(), &answer.warnings)
        }
        ChangeCommand::Undo { which, event: sequence, reason } => {
            let (award, etag) = which.parts();
            let request = UndoMovementRequest { request_id, award, sequence, reason, etag, validate_only };
            let answer = awards.undo_movement(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.award.as_ref(), &[])
        }
    }
}

fn changed<M: Message + Name>(
    session: &Session<'_>,
    answer: &M,
    award: Option<&Award>,
    warnings: &[Warning],
) -> Result<(), Failure> {
    warn(warnings);
    session.print(|| json::changed(answer), || text(award))
}

/// Converts an amount to the type of each message.
macro_rules! amounts {
    ($($message:ident),+) => {$(
        impl From<HowMuch> for Option<$message::Amount> {
            fn from(much: HowMuch) -> Self {
                let days = much.days.map($message::Amount::HalfDays);
                days.or(much.amount.map($message::Amount::AmountPence))
            }
        }
    )+};
}

amounts!(draw_award_request, release_award_request, refund_award_request);
