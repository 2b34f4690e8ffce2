//! Requests for metrics that are never finished.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Guard;
use crate::harness::{Db, run};
use crate::metrics::{Scrape, scraped_at};

#[test]
fn half_sent_scrapes_block_nobody() {
    run(async {
        let guard = Guard::start(&Db::sqlite(), "");
        let address = scraped_at(&guard.server);
        let mut half = Vec::new();
        for sent in 0..140 {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: ").await.unwrap();
            half.push(stream);
            if sent % 20 == 0 {
                let scraped = timeout(guard.served, guard.scrape()).await;
                assert!(scraped.is_ok(), "not answered beside {sent} that are not finished");
            }
        }
        guard.serves(&guard.token("ann")).await;
        // Those that were closed for newer ones, and in a while the others, which are too late.
        let evicted = |it: &Scrape| it.value("tsio_scrapes_closed_total{reason=\"evicted\"}");
        let late = |it: &Scrape| it.value("tsio_scrapes_closed_total{reason=\"late\"}");
        let seen = Scrape::until(&guard.server, |it| evicted(it) + late(it) >= 140.0).await;
        assert!(evicted(&seen) > 0.0 && late(&seen) > 0.0);
        guard.logs("a connection for metrics was closed");
    });
}
