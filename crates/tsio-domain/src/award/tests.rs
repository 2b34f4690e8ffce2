//! Tests how each event changes an award. The expected values are written by hand.

use super::*;
use crate::event::ReleasedAward;
use crate::ids::RequestId;
use crate::offer::Outcome;
use crate::programme::tests::script::day;
use crate::time::Micros;
use uuid::Uuid;

const AWARD: AwardId = AwardId(Uuid::from_u128(7));
const OTHER_AWARD: AwardId = AwardId(Uuid::from_u128(8));

fn event(seq: i64, body: EventBody) -> Event {
    Event {
        seq: Seq(seq),
        offer: Some(OfferId(Uuid::from_u128(1))),
        actor: "officer".parse().unwrap(),
        request: RequestId(Uuid::nil()),
        effective: day("4"),
        recorded: Micros(0),
        reason_code: None,
        text_hash: None,
        body,
        entries: Vec::new(),
    }
}

/// An award of ten half-days or ten pence, made by event 1.
fn award_of_ten(support: Support) -> Award {
    let days = matches!(support, Support::Nle { .. });
    let body = EventBody::Awarded {
        award: AWARD,
        unit: if days { Unit::HalfDays } else { Unit::Pence },
        amount: 10,
        fund: AccountId(Uuid::from_u128(2)),
        cap: None,
        rate: days.then_some(Pence(60_000)),
        support,
        register_seq: None,
    };
    Award::from_event(&event(1, body)).unwrap()
}

fn nle_award() -> Award {
    award_of_ten(Support::Nle { leader: "leader-1".parse().unwrap(), leader_kind: None })
}

fn npqel_award() -> Award {
    award_of_ten(Support::Npqel { leader: "leader-1".parse().unwrap(), provider: "Teach First".to_owned() })
}

fn drawn(award: AwardId, amount: i64, booking: Option<i64>, invoice: Option<&str>) -> EventBody {
    let invoice = invoice.and_then(|it| Reference::read(it).ok());
    EventBody::Drawn { award, amount, booking: booking.map(Seq), invoice, claim: None }
}

fn booked(award: AwardId, half_days: i32) -> EventBody {
    let (half_days, on) = (HalfDays(half_days), day("2022-03-01"));
    EventBody::DaysBooked { award, half_days, on, leader: "leader-2".parse().unwrap(), leader_kind: None }
}

fn refunded(award: AwardId, amount: i64, invoice: Option<i64>) -> EventBody {
    EventBody::Refunded { award, amount, invoice: invoice.map(Seq) }
}

fn closed(award: AwardId, amount: i64) -> EventBody {
    EventBody::Closed { outcome: Outcome::Completed, released: vec![ReleasedAward { award, amount }] }
}

/// Returns the award after events 2, 3, 4 and so on, which have these bodies.
fn after(mut award: Award, bodies: Vec<EventBody>) -> Award {
    for (seq, body) in (2..).zip(bodies) {
        award.apply(&event(seq, body));
    }
    award
}

#[test]
fn only_an_awarded_event_makes_an_award() {
    let award = nle_award();
    assert_eq!((award.id, award.offer.0.as_u128(), award.awarded, award.committed()), (AWARD, 1, 10, 10));
    assert_eq!((award.on, award.by.as_str(), award.made, award.etag()), (day("4"), "officer", Seq(1), "v1".to_owned()));
    assert!(!award.is_settled() && award.spent() == 0 && award.booked() == 0);
    assert_eq!(Award::from_event(&event(1, drawn(AWARD, 1, None, None))), None);
    let without_offer = Event { offer: None, ..event(1, EventBody::Started {}) };
    assert_eq!(Award::from_event(&without_offer), None);
}

#[test]
fn each_event_changes_the_totals() {
    let released = |amount| EventBody::Released { award: AWARD, amount };
    #[rustfmt::skip]
    let rows = [
        // events                                                                  [drawn released refunded committed spent booked], version
        (vec![drawn(AWARD, 3, None, None)],                                        [3, 0, 0, 7, 3, 0], 2),
        (vec![drawn(AWARD, 3, None, None), drawn(AWARD, 2, None, None)],           [5, 0, 0, 5, 5, 0], 3),
        (vec![released(4)],                                                        [0, 4, 0, 6, 0, 0], 2),
        (vec![drawn(AWARD, 3, None, None), released(7)],                           [3, 7, 0, 0, 3, 0], 3),
        (vec![drawn(AWARD, 3, None, None), refunded(AWARD, 2, None)],              [3, 0, 2, 7, 1, 0], 3),
        (vec![booked(AWARD, 4), booked(AWARD, 2)],                                 [0, 0, 0, 10, 0, 6], 3),
        (vec![booked(AWARD, 4), drawn(AWARD, 3, Some(2), None)],                   [3, 0, 0, 7, 3, 0], 3),
        (vec![booked(AWARD, 4), drawn(AWARD, 3, None, None)],                      [3, 0, 0, 7, 3, 4], 3),
        (vec![booked(AWARD, 4), EventBody::BookingCancelled { award: AWARD, booking: Seq(2) }], [0, 0, 0, 10, 0, 0], 3),
        (vec![booked(AWARD, 4), EventBody::BookingCancelled { award: AWARD, booking: Seq(9) }], [0, 0, 0, 10, 0, 4], 3),
        (vec![drawn(AWARD, 3, None, None), closed(AWARD, 7)],                      [3, 7, 0, 0, 3, 0], 3),
        (vec![booked(AWARD, 4), closed(AWARD, 10)],                                [0, 10, 0, 0, 0, 0], 3),
        // events of another award, or without an award, change nothing
        (vec![drawn(OTHER_AWARD, 3, None, None), refunded(OTHER_AWARD, 1, None), booked(OTHER_AWARD, 1), closed(OTHER_AWARD, 4)], [0, 0, 0, 10, 0, 0], 1),
        (vec![EventBody::Released { award: OTHER_AWARD, amount: 1 }, EventBody::Started {}, EventBody::Noted {}], [0, 0, 0, 10, 0, 0], 1),
        (vec![EventBody::BookingCancelled { award: OTHER_AWARD, booking: Seq(2) }],[0, 0, 0, 10, 0, 0], 1),
    ];
    for (bodies, expected, version) in rows {
        let events = format!("{bodies:?}");
        let it = after(nle_award(), bodies);
        let got = [it.drawn, it.released, it.refunded, it.committed(), it.spent(), it.booked()];
        assert_eq!((got, it.version), (expected, Seq(version)), "{events}");
        assert_eq!(it.is_settled(), expected[3] == 0, "{events}");
    }
}

