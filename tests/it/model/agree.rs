//! Compares the service with the model: the answer to each command, then the state after it.

use tonic::Status;
use tsio::proto::{self, AwardState, FundEntry, GetFundPositionRequest, OfferState, Position};

use super::command::{Command, Mistake};
use super::limits;
use super::rules::Answer;
use super::scheme::{Account, ApprovalState, Award, BookingState, RequestedChange, Scheme, State, Strand};
use super::world::{CallResponse, World};
use crate::client::{YEAR, reason};
use crate::money::{amounts, balances, refusal};

/// A command of the sequence.
pub(super) struct Step<'a> {
    pub(super) command: &'a Command,
    /// The state of the model before the command.
    pub(super) before: &'a Scheme,
    /// The text that describes the step in a failure.
    pub(super) context: &'a str,
}

/// Checks that the service and the model gave the same answer. Records the ids of what the command created.
pub(super) fn check_answer(
    world: &mut World,
    scheme: &mut Scheme,
    step: &Step<'_>,
    answer: Answer,
    response: Result<CallResponse, Status>,
) {
    let context = step.context;
    match (answer, response) {
        (Answer::Done, Ok(response)) => record_ids(world, step.command, response, context),
        (Answer::Closed(released), Ok(response)) => {
            let mut expected: Vec<_> =
                released.iter().map(|(award, amount)| (world.awards[*award].clone(), *amount)).collect();
            let mut released_awards: Vec<_> = response.released.into_iter().map(|it| (it.award, it.amount)).collect();
            expected.sort();
            released_awards.sort();
            assert_eq!(released_awards, expected, "{context}");
        }
        (Answer::NeedsApproval(requested_change, on), Err(status)) if reason(&status) == "APPROVAL_REQUIRED" => {
            let approval = refusal(&status).approval;
            // If an approval of the same change is open, the service names it and does not open another.
            match world.approvals.iter().position(|it| *it == approval) {
                Some(open) => {
                    let waiting = &scheme.approvals[open];
                    assert!(
                        waiting.requested_change == requested_change
                            && waiting.on == on
                            && waiting.state == ApprovalState::Open,
                        "{context}: {waiting:?}"
                    );
                }
                None => {
                    scheme.open_approval(requested_change, on);
                    world.approvals.push(approval);
                }
            }
        }
        (Answer::Refused(reasons), Err(status)) => {
            let reason = reason(&status);
            let as_of = reason == "FUNDS_INSUFFICIENT" && reasons.contains("AS_OF");
            assert!(as_of || reasons.contains(reason.as_str()), "{context}\nservice: {status:?}");
            check_limit_amounts(world, step, &status);
            limits::check_kinds(step, &reasons, &status);
            limits::check_largest(step, &reasons, &status);
        }
        (_, response) => panic!("{context}\nservice: {response:?}"),
    }
}

/// Records the ids of the fund, awards or booking that a command created.
fn record_ids(world: &mut World, command: &Command, response: CallResponse, context: &str) {
    match command {
        Command::CreateFund { .. } => world.funds.push(response.fund.unwrap().fund),
        Command::Award { offer, lines, .. } => {
            assert_eq!(response.awards.len(), lines.len(), "{context}");
            for award in response.awards {
                world.awards.push(award.award);
                world.award_offers.push(*offer);
                world.counts_half_days.push(award.strand == Strand::Nle.name());
                world.award_etags.push(award.etag);
                world.bookings.push(Vec::new());
            }
        }
        Command::Book { award, .. } => world.bookings[*award].push(response.booking),
        _ => {}
    }
}

/// Checks the amounts of the cap and of the fund in the refusal of a single award.
fn check_limit_amounts(world: &World, step: &Step<'_>, status: &Status) {
    let Step { command, before, context } = step;
    let Command::Award { offer, lines, .. } = command else { return };
    let [line] = lines.as_slice() else { return };
    let limit_of_kind = |kind: &str| {
        let limits = refusal(status).limits;
        limits.into_iter().find(|it| it.kind == kind && it.limit.is_some())
    };
    let check = |limit: Option<proto::Limit>, account: &Account, requested: i64| {
        let Some(limit) = limit else { return };
        let expected = [account.allocated, account.committed, account.spent, account.available(), requested];
        let numbers = [limit.limit, limit.committed, limit.spent, limit.available, limit.requested];
        assert_eq!(numbers, expected.map(Some), "{context}");
    };
    if ["CAP_EXCEEDED", "FUNDS_INSUFFICIENT"].contains(&reason(status).as_str()) {
        if let Some(cap) = before.offers[*offer].clone().cap(line.strand) {
            check(limit_of_kind("cap"), cap, line.amount);
        }
        if let Some(fund) = before.fund_of(line.strand, *offer) {
            let limit = limit_of_kind("fund");
            assert!(limit.as_ref().is_none_or(|it| it.account.contains(&world.funds[fund])), "{context}: {limit:?}");
            check(limit, &before.funds[fund].account, line.amount);
        }
    }
}

