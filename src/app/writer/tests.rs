//! Order: what only shows where one can see a command being queued.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{join, join_all};

use super::GROUP_COMMANDS;
use crate::app::testing::{AUGUST, House, LAST, MARCH, MONTHS, note, offers, programme, submit};
use crate::domain::event::Seq;
use crate::domain::ids::RequestId;
use crate::store::events;

#[tokio::test]
async fn a_book_is_first_in_first_out_over_its_groups() {
    let house = House::with(&[&AUGUST[..], &MONTHS[..1]].concat()).await;
    let book = programme("2021-22");
    let offers = offers(&house, &book).await;
    let turn = house.app.store().turn().await.unwrap();
    let queued = (0..GROUP_COMMANDS + 100).map(|n| submit(&house, &book, note(offers[n % offers.len()])));
    let (sent, ()) = join(join_all(queued), async { drop(turn) }).await;
    let sent: Vec<RequestId> = sent.into_iter().map(|it| it.unwrap()).collect();
    // The rules adopted, and an offer each.
    let made = Seq(1 + i64::try_from(offers.len()).unwrap());
    let recorded = events::page(house.app.store(), &book, made, 10_000).await.unwrap();
    let recorded: Vec<RequestId> = recorded.into_iter().map(|it| it.event.request).collect();
    assert_eq!(recorded, sent);
}

#[tokio::test]
async fn books_that_share_a_writer_take_turns() {
    let house = House::with(&[&AUGUST[..], &MONTHS[..1], &MARCH[..], &[LAST]].concat()).await;
    let (this, next) = (programme("2021-22"), programme("2022-23"));
    let (offers, others) = (offers(&house, &this).await, offers(&house, &next).await);
    let turn = house.app.store().turn().await.unwrap();
    let answered = AtomicUsize::new(0);
    let flood = join_all((0..3 * GROUP_COMMANDS).map(|n| {
        let call = submit(&house, &this, note(offers[n % offers.len()]));
        async {
            call.await.unwrap();
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }));
    let other = async {
        submit(&house, &next, note(others[0])).await.unwrap();
        answered.load(Ordering::Relaxed)
    };
    let ((_, before), ()) = join(join(flood, other), async { drop(turn) }).await;
    // The flood was there first and is a group ahead, never two.
    assert!(before < 2 * GROUP_COMMANDS, "{before} of the flood came first");
}
