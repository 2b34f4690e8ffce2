//! The identity of a request that changes something: its request id, its method and its fingerprint. If all three are the
//! same as those of a stored request, the request is a repetition and gets the stored answer.

use sha2::{Digest as _, Sha256};

use crate::domain::hash::Hash;
use crate::domain::ids::{Actor, ApprovalId, RequestId};
use crate::store::requests::Stored;

/// The identity of a request, by which a repeat of it is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestIdentity {
    /// The request id, chosen by the caller.
    pub id: RequestId,
    /// The name of the method, which is stored.
    pub rpc: &'static str,
    /// SHA-256 of the method and of the content of the request.
    pub fingerprint: Hash,
}

impl RequestIdentity {
    /// The identity of a request with one encoded message.
    #[must_use]
    pub fn of_message(id: RequestId, rpc: &'static str, message: &[u8]) -> Self {
        let hasher = Sha256::new().chain_update(rpc).chain_update([0]).chain_update(message);
        Self { id, rpc, fingerprint: Hash(hasher.finalize().into()) }
    }

    /// The identity of a request about reference data. The fingerprint hashes the relevant parts of its message, each
    /// preceded by its length.
    #[must_use]
    pub fn of_parts(id: RequestId, rpc: &'static str, parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in [rpc.as_bytes()].iter().chain(parts) {
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part);
        }
        Self { id, rpc, fingerprint: Hash(hasher.finalize().into()) }
    }

    /// The row that stores the answer of this request. While a second person has to approve, the answer is empty and
    /// `approval` is set.
    pub(crate) fn stored(&self, actor: &Actor, answer: Vec<u8>, approval: Option<ApprovalId>) -> Stored {
        let Self { id, rpc, fingerprint } = *self;
        Stored { actor: actor.clone(), request: id, rpc: rpc.to_owned(), fingerprint, answer, approval }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(text: &str) -> Uuid {
        Uuid::parse_str(text).unwrap()
    }

    /// Requests of the fixture `tests/fixtures/03-f908fa8`, with the fingerprints that are stored there.
    #[test]
    fn fingerprints_equal_those_that_earlier_versions_stored() {
        let request = RequestId(id("caddf664-c214-491b-9c65-d97737279e6d"));
        let note = b"\n$caddf664-c214-491b-9c65-d97737279e6d\x12$01a2297f-570d-70d8-a58b-a625890d18b6\x1a\x05Paid.";
        let noted = RequestIdentity::of_message(request, "OfferService/NoteOffer", note);
        assert_eq!(noted.fingerprint.to_string(), "2c0ac3588b0446e2d388197c47765acf154883aac09c66badc09e1e29b772388");

        let import = id("01a2297f-5806-72cc-995c-1f8a68e0b23b");
        let parts: [&[u8]; 2] = [import.as_bytes(), b"one region only"];
        let withdrawn = RequestIdentity::of_parts(request, "RegisterService/WithdrawImport", &parts);
        let stored = "148a8c558772e9858d2263601a7b976561666dd4f4b71c3d20f08a0af19af06c";
        assert_eq!(withdrawn.fingerprint.to_string(), stored);
    }
}
