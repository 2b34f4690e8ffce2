//! Offers that would be left without the ground they were made on.

use crate::domain::ids::{OfferId, Programme, Urn};

/// An open offer that a withdrawal leaves without its ground.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffectedOffer {
    /// Its programme.
    pub programme: Programme,
    /// The offer.
    pub offer: OfferId,
    /// Its schools that are not eligible by the files that remain.
    pub urns: Vec<Urn>,
}
