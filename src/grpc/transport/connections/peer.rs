//! Finds the connection of a request, and the certificate of the client.

use http::Extensions;
use tonic::transport::server::TlsConnectInfo;

use super::Peer;

/// Returns the connection of the request; `None` if the request did not come over a [`Connection`](super::Connection).
pub(in crate::grpc) fn peer(extensions: &Extensions) -> Option<&Peer> {
    let over_tls = || extensions.get::<TlsConnectInfo<Peer>>().map(TlsConnectInfo::get_ref);
    extensions.get::<Peer>().or_else(over_tls)
}

/// Returns the client's own certificate (DER); `None` if the client presented no certificate.
pub(in crate::grpc) fn peer_certificate(extensions: &Extensions) -> Option<Vec<u8>> {
    let certificates = extensions.get::<TlsConnectInfo<Peer>>().and_then(TlsConnectInfo::peer_certs)?;
    certificates.first().map(|it| it.to_vec())
}
