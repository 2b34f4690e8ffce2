//! Tests of the order of commands, which have to control when a command is queued and what time the clock shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use chrono::{DateTime, TimeDelta};
use futures_util::future::{join, join_all};

use super::{AnswerEncoders, AppError, BATCH_COMMANDS, CommandOutcome, Submission};
use crate::app::answers::FundChanged;
use crate::app::clock::Clock;
use crate::app::testing::{
    AUGUST, EMPTY_ENCODERS, LAST_MONTH, MARCH, MONTHS, TestApp, date, note, offers, programme, submission, submit,
    treasurer,
};
use crate::domain::event::Seq;
use crate::domain::ids::{AccountId, RequestId};
use crate::domain::ledger::fund_change::FundChange;
use crate::domain::money::Pence;
use crate::domain::programme::Command;
use crate::domain::refusal::{LimitKind, Reason};
use crate::domain::role::Reach;
use crate::domain::terms::StrandId;
use crate::store::events;

#[tokio::test]
async fn the_commands_of_a_programme_are_recorded_in_their_order_over_batches() {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..1]].concat()).await;
    let programme_name = programme("2021-22");
    let offers = offers(&test_app, &programme_name).await;
    let permit = test_app.app.store().batch_permit().await.unwrap();
    let queued = (0..BATCH_COMMANDS + 100).map(|n| submit(&test_app, &programme_name, note(offers[n % offers.len()])));
    let (sent, ()) = join(join_all(queued), async { drop(permit) }).await;
    let sent: Vec<RequestId> = sent.into_iter().map(|it| it.unwrap()).collect();
    // The first events are the adoption of the rules and one for each offer.
    let last_before = Seq(1 + i64::try_from(offers.len()).unwrap());
    let recorded = events::page(test_app.app.store(), &programme_name, last_before, 10_000).await.unwrap();
    let recorded: Vec<RequestId> = recorded.into_iter().map(|it| it.event.request).collect();
    assert_eq!(recorded, sent);
}

#[tokio::test]
async fn programmes_that_share_a_writer_take_turns() {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..1], &MARCH[..], &[LAST_MONTH]].concat()).await;
    let (busy, quiet) = (programme("2021-22"), programme("2022-23"));
    let (busy_offers, quiet_offers) = (offers(&test_app, &busy).await, offers(&test_app, &quiet).await);
    let permit = test_app.app.store().batch_permit().await.unwrap();
    let answered = AtomicUsize::new(0);
    let flood = join_all((0..3 * BATCH_COMMANDS).map(|n| {
        let request = submit(&test_app, &busy, note(busy_offers[n % busy_offers.len()]));
        async {
            request.await.unwrap();
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let single = async {
        submit(&test_app, &quiet, note(quiet_offers[0])).await.unwrap();
        answered.load(Ordering::Relaxed)
    };
    let ((_, answered_before), ()) = join(join(flood, single), async { drop(permit) }).await;
    // The flood was queued first, so it may be one batch ahead, but never two.
    assert!(
        answered_before < 2 * BATCH_COMMANDS,
        "{answered_before} commands of the flood were answered before the single one"
    );
}

/// The clock is set 20 seconds back after an event was recorded just after midnight, so that it shows the day before.
#[tokio::test]
async fn the_state_is_loaded_for_the_day_of_the_decision() {
    let seconds_behind = Arc::new(AtomicI64::new(0));
    let (seconds, at) = (Arc::clone(&seconds_behind), "2022-02-01T00:00:10Z".parse::<DateTime<_>>().unwrap());
    let test_app =
        TestApp::with_clock(Clock::of(move || at - TimeDelta::seconds(seconds.load(Ordering::Relaxed)))).await;
    let programme_name = programme("2021-22");
    let create = Command::CreateFund { strand: StrandId::new("credit"), region: None };
    let answer = |it: CommandOutcome| Ok(it.typed::<FundChanged>()?.answer.fund.id.0.as_bytes().to_vec());
    let encoders = AnswerEncoders { answer, ..EMPTY_ENCODERS };
    let writer = &test_app.app.inner.writer;
    let fund = writer.submit(Submission { encoders, ..submission(&programme_name, create) }).await.unwrap();
    let fund = AccountId(uuid::Uuid::from_slice(&fund).unwrap());
    let change = |change| Command::ChangeFund { change, etag: None, text: None };
    let allocate = change(FundChange::Allocate { fund, amount: Pence(10_000), on: date("2022-02-01") });
    writer.submit(submission(&programme_name, allocate)).await.unwrap();

    seconds_behind.store(20, Ordering::Relaxed);
    // As of the last day of January the fund was empty.
    let withdraw =
        change(FundChange::Withdraw { fund, amount: Pence(5_000), over_commit: false, on: date("2022-01-31") });
    let (caller, everywhere) = (treasurer(), Reach::everything());
    let previewed = writer.check(&programme_name, (&caller, &everywhere), &withdraw).await.map(drop);
    let done = writer.submit(submission(&programme_name, withdraw)).await.map(drop);
    for result in [previewed, done] {
        let Err(AppError::Refused(refusal)) = result else { panic!("{result:?}") };
        assert_eq!((refusal.reason, refusal.limits[0].kind), (Reason::FundsInsufficient, LimitKind::AsOf));
    }
}

/// If an answer cannot be encoded, only its command fails: that command writes nothing, and all others are written.
#[tokio::test]
async fn a_command_whose_answer_cannot_be_encoded_writes_nothing() {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..1]].concat()).await;
    let programme_name = programme("2021-22");
    let offer = offers(&test_app, &programme_name).await[0];
    let answer = |_: CommandOutcome| Err(AppError::Bug("no answer".to_owned()));
    let unencodable = Submission {
        encoders: AnswerEncoders { answer, ..EMPTY_ENCODERS },
        ..submission(&programme_name, note(offer))
    };
    let permit = test_app.app.store().batch_permit().await.unwrap();
    let first = submit(&test_app, &programme_name, note(offer));
    let last = submit(&test_app, &programme_name, note(offer));
    let id = unencodable.request.id;
    let queued = async { tokio::join!(first, test_app.app.inner.writer.submit(unencodable), last) };
    let ((first, refused, last), ()) = join(queued, async { drop(permit) }).await;
    assert!(matches!(refused, Err(AppError::Bug(_))), "{refused:?}");
    let recorded = events::page(test_app.app.store(), &programme_name, Seq(1), 10_000).await.unwrap();
    let recorded: Vec<RequestId> = recorded.into_iter().map(|it| it.event.request).collect();
    let last_two = &recorded[recorded.len() - 2..];
    assert_eq!(last_two, [first.unwrap(), last.unwrap()]);
    assert!(!recorded.contains(&id));
}
