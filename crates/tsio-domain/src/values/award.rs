//! What events and awards say of an award: its support, who issues its invoices, what moves its amount.

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

/// What a strand asks for, beside an amount. Names and reasons lie in the texts, never here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Support {
    /// Days of a national leader of education or equivalent; the text is the leader's organisation.
    Nle {
        /// The leader, an opaque id.
        leader: Actor,
        /// Whether the leader is a national leader or an equivalent; nothing where that is not recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leader_kind: Option<LeaderKind>,
    },
    /// Credit towards a trust partnership; the text says why the partner is suitable.
    Credit {
        /// The partner, a multi-academy trust.
        partner: Uid,
    },
    /// National leader of governance; the text says why it is beneficial.
    Nlg {
        /// The leader, an opaque id; nothing where that is not recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leader: Option<Actor>,
        /// The leader's organisation; nothing where that is not recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        organisation: Option<String>,
    },
    /// The executive leadership qualification; the text says why it is beneficial.
    Npqel {
        /// The trust leader who takes it, an opaque id.
        leader: Actor,
        /// The accredited provider, as the terms spell it.
        provider: String,
    },
}

impl Support {
    /// The strand it belongs to, as every terms file names it.
    #[must_use]
    pub fn strand(&self) -> StrandId {
        StrandId::new(self.strand_name())
    }

    /// The same as text.
    #[must_use]
    pub const fn strand_name(&self) -> &'static str {
        match self {
            Self::Nle { .. } => "nle",
            Self::Credit { .. } => "credit",
            Self::Nlg { .. } => "nlg",
            Self::Npqel { .. } => "npqel",
        }
    }

    /// The leader whose fees it pays, as leaders are compared: folded, as the ids of persons are.
    #[must_use]
    pub fn fees_key(&self) -> Option<String> {
        match self {
            Self::Npqel { leader, .. } => Some(person::key(leader.as_str())),
            Self::Nle { .. } | Self::Credit { .. } | Self::Nlg { .. } => None,
        }
    }

    /// Whether somebody comes for days, which are booked.
    #[must_use]
    pub const fn has_bookings(&self) -> bool {
        matches!(self, Self::Nle { .. } | Self::Nlg { .. })
    }
}

named_enum! {
    /// Who delivers leader time: "a national leader of education or equivalent".
    LeaderKind {
        /// A national leader of education.
        NationalLeader = "national_leader",
        /// An equivalent.
        Equivalent = "equivalent",
    }
}

named_enum! {
    /// What can be undone.
    MovementKind {
        /// Drawn: days delivered, a claim paid.
        Draw = "draw",
        /// Given back unused.
        Release = "release",
        /// Taken back after it was drawn.
        Refund = "refund",
    }
}

/// An issuer as it is compared: the SHA-256 of its name, so that a name that lies apart can be compared without being in
/// the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IssuerKey(Hash);

impl IssuerKey {
    /// The key of a name. Case, accents, punctuation and spaces make no other issuer.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let compared: String = compared(name).filter(|it| it.is_alphanumeric()).collect();
        Self(Hash(Sha256::new().chain_update(b"tsio issuer v1\n").chain_update(compared).finalize().into()))
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

/// A name as it is compared.
pub(crate) fn compared(name: &str) -> impl Iterator<Item = char> {
    name.nfkd().filter(|it| !is_combining_mark(*it)).flat_map(char::to_uppercase)
}

/// What the record says of an invoice that a draw pays, beside its normalised reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimPart {
    /// Who made it out; nothing where that is the organisation of the award's leader, whose name lies apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The issuer as it is compared.
    pub issuer_key: IssuerKey,
    /// The reference as it is printed.
    pub printed: String,
    /// The total of the invoice; nothing where one draw pays it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Pence>,
    /// Which payment of this claim it is, counted over all programmes from 1. Two that are decided at once get the same
    /// number, and the database takes one of them.
    pub part: i64,
}
