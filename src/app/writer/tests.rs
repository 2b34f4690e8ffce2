//! Order: what only shows where one can see a command being queued, and where the clock can be moved to any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use chrono::{DateTime, TimeDelta};
use futures_util::future::{join, join_all};

use super::{AnswerEncoders, AppError, BATCH_COMMANDS, CommandOutcome, Submission};
use crate::app::answers::FundChanged;
use crate::app::clock::Clock;
use crate::app::testing::{
    AUGUST, LAST, MARCH, MONTHS, NOTHING, TestApp, date, note, offers, programme, submission, submit, treasurer,
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
async fn a_book_is_first_in_first_out_over_its_groups() {
    let test_app = TestApp::with(&[&AUGUST[..], &MONTHS[..1]].concat()).await;
    let programme_name = programme("2021-22");
    let offers = offers(&test_app, &programme_name).await;
    let turn = test_app.app.store().write_permit().await.unwrap();
    let queued = (0..BATCH_COMMANDS + 100).map(|n| submit(&test_app, &programme_name, note(offers[n % offers.len()])));
    let (sent, ()) = join(join_all(queued), async { drop(turn) }).await;
    let sent: Vec<RequestId> = sent.into_iter().map(|it| it.unwrap()).collect();
    // The rules adopted, and an offer each.
    let made = Seq(1 + i64::try_from(offers.len()).unwrap());
    let recorded = events::page(test_app.app.store(), &programme_name, made, 10_000).await.unwrap();
    let recorded: Vec<RequestId> = recorded.into_iter().map(|it| it.event.request).collect();
    assert_eq!(recorded, sent);
}

#[tokio::test]
async fn books_that_share_a_writer_take_turns() {
    let test_app = TestApp::with(&[&AUGUST[..], &MONTHS[..1], &MARCH[..], &[LAST]].concat()).await;
    let (this, next) = (programme("2021-22"), programme("2022-23"));
    let (offers, others) = (offers(&test_app, &this).await, offers(&test_app, &next).await);
    let turn = test_app.app.store().write_permit().await.unwrap();
    let answered = AtomicUsize::new(0);
    let flood = join_all((0..3 * BATCH_COMMANDS).map(|n| {
        let call = submit(&test_app, &this, note(offers[n % offers.len()]));
        async {
            call.await.unwrap();
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let other = async {
        submit(&test_app, &next, note(others[0])).await.unwrap();
        answered.load(Ordering::Relaxed)
    };
    let ((_, before), ()) = join(join(flood, other), async { drop(turn) }).await;
    // The flood was there first and is a group ahead, never two.
    assert!(before < 2 * BATCH_COMMANDS, "{before} of the flood came first");
}

/// A server whose clock is 20 seconds behind: midnight lies between its own time and what another recorded last.
#[tokio::test]
async fn the_day_of_the_facts_is_that_of_the_decision() {
    let behind = Arc::new(AtomicI64::new(0));
    let (seconds, at) = (Arc::clone(&behind), "2022-02-01T00:00:10Z".parse::<DateTime<_>>().unwrap());
    let test_app = TestApp::by(Clock::of(move || at - TimeDelta::seconds(seconds.load(Ordering::Relaxed)))).await;
    let programme_name = programme("2021-22");
    let create = Command::CreateFund { strand: StrandId::new("credit"), region: None };
    let answer = |it: CommandOutcome| Ok(it.typed::<FundChanged>()?.answer.fund.id.0.as_bytes().to_vec());
    let encoders = AnswerEncoders { answer, ..NOTHING };
    let writer = &test_app.app.inner.writer;
    let fund = writer.submit(Submission { encoders, ..submission(&programme_name, create) }).await.unwrap();
    let fund = AccountId(uuid::Uuid::from_slice(&fund).unwrap());
    let change = |change| Command::ChangeFund { change, etag: None, text: None };
    let allocate = change(FundChange::Allocate { fund, amount: Pence(10_000), on: date("2022-02-01") });
    writer.submit(submission(&programme_name, allocate)).await.unwrap();

    behind.store(20, Ordering::Relaxed);
    // As of the last day of January there was nothing in it.
    let withdraw =
        change(FundChange::Withdraw { fund, amount: Pence(5_000), over_commit: false, on: date("2022-01-31") });
    let (caller, everywhere) = (treasurer(), Reach::everything());
    let previewed = writer.check(&programme_name, (&caller, &everywhere), &withdraw).await.map(drop);
    let done = writer.submit(submission(&programme_name, withdraw)).await.map(drop);
    for came in [previewed, done] {
        let Err(AppError::Refused(refusal)) = came else { panic!("{came:?}") };
        assert_eq!((refusal.reason, refusal.limits[0].kind), (Reason::FundsInsufficient, LimitKind::AsOf));
    }
}

/// An answer that cannot be made is a bug of its command alone: nothing of that one is written, and all of the others.
#[tokio::test]
async fn a_command_whose_answer_cannot_be_made_leaves_nothing() {
    let test_app = TestApp::with(&[&AUGUST[..], &MONTHS[..1]].concat()).await;
    let programme_name = programme("2021-22");
    let offer = offers(&test_app, &programme_name).await[0];
    let answer = |_: CommandOutcome| Err(AppError::Bug("no answer".to_owned()));
    let wrong =
        Submission { encoders: AnswerEncoders { answer, ..NOTHING }, ..submission(&programme_name, note(offer)) };
    let turn = test_app.app.store().write_permit().await.unwrap();
    let (first, wrong, last) =
        (submit(&test_app, &programme_name, note(offer)), wrong, submit(&test_app, &programme_name, note(offer)));
    let id = wrong.request.id;
    let queued = async { tokio::join!(first, test_app.app.inner.writer.submit(wrong), last) };
    let ((first, refused, last), ()) = join(queued, async { drop(turn) }).await;
    assert!(matches!(refused, Err(AppError::Bug(_))), "{refused:?}");
    let recorded = events::page(test_app.app.store(), &programme_name, Seq(1), 10_000).await.unwrap();
    let recorded: Vec<RequestId> = recorded.into_iter().map(|it| it.event.request).collect();
    assert_eq!(recorded[recorded.len() - 2..], [first.unwrap(), last.unwrap()]);
    assert!(!recorded.contains(&id));
}
