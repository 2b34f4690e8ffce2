//! Identifies invoices by their issuer and reference, and checks the payments of each invoice.
//!
//! "A claim's reference belongs to its issuer" (`domain.md` section 5). The issuer and the normalised reference identify
//! an invoice across all programmes. An invoice is paid by one draw, or in parts up to the total that the first draw
//! states.

use std::collections::BTreeMap;

use super::{Award, Invoice};
use crate::ids::AwardId;
use crate::money::Pence;
use crate::values::award::normalised_for_comparison;
pub use crate::values::award::{ClaimPart, IssuerKey};
use crate::values::record::Seq;
use crate::values::reference::{OtherLetter, Reference};

/// Finds the first letter or digit of a name that is not A to Z or 0 to 9. Such a character can look like an ASCII
/// letter without being one. Letters with accents are allowed.
#[must_use]
pub fn other_letter_of_issuer(name: &str) -> Option<OtherLetter> {
    name.chars().zip(1..).find_map(|(character, place)| {
        let mut compared =
            normalised_for_comparison(character.encode_utf8(&mut [0; 4])).collect::<Vec<char>>().into_iter();
        compared.find(|it| !it.is_ascii() && it.is_alphanumeric()).map(|character| OtherLetter { character, place })
    })
}

/// Whether a name has at least one letter or digit.
#[must_use]
pub fn names_an_issuer(name: &str) -> bool {
    normalised_for_comparison(name).any(char::is_alphanumeric)
}

/// The invoice of a draw, as the request describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClaim {
    /// Its reference, normalised.
    pub reference: Reference,
    /// The reference as it is printed.
    pub printed: String,
    /// Its issuer, if the request names one.
    pub issuer: Option<String>,
    /// Its total, if the request states one. The invoice may then be paid in parts.
    pub total: Option<Pence>,
}

/// The key of an invoice: issuer and normalised reference.
pub type ClaimKey = (IssuerKey, Reference);

/// A payment of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// The amount paid.
    pub amount: Pence,
    /// The amount refunded.
    pub refunded: Pence,
    /// The stated total of the invoice; `None` if this draw pays all of it.
    pub total: Option<Pence>,
    /// Its number among the payments of the invoice; 0 if it was recorded before version 2 of the rules.
    pub part: i64,
}

impl Payment {
    /// Whether some of the payment is not refunded.
    const fn is_outstanding(&self) -> bool {
        self.refunded.get() < self.amount.get()
    }
}

/// All payments of an invoice. The key has the award that paid, and the number of the draw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimPayments(BTreeMap<(AwardId, Seq), Payment>);

impl ClaimPayments {
    /// Adds a payment. If the payment was added before, replaces its data.
    pub fn put(&mut self, award: AwardId, invoice: &Invoice) {
        let (total, part) = invoice.claim.as_ref().map_or((None, 0), |it| (it.total, it.part));
        let payment = Payment { amount: invoice.amount, refunded: invoice.refunded, total, part };
        self.0.insert((award, invoice.seq), payment);
    }

    /// Returns the payments except the one of this award and draw.
    #[must_use]
    pub fn without(&self, award: AwardId, seq: Seq) -> Self {
        let mut others = self.clone();
        others.0.remove(&(award, seq));
        others
    }

    /// Returns these payments together with the payments of `others` whose number is below `part`.
    #[must_use]
    pub fn with_earlier(&self, others: &Self, part: i64) -> Self {
        let mut all = self.clone();
        for (key, payment) in others.0.iter().filter(|(_, it)| it.part < part) {
            all.0.entry(*key).or_insert(*payment);
        }
        all
    }

    /// The award of each payment. An award that paid several times is returned several times.
    pub fn awards(&self) -> impl Iterator<Item = AwardId> + '_ {
        self.0.keys().map(|(award, _)| *award)
    }

    /// The payments of the awards for which `includes` returns true.
    #[must_use]
    pub fn of_awards(&self, includes: impl Fn(AwardId) -> bool) -> Self {
        Self(self.0.iter().filter(|((award, _), _)| includes(*award)).map(|(key, it)| (*key, *it)).collect())
    }

    /// The first payment that is not refunded entirely.
    #[must_use]
    pub fn first_outstanding(&self) -> Option<(AwardId, Payment)> {
        self.0.iter().find(|(_, it)| it.is_outstanding()).map(|((award, _), it)| (*award, *it))
    }

    /// The amount that was paid and not refunded, in pence.
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

    /// Checks a recorded payment that counts again under the new number `part`, because its refund was undone. Returns
    /// what is wrong, or `None` if the payment is correct.
    #[must_use]
    pub fn fault_of_undone_refund(
        &self,
        (award, paid): (AwardId, &Invoice),
        claim: &ClaimPart,
        part: i64,
    ) -> Option<String> {
        let last = self.last_part();
        let wrong_number = (part <= last).then(|| format!("it is payment {part} of its invoice, after payment {last}"));
        wrong_number.or_else(|| self.without(award, paid.seq).fault(paid.left(), claim))
    }

    /// Checks one more recorded payment. Returns what is wrong, or `None` if the payment is correct.
    #[must_use]
    pub fn fault(&self, amount: i64, claim: &ClaimPart) -> Option<String> {
        let last = self.last_part();
        if claim.part <= last {
            return Some(format!("it is payment {} of its invoice, after payment {last}", claim.part));
        }
        match (self.first_outstanding(), claim.total) {
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
    /// The amount that was drawn without an invoice and not refunded, in the award's unit.
    #[must_use]
    pub fn spent_without_invoice(&self) -> i64 {
        let by_invoice = self.invoices.iter().map(|it| self.amount_of(it.left())).fold(0, i64::saturating_add);
        self.spent().saturating_sub(by_invoice)
    }

    /// Converts pence to the award's unit, rounded down.
    #[must_use]
    pub fn amount_of(&self, pence: i64) -> i64 {
        self.cost(1).and_then(|unit_cost| pence.checked_div(unit_cost)).unwrap_or(0)
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
        for (name, other, same) in rows {
            assert_eq!(IssuerKey::of(name) == IssuerKey::of(other), same, "{name:?} {other:?}");
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
