//! Services are identified by their certificates, and only TLS connections are served.

use prost::bytes::Bytes;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use super::issuer::{Authority, Guarded};
use super::{call, refusal_of};
use crate::harness::{Db, run};

/// The result of a call that the server has not answered.
const NO_ANSWER: (Code, String) = (Code::Unavailable, String::new());
const LIST: &str = "FundService/ListFunds";

/// Calls a method with this certificate, and returns the code and reason of a refusal, or [`NO_ANSWER`]. Over TLS 1.3 a
/// client notices only at its first call that its certificate was refused, because the server then closes the
/// connection.
async fn call_with(guarded: &Guarded, method: &str, own: Option<(String, String)>) -> Result<(), (Code, String)> {
    let channel = guarded.connect(own).await.map_err(|_| NO_ANSWER)?;
    let status = call(&channel, method, Request::new(Bytes::new())).await.map(drop);
    status.map_err(|status| Some(refusal_of(&status)).filter(|(_, reason)| !reason.is_empty()).unwrap_or(NO_ANSWER))
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
