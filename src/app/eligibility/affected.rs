//! Offers whose schools would no longer be eligible after a withdrawal.

use crate::domain::ids::{OfferId, Programme, Urn};

/// An open offer with schools that are not eligible after a withdrawal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedOffer {
    /// Its programme.
    pub programme: Programme,
    /// The offer.
    pub offer: OfferId,
    /// Its schools that are not eligible by the remaining files.
    pub urns: Vec<Urn>,
}
