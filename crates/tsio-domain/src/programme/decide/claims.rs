//! Invoices: who made out the one that a draw pays, what may still be paid on it, and which one a refund takes back.
//!
//! An invoice belongs to its issuer, and is paid once, in any programme: by one draw, or up to the total that its first
//! draw stated. Only when all of it has been refunded may it be paid again.

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

/// Who made an invoice out.
struct Issuer {
    /// The name, where the record may have it.
    name: Option<String>,
    key: IssuerKey,
}

impl Issuer {
    /// One whose name the record has, as the terms spell it where it is one of their providers.
    fn named(name: &str, scheme: &Terms) -> Self {
        let name = scheme.provider(name).unwrap_or(name);
        Self { name: Some(name.to_owned()), key: IssuerKey::of(name) }
    }
}

impl ProgrammeState {
    /// What a draw records of the invoice it pays, `wanted` being its amount in the award's unit. What stands against it is
    /// added to the limits: [`Reason::InvoiceMissing`], [`Reason::InvoiceNotExpected`], [`Reason::ClaimIssuerMissing`],
    /// [`Reason::InvoicePaid`], [`Reason::ClaimTotalDiffers`], [`Reason::ClaimTotalExceeded`].
    pub(in crate::programme) fn pay(
        &self,
        (award, reach): (&Award, &Reach),
        new: Option<&NewClaim>,
        wanted: Option<i64>,
        limits: &mut LimitCollector,
    ) -> Option<ClaimPart> {
        let Some(new) = new else {
            limits.add_blocker(missing(award));
            return None;
        };
        let issuer = self.issuer(award, new).map_err(|it| limits.add_blocker(Some(it))).ok()?;
        let none = ClaimPayments::default();
        let payments = self.claims.get(&(issuer.key, new.reference.clone())).unwrap_or(&none);
        let named = |id| self.is_named(id, award.offer, reach);
        let asked = RequestedPayment { award, new, issuer: &issuer, payments, named, again: false };
        let total = asked.total().map_err(|it| limits.add_blocker(Some(it))).ok()?;
        if let Some(total) = total {
            let left = award.amount_of(total.get().saturating_sub(payments.paid()));
            limits.add_numeric_limit(left, asked.more_than(total, left, wanted));
        }
        Some(ClaimPart {
            issuer: issuer.name,
            issuer_key: issuer.key,
            printed: new.printed.clone(),
            total,
            part: payments.last_part().saturating_add(1),
        })
    }

    /// The number of a payment that stands again, `pence` of its refund being undone: among the others of its invoice it is
    /// judged like a new one, since its invoice may have been paid elsewhere meanwhile. What stands against it is added to the
    /// limits: [`Reason::InvoicePaid`], [`Reason::ClaimTotalDiffers`], [`Reason::ClaimTotalExceeded`].
    pub(in crate::programme) fn pay_again(
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
        let named = |id| self.is_named(id, award.offer, reach);
        let asked = RequestedPayment { award, new: &new, issuer: &issuer, payments: &others, named, again: true };
        let refused = match (others.standing(), total) {
            (None, _) => None,
            (Some((by, _)), None) => Some(asked.paid_by(by)),
            (Some(_), Some(total)) => {
                let left = total.get().saturating_sub(others.paid()).saturating_sub(paid.left());
                let (left, wanted) = (award.amount_of(left), award.amount_of(pence));
                asked.total().err().or_else(|| asked.more_than(total, left, Some(wanted)))
            }
        };
        limits.add_blocker(refused);
        Some(payments.last_part().saturating_add(1))
    }

    /// Who made out the invoices of an award, or this one.
    fn issuer(&self, award: &Award, new: &NewClaim) -> Result<Issuer, Refusal> {
        match (&award.support, new.issuer.as_deref()) {
            (Support::Npqel { provider, .. }, named) => {
                let spelt = named.map(|it| self.programme.scheme.provider(it).unwrap_or(it));
                match spelt.filter(|it| IssuerKey::of(it) != IssuerKey::of(provider)) {
                    Some(other) => Err(of_another_provider(award, provider, other)),
                    None => Ok(Issuer::named(provider, &self.programme.scheme)),
                }
            }
            _ if self.rules < RulesVersion::V2 => Err(not_expected(award)),
            (Support::Credit { partner }, named) => Ok(self.partner_or(*partner, named, &new.reference)),
            (Support::Nle { .. } | Support::Nlg { .. }, Some(named)) => {
                Ok(Issuer::named(named, &self.programme.scheme))
            }
            (Support::Nle { .. } | Support::Nlg { .. }, None) => {
                let key = self.organisations.get(&award.id).copied();
                key.map(|key| Issuer { name: None, key }).ok_or_else(|| no_issuer(award))
            }
        }
    }

