//! Computes account ids from names. Each process computes the same id, so the id need not be stored first.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::ids::{AccountId, OfferId, Programme};
use crate::terms::StrandId;

impl AccountId {
    /// The id of a fund that the terms of a programme define.
    #[must_use]
    pub fn of_programme(programme: &Programme, strand: &StrandId) -> Self {
        let hash = Sha256::new()
            .chain_update(b"tsio fund v1\n")
            .chain_update(programme.as_str())
            .chain_update(b"\n")
            .chain_update(strand.as_str())
            .finalize();
        Self(custom_uuid(&hash, [0; 6]))
    }

    /// The id of the cap account of an offer for a strand. It begins with the time of the offer's id, so that accounts
    /// are stored in the order in which their offers were made.
    #[must_use]
    pub fn of_cap(offer: OfferId, strand: &StrandId) -> Self {
        let hash = Sha256::new()
            .chain_update(b"tsio cap v1\n")
            .chain_update(offer.0.as_bytes())
            .chain_update(strand.as_str())
            .finalize();
        let mut time = [0_u8; 6];
        time.copy_from_slice(offer.0.as_bytes().first_chunk::<6>().unwrap_or(&[0; 6]));
        Self(custom_uuid(&hash, time))
    }
}

/// Makes a custom UUID (version 8) from a hash. The first six bytes are replaced by `time`, unless `time` is zero.
fn custom_uuid(hash: &[u8], time: [u8; 6]) -> Uuid {
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
