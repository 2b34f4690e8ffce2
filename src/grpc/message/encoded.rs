//! A response that is encoded once and sent to many clients.

use prost::bytes::{Buf, BufMut, Bytes};
use prost::encoding::{DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

/// The bytes of an encoded message. Copies share them.
///
/// `build.rs` uses this type as the response of `WatchOffers` in the server's trait, in place of the generated message, so that a change
/// is encoded once for all of its watchers.
#[derive(Debug, Clone, Default)]
pub struct EncodedMessage(Bytes);

impl EncodedMessage {
    /// Encodes a message.
    pub(in crate::grpc) fn of(message: &impl Message) -> Self {
        Self(message.encode_to_vec().into())
    }
}

/// Encoding copies the bytes. Decoding ignores every field: only clients decode responses, into the generated message.
impl Message for EncodedMessage {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{WatchCheckpoint, WatchOffersResponse, watch_offers_response::Update};

    #[test]
    fn an_encoded_message_is_sent_as_the_message_would_be() {
        let message = WatchOffersResponse {
            sequence: 1_207,
            resume_token: "2021-22.1207".to_owned(),
            update: Some(Update::Checkpoint(WatchCheckpoint {})),
        };
        let encoded = EncodedMessage::of(&message);
        assert_eq!(encoded.encoded_len(), message.encoded_len());
        assert_eq!(encoded.encode_to_vec(), message.encode_to_vec());
    }
}
