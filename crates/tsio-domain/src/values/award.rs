//! Defines values of events and awards: the support, the issuers of invoices, the kinds of movement.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::named_enum;
use crate::hash::Hash;
use crate::ids::{Actor, BadId, Uid};
use crate::money::Pence;
use crate::person;
use crate::terms::StrandId;

/// The details that a strand requires of an award, in addition to the amount.
///
/// Text that a person wrote, such as a reason, is stored separately as the text of the event, so that it can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Support {
    /// Days of a national leader of education or equivalent; the event's text is the leader's organisation.
    Nle {
        /// The leader, an opaque id.
        leader: Actor,
        /// Whether the leader is a national leader or an equivalent; `None` if that is not recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leader_kind: Option<LeaderKind>,
    },
    /// Credit towards a trust partnership; the event's text says why the partner is suitable.
    Credit {
        /// The partner, a multi-academy trust.
        partner: Uid,
    },
    /// National leader of governance; the event's text says why it is beneficial.
    Nlg {
        /// The leader, an opaque id; `None` if that is not recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leader: Option<Actor>,
        /// The leader's organisation; `None` if that is not recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organisation: Option<String>,
    },
    /// The executive leadership qualification; the event's text says why it is beneficial.
    Npqel {
        /// The trust leader who takes it, an opaque id.
        leader: Actor,
        /// The accredited provider, as the terms spell it.
        provider: String,
    },
}

impl Support {
    /// The strand of the support. Every terms file uses this name.
    #[must_use]
    pub fn strand(&self) -> StrandId {
        StrandId::new(self.strand_name())
    }

    /// The name of the strand.
    #[must_use]
    pub const fn strand_name(&self) -> &'static str {
        match self {
            Self::Nle { .. } => "nle",
            Self::Credit { .. } => "credit",
            Self::Nlg { .. } => "nlg",
            Self::Npqel { .. } => "npqel",
        }
    }

    /// The leader whose fees the award pays, in the form in which ids are compared ([`person::key`]). `None` if it pays
    /// no fees.
    #[must_use]
    pub fn fees_key(&self) -> Option<String> {
        match self {
            Self::Npqel { leader, .. } => Some(person::key(leader.as_str())),
            Self::Nle { .. } | Self::Credit { .. } | Self::Nlg { .. } => None,
        }
    }

    /// Whether the support has days of a leader, which can be booked.
    #[must_use]
    pub const fn has_bookings(&self) -> bool {
        matches!(self, Self::Nle { .. } | Self::Nlg { .. })
    }
}

named_enum! {
    /// The kind of leader: "a national leader of education or equivalent".
    LeaderKind {
        /// A national leader of education.
        NationalLeader = "national_leader",
        /// An equivalent.
        Equivalent = "equivalent",
    }
}

named_enum! {
    /// A kind of movement of an award. A movement of each kind can be undone.
    MovementKind {
        /// An amount was drawn: days were delivered, or a claim was paid.
        Draw = "draw",
        /// An unused amount was released.
        Release = "release",
        /// A drawn amount was refunded.
        Refund = "refund",
    }
}

/// The SHA-256 of the normalised name of an issuer. Issuers are compared by this key, even where the record does not
/// contain the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IssuerKey(Hash);

impl IssuerKey {
    /// Returns the key of a name. Names that differ only in case, accents, punctuation or spaces have the same key.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let normalised: String = normalised_for_comparison(name).filter(|it| it.is_alphanumeric()).collect();
        Self(Hash(Sha256::new().chain_update(b"tsio issuer v1\n").chain_update(normalised).finalize().into()))
    }
}

impl fmt::Display for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for IssuerKey {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Returns the characters of a name in the form in which names are compared: upper case without accents.
pub(crate) fn normalised_for_comparison(name: &str) -> impl Iterator<Item = char> {
    name.nfkd().filter(|it| !is_combining_mark(*it)).flat_map(char::to_uppercase)
}

/// The data of the invoice that a draw pays, in addition to its normalised reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimPart {
    /// The issuer; `None` if it is the organisation of the award's leader, whose name is stored separately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The key by which issuers are compared.
    pub issuer_key: IssuerKey,
    /// The reference as it is printed.
    pub printed: String,
    /// The stated total of the invoice; `None` if one draw pays all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Pence>,
    /// The number of this payment among the payments of the invoice, from 1. Payments in other programmes count too.
    /// Two payments that are decided at the same time get the same number, and the database accepts only one of them.
    pub part: i64,
}
