//! Defines the eight RSC regions of 2021 to 2022, and the region of each local authority.
//!
//! The table of local authorities is data (`terms/regions.csv`), not code. Ofsted's regions are different and are never
//! used (`domain.md` section 6).

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::ids::{BadId, LaCode};

/// A regional schools commissioner's region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// East Midlands and the Humber
    EastMidlandsHumber,
    /// East of England and North-East London
    EastOfEnglandNorthEastLondon,
    /// Lancashire and West Yorkshire
    LancashireWestYorkshire,
    /// North of England
    NorthOfEngland,
    /// North-West London and South-Central England
    NorthWestLondonSouthCentral,
    /// South-East England and South London
    SouthEastSouthLondon,
    /// South-West England
    SouthWest,
    /// West Midlands
    WestMidlands,
}

impl Region {
    /// All eight regions, in the order of their names. A trust's offer belongs to the region with most of its
    /// eligible schools. If several regions have equally many, the first of them in this order counts (`domain.md`
    /// section 4).
    pub const ALL: [Self; 8] = [
        Self::EastMidlandsHumber,
        Self::EastOfEnglandNorthEastLondon,
        Self::LancashireWestYorkshire,
        Self::NorthOfEngland,
        Self::NorthWestLondonSouthCentral,
        Self::SouthEastSouthLondon,
        Self::SouthWest,
        Self::WestMidlands,
    ];

    /// The official name of the region.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EastMidlandsHumber => "East Midlands and the Humber",
            Self::EastOfEnglandNorthEastLondon => "East of England and North-East London",
            Self::LancashireWestYorkshire => "Lancashire and West Yorkshire",
            Self::NorthOfEngland => "North of England",
            Self::NorthWestLondonSouthCentral => "North-West London and South-Central England",
            Self::SouthEastSouthLondon => "South-East England and South London",
            Self::SouthWest => "South-West England",
            Self::WestMidlands => "West Midlands",
        }
    }

    /// The region of a local authority; `None` if its code is not in the table.
    #[must_use]
    pub fn of(la: LaCode) -> Option<Self> {
        table().get(&la).map(|authority| authority.region)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Region {
    type Err = BadId;
    /// Takes the official name, in upper or lower case, also with hyphens instead of spaces: `west-midlands`.
    fn from_str(s: &str) -> Result<Self, BadId> {
        let hyphenated = |name: &str| name.replace(' ', "-");
        Self::ALL
            .into_iter()
            .find(|region| hyphenated(region.name()).eq_ignore_ascii_case(&hyphenated(s.trim())))
            .ok_or_else(|| BadId { value: s.chars().take(60).collect(), expected: "the name of an RSC region" })
    }
}

/// One row of the table of local authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAuthority {
    /// Its code.
    pub code: LaCode,
    /// Its name in the table. It is only shown: files spell names differently, so data is joined on the code.
    pub name: &'static str,
    /// Its region.
    pub region: Region,
}

/// The local authority with this code; `None` if the table does not have it.
#[must_use]
pub fn local_authority(code: LaCode) -> Option<&'static LocalAuthority> {
    table().get(&code)
}

/// All local authorities of the table, by region and name.
#[must_use]
pub fn local_authorities() -> Vec<&'static LocalAuthority> {
    let mut all: Vec<&LocalAuthority> = table().values().collect();
    all.sort_by_key(|it| (it.region, it.name));
    all
}

/// Whether this code is outside England: Wales (660 to 681), or schools overseas and on the islands (700 to 799). The
/// register lists such schools too.
#[must_use]
pub const fn is_outside_england(code: LaCode) -> bool {
    matches!(code.get(), 660..=681 | 700..=799)
}

/// Returns the table of local authorities. It is read once.
fn table() -> &'static HashMap<LaCode, LocalAuthority> {
    static TABLE: OnceLock<HashMap<LaCode, LocalAuthority>> = OnceLock::new();
    TABLE.get_or_init(|| include_str!("../../../terms/regions.csv").lines().skip(1).filter_map(row).collect())
}

/// Reads one line of the table: code, name, region.
fn row(line: &'static str) -> Option<(LaCode, LocalAuthority)> {
    let (code, rest) = line.split_once(',')?;
    let (name, region) = rest.rsplit_once(',')?;
    let code = code.parse().ok()?;
    Some((code, LocalAuthority { code, name: name.trim_matches('"'), region: region.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_authorities_are_listed_by_region_and_name() {
        let all = local_authorities();
        assert!(all.is_sorted_by_key(|it| (it.region, it.name)));
        assert!(all.iter().all(|it| local_authority(it.code) == Some(it)));
        assert!(Region::ALL.iter().all(|region| all.iter().any(|it| it.region == *region)));
    }

    #[test]
    fn every_row_of_the_table_is_read() {
        let rows = include_str!("../../../terms/regions.csv").lines().skip(1).filter(|l| !l.is_empty()).count();
        assert_eq!(table().len(), rows);
        for region in Region::ALL {
            assert!(table().values().any(|la| la.region == region), "{region} has no local authority");
        }
    }

    #[test]
    fn codes_outside_england_are_not_in_the_table() {
        assert!(table().keys().all(|code| !is_outside_england(*code)));
        let codes = [659, 660, 681, 682, 699, 700, 702, 799, 800, 999];
        let outside: Vec<u16> =
            codes.into_iter().filter(|code| LaCode::new(*code).is_some_and(is_outside_england)).collect();
        assert_eq!(outside, [660, 681, 700, 702, 799]);
    }

    #[test]
    fn regions_are_listed_in_the_order_of_their_names() {
        assert!(Region::ALL.windows(2).all(|w| matches!(w, [a, b] if a.name() < b.name())));
    }

    #[test]
    fn each_code_has_its_region() {
        let region = |code| LaCode::new(code).and_then(Region::of);
        assert_eq!(region(330), Some(Region::WestMidlands));
        assert_eq!(region(201), Some(Region::NorthWestLondonSouthCentral));
        assert_eq!(region(999), None);
    }
}
