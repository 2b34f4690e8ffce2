//! Limits for each authenticated caller, so that one caller cannot use up the capacity for others.

use std::time::Instant;

use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tsio::proto::offer_service_client::OfferServiceClient;
use tsio::proto::{WatchOffersRequest, WatchOffersResponse};

use super::{MAX_WAIT, TestServer, list_funds};
use crate::authentication::refusal_of;
use crate::client::YEAR;
use crate::harness::{Db, run};
use crate::metrics::Scrape;

async fn watch(channel: &Channel, token: &str) -> Result<Streaming<WatchOffersResponse>, Status> {
    let mut request = Request::new(WatchOffersRequest { programme: YEAR.to_owned(), ..Default::default() });
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let mut stream = OfferServiceClient::new(channel.clone()).watch_offers(request).await?.into_inner();
    stream.message().await?;
    Ok(stream)
}

#[test]
fn a_connection_without_a_call_in_flight_is_closed() {
    run(async {
        let test_server = TestServer::start(&Db::sqlite(), "[limits]\nidle_seconds = 2\n");
        let [ann, ben] = ["ann", "ben"].map(|it| test_server.token(it));
        let (idle, busy) = (test_server.connect().await.unwrap(), test_server.connect().await.unwrap());
        list_funds(&idle, &ann).await.unwrap();
        let mut watching = watch(&busy, &ben).await.unwrap();
        let known = |it: &Scrape| it.value("tsio_connections{state=\"known\"}");
        assert_eq!(known(&test_server.scrape().await), 2.0);
        let closed = "tsio_connections_closed_total{reason=\"idle\"}";
        let started = Instant::now();
        loop {
            assert!(started.elapsed() < MAX_WAIT / 4, "{}", test_server.scrape().await.0);
            // Health checks keep no connection open. After the close they use a new one, which is unauthenticated.
            let _ = HealthClient::new(idle.clone()).check(HealthCheckRequest::default()).await;
            if test_server.scrape().await.value(closed) == 1.0 {
                break;
            }
        }
        assert_eq!(known(&test_server.scrape().await), 1.0);
        assert!(watching.message().await.unwrap().is_some(), "a watch is a call in flight");
        test_server.wait_for_log("\"idle\"");
        list_funds(&idle, &ann).await.unwrap();
    });
}

#[test]
fn the_calls_and_connections_of_one_caller_are_limited() {
    run(async {
        let test_server =
            TestServer::start(&Db::sqlite(), "[limits]\ncalls_per_caller = 3\nconnections_per_caller = 2\n");
        let [ann, ben] = ["ann", "ben"].map(|it| test_server.token(it));
        let [first, second, third] =
            [test_server.connect().await, test_server.connect().await, test_server.connect().await];
        let [first, second, third] = [first.unwrap(), second.unwrap(), third.unwrap()];
        let held = (watch(&first, &ann).await.unwrap(), watch(&second, &ann).await.unwrap());
        let refused = refusal_of(&list_funds(&third, &ann).await.unwrap_err());
        assert_eq!(refused, (Code::ResourceExhausted, "CONNECTIONS_EXCEEDED".to_owned()));
        let _another = watch(&first, &ann).await.unwrap();
        let refused = refusal_of(&list_funds(&first, &ann).await.unwrap_err());
        assert_eq!(refused, (Code::ResourceExhausted, "CALLS_EXCEEDED".to_owned()));
        list_funds(&third, &ben).await.unwrap();
        let seen = test_server.scrape().await;
        for reason in ["CALLS_EXCEEDED", "CONNECTIONS_EXCEEDED"] {
            assert_eq!(seen.value(&format!("tsio_denied_total{{reason=\"{reason}\"}}")), 1.0, "{reason}");
        }
        drop(held);
    });
}

/// A new caller may send twice the rate at once.
#[test]
fn the_call_rate_of_one_caller_is_limited() {
    run(async {
        let test_server = TestServer::start(&Db::sqlite(), "[limits]\ncalls_per_second = 1\n");
        let [ann, ben] = ["ann", "ben"].map(|it| test_server.token(it));
        let channel = test_server.connect().await.unwrap();
        let (started, mut accepted) = (Instant::now(), 0);
        let refused = loop {
            match list_funds(&channel, &ann).await {
                Ok(()) => accepted += 1,
                Err(status) => break refusal_of(&status),
            }
            assert!(started.elapsed() < MAX_WAIT, "{accepted} calls were accepted");
        };
        assert_eq!(refused, (Code::ResourceExhausted, "RATE_EXCEEDED".to_owned()));
        assert!(accepted >= 2, "only {accepted} calls were accepted before the first refusal");
        list_funds(&channel, &ben).await.unwrap();
        assert_eq!(test_server.scrape().await.value("tsio_denied_total{reason=\"RATE_EXCEEDED\"}"), 1.0);
    });
}
