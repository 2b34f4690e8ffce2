//! `tsio awards`: makes awards, and books, draws, releases and refunds them.
//!
//! Every mutation prints the award in its new state; a bundle prints all of its awards. The server checks caps and funds.

mod args;
mod bundle;
#[cfg(test)]
mod tests;

use prost::{Message, Name};

pub(super) use self::args::AwardsCommand;
use self::args::{AmountArg, ChangeCommand, ListArgs, MakeArgs, MakeCommand};
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
        AwardsCommand::Change(ChangeCommand::Draw { amount, booking: None, .. }) if amount.is_missing() => {
            "--days or --amount is required, unless --booking says which days were delivered"
        }
        AwardsCommand::Change(ChangeCommand::Refund { amount, .. }) if amount.is_missing() => {
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

/// Makes the awards of a command, and prints them.
async fn make(command: MakeCommand, session: &Session<'_>) -> Result<(), Failure> {
    let (offer, award, args) = match command {
        MakeCommand::Nle { offer, days, leader, organisation, leader_kind, args } => {
            (offer, bundle::nle(days, leader, organisation, leader_kind), args)
        }
        MakeCommand::Credit { offer, amount, partner, suitable_because, args } => {
            (offer, bundle::credit(amount, partner, suitable_because), args)
        }
        MakeCommand::Nlg { offer, amount, because, leader, organisation, args } => {
            (offer, bundle::nlg(amount, because, leader, organisation), args)
        }
        MakeCommand::Npqel { offer, amount, leader, provider, because, args } => {
            (offer, bundle::npqel(amount, leader, provider, because), args)
        }
        MakeCommand::Bundle { offer, file, args } => {
            let awards = bundle::read(&file).await?;
            let made = make_all(offer, awards, args, session).await?;
            return session
                .print(|| made.awards.iter().map(|it| made.json(it)).collect::<Json>(), || view::rows(&made.awards));
        }
    };
    let made = make_all(offer, vec![award], args, session).await?;
    let award = made.awards.first();
    session.print(|| award.map(|it| made.json(it)).unwrap_or_default(), || text(award))
}

/// Formats an award; empty if the answer has none.
fn text(award: Option<&Award>) -> String {
    award.map(view::detail).unwrap_or_default()
}

/// Awards that were made, or that a check would make.
struct MadeAwards {
    awards: Vec<Award>,
    warnings: Vec<Warning>,
    /// The number of the last event that a check has used; `None` if the awards were made.
    judged_at_sequence: Option<i64>,
}

impl MadeAwards {
    /// Returns one of the awards as JSON, with the warnings of the whole request.
    fn json(&self, award: &Award) -> Object {
        let object = json::of(award).with("warnings", json::list(&self.warnings));
        match self.judged_at_sequence {
            Some(sequence) => object.with("judged_at_sequence", sequence),
            None => object,
        }
    }
}

/// Makes the awards, or only checks them if `--check` is given. Prints the warnings on stderr.
async fn make_all(
    offer: String,
    awards: Vec<NewAward>,
    args: MakeArgs,
    session: &Session<'_>,
) -> Result<MadeAwards, Failure> {
    let (date, etag) = (args.on.unwrap_or_default(), args.etag.unwrap_or_default());
    let (awards, warnings, judged_at_sequence) = if args.check {
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
    Ok(MadeAwards { awards, warnings, judged_at_sequence })
}

async fn list(args: ListArgs, session: &Session<'_>) -> Result<(), Failure> {
    let first_request = ListAwardsRequest {
        programme: if args.offer.is_none() { session.programme() } else { String::new() },
        offer: args.offer.unwrap_or_default(),
        strand: args.strand.unwrap_or_default(),
        state: args.state.unwrap_or(AwardState::Unspecified).into(),
        page_size: PAGE,
        filter: args.query.filter,
        order_by: args.query.order_by,
        page_token: String::new(),
    };
    let awards = every_page(async |page_token| {
        let request = ListAwardsRequest { page_token, ..first_request.clone() };
        let answer = session.services.awards().list_awards(session.call(request)).await?.into_inner();
        Ok((answer.awards, answer.next_page_token))
    });
    let awards = awards.await?;
    session.print_list(&awards, &args.query.output, json::of, view::rows)
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
            let booking = field_lines([("booking", answer.booking.to_string())]);
            session.print(|| json::of(&answer), || parts([booking, text(answer.award.as_ref())]))
        }
        ChangeCommand::Cancel { which, booking } => {
            let (award, etag) = which.parts();
            let request = CancelBookingRequest { request_id, award, booking, etag, validate_only };
            let answer = awards.cancel_booking(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.award.as_ref(), &[])
        }
        ChangeCommand::Draw { which, amount, on, booking, invoice, issuer, total, note } => {
            let (award, etag) = which.parts();
            let request = DrawAwardRequest {
                request_id,
                award,
                amount: amount.into(),
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
        ChangeCommand::Release { which, amount, on, note } => {
            let (award, etag) = which.parts();
            let (amount, date, note) = (amount.into(), on.unwrap_or_default(), note.unwrap_or_default());
            let request = ReleaseAwardRequest { request_id, award, amount, date, note, etag, validate_only };
            let answer = awards.release_award(session.call(request)).await?.into_inner();
            changed(session, &answer, answer.award.as_ref(), &answer.warnings)
        }
        ChangeCommand::Refund { which, amount, reason, on, invoice, issuer } => {
            let (award, etag) = which.parts();
            let (amount, date) = (amount.into(), on.unwrap_or_default());
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

/// Prints the warnings of a command on stderr, and the award in its new state.
fn changed<M: Message + Name>(
    session: &Session<'_>,
    answer: &M,
    award: Option<&Award>,
    warnings: &[Warning],
) -> Result<(), Failure> {
    warn(warnings);
    session.print(|| json::changed(answer), || text(award))
}

/// Implements the conversion of an amount argument to the amount type of each of these messages. Without an amount it is `None`.
macro_rules! convert_amounts {
    ($($message:ident),+) => {$(
        impl From<AmountArg> for Option<$message::Amount> {
            fn from(arg: AmountArg) -> Self {
                let days = arg.days.map($message::Amount::HalfDays);
                days.or(arg.amount.map($message::Amount::AmountPence))
            }
        }
    )+};
}

convert_amounts!(draw_award_request, release_award_request, refund_award_request);
