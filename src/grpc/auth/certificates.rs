//! Authenticates services by their client certificate. TLS has checked it against the authority when the connection
//! began. Each request looks up the names of the certificate here, and checks that it has not expired since.

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
    /// The caller that it acts as.
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
    /// Reason `TOKEN_MISSING` without a certificate, `CERTIFICATE_UNKNOWN` if no configured service has one of its names,
    /// `CERTIFICATE_EXPIRED` after its last second.
    pub(super) fn caller(&self, certificate: Option<&[u8]>, time: CallTime) -> Result<Authenticated, AuthError> {
        let Some(certificate) = certificate else {
            return Err(AuthError::new(
                ServiceReason::TokenMissing,
                "metadata authorization must have a bearer token, got none",
            ));
        };
        let unknown =
            || AuthError::new(ServiceReason::CertificateUnknown, "the certificate names no service known here");
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| unknown())?;
        let caller = names(&certificate).iter().find_map(|name| self.services.get(name)).ok_or_else(unknown)?;
        // A certificate is valid to the end of its last second.
        let seconds = certificate.validity().not_after.timestamp().saturating_add(1);
        let until = Micros(seconds.saturating_mul(1_000_000));
        if until <= time.now.at {
            return Err(expired());
        }
        let ends = time.deadline(until);
        Ok(Authenticated { caller: caller.clone(), until: Some(until), ends })
    }
}

pub(super) fn expired() -> AuthError {
    AuthError::new(ServiceReason::CertificateExpired, "the certificate has expired: connect again with another one")
}

/// The alternative names of a certificate that are URIs or DNS names.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(alternative)) = certificate.subject_alternative_name() else { return Vec::new() };
    let name = |it: &GeneralName<'_>| match it {
        GeneralName::URI(name) | GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    alternative.value.general_names.iter().filter_map(name).collect()
}
