//! Tests with small limits, and with callers who may see only some regions.

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

/// A change as these tests see it: number, kind, region.
type Seen = (i64, String, Region);
/// A short limit, which a test waits for.
const SOON: Duration = Duration::from_millis(50);

async fn test_app() -> (TestApp, Vec<OfferId>) {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..1]].concat()).await;
    let offers = offers(&test_app, &programme("2021-22")).await;
    assert_eq!(offers.len(), 19);
    (test_app, offers)
}

fn watches(test_app: &TestApp, limits: WatchLimits) -> Watches<Seen> {
    Watches::new(test_app.app.clone(), |it, offer| (it.event.seq.0, it.kind.clone(), offer.region), limits)
}

fn request(start: Start) -> WatchRequest {
    WatchRequest { programme: programme("2021-22"), regions: Vec::new(), states: Vec::new(), start }
}

fn begin(
    watches: &Watches<Seen>,
    caller: Caller,
    request: WatchRequest,
    buffer: usize,
) -> (JoinHandle<Result<()>>, Receiver<WatchMessage<Seen>>) {
    let (sender, receiver) = channel(buffer);
    let watches = watches.clone();
    let watching = async move {
        let _place = watches.place(&caller)?;
        watches.watch(&caller, request, sender).await
    };
    (tokio::spawn(watching), receiver)
}

/// A message as text: `offer`, `end 19`, `identified 1`, `gone 20`, `here 20`.
fn as_text(message: &WatchMessage<Seen>) -> String {
    match message {
        WatchMessage::Offer(_) => "offer".to_owned(),
        WatchMessage::SnapshotEnd(at) => format!("end {}", at.seq),
        WatchMessage::Change(it) => format!("{} {}", it.1, it.0),
        WatchMessage::Gone(_, at) => format!("gone {}", at.seq),
        WatchMessage::Checkpoint(at) => format!("here {}", at.seq),
    }
}

async fn next(receiver: &mut Receiver<WatchMessage<Seen>>) -> String {
    as_text(&receiver.recv().await.unwrap())
}

/// The next message that is no checkpoint.
async fn change(receiver: &mut Receiver<WatchMessage<Seen>>) -> String {
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
    let watches = watches(&test_app, WatchLimits { stalled: SOON, ..WatchLimits::default() });
    let (ended, mut receiver) = begin(&watches, officer(), request(Start::After(Seq(1))), 3);
    let Err(AppError::TooSlow(text)) = ended.await.unwrap() else { panic!("it went on") };
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
    let watches = watches(&test_app, WatchLimits { snapshot: SOON, snapshots: 1, ..WatchLimits::default() });
    let (ended, _kept) = begin(&watches, officer(), request(Start::Snapshot), 1);
    let (waiting, mut receiver) = begin(&watches, officer(), request(Start::Snapshot), 32);
    assert!(matches!(ended.await.unwrap(), Err(AppError::TooSlow(_))));
    for _ in 0..19 {
        assert_eq!(next(&mut receiver).await, "offer");
    }
    assert_eq!(next(&mut receiver).await, "end 20");
    drop(receiver);
    assert_eq!(waiting.await.unwrap(), Ok(()));
}

#[tokio::test]
async fn a_quiet_stream_says_where_it_is() {
    let (test_app, _) = test_app().await;
    let watches = watches(&test_app, WatchLimits { quiet: SOON, ..WatchLimits::default() });
    let (_task, mut receiver) = begin(&watches, officer(), request(Start::After(Seq(19))), 1);
    assert_eq!(next(&mut receiver).await, "identified 20");
    for _ in 0..3 {
        assert_eq!(next(&mut receiver).await, "here 20");
    }
}

