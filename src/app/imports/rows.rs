//! Converts the rows of a parsed file to rows of the database table for that kind of file.

use crate::domain::ids::{ImportId, Urn};
use crate::domain::judgement::Judgement;
use crate::import::{
    EstablishmentRow, GroupRow, GroupStatus, LinkRow, MembershipRow, OfstedRow, ParsedFile, RegisterFile,
};
use crate::store::imports::{Establishment, FileKind, Group, Link, Member, Month, Problem, StagedRows};

/// A parsed file of any kind.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) kind: FileKind,
    pub(super) sha256: [u8; 32],
    /// The number of data rows in the file.
    pub(super) rows_read: usize,
    pub(super) problems: Vec<Problem>,
    /// The number of problems beyond those listed.
    pub(super) more_problems: usize,
    pub(super) notes: Vec<String>,
    file: ParsedRows,
}

#[derive(Debug)]
enum ParsedRows {
    Groups(Vec<GroupRow>),
    Membership(Vec<MembershipRow>),
    Links(Vec<LinkRow>),
    Establishments(Vec<EstablishmentRow>),
    Ofsted(Vec<OfstedRow>),
}

impl Parsed {
    fn new<R>(kind: FileKind, file: ParsedFile<R>, typed: fn(Vec<R>) -> ParsedRows) -> Self {
        let problem = |it: crate::import::RowProblem| Problem {
            line: i64::try_from(it.line).unwrap_or(i64::MAX),
            column: it.column,
            reason: it.reason,
        };
        Self {
            kind,
            sha256: file.sha256,
            rows_read: file.read,
            problems: file.problems.into_iter().map(problem).collect(),
            more_problems: file.problems_beyond,
            notes: file.notes,
            file: typed(file.rows),
        }
    }

    /// Converts the accepted rows to rows of their table, which belong to this import.
    pub(super) fn rows(self, import: ImportId) -> StagedRows {
        let id = import.0;
        match self.file {
            ParsedRows::Groups(rows) => StagedRows::Groups(rows.into_iter().map(|row| group(id, row)).collect()),
            ParsedRows::Membership(rows) => {
                StagedRows::Membership(rows.into_iter().map(|row| member(id, row)).collect())
            }
            ParsedRows::Links(rows) => StagedRows::Links(rows.into_iter().map(|row| link(id, row)).collect()),
            ParsedRows::Establishments(rows) => {
                StagedRows::Establishments(rows.into_iter().map(|row| establishment(id, row)).collect())
            }
            ParsedRows::Ofsted(rows) => StagedRows::Ofsted(rows.into_iter().map(|row| month(id, row)).collect()),
        }
    }
}

impl From<RegisterFile> for Parsed {
    fn from(file: RegisterFile) -> Self {
        match file {
            RegisterFile::Groups(file) => Self::new(FileKind::Groups, file, ParsedRows::Groups),
            RegisterFile::Memberships(file) => Self::new(FileKind::Membership, file, ParsedRows::Membership),
            RegisterFile::Links(file) => Self::new(FileKind::Links, file, ParsedRows::Links),
            RegisterFile::Establishments(file) => Self::new(FileKind::Establishments, file, ParsedRows::Establishments),
        }
    }
}

impl From<ParsedFile<OfstedRow>> for Parsed {
    fn from(file: ParsedFile<OfstedRow>) -> Self {
        Self::new(FileKind::Ofsted, file, ParsedRows::Ofsted)
    }
}

/// The text that is stored for the status of a group.
const fn status(status: GroupStatus) -> &'static str {
    match status {
        GroupStatus::Open => "Open",
        GroupStatus::Closed => "Closed",
        GroupStatus::ProposedToOpen => "Proposed to open",
        GroupStatus::ProposedToClose => "Proposed to close",
        GroupStatus::CreatedInError => "Created in error",
    }
}

fn group(import_id: uuid::Uuid, row: GroupRow) -> Group {
    Group {
        import_id,
        uid: row.uid.get().into(),
        group_id: row.group_id,
        name: row.name,
        companies_house: row.companies_house,
        kind: row.kind.into(),
        kind_name: row.kind_name,
        status: status(row.status).to_owned(),
        opened_on: row.opened,
        closed_on: row.closed,
    }
}

fn member(import_id: uuid::Uuid, row: MembershipRow) -> Member {
    Member {
        import_id,
        urn: row.urn.get().into(),
        uid: row.uid.get().into(),
        group_name: row.group_name,
        kind: row.kind.into(),
        kind_name: row.kind_name,
        status: status(row.status).to_owned(),
        joined_on: row.joined,
        school_name: row.school_name,
        school_type: row.school_type,
        phase: row.phase,
        la_code: row.la.get().into(),
    }
}

fn link(import_id: uuid::Uuid, row: LinkRow) -> Link {
    Link {
        import_id,
        urn: row.urn.get().into(),
        link_urn: row.link_urn.get().into(),
        link_name: row.link_name,
        link_type: row.link_type,
        linked_on: row.on,
    }
}

fn establishment(import_id: uuid::Uuid, row: EstablishmentRow) -> Establishment {
    Establishment {
        import_id,
        urn: row.urn.get().into(),
        la_code: row.la.get().into(),
        laestab: row.laestab.map(|laestab| laestab.get().into()),
        name: row.name,
        school_type: row.school_type,
        type_group: row.type_group,
        status: row.status,
        opened_on: row.opened,
        closed_on: row.closed,
        phase: row.phase,
        diocese: row.diocese,
    }
}

fn month(import_id: uuid::Uuid, row: OfstedRow) -> Month {
    let judged = |judgement: &Option<Judgement>| judgement.as_ref().map(|it| i64::from(Urn::get(it.urn_judged)));
    let grade = |judgement: &Option<Judgement>| judgement.as_ref().map(|it| i64::from(it.grade.code()));
    Month {
        import_id,
        urn: row.urn.get().into(),
        name: row.name,
        laestab: row.laestab.get().into(),
        school_type: row.school_type,
        phase: row.phase,
        opened_on: row.opened,
        trust_uid: row.trust_uid.map(|uid| uid.get().into()),
        cur_urn: judged(&row.current),
        cur_started: row.current.as_ref().and_then(|it| it.started),
        cur_ended: row.current.as_ref().and_then(|it| it.ended),
        cur_published: row.current.as_ref().and_then(|it| it.published),
        cur_grade: grade(&row.current),
        cur_number: row.current.map(|it| it.inspection),
        prev_urn: judged(&row.previous),
        prev_started: row.previous.as_ref().and_then(|it| it.started),
        prev_ended: row.previous.as_ref().and_then(|it| it.ended),
        prev_published: row.previous.as_ref().and_then(|it| it.published),
        prev_grade: grade(&row.previous),
        prev_number: row.previous.map(|it| it.inspection),
    }
}