    /// The partner trust of credit, or another issuer named. A trust that was renamed is one issuer: its invoice belongs to the
    /// name under which awards of this partner paid it first, else to the name that is said, else to that of the newest register.
    fn partner_or(&self, partner: Uid, named: Option<&str>, reference: &Reference) -> Issuer {
        let scheme = &self.programme.scheme;
        let names = self.trust_names.get(&partner).map(Vec::as_slice).unwrap_or_default();
        let unknown = format!("trust {partner}");
        let newest = names.first().map_or(unknown.as_str(), String::as_str);
        let issuer = Issuer::named(named.unwrap_or(newest), scheme);
        let ever: Vec<Issuer> = names.iter().map(|it| Issuer::named(it, scheme)).collect();
        if !ever.iter().any(|it| it.key == issuer.key) {
            return issuer;
        }
        let paid = |it: &Issuer| self.claims.get(&(it.key, reference.clone()));
        // Under a name of before, another trust may have made out invoices too.
        let of_partner =
            |it: &Issuer| paid(it).map(|all| all.of_awards(|award| self.partner_of(award) == Some(partner)));
        let before = ever.into_iter().filter(|it| it.key != issuer.key);
        let own: Vec<(ClaimPayments, Issuer)> = before.filter_map(|it| Some((of_partner(&it)?, it))).collect();
        if paid(&issuer).is_some_and(|all| all.standing().is_some()) {
            return issuer;
        }
        let stands = own.iter().position(|(all, _)| all.standing().is_some());
        let first = stands.or_else(|| own.iter().position(|(all, _)| *all != ClaimPayments::default()));
        first.and_then(|at| own.into_iter().nth(at)).map_or(issuer, |(_, before)| before)
    }

    /// The partner trust of an award of credit.
    fn partner_of(&self, award: AwardId) -> Option<Uid> {
        match self.awards.get(&award).map(|it| &it.support) {
            Some(Support::Credit { partner }) => Some(*partner),
            Some(_) => None,
            None => self.partners.get(&award).copied(),
        }
    }

    /// An issuer as it is compared, by whichever of its names it is called.
    pub(in crate::programme) fn issuer_key(&self, issuer: &RefundIssuer) -> IssuerKey {
        match issuer {
            RefundIssuer::Named(name) => Issuer::named(name, &self.programme.scheme).key,
            RefundIssuer::Key(key) => *key,
        }
    }

    /// Whether a refusal may name an award: one of the same offer, or any for those who see all offers.
    pub(in crate::programme) fn is_named(&self, id: AwardId, offer: OfferId, reach: &Reach) -> bool {
        reach.is_everything() || self.awards.get(&id).is_some_and(|it| it.offer == offer)
    }

    /// Whether so much was drawn on an award that day already, without an invoice that would tell the two draws apart.
    pub(in crate::programme) fn is_drawn_again(&self, award: AwardId, on: Date, amount: i64) -> bool {
        self.draws.get(&award).is_some_and(|draws| draws.iter().any(|(_, day, drawn)| (*day, *drawn) == (on, amount)))
    }
}

/// The key of an organisation that issues invoices; nothing for a name with letters that may look like others.
#[must_use]
pub fn organisation(name: &str, scheme: &Terms) -> Option<IssuerKey> {
    other_letter_of_issuer(name).is_none().then(|| Issuer::named(name, scheme).key)
}

/// An invoice to be paid, and what has been paid on it.
struct RequestedPayment<'a, F> {
    award: &'a Award,
    new: &'a NewClaim,
    issuer: &'a Issuer,
    payments: &'a ClaimPayments,
    /// Whether the caller may be told of an award.
    named: F,
    /// Whether it was paid before and is to stand again.
    again: bool,
}

