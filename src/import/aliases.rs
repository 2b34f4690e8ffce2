//! Lists the columns that are read, with every name that publishers have given them.
//!
//! One table per kind of file. Only what a row type needs is here: no column with a person's name
//! (head teachers, heads of groups) may ever be added. Names are compared ignoring case and runs of white
//! space. A file is refused if two of its columns match one line here. So an alias is another name of the
//! same column, never the name of a similar column.

/// A column that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ImportColumn {
    /// The standard name of the column, which messages use.
    pub(super) name: &'static str,
    /// Other names of the column, from other layouts.
    pub(super) also: &'static [&'static str],
    /// Whether a file without the column is refused.
    pub(super) required: bool,
}

impl ImportColumn {
    /// Whether a header cell is a name of the column, in any case.
    pub(super) fn is_named(&self, header: &str) -> bool {
        self.name.eq_ignore_ascii_case(header) || self.also.iter().any(|name| name.eq_ignore_ascii_case(header))
    }
}

/// Declares a table of columns, and an enum that names its columns. Each line has the name in the enum, `required` or `optional`,
/// the standard name, and the other names.
macro_rules! columns {
    ($(#[$table_doc:meta])* $table:ident by $key:ident:
     $($(#[$doc:meta])* $column:ident $need:ident $name:literal $(or $also:literal)*;)+) => {
        $(#[$table_doc])*
        pub(super) const $table: &[ImportColumn] =
            &[$(ImportColumn { name: $name, also: &[$($also),*], required: columns!(@$need) }),+];

        /// Names the columns of the table. `usize::from` gives the index of a column in the table.
        #[derive(Debug, Clone, Copy)]
        pub(super) enum $key {
            $($(#[$doc])* $column),+
        }

        impl From<$key> for usize {
            fn from(key: $key) -> usize {
                key as usize
            }
        }
    };
    (@required) => { true };
    (@optional) => { false };
}

columns! {
    /// Ofsted management information, state-funded schools, latest inspections. Standard names are those of
    /// the 70-column layout of 2020 and 2021. In September 2022 "section 8" became "ungraded" and "full"
    /// became "graded". The layouts of 2025, in which the old date columns have an "OEIF" grade and a report
    /// card, are other data and are not read.
    OFSTED by Ofsted:
    /// The school, under its URN of that month.
    Urn required "URN";
    /// Local authority and establishment number.
    Laestab required "LAESTAB";
    /// The school's name.
    Name required "School name";
    /// Nursery, Primary, Secondary, Special or PRU.
    Phase optional "Ofsted phase";
    /// Community school, academy converter and so on.
    SchoolType required "Type of education";
    /// When the school opened under this URN.
    Opened optional "School open date";
    /// The MAT's group UID; only in later layouts.
    TrustUid optional "Multi-academy trust UID";
    /// The MAT's name; only in later layouts.
    TrustName optional "Multi-academy trust name";
    /// Number of the latest graded inspection.
    Inspection required "Inspection number of latest full inspection"
        or "Inspection number of latest graded inspection";
    /// Its first day.
    Started required "Inspection start date";
    /// Its last day.
    Ended optional "Inspection end date";
    /// When its report came out.
    Published required "Publication date";
    /// The URN of the school it judged: a predecessor, if a converter has not been inspected since it converted.
    UrnJudged optional "URN at time of latest full inspection" or "URN at time of latest graded inspection";
    /// Its overall effectiveness.
    Grade required "Overall effectiveness";
    /// Number of the graded inspection before.
    PreviousInspection optional "Previous full inspection number"
        or "Previous inspection number" or "Previous graded inspection number";
    /// Its first day.
    PreviousStarted optional "Previous inspection start date";
    /// Its last day.
    PreviousEnded optional "Previous inspection end date";
    /// When its report came out.
    PreviousPublished optional "Previous publication date";
    /// The URN of the school it judged.
    PreviousUrnJudged optional "URN at time of previous full inspection"
        or "URN at time of previous graded inspection" or "URN at time of previous inspection";
    /// Its overall effectiveness.
    PreviousGrade required "Previous full inspection overall effectiveness"
        or "Previous graded inspection overall effectiveness" or "Previous overall effectiveness"
        or "Previous inspection overall effectiveness";
}

columns! {
    /// GIAS "all group records": trusts, federations, sponsors.
    GROUPS by Groups:
    /// The group.
    Uid required "Group UID" or "UID";
    /// Its other reference, `TR00044`.
    GroupId optional "Group ID";
    /// Its name.
    Name required "Group Name";
    /// Its number at Companies House.
    CompaniesHouse optional "Companies House Number";
    /// 6 is a MAT, 10 a SAT.
    Kind required "Group Type (code)";
    /// The group type in words.
    KindName required "Group Type";
    /// Open, Closed, Proposed to open, Proposed to close or Created in error.
    Status required "Group Status";
    /// The day on which it began.
    Opened optional "Open date";
    /// The day on which it ended.
    Closed optional "Closed Date";
}

columns! {
    /// GIAS "all group links records": which school is in which group.
    MEMBERSHIPS by Memberships:
    /// The school.
    Urn required "URN";
    /// The group.
    Uid required "Group UID" or "UID";
    /// The group's name.
    GroupName required "Group Name";
    /// 6 is a MAT, 10 a SAT.
    Kind required "Group Type (code)";
    /// The group type in words.
    KindName required "Group Type";
    /// The group's status, as in the file of groups.
    Status required "Group Status";
    /// When the school joined.
    Joined optional "Joined date" or "Date joined group";
    /// The school's name.
    Name required "EstablishmentName";
    /// Its type in words.
    SchoolType required "TypeOfEstablishment (name)";
    /// Its phase in words.
    Phase optional "PhaseOfEducation (name)";
    /// Its local authority.
    La required "LA (code)";
}

columns! {
    /// GIAS "links": predecessors and successors.
    LINKS by Links:
    /// The school.
    Urn required "URN";
    /// The school it is linked with.
    LinkUrn required "LinkURN";
    /// The linked school's name.
    LinkName optional "LinkName";
    /// The role of the linked school: Predecessor, Successor, Merged and so on.
    LinkType required "LinkType";
    /// The day on which it began.
    On optional "LinkEstablishedDate";
}

columns! {
    /// GIAS establishments: the full register ("edubasealldata"), and the search extract with names only.
    ESTABLISHMENTS by Establishments:
    /// The school.
    Urn required "URN";
    /// Its local authority.
    La required "LA (code)";
    /// Its number within the authority.
    Number optional "EstablishmentNumber";
    /// Its name.
    Name required "EstablishmentName";
    /// Its type in words.
    SchoolType required "TypeOfEstablishment (name)";
    /// Academies, local authority maintained schools and so on.
    TypeGroup optional "EstablishmentTypeGroup (name)";
    /// Open; Closed; Open, but proposed to close; Proposed to open.
    Status required "EstablishmentStatus (name)";
    /// The day on which it began.
    Opened optional "OpenDate";
    /// The day on which it ended.
    Closed optional "CloseDate";
    /// Its phase in words.
    Phase optional "PhaseOfEducation (name)";
    /// Its diocese.
    Diocese optional "Diocese (name)";
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLES: [&[ImportColumn]; 5] = [OFSTED, GROUPS, MEMBERSHIPS, LINKS, ESTABLISHMENTS];

    /// Every column of the published layouts that has, or could have, a person's name or telephone number.
    const PEOPLE: [&str; 9] = [
        "HeadTitle (name)",
        "HeadFirstName",
        "HeadLastName",
        "HeadPreferredJobTitle",
        "Head of Group Title",
        "Head of Group First Name",
        "Head of Group Last Name",
        "PropsName",
        "TelephoneNum",
    ];

    #[test]
    fn no_person_is_ever_read() {
        for column in TABLES.into_iter().flatten() {
            for person in PEOPLE {
                assert!(!column.is_named(person), "{} reads {person}", column.name);
            }
            for name in column.also.iter().chain([&column.name]) {
                let name = name.to_lowercase();
                for word in ["head", "first", "last name", "job", "props", "phone", "email", "teacher"] {
                    assert!(!name.contains(word), "{name:?} has {word:?}");
                }
            }
        }
    }

    #[test]
    fn no_name_stands_for_two_columns() {
        for table in TABLES {
            for column in table {
                for name in column.also.iter().chain([&column.name]) {
                    assert_eq!(table.iter().filter(|other| other.is_named(name)).count(), 1, "{name:?}");
                }
            }
        }
    }

    #[test]
    fn a_key_points_at_its_column() {
        assert_eq!(OFSTED[usize::from(Ofsted::PreviousGrade)].name, "Previous full inspection overall effectiveness");
        assert_eq!(ESTABLISHMENTS[usize::from(Establishments::Diocese)].name, "Diocese (name)");
    }
}
