//! Requests for metrics: unfinished requests block no others, and other requests get no metrics.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{MAX_WAIT, TestServer};
use crate::harness::{Db, run};
use crate::metrics::{Scrape, metrics_address};

#[test]
fn unfinished_scrapes_do_not_block_others() {
    run(async {
        let test_server = TestServer::start(&Db::sqlite(), "");
        let address = metrics_address(&test_server.server);
        let mut unfinished = Vec::new();
        for sent in 0..140 {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: ").await.unwrap();
            unfinished.push(stream);
            if sent % 20 == 0 {
                let scraped = timeout(test_server.max_service_time, test_server.scrape()).await;
                assert!(scraped.is_ok(), "not answered after {sent} unfinished requests");
            }
        }
        test_server.check_served(&test_server.token("ann")).await;
        // Some connections are closed for newer ones, and the others after a time limit.
        let evicted = |it: &Scrape| it.value("tsio_scrapes_closed_total{reason=\"evicted\"}");
        let late = |it: &Scrape| it.value("tsio_scrapes_closed_total{reason=\"late\"}");
        let seen = Scrape::wait_until(&test_server.server, |it| evicted(it) + late(it) >= 140.0).await;
        assert!(evicted(&seen) > 0.0 && late(&seen) > 0.0);
        test_server.wait_for_log("a connection for metrics was closed");
    });
}

#[test]
fn only_a_request_for_metrics_gets_them() {
    run(async {
        let test_server = TestServer::start(&Db::sqlite(), "");
        let address = metrics_address(&test_server.server);
        let rows = [
            ("GET /metrics HTTP/1.1\r\nhost: here\r\n\r\n", "HTTP/1.1 200 OK\r\n", true),
            ("GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK\r\n", true),
            ("GET /metrics HTTP/1.1\r\nhost: here\r\nconnection: keep-alive\r\n\r\n", "HTTP/1.1 200 OK\r\n", true),
            ("POST /metrics HTTP/1.1\r\nhost: here\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", false),
            ("GET /metrics/ HTTP/1.1\r\nhost: here\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", false),
            ("GET /metrics?all HTTP/1.1\r\nhost: here\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", false),
            ("GET / HTTP/1.1\r\nhost: here\r\n\r\n", "HTTP/1.1 404 Not Found\r\n", false),
            ("what is this\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", false),
        ];
        for (request, begins, is_scrape) in rows {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            // The client closes its sending side and still reads; the server answers once and closes.
            stream.shutdown().await.unwrap();
            let mut answer = String::new();
            timeout(MAX_WAIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
            assert!(answer.starts_with(begins), "{request}: {answer}");
            assert_eq!(answer.matches("\ntsio_writer_waiting ").count(), usize::from(is_scrape), "{request}: {answer}");
        }
    });
}
