//! Days of an award booked for a date, and bookings that fall through.

use super::rules::{Answer, LIVE, unless};
use super::scheme::{Booking, BookingState, CLAIMS_UNTIL, No, Scheme, Strand};

impl Scheme {
    pub(super) fn book(&mut self, award: usize, half_days: i64, date: &str) -> Answer {
        let it = &self.awards[award];
        let mut bars = No::new();
        if !LIVE.contains(&self.offers[it.offer].state) {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if it.strand == Strand::Nlg {
            bars.insert("BOOKING_LEADER_MISSING");
        } else if it.strand != Strand::Nle {
            bars.insert("UNIT_MISMATCH");
        } else if half_days > it.committed() - it.booked() {
            bars.insert("AWARD_EXCEEDED");
        }
        if date > CLAIMS_UNTIL {
            bars.insert("OUTSIDE_WINDOW");
        }
        if date < it.on.as_str() {
            bars.insert("DATE_ORDER");
        }
        unless(bars, || {
            self.awards[award].bookings.push(Booking { half_days, state: BookingState::Booked });
            self.touched(award, "days_booked");
            Answer::Done
        })
    }

    pub(super) fn cancel(&mut self, award: usize, booking: usize) -> Answer {
        let it = &self.awards[award];
        let mut bars = No::new();
        if !LIVE.contains(&self.offers[it.offer].state) {
            bars.insert("STATE_NOT_ALLOWED");
        }
        if it.bookings.get(booking).is_none_or(|it| it.state != BookingState::Booked) {
            bars.insert("BOOKING_NOT_OPEN");
        }
        unless(bars, || {
            self.awards[award].bookings[booking].state = BookingState::Cancelled;
            self.touched(award, "booking_cancelled");
            Answer::Done
        })
    }
}
