//! Checks invoices: who issued the invoice that a draw pays, the amount that may still be paid on it, and which payment a refund
//! takes back.
//!
//! An invoice belongs to its issuer, and is paid only once in all programmes together: by one draw, or by several draws up to
//! the total that the first draw stated. An invoice may be paid again only after all of its payments have been refunded.

use std::collections::BTreeMap;

use super::limits::{LimitCollector, subject};
use crate::Date;
use crate::award::claim::{ClaimPart, ClaimPayments, IssuerKey, NewClaim, other_letter_of_issuer};
use crate::award::{Award, Invoice, Reference, Support};
use crate::ids::{AwardId, OfferId, Uid};
use crate::ledger::shown;
use crate::money::Pence;
use crate::programme::ProgrammeState;
use crate::programme::command::RefundIssuer;
use crate::refusal::{Limit, LimitKind, LimitSubject, Reason, Refusal};
use crate::role::Reach;
use crate::rules::RulesVersion;
use crate::terms::Terms;

/// The issuer of an invoice.
struct Issuer {
    /// The name, if the record contains it.
    name: Option<String>,
    /// The key with which issuers are compared.
    key: IssuerKey,
}

impl Issuer {
    /// An issuer with a name. A provider of the terms gets the spelling of the terms.
    fn named(name: &str, scheme: &Terms) -> Self {
        let name = scheme.provider(name).unwrap_or(name);
        Self { name: Some(name.to_owned()), key: IssuerKey::of(name) }
    }
}

impl ProgrammeState {
    /// Checks the payment of an invoice by a draw. Returns the part of the invoice that the draw pays, as the draw records it.
    /// None if the draw has no invoice, or if the issuer or the total is refused. `amount` is in the award's unit. Adds
    /// refusals to `limits`: [`Reason::InvoiceMissing`], [`Reason::InvoiceNotExpected`], [`Reason::ClaimIssuerMissing`],
    /// [`Reason::InvoicePaid`], [`Reason::ClaimTotalDiffers`], [`Reason::ClaimTotalExceeded`].
    pub(in crate::programme) fn check_payment(
        &self,
        (award, reach): (&Award, &Reach),
        new: Option<&NewClaim>,
        amount: Option<i64>,
        limits: &mut LimitCollector,
    ) -> Option<ClaimPart> {
        let Some(new) = new else {
            limits.add_blocker(invoice_missing(award));
            return None;
        };
        let issuer = self.issuer(award, new).map_err(|it| limits.add_blocker(Some(it))).ok()?;
        let no_payments = ClaimPayments::default();
        let payments = self.claims.get(&(issuer.key, new.reference.clone())).unwrap_or(&no_payments);
        let may_be_named = |id| self.may_be_named(id, award.offer, reach);
        let payment = RequestedPayment { award, new, issuer: &issuer, payments, may_be_named, is_undo: false };
        let total = payment.payable_total().map_err(|it| limits.add_blocker(Some(it))).ok()?;
        if let Some(total) = total {
            let left = award.amount_of(total.get().saturating_sub(payments.paid()));
            limits.add_numeric_limit(left, payment.total_exceeded(total, left, amount));
        }
        Some(ClaimPart {
            issuer: issuer.name,
            issuer_key: issuer.key,
            printed: new.printed.clone(),
            total,
            part: payments.last_part().saturating_add(1),
        })
    }

    /// Checks a payment whose refund of `pence` is undone, and returns the new number of the payment. None if the invoice has no
    /// payments in the state. The payment is checked like a new payment against the other payments of its invoice, because another
    /// award may have paid the invoice meanwhile. Adds refusals to `limits`:
    /// [`Reason::InvoicePaid`], [`Reason::ClaimTotalDiffers`], [`Reason::ClaimTotalExceeded`].
    pub(in crate::programme) fn check_repeated_payment(
        &self,
        (award, reach): (&Award, &Reach),
        paid: &Invoice,
        pence: i64,
        limits: &mut LimitCollector,
    ) -> Option<i64> {
        let key = paid.key();
        let payments = self.claims.get(&key)?;
        let others = payments.without(award.id, paid.seq);
        let (reference, printed) = (paid.reference.clone(), paid.reference.as_str().to_owned());
        let total = paid.claim.as_ref().and_then(|it| it.total);
        let new = NewClaim { reference, printed, issuer: None, total };
        let issuer = Issuer { name: Some(paid.issuer.clone()).filter(|it| !it.is_empty()), key: key.0 };
        let may_be_named = |id| self.may_be_named(id, award.offer, reach);
        let payment =
            RequestedPayment { award, new: &new, issuer: &issuer, payments: &others, may_be_named, is_undo: true };
        let refusal = match (others.first_outstanding(), total) {
            (None, _) => None,
            (Some((paying_award, _)), None) => Some(payment.paid_by_award(paying_award)),
            (Some(_), Some(total)) => {
                let left = total.get().saturating_sub(others.paid()).saturating_sub(paid.left());
                let (left, amount) = (award.amount_of(left), award.amount_of(pence));
                payment.payable_total().err().or_else(|| payment.total_exceeded(total, left, Some(amount)))
            }
        };
        limits.add_blocker(refusal);
        Some(payments.last_part().saturating_add(1))
    }

