//! The forms of the names by which people refer to offers, awards, funds, approvals and referrals.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::domain::ids::{Uid, Urn};
use crate::domain::region::Region;

/// The fewest hex digits of an ending. Fewer would often belong to several ids.
const SHORTEST_ENDING: usize = 8;
/// The number of hex digits of a UUID.
const UUID_DIGITS: usize = 32;
/// The most digits of a URN.
const URN_DIGITS: usize = 6;
/// What a trust's group UID begins with, because a URN is a number as well.
const TRUST_PREFIX: &str = "uid:";

/// An id, or the ending of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IdName {
    /// The whole id.
    Id(Uuid),
    /// Its last hex digits, 8 or more, in lower case.
    Ending(String),
}

/// A name of an offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OfferName {
    Id(IdName),
    /// A school on the offer.
    School(Urn),
    /// The trust that the offer is made to, or that its school belongs to.
    Trust(Uid),
}

/// A name of an award.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AwardName {
    Id(IdName),
    /// An award of a strand under an offer.
    OfOffer {
        offer: OfferName,
        strand: String,
        /// Its place among the awards of the strand, from 1; `None` if it is the only one.
        place: Option<usize>,
    },
}

/// A name of a fund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FundName {
    Id(IdName),
    /// The fund of a strand: of a region, or the national one.
    OfStrand {
        strand: String,
        region: Option<Region>,
    },
}

impl IdName {
    /// Whether an id has this name.
    pub(super) fn names(&self, id: Uuid) -> bool {
        match self {
            Self::Id(whole) => *whole == id,
            Self::Ending(ending) => id.simple().to_string().ends_with(ending.as_str()),
        }
    }

    /// The last [`SHORTEST_ENDING`] digits, by which the database finds candidates.
    pub(super) fn last_digits(&self) -> String {
        let digits = match self {
            Self::Id(id) => id.simple().to_string(),
            Self::Ending(ending) => ending.clone(),
        };
        digits.get(digits.len().saturating_sub(SHORTEST_ENDING)..).unwrap_or_default().to_owned()
    }
}

impl FromStr for IdName {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = Uuid::try_parse(text) {
            return Ok(Self::Id(id));
        }
        let digits: String = text.chars().filter(|it| *it != '-').map(|it| it.to_ascii_lowercase()).collect();
        let is_hex = digits.bytes().all(|it| it.is_ascii_hexdigit());
        if is_hex && (SHORTEST_ENDING..UUID_DIGITS).contains(&digits.len()) {
            Ok(Self::Ending(digits))
        } else {
            Err("must be an id, or its last 8 or more hex digits")
        }
    }
}

impl FromStr for OfferName {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "must be an offer's id, its last 8 or more hex digits, a URN, or a trust as uid:2345";
        if let Some(uid) = text.strip_prefix(TRUST_PREFIX) {
            return uid.parse().map(Self::Trust).map_err(|_| FORMS);
        }
        // A longer text of digits is an ending, even if it begins with zeros.
        if let Some(urn) = text.parse().ok().filter(|_| text.len() <= URN_DIGITS) {
            return Ok(Self::School(urn));
        }
        text.parse().map(Self::Id).map_err(|_| FORMS)
    }
}

impl FromStr for AwardName {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMS: &str =
            "must be an award's id, its last 8 or more hex digits, or OFFER/STRAND or OFFER/STRAND/PLACE";
        let mut parts = text.split('/');
        let (Some(offer), Some(strand)) = (parts.next(), parts.next()) else {
            return text.parse().map(Self::Id).map_err(|_| FORMS);
        };
        let place = match parts.next().map(str::parse) {
            None => None,
            Some(Ok(place)) if place > 0 => Some(place),
            Some(_) => return Err(FORMS),
        };
        if strand.is_empty() || parts.next().is_some() {
            return Err(FORMS);
        }
        Ok(Self::OfOffer { offer: offer.parse().map_err(|_| FORMS)?, strand: strand.to_owned(), place })
    }
}

impl FromStr for FundName {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        let (strand, region) = text.split_once('/').map_or((text, None), |(strand, region)| (strand, Some(region)));
        if strand.is_empty() {
            return Err("must be a fund's id, its last 8 or more hex digits, or STRAND or STRAND/REGION");
        }
        let region = region.map(str::parse).transpose();
        let region = region.map_err(|_| "has no region of the RSC after the slash, such as west-midlands")?;
        Ok(Self::OfStrand { strand: strand.to_owned(), region })
    }
}

impl fmt::Display for OfferName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(IdName::Id(id)) => id.fmt(f),
            Self::Id(IdName::Ending(ending)) => ending.fmt(f),
            Self::School(urn) => urn.fmt(f),
            Self::Trust(uid) => write!(f, "{TRUST_PREFIX}{uid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f";

    #[test]
    fn an_offer_has_four_forms_of_names() {
        let ending = |text: &str| Ok(OfferName::Id(IdName::Ending(text.to_owned())));
        let rows = [
            (ID, Ok(OfferName::Id(IdName::Id(ID.parse().unwrap())))),
            ("6C7D8E9F", ending("6c7d8e9f")),
            ("8f0e-3a5b6c7d8e9f", ending("8f0e3a5b6c7d8e9f")),
            // Eight decimal digits are an ending, because a URN has at most six.
            ("10315012", ending("10315012")),
            ("00103150", ending("00103150")),
            ("103150", Ok(OfferName::School(Urn::new(103_150).unwrap()))),
            ("uid:2345", Ok(OfferName::Trust(Uid::new(2_345).unwrap()))),
        ];
        for (text, expected) in rows {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for wrong in ["", "c7d8e9f", "1234567", "uid:", "uid:x", "St Wilfreda", "0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f0"]
        {
            assert!(wrong.parse::<OfferName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_award_is_named_by_its_offer_and_strand() {
        let of_offer = |place| {
            let (offer, strand) = (OfferName::School(Urn::new(103_150).unwrap()), "credit".to_owned());
            Ok(AwardName::OfOffer { offer, strand, place })
        };
        assert_eq!("103150/credit".parse(), of_offer(None));
        assert_eq!("103150/credit/2".parse(), of_offer(Some(2)));
        assert_eq!("6c7d8e9f".parse(), Ok(AwardName::Id(IdName::Ending("6c7d8e9f".to_owned()))));
        for wrong in ["103150", "103150/", "103150/credit/0", "103150/credit/x", "103150/credit/2/3", "/credit"] {
            assert!(wrong.parse::<AwardName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_fund_is_named_by_its_strand_and_region() {
        let of_strand = |region| Ok(FundName::OfStrand { strand: "credit".to_owned(), region });
        assert_eq!("credit".parse(), of_strand(None));
        for region in ["credit/west-midlands", "credit/West Midlands", "credit/WEST-MIDLANDS"] {
            assert_eq!(region.parse(), of_strand(Some(Region::WestMidlands)), "{region}");
        }
        for wrong in ["", "/west-midlands", "credit/", "credit/atlantis"] {
            assert!(wrong.parse::<FundName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_ending_names_the_ids_that_end_with_it() {
        let id: Uuid = ID.parse().unwrap();
        let name = |text: &str| text.parse::<IdName>().unwrap();
        assert!(name(ID).names(id) && name("6c7d8e9f").names(id) && name("3a5b-6c7d8e9f").names(id));
        assert!(!name("0190a4c1").names(id), "the beginning is a clock, and names nothing");
        assert_eq!([ID, "6c7d8e9f", "3a5b6c7d8e9f"].map(|it| name(it).last_digits()), ["6c7d8e9f"; 3]);
    }
}
