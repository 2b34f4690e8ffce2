//! Thousands of health watches without a credential, and one with a token.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Request, Status, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::{MAX_WAIT, TestServer, size};
use crate::authentication::issuer::{claims, now};
use crate::authentication::refusal_of;
use crate::harness::{Db, run};

const CONNECTIONS: usize = 20;
/// The number of concurrent calls. More would take CPU time from the other callers, which no limit of watches prevents.
const AT_ONCE: usize = 500;
/// The documented limit of open watches without a credential.
const STREAMS: usize = 64;

async fn watch(channel: Channel, token: Option<&str>) -> Result<Streaming<HealthCheckResponse>, Status> {
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let mut stream = HealthClient::new(channel).watch(request).await?.into_inner();
    stream.message().await?;
    Ok(stream)
}

/// The status that a watch ends with.
async fn ended(mut stream: Streaming<HealthCheckResponse>) -> Status {
    loop {
        if let Err(status) = stream.message().await {
            return status;
        }
    }
}

#[test]
fn health_watches_without_a_token_are_limited() {
    run(async {
        let test_server = TestServer::start(&Db::sqlite(), "");
        let token = test_server.token("ann");
        let before = test_server.peak_memory();
        let attack = async {
            let (mut opening, mut ended) = (JoinSet::new(), Vec::new());
            for _ in 0..CONNECTIONS {
                let channel = test_server.connect().await.unwrap();
                for _ in 0..size("TSIO_HEALTH_STREAMS", 4_000) / CONNECTIONS {
                    if opening.len() >= AT_ONCE {
                        ended.extend(opening.join_next().await.map(Result::unwrap));
                    }
                    let channel = channel.clone();
                    opening.spawn(async move { watch(channel, None).await });
                }
            }
            ended.extend(opening.join_all().await);
            ended
        };
        let ended = test_server.check_served_during(&token, attack).await;
        let refused = |it: &&Result<_, Status>| {
            it.as_ref().is_err_and(|it| refusal_of(it) == (Code::ResourceExhausted, "HEALTH_EXCEEDED".to_owned()))
        };
        let open = ended.iter().filter(|it| it.is_ok()).count();
        assert!((1..=STREAMS).contains(&open), "{open} are open");
        assert!(ended.iter().filter(refused).count() > ended.len() / 2, "the other watches get another reason");
        // A health check is still answered.
        let probe = HealthClient::new(test_server.connect().await.unwrap()).check(HealthCheckRequest::default()).await;
        assert!(probe.is_ok(), "{probe:?}");
        let seen = test_server.scrape().await;
        assert!(seen.value("tsio_health_streams") <= 64.0);
        assert!(seen.value("tsio_health_refused_total") > 0.0);
        test_server.wait_for_log("health call without a credential was refused");
        assert!(test_server.peak_memory() < before + 100, "{} MiB, {before} before", test_server.peak_memory());
    });
}

/// A health watch with a token lasts until the token expires. One with an invalid token is refused; one without a token
/// has a short time limit.
#[test]
fn a_health_watch_with_a_token_lasts_as_long_as_the_token() {
    run(async {
        let test_server = TestServer::start(&Db::sqlite(), "");
        let mut short = claims("ann", &["reader"], &["*"]);
        short["exp"] = json!(now() + 1);
        // The server allows clocks to differ by 30 seconds. That is longer than a watch without a token may last.
        let channel = test_server.connect().await.unwrap();
        let stream = watch(channel.clone(), Some(&test_server.key.sign(&short))).await.unwrap();
        // The watch without a token uses the same connection, because a connection of its own would be closed sooner.
        let (started, anonymous) = (Instant::now(), watch(channel, None).await.unwrap());
        let (expired, timed_out) =
            timeout(MAX_WAIT, async { tokio::join!(ended(stream), ended(anonymous)) }).await.unwrap();
        assert_eq!(refusal_of(&expired), (Code::Unauthenticated, "TOKEN_EXPIRED".to_owned()));
        assert!(now() >= short["exp"].as_u64().unwrap() + 29);
        assert_eq!(refusal_of(&timed_out), (Code::DeadlineExceeded, "HEALTH_WATCH_ENDED".to_owned()));
        assert!(started.elapsed() >= Duration::from_secs(30));
        let refused = watch(test_server.connect().await.unwrap(), Some("nothing")).await.unwrap_err();
        assert_eq!(refusal_of(&refused), (Code::Unauthenticated, "TOKEN_MALFORMED".to_owned()));
    });
}
