//! Services by their certificate, and TLS itself.

use prost::bytes::Bytes;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use super::issuer::{Authority, Guarded};
use super::{call, why};
use crate::harness::{Db, run};

const LIST: &str = "FundService/ListFunds";

/// What a call with this certificate comes to: over TLS 1.3 a client learns of its refusal with the first call.
async fn called(guarded: &Guarded, method: &str, own: Option<(String, String)>) -> Result<(), (Code, String)> {
    let channel = guarded.connect(own).await.map_err(|error| (Code::Unavailable, error.to_string()))?;
    call(&channel, method, Request::new(Bytes::new())).await.map(drop).map_err(|status| why(&status))
}

#[test]
fn a_service_is_known_by_its_certificate() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let known = guarded.authority.service("spiffe://dfe.example/reconciliation");
        assert_eq!(called(&guarded, LIST, Some(known.clone())).await, Ok(()));
        let denied = called(&guarded, "OfferService/IdentifyOffers", Some(known)).await.unwrap_err();
        assert_eq!(denied, (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
        let unknown = guarded.authority.service("spiffe://dfe.example/reconciliation/another");
        let unknown = called(&guarded, LIST, Some(unknown)).await.unwrap_err();
        assert_eq!(unknown, (Code::Unauthenticated, "CERTIFICATE_UNKNOWN".to_owned()));
        let nothing = called(&guarded, LIST, None).await.unwrap_err();
        assert_eq!(nothing, (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
    });
}

#[test]
fn a_certificate_of_another_authority_is_not_spoken_to() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let forged = Authority::new().service("spiffe://dfe.example/reconciliation");
        let (code, _) = called(&guarded, LIST, Some(forged)).await.unwrap_err();
        assert!([Code::Unavailable, Code::Unknown].contains(&code), "{code:?}");
        // Without TLS there is no conversation either.
        let plain = Endpoint::from_shared(guarded.server.url()).unwrap().connect_lazy();
        let status = call(&plain, LIST, Request::new(Bytes::new())).await.unwrap_err();
        assert!([Code::Unavailable, Code::Unknown].contains(&status.code()), "{status}");
        let known = guarded.authority.service("spiffe://dfe.example/reconciliation");
        assert_eq!(called(&guarded, LIST, Some(known)).await, Ok(()), "and others are served on");
    });
}
