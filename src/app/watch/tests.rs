//! Tests watches whose [`WatchLimits`] are small, such as short timeouts and a ring of two steps. Also tests callers who
//! may see only some regions.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;

use super::{Start, WatchLimits, WatchMessage, WatchRequest, Watches};
use crate::app::testing::{AUGUST, MONTHS, TestApp, note, offers, officer, programme, submit};
use crate::app::{AppError, Result};
use crate::domain::event::Seq;
use crate::domain::ids::OfferId;
use crate::domain::programme::Command;
use crate::domain::programme::command::OfferTarget;
use crate::domain::region::Region;
use crate::domain::role::{Caller, Regions, Role};

/// A change as these tests encode it: the number and the kind of the event, and the region of the offer.
type EncodedChange = (i64, String, Region);
/// The number of offers that identify makes from the imported files.
const OFFER_COUNT: usize = 19;
/// A limit that is short enough for a test to wait for it.
const SHORT_LIMIT: Duration = Duration::from_millis(50);

/// A test app with offers. The events 2 to 20 of the record identify them; event 1 adopts the rules.
async fn test_app() -> (TestApp, Vec<OfferId>) {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..1]].concat()).await;
    let offers = offers(&test_app, &programme("2021-22")).await;
    assert_eq!(offers.len(), OFFER_COUNT);
    (test_app, offers)
}

fn watches(test_app: &TestApp, limits: WatchLimits) -> Watches<EncodedChange> {
    Watches::new(test_app.app.clone(), |it, offer| (it.event.seq.0, it.kind.clone(), offer.region), limits)
}

fn request(start: Start) -> WatchRequest {
    WatchRequest { programme: programme("2021-22"), regions: Vec::new(), states: Vec::new(), start }
}

/// Begins a watch in a task. Returns the task, which ends with the watch, and the receiver of its messages.
fn begin(
    watches: &Watches<EncodedChange>,
    caller: Caller,
    request: WatchRequest,
    buffer: usize,
) -> (JoinHandle<Result<()>>, Receiver<WatchMessage<EncodedChange>>) {
    let (sender, receiver) = channel(buffer);
    let watches = watches.clone();
    let watching = async move {
        let _slot = watches.take_slot(&caller)?;
        watches.watch(&caller, request, sender).await
    };
    (tokio::spawn(watching), receiver)
}

/// A message as text: `offer`, `end 20`, `identified 2`, `gone 21`, and `here 20` for a checkpoint.
fn as_text(message: &WatchMessage<EncodedChange>) -> String {
    match message {
        WatchMessage::Offer(_) => "offer".to_owned(),
        WatchMessage::SnapshotEnd(at) => format!("end {}", at.seq),
        WatchMessage::Change(it) => format!("{} {}", it.1, it.0),
        WatchMessage::Gone(_, at) => format!("gone {}", at.seq),
        WatchMessage::Checkpoint(at) => format!("here {}", at.seq),
    }
}

async fn next(receiver: &mut Receiver<WatchMessage<EncodedChange>>) -> String {
    as_text(&receiver.recv().await.unwrap())
}

/// The next message that is not a checkpoint.
async fn next_change(receiver: &mut Receiver<WatchMessage<EncodedChange>>) -> String {
    loop {
        let message = next(receiver).await;
        if !message.starts_with("here") {
            return message;
        }
    }
}

#[tokio::test]
async fn a_stalled_watcher_is_told_where_to_resume() {
    let (test_app, _) = test_app().await;
    let watches = watches(&test_app, WatchLimits { stalled: SHORT_LIMIT, ..WatchLimits::default() });
    let (ended, mut receiver) = begin(&watches, officer(), request(Start::After(Seq(1))), 3);
    let Err(AppError::TooSlow(text)) = ended.await.unwrap() else { panic!("the stalled watch went on") };
    assert!(text.ends_with("resume after sequence 4"), "{text}");
    // The messages that were sent before are in the buffer.
    for seq in 2..=4 {
        assert_eq!(next(&mut receiver).await, format!("identified {seq}"));
    }
    assert!(receiver.recv().await.is_none());
}

