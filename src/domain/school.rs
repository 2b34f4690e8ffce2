//! What the register says of a school, as far as the rules need it.

use serde::{Deserialize, Serialize};

use super::ids::{LaCode, Uid, Urn};

/// The two kinds of group that decide placement (`domain.md` section 6: GIAS group types 6 and 10 only).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustKind {
    /// Multi-academy trust, GIAS group type 6.
    Mat,
    /// Single-academy trust, GIAS group type 10.
    Sat,
}

impl TrustKind {
    /// Its name in a sentence.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Mat => "multi-academy trust",
            Self::Sat => "single-academy trust",
        }
    }

    /// The kind behind a GIAS group type code; nothing for sponsors, federations and the rest.
    #[must_use]
    pub const fn from_gias(group_type: u8) -> Option<Self> {
        match group_type {
            6 => Some(Self::Mat),
            10 => Some(Self::Sat),
            _ => None,
        }
    }
}

/// A school's link to a trust in the newest register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustLink {
    /// The trust.
    pub uid: Uid,
    /// Whether it is a MAT or a SAT.
    pub kind: TrustKind,
    /// Whether its group status is open; a closed group places nobody.
    pub open: bool,
}

/// A placement made by a person, because the register places the school nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HandPlacement {
    /// As a local-authority-maintained school.
    Maintained,
    /// As the school of this single-academy trust.
    SingleAcademyTrust {
        /// The trust.
        uid: Uid,
    },
    /// As the only school of this multi-academy trust.
    SingleSchoolMat {
        /// The trust.
        uid: Uid,
    },
    /// As one of the schools of this multi-academy trust.
    Mat {
        /// The trust.
        uid: Uid,
    },
}

impl HandPlacement {
    /// The trust it names and what that has to be; nothing for a maintained school.
    #[must_use]
    pub const fn trust(self) -> Option<(Uid, TrustKind)> {
        match self {
            Self::Maintained => None,
            Self::SingleAcademyTrust { uid } => Some((uid, TrustKind::Sat)),
            Self::SingleSchoolMat { uid } | Self::Mat { uid } => Some((uid, TrustKind::Mat)),
        }
    }
}

/// What placement needs to know of one school.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchoolFacts {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Its type as the newest file prints it ("Academy converter", "Community School"); case and spacing vary.
    pub type_name: String,
    /// Its local authority.
    pub la: Option<LaCode>,
    /// Its diocese, when it has one.
    pub diocese: Option<String>,
    /// Its links to trusts in the newest register, open and closed.
    pub trusts: Vec<TrustLink>,
    /// A person's placement, when there is one.
    pub placed: Option<HandPlacement>,
}