    /// The issuer of an invoice that an award pays, or the refusal of the issuer.
    fn issuer(&self, award: &Award, new: &NewClaim) -> Result<Issuer, Refusal> {
        match (&award.support, new.issuer.as_deref()) {
            (Support::Npqel { provider, .. }, requested) => {
                let spelt = requested.map(|it| self.programme.scheme.provider(it).unwrap_or(it));
                match spelt.filter(|it| IssuerKey::of(it) != IssuerKey::of(provider)) {
                    Some(other) => Err(issued_by_another_provider(award, provider, other)),
                    None => Ok(Issuer::named(provider, &self.programme.scheme)),
                }
            }
            _ if self.rules < RulesVersion::V2 => Err(invoice_not_expected(award)),
            (Support::Credit { partner }, requested) => {
                Ok(self.partner_or_requested(*partner, requested, &new.reference))
            }
            (Support::Nle { .. } | Support::Nlg { .. }, Some(requested)) => {
                Ok(Issuer::named(requested, &self.programme.scheme))
            }
            (Support::Nle { .. } | Support::Nlg { .. }, None) => {
                let key = self.organisations.get(&award.id).copied();
                key.map(|key| Issuer { name: None, key }).ok_or_else(|| issuer_missing(award))
            }
        }
    }

    /// The issuer of an invoice of credit: the partner trust, or another issuer that the draw names.
    ///
    /// A renamed trust is one issuer under all its names. If awards of this partner already paid the invoice under a former
    /// name, the invoice keeps that name. Otherwise the name in the request counts, or else the trust's name in the newest
    /// register.
    fn partner_or_requested(&self, partner: Uid, requested: Option<&str>, reference: &Reference) -> Issuer {
        let scheme = &self.programme.scheme;
        let names = self.trust_names.get(&partner).map(Vec::as_slice).unwrap_or_default();
        let fallback_name = format!("trust {partner}");
        let newest = names.first().map_or(fallback_name.as_str(), String::as_str);
        let issuer = Issuer::named(requested.unwrap_or(newest), scheme);
        let all_names: Vec<Issuer> = names.iter().map(|it| Issuer::named(it, scheme)).collect();
        if !all_names.iter().any(|it| it.key == issuer.key) {
            return issuer;
        }
        let payments_to = |it: &Issuer| self.claims.get(&(it.key, reference.clone()));
        // Another trust may have had the same former name, and may have issued invoices under that name.
        let payments_by_partner =
            |it: &Issuer| payments_to(it).map(|all| all.of_awards(|award| self.partner_of(award) == Some(partner)));
        let former_names = all_names.into_iter().filter(|it| it.key != issuer.key);
        let former: Vec<(ClaimPayments, Issuer)> =
            former_names.filter_map(|it| Some((payments_by_partner(&it)?, it))).collect();
        if payments_to(&issuer).is_some_and(|all| all.first_outstanding().is_some()) {
            return issuer;
        }
        // A former name with a payment that is not fully refunded has priority over a former name with only refunded payments.
        let outstanding = former.iter().position(|(all, _)| all.first_outstanding().is_some());
        let index = outstanding.or_else(|| former.iter().position(|(all, _)| *all != ClaimPayments::default()));
        index.and_then(|index| former.into_iter().nth(index)).map_or(issuer, |(_, former)| former)
    }

    /// The partner trust of an award of credit. None for any other award.
    fn partner_of(&self, award: AwardId) -> Option<Uid> {
        match self.awards.get(&award).map(|it| &it.support) {
            Some(Support::Credit { partner }) => Some(*partner),
            Some(_) => None,
            None => self.partners.get(&award).copied(),
        }
    }