#[tokio::test]
async fn watchers_are_bounded_and_all_of_them_end() {
    let (test_app, _) = test_app().await;
    let watches = watches(&test_app, WatchLimits { watchers: 1, ..WatchLimits::default() });
    let (one, mut receiver) = begin(&watches, officer(), request(Start::After(Seq(20))), 1);
    assert_eq!(next(&mut receiver).await, "here 20");
    let (other, _kept) = begin(&watches, officer(), request(Start::After(Seq(20))), 1);
    assert_eq!(other.await.unwrap(), Err(AppError::Overloaded));
    // A watcher that has gone frees its slot.
    drop(receiver);
    assert_eq!(one.await.unwrap(), Ok(()));
    let (another, mut receiver) = begin(&watches, officer(), request(Start::After(Seq(19))), 1);
    assert_eq!(
        (next(&mut receiver).await, next(&mut receiver).await),
        ("identified 20".to_owned(), "here 20".to_owned())
    );
    watches.stop();
    assert_eq!(another.await.unwrap(), Err(AppError::Stopping));
    let (late, _kept) = begin(&watches, officer(), request(Start::Snapshot), 1);
    assert_eq!(late.await.unwrap(), Err(AppError::Stopping));
}

#[tokio::test]
async fn a_watcher_behind_the_ring_misses_nothing() {
    let (test_app, offers) = test_app().await;
    let watches = watches(&test_app, WatchLimits { ring: 2, ..WatchLimits::default() });
    let (_slow, mut slow) = begin(&watches, officer(), request(Start::After(Seq(20))), 1);
    let (_fast, mut fast) = begin(&watches, officer(), request(Start::After(Seq(20))), 600);
    assert_eq!((next(&mut slow).await, next(&mut fast).await), ("here 20".to_owned(), "here 20".to_owned()));
    let programme_name = programme("2021-22");
    futures_util::future::join_all((0..500).map(|n| submit(&test_app, &programme_name, note(offers[n % 19])))).await;
    for receiver in [&mut fast, &mut slow] {
        for seq in 21..521 {
            assert_eq!(change(receiver).await, format!("noted {seq}"));
        }
    }
}

#[tokio::test]
async fn a_caller_is_told_of_its_own_reach_and_of_what_leaves_it() {
    let (test_app, offers) = test_app().await;
    let programme_name = programme("2021-22");
    let mine = test_app.app.get_offer(&officer(), offers[0]).await.unwrap();
    let elsewhere = if mine.region == Region::SouthWest { Region::NorthOfEngland } else { Region::SouthWest };
    let target = || OfferTarget { offer: offers[0], etag: None };
    let moved = |to| Command::ChangeRegion { offer: target(), to };
    let assigned = |to: Option<&str>| Command::Assign { offer: target(), to: to.map(|it| it.parse().unwrap()) };
    for command in [
        moved(elsewhere),      // 21
        note(offers[0]),       // 22
        moved(mine.region),    // 23
        assigned(Some("bob")), // 24
        note(offers[0]),       // 25
        assigned(None),        // 26
        note(offers[0]),       // 27
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
    let here = Regions::These(BTreeSet::from([mine.region]));
    let rows = [
        (
            caller("ann", Role::CaseOfficer, here.clone()),
            &["gone 21", "region_changed 23", "assigned 24", "noted 25", "assigned 26", "noted 27"][..],
        ),
        (caller("bob", Role::DeliveryPartner, here.clone()), &["assigned 24", "noted 25", "gone 26", "here 27"][..]),
        (caller("cleo", Role::DeliveryPartner, here), &["here 27"][..]),
    ];
    for (caller, expected) in rows {
        let (_task, mut receiver) = begin(&watches, caller, request(Start::After(Seq(20))), 1);
        for expected in expected {
            assert_eq!(next(&mut receiver).await, *expected);
        }
    }
    let nobody = Caller { actor: "dan".parse().unwrap(), roles: Vec::new(), regions: Regions::Every, subject: None };
    let (ended, _kept) = begin(&watches, nobody, request(Start::Snapshot), 1);
    assert!(matches!(ended.await.unwrap(), Err(AppError::Denied(_))));
}
