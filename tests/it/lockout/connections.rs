//! A thousand idle connections, also on a server with few file descriptors.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{TestServer, during, list_funds, size};
use crate::harness::{Db, TSIO, run};

/// The maximum number of concurrent attempts to connect.
const MAX_CONCURRENT: usize = 50;

/// Opens a connection, checks health over it once, and keeps it: its pings are answered.
async fn idle(url: String) -> Option<Channel> {
    let channel = Endpoint::from_shared(url).unwrap().connect().await.ok()?;
    // The server may close the connection for a newer one before it answers.
    let _ = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
    Some(channel)
}

async fn open_a_thousand(test_server: &TestServer) -> Vec<Channel> {
    let (total, mut opened) = (size("TSIO_IDLE_CONNECTIONS", 1_000), 0);
    let (mut kept, mut opening) = (Vec::new(), JoinSet::new());
    while opened < total || !opening.is_empty() {
        while opened < total && opening.len() < MAX_CONCURRENT {
            opening.spawn(idle(test_server.server.url()));
            opened += 1;
        }
        kept.extend(opening.join_next().await.unwrap().unwrap());
    }
    kept
}

#[test]
fn a_thousand_idle_connections_lock_out_no_caller() {
    run(async {
        let test_server = TestServer::start(&Db::sqlite(), "");
        let token = test_server.token("ann");
        let existing = test_server.connect().await.unwrap();
        list_funds(&existing, &token).await.unwrap();
        let kept = test_server.check_served_during(&token, open_a_thousand(&test_server)).await;
        // An authenticated connection stays open.
        list_funds(&existing, &token).await.unwrap();
        let seen = test_server.scrape().await;
        assert!(seen.value("tsio_connections{state=\"unknown\"}") <= 100.0, "as many as one address may have");
        assert!(seen.value("tsio_connections{state=\"known\"}") >= 1.0);
        assert!(seen.value("tsio_connections_closed_total{reason=\"address_limit\"}") > 0.0);
        assert_eq!(seen.value("tsio_connections_max"), 800.0);
        test_server.wait_for_log("address_limit");
        test_server.wait_for_log("left_out");
        assert!(test_server.peak_memory() < 200, "{} MiB", test_server.peak_memory());
        drop(kept);
    });
}

#[test]
fn few_descriptors_lock_out_no_caller() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("few");
        fs::write(&program, format!("#!/bin/sh\nulimit -n 72\nexec {TSIO} \"$@\"\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let test_server = TestServer::start_by(&program, &Db::sqlite(), "");
        test_server.wait_for_log("fewer connections than configured");
        let token = test_server.token("ann");
        let kept =
            during(async || test_server.check_served_with_retries(&token).await, open_a_thousand(&test_server)).await;
        let seen = test_server.scrape().await;
        assert_eq!(seen.value("tsio_connections_max"), 16.0);
        assert!(seen.value("tsio_connections_closed_total{reason=\"address_limit\"}") > 0.0);
        drop(kept);
    });
}

#[test]
fn without_descriptors_an_unauthenticated_connection_is_closed() {
    run(async {
        let test_server = TestServer::start(&Db::sqlite(), "");
        let token = test_server.token("ann");
        test_server.check_served(&token).await;
        let pid = test_server.server.pid();
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() + 6;
        let limit = format!("--nofile={descriptors}:{descriptors}");
        let limited = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status().unwrap();
        assert!(limited.success(), "{limited}");
        let idle: Vec<_> = (0..40).map(|_| TcpStream::connect(test_server.server.address()).unwrap()).collect();
        for _ in 0..10 {
            test_server.check_served_with_retries(&token).await;
        }
        let seen = test_server.scrape().await;
        let failed = seen.value("tsio_accept_errors_total{kind=\"descriptors\"}");
        assert!((1.0..1_000.0).contains(&failed), "{failed}: it waits, and does not spin");
        assert!(seen.value("tsio_connections_closed_total{reason=\"descriptors\"}") > 0.0);
        test_server.wait_for_log("a connection was not accepted");
        drop(idle);
    });
}