    /// The key of an issuer. All names of a provider have the same key.
    pub(in crate::programme) fn issuer_key(&self, issuer: &RefundIssuer) -> IssuerKey {
        match issuer {
            RefundIssuer::Named(name) => Issuer::named(name, &self.programme.scheme).key,
            RefundIssuer::Key(key) => *key,
        }
    }

    /// Whether a refusal may name an award: the award is of the same offer, or the caller reaches everything.
    pub(in crate::programme) fn may_be_named(&self, id: AwardId, offer: OfferId, reach: &Reach) -> bool {
        reach.is_everything() || self.awards.get(&id).is_some_and(|it| it.offer == offer)
    }

    /// Whether the same amount was already drawn on this award on the same day without an invoice.
    pub(in crate::programme) fn repeats_draw(&self, award: AwardId, on: Date, amount: i64) -> bool {
        self.draws_without_invoice
            .get(&award)
            .is_some_and(|draws| draws.iter().any(|(_, day, drawn)| (*day, *drawn) == (on, amount)))
    }
}

/// The key of an organisation that issues invoices. None for a name with a letter of another alphabet, which may only look like an
/// ASCII letter.
#[must_use]
pub fn issuer_key_of_organisation(name: &str, scheme: &Terms) -> Option<IssuerKey> {
    other_letter_of_issuer(name).is_none().then(|| Issuer::named(name, scheme).key)
}

/// A requested payment of an invoice, with the payments of that invoice so far.
struct RequestedPayment<'a, F> {
    award: &'a Award,
    new: &'a NewClaim,
    issuer: &'a Issuer,
    payments: &'a ClaimPayments,
    /// Whether a refusal may name an award to the caller.
    may_be_named: F,
    /// Whether this is an earlier payment whose refund is undone.
    is_undo: bool,
}

impl<F: Fn(AwardId) -> bool> RequestedPayment<'_, F> {
    /// The total up to which the invoice may be paid, or the refusal of the payment. None if this draw alone pays the invoice.
    fn payable_total(&self) -> Result<Option<Pence>, Refusal> {
        let Some((award, first_payment)) = self.payments.first_outstanding() else { return Ok(self.new.total) };
        let Some(total) = first_payment.total else {
            return Err(self.paid_by_award(award));
        };
        if let Some(stated) = self.new.total.filter(|it| *it != total) {
            return Err(self.total_differs(total, stated));
        }
        if self.payments.paid() >= total.get() {
            let message_end = format!("has been paid up to its total, {total}");
            return Err(self.already_paid(&message_end, "refund what was paid in error first"));
        }
        Ok(Some(total))
    }

    /// The invoice in words: `invoice INV1 of Teach First`.
    fn invoice_phrase(&self) -> String {
        format!("invoice {} of {}", self.new.reference.as_str(), self.issuer_name())
    }

    /// The name of the issuer, or a phrase if the record has no name.
    fn issuer_name(&self) -> String {
        self.issuer.name.clone().unwrap_or_else(|| "the leader's organisation".to_owned())
    }

    fn paid_by_award(&self, award: AwardId) -> Refusal {
        let payer = if (self.may_be_named)(award) { format!(" by award {award}") } else { String::new() };
        self.already_paid(&format!("has been paid{payer}"), "refund all of that payment first")
    }

    /// The refusal of an invoice that is paid already. `first_step` is the remedy that makes the payment possible.
    fn already_paid(&self, message_end: &str, first_step: &str) -> Refusal {
        let remedy =
            if self.is_undo { first_step.to_owned() } else { format!("name another invoice, or {first_step}") };
        let limit = Limit::plain(LimitKind::Award, subject(self.award), remedy);
        Refusal::of(Reason::InvoicePaid, format!("{} {message_end}", self.invoice_phrase()), limit)
    }

    fn total_differs(&self, total: Pence, stated: Pence) -> Refusal {
        let remedy = if self.is_undo {
            "refund all that was paid on it since".to_owned()
        } else {
            format!("give {total} as the total, or leave it out")
        };
        let limit = Limit::plain(LimitKind::Award, subject(self.award), remedy);
        let message = format!("the total of {} was stated as {total}, and {stated} is given", self.invoice_phrase());
        Refusal::of(Reason::ClaimTotalDiffers, message, limit)
    }

    /// Refuses an amount that is more than is left of the total. None if the amount is none.
    fn total_exceeded(&self, total: Pence, left: i64, amount: Option<i64>) -> Option<Refusal> {
        let unit = self.award.unit;
        let first_step = "refund what was paid in error first";
        amount.filter(|it| *it > left).map(|amount| {
            let limit = Limit {
                kind: LimitKind::Award,
                subject: LimitSubject::Invoice {
                    reference: self.new.reference.clone(),
                    issuer: Some(self.issuer_name()),
                    award: self.award.id,
                    strand: self.award.support.strand(),
                },
                unit: Some(unit),
                limit: Some(self.award.amount_of(total.get())),
                committed: Some(0),
                spent: Some(self.award.amount_of(total.get()).saturating_sub(left)),
                available: Some(left),
                requested: Some(amount),
                largest: Some(left),
                remedy: if self.is_undo {
                    first_step.to_owned()
                } else {
                    format!("draw at most {}, or {first_step}", shown(unit, left))
                },
            };
            let message = format!(
                "{} is more than is left of the total of {}, {total}: {}",
                shown(unit, amount),
                self.invoice_phrase(),
                shown(unit, left)
            );
            Refusal::of(Reason::ClaimTotalExceeded, message, limit)
        })
    }
}

