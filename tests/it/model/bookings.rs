//! The model's rules for booking days of an award, and for cancelling a booking.

use super::rules::{Answer, LIVE, refuse_or};
use super::scheme::{Booking, BookingState, CLAIMS_UNTIL, Reasons, Scheme, Strand};

impl Scheme {
    pub(super) fn book(&mut self, award: usize, half_days: i64, date: &str) -> Answer {
        let it = &self.awards[award];
        let mut reasons = Reasons::new();
        if !LIVE.contains(&self.offers[it.offer].state) {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if it.strand == Strand::Nlg {
            reasons.insert("BOOKING_LEADER_MISSING");
        } else if it.strand != Strand::Nle {
            reasons.insert("UNIT_MISMATCH");
        } else if half_days > it.committed() - it.booked() {
            reasons.insert("AWARD_EXCEEDED");
        }
        if date > CLAIMS_UNTIL {
            reasons.insert("OUTSIDE_WINDOW");
        }
        if date < it.on.as_str() {
            reasons.insert("DATE_ORDER");
        }
        refuse_or(reasons, || {
            self.awards[award].bookings.push(Booking { half_days, state: BookingState::Booked });
            self.record_event(award, "days_booked");
            Answer::Done
        })
    }

    pub(super) fn cancel(&mut self, award: usize, booking: usize) -> Answer {
        let it = &self.awards[award];
        let mut reasons = Reasons::new();
        if !LIVE.contains(&self.offers[it.offer].state) {
            reasons.insert("STATE_NOT_ALLOWED");
        }
        if it.bookings.get(booking).is_none_or(|it| it.state != BookingState::Booked) {
            reasons.insert("BOOKING_NOT_OPEN");
        }
        refuse_or(reasons, || {
            self.awards[award].bookings[booking].state = BookingState::Cancelled;
            self.record_event(award, "booking_cancelled");
            Answer::Done
        })
    }
}
