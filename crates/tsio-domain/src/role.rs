//! Defines the role table of the scheme: which role may take which action, and for which data.
//!
//! Every request takes one [`Action`]. [`Role::row`] says which roles may take an action. [`Caller::reach`] says for
//! which data.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::{Actor, BadId};
use super::person::{Person, TokenSubject};
use super::region::Region;
use super::values::named_enum;

named_enum! {
    /// A role a caller can hold.
    Role {
        /// Reads.
        Reader = "reader",
        /// Works on the offers of its regions.
        CaseOfficer = "case-officer",
        /// Books days and records their delivery, on the offers assigned to it.
        DeliveryPartner = "delivery-partner",
        /// Does the work of a case officer, and decides referrals and entry positions.
        RegionalDirector = "regional-director",
        /// Manages the funds and pays claims.
        Finance = "finance",
        /// Is the second person for money.
        FinanceApprover = "finance-approver",
        /// Manages imports, terms, placements, regions and reopening, but no money.
        Administrator = "administrator",
    }
}

impl FromStr for Role {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        Self::named(&s.trim().replace('_', "-"))
            .ok_or_else(|| BadId { value: s.chars().take(60).collect(), expected: "a role" })
    }
}

/// The breadth of a role: the offers that it reaches, with the awards, referrals and other data of those offers
/// (`domain.md` section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// The whole country.
    National,
    /// The caller's regions.
    Regions,
    /// The offers assigned to the caller.
    Assigned,
}

impl Breadth {
    /// Its phrase in the role table of the documentation.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::National => "everywhere",
            Self::Regions => "in its regions",
            Self::Assigned => "on offers assigned to it",
        }
    }
}

named_enum! {
    /// The action that a request takes. A role permits some actions.
    Action {
        /// Read all data in the caller's reach.
        Read = "read",
        /// Contact, accept, decline, start, close, assign, note, identify.
        WorkOffers = "work offers",
        /// Import files, withdraw them (with a second person).
        Import = "import",
        /// Load terms.
        LoadTerms = "load terms",
        /// Place a school by hand.
        Place = "place schools",
        /// Move an offer to another region.
        ChangeRegion = "change a region",
        /// Reopen an offer (with a second person).
        Reopen = "reopen",
        /// Erase the free text of an event.
        EraseText = "erase texts",
        /// Raise a referral, and record its discussion.
        RaiseReferral = "raise referrals",
        /// Decide a referral that another person raised.
        DecideReferral = "decide referrals",
        /// Request a decision on the entry position of an unknown school.
        AskEntry = "ask for an entry position",
        /// Decide an entry position, as the second person.
        DecideEntry = "decide an entry position",
        /// Make awards and release them.
        Award = "award",
        /// Book NLE days, and record that they were delivered.
        Deliver = "deliver",
        /// Pay claims, and refund them.
        PayClaims = "pay claims",
        /// Create funds; allocate, withdraw and move money.
        KeepFunds = "keep funds",
        /// Be the second person for money.
        ApproveMoney = "approve money",
        /// Read and verify ledger entries.
        ReadLedger = "read the ledger",
    }
}

/// The row of a role in the table.
#[derive(Debug, Clone, Copy)]
pub struct RoleRow {
    /// The role.
    pub role: Role,
    /// Its breadth: the data that it reaches.
    pub reaches: Breadth,
    /// The actions that it may take on data within that breadth.
    pub may: &'static [Action],
}

const CASE_OFFICER_ACTIONS: &[Action] =
    &[Action::Read, Action::WorkOffers, Action::RaiseReferral, Action::AskEntry, Action::Award, Action::Deliver];
const DIRECTOR_ACTIONS: &[Action] = &[
    Action::Read,
    Action::WorkOffers,
    Action::RaiseReferral,
    Action::DecideReferral,
    Action::AskEntry,
    Action::DecideEntry,
    Action::Award,
    Action::Deliver,
];
const ADMINISTRATOR_ACTIONS: &[Action] = &[
    Action::Read,
    Action::Import,
    Action::LoadTerms,
    Action::Place,
    Action::ChangeRegion,
    Action::Reopen,
    Action::EraseText,
];

impl Role {
    /// Its row of the role table (`domain.md` section 8). Only this function says what a role may do.
    #[must_use]
    #[rustfmt::skip]
    pub const fn row(self) -> RoleRow {
        let (reaches, may): (Breadth, &'static [Action]) = match self {
            Self::Reader           => (Breadth::Regions,  &[Action::Read]),
            Self::CaseOfficer      => (Breadth::Regions,  CASE_OFFICER_ACTIONS),
            Self::DeliveryPartner  => (Breadth::Assigned, &[Action::Read, Action::Deliver]),
            Self::RegionalDirector => (Breadth::Regions,  DIRECTOR_ACTIONS),
            Self::Finance          => (Breadth::National, &[Action::Read, Action::PayClaims, Action::KeepFunds, Action::ReadLedger]),
            Self::FinanceApprover  => (Breadth::National, &[Action::Read, Action::ApproveMoney, Action::ReadLedger]),
            Self::Administrator    => (Breadth::National, ADMINISTRATOR_ACTIONS),
        };
        RoleRow { role: self, reaches, may }
    }
}

