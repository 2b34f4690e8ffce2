//! The ids of accounts that nobody has to store first: each process computes the same.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::ids::{AccountId, OfferId, Programme};
use crate::terms::StrandId;

impl AccountId {
    /// The account of a fund that the terms bring with them: the same id in every process, without being stored first.
    #[must_use]
    pub fn of_programme(programme: &Programme, strand: &StrandId) -> Self {
        let hash = Sha256::new()
            .chain_update(b"tsio fund v1\n")
            .chain_update(programme.as_str())
            .chain_update(b"\n")
            .chain_update(strand.as_str())
            .finalize();
        Self(custom(&hash, [0; 6]))
    }

    /// The cap account of an offer for a strand. It keeps the offer's time in front, so that accounts lie in the order
    /// their offers were made.
    #[must_use]
    pub fn of_cap(offer: OfferId, strand: &StrandId) -> Self {
        let hash = Sha256::new()
            .chain_update(b"tsio cap v1\n")
            .chain_update(offer.0.as_bytes())
            .chain_update(strand.as_str())
            .finalize();
        let mut time = [0_u8; 6];
        time.copy_from_slice(offer.0.as_bytes().first_chunk::<6>().unwrap_or(&[0; 6]));
        Self(custom(&hash, time))
    }
}

/// A UUID of our own making (version 8): a time in front, or none, and a hash.
fn custom(hash: &[u8], time: [u8; 6]) -> Uuid {
    let mut bytes = [0_u8; 16];
    for (to, from) in bytes.iter_mut().zip(hash) {
        *to = *from;
    }
    if time != [0; 6] {
        for (to, from) in bytes.iter_mut().zip(time) {
            *to = from;
        }
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