impl<F: Fn(AwardId) -> bool> RequestedPayment<'_, F> {
    /// The total up to which it is paid; nothing where this draw pays all of it.
    fn total(&self) -> Result<Option<Pence>, Refusal> {
        let Some((award, first)) = self.payments.standing() else { return Ok(self.new.total) };
        let Some(total) = first.total else {
            return Err(self.paid_by(award));
        };
        if let Some(other) = self.new.total.filter(|it| *it != total) {
            return Err(self.total_differs(total, other));
        }
        if self.payments.paid() >= total.get() {
            let how = format!("has been paid up to its total, {total}");
            return Err(self.paid(how, "refund what was paid in error first"));
        }
        Ok(Some(total))
    }

    /// `invoice INV1 of Teach First`.
    fn name(&self) -> String {
        format!("invoice {} of {}", self.new.reference.as_str(), self.issuer_name())
    }

    /// Who issued it, as far as the record has a name.
    fn issuer_name(&self) -> String {
        self.issuer.name.clone().unwrap_or_else(|| "the leader's organisation".to_owned())
    }

    fn paid_by(&self, award: AwardId) -> Refusal {
        let by = if (self.named)(award) { format!(" by award {award}") } else { String::new() };
        self.paid(format!("has been paid{by}"), "refund all of that payment first")
    }

    fn paid(&self, how: String, first: &str) -> Refusal {
        let remedy = if self.again { first.to_owned() } else { format!("name another invoice, or {first}") };
        let limit = Limit::plain(LimitKind::Award, subject(self.award), remedy);
        Refusal::of(Reason::InvoicePaid, format!("{} {how}", self.name()), limit)
    }

    fn total_differs(&self, total: Pence, other: Pence) -> Refusal {
        let remedy = if self.again {
            "refund all that was paid on it since".to_owned()
        } else {
            format!("give {total} as the total, or leave it out")
        };
        let limit = Limit::plain(LimitKind::Award, subject(self.award), remedy);
        let message = format!("the total of {} was stated as {total}, and {other} is given", self.name());
        Refusal::of(Reason::ClaimTotalDiffers, message, limit)
    }

    fn more_than(&self, total: Pence, left: i64, wanted: Option<i64>) -> Option<Refusal> {
        let unit = self.award.unit;
        let first = "refund what was paid in error first";
        wanted.filter(|it| *it > left).map(|wanted| {
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
                requested: Some(wanted),
                largest: Some(left),
                remedy: if self.again {
                    first.to_owned()
                } else {
                    format!("draw at most {}, or {first}", shown(unit, left))
                },
            };
            let message = format!(
                "{} is more than is left of the total of {}, {total}: {}",
                shown(unit, wanted),
                self.name(),
                shown(unit, left)
            );
            Refusal::of(Reason::ClaimTotalExceeded, message, limit)
        })
    }
}

/// Fees are reimbursed against an invoice; the other strands may do without.
fn missing(award: &Award) -> Option<Refusal> {
    matches!(award.support, Support::Npqel { .. }).then(|| {
        let message = "fees are reimbursed against the provider's invoice, and none is named";
        let limit = Limit::plain(LimitKind::Award, subject(award), "name the provider's invoice");
        Refusal::of(Reason::InvoiceMissing, message, limit)
    })
}

fn not_expected(award: &Award) -> Refusal {
    let message = format!("an award of {} has no invoices", award.support.strand());
    Refusal::of(
        Reason::InvoiceNotExpected,
        message,
        Limit::plain(LimitKind::Award, subject(award), "leave the invoice out"),
    )
}

fn of_another_provider(award: &Award, provider: &str, other: &str) -> Refusal {
    let message = format!("the fees of this award are invoiced by {provider}, not by {other}");
    let limit = Limit::plain(LimitKind::Award, subject(award), format!("leave the issuer out, or name {provider}"));
    Refusal::of(Reason::InvoiceNotExpected, message, limit)
}

fn no_issuer(award: &Award) -> Refusal {
    let message = "the record does not say who made this invoice out: the organisation of the leader is not recorded, was \
                   erased, or has letters of another alphabet";
    let limit = Limit::plain(LimitKind::Award, subject(award), "name the issuer of the invoice");
    Refusal::of(Reason::ClaimIssuerMissing, message, limit)
}

/// What a refund asks for.
pub(in crate::programme) struct RefundAsked<'a> {
    /// The invoice, where one is named.
    pub(in crate::programme) reference: Option<&'a Reference>,
    /// Who made it out, where that is named.
    pub(in crate::programme) issuer: Option<IssuerKey>,
    /// How much, in the award's unit.
    pub(in crate::programme) wanted: i64,
}

/// The payment that a refund takes back.
pub(in crate::programme) struct Refunded<'a> {
    pub(in crate::programme) paid: &'a Invoice,
    /// The most that a refund of that day can take back of any one payment of the invoice, in the award's unit.
    pub(in crate::programme) most: i64,
    /// Whether the invoice was paid in parts that stand.
    in_parts: bool,
}

