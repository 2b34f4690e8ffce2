//! The model's rules for invoices: when a claim may be paid, how much of an invoice is unpaid, and which payment a refund takes
//! back.

use super::scheme::{Award, Invoice, Reasons, Scheme, Strand};

impl Scheme {
    /// Returns the pence that were paid on an invoice and not refunded, and the total that each of its payments states. Leaves out
    /// payments that were refunded completely.
    fn paid_on_invoice(&self, issuer: &str, reference: &str) -> (i64, Vec<Option<i64>>) {
        let of_issuer = self.awards.iter().filter(|it| it.issuer == issuer);
        let payments = of_issuer.flat_map(|it| it.not_refunded_payments().map(|paid| (it.strand, paid)));
        let payments: Vec<_> = payments.filter(|(_, paid)| paid.reference == reference).collect();
        let sum = payments.iter().map(|(strand, paid)| strand.cost(paid.amount - paid.refunded)).sum();
        (sum, payments.iter().map(|(_, paid)| paid.total).collect())
    }

    /// Returns the total of an invoice: the one that its first payment states, else the one that the call gives.
    pub(super) fn invoice_total(&self, it: &Award, reference: &str, given: Option<i64>) -> Option<i64> {
        let (_, totals) = self.paid_on_invoice(&it.issuer, reference);
        totals.first().copied().unwrap_or(given)
    }

    /// Returns the unpaid rest of an invoice in the award's unit. Returns `None` if a single draw pays it.
    pub(super) fn unpaid_rest(&self, it: &Award, reference: &str, given: Option<i64>) -> Option<i64> {
        let total = self.invoice_total(it, reference, given)?;
        Some((total - self.paid_on_invoice(&it.issuer, reference).0) / it.strand.cost(1))
    }

    /// Lists the reasons against paying a claim, with an invoice or without one.
    pub(super) fn reasons_against_claim(
        &self,
        it: &Award,
        amount: i64,
        invoice: Option<(&str, Option<i64>)>,
    ) -> Reasons {
        let mut reasons = Reasons::new();
        let Some((reference, given)) = invoice else {
            if it.strand == Strand::Npqel {
                reasons.insert("INVOICE_MISSING");
            }
            return reasons;
        };
        if it.issuer.is_empty() {
            reasons.insert("CLAIM_ISSUER_MISSING");
            return reasons;
        }
        let (paid, totals) = self.paid_on_invoice(&it.issuer, reference);
        match totals.first() {
            Some(None) => drop(reasons.insert("INVOICE_PAID")),
            Some(Some(total)) if given.is_some_and(|it| it != *total) => drop(reasons.insert("CLAIM_TOTAL_DIFFERS")),
            Some(Some(total)) if paid >= *total => drop(reasons.insert("INVOICE_PAID")),
            _ => {}
        }
        if reasons.is_empty() && self.unpaid_rest(it, reference, given).is_some_and(|left| amount > left) {
            reasons.insert("CLAIM_TOTAL_EXCEEDED");
        }
        reasons
    }

    /// Lists the reasons against undoing the refund of a payment: its invoice may have other payments now.
    pub(super) fn reasons_against_undo(&self, (award, paid): (usize, usize), amount: i64) -> Reasons {
        let it = &self.awards[award];
        let mine = &it.invoices[paid];
        let standing =
            self.awards.iter().filter(|other| other.issuer == it.issuer).flat_map(Award::not_refunded_payments);
        let others: Vec<&Invoice> =
            standing.filter(|other| other.reference == mine.reference && !std::ptr::eq(*other, mine)).collect();
        let mut reasons = Reasons::new();
        let Some(first) = others.first() else { return reasons };
        let (sum, _) = self.paid_on_invoice(&it.issuer, &mine.reference);
        match (first.total, mine.total) {
            (None, _) | (_, None) => drop(reasons.insert("INVOICE_PAID")),
            (Some(theirs), Some(mine)) if theirs != mine => drop(reasons.insert("CLAIM_TOTAL_DIFFERS")),
            (Some(total), _) => {
                let without = sum - it.strand.cost(mine.amount - mine.refunded);
                if without >= total {
                    reasons.insert("INVOICE_PAID");
                }
                if sum + it.strand.cost(amount) > total {
                    reasons.insert("CLAIM_TOTAL_EXCEEDED");
                }
            }
        }
        reasons
    }

    /// Tells whether an award pays the fees of this leader, and is neither released nor refunded completely.
    pub(super) fn is_funded(&self, leader: &str) -> bool {
        let of_leader = self.awards.iter().filter(|it| it.strand == Strand::Npqel && it.leader == leader);
        of_leader.into_iter().any(|it| it.awarded > it.released + it.refunded)
    }
}

/// The payment that a refund takes back.
pub(super) enum RefundTarget {
    /// The payment with this index in the award's invoices.
    Payment(usize),
    /// The draws without an invoice.
    WithoutInvoice,
    /// Several payments are possible, so the caller has to name the invoice. Or no payment has the named reference.
    Unclear,
}

impl Award {
    /// Returns the amount that was drawn without an invoice and not refunded.
    pub(super) fn without_invoice(&self) -> i64 {
        let with_invoice: i64 = self.invoices.iter().map(|it| it.amount - it.refunded).sum();
        self.drawn - self.refunded - with_invoice
    }

    /// Finds the payment that a refund of this amount and date takes back. If several payments have the reference, it is the
    /// newest of which at least this amount was left on every day since the date. If there is none, the refund will be refused.
    /// The refusal is then about a payment of which enough is left today, else about the one with the most left.
    pub(super) fn refund_target(&self, amount: i64, invoice: Option<&str>, date: &str) -> RefundTarget {
        let left = |it: &Invoice| it.amount - it.refunded;
        let candidates = || self.invoices.iter().enumerate().filter(|(_, it)| left(it) > 0);
        let Some(reference) = invoice else {
            return match candidates().map(|(index, _)| index).collect::<Vec<_>>().as_slice() {
                _ if self.without_invoice() > 0 => RefundTarget::WithoutInvoice,
                [] => RefundTarget::WithoutInvoice,
                [only] => RefundTarget::Payment(*only),
                _ => RefundTarget::Unclear,
            };
        };
        let payments = || candidates().filter(|(_, it)| it.reference == reference);
        let left_since = |index: usize, it: &Invoice| left(it).min(self.least_spent(Some(index), date)).max(0);
        let newest = payments().rfind(|(index, it)| left_since(*index, it) >= amount);
        let enough_today = || payments().find(|(_, it)| left(it) >= amount);
        let most_left = || payments().max_by_key(|(index, it)| (left_since(*index, it), left(it)));
        let chosen = newest.or_else(enough_today).or_else(most_left);
        chosen.map_or(RefundTarget::Unclear, |(index, _)| RefundTarget::Payment(index))
    }
}
