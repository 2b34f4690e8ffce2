//! Decides whether two callers are the same person. Every rule that needs two people uses this.
//!
//! "Two ids are one person when they are equal after Unicode NFKC, trimming and case folding, or when issuer and `sub`
//! of their tokens are equal" (`domain.md` section 8). Ids are stored and shown unchanged; only the comparison folds
//! their case.

use std::sync::LazyLock;

use icu_casemap::{CaseMapper, CaseMapperBorrowed};
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;

use super::event::Hash;
use super::ids::Actor;

/// A hash of the issuer and the `sub` of a token. It only shows whether two tokens belong to one person.
pub type TokenSubject = Hash;

static CASE_MAPPER: LazyLock<CaseMapperBorrowed<'static>> = LazyLock::new(CaseMapper::new);

/// The two values of a caller by which people are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The id of the caller.
    pub actor: Actor,
    /// The token subject; `None` without a token, or if it was not recorded.
    pub subject: Option<TokenSubject>,
}

impl Person {
    /// A person with only an id.
    #[must_use]
    pub const fn named(actor: Actor) -> Self {
        Self { actor, subject: None }
    }

    /// Whether the two are the same person.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        is_same_id(self.actor.as_str(), other.actor.as_str())
            || (self.subject.is_some() && self.subject == other.subject)
    }
}

/// Whether two ids belong to the same person. For two ASCII ids, a comparison without case and outer spaces gives the
/// same result as their [`key`]s.
fn is_same_id(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.trim().eq_ignore_ascii_case(other.trim());
    }
    key(one) == key(other)
}

/// Returns an id in the form in which ids are compared. The database stores this form in addition to the id.
#[must_use]
pub fn key(id: &str) -> String {
    let composed: String = id.nfkc().collect();
    // Case folding can return decomposed characters, so normalise again.
    CASE_MAPPER.fold_string(composed.trim()).nfkc().collect()
}

/// Computes the token subject from an issuer and a `sub`.
#[must_use]
pub fn subject(issuer: &str, sub: &str) -> TokenSubject {
    let hasher = Sha256::new().chain_update("tsio token subject v1\n");
    // The length separates the issuer from the `sub`: otherwise "a" + "bc" and "ab" + "c" would be equal.
    let length = u64::try_from(issuer.len()).unwrap_or(u64::MAX).to_be_bytes();
    Hash(hasher.chain_update(length).chain_update(issuer).chain_update(sub).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_without_case() {
        #[rustfmt::skip]
        let rows = [
            ("fin",             "Fin",             true),
            ("FIN",             "fin",             true),
            (" fin ",           "fin",             true),
            ("ﬁn",              "FIN",             true),
            ("Ｆｉｎ",           "fin",             true),
            ("strasse",         "STRASSE",         true),
            ("straße",          "STRASSE",         true),
            ("ΣΊΣΥΦΟΣ",         "σίσυφος",         true),
            ("e\u{301}ric",     "\u{c9}RIC",       true),
            ("ann@example.org", "Ann@Example.ORG", true),
            ("fin",             "fin-2",           false),
            ("fin",             "fiｎ2",           false),
            ("o",               "0",               false),
            ("fin",             "\u{200b}fin",     false),
        ];
        for (one, other, same) in rows {
            assert_eq!(key(one) == key(other), same, "{one:?} {other:?}");
            assert_eq!(is_same_id(one, other), same, "{one:?} {other:?}");
            assert_eq!(key(&key(one)), key(one), "a second folding must change nothing: {one:?}");
        }
    }

    #[test]
    fn two_callers_are_one_person_if_the_id_or_the_token_is_equal() {
        let person = |actor: &str, token: Option<(&str, &str)>| Person {
            actor: actor.parse().unwrap(),
            subject: token.map(|(issuer, sub)| subject(issuer, sub)),
        };
        let our_issuer = "https://login.example.org";
        #[rustfmt::skip]
        let rows = [
            (person("ann", None),                     person("Ann", None),                           true),
            (person("ann", None),                     person("ben", None),                           false),
            (person("ann", Some((our_issuer, "1"))),  person("ann-smith", Some((our_issuer, "1"))),  true),
            (person("ann", Some((our_issuer, "1"))),  person("ben", Some((our_issuer, "2"))),        false),
            (person("ann", Some((our_issuer, "1"))),  person("ANN", Some((our_issuer, "2"))),        true),
            (person("ann", Some((our_issuer, "1"))),  person("ben", Some(("other", "1"))),           false),
            (person("ann", Some(("https://a", "b"))), person("ben", Some(("https://ab", ""))),       false),
            (person("ann", Some((our_issuer, "1"))),  person("ben", None),                           false),
        ];
        for (one, other, same) in rows {
            assert_eq!((one.is(&other), other.is(&one)), (same, same), "{one:?} {other:?}");
        }
    }
}
