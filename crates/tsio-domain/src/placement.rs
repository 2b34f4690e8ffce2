//! Decides the placement of a school: maintained, in a SAT, the only school of a MAT, or in a MAT.
//!
//! Placement depends only on the school's type and on its open MATs and SATs in the newest register. A school to which
//! none of the four applies is unplaced, with a reason, until a person places it. A placement is never guessed, and no
//! school is dropped.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::Uid;
use super::school::{HandPlacement, SchoolFacts, TrustKind, TrustLink};

/// The two kinds of recipient to which an offer can be made: one school, or one trust with its eligible schools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipientKind {
    /// One school.
    Standalone,
    /// One multi-academy trust.
    Mat,
}

impl RecipientKind {
    /// Its name in terms files and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Mat => "mat",
        }
    }
}

/// The four kinds of placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlacementKind {
    /// Local-authority maintained.
    Maintained,
    /// In a single-academy trust.
    SingleAcademyTrust,
    /// The only school of a multi-academy trust.
    SingleSchoolMat,
    /// In a multi-academy trust of two schools or more.
    Mat,
}

impl PlacementKind {
    /// Its name in terms files and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maintained => "maintained",
            Self::SingleAcademyTrust => "single_academy_trust",
            Self::SingleSchoolMat => "single_school_mat",
            Self::Mat => "mat",
        }
    }

    /// The kind of recipient to which an offer for such a school is made (`domain.md` section 2).
    #[must_use]
    pub const fn recipient_kind(self) -> RecipientKind {
        match self {
            Self::Maintained | Self::SingleAcademyTrust | Self::SingleSchoolMat => RecipientKind::Standalone,
            Self::Mat => RecipientKind::Mat,
        }
    }
}

/// The placement of a school.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", content = "of", rename_all = "snake_case")]
pub enum Placement {
    /// Local-authority maintained.
    Maintained,
    /// In this single-academy trust.
    SingleAcademyTrust(Uid),
    /// The only school of this multi-academy trust.
    SingleSchoolMat(Uid),
    /// In this multi-academy trust.
    Mat(Uid),
    /// Not placed, until a person places it.
    Unplaced(UnplacedReason),
}

/// Why the register does not place a school.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnplacedReason {
    /// An academy with no link to an open trust.
    NoOpenTrust,
    /// Links to two open trusts or more.
    TwoOpenTrusts,
    /// A maintained type with a link to an open trust.
    MaintainedInTrust,
    /// A non-maintained special school.
    NonMaintainedSpecial,
    /// A city technology college.
    CityTechnologyCollege,
    /// Any other type, or no type.
    OtherType,
    /// No imported register has the school.
    NotInRegister,
}

impl fmt::Display for UnplacedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoOpenTrust => "an academy with no link to an open trust",
            Self::TwoOpenTrusts => "links to more than one open trust",
            Self::MaintainedInTrust => "a maintained type, but with a link to an open trust",
            Self::NonMaintainedSpecial => "a non-maintained special school",
            Self::CityTechnologyCollege => "a city technology college",
            Self::OtherType => "a type that is neither maintained nor an academy",
            Self::NotInRegister => "not in any register imported",
        })
    }
}

impl Placement {
    /// The kind of placement; `None` if the school is unplaced.
    #[must_use]
    pub const fn kind(self) -> Option<PlacementKind> {
        Some(match self {
            Self::Maintained => PlacementKind::Maintained,
            Self::SingleAcademyTrust(_) => PlacementKind::SingleAcademyTrust,
            Self::SingleSchoolMat(_) => PlacementKind::SingleSchoolMat,
            Self::Mat(_) => PlacementKind::Mat,
            Self::Unplaced(_) => return None,
        })
    }

    /// The kind of recipient to which an offer for the school is made; `None` if the school is unplaced.
    #[must_use]
    pub fn recipient_kind(self) -> Option<RecipientKind> {
        self.kind().map(PlacementKind::recipient_kind)
    }

    /// The trust in which the school is placed; `None` if it is maintained or unplaced.
    #[must_use]
    pub const fn trust(self) -> Option<Uid> {
        match self {
            Self::SingleAcademyTrust(uid) | Self::SingleSchoolMat(uid) | Self::Mat(uid) => Some(uid),
            Self::Maintained | Self::Unplaced(_) => None,
        }
    }
}