/// Compares the balances of every fund.
pub(super) async fn check_funds(world: &World, scheme: &Scheme, context: &str) {
    let funds = world.client.funds(YEAR).await;
    assert_eq!(funds.len(), scheme.funds.len(), "{context}");
    for (id, model) in world.funds.iter().zip(&scheme.funds) {
        let fund = funds.iter().find(|it| it.fund == *id).unwrap();
        let Account { allocated, committed, spent } = model.account;
        assert_eq!(balances(fund), [allocated, committed, spent, model.account.available()], "{context}\n{fund:?}");
        assert_eq!((fund.over_committed, fund.binds), (model.over_committed(), model.binds()), "{context}\n{fund:?}");
        assert_eq!((fund.strand.as_str(), fund.region.as_str()), (model.strand.name(), model.region), "{context}");
    }
}

/// Compares the offer and the award that a command changed.
pub(super) async fn check_changed_offer(world: &mut World, scheme: &Scheme, command: &Command, context: &str) {
    let offer = match command {
        Command::WithMistake(Mistake::UnknownId, _) => return,
        Command::WithMistake(_, command) => {
            return Box::pin(check_changed_offer(world, scheme, command, context)).await;
        }
        Command::Contact { offer, .. }
        | Command::Accept { offer, .. }
        | Command::Decline { offer, .. }
        | Command::Start { offer, .. }
        | Command::CorrectDate { offer, .. }
        | Command::Close { offer, .. }
        | Command::Reopen { offer }
        | Command::Award { offer, .. } => *offer,
        Command::Book { award, .. }
        | Command::Cancel { award, .. }
        | Command::Draw { award, .. }
        | Command::Release { award, .. }
        | Command::Refund { award, .. }
        | Command::Undo { award, .. } => {
            check_award(world, scheme, *award, context).await;
            scheme.awards[*award].offer
        }
        Command::Give { approval, .. }
        | Command::Deny { approval, .. }
        | Command::WithdrawApproval { approval, .. } => match scheme.approvals[*approval].requested_change {
            RequestedChange::Reopen(offer, _) => offer,
            _ => return,
        },
        Command::CreateFund { .. } | Command::Change { .. } => return,
    };
    check_offer(world, scheme, offer, context).await;
}

/// Compares everything that a caller can read.
pub(super) async fn check_everything(world: &mut World, scheme: &Scheme, context: &str) {
    for offer in 0..scheme.offers.len() {
        check_offer(world, scheme, offer, context).await;
    }
    for award in 0..scheme.awards.len() {
        check_award(world, scheme, award, context).await;
    }
    for (id, model) in world.funds.iter().zip(&scheme.funds) {
        let entries = world.client.entries(id).await;
        check_positions(world, id, &entries, context).await;
        let mut received: Vec<_> =
            entries.iter().map(|it| (it.event_kind.as_str(), it.verb.as_str(), it.amount_pence)).collect();
        let mut expected = model.entries.clone();
        // When an offer is closed, the order in which its awards are released is not fixed.
        received.sort_unstable();
        expected.sort_unstable();
        assert_eq!(received, expected, "{context}: entries of {id}");
    }
}

/// Checks a fund's balances as of some events, dates and times. Each balance is the sum of the entries up to it, and also the
/// sum of the financial years.
async fn check_positions(world: &World, fund: &str, entries: &[FundEntry], context: &str) {
    let some_entries = entries.iter().step_by(entries.len() / 4 + 1);
    for (index, entry) in some_entries.enumerate() {
        let request = GetFundPositionRequest {
            fund: fund.to_owned(),
            as_of_date: if index % 2 == 0 { entry.effective_date.clone() } else { String::new() },
            recorded_by_time: if index % 3 == 1 { entry.recorded_time } else { None },
            at_sequence: if index % 3 == 0 { entry.event_sequence } else { 0 },
        };
        let counts = |it: &&FundEntry| {
            let time = |it: prost_types::Timestamp| (it.seconds, it.nanos);
            (request.as_of_date.is_empty() || it.effective_date <= request.as_of_date)
                && (request.at_sequence == 0 || it.event_sequence <= request.at_sequence)
                && request.recorded_by_time.is_none_or(|latest| it.recorded_time.map(time) <= Some(time(latest)))
        };
        let mut account = Account::of(0);
        for it in entries.iter().filter(counts) {
            match it.verb.as_str() {
                "allocate" => account.allocated += it.amount_pence,
                "withdraw" => account.allocated -= it.amount_pence,
                "commit" => account.committed += it.amount_pence,
                "release" => account.committed -= it.amount_pence,
                "spend" => {
                    account.committed -= it.amount_pence;
                    account.spent += it.amount_pence;
                }
                "refund" => account.spent -= it.amount_pence,
                other => panic!("{context}: {other}"),
            }
        }
        let expected = [account.allocated, account.committed, account.spent, account.available()];
        let answer = world.client.fund_service().get_fund_position(world.client.ask(request.clone())).await;
        let answer = answer.unwrap().into_inner();
        let position_amounts = |it: &Position| [it.allocated, it.committed, it.spent, it.available];
        assert_eq!(answer.position.as_ref().map(position_amounts), Some(expected), "{context}: {request:?}");
        let mut years = [0; 4];
        for year in &answer.financial_years {
            let changes = position_amounts(year.moved.as_ref().unwrap());
            years.iter_mut().zip(changes).for_each(|(sum, change)| *sum += change);
        }
        assert_eq!(years, expected, "{context}: the sum of the financial years: {answer:?}");
    }
}

