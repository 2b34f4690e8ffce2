//! Defines values of events and offers: recipients, contacts, acceptors, outcomes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::named_enum;
use crate::ids::{LaCode, Uid, Urn};
use crate::placement::RecipientKind;
use crate::region::local_authority;

named_enum! {
    /// How a closed offer ended (`domain.md` section 4).
    Outcome {
        /// All support was given.
        Completed = "completed",
        /// The recipient declined.
        Declined = "declined",
        /// The department withdrew the offer.
        Withdrawn = "withdrawn",
        /// The programme ended.
        Lapsed = "lapsed",
        /// The recipient was identified in error.
        Ineligible = "ineligible",
        /// The recipient joined another recipient.
        Superseded = "superseded",
    }
}

named_enum! {
    /// The party with which a contact was made.
    Party {
        /// The responsible body: the trust, otherwise the diocese, otherwise the local authority.
        ResponsibleBody = "responsible_body",
        /// The school.
        School = "school",
    }
}

impl Party {
    /// Checks the school that a contact names: only a contact with a school may name one.
    ///
    /// # Errors
    /// [`NoSchoolContacted`].
    pub const fn check_school(self, urn: Option<Urn>) -> Result<(), NoSchoolContacted> {
        match (self, urn) {
            (Self::ResponsibleBody, Some(_)) => Err(NoSchoolContacted),
            (Self::ResponsibleBody, None) | (Self::School, _) => Ok(()),
        }
    }
}

/// A contact with the responsible body must not name a school, but it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is for a contact with a school")]
pub struct NoSchoolContacted;

named_enum! {
    /// The body that accepts an offer.
    Acceptor {
        /// The school.
        School = "school",
        /// The trust.
        Trust = "trust",
    }
}

named_enum! {
    /// Why an offer was declined: a reason code of the event.
    DeclineReason {
        /// Support is in place already.
        SupportInPlace = "support_in_place",
        /// The recipient has no capacity to take part.
        NoCapacity = "no_capacity",
        /// The recipient does not want the support.
        NotWanted = "not_wanted",
        /// The school is joining another trust.
        ChangingTrust = "changing_trust",
        /// Another reason, which is in the text of the event.
        Other = "other",
    }
}

named_enum! {
    /// A step of an offer whose date can be corrected.
    Milestone {
        /// The acceptance.
        Accepted = "accepted",
        /// The start of delivery.
        Started = "started",
    }
}

/// The recipient of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A standalone school.
    Standalone(Urn),
    /// A multi-academy trust.
    Mat(Uid),
}

impl Recipient {
    /// The name of its kind: `standalone` or `mat`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        self.row().as_str()
    }

    /// Its kind.
    #[must_use]
    pub const fn row(self) -> RecipientKind {
        match self {
            Self::Standalone(_) => RecipientKind::Standalone,
            Self::Mat(_) => RecipientKind::Mat,
        }
    }

    /// Its URN or its group UID.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Standalone(urn) => urn.get(),
            Self::Mat(uid) => uid.get(),
        }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standalone(urn) => write!(f, "school {urn}"),
            Self::Mat(uid) => write!(f, "trust {uid}"),
        }
    }
}

/// The body that has to be contacted before the school: "your trust, diocese or local authority" (`domain.md` section
/// 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponsibleBody {
    /// The trust.
    Trust(Uid),
    /// The diocese, by name.
    Diocese(String),
    /// The local authority.
    LocalAuthority(LaCode),
}

impl fmt::Display for ResponsibleBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trust(uid) => write!(f, "trust {uid}"),
            Self::Diocese(name) => f.write_str(name),
            Self::LocalAuthority(code) => match local_authority(*code) {
                Some(la) => write!(f, "local authority {code} ({})", la.name),
                None => write!(f, "local authority {code}"),
            },
        }
    }
}

/// A school on an offer, with its data when it was added.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ListedSchool {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// The rules that made it eligible.
    pub rules: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_contact_with_a_school_may_name_a_school() {
        let school = Urn::new(910_001);
        assert_eq!(Party::School.check_school(school), Ok(()));
        assert_eq!(Party::School.check_school(None), Ok(()));
        assert_eq!(Party::ResponsibleBody.check_school(None), Ok(()));
        assert_eq!(Party::ResponsibleBody.check_school(school), Err(NoSchoolContacted));
    }
}