impl<'a> Refunded<'a> {
    /// Of several parts of one invoice it is the newest of which so much was left from the day of the refund on. `as_of` says of
    /// each what was left since then, and from which day on it was enough. Where it is enough of none, what the refusal is about:
    /// the one of which it is soonest, else the one of which there is most.
    fn of(
        award: &Award,
        parts: &[&'a Invoice],
        wanted: i64,
        as_of: impl Fn(&Invoice) -> (i64, Option<Date>),
    ) -> Option<Self> {
        let left = |it: &Invoice| award.amount_of(it.left());
        let room = |it: &Invoice| left(it).min(as_of(it).0).max(0);
        let fits = parts.iter().rfind(|it| room(it) >= wanted);
        let later = || parts.iter().filter(|it| left(it) >= wanted).min_by_key(|it| as_of(it).1);
        let paid = *fits.or_else(later).or_else(|| parts.iter().max_by_key(|it| (room(it), it.left())))?;
        let most = parts.iter().map(|it| room(it)).max().unwrap_or(0);
        Some(Self { paid, most, in_parts: parts.len() > 1 })
    }

    /// What a day that is too early leaves, beside a later one.
    pub(in crate::programme) fn or_less(&self, award: &Award, mut refusal: Refusal) -> Refusal {
        if let Some(limit) = refusal.limits.first_mut().filter(|_| self.most > 0) {
            limit.remedy.push_str(&format!(", or refund at most {}", shown(award.unit, self.most)));
        }
        refusal
    }
}

/// The payment that a refund takes back: of the invoice named, or of the only one that stands. None where the refund takes
/// back what was drawn without an invoice.
pub(in crate::programme) fn refunded<'a>(
    award: &'a Award,
    RefundAsked { reference, issuer, wanted }: &RefundAsked<'_>,
    as_of: impl Fn(&Invoice) -> (i64, Option<Date>),
) -> Result<Option<Refunded<'a>>, Refusal> {
    let missing = |message: String, remedy: String| {
        Err(Refusal::of(Reason::InvoiceMissing, message, Limit::plain(LimitKind::Award, subject(award), remedy)))
    };
    let standing: Vec<&Invoice> = award.invoices.iter().filter(|it| it.stands()).collect();
    let mut names: Vec<&str> = standing.iter().map(|it| it.reference.as_str()).collect();
    names.dedup();
    let names = names.join(", ");
    let Some(reference) = reference else {
        return match standing.as_slice() {
            _ if award.spent_without_invoice() > 0 => Ok(None),
            [] => Ok(None),
            only @ [_] => Ok(Refunded::of(award, only, *wanted, as_of)),
            _ => missing("several invoices stand on this award".to_owned(), format!("name one of: {names}")),
        };
    };
    let of_issuer = |it: &&Invoice| issuer.is_none_or(|key| it.key().0 == key);
    let of_it = standing.iter().copied().filter(|it| it.reference == **reference);
    let parts: Vec<&Invoice> = of_it.filter(of_issuer).collect();
    let issuers: BTreeMap<IssuerKey, &str> = parts.iter().map(|it| (it.key().0, it.issuer.as_str())).collect();
    if issuers.len() > 1 {
        let apart = "the leader's organisation";
        let issuers: Vec<&str> = issuers.values().map(|it| if it.is_empty() { apart } else { *it }).collect();
        let message = format!("invoices {} of several issuers stand on this award", reference.as_str());
        return missing(message, format!("name the issuer: {}", issuers.join(", ")));
    }
    match Refunded::of(award, &parts, *wanted, as_of) {
        Some(refunded) => Ok(Some(refunded)),
        None if names.is_empty() => {
            let message = format!("no payment of invoice {} stands on this award", reference.as_str());
            missing(message, "leave the invoice out: none stands on this award".to_owned())
        }
        None => missing(
            format!("no payment of invoice {} stands on this award", reference.as_str()),
            format!("name an invoice that it paid and that is not all refunded: {names}"),
        ),
    }
}

/// Refuses to take back more of an invoice than is left of it.
pub(in crate::programme) fn more_than_paid(
    award: &Award,
    refunded: &Refunded<'_>,
    left: i64,
    wanted: i64,
) -> Option<Refusal> {
    let Refunded { paid, most, in_parts } = refunded;
    (wanted > left).then(|| {
        let at_once = format!(", at most {} by this one", shown(award.unit, *most));
        let at_once = if *in_parts && *most > 0 { at_once.as_str() } else { "" };
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
            requested: Some(wanted),
            largest: Some(left),
            remedy: format!("refund each payment apart{at_once}"),
        };
        let message =
            format!("{} is more than is left of this invoice: {}", shown(award.unit, wanted), shown(award.unit, left));
        Refusal::of(Reason::AwardExceeded, message, limit)
    })
}