impl From<HandPlacement> for Placement {
    fn from(by_hand: HandPlacement) -> Self {
        match by_hand {
            HandPlacement::Maintained => Self::Maintained,
            HandPlacement::SingleAcademyTrust { uid } => Self::SingleAcademyTrust(uid),
            HandPlacement::SingleSchoolMat { uid } => Self::SingleSchoolMat(uid),
            HandPlacement::Mat { uid } => Self::Mat(uid),
        }
    }
}

/// Places a school by the newest register. `schools_in` returns the number of schools of a trust in that register. A
/// placement by a person is used only if the register does not place the school.
#[must_use]
pub fn place(school: &SchoolFacts, schools_in: impl Fn(Uid) -> usize) -> Placement {
    match place_by_register(school, schools_in) {
        Placement::Unplaced(reason) => school.placed.map_or(Placement::Unplaced(reason), Placement::from),
        placed => placed,
    }
}

/// Places a school by the newest register only. An open trust places a school of any type that is not maintained.
fn place_by_register(school: &SchoolFacts, schools_in: impl Fn(Uid) -> usize) -> Placement {
    let mut open_trusts: Vec<&TrustLink> = school.trusts.iter().filter(|link| link.open).collect();
    open_trusts.sort_by_key(|link| link.uid);
    open_trusts.dedup_by_key(|link| link.uid);
    let school_type = SchoolType::of(&school.type_name);
    match (open_trusts.as_slice(), school_type) {
        ([], SchoolType::Maintained) => Placement::Maintained,
        (_, SchoolType::Maintained) => Placement::Unplaced(UnplacedReason::MaintainedInTrust),
        ([], SchoolType::Academy) => Placement::Unplaced(UnplacedReason::NoOpenTrust),
        ([], SchoolType::Neither(reason)) => Placement::Unplaced(reason),
        ([link], _) => match link.kind {
            TrustKind::Sat => Placement::SingleAcademyTrust(link.uid),
            TrustKind::Mat if schools_in(link.uid) > 1 => Placement::Mat(link.uid),
            TrustKind::Mat => Placement::SingleSchoolMat(link.uid),
        },
        _ => Placement::Unplaced(UnplacedReason::TwoOpenTrusts),
    }
}

/// The group of school types that a type name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SchoolType {
    Maintained,
    Academy,
    Neither(UnplacedReason),
}

