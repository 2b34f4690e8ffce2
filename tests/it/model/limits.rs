//! Checks the details of a refusal: every limit that prevents the call, and the largest amount that would be accepted.

use std::collections::BTreeSet;

use tonic::Status;

use super::agree::Step;
use super::claims::RefundTarget;
use super::command::Command;
use super::scheme::{Reasons, Scheme};
use crate::money::refusal;

/// Returns the kind of limit that belongs to a reason.
fn limit_kind(reason: &str) -> &'static str {
    match reason {
        "STATE_NOT_ALLOWED" => "state",
        "OUTSIDE_WINDOW" | "OUTSIDE_PROGRAMME" | "DATE_ORDER" => "period",
        "AS_OF" => "as_of",
        "STRAND_NOT_OFFERED" | "PARTNER_NOT_SUITABLE" | "LEADER_FUNDED" | "NOT_FOUND" => "recipient",
        "PROVIDER_NOT_ACCREDITED" => "terms",
        "CAP_EXCEEDED" => "cap",
        "FUND_MISSING" | "FUNDS_INSUFFICIENT" | "FUND_OVER_COMMITTED" => "fund",
        "AWARD_EXCEEDED"
        | "UNIT_MISMATCH"
        | "BOOKING_NOT_OPEN"
        | "BOOKING_LEADER_MISSING"
        | "CLAIM_ISSUER_MISSING"
        | "CLAIM_TOTAL_DIFFERS"
        | "CLAIM_TOTAL_EXCEEDED"
        | "INVOICE_MISSING"
        | "INVOICE_PAID" => "award",
        other => panic!("{other} belongs to no kind of limit"),
    }
}

/// Checks that a refusal names exactly the kinds of limits that prevent the call. Does not check bundles of several awards:
/// their limits depend on the single awards.
pub(super) fn check_kinds(step: &Step<'_>, reasons: &Reasons, status: &Status) {
    match step.command {
        Command::Award { lines, .. } if lines.len() == 1 => {}
        Command::Change { .. }
        | Command::Book { .. }
        | Command::Cancel { .. }
        | Command::Draw { .. }
        | Command::Release { .. }
        | Command::Refund { .. } => {}
        _ => return,
    }
    let expected: BTreeSet<&str> = reasons.iter().map(|it| limit_kind(it)).collect();
    let refusal = refusal(status);
    let limit_kinds: BTreeSet<&str> = refusal.limits.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(limit_kinds, expected, "{}\n{refusal:?}", step.context);
}

/// Checks the largest amount of a refusal if only numeric limits prevent the call.
pub(super) fn check_largest(step: &Step<'_>, reasons: &Reasons, status: &Status) {
    let numbers = [
        "AS_OF",
        "CAP_EXCEEDED",
        "FUNDS_INSUFFICIENT",
        "FUND_OVER_COMMITTED",
        "AWARD_EXCEEDED",
        "CLAIM_TOTAL_EXCEEDED",
    ];
    if !reasons.iter().all(|it| numbers.contains(it)) {
        return;
    }
    let expected = match step.command {
        Command::Award { offer, lines, date } => match lines.as_slice() {
            [line] => {
                let as_of = step.before.as_of(*offer, line.strand, date);
                headroom(step.before, *offer, line.strand).min(as_of.0).min(as_of.1)
            }
            _ => return,
        },
        Command::Book { award, .. } => {
            let it = &step.before.awards[*award];
            it.committed() - it.booked()
        }
        Command::Release { award, date, .. } => {
            let it = &step.before.awards[*award];
            (it.committed() - it.booked()).min(it.least_committed(date))
        }
        Command::Draw { award, booking: None, invoice, total, date, .. } => {
            let it = &step.before.awards[*award];
            let left = invoice.as_ref().and_then(|named| step.before.unpaid_rest(it, named, *total));
            left.unwrap_or(i64::MAX).min(it.committed() - it.booked()).min(it.least_committed(date))
        }
        Command::Refund { award, amount, invoice, date } => {
            let it = &step.before.awards[*award];
            let (paid, left) = match it.refund_target(*amount, invoice.as_deref(), date) {
                RefundTarget::Payment(index) => (Some(index), it.invoices[index].amount - it.invoices[index].refunded),
                RefundTarget::WithoutInvoice | RefundTarget::Unclear => (None, it.without_invoice()),
            };
            left.min(it.least_spent(paid, date))
        }
        _ => return,
    };
    assert_eq!(refusal(status).largest, Some(expected.max(0)), "{}\n{:?}", step.context, refusal(status));
}

/// Returns the amount that is available for an award: the smaller of the amounts in its cap and its fund.
fn headroom(before: &Scheme, offer: usize, strand: super::scheme::Strand) -> i64 {
    let cap = before.offers[offer].clone().cap(strand).map(|cap| cap.available());
    let fund = before.fund_of(strand, offer).map(|fund| &before.funds[fund]);
    let fund = fund.filter(|it| it.binds()).map(|it| it.account.available());
    cap.into_iter().chain(fund).min().unwrap_or(0)
}
