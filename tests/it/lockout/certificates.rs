//! A certificate that expires while its connection is open.

use std::time::Duration;

use tokio::time::timeout;
use tonic::{Code, Request};
use tsio::proto::ListFundsRequest;
use tsio::proto::WatchOffersRequest;
use tsio::proto::fund_service_client::FundServiceClient;
use tsio::proto::offer_service_client::OfferServiceClient;

use super::MAX_WAIT;
use crate::authentication::issuer::{Guarded, now};
use crate::authentication::refusal_of;
use crate::client::YEAR;
use crate::harness::{Db, run};
use crate::metrics::Scrape;

#[test]
fn a_certificate_that_expires_loses_its_watch_and_its_connection() {
    run(async {
        let guarded = Guarded::start(&Db::sqlite(), "[metrics]\nlisten = \"127.0.0.1:0\"\n");
        let last = now() + 5;
        let certificate =
            guarded.authority.service_until("spiffe://dfe.example/reconciliation", Duration::from_secs(last));
        let channel = guarded.connect(Some(certificate)).await.unwrap();
        let request = WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() };
        let mut watch = OfferServiceClient::new(channel.clone()).watch_offers(request).await.unwrap().into_inner();
        let ended = timeout(MAX_WAIT, async {
            loop {
                if let Err(status) = watch.message().await {
                    return status;
                }
            }
        });
        assert_eq!(refusal_of(&ended.await.unwrap()), (Code::Unauthenticated, "CERTIFICATE_EXPIRED".to_owned()));
        assert!(now() > last, "the certificate expired too early");
        // The connection is still open, but its calls are refused.
        let refused =
            FundServiceClient::new(channel.clone()).list_funds(Request::new(ListFundsRequest::default())).await;
        assert_eq!(refusal_of(&refused.unwrap_err()), (Code::Unauthenticated, "CERTIFICATE_EXPIRED".to_owned()));
        let closed = "tsio_connections_closed_total{reason=\"proof_ended\"}";
        let seen = Scrape::wait_until(&guarded.server, |it| it.value(closed) == 1.0).await;
        assert_eq!(seen.value("tsio_denied_total{reason=\"CERTIFICATE_EXPIRED\"}"), 1.0);
        Scrape::wait_until(&guarded.server, |it| it.value("tsio_connections{state=\"known\"}") == 0.0).await;
        guarded.server.wait_for_stderr(|log| log.contains("\"reason\":\"proof_ended\""));
    });
}
