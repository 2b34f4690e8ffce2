//! Compares the service with the model: the answer to each command, then the state after it.

use tonic::Status;
use tsio::proto::{self, AwardState, FundEntry, GetFundPositionRequest, OfferState, Position};

use super::command::{Command, Odd};
use super::limits;
use super::rules::Answer;
use super::scheme::{Account, Award, BookingState, Open, Scheme, State, Strand, Wish};
use super::world::{Sent, World};
use crate::client::{YEAR, reason};
use crate::money::{amounts, balances, refusal};

/// One step: the command, what the model held before it, and how a failure names it.
pub(super) struct Step<'a> {
    pub(super) command: &'a Command,
    pub(super) before: &'a Scheme,
    pub(super) at: &'a str,
}

/// Checks that the service answered as the model did, and records the ids of created things.
pub(super) fn answered(
    world: &mut World,
    scheme: &mut Scheme,
    step: &Step<'_>,
    answer: Answer,
    sent: Result<Sent, Status>,
) {
    let at = step.at;
    match (answer, sent) {
        (Answer::Done, Ok(sent)) => number(world, step.command, sent, at),
        (Answer::Closed(released), Ok(sent)) => {
            let mut expected: Vec<_> =
                released.iter().map(|(award, amount)| (world.awards[*award].clone(), *amount)).collect();
            let mut released_awards: Vec<_> = sent.released.into_iter().map(|it| (it.award, it.amount)).collect();
            expected.sort();
            released_awards.sort();
            assert_eq!(released_awards, expected, "{at}");
        }
        (Answer::Waits(wish, on), Err(status)) if reason(&status) == "APPROVAL_REQUIRED" => {
            let approval = refusal(&status).approval;
            // The same call again names the approval that is already open.
            match world.approvals.iter().position(|it| *it == approval) {
                Some(known) => {
                    let waiting = &scheme.approvals[known];
                    assert!(
                        waiting.wish == wish && waiting.on == on && waiting.state == Open::Waits,
                        "{at}: {waiting:?}"
                    );
                }
                None => {
                    scheme.waits(wish, on);
                    world.approvals.push(approval);
                }
            }
        }
        (Answer::Refused(reasons), Err(status)) => {
            let reason = reason(&status);
            let as_of = reason == "FUNDS_INSUFFICIENT" && reasons.contains("AS_OF");
            assert!(as_of || reasons.contains(reason.as_str()), "{at}\nservice: {status:?}");
            numbers(world, step, &status);
            limits::named(step, &reasons, &status);
            limits::largest(step, &reasons, &status);
        }
        (_, sent) => panic!("{at}\nservice: {sent:?}"),
    }
}

/// Records the ids of the things that a command created.
fn number(world: &mut World, command: &Command, sent: Sent, at: &str) {
    match command {
        Command::CreateFund { .. } => world.funds.push(sent.fund.unwrap().fund),
        Command::Award { offer, lines, .. } => {
            assert_eq!(sent.awards.len(), lines.len(), "{at}");
            for award in sent.awards {
                world.awards.push(award.award);
                world.offers_of.push(*offer);
                world.in_days.push(award.strand == Strand::Nle.name());
                world.award_etags.push(award.etag);
                world.bookings.push(Vec::new());
            }
        }
        Command::Book { award, .. } => world.bookings[*award].push(sent.booking),
        _ => {}
    }
}

/// Checks the numbers of the cap and of the fund in the refusal of a single award.
fn numbers(world: &World, step: &Step<'_>, status: &Status) {
    let Step { command, before, at } = step;
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
        assert_eq!(numbers, expected.map(Some), "{at}");
    };
    if ["CAP_EXCEEDED", "FUNDS_INSUFFICIENT"].contains(&reason(status).as_str()) {
        if let Some(cap) = before.offers[*offer].clone().cap(line.strand) {
            check(limit_of_kind("cap"), cap, line.amount);
        }
        if let Some(fund) = before.fund_of(line.strand, *offer) {
            let limit = limit_of_kind("fund");
            assert!(limit.as_ref().is_none_or(|it| it.account.contains(&world.funds[fund])), "{at}: {limit:?}");
            check(limit, &before.funds[fund].account, line.amount);
        }
    }
}