/// Refuses a draw of NPQEL fees without an invoice. The other strands may be drawn without one.
fn invoice_missing(award: &Award) -> Option<Refusal> {
    matches!(award.support, Support::Npqel { .. }).then(|| {
        let message = "fees are reimbursed against the provider's invoice, and none is named";
        let limit = Limit::plain(LimitKind::Award, subject(award), "name the provider's invoice");
        Refusal::of(Reason::InvoiceMissing, message, limit)
    })
}

fn invoice_not_expected(award: &Award) -> Refusal {
    let message = format!("an award of {} has no invoices", award.support.strand());
    Refusal::of(
        Reason::InvoiceNotExpected,
        message,
        Limit::plain(LimitKind::Award, subject(award), "leave the invoice out"),
    )
}

fn issued_by_another_provider(award: &Award, provider: &str, other: &str) -> Refusal {
    let message = format!("the fees of this award are invoiced by {provider}, not by {other}");
    let limit = Limit::plain(LimitKind::Award, subject(award), format!("leave the issuer out, or name {provider}"));
    Refusal::of(Reason::InvoiceNotExpected, message, limit)
}

fn issuer_missing(award: &Award) -> Refusal {
    let message = "the record does not say who made this invoice out: the organisation of the leader is not recorded, was \
                   erased, or has letters of another alphabet";
    let limit = Limit::plain(LimitKind::Award, subject(award), "name the issuer of the invoice");
    Refusal::of(Reason::ClaimIssuerMissing, message, limit)
}

/// A requested refund.
pub(in crate::programme) struct RequestedRefund<'a> {
    /// The invoice, if the caller names one.
    pub(in crate::programme) reference: Option<&'a Reference>,
    /// The issuer of the invoice, if the caller names one.
    pub(in crate::programme) issuer: Option<IssuerKey>,
    /// The amount, in the award's unit.
    pub(in crate::programme) amount: i64,
}

/// The payment that a refund takes back.
pub(in crate::programme) struct RefundedPayment<'a> {
    /// The payment of the invoice.
    pub(in crate::programme) paid: &'a Invoice,
    /// The largest amount that a refund on that day can take back of a single payment of the invoice, in the award's unit.
    pub(in crate::programme) largest_refund: i64,
    /// Whether the invoice has several payments that are not fully refunded.
    has_several_payments: bool,
}

