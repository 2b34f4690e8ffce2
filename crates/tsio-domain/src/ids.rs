//! Defines the identifiers: UUIDs, numbers of the register, names of records, and ids of people and services.
//!
//! Every id is parsed and checked once, where it enters the program. The code after that need not check it again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The error for a text that does not have the form of the expected id. Other short values, such as amounts, have this error too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not {expected}")]
pub struct BadId {
    /// The text, or the beginning of a long one.
    pub value: String,
    /// What was expected, as a phrase: "a URN (5 or 6 digits)".
    pub expected: &'static str,
}

impl BadId {
    fn new(value: &str, expected: &'static str) -> Self {
        Self { value: value.chars().take(60).collect(), expected }
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal $(, if $is_valid:expr)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(s: &str) -> Result<Self, BadId> {
                let id = Uuid::try_parse(s.trim()).ok();
                $(let id = id.filter($is_valid);)?
                id.map(Self).ok_or_else(|| BadId::new(s, $expected))
            }
        }
    };
}

uuid_id!(/// One offer.
    OfferId, "an offer id (a UUID)");
uuid_id!(/// One award under an offer.
    AwardId, "an award id (a UUID)");
uuid_id!(/// One account of the ledger: a fund, or an offer's cap for a strand. Requests name only funds.
    AccountId, "a fund id (a UUID)");
uuid_id!(/// One import of one file.
    ImportId, "an import id (a UUID)");
uuid_id!(/// One approval: a request that needs a second person.
    ApprovalId, "an approval id (a UUID)");
uuid_id!(/// One referral of a school or trust.
    ReferralId, "a referral id (a UUID)");
uuid_id!(/// The id of one request for a change (AIP-155). The caller chooses it. A request that is sent again with the same id is carried
/// out only once. The nil UUID is not valid: the program uses it where there is no request.
    RequestId, "a request id (a UUID, and not the nil one)", if |id: &Uuid| !id.is_nil());

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $range:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Makes the id; `None` if the number is outside the range of the register.
            #[must_use]
            pub fn new(value: $inner) -> Option<Self> {
                ($range).contains(&value).then_some(Self(value))
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(s: &str) -> Result<Self, BadId> {
                let text = s.trim();
                let has_only_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                has_only_digits
                    .then(|| text.parse().ok())
                    .flatten()
                    .and_then(Self::new)
                    .ok_or_else(|| BadId::new(s, $expected))
            }
        }
    };
}

number_id!(/// Unique reference number of an establishment (GIAS).
    Urn(u32), 10_000..=999_999, "a URN (5 or 6 digits)");
number_id!(/// Unique identifier of a group of establishments, such as a trust or a federation (GIAS).
    Uid(u32), 1..=999_999, "a group UID (1 to 6 digits)");
number_id!(/// Three-digit code of a local authority, the first three digits of a LAESTAB.
    LaCode(u16), 1..=999, "a local authority code (3 digits)");
number_id!(/// The number of a school in its local authority: the three digits of the authority, then four digits of the
/// school.
    Laestab(u32), 1_000_000..=9_999_999, "a LAESTAB (7 digits)");

impl Laestab {
    /// The code of its local authority. `domain.md` section 6: "join on the LA code".
    #[must_use]
    pub fn la_code(self) -> LaCode {
        #[expect(clippy::cast_possible_truncation, reason = "a LAESTAB has seven digits, so this is at most 999")]
        LaCode((self.0 / 10_000) as u16)
    }
}

/// The name of a programme, which is the scheme in one academic year: `2021-22`. The record of the programme has the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Programme(String);

impl Programme {
    /// The name as written: `2021-22`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Programme {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Programme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Programme {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        let bad = || BadId::new(s, "a programme (an academic year, like 2021-22)");
        let parse_digits = |text: &str, count| {
            (text.len() == count && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse::<u16>().ok())
                .flatten()
        };
        let (first, second) = s.trim().split_once('-').ok_or_else(bad)?;
        let year = parse_digits(first, 4).ok_or_else(bad)?;
        let next = parse_digits(second, 2).ok_or_else(bad)?;
        if year.saturating_add(1).checked_rem(100) == Some(next) {
            Ok(Self(format!("{year:04}-{next:02}")))
        } else {
            Err(bad())
        }
    }
}