/// Compares the balances of every fund.
pub(super) async fn funds(world: &World, scheme: &Scheme, at: &str) {
    let funds = world.client.funds(YEAR).await;
    assert_eq!(funds.len(), scheme.funds.len(), "{at}");
    for (id, model) in world.funds.iter().zip(&scheme.funds) {
        let fund = funds.iter().find(|it| it.fund == *id).unwrap();
        let Account { allocated, committed, spent } = model.account;
        assert_eq!(balances(fund), [allocated, committed, spent, model.account.available()], "{at}\n{fund:?}");
        assert_eq!((fund.over_committed, fund.binds), (model.over_committed(), model.binds()), "{at}\n{fund:?}");
        assert_eq!((fund.strand.as_str(), fund.region.as_str()), (model.strand.name(), model.region), "{at}");
    }
}

/// Compares the offer that a command changed.
pub(super) async fn offer_of(world: &mut World, scheme: &Scheme, command: &Command, at: &str) {
    let offer = match command {
        Command::Odd(Odd::Unknown, _) => return,
        Command::Odd(_, command) => return Box::pin(offer_of(world, scheme, command, at)).await,
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
            whole_award(world, scheme, *award, at).await;
            scheme.awards[*award].offer
        }
        Command::Give { approval, .. }
        | Command::Deny { approval, .. }
        | Command::WithdrawApproval { approval, .. } => match scheme.approvals[*approval].wish {
            Wish::Reopen(offer, _) => offer,
            _ => return,
        },
        Command::CreateFund { .. } | Command::Change { .. } => return,
    };
    whole_offer(world, scheme, offer, at).await;
}

/// Compares everything that a caller can read.
pub(super) async fn everything(world: &mut World, scheme: &Scheme, at: &str) {
    for offer in 0..scheme.offers.len() {
        whole_offer(world, scheme, offer, at).await;
    }
    for award in 0..scheme.awards.len() {
        whole_award(world, scheme, award, at).await;
    }
    for (id, model) in world.funds.iter().zip(&scheme.funds) {
        let entries = world.client.entries(id).await;
        positions(world, id, &entries, at).await;
        let mut told: Vec<_> =
            entries.iter().map(|it| (it.event_kind.as_str(), it.verb.as_str(), it.amount_pence)).collect();
        let mut expected = model.entries.clone();
        // Closing releases the awards one by one, in no fixed order.
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected, "{at}: entries of {id}");
    }
}

/// Checks a fund's balances as of some events, dates and moments: each is the sum of the entries up to there.
async fn positions(world: &World, fund: &str, entries: &[FundEntry], at: &str) {
    let some = entries.iter().step_by(entries.len() / 4 + 1);
    for (n, entry) in some.enumerate() {
        let request = GetFundPositionRequest {
            fund: fund.to_owned(),
            as_of_date: if n % 2 == 0 { entry.effective_date.clone() } else { String::new() },
            recorded_by_time: if n % 3 == 1 { entry.recorded_time } else { None },
            at_sequence: if n % 3 == 0 { entry.event_sequence } else { 0 },
        };
        let counts = |it: &&FundEntry| {
            let time = |it: prost_types::Timestamp| (it.seconds, it.nanos);
            (request.as_of_date.is_empty() || it.effective_date <= request.as_of_date)
                && (request.at_sequence == 0 || it.event_sequence <= request.at_sequence)
                && request.recorded_by_time.is_none_or(|by| it.recorded_time.map(time) <= Some(time(by)))
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
                other => panic!("{at}: {other}"),
            }
        }
        let expected = [account.allocated, account.committed, account.spent, account.available()];
        let answer = world.client.fund_service().get_fund_position(world.client.ask(request.clone())).await;
        let answer = answer.unwrap().into_inner();
        let told = |it: &Position| [it.allocated, it.committed, it.spent, it.available];
        assert_eq!(answer.position.as_ref().map(told), Some(expected), "{at}: {request:?}");
        let mut years = [0; 4];
        for year in &answer.financial_years {
            let moved = told(year.moved.as_ref().unwrap());
            years.iter_mut().zip(moved).for_each(|(sum, moved)| *sum += moved);
        }
        assert_eq!(years, expected, "{at}: by financial year: {answer:?}");
    }
}

