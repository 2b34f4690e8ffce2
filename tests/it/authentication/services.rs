//! Services by their certificate, and TLS itself.

use prost::bytes::Bytes;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use super::issuer::{Authority, Guarded};
use super::{call, why};
use crate::harness::{Db, run};

const UNSPOKEN: (Code, String) = (Code::Unavailable, String::new());
const LIST: &str = "FundService/ListFunds";

/// What a call with this certificate comes to, [`UNSPOKEN`] where nothing of ours answered: over TLS 1.3 a client learns
/// with its first call that its certificate is refused, in its transport's words for a closed connection.
async fn called(guarded: &Guarded, method: &str, own: Option<(String, String)>) -> Result<(), (Code, String)> {
    let channel = guarded.connect(own).await.map_err(|_| UNSPOKEN)?;
    let status = call(&channel, method, Request::new(Bytes::new())).await.map(drop);
    status.map_err(|status| Some(why(&status)).filter(|(_, reason)| !reason.is_empty()).unwrap_or(UNSPOKEN))
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
        assert_eq!(called(&guarded, LIST, Some(forged)).await, Err(UNSPOKEN));
        // Without TLS there is no conversation either.
        let plain = Endpoint::from_shared(guarded.server.url()).unwrap().connect_lazy();
        let unspoken = call(&plain, LIST, Request::new(Bytes::new())).await.unwrap_err();
        assert_eq!(why(&unspoken).1, "", "nothing of ours answered: {unspoken}");
        let known = guarded.authority.service("spiffe://dfe.example/reconciliation");
        assert_eq!(called(&guarded, LIST, Some(known)).await, Ok(()), "and others are served on");
    });
}