/// The role table, with one row for each role.
#[must_use]
pub fn table() -> Vec<RoleRow> {
    Role::ALL.iter().map(|role| role.row()).collect()
}

/// Whether a role may take an action, with any breadth.
#[must_use]
pub fn may(role: Role, action: Action) -> bool {
    role.row().may.contains(&action)
}

/// The regions in which a caller works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regions {
    /// All regions.
    Every,
    /// These regions; may be empty.
    These(BTreeSet<Region>),
}

/// The caller of a request, with roles and regions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The opaque id of the caller. Events record it.
    pub actor: Actor,
    /// The roles of the caller.
    pub roles: Vec<Role>,
    /// The regions in which the caller's regional roles apply.
    pub regions: Regions,
    /// The token subject, which shows whether two callers are the same person; `None` without a token.
    pub subject: Option<TokenSubject>,
}

impl Caller {
    /// The two values of the caller by which people are compared.
    #[must_use]
    pub fn person(&self) -> Person {
        Person { actor: self.actor.clone(), subject: self.subject }
    }

    /// Whether one of the caller's roles allows the action.
    #[must_use]
    pub fn may(&self, action: Action) -> bool {
        self.roles.iter().any(|role| may(*role, action))
    }

    /// The data on which the caller may take the action: the union of the reaches of the roles that allow the action.
    #[must_use]
    pub fn reach(&self, action: Action) -> Reach {
        let mut reach = Reach::nothing();
        for row in self.roles.iter().map(|role| role.row()).filter(|row| row.may.contains(&action)) {
            match (row.reaches, &self.regions) {
                (Breadth::National, _) | (Breadth::Regions, Regions::Every) => reach.regions = Regions::Every,
                (Breadth::Regions, Regions::These(more)) => {
                    if let Regions::These(regions) = &mut reach.regions {
                        regions.extend(more);
                    }
                }
                (Breadth::Assigned, _) => reach.assigned_to = Some(self.actor.clone()),
            }
        }
        reach
    }
}

/// The reach of a caller for an action: the data that the action may read or change. Data outside it does not exist for
/// the caller. Every query and every decision is limited by a reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// All data of these regions.
    pub regions: Regions,
    /// Also the offers assigned to this actor, in any region.
    pub assigned_to: Option<Actor>,
}

impl Reach {
    /// The whole country.
    #[must_use]
    pub const fn everything() -> Self {
        Self { regions: Regions::Every, assigned_to: None }
    }

