//! Invoices: who issued one, how much of it may be paid, and which payment a refund takes back.

use super::scheme::{Award, Invoice, Reasons, Scheme, Strand};

impl Scheme {
    /// Returns the pence paid on an invoice and not refunded, and the totals that its valid payments state.
    fn paid(&self, issuer: &str, reference: &str) -> (i64, Vec<Option<i64>>) {
        let of_issuer = self.awards.iter().filter(|it| it.issuer == issuer);
        let standing = of_issuer.flat_map(|it| it.standing().map(|paid| (it.strand, paid)));
        let of_it: Vec<_> = standing.filter(|(_, paid)| paid.reference == reference).collect();
        let sum = of_it.iter().map(|(strand, paid)| strand.cost(paid.amount - paid.refunded)).sum();
        (sum, of_it.iter().map(|(_, paid)| paid.total).collect())
    }

    /// Returns the total up to which an invoice may be paid, if the call gives this total.
    pub(super) fn total_of(&self, it: &Award, reference: &str, given: Option<i64>) -> Option<i64> {
        let (_, totals) = self.paid(&it.issuer, reference);
        totals.first().copied().unwrap_or(given)
    }

    /// Returns the unpaid rest of an invoice in the award's unit, `None` if it is paid by a single draw.
    pub(super) fn left_of(&self, it: &Award, reference: &str, given: Option<i64>) -> Option<i64> {
        let total = self.total_of(it, reference, given)?;
        Some((total - self.paid(&it.issuer, reference).0) / it.strand.cost(1))
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
        let (paid, totals) = self.paid(&it.issuer, reference);
        match totals.first() {
            Some(None) => drop(reasons.insert("INVOICE_PAID")),
            Some(Some(total)) if given.is_some_and(|it| it != *total) => drop(reasons.insert("CLAIM_TOTAL_DIFFERS")),
            Some(Some(total)) if paid >= *total => drop(reasons.insert("INVOICE_PAID")),
            _ => {}
        }
        if reasons.is_empty() && self.left_of(it, reference, given).is_some_and(|left| amount > left) {
            reasons.insert("CLAIM_TOTAL_EXCEEDED");
        }
        reasons
    }

    /// Lists the reasons against restoring this amount of a payment: its invoice may have other payments now.
    pub(super) fn reasons_against_undo(&self, (award, paid): (usize, usize), amount: i64) -> Reasons {
        let it = &self.awards[award];
        let mine = &it.invoices[paid];
        let standing = self.awards.iter().filter(|other| other.issuer == it.issuer).flat_map(Award::standing);
        let others: Vec<&Invoice> =
            standing.filter(|other| other.reference == mine.reference && !std::ptr::eq(*other, mine)).collect();
        let mut reasons = Reasons::new();
        let Some(first) = others.first() else { return reasons };
        let (sum, _) = self.paid(&it.issuer, &mine.reference);
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

    /// Tells whether a leader is funded by an award of which an amount is left.
    pub(super) fn is_funded(&self, leader: &str) -> bool {
        let of_leader = self.awards.iter().filter(|it| it.strand == Strand::Npqel && it.leader == leader);
        of_leader.into_iter().any(|it| it.awarded > it.released + it.refunded)
    }
}

/// The payment that a refund takes back.
pub(super) enum TakenBack {
    /// This payment, of which so much can be refunded.
    Of(usize),
    /// The draws without an invoice.
    Without,
    /// Unknown: the caller has to name the invoice.
    Unsaid,
}

impl Award {
    /// Returns the amount that was drawn without an invoice and not refunded.
    pub(super) fn without_invoice(&self) -> i64 {
        let with: i64 = self.invoices.iter().map(|it| it.amount - it.refunded).sum();
        self.drawn - self.refunded - with
    }

    /// Finds the payment that a refund of this amount and day takes back. If several have the reference, it is the newest
    /// that has had that much left since the day. If none has, the refund is refused: for a payment that has enough today,
    /// else for the one with the most left.
    pub(super) fn taken_back(&self, amount: i64, invoice: Option<&str>, date: &str) -> TakenBack {
        let left = |it: &Invoice| it.amount - it.refunded;
        let standing = || self.invoices.iter().enumerate().filter(|(_, it)| left(it) > 0);
        let Some(reference) = invoice else {
            return match standing().map(|(at, _)| at).collect::<Vec<_>>().as_slice() {
                _ if self.without_invoice() > 0 => TakenBack::Without,
                [] => TakenBack::Without,
                [only] => TakenBack::Of(*only),
                _ => TakenBack::Unsaid,
            };
        };
        let of_it = || standing().filter(|(_, it)| it.reference == reference);
        let since = |at: usize, it: &Invoice| left(it).min(self.least_spent(Some(at), date)).max(0);
        let newest = of_it().rfind(|(at, it)| since(*at, it) >= amount);
        let by_now = || of_it().find(|(_, it)| left(it) >= amount);
        let chosen = newest.or_else(by_now).or_else(|| of_it().max_by_key(|(at, it)| (since(*at, it), left(it))));
        chosen.map_or(TakenBack::Unsaid, |(at, _)| TakenBack::Of(at))
    }
}