/// The name of the record of reference data. No programme can have this name, because programmes are named by year.
const REGISTER: &str = "register";

/// The name of a record that can be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordName {
    /// The record of a programme.
    Programme(Programme),
    /// The record of reference data, `register`.
    Register,
}

impl RecordName {
    /// The name as written: `2021-22`, `register`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Programme(programme) => programme.as_str(),
            Self::Register => REGISTER,
        }
    }
}

impl From<Programme> for RecordName {
    fn from(programme: Programme) -> Self {
        Self::Programme(programme)
    }
}

impl AsRef<str> for RecordName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RecordName {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        if s.trim() == REGISTER {
            return Ok(Self::Register);
        }
        let expected = "a record (a programme, like 2021-22, or register)";
        s.parse().map(Self::Programme).map_err(|_| BadId::new(s, expected))
    }
}

/// The opaque id of a person or a service, never a name. 1 to 128 printable ASCII characters without spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Actor(String);

impl Actor {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Actor {
    type Err = BadId;
    fn from_str(s: &str) -> Result<Self, BadId> {
        let is_valid = (1..=128).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic());
        is_valid
            .then(|| Self(s.to_owned()))
            .ok_or_else(|| BadId::new(s, "an actor id (1 to 128 printable characters, no spaces)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_register_are_checked() {
        let urn = |s: &str| s.parse::<Urn>().map(Urn::get).ok();
        assert_eq!(urn("100000"), Some(100_000));
        assert_eq!(urn(" 20003 "), Some(20_003));
        for bad in ["", "NULL", "1234567", "-100000", "+100000", "10000x", "99"] {
            assert_eq!(urn(bad), None, "{bad:?}");
        }
        assert_eq!("3301001".parse::<Laestab>().map(|l| l.la_code().get()), Ok(330));
    }

    #[test]
    fn a_request_id_is_a_uuid_but_not_the_nil_uuid() {
        let nil = "00000000-0000-0000-0000-000000000000";
        let rows = [
            ("6f1c8a52-30c5-4c3e-9d9e-0a4f5e6b7c8d", true),
            ("00000000-0000-0000-0000-000000000001", true),
            (nil, false),
            ("00000000000000000000000000000000", false),
            ("17", false),
            ("", false),
        ];
        for (text, is_valid) in rows {
            assert_eq!(text.parse::<RequestId>().is_ok(), is_valid, "{text:?}");
        }
        let error = nil.parse::<RequestId>().unwrap_err().to_string();
        assert_eq!(error, format!("{nil:?} is not a request id (a UUID, and not the nil one)"));
        assert!(nil.parse::<OfferId>().is_ok());
    }

    #[test]
    fn a_programme_is_two_years_in_a_row() {
        let parsed_name = |s: &str| s.parse::<Programme>().map(|p| p.to_string()).ok();
        assert_eq!(parsed_name("2021-22").as_deref(), Some("2021-22"));
        assert_eq!(parsed_name("1999-00").as_deref(), Some("1999-00"));
        for bad in ["register", "2021", "2021-23", "2021-2022", "+202-03", "2008-+9", "21-22", "2021/22", ""] {
            assert_eq!(parsed_name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_record_is_named_by_its_programme_or_register() {
        let parsed_name = |s: &str| s.parse::<RecordName>().map(|it| it.to_string()).map_err(|it| it.to_string());
        assert_eq!(parsed_name("2021-22").as_deref(), Ok("2021-22"));
        assert_eq!(parsed_name("register").as_deref(), Ok("register"));
        assert!(parsed_name("Register").unwrap_err().contains("like 2021-22, or register"));
    }

    #[test]
    fn an_actor_has_no_spaces() {
        assert!("case.officer-7".parse::<Actor>().is_ok());
        assert!("A B".parse::<Actor>().is_err());
        assert!("".parse::<Actor>().is_err());
        assert!("x".repeat(129).parse::<Actor>().is_err());
    }
}
