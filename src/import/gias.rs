//! Reads rows of the register, Get Information about Schools (GIAS): groups, memberships, links, establishments.
//!
//! Every row of the register is kept, children's centres included. The domain decides which rows count for placement. No person's
//! name is read.

use super::aliases::{
    ESTABLISHMENTS, Establishments as E, GROUPS, Groups as G, ImportColumn, LINKS, Links as L, MEMBERSHIPS,
    Memberships as M,
};
use super::cells::RowCells;
use super::possible_dates::{self, Happened};
use super::table::RowKind;
use super::value;
use crate::domain::Date;
use crate::domain::ids::{LaCode, Laestab, Uid, Urn};
use crate::import::group_status::GroupStatus;

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
    /// The group type in words.
    pub kind_name: String,
    /// Its status.
    pub status: GroupStatus,
    /// The day on which it began, if known.
    pub opened: Option<Date>,
    /// The day on which it ended or will end, if any.
    pub closed: Option<Date>,
}

impl RowKind for GroupRow {
    type Key = Uid;
    const KEY: &'static str = "Group UID";
    const TABLE: &'static [ImportColumn] = GROUPS;

    fn read(cells: &mut RowCells<'_>) -> (Option<Uid>, Option<Self>) {
        let uid = cells.number(G::Uid);
        let name = cells.needed(G::Name);
        let kind = group_type(cells, G::Kind);
        let kind_name = cells.needed(G::KindName);
        let status = group_status(cells, G::Status);
        let opened = cells.date(G::Opened);
        let closed = cells.date(G::Closed);
        let happened = status.map_or(Happened::Nothing, Happened::from);
        possible_dates::group(cells, happened, (G::Opened, opened), (G::Closed, closed));
        for column in [G::GroupId, G::CompaniesHouse] {
            let text = cells.text(column);
            if value::is_scientific(&text) {
                cells.quoted(column, &text, "is a number that a spreadsheet has rounded");
            }
        }
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
    /// The group type in words.
    pub kind_name: String,
    /// The group's status.
    pub status: GroupStatus,
    /// When the school joined, if known.
    pub joined: Option<Date>,
    /// The school's name.
    pub school_name: String,
    /// Its type as printed.
    pub school_type: String,
    /// Its phase; empty if the file does not say.
    pub phase: String,
    /// Its local authority; one of the project's table.
    pub la: LaCode,
}

impl RowKind for MembershipRow {
    type Key = (Urn, Uid);
    const KEY: &'static str = "URN and Group UID";
    const TABLE: &'static [ImportColumn] = MEMBERSHIPS;

    fn read(cells: &mut RowCells<'_>) -> (Option<(Urn, Uid)>, Option<Self>) {
        let urn: Option<Urn> = cells.number(M::Urn);
        let uid = cells.number(M::Uid);
        let group_name = cells.needed(M::GroupName);
        let kind = group_type(cells, M::Kind);
        let kind_name = cells.needed(M::KindName);
        let status = group_status(cells, M::Status);
        let joined = cells.date(M::Joined);
        let happened = status.map_or(Happened::Nothing, Happened::from);
        possible_dates::joining(cells, happened, (M::Joined, joined));
        let school_name = cells.needed(M::Name);
        let school_type = cells.needed(M::SchoolType);
        let la = cells.la(M::La);
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
    /// The linked school's name; empty if the file does not say.
    pub link_name: String,
    /// The role of the linked school: Predecessor, Successor, ...
    pub link_type: String,
    /// The day on which it began, if known.
    pub on: Option<Date>,
}

impl RowKind for LinkRow {
    type Key = (Urn, Urn, String);
    const KEY: &'static str = "URN, LinkURN and LinkType";
    const TABLE: &'static [ImportColumn] = LINKS;

