//! The type of an offer that the withdrawal of an import affects.

use crate::domain::ids::{OfferId, Programme, Urn};

/// An open offer with schools that are not eligible after the withdrawal of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedOffer {
    /// The programme of the offer.
    pub programme: Programme,
    /// The offer.
    pub offer: OfferId,
    /// The schools of the offer that the remaining files do not make eligible.
    pub urns: Vec<Urn>,
}