async fn whole_offer(world: &mut World, scheme: &Scheme, offer: usize, at: &str) {
    let model = &scheme.offers[offer];
    let id = world.offers[offer].offer.clone();
    let whole = world.client.whole(&id).await;
    let seen = whole.offer.unwrap();
    let state = match model.state {
        State::Identified => OfferState::Identified,
        State::Contacted => OfferState::Contacted,
        State::Accepted => OfferState::Accepted,
        State::Delivering => OfferState::Delivering,
        State::Closed => OfferState::Closed,
    };
    assert_eq!((seen.state(), seen.contacts.len()), (state, model.contacts.len()), "{at}");
    let dates = [&model.accepted, &model.started].map(|it| it.clone().unwrap_or_default());
    assert_eq!([&seen.accepted_date, &seen.started_date].map(String::clone), dates, "{at}");
    let mut model = model.clone();
    for strand in [Strand::Nle, Strand::Credit] {
        let cap = whole.caps.iter().find(|it| it.strand == strand.name());
        let expected = if model.offered(strand) { model.cap(strand).copied() } else { None };
        let told = cap.map(|it| [it.allocated, it.committed, it.spent, it.available]);
        assert_eq!(told, expected.map(|it| [it.allocated, it.committed, it.spent, it.available()]), "{at}");
    }
    let of_offer: Vec<usize> = (0..scheme.awards.len()).filter(|it| scheme.awards[*it].offer == offer).collect();
    assert_eq!(whole.awards.len(), of_offer.len(), "{at}");
    for (seen, award) in whole.awards.iter().zip(of_offer) {
        assert_eq!(seen.award, world.awards[award], "{at}");
        award_agrees(world, seen, scheme, award, at);
        world.award_etags[award].clone_from(&seen.etag);
    }
    let kinds: Vec<String> = world.client.events(&id).await.into_iter().map(|it| it.kind).collect();
    assert_eq!(kinds, model.events, "{at}");
    world.offer_etags[offer].clone_from(&seen.etag);
}

fn award_agrees(world: &World, seen: &proto::Award, scheme: &Scheme, award: usize, at: &str) {
    let model: &Award = &scheme.awards[award];
    let expected = [model.awarded, model.drawn, model.released, model.refunded, model.committed()];
    assert_eq!(amounts(seen), expected, "{at}\n{seen:?}");
    let state = if model.committed() == 0 { AwardState::Settled } else { AwardState::Open };
    assert_eq!((seen.state(), seen.strand.as_str()), (state, model.strand.name()), "{at}");
    assert_eq!((&seen.fund, &seen.offer), (&world.funds[model.fund], &world.offers[model.offer].offer), "{at}");
}

async fn whole_award(world: &mut World, scheme: &Scheme, award: usize, at: &str) {
    let model = &scheme.awards[award];
    let seen = world.client.get_award(&world.awards[award]).await;
    award_agrees(world, &seen, scheme, award, at);
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
    assert_eq!(bookings, expected.collect::<Vec<_>>(), "{at}");
    let invoices: Vec<(String, i64, i64)> =
        seen.invoices.into_iter().map(|it| (it.reference, it.amount_pence, it.refunded_pence)).collect();
    let pence = |amount| model.strand.cost(amount);
    let expected = model.invoices.iter().map(|it| (it.reference.clone(), pence(it.amount), pence(it.refunded)));
    assert_eq!(invoices, expected.collect::<Vec<_>>(), "{at}");
}
