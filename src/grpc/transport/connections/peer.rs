//! The connection that a call came over.

use http::Extensions;
use tonic::transport::server::TlsConnectInfo;

use super::Peer;

/// Where the call came from.
pub(in crate::grpc) fn peer(extensions: &Extensions) -> Option<&Peer> {
    let over_tls = || extensions.get::<TlsConnectInfo<Peer>>().map(TlsConnectInfo::get_ref);
    extensions.get::<Peer>().or_else(over_tls)
}

/// The caller's own certificate, DER, where they showed one.
pub(in crate::grpc) fn peer_certificate(extensions: &Extensions) -> Option<Vec<u8>> {
    let certificates = extensions.get::<TlsConnectInfo<Peer>>().and_then(TlsConnectInfo::peer_certs)?;
    certificates.first().map(|own| own.to_vec())
}
