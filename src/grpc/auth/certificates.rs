//! Authenticates services by their client certificate. TLS checked the certificate against the authority when the
//! connection began. For each request this module looks up the names of the certificate, and checks that the certificate
//! has not expired since.

use std::collections::HashMap;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Authenticated;
use super::call_time::CallTime;
use crate::domain::role::Caller;
use crate::domain::time::Micros;
use crate::grpc::auth::error::AuthError;
use crate::grpc::message::reason::ServiceReason;

/// A service that calls with a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The subject alternative name of its certificate: a URI or a DNS name.
    pub name: String,
    /// The id, roles and regions that the service has as a caller.
    pub caller: Caller,
}

/// The configured services.
#[derive(Debug)]
pub(super) struct Certificates {
    services: HashMap<String, Caller>,
}

impl Certificates {
    pub(super) fn new(services: Vec<Service>) -> Self {
        Self { services: services.into_iter().map(|it| (it.name, it.caller)).collect() }
    }

    /// Authenticates the service of the connection's certificate (DER).
    ///
    /// # Errors
    /// Reason `TOKEN_MISSING` without a certificate, because then only a token could tell who calls; `CERTIFICATE_UNKNOWN` if the
    /// certificate cannot be read, or no configured service has one of its names; `CERTIFICATE_EXPIRED` after the last second of
    /// the certificate.
    pub(super) fn authenticate(&self, certificate: Option<&[u8]>, time: CallTime) -> Result<Authenticated, AuthError> {
        let Some(certificate) = certificate else {
            return Err(AuthError::new(
                ServiceReason::TokenMissing,
                "metadata authorization must have a bearer token, got none",
            ));
        };
        let unknown =
            || AuthError::new(ServiceReason::CertificateUnknown, "the certificate names no service known here");
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| unknown())?;
        let caller =
            alternative_names(&certificate).iter().find_map(|name| self.services.get(name)).ok_or_else(unknown)?;
        // A certificate is valid to the end of its last second.
        let end_second = certificate.validity().not_after.timestamp().saturating_add(1);
        let expires_at = Micros(end_second.saturating_mul(1_000_000));
        if expires_at <= time.now.at {
            return Err(certificate_expired());
        }
        let deadline = time.deadline(expires_at);
        Ok(Authenticated { caller: caller.clone(), expires_at: Some(expires_at), deadline })
    }
}

/// Returns the error of an expired certificate.
pub(super) fn certificate_expired() -> AuthError {
    AuthError::new(ServiceReason::CertificateExpired, "the certificate has expired: connect again with another one")
}

/// Returns the alternative names of a certificate that are URIs or DNS names.
fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |it: &GeneralName<'_>| match it {
        GeneralName::URI(name) | GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}
