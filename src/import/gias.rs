//! Rows of the register, Get Information about Schools (GIAS): groups, memberships, links, establishments.
//!
//! Every row the register prints is kept, children's centres included: what counts for placement is the
//! domain's to say. No person's name is read.

use super::aliases::{
    Column, ESTABLISHMENTS, Establishments as E, GROUPS, Groups as G, LINKS, Links as L, MEMBERSHIPS, Memberships as M,
};
use super::table::{Cells, Row};
use super::value;
use crate::domain::Date;
use crate::domain::ids::{LaCode, Laestab, Uid, Urn};

/// Whether a group exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupStatus {
    /// It does.
    Open,
    /// No longer.
    Closed,
    /// Not yet.
    ProposedToOpen,
}

/// One group: a trust, a federation, a sponsor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// The group.
    pub uid: Uid,
    /// Its other reference, `TR00044`.
    pub group_id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its number at Companies House, eight characters.
    pub companies_house: Option<String>,
    /// GIAS group type: 6 is a MAT, 10 a SAT.
    pub kind: u8,
    /// The same in words.
    pub kind_name: String,
    /// Whether it exists.
    pub status: GroupStatus,
    /// Since when, if known.
    pub opened: Option<Date>,
    /// Until when.
    pub closed: Option<Date>,
}

impl Row for GroupRow {
    type Key = Uid;
    const KEY: &'static str = "Group UID";
    const TABLE: &'static [Column] = GROUPS;

    fn read(cells: &mut Cells<'_>) -> (Option<Uid>, Option<Self>) {
        let uid = cells.number(G::Uid);
        let name = cells.needed(G::Name);
        let kind = group_type(cells, G::Kind);
        let kind_name = cells.needed(G::KindName);
        let status = group_status(cells, G::Status);
        let opened = cells.date(G::Opened);
        let closed = cells.date(G::Closed);
        let row = || {
            Some(Self {
                uid: uid?,
                group_id: cells.applicable(G::GroupId),
                name: name?,
                companies_house: cells.applicable(G::CompaniesHouse).map(|number| companies_house(&number)),
                kind: kind?,
                kind_name: kind_name?,
                status: status?,
                opened,
                closed,
            })
        };
        (uid, row())
    }
}

/// One school's link to one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MembershipRow {
    /// The school.
    pub urn: Urn,
    /// The group.
    pub uid: Uid,
    /// The group's name.
    pub group_name: String,
    /// GIAS group type: 6 is a MAT, 10 a SAT.
    pub kind: u8,
    /// The same in words.
    pub kind_name: String,
    /// Whether the group exists.
    pub status: GroupStatus,
    /// When the school joined, if known.
    pub joined: Option<Date>,
    /// The school's name.
    pub school_name: String,
    /// Its type as printed.
    pub school_type: String,
    /// Its phase; empty when the file does not say.
    pub phase: String,
    /// Its local authority; one of the project's table.
    pub la: LaCode,
}

impl Row for MembershipRow {
    type Key = (Urn, Uid);
    const KEY: &'static str = "URN and Group UID";
    const TABLE: &'static [Column] = MEMBERSHIPS;

    fn read(cells: &mut Cells<'_>) -> (Option<(Urn, Uid)>, Option<Self>) {
        let urn: Option<Urn> = cells.number(M::Urn);
        let uid = cells.number(M::Uid);
        let group_name = cells.needed(M::GroupName);
        let kind = group_type(cells, M::Kind);
        let kind_name = cells.needed(M::KindName);
        let status = group_status(cells, M::Status);
        let joined = cells.date(M::Joined);
        let school_name = cells.needed(M::Name);
        let school_type = cells.needed(M::SchoolType);
        let la = local_authority(cells, M::La);
        let row = || {
            Some(Self {
                urn: urn?,
                uid: uid?,
                group_name: group_name?,
                kind: kind?,
                kind_name: kind_name?,
                status: status?,
                joined,
                school_name: school_name?,
                school_type: school_type?,
                phase: cells.text(M::Phase).into_owned(),
                la: la?,
            })
        };
        (urn.zip(uid), row())
    }
}

/// One school's link to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRow {
    /// The school.
    pub urn: Urn,
    /// The school it is linked with.
    pub link_urn: Urn,
    /// That school's name; empty when the file does not say.
    pub link_name: String,
    /// What that school is to it: Predecessor, Successor, ...
    pub link_type: String,
    /// Since when, if known.
    pub on: Option<Date>,
}