    fn read(cells: &mut RowCells<'_>) -> (Option<Self::Key>, Option<Self>) {
        let urn = cells.number(L::Urn);
        let link_urn = cells.number(L::LinkUrn);
        let link_type = cells.needed(L::LinkType);
        let on = cells.date(L::On);
        possible_dates::too_early(cells, (L::On, on));
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
    /// Local authority and establishment number; `None` if the file has no establishment number for it.
    pub laestab: Option<Laestab>,
    /// Its name.
    pub name: String,
    /// Its type as printed.
    pub school_type: String,
    /// Academies, Local authority maintained schools, ...; empty if the file does not say.
    pub type_group: String,
    /// Open; Closed; Open, but proposed to close; Proposed to open.
    pub status: String,
    /// The day on which it began, if known.
    pub opened: Option<Date>,
    /// The day on which it ended or will end, if any.
    pub closed: Option<Date>,
    /// Its phase; empty if the file does not say.
    pub phase: String,
    /// Its diocese, if it has one.
    pub diocese: Option<String>,
}

impl RowKind for EstablishmentRow {
    type Key = Urn;
    const KEY: &'static str = "URN";
    const TABLE: &'static [ImportColumn] = ESTABLISHMENTS;

    fn read(cells: &mut RowCells<'_>) -> (Option<Urn>, Option<Self>) {
        let urn = cells.number(E::Urn);
        let la = cells.la(E::La);
        let laestab = la.and_then(|la| laestab(cells, la));
        let name = cells.needed(E::Name);
        let school_type = cells.needed(E::SchoolType);
        let status = cells.needed(E::Status);
        let opened = cells.date(E::Opened);
        let closed = cells.date(E::Closed);
        let happened = status.as_deref().map_or(Happened::Nothing, Happened::of_school);
        possible_dates::school(cells, happened, (E::Opened, opened), (E::Closed, closed));
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

fn laestab(cells: &mut RowCells<'_>, la: LaCode) -> Option<Laestab> {
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

fn group_type(cells: &mut RowCells<'_>, column: impl Into<usize> + Copy) -> Option<u8> {
    let text = cells.text(column);
    let code = value::whole(&text).parse().ok();
    if code.is_none() {
        cells.quoted(column, &text, "is not a GIAS group type code");
    }
    code
}

fn group_status(cells: &mut RowCells<'_>, column: impl Into<usize> + Copy) -> Option<GroupStatus> {
    let text = cells.text(column);
    match text.to_lowercase().as_str() {
        "open" => Some(GroupStatus::Open),
        "closed" => Some(GroupStatus::Closed),
        "proposed to open" => Some(GroupStatus::ProposedToOpen),
        "proposed to close" => Some(GroupStatus::ProposedToClose),
        "created in error" => Some(GroupStatus::CreatedInError),
        _ => {
            let statuses = "Open, Closed, Proposed to open, Proposed to close, Created in error";
            cells.quoted(column, &text, &format!("is not a group status ({statuses})"));
            None
        }
    }
}

/// Restores the eight characters of a number at Companies House. A copy that was saved with numbers has lost the leading zeros.
fn companies_house(text: &str) -> String {
    format!("{:0>8}", value::whole(text))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::super::{FileRefused, Reading, RegisterFile, RowProblem, read_register};
    use super::*;

    fn read(file: &str) -> Result<RegisterFile, FileRefused> {
        let day = NaiveDate::from_ymd_opt(2022, 3, 31).unwrap();
        read_register(file.as_bytes(), &Reading { accept_problems: true, ..Reading::of(day) })
    }

    fn day(y: i32, m: u32, d: u32) -> Option<Date> {
        NaiveDate::from_ymd_opt(y, m, d)
    }

    fn problem(line: u64, column: &str, reason: &str) -> RowProblem {
        RowProblem { line, column: column.into(), reason: reason.into() }
    }

    #[test]
    fn groups_are_recognised_by_their_header() {
        let file = "Group UID,Group ID,Group Name,Companies House Number,Group Type (code),Group Type,Closed Date,\
            Open date,Group Status (code),Group Status,Head of Group Last Name\n\
            1000,,East  Federation,,1,Federation,2010-08-31,1900-01-01,CLOSED,Closed,\n\
            2044,TR00044,HILL TRUST,6893415.0,6,Multi-academy trust,,2011-09-01,OPEN,Open,Nobody\n\
            2045,TR00045,NEW TRUST,06893416,10,Single-academy trust,,,PROPOSED_TO_OPEN,Proposed to open,\n\
            2046,,X,,six,Multi-academy trust,,,,Dormant,\n\
            2047,TR00047,GOING TRUST,6.8934E+06,6,Multi-academy trust,,,PROPOSED_TO_CLOSE,Proposed to close,\n\
            2048,TR00048,GOING TRUST,06893418,06,Multi-academy trust,,,PROPOSED_TO_CLOSE,Proposed To Close,\n\
            2049,TR00049,NO TRUST,06893419,6,Multi-academy trust,,,CREATED_IN_ERROR,Created in error,\n";
        let Ok(RegisterFile::Groups(parsed)) = read(file) else { panic!("groups") };
        let [east, hill, new, going, mistake] = parsed.rows.as_slice() else { panic!("five rows") };
        assert_eq!(
            (east.name.as_str(), east.status, east.group_id.as_ref()),
            ("East Federation", GroupStatus::Closed, None)
        );
        assert_eq!((east.opened, east.closed), (None, day(2010, 8, 31)));
        assert_eq!((hill.uid.get(), hill.kind, hill.companies_house.as_deref()), (2044, 6, Some("06893415")));
        assert_eq!((hill.opened, hill.status), (day(2011, 9, 1), GroupStatus::Open));
        assert_eq!((new.status, new.companies_house.as_deref()), (GroupStatus::ProposedToOpen, Some("06893416")));
        assert_eq!((going.status, going.kind), (GroupStatus::ProposedToClose, 6));
        assert_eq!(mistake.status, GroupStatus::CreatedInError);
        let statuses = "Open, Closed, Proposed to open, Proposed to close, Created in error";
        let expected = [
            problem(5, "Group Status", &format!("a text of 7 characters is not a group status ({statuses})")),
            problem(5, "Group Type (code)", "a text of 3 characters is not a GIAS group type code"),
            problem(6, "Companies House Number", "\"6.8934E+06\" is a number that a spreadsheet has rounded"),
        ];
        assert_eq!(parsed.problems, expected);
    }

    #[test]
    fn a_school_may_be_in_two_groups_but_not_twice_in_one() {
        let file = ",URN,Group UID,Group Name,Group Type (code),Group Type,Group Status,Joined date,\
            EstablishmentName,TypeOfEstablishment (name),PhaseOfEducation (name),LA (code)\n\
            0,20003,80637,Central,8,Children's Centres Group,Open,1900-01-01,Central Centre,Children's centre,Not applicable,852\n\
            1,100001,2044,HILL,6,Multi-academy trust,Open,2018-09-01,Hill Top,Academy converter,Primary,330\n\
            2,100001,3044,Hill,5,School sponsor,Open,2018-09-01,Hill Top,Academy converter,Primary,330\n\
            3,100002,2044,HILL,6,Multi-academy trust,Open,,Dale,Academy converter,Primary,330\n\
            4,100002,2044,HILL,6,Multi-academy trust,Open,2018-09-01,Dale,Academy converter,Primary,330\n\
            5,100003,2044,HILL,6,Multi-academy trust,Open,,Fell,Academy converter,Primary,330\n\
            6,100003,2044,HILL , 6,Multi-academy trust,Open,,Fell,Academy converter,Primary,330,\n";
        let Ok(RegisterFile::Memberships(parsed)) = read(file) else { panic!("memberships") };
        let found = parsed.rows.iter().map(|row| (row.urn.get(), row.uid.get(), row.joined)).collect::<Vec<_>>();
        let linked = [(100_001, 2044, day(2018, 9, 1)), (100_001, 3044, day(2018, 9, 1)), (100_003, 2044, None)];
        assert_eq!(found, [&[(20_003, 80_637, None)], &linked[..]].concat());
        assert_eq!(parsed.notes, ["1 row(s) repeat another one cell for cell and were taken once: line 8 is line 7"]);
        let same = |other| format!("the same URN and Group UID is on line {other}; none of these rows is taken");
        let expected = [problem(5, "URN and Group UID", &same(6)), problem(6, "URN and Group UID", &same(5))];
        assert_eq!(parsed.problems, expected);
    }

    /// Lines, in which `1,2,` means two URNs; how many of their rows are taken; the problems; and the notes. The lines begin at
    /// line 3 of the file, after the header and a good row.
    type Repeated<'a> = (&'a [&'a str], usize, Vec<(u64, String)>, Vec<String>);

    #[test]
    fn a_row_that_was_not_taken_is_not_repeated() {
        let header = "URN,LinkURN,LinkType,LinkName,LinkEstablishedDate";
        let short = "is cut short: it has 3 columns, the header 5";
        let blank = "is blank";
        let same = |others| format!("the same URN, LinkURN and LinkType is on {others}; none of these rows is taken");
        let once = |pair: &str| vec![format!("1 row(s) repeat another one cell for cell and were taken once: {pair}")];
        #[rustfmt::skip]
        let rows: [Repeated<'_>; 6] = [
            // The row below the one that is cut short is the same, and whole.
            (&["1,2,Successor", "1,2,Successor,,"],                       1, vec![(3, short.into())], vec![]),
            (&["1,2,Successor", "1,2,Successor,,", "1,2,Successor,,"],    1, vec![(3, short.into())], once("line 5 is line 4")),
            (&["1,2,Successor", "1,2,Successor,,", "1,2,Successor,Dale,"], 0, vec![(3, short.into()), (3, same("lines 4, 5")), (4, same("lines 3, 5")), (5, same("lines 3, 4"))], vec![]),
            (&["1,2,,,", "1,2,,,"],                                       0, vec![(3, blank.into()), (4, blank.into())], vec![]),
            (&["1,2,Successor,,", "1,2,Successor"],                       1, vec![], once("line 4 is line 3")),
            (&["1,2,Successor,,", "1,2,Successor,,", "1,2,Successor,Dale,"], 0, vec![(3, same("lines 4, 5")), (4, same("lines 3, 5")), (5, same("lines 3, 4"))], vec![]),
        ];
        for (lines, taken, problems, notes) in rows {
            let of_urns = |it: &&str| it.replacen("1,2,", "100012,100021,", 1);
            let lines = lines.iter().map(of_urns).collect::<Vec<_>>().join("\n");
            let file = format!("{header}\n100013,100022,Successor,,\n{lines}\n");
            let Ok(RegisterFile::Links(parsed)) = read(&file) else { panic!("links") };
            let found: Vec<_> = parsed.problems.into_iter().map(|it| (it.line, it.reason)).collect();
            assert_eq!((parsed.rows.len() - 1, found, parsed.notes), (taken, problems, notes), "{lines}");
        }

        let file = "URN,LA (code),EstablishmentName,TypeOfEstablishment (name),EstablishmentStatus (name)\n\
            100001,330,Hill,Community school,Open\n400001,660,Bryn,Community school,Open\n\
            400001,660,Bryn,Community school,Open\n";
        let Ok(RegisterFile::Establishments(parsed)) = read(file) else { panic!("establishments") };
        assert_eq!((parsed.rows.len(), parsed.repeats, parsed.abroad, parsed.problems.len()), (1, 0, 2, 0));
    }

    #[test]
    fn links_may_repeat_a_school_but_not_a_link() {
        let file = "\"URN\",\"LinkURN\",\"LinkName\",\"LinkType\",\"LinkEstablishedDate\"\n\
            100012,100021,\"Hill, Top\",\"Successor - merged\",\"31-08-2021\"\n\
            100012,100022,\"Dale\",\"Successor\",\"\"\n\
            100012,100022,\"Dale\",\"Predecessor\",\"\"\n\
            100013,100022,\"Dale\",\"Successor\",\"\"\n\
            100013,100022,\"Dale\",\"Successor\",\"01-09-2021\"\n";
        let Ok(RegisterFile::Links(parsed)) = read(file) else { panic!("links") };
        let found =
            parsed.rows.iter().map(|row| (row.link_urn.get(), row.link_type.as_str(), row.on)).collect::<Vec<_>>();
        let expected = [
            (100_021, "Successor - merged", day(2021, 8, 31)),
            (100_022, "Successor", None),
            (100_022, "Predecessor", None),
        ];
        assert_eq!(found, expected);
        assert_eq!(parsed.problems.iter().map(|p| p.line).collect::<Vec<_>>(), [5, 6]);
    }

    #[test]
    fn establishments_are_read_in_both_layouts() {
        let full = "URN,LA (code),LA (name),EstablishmentNumber,EstablishmentName,TypeOfEstablishment (code),\
            TypeOfEstablishment (name),EstablishmentTypeGroup (code),EstablishmentTypeGroup (name),\
            EstablishmentStatus (code),EstablishmentStatus (name),OpenDate,CloseDate,PhaseOfEducation (code),\
            PhaseOfEducation (name),Diocese (code),Diocese (name),HeadLastName\n\
            100001,330,Birmingham,3614,Hill Top,2,Voluntary aided school,4,Local authority maintained schools,1,Open,\
            01-09-2017,,2,Primary,CE00,Diocese of Dale,Nobody\n\
            100002,330,Birmingham,,Dale,1,Community school,4,Local authority maintained schools,2,Closed,\
            01-01-1900,31-08-2000,2,Primary,0,Not applicable,\n\
            100003,668,Elsewhere,1,Cwm,30,Welsh establishment,6,Welsh schools,1,Open,,,0,Not applicable,0,,\n";
        let extract = "\"URN\",\"LA (code)\",\"EstablishmentNumber\",\"EstablishmentName\",\"TypeOfEstablishment (name)\",\
            \"EstablishmentTypeGroup (name)\",\"EstablishmentStatus (name)\",\"OpenDate\",\"CloseDate\",\
            \"PhaseOfEducation (name)\",\"Diocese (name)\",\"Linked establishments\"\n\
            \"100001\",\"330\",\"3614\",\"Hill Top\",\"Voluntary aided school\",\"Local authority maintained schools\",\
            \"Open\",\"01-09-2017\",\"\",\"Primary\",\"Diocese of Dale\",100007 Successor,100008 Successor\n\
            \"100002\",\"330\",\"\",\"Dale\",\"Community school\",\"Local authority maintained schools\",\"Closed\",\
            \"01-01-1900\",\"31-08-2000\",\"Primary\",\"\",Does not have links\n";
        let (Ok(RegisterFile::Establishments(full)), Ok(RegisterFile::Establishments(extract))) =
            (read(full), read(extract))
        else {
            panic!("establishments")
        };
        assert_eq!(full.rows, extract.rows);
        let [hill, dale] = full.rows.as_slice() else { panic!("two rows") };
        assert_eq!(
            (hill.laestab.map(Laestab::get), hill.diocese.as_deref()),
            (Some(3_303_614), Some("Diocese of Dale"))
        );
        assert_eq!((hill.opened, hill.closed, hill.status.as_str()), (day(2017, 9, 1), None, "Open"));
        assert_eq!(
            (dale.laestab, dale.diocese.as_ref(), dale.opened, dale.closed),
            (None, None, None, day(2000, 8, 31))
        );
        let abroad = "1 row(s) are of no local authority in England and were not taken: Wales (660 to 681): 1";
        assert_eq!((full.read, full.abroad, full.problems, full.notes), (3, 1, vec![], vec![abroad.to_owned()]));
    }
}