#[tokio::test]
async fn a_snapshot_that_is_not_received_releases_its_connection() {
    let (test_app, _) = test_app().await;
    let watches = watches(&test_app, WatchLimits { snapshot: SHORT_LIMIT, snapshots: 1, ..WatchLimits::default() });
    let (ended, _kept) = begin(&watches, officer(), request(Start::Snapshot), 1);
    let (waiting, mut receiver) = begin(&watches, officer(), request(Start::Snapshot), 32);
    assert!(matches!(ended.await.unwrap(), Err(AppError::TooSlow(_))));
    for _ in 0..OFFER_COUNT {
        assert_eq!(next(&mut receiver).await, "offer");
    }
    assert_eq!(next(&mut receiver).await, "end 20");
    drop(receiver);
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_stream_without_changes_gets_checkpoints() {
    let (test_app, _) = test_app().await;
    let watches = watches(&test_app, WatchLimits { quiet: SHORT_LIMIT, ..WatchLimits::default() });
    let (_task, mut receiver) = begin(&watches, officer(), request(Start::After(Seq(19))), 1);
    assert_eq!(next(&mut receiver).await, "identified 20");
    for _ in 0..3 {
        assert_eq!(next(&mut receiver).await, "here 20");
    }
}

#[tokio::test]
async fn the_number_of_watchers_is_limited_and_stopping_ends_all_watches() {
    let (test_app, _) = test_app().await;
    let watches = watches(&test_app, WatchLimits { watchers: 1, ..WatchLimits::default() });
    let (first, mut receiver) = begin(&watches, officer(), request(Start::After(Seq(20))), 1);
    assert_eq!(next(&mut receiver).await, "here 20");
    let (refused, _refused_receiver) = begin(&watches, officer(), request(Start::After(Seq(20))), 1);
    assert_eq!(refused.await.unwrap(), Err(AppError::Overloaded));
    // A watcher that closes its receiver frees its slot.
    drop(receiver);
    assert_eq!(first.await.unwrap(), Ok(()));
    let (second, mut receiver) = begin(&watches, officer(), request(Start::After(Seq(19))), 1);
    assert_eq!(
        (next(&mut receiver).await, next(&mut receiver).await),
        ("identified 20".to_owned(), "here 20".to_owned())
    );
    watches.stop();
    assert_eq!(second.await.unwrap(), Err(AppError::Stopping));
    let (late, _late_receiver) = begin(&watches, officer(), request(Start::Snapshot), 1);
    assert_eq!(late.await.unwrap(), Err(AppError::Stopping));
}

#[tokio::test]
async fn a_watcher_that_lags_further_than_the_ring_reaches_misses_nothing() {
    let (test_app, offers) = test_app().await;
    let watches = watches(&test_app, WatchLimits { ring: 2, ..WatchLimits::default() });
    let (_slow, mut slow) = begin(&watches, officer(), request(Start::After(Seq(20))), 1);
    let (_fast, mut fast) = begin(&watches, officer(), request(Start::After(Seq(20))), 600);
    assert_eq!((next(&mut slow).await, next(&mut fast).await), ("here 20".to_owned(), "here 20".to_owned()));
    let programme_name = programme("2021-22");
    futures_util::future::join_all((0..500).map(|n| submit(&test_app, &programme_name, note(offers[n % OFFER_COUNT]))))
        .await;
    for receiver in [&mut fast, &mut slow] {
        for seq in 21..521 {
            assert_eq!(next_change(receiver).await, format!("noted {seq}"));
        }
    }
}

#[tokio::test]
async fn a_caller_gets_changes_within_its_reach_and_a_message_when_an_offer_leaves_it() {
    let (test_app, offers) = test_app().await;
    let programme_name = programme("2021-22");
    let first_offer = offers[0];
    let home_region = test_app.app.get_offer(&officer(), first_offer).await.unwrap().region;
    let other_region = if home_region == Region::SouthWest { Region::NorthOfEngland } else { Region::SouthWest };
    let target = || OfferTarget { offer: first_offer, etag: None };
    let move_to = |to| Command::ChangeRegion { offer: target(), to };
    let assign = |to: Option<&str>| Command::Assign { offer: target(), to: to.map(|it| it.parse().unwrap()) };
    // Each comment is the number of the command's event.
    for command in [
        move_to(other_region), // 21
        note(first_offer),     // 22
        move_to(home_region),  // 23
        assign(Some("bob")),   // 24
        note(first_offer),     // 25
        assign(None),          // 26
        note(first_offer),     // 27
    ] {
        submit(&test_app, &programme_name, command).await.unwrap();
    }
    let watches = watches(&test_app, WatchLimits::default());
    let caller = |actor: &str, role, regions| Caller {
        actor: actor.parse().unwrap(),
        roles: vec![role],
        regions,
        subject: None,
    };
    let only_home = Regions::These(BTreeSet::from([home_region]));
    let rows = [
        (
            caller("ann", Role::CaseOfficer, only_home.clone()),
            &["gone 21", "region_changed 23", "assigned 24", "noted 25", "assigned 26", "noted 27"][..],
        ),
        (
            caller("bob", Role::DeliveryPartner, only_home.clone()),
            &["assigned 24", "noted 25", "gone 26", "here 27"][..],
        ),
        (caller("cleo", Role::DeliveryPartner, only_home), &["here 27"][..]),
    ];
    for (caller, expected) in rows {
        let (_task, mut receiver) = begin(&watches, caller, request(Start::After(Seq(20))), 1);
        for expected in expected {
            assert_eq!(next(&mut receiver).await, *expected);
        }
    }
    let without_role =
        Caller { actor: "dan".parse().unwrap(), roles: Vec::new(), regions: Regions::Every, subject: None };
    let (ended, _kept) = begin(&watches, without_role, request(Start::Snapshot), 1);
    assert!(matches!(ended.await.unwrap(), Err(AppError::Denied(_))));
}
