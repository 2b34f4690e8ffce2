//! Services by the certificate they call with. TLS has held it to the authority already; here its names are looked up.

use std::collections::HashMap;

use http::Extensions;
use tonic::transport::CertificateDer;
use tonic::transport::server::TlsConnectInfo;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{LetIn, Unknown};
use crate::domain::role::Caller;
use crate::grpc::connections::Peer;

/// A service that calls with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The subject alternative name of its certificate: a URI or a DNS name.
    pub name: String,
    /// Whom it acts as.
    pub caller: Caller,
}

/// The services known.
#[derive(Debug)]
pub(super) struct Certificates(HashMap<String, Caller>);

impl Certificates {
    pub(super) fn new(services: Vec<Service>) -> Self {
        Self(services.into_iter().map(|it| (it.name, it.caller)).collect())
    }

    /// The service behind the connection's certificate.
    ///
    /// # Errors
    /// Reason `TOKEN_MISSING` where there is none, `CERTIFICATE_UNKNOWN` where it names no service known.
    pub(super) fn caller(&self, connection: &Extensions) -> Result<LetIn, Unknown> {
        let certificates = connection.get::<TlsConnectInfo<Peer>>().and_then(TlsConnectInfo::peer_certs);
        let Some(own) = certificates.as_ref().and_then(|chain| chain.first()) else {
            return Err(Unknown::new("TOKEN_MISSING", "a bearer token in metadata authorization is wanted"));
        };
        let names = names(own);
        let known = names.iter().find_map(|name| self.0.get(name));
        let unknown = || Unknown::new("CERTIFICATE_UNKNOWN", "the certificate names no service known here");
        known.map(|caller| LetIn { caller: caller.clone(), until: None, ends: None }).ok_or_else(unknown)
    }
}

/// The alternative names of a certificate that are URIs or DNS names.
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |it: &GeneralName<'_>| match it {
        GeneralName::URI(name) | GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    alternative.value.general_names.iter().filter_map(name).collect()
}
