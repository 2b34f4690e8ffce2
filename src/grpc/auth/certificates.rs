//! Services by the certificate they call with. TLS has checked it against the authority when the connection began; here its
//! names are looked up, and at each call whether it still holds, for a connection may outlive it.

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
    /// Whom it acts as.
    pub caller: Caller,
}

/// The services known.
#[derive(Debug)]
pub(super) struct Certificates {
    services: HashMap<String, Caller>,
}

impl Certificates {
    pub(super) fn new(services: Vec<Service>) -> Self {
        Self { services: services.into_iter().map(|it| (it.name, it.caller)).collect() }
    }

    /// The service behind the certificate of the connection, DER.
    ///
    /// # Errors
    /// Reason `TOKEN_MISSING` where there is none, `CERTIFICATE_UNKNOWN` where it names no service known,
    /// `CERTIFICATE_EXPIRED` past its last second.
    pub(super) fn caller(&self, own: Option<&[u8]>, time: CallTime) -> Result<Authenticated, AuthError> {
        let Some(own) = own else {
            return Err(AuthError::new(
                ServiceReason::TokenMissing,
                "metadata authorization must have a bearer token, got none",
            ));
        };
        let unknown =
            || AuthError::new(ServiceReason::CertificateUnknown, "the certificate names no service known here");
        let (_, own) = X509Certificate::from_der(own).map_err(|_| unknown())?;
        let caller = names(&own).iter().find_map(|name| self.services.get(name)).ok_or_else(unknown)?;
        // It holds to the end of its last second.
        let seconds = own.validity().not_after.timestamp().saturating_add(1);
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