impl Row for LinkRow {
    type Key = (Urn, Urn, String);
    const KEY: &'static str = "URN, LinkURN and LinkType";
    const TABLE: &'static [Column] = LINKS;

    fn read(cells: &mut Cells<'_>) -> (Option<Self::Key>, Option<Self>) {
        let urn = cells.number(L::Urn);
        let link_urn = cells.number(L::LinkUrn);
        let link_type = cells.needed(L::LinkType);
        let on = cells.date(L::On);
        let link_name = cells.text(L::LinkName).into_owned();
        let row = || Some(Self { urn: urn?, link_urn: link_urn?, link_name, link_type: link_type?, on });
        let row = row();
        (row.as_ref().map(|row| (row.urn, row.link_urn, row.link_type.clone())), row)
    }
}

/// One establishment of the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstablishmentRow {
    /// The school.
    pub urn: Urn,
    /// Its local authority; one of the project's table.
    pub la: LaCode,
    /// Local authority and establishment number, when it has the latter.
    pub laestab: Option<Laestab>,
    /// Its name.
    pub name: String,
    /// Its type as printed.
    pub school_type: String,
    /// Academies, Local authority maintained schools, ...; empty when the file does not say.
    pub type_group: String,
    /// Open; Closed; Open, but proposed to close; Proposed to open.
    pub status: String,
    /// Since when, if known.
    pub opened: Option<Date>,
    /// Until when.
    pub closed: Option<Date>,
    /// Its phase; empty when the file does not say.
    pub phase: String,
    /// Its diocese, when it has one.
    pub diocese: Option<String>,
}

impl Row for EstablishmentRow {
    type Key = Urn;
    const KEY: &'static str = "URN";
    const TABLE: &'static [Column] = ESTABLISHMENTS;

    fn read(cells: &mut Cells<'_>) -> (Option<Urn>, Option<Self>) {
        let urn = cells.number(E::Urn);
        let la = local_authority(cells, E::La);
        let laestab = la.and_then(|la| laestab(cells, la));
        let name = cells.needed(E::Name);
        let school_type = cells.needed(E::SchoolType);
        let status = cells.needed(E::Status);
        let opened = cells.date(E::Opened);
        let closed = cells.date(E::Closed);
        let row = || {
            Some(Self {
                urn: urn?,
                la: la?,
                laestab,
                name: name?,
                school_type: school_type?,
                type_group: cells.text(E::TypeGroup).into_owned(),
                status: status?,
                opened,
                closed,
                phase: cells.text(E::Phase).into_owned(),
                diocese: cells.applicable(E::Diocese),
            })
        };
        (urn, row())
    }
}

fn local_authority(cells: &mut Cells<'_>, column: impl Into<usize> + Copy) -> Option<LaCode> {
    let la = cells.number(column)?;
    cells.known_la(column, la);
    Some(la)
}

fn laestab(cells: &mut Cells<'_>, la: LaCode) -> Option<Laestab> {
    let text = cells.text(E::Number);
    if value::is_not_applicable(&text) {
        return None;
    }
    let number = value::whole(&text).parse::<u32>().ok().filter(|number| *number <= 9_999);
    let laestab = number.and_then(|number| Laestab::new(u32::from(la.get()) * 10_000 + number));
    if laestab.is_none() {
        cells.quoted(E::Number, &text, "is not an establishment number (4 digits)");
    }
    laestab
}

fn group_type(cells: &mut Cells<'_>, column: impl Into<usize> + Copy) -> Option<u8> {
    let text = cells.text(column);
    let code = value::whole(&text).parse().ok();
    if code.is_none() {
        cells.quoted(column, &text, "is not a GIAS group type code");
    }
    code
}

fn group_status(cells: &mut Cells<'_>, column: impl Into<usize> + Copy) -> Option<GroupStatus> {
    let text = cells.text(column);
    match text.to_lowercase().as_str() {
        "open" => Some(GroupStatus::Open),
        "closed" => Some(GroupStatus::Closed),
        "proposed to open" => Some(GroupStatus::ProposedToOpen),
        _ => {
            cells.quoted(column, &text, "is not a group status (Open, Closed, Proposed to open)");
            None
        }
    }
}

/// Companies House writes eight characters; a copy re-saved as numbers lost the leading zeros.
fn companies_house(text: &str) -> String {
    format!("{:0>8}", value::whole(text))
}