    /// No region and no offer.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { regions: Regions::These(BTreeSet::new()), assigned_to: None }
    }

    /// The union with another reach of the same caller.
    #[must_use]
    pub fn or(mut self, other: Self) -> Self {
        match (&mut self.regions, other.regions) {
            (Regions::These(regions), Regions::These(more)) => regions.extend(more),
            (regions, Regions::Every) => *regions = Regions::Every,
            (Regions::Every, Regions::These(_)) => {}
        }
        self.assigned_to = self.assigned_to.or(other.assigned_to);
        self
    }

    /// Whether the reach covers a school of this region. A school without a region is covered only by the whole
    /// country.
    #[must_use]
    pub fn covers_school(&self, region: Option<Region>) -> bool {
        region.map_or_else(|| self.is_everything(), |region| self.covers_region(region))
    }

    /// Whether the reach is the whole country.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        matches!(self.regions, Regions::Every)
    }

    /// Whether the reach covers all data of a region.
    #[must_use]
    pub fn covers_region(&self, region: Region) -> bool {
        match &self.regions {
            Regions::Every => true,
            Regions::These(regions) => regions.contains(&region),
        }
    }

    /// Whether the reach covers an offer of this region with this assignee.
    #[must_use]
    pub fn covers(&self, region: Region, assignee: Option<&Actor>) -> bool {
        self.covers_region(region) || (assignee.is_some() && assignee == self.assigned_to.as_ref())
    }

    /// Whether the reach covers a fund of this region. A reach that covers at least one region covers a national fund
    /// (`None`).
    #[must_use]
    pub fn covers_fund(&self, region: Option<Region>) -> bool {
        match (&self.regions, region) {
            (_, Some(region)) => self.covers_region(region),
            (Regions::Every, None) => true,
            (Regions::These(regions), None) => !regions.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `domain.md` section 8, with one row per action. Each row has the roles that may take the action.
    #[test]
    fn the_role_table() {
        use Action as A;
        use Role as R;
        let officers = [R::CaseOfficer, R::RegionalDirector];
        let rows: [(Action, &[Role]); 18] = [
            (A::Read, Role::ALL),
            (A::WorkOffers, &officers),
            (A::Import, &[R::Administrator]),
            (A::LoadTerms, &[R::Administrator]),
            (A::Place, &[R::Administrator]),
            (A::ChangeRegion, &[R::Administrator]),
            (A::Reopen, &[R::Administrator]),
            (A::EraseText, &[R::Administrator]),
            (A::RaiseReferral, &officers),
            (A::DecideReferral, &[R::RegionalDirector]),
            (A::AskEntry, &officers),
            (A::DecideEntry, &[R::RegionalDirector]),
            (A::Award, &officers),
            (A::Deliver, &[R::CaseOfficer, R::DeliveryPartner, R::RegionalDirector]),
            (A::PayClaims, &[R::Finance]),
            (A::KeepFunds, &[R::Finance]),
            (A::ApproveMoney, &[R::FinanceApprover]),
            (A::ReadLedger, &[R::Finance, R::FinanceApprover]),
        ];
        assert_eq!(rows.map(|(action, _)| action), Action::ALL);
        for (action, allowed) in rows {
            for &role in Role::ALL {
                assert_eq!(may(role, action), allowed.contains(&role), "{role} {action:?}");
            }
        }
        assert_eq!(table().iter().map(|row| row.role).collect::<Vec<_>>(), Role::ALL, "one row per role");
    }

    /// Commands on entities without a region are not checked against a reach:
    /// [`crate::programme::ProgrammeState::within_reach`].
    #[test]
    fn actions_without_a_region_belong_to_national_roles() {
        for action in [Action::Place, Action::EraseText, Action::KeepFunds] {
            for row in table().into_iter().filter(|row| row.may.contains(&action)) {
                assert_eq!(row.reaches, Breadth::National, "{} {action:?}", row.role);
            }
        }
    }

    #[test]
    fn the_reach_of_a_caller_is_that_of_the_roles_that_allow_the_action() {
        let north = Regions::These(BTreeSet::from([Region::NorthOfEngland]));
        let caller = |roles: &[Role], regions: &Regions| Caller {
            actor: "ann".parse().unwrap(),
            roles: roles.to_vec(),
            regions: regions.clone(),
            subject: None,
        };
        let (ann, bob): (Actor, Actor) = ("ann".parse().unwrap(), "bob".parse().unwrap());
        let covered = |caller: &Caller, action| {
            let reach = caller.reach(action);
            let offers =
                [(Region::NorthOfEngland, None), (Region::SouthWest, Some(&bob)), (Region::SouthWest, Some(&ann))];
            let funds = [Some(Region::NorthOfEngland), Some(Region::SouthWest), None];
            (
                offers.map(|(region, assignee)| reach.covers(region, assignee)),
                funds.map(|region| reach.covers_fund(region)),
            )
        };
        let (everything, nothing) = (([true; 3], [true; 3]), ([false; 3], [false; 3]));
        let regional = ([true, false, false], [true, false, true]);
        let assigned = ([false, false, true], [false; 3]);
        use Role as R;
        let rows = [
            (caller(&[R::CaseOfficer], &north), Action::Award, regional),
            (caller(&[R::CaseOfficer], &Regions::Every), Action::Award, everything),
            (caller(&[R::CaseOfficer], &Regions::These(BTreeSet::new())), Action::Award, nothing),
            (caller(&[R::Reader], &north), Action::Award, nothing),
            (caller(&[R::Reader], &north), Action::Read, regional),
            (caller(&[R::DeliveryPartner], &north), Action::Deliver, assigned),
            (caller(&[R::Finance], &north), Action::Read, everything),
            // A role widens the reach only of its own actions.
            (caller(&[R::CaseOfficer, R::Finance], &north), Action::Award, regional),
            (caller(&[R::CaseOfficer, R::Finance], &north), Action::Read, everything),
            (
                caller(&[R::CaseOfficer, R::DeliveryPartner], &north),
                Action::Deliver,
                ([true, false, true], [true, false, true]),
            ),
        ];
        for (caller, action, expected) in rows {
            assert_eq!(covered(&caller, action), expected, "{:?} {action:?}", caller.roles);
        }
    }

    #[test]
    fn roles_are_read_by_name() {
        for &role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert_eq!("case_officer".parse(), Ok(Role::CaseOfficer));
        assert!("root".parse::<Role>().is_err());
    }
}