impl<'a> RefundedPayment<'a> {
    /// Chooses one of several payments of an invoice: the newest payment with enough left as of the day of the refund and each
    /// later day. None if there are no payments.
    ///
    /// For each payment, `left_from` returns the least amount that was left from that day on, and the day from which enough was
    /// left. If no payment has enough, the refund will be refused. The refusal is then about the payment that has enough
    /// soonest, or else the payment with the largest amount left.
    fn choose(
        award: &Award,
        payments: &[&'a Invoice],
        amount: i64,
        left_from: impl Fn(&Invoice) -> (i64, Option<Date>),
    ) -> Option<Self> {
        let left = |it: &Invoice| award.amount_of(it.left());
        let refundable = |it: &Invoice| left(it).min(left_from(it).0).max(0);
        let newest = payments.iter().rfind(|it| refundable(it) >= amount);
        let soonest = || payments.iter().filter(|it| left(it) >= amount).min_by_key(|it| left_from(it).1);
        let largest = || payments.iter().max_by_key(|it| (refundable(it), it.left()));
        let paid = *newest.or_else(soonest).or_else(largest)?;
        let largest_refund = payments.iter().map(|it| refundable(it)).max().unwrap_or(0);
        Some(Self { paid, largest_refund, has_several_payments: payments.len() > 1 })
    }

    /// Adds to the refusal of a date that a smaller amount could be refunded on that date, if so.
    pub(in crate::programme) fn suggest_smaller_amount(&self, award: &Award, mut refusal: Refusal) -> Refusal {
        if let Some(limit) = refusal.limits.first_mut().filter(|_| self.largest_refund > 0) {
            limit.remedy.push_str(&format!(", or refund at most {}", shown(award.unit, self.largest_refund)));
        }
        refusal
    }
}

/// The payment that a refund takes back: a payment of the named invoice, or of the only invoice that is not fully refunded.
/// None if the refund takes back an amount that was drawn without an invoice. See [`RefundedPayment::choose`] for `left_from`.
///
/// # Errors
/// [`Reason::InvoiceMissing`] if the request does not determine the payment, or if the named invoice has no payment to refund.
pub(in crate::programme) fn payment_to_refund<'a>(
    award: &'a Award,
    RequestedRefund { reference, issuer, amount }: &RequestedRefund<'_>,
    left_from: impl Fn(&Invoice) -> (i64, Option<Date>),
) -> Result<Option<RefundedPayment<'a>>, Refusal> {
    let refuse = |message: String, remedy: String| {
        Err(Refusal::of(Reason::InvoiceMissing, message, Limit::plain(LimitKind::Award, subject(award), remedy)))
    };
    let outstanding: Vec<&Invoice> = award.invoices.iter().filter(|it| it.is_outstanding()).collect();
    let mut names: Vec<&str> = outstanding.iter().map(|it| it.reference.as_str()).collect();
    names.dedup();
    let names = names.join(", ");
    let Some(reference) = reference else {
        return match outstanding.as_slice() {
            _ if award.spent_without_invoice() > 0 => Ok(None),
            [] => Ok(None),
            only @ [_] => Ok(RefundedPayment::choose(award, only, *amount, left_from)),
            _ => refuse("several invoices stand on this award".to_owned(), format!("name one of: {names}")),
        };
    };
    let is_of_issuer = |it: &&Invoice| issuer.is_none_or(|key| it.key().0 == key);
    let with_reference = outstanding.iter().copied().filter(|it| it.reference == **reference);
    let payments: Vec<&Invoice> = with_reference.filter(is_of_issuer).collect();
    let issuers: BTreeMap<IssuerKey, &str> = payments.iter().map(|it| (it.key().0, it.issuer.as_str())).collect();
    if issuers.len() > 1 {
        let unnamed = "the leader's organisation";
        let issuers: Vec<&str> = issuers.values().map(|it| if it.is_empty() { unnamed } else { *it }).collect();
        let message = format!("invoices {} of several issuers stand on this award", reference.as_str());
        return refuse(message, format!("name the issuer: {}", issuers.join(", ")));
    }
    match RefundedPayment::choose(award, &payments, *amount, left_from) {
        Some(payment) => Ok(Some(payment)),
        None if names.is_empty() => {
            let message = format!("no payment of invoice {} stands on this award", reference.as_str());
            refuse(message, "leave the invoice out: none stands on this award".to_owned())
        }
        None => refuse(
            format!("no payment of invoice {} stands on this award", reference.as_str()),
            format!("name an invoice that it paid and that is not all refunded: {names}"),
        ),
    }
}

/// Refuses to take back more than is left of a payment.
pub(in crate::programme) fn more_than_paid(
    award: &Award,
    payment: &RefundedPayment<'_>,
    left: i64,
    amount: i64,
) -> Option<Refusal> {
    let RefundedPayment { paid, largest_refund, has_several_payments } = payment;
    (amount > left).then(|| {
        let suggestion = format!(", at most {} by this one", shown(award.unit, *largest_refund));
        let suggestion = if *has_several_payments && *largest_refund > 0 { suggestion.as_str() } else { "" };
        let limit = Limit {
            kind: LimitKind::Award,
            subject: LimitSubject::Invoice {
                reference: paid.reference.clone(),
                issuer: None,
                award: award.id,
                strand: award.support.strand(),
            },
            unit: Some(award.unit),
            limit: Some(award.amount_of(paid.amount.get())),
            committed: Some(0),
            spent: Some(left),
            available: Some(left),
            requested: Some(amount),
            largest: Some(left),
            remedy: format!("refund each payment apart{suggestion}"),
        };
        let message =
            format!("{} is more than is left of this invoice: {}", shown(award.unit, amount), shown(award.unit, left));
        Refusal::of(Reason::AwardExceeded, message, limit)
    })
}
