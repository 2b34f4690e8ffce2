//! Who may do what: the role table of the scheme, as one table.
//!
//! Every call is one [`Action`]; [`may`] is the only place that says who may take it.

use std::fmt;
use std::str::FromStr;

use super::ids::{Actor, BadId};

/// A role a caller can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Reader,
    /// Works the offers of its regions.
    CaseOfficer,
    /// Books and records delivery on its own offers.
    DeliveryPartner,
    /// What a case officer may; decides referrals.
    RegionalDirector,
    /// Keeps the funds.
    Finance,
    /// Second person for money.
    FinanceApprover,
    /// Imports, terms, placements, regions, reopening; no money.
    Administrator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Reader,
        Self::CaseOfficer,
        Self::DeliveryPartner,
        Self::RegionalDirector,
        Self::Finance,
        Self::FinanceApprover,
        Self::Administrator,
    ];

    /// Its name on the wire and in metadata.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::CaseOfficer => "case-officer",
            Self::DeliveryPartner => "delivery-partner",
            Self::RegionalDirector => "regional-director",
            Self::Finance => "finance",
            Self::FinanceApprover => "finance-approver",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        let name = s.trim().replace('_', "-");
        Self::ALL
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or_else(|| BadId { value: s.chars().take(60).collect(), wanted: "a role" })
    }
}

/// Who calls, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The opaque id every event records.
    pub actor: Actor,
    /// The roles held.
    pub roles: Vec<Role>,
}

impl Caller {
    /// Whether one of the caller's roles allows the action.
    #[must_use]
    pub fn may(&self, action: Action) -> bool {
        self.roles.iter().any(|role| may(*role, action))
    }
}

/// What a call does, as far as permission goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read anything the caller's regions allow.
    Read,
    /// Contact, accept, decline, start, close, assign, note, identify.
    WorkOffers,
    /// Import files, withdraw them (with a second person).
    Import,
    /// Load terms.
    LoadTerms,
    /// Place a school by hand.
    Place,
    /// Move an offer to another region.
    ChangeRegion,
    /// Reopen an offer (with a second person).
    Reopen,
    /// Make awards and release them.
    Award,
    /// Book NLE days, and record that they were delivered.
    Deliver,
    /// Pay claims, and refund them.
    PayClaims,
    /// Create funds; allocate, withdraw and move money.
    KeepFunds,
    /// Be the second person for money.
    ApproveMoney,
    /// Read ledger entries, and verify them.
    ReadLedger,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Read,
        Self::WorkOffers,
        Self::Import,
        Self::LoadTerms,
        Self::Place,
        Self::ChangeRegion,
        Self::Reopen,
        Self::Award,
        Self::Deliver,
        Self::PayClaims,
        Self::KeepFunds,
        Self::ApproveMoney,
        Self::ReadLedger,
    ];
}

/// The role table (`domain.md` section 8).
#[must_use]
pub const fn may(role: Role, action: Action) -> bool {
    match action {
        Action::Read => true,
        Action::WorkOffers | Action::Award => matches!(role, Role::CaseOfficer | Role::RegionalDirector),
        Action::Deliver => matches!(role, Role::CaseOfficer | Role::RegionalDirector | Role::DeliveryPartner),
        Action::PayClaims | Action::KeepFunds => matches!(role, Role::Finance),
        Action::ApproveMoney => matches!(role, Role::FinanceApprover),
        Action::ReadLedger => matches!(role, Role::Finance | Role::FinanceApprover),
        Action::Import | Action::LoadTerms | Action::Place | Action::ChangeRegion | Action::Reopen => {
            matches!(role, Role::Administrator)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_role_table() {
        use Action as A;
        let rows: [(Role, &[Action]); 7] = [
            (Role::Reader, &[A::Read]),
            (Role::CaseOfficer, &[A::Read, A::WorkOffers, A::Award, A::Deliver]),
            (Role::DeliveryPartner, &[A::Read, A::Deliver]),
            (Role::RegionalDirector, &[A::Read, A::WorkOffers, A::Award, A::Deliver]),
            (Role::Finance, &[A::Read, A::PayClaims, A::KeepFunds, A::ReadLedger]),
            (Role::FinanceApprover, &[A::Read, A::ApproveMoney, A::ReadLedger]),
            (Role::Administrator, &[A::Read, A::Import, A::LoadTerms, A::Place, A::ChangeRegion, A::Reopen]),
        ];
        for (role, allowed) in rows {
            for action in Action::ALL {
                assert_eq!(may(role, action), allowed.contains(&action), "{role} {action:?}");
            }
        }
    }

    #[test]
    fn roles_are_read_by_name() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("case_officer".parse(), Ok(Role::CaseOfficer));
        assert!("root".parse::<Role>().is_err());
    }
}
