//! Defines the data of a school in the register that the rules need.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Date;
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
    /// The name of the kind in a sentence.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Mat => "multi-academy trust",
            Self::Sat => "single-academy trust",
        }
    }

    /// The kind for a GIAS group type code; `None` for sponsors, federations and all others.
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
    /// The kind of trust: a MAT or a SAT.
    pub kind: TrustKind,
    /// Whether its group status is open. A closed group places no school.
    pub open: bool,
}

/// A placement by a person, used if the register does not place the school.
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
    /// The trust that the placement names, and the kind that the trust must have. `None` for a maintained school.
    #[must_use]
    pub const fn trust(self) -> Option<(Uid, TrustKind)> {
        match self {
            Self::Maintained => None,
            Self::SingleAcademyTrust { uid } => Some((uid, TrustKind::Sat)),
            Self::SingleSchoolMat { uid } | Self::Mat { uid } => Some((uid, TrustKind::Mat)),
        }
    }
}

/// The data of a school that decide its placement, with its name, authority and diocese.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchoolFacts {
    /// The school.
    pub urn: Urn,
    /// Its name.
    pub name: String,
    /// Its type as the newest file prints it ("Academy converter", "Community School"); case and spacing vary.
    pub type_name: String,
    /// Its local authority; `None` if no file gives it.
    pub la: Option<LaCode>,
    /// Its diocese; `None` if it has none.
    pub diocese: Option<String>,
    /// Its links to trusts in the newest register, open and closed.
    pub trusts: Vec<TrustLink>,
    /// The placement by a person, if there is one.
    pub placed: Option<HandPlacement>,
}

/// The closing data of a school: from the newest file of establishments that has the school, and from the register's
/// links.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchoolEnding {
    /// Its status as printed: "Open", "Closed", "Open, but proposed to close"; `None` if no file gives it.
    pub status: Option<String>,
    /// The day it closed or will close, if the file says.
    pub close_date: Option<Date>,
    /// Its successors by the register's links, in order of URN.
    pub successors: Vec<Urn>,
}

/// Why a school counts as closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchoolClosed {
    /// Its status is Closed.
    ByStatus {
        /// The closing date, if the register says.
        since: Option<Date>,
    },
    /// Its status is Created in error: it has never been a school.
    CreatedInError,
    /// Its close date has come. Its status is neither Closed nor Created in error.
    ByDate {
        /// The close date.
        on: Date,
    },
}

impl SchoolEnding {
    /// Returns why the school counts as closed on a day; `None` if it is open. A school that is "Open, but
    /// proposed to close" is open until its close date.
    #[must_use]
    pub fn closed_by(&self, day: Date) -> Option<SchoolClosed> {
        let status = self.status.as_deref().unwrap_or_default().trim().to_lowercase();
        match (status.as_str(), self.close_date.filter(|on| *on <= day)) {
            ("created in error", _) => Some(SchoolClosed::CreatedInError),
            ("closed", _) => Some(SchoolClosed::ByStatus { since: self.close_date }),
            (_, Some(on)) => Some(SchoolClosed::ByDate { on }),
            (_, None) => None,
        }
    }

    /// Returns why the school counts as closed on a day, in a sentence that names its successors; `None` if
    /// it is open.
    #[must_use]
    pub fn closed_because(&self, day: Date) -> Option<String> {
        let closed = self.closed_by(day)?;
        let successors: Vec<String> = self.successors.iter().map(Urn::to_string).collect();
        Some(match successors.as_slice() {
            [] => format!("{closed}; no link names a successor"),
            [successor] => format!("{closed}; its successor is {successor}"),
            several => format!("{closed}; its successors are {}", several.join(", ")),
        })
    }
}

impl fmt::Display for SchoolClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByStatus { since: Some(since) } => write!(f, "its status in the register is Closed, since {since}"),
            Self::ByStatus { since: None } => f.write_str("its status in the register is Closed"),
            Self::CreatedInError => f.write_str("its status in the register is Created in error"),
            Self::ByDate { on } => write!(f, "its close date in the register is {on}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn a_school_is_closed_by_its_status_or_once_its_close_date_has_come() {
        let since = |text: &str| Some(SchoolClosed::ByStatus { since: text.parse().ok() });
        let by_date = |text| Some(SchoolClosed::ByDate { on: day(text) });
        #[rustfmt::skip]
        let rows = [
            // status                        close date    on 30 August 2022            on 31 August 2022
            ("",                             "",           None,                        None),
            ("Open",                         "",           None,                        None),
            ("Open",                         "2022-08-31", None,                        by_date("2022-08-31")),
            ("Open, but proposed to close",  "",           None,                        None),
            ("Open, but proposed to close",  "2022-08-31", None,                        by_date("2022-08-31")),
            ("Open, but proposed to close",  "2022-09-01", None,                        None),
            ("Proposed to open",             "",           None,                        None),
            ("Closed",                       "",           since(""),                   since("")),
            ("Closed",                       "2021-12-31", since("2021-12-31"),         since("2021-12-31")),
            (" CLOSED ",                     "2023-01-01", since("2023-01-01"),         since("2023-01-01")),
            ("Created in Error",             "",           Some(SchoolClosed::CreatedInError), Some(SchoolClosed::CreatedInError)),
        ];
        for (status, close_date, before, on_the_day) in rows {
            let ending = SchoolEnding {
                status: Some(status.to_owned()),
                close_date: close_date.parse().ok(),
                successors: Vec::new(),
            };
            let got = (ending.closed_by(day("2022-08-30")), ending.closed_by(day("2022-08-31")));
            assert_eq!(got, (before, on_the_day), "{status:?} {close_date}");
        }
        assert_eq!(SchoolEnding::default().closed_by(day("2022-08-31")), None, "no file of establishments names it");
    }

    #[test]
    fn the_reason_of_a_closure_names_the_successors() {
        let closed_with_successors = |numbers: &[u32]| SchoolEnding {
            status: Some("Closed".to_owned()),
            close_date: Some(day("2021-08-31")),
            successors: numbers.iter().map(|n| Urn::new(*n).unwrap()).collect(),
        };
        let closed_reason = "its status in the register is Closed, since 2021-08-31";
        let sentence = |numbers| closed_with_successors(numbers).closed_because(day("2022-01-01")).unwrap();
        assert_eq!(sentence(&[]), format!("{closed_reason}; no link names a successor"));
        assert_eq!(sentence(&[990_001]), format!("{closed_reason}; its successor is 990001"));
        assert_eq!(sentence(&[990_001, 990_002]), format!("{closed_reason}; its successors are 990001, 990002"));
        assert_eq!(SchoolEnding::default().closed_because(day("2022-01-01")), None);
    }
}
