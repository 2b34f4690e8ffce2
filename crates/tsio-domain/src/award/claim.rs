//! Claims: who made an invoice out, and what has been paid on it.
//!
//! "A claim's reference belongs to its issuer" (`domain.md` section 5). Issuer and normalised reference together are one
//! claim, in any programme it is paid. It is paid by one draw, or up to the total that its first draw states.

use std::collections::BTreeMap;

use super::{Award, Invoice};
use crate::ids::AwardId;
use crate::money::Pence;
use crate::values::award::compared;
pub use crate::values::award::{ClaimPart, IssuerKey};
use crate::values::record::Seq;
use crate::values::reference::{OtherLetter, Reference};

/// The first character of a name that is a letter or digit of another alphabet, which may look like one of A to Z. Accents
/// are fine.
#[must_use]
pub fn other_letter_of_issuer(name: &str) -> Option<OtherLetter> {
    name.chars().zip(1..).find_map(|(character, place)| {
        let mut compared = compared(character.encode_utf8(&mut [0; 4])).collect::<Vec<char>>().into_iter();
        compared.find(|it| !it.is_ascii() && it.is_alphanumeric()).map(|character| OtherLetter { character, place })
    })
}

/// Whether a name has a letter or digit at all.
#[must_use]
pub fn names_an_issuer(name: &str) -> bool {
    compared(name).any(char::is_alphanumeric)
}

/// What a call says of the invoice it pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClaim {
    /// Its reference, normalised.
    pub reference: Reference,
    /// The reference as it is printed.
    pub printed: String,
    /// Who made it out, where the call says so.
    pub issuer: Option<String>,
    /// Its total, where the call says so: then it may be paid in parts.
    pub total: Option<Pence>,
}

/// A claim as it is looked up.
pub type ClaimKey = (IssuerKey, Reference);

/// A payment of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// What was paid.
    pub amount: Pence,
    /// What of it was refunded.
    pub refunded: Pence,
    /// The total of the invoice; nothing where this draw pays it.
    pub total: Option<Pence>,
    /// Its number; 0 before rules 2.
    pub part: i64,
}

impl Payment {
    const fn stands(&self) -> bool {
        self.refunded.get() < self.amount.get()
    }
}

/// All payments of a claim, by the award that made each and its event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimPayments(BTreeMap<(AwardId, Seq), Payment>);

impl ClaimPayments {
    /// Adds a payment, or takes its state over.
    pub fn put(&mut self, award: AwardId, invoice: &Invoice) {
        let (total, part) = invoice.claim.as_ref().map_or((None, 0), |it| (it.total, it.part));
        let payment = Payment { amount: invoice.amount, refunded: invoice.refunded, total, part };
        self.0.insert((award, invoice.seq), payment);
    }

    /// The payments but for this one.
    #[must_use]
    pub fn without(&self, award: AwardId, seq: Seq) -> Self {
        let mut others = self.clone();
        others.0.remove(&(award, seq));
        others
    }

    /// The same with the payments that others made before it is paid for the time of this number.
    #[must_use]
    pub fn with_earlier(&self, others: &Self, part: i64) -> Self {
        let mut all = self.clone();
        for (of, payment) in others.0.iter().filter(|(_, it)| it.part < part) {
            all.0.entry(*of).or_insert(*payment);
        }
        all
    }

    /// The awards that made them, each as often as it paid.
    pub fn awards(&self) -> impl Iterator<Item = AwardId> + '_ {
        self.0.keys().map(|(award, _)| *award)
    }

    /// The payments of awards that something holds of.
    #[must_use]
    pub fn of_awards(&self, are: impl Fn(AwardId) -> bool) -> Self {
        Self(self.0.iter().filter(|((award, _), _)| are(*award)).map(|(of, it)| (*of, *it)).collect())
    }

    /// The first payment that stands: not all of it was refunded.
    #[must_use]
    pub fn standing(&self) -> Option<(AwardId, Payment)> {
        self.0.iter().find(|(_, it)| it.stands()).map(|((award, _), it)| (*award, *it))
    }

    /// What has been paid and not refunded.
    #[must_use]
    pub fn paid(&self) -> i64 {
        let each = self.0.values().map(|it| it.amount.get().saturating_sub(it.refunded.get()));
        each.fold(0, i64::saturating_add)
    }

    /// The number of the last payment.
    #[must_use]
    pub fn last_part(&self) -> i64 {
        self.0.values().map(|it| it.part).max().unwrap_or(0)
    }

    /// What is wrong with a payment that stands again under another number, as an event records it; nothing when it is sound.
    #[must_use]
    pub fn fault_again(&self, (award, paid): (AwardId, &Invoice), claim: &ClaimPart, part: i64) -> Option<String> {
        let last = self.last_part();
        let number = (part <= last).then(|| format!("it is payment {part} of its invoice, after payment {last}"));
        number.or_else(|| self.without(award, paid.seq).fault(paid.left(), claim))
    }

    /// What is wrong with one more payment, as an event records it; nothing when it is sound.
    #[must_use]
    pub fn fault(&self, amount: i64, part: &ClaimPart) -> Option<String> {
        let last = self.last_part();
        if part.part <= last {
            return Some(format!("it is payment {} of its invoice, after payment {last}", part.part));
        }
        match (self.standing(), part.total) {
            (Some((_, before)), total) if before.total != total || total.is_none() => {
                Some("it pays an invoice that has been paid, or is of another total".to_owned())
            }
            (_, Some(total)) if self.paid().saturating_add(amount) > total.get() => {
                Some(format!("it pays more than the total of its invoice, {total}"))
            }
            _ => None,
        }
    }
}

impl Award {
    /// What was drawn without an invoice and not refunded, in the award's unit.
    #[must_use]
    pub fn spent_without_invoice(&self) -> i64 {
        let with = self.invoices.iter().map(|it| self.amount_of(it.left())).fold(0, i64::saturating_add);
        self.spent().saturating_sub(with)
    }

    /// What pence come to in the award's unit, rounded down.
    #[must_use]
    pub fn amount_of(&self, pence: i64) -> i64 {
        self.cost(1).and_then(|one| pence.checked_div(one)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_compared_by_its_letters_and_digits() {
        #[rustfmt::skip]
        let rows = [
            ("Teach First",          "TEACH  FIRST",       true),
            ("St Mary's Trust",      "St. Mary’s Trust",   true),
            ("Tŷ Gwyn",              "Ty Gwyn",            true),
            ("Ｏａｋ Trust",          "Oak Trust",          true),
            ("Oak Trust",            "Oak Trust 2",        false),
            ("Oak Trust",            "Оak Trust",          false),
        ];
        for (one, other, same) in rows {
            assert_eq!(IssuerKey::of(one) == IssuerKey::of(other), same, "{one:?} {other:?}");
        }
        let key = IssuerKey::of("Teach First");
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn a_letter_of_another_alphabet_is_named() {
        for (name, expected) in [
            ("Tŷ Gwyn – “Oak” & Co. 2", None),
            ("École", None),
            ("Оak", Some("\"О\" (U+041E) at character 1")),
            ("Oak ٣", Some("\"٣\" (U+0663) at character 5")),
            ("Łódź", Some("\"Ł\" (U+0141) at character 1")),
        ] {
            assert_eq!(other_letter_of_issuer(name).map(|it| it.to_string()).as_deref(), expected, "{name}");
        }
        assert!(names_an_issuer("7") && !names_an_issuer(" -&- "));
    }
}