impl SchoolType {
    /// Reads a type name. Ofsted and GIAS spell types differently ("LA Nursery School", "Local authority nursery
    /// school"), and case, spacing and hyphens vary within one file.
    fn of(name: &str) -> Self {
        const MAINTAINED: [&str; 9] = [
            "community school",
            "voluntary aided school",
            "voluntary controlled school",
            "foundation school",
            "community special school",
            "foundation special school",
            "la nursery school",
            "local authority nursery school",
            "pupil referral unit",
        ];
        const ACADEMY: [&str; 5] =
            ["academy", "free school", "free schools", "university technical college", "studio school"];
        let words: String = name.to_lowercase().replace(['-', '\u{2013}'], " ");
        let plain = words.split_whitespace().collect::<Vec<_>>().join(" ");
        if MAINTAINED.contains(&plain.as_str()) {
            Self::Maintained
        } else if ACADEMY.iter().any(|start| plain.starts_with(start)) {
            Self::Academy
        } else if plain == "non maintained special school" {
            Self::Neither(UnplacedReason::NonMaintainedSpecial)
        } else if plain == "city technology college" {
            Self::Neither(UnplacedReason::CityTechnologyCollege)
        } else {
            Self::Neither(UnplacedReason::OtherType)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Urn;

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    fn link(n: u32, kind: TrustKind, open: bool) -> TrustLink {
        TrustLink { uid: uid(n), kind, open }
    }

    fn school(type_name: &str, trusts: Vec<TrustLink>) -> SchoolFacts {
        SchoolFacts {
            urn: Urn::new(100_000).unwrap(),
            name: "A school".to_owned(),
            type_name: type_name.to_owned(),
            la: None,
            diocese: None,
            trusts,
            placed: None,
        }
    }

    /// Trust 1 has one school, every other trust has two.
    fn sizes(uid: Uid) -> usize {
        if uid.get() == 1 { 1 } else { 2 }
    }

    #[test]
    fn the_register_places_a_school_or_gives_the_reason() {
        use TrustKind::{Mat, Sat};
        use UnplacedReason as Why;
        let no_trust = Vec::new;
        let in_trust = |n, kind, open| vec![link(n, kind, open)];
        #[rustfmt::skip]
        let rows = [
            // type                            trusts                                        placed
            ("Community School",               no_trust(),                                   Placement::Maintained),
            ("  voluntary   AIDED school ",    no_trust(),                                   Placement::Maintained),
            ("Local authority nursery school", no_trust(),                                   Placement::Maintained),
            ("LA Nursery School",              no_trust(),                                   Placement::Maintained),
            ("Community School",               in_trust(2, Mat, false),                      Placement::Maintained),
            ("Community School",               in_trust(2, Mat, true),                       Placement::Unplaced(Why::MaintainedInTrust)),
            ("Academy converter",              in_trust(2, Mat, true),                       Placement::Mat(uid(2))),
            ("Academy Sponsor Led",            in_trust(1, Mat, true),                       Placement::SingleSchoolMat(uid(1))),
            ("Free School - Special",          in_trust(3, Sat, true),                       Placement::SingleAcademyTrust(uid(3))),
            ("Academy converter",              no_trust(),                                   Placement::Unplaced(Why::NoOpenTrust)),
            ("Academy converter",              in_trust(2, Mat, false),                      Placement::Unplaced(Why::NoOpenTrust)),
            ("Free schools 16 to 19",          no_trust(),                                   Placement::Unplaced(Why::NoOpenTrust)),
            ("University Technical College",   no_trust(),                                   Placement::Unplaced(Why::NoOpenTrust)),
            ("Studio schools",                 no_trust(),                                   Placement::Unplaced(Why::NoOpenTrust)),
            ("Academy converter",              vec![link(2, Mat, true), link(3, Sat, true)], Placement::Unplaced(Why::TwoOpenTrusts)),
            ("Academy converter",              vec![link(2, Mat, true), link(2, Mat, true)], Placement::Mat(uid(2))),
            ("Academy converter",              vec![link(2, Mat, false), link(3, Sat, true)], Placement::SingleAcademyTrust(uid(3))),
            ("Non-maintained special school",  no_trust(),                                   Placement::Unplaced(Why::NonMaintainedSpecial)),
            ("City Technology College",        no_trust(),                                   Placement::Unplaced(Why::CityTechnologyCollege)),
            ("Other independent school",       no_trust(),                                   Placement::Unplaced(Why::OtherType)),
            ("",                               no_trust(),                                   Placement::Unplaced(Why::OtherType)),
        ];
        for (type_name, trusts, expected) in rows {
            assert_eq!(place(&school(type_name, trusts.clone()), sizes), expected, "{type_name:?} {trusts:?}");
        }
    }

    #[test]
    fn a_hand_placement_counts_only_if_the_register_does_not_place_the_school() {
        let by_hand = Some(HandPlacement::Mat { uid: uid(9) });
        let unplaced = SchoolFacts { placed: by_hand, ..school("City Technology College", Vec::new()) };
        assert_eq!(place(&unplaced, sizes), Placement::Mat(uid(9)));
        let placed = SchoolFacts { placed: by_hand, ..school("Foundation School", Vec::new()) };
        assert_eq!(place(&placed, sizes), Placement::Maintained);
    }

    #[test]
    fn an_offer_is_made_to_a_school_or_to_its_mat() {
        #[rustfmt::skip]
        let rows = [
            (Placement::Maintained,                              Some(RecipientKind::Standalone)),
            (Placement::SingleAcademyTrust(uid(3)),              Some(RecipientKind::Standalone)),
            (Placement::SingleSchoolMat(uid(1)),                 Some(RecipientKind::Standalone)),
            (Placement::Mat(uid(2)),                             Some(RecipientKind::Mat)),
            (Placement::Unplaced(UnplacedReason::NotInRegister), None),
        ];
        for (placement, expected) in rows {
            assert_eq!(placement.recipient_kind(), expected, "{placement:?}");
        }
    }
}