async fn check_offer(world: &mut World, scheme: &Scheme, offer: usize, context: &str) {
    let model = &scheme.offers[offer];
    let id = world.offers[offer].offer.clone();
    let whole = world.client.offer_details(&id).await;
    let seen = whole.offer.unwrap();
    let state = match model.state {
        State::Identified => OfferState::Identified,
        State::Contacted => OfferState::Contacted,
        State::Accepted => OfferState::Accepted,
        State::Delivering => OfferState::Delivering,
        State::Closed => OfferState::Closed,
    };
    assert_eq!((seen.state(), seen.contacts.len()), (state, model.contacts.len()), "{context}");
    let dates = [&model.accepted, &model.started].map(|it| it.clone().unwrap_or_default());
    assert_eq!([&seen.accepted_date, &seen.started_date].map(String::clone), dates, "{context}");
    let mut model = model.clone();
    for strand in [Strand::Nle, Strand::Credit] {
        let cap = whole.caps.iter().find(|it| it.strand == strand.name());
        let expected = if model.offered(strand) { model.cap(strand).copied() } else { None };
        let received = cap.map(|it| [it.allocated, it.committed, it.spent, it.available]);
        assert_eq!(received, expected.map(|it| [it.allocated, it.committed, it.spent, it.available()]), "{context}");
    }
    let of_offer: Vec<usize> = (0..scheme.awards.len()).filter(|it| scheme.awards[*it].offer == offer).collect();
    assert_eq!(whole.awards.len(), of_offer.len(), "{context}");
    for (seen, award) in whole.awards.iter().zip(of_offer) {
        assert_eq!(seen.award, world.awards[award], "{context}");
        compare_award(world, seen, scheme, award, context);
        world.award_etags[award].clone_from(&seen.etag);
    }
    let kinds: Vec<String> = world.client.events(&id).await.into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, model.events, "{context}");
    world.offer_etags[offer].clone_from(&seen.etag);
}

fn compare_award(world: &World, seen: &proto::Award, scheme: &Scheme, award: usize, context: &str) {
    let model: &Award = &scheme.awards[award];
    let expected = [model.awarded, model.drawn, model.released, model.refunded, model.committed()];
    assert_eq!(amounts(seen), expected, "{context}\n{seen:?}");
    let state = if model.committed() == 0 { AwardState::Settled } else { AwardState::Open };
    assert_eq!((seen.state(), seen.strand.as_str()), (state, model.strand.name()), "{context}");
    assert_eq!((&seen.fund, &seen.offer), (&world.funds[model.fund], &world.offers[model.offer].offer), "{context}");
}

async fn check_award(world: &mut World, scheme: &Scheme, award: usize, context: &str) {
    let model = &scheme.awards[award];
    let seen = world.client.get_award(&world.awards[award]).await;
    compare_award(world, &seen, scheme, award, context);
    let bookings: Vec<(i64, i64, i32)> =
        seen.bookings.iter().map(|it| (it.booking, i64::from(it.half_days), it.state)).collect();
    let expected = model.bookings.iter().zip(&world.bookings[award]).map(|(booking, number)| {
        let state = match booking.state {
            BookingState::Booked => proto::BookingState::Booked,
            BookingState::Delivered => proto::BookingState::Delivered,
            BookingState::Cancelled => proto::BookingState::Cancelled,
        };
        (*number, booking.half_days, state.into())
    });
    assert_eq!(bookings, expected.collect::<Vec<_>>(), "{context}");
    let invoices: Vec<(String, i64, i64)> =
        seen.invoices.into_iter().map(|it| (it.reference, it.amount_pence, it.refunded_pence)).collect();
    let pence = |amount| model.strand.cost(amount);
    let expected = model.invoices.iter().map(|it| (it.reference.clone(), pence(it.amount), pence(it.refunded)));
    assert_eq!(invoices, expected.collect::<Vec<_>>(), "{context}");
}
