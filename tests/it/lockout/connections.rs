//! A thousand idle connections, also on a server with few file descriptors.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{Guard, during, listed, size};
use crate::harness::{Db, TSIO, run};

/// Attempts under way at the same time.
const AT_ONCE: usize = 50;

/// Opens a connection, checks health over it once, and keeps it: its pings are answered.
async fn idle(url: String) -> Option<Channel> {
    let channel = Endpoint::from_shared(url).unwrap().connect().await.ok()?;
    // It may be closed for a newer one before it is answered.
    let _ = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
    Some(channel)
}

async fn open_a_thousand(guard: &Guard) -> Vec<Channel> {
    let (all, mut begun) = (size("TSIO_IDLE_CONNECTIONS", 1_000), 0);
    let (mut kept, mut opening) = (Vec::new(), JoinSet::new());
    while begun < all || !opening.is_empty() {
        while begun < all && opening.len() < AT_ONCE {
            opening.spawn(idle(guard.server.url()));
            begun += 1;
        }
        kept.extend(opening.join_next().await.unwrap().unwrap());
    }
    kept
}

#[test]
fn a_thousand_idle_connections_lock_nobody_out() {
    run(async {
        let guard = Guard::start(&Db::sqlite(), "");
        let token = guard.token("ann");
        let known = guard.connect().await.unwrap();
        listed(&known, &token).await.unwrap();
        let kept = guard.serves_during(&token, open_a_thousand(&guard)).await;
        // An authenticated connection stays open.
        listed(&known, &token).await.unwrap();
        let seen = guard.scrape().await;
        assert!(seen.value("tsio_connections{state=\"unknown\"}") <= 100.0, "as many as one address may have");
        assert!(seen.value("tsio_connections{state=\"known\"}") >= 1.0);
        assert!(seen.value("tsio_connections_closed_total{reason=\"address_limit\"}") > 0.0);
        assert_eq!(seen.value("tsio_connections_max"), 800.0);
        guard.logs("address_limit");
        guard.logs("left_out");
        assert!(guard.peak() < 200, "{} MiB", guard.peak());
        drop(kept);
    });
}

#[test]
fn few_descriptors_lock_nobody_out() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("few");
        fs::write(&program, format!("#!/bin/sh\nulimit -n 64\nexec {TSIO} \"$@\"\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let guard = Guard::start_by(&program, &Db::sqlite(), "");
        guard.logs("fewer connections than configured");
        let token = guard.token("ann");
        let kept = during(async || guard.serves_with_retries(&token).await, open_a_thousand(&guard)).await;
        let seen = guard.scrape().await;
        assert_eq!(seen.value("tsio_connections_max"), 16.0);
        assert!(seen.value("tsio_connections_closed_total{reason=\"address_limit\"}") > 0.0);
        drop(kept);
    });
}

#[test]
fn without_descriptors_an_unauthenticated_connection_is_closed() {
    run(async {
        let guard = Guard::start(&Db::sqlite(), "");
        let token = guard.token("ann");
        guard.serves(&token).await;
        let pid = guard.server.pid();
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() + 6;
        let limit = format!("--nofile={descriptors}:{descriptors}");
        let set = Command::new("prlimit").args(["--pid", &pid.to_string(), &limit]).status().unwrap();
        assert!(set.success(), "{set}");
        let idle: Vec<_> = (0..40).map(|_| TcpStream::connect(guard.server.address()).unwrap()).collect();
        for _ in 0..10 {
            guard.serves_with_retries(&token).await;
        }
        let seen = guard.scrape().await;
        let failed = seen.value("tsio_accept_errors_total{kind=\"descriptors\"}");
        assert!((1.0..1_000.0).contains(&failed), "{failed}: it waits, and does not spin");
        assert!(seen.value("tsio_connections_closed_total{reason=\"descriptors\"}") > 0.0);
        guard.logs("a connection was not accepted");
        drop(idle);
    });
}
