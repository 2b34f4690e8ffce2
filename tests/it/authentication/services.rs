//! Tests that a service is identified by its certificate, and that only calls over TLS are answered.

use prost::bytes::Bytes;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use super::issuer::{Authority, Guarded};
use super::{call, refusal_of};
use crate::harness::{Db, run};

/// The result of a call that the server has not answered.
const NO_ANSWER: (Code, String) = (Code::Unavailable, String::new());
const LIST: &str = "FundService/ListFunds";

/// Calls a method over TLS, with this certificate and its key if given. The error is the code and reason of a refusal, or
/// [`NO_ANSWER`]. With TLS 1.3, a client can connect even if the server refuses its certificate. Its first call fails,
/// because the server has closed the connection.
async fn call_with(
    guarded: &Guarded,
    method: &str,
    certificate_and_key: Option<(String, String)>,
) -> Result<(), (Code, String)> {
    let channel = guarded.connect(certificate_and_key).await.map_err(|_| NO_ANSWER)?;
    let outcome = call(&channel, method, Request::new(Bytes::new())).await.map(drop);
    outcome.map_err(|status| Some(refusal_of(&status)).filter(|(_, reason)| !reason.is_empty()).unwrap_or(NO_ANSWER))
}

#[test]
fn a_service_is_known_by_its_certificate() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let known = guarded.authority.service("spiffe://dfe.example/reconciliation");
        assert_eq!(call_with(&guarded, LIST, Some(known.clone())).await, Ok(()));
        let denied = call_with(&guarded, "OfferService/IdentifyOffers", Some(known)).await.unwrap_err();
        assert_eq!(denied, (Code::PermissionDenied, "ROLE_MISSING".to_owned()));
        let unknown = guarded.authority.service("spiffe://dfe.example/reconciliation/another");
        let unknown = call_with(&guarded, LIST, Some(unknown)).await.unwrap_err();
        assert_eq!(unknown, (Code::Unauthenticated, "CERTIFICATE_UNKNOWN".to_owned()));
        let nothing = call_with(&guarded, LIST, None).await.unwrap_err();
        assert_eq!(nothing, (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
    });
}

#[test]
fn a_certificate_of_another_authority_gets_no_answer() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "");
        let forged = Authority::new().service("spiffe://dfe.example/reconciliation");
        assert_eq!(call_with(&guarded, LIST, Some(forged)).await, Err(NO_ANSWER));
        // A connection without TLS gets no answer either.
        let plain = Endpoint::from_shared(guarded.server.url()).unwrap().connect_lazy();
        let status = call(&plain, LIST, Request::new(Bytes::new())).await.unwrap_err();
        assert_eq!(refusal_of(&status).1, "", "the server has answered: {status}");
        let known = guarded.authority.service("spiffe://dfe.example/reconciliation");
        assert_eq!(call_with(&guarded, LIST, Some(known)).await, Ok(()), "other callers are still served");
    });
}