#[test]
fn a_booking_is_open_until_it_is_delivered_cancelled_or_its_offer_closes() {
    use BookingState::{Booked, Cancelled, Delivered};
    let cancel = |seq| EventBody::BookingCancelled { award: AWARD, booking: Seq(seq) };
    let three_bookings = || vec![booked(AWARD, 1), booked(AWARD, 2), booked(AWARD, 3)];
    let with_bookings = |more: Vec<EventBody>| three_bookings().into_iter().chain(more).collect::<Vec<_>>();
    for (bodies, expected) in [
        (three_bookings(), [Booked, Booked, Booked]),
        (with_bookings(vec![drawn(AWARD, 2, Some(3), None)]), [Booked, Delivered, Booked]),
        (with_bookings(vec![cancel(4)]), [Booked, Booked, Cancelled]),
        (
            with_bookings(vec![drawn(AWARD, 1, Some(2), None), cancel(3), closed(AWARD, 9)]),
            [Delivered, Cancelled, Cancelled],
        ),
    ] {
        let award = after(nle_award(), bodies);
        assert_eq!(award.bookings.iter().map(|it| it.state).collect::<Vec<_>>(), expected);
    }
    let first = after(nle_award(), three_bookings()).bookings.swap_remove(0);
    assert_eq!((first.seq, first.half_days, first.on), (Seq(2), HalfDays(1), day("2022-03-01")));
    assert_eq!(first.leader.as_str(), "leader-2");
}

#[test]
fn an_invoice_is_outstanding_until_all_of_it_is_refunded() {
    let two_payments = || vec![drawn(AWARD, 4, None, Some("inv-1")), drawn(AWARD, 3, None, Some("inv-2"))];
    let with_payments = |more: Vec<EventBody>| two_payments().into_iter().chain(more).collect::<Vec<_>>();
    for (bodies, refunds, outstanding) in [
        (two_payments(), [0, 0], [true, true]),
        (with_payments(vec![refunded(AWARD, 3, Some(2))]), [3, 0], [true, true]),
        (with_payments(vec![refunded(AWARD, 3, Some(2)), refunded(AWARD, 1, Some(2))]), [4, 0], [false, true]),
        (with_payments(vec![refunded(AWARD, 3, Some(3))]), [0, 3], [true, false]),
        (with_payments(vec![refunded(AWARD, 3, None)]), [0, 0], [true, true]),
    ] {
        let award = after(npqel_award(), bodies);
        let got: Vec<(i64, bool)> = award.invoices.iter().map(|it| (it.refunded.get(), it.is_outstanding())).collect();
        assert_eq!(got, [(refunds[0], outstanding[0]), (refunds[1], outstanding[1])]);
    }
    let award = after(npqel_award(), two_payments());
    let first = &award.invoices[0];
    assert_eq!((first.seq, first.issuer.as_str(), first.reference.as_str()), (Seq(2), "Teach First", "INV1"));
    assert!(after(nle_award(), two_payments()).invoices.is_empty(), "only fees are paid with invoices");
}

#[test]
fn half_days_are_costed_at_the_rate_of_the_award() {
    let award = nle_award();
    for (amount, expected) in
        [(0, Some(0)), (3, Some(90_000)), (i64::from(i32::MAX), Some(64_424_509_410_000)), (i64::MAX, None)]
    {
        assert_eq!(award.cost(amount), expected, "{amount}");
    }
    assert_eq!(Award { rate: Some(Pence(50_000)), ..award }.cost(3), Some(75_000));
    assert_eq!(npqel_award().cost(i64::MAX), Some(i64::MAX), "an amount in pence is its own cost");
}

#[test]
fn only_support_by_a_leader_is_counted_in_days() {
    let (days, pence) = (Amount::HalfDays(HalfDays(2)), Amount::Pence(Pence(500)));
    assert_eq!((SupportKind::Nle.check(days), SupportKind::Nle.check(pence)), (Ok(()), Err(WrongUnit::NotInDays)));
    for kind in [SupportKind::Credit, SupportKind::Nlg, SupportKind::Npqel] {
        assert_eq!((kind.check(pence), kind.check(days)), (Ok(()), Err(WrongUnit::InDays)), "{kind:?}");
    }
}
