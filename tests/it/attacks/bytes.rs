//! Connections that are not HTTP/2: random bytes, and handshakes that are never finished.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{assert_unharmed, noise, random, random_phase};
use crate::harness::{Db, Server, run, run_within};

/// The HTTP/2 connection preface, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Longer than the server waits for a connection to authenticate.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Returns whether the server closes this connection within `wait` after its last byte.
fn is_closed(stream: &mut TcpStream, wait: Duration) -> bool {
    stream.set_read_timeout(Some(wait)).unwrap();
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => return false,
            Err(_) => return true,
        }
    }
}

#[test]
fn random_bytes_end_in_a_closed_connection() {
    run_within(random_phase() + Duration::from_secs(120), async {
        let server = Server::start(&Db::sqlite());
        let (mut random, started, mut attempts) = (random(), Instant::now(), 0);
        while started.elapsed() < random_phase() || attempts == 0 {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            let start = if random.bool() { PREFACE } else { b"" };
            // A write fails if the server has closed the connection already.
            let _ = stream.write_all(start).and_then(|()| stream.write_all(&noise(&mut random, 4_096)));
            let _ = stream.shutdown(Shutdown::Write);
            assert!(is_closed(&mut stream, MAX_WAIT), "the server keeps a connection that is not HTTP/2");
            attempts += 1;
        }
        assert_unharmed(&server).await;
    });
}

/// Sends `start` and then zeros, one byte at a time. Returns whether the server closes the connection.
fn drip(mut stream: TcpStream, start: &'static [u8]) -> bool {
    let started = Instant::now();
    let mut remaining = start.iter().chain(std::iter::repeat(&0));
    while started.elapsed() < MAX_WAIT {
        let byte = [*remaining.next().unwrap()];
        if stream.write_all(&byte).is_err() || is_closed(&mut stream, Duration::from_millis(500)) {
            return true;
        }
    }
    false
}

#[test]
fn slow_handshakes_are_closed_and_others_are_served() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tsio.toml");
        fs::write(&config, "development = true\n[limits]\nconnections = 3\n").unwrap();
        let server = Server::start_with(&Db::sqlite(), &["--config", &config.display().to_string()]);
        // Three connections: the server has two slots for unauthenticated connections, half of all.
        let dripping = [&b""[..], PREFACE, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"];
        let dripping = dripping.map(|start| (TcpStream::connect(server.address()).unwrap(), start));
        let dripping = dripping.map(|(stream, start)| thread::spawn(move || drip(stream, start)));
        assert_unharmed(&server).await;
        for it in dripping {
            assert!(it.join().unwrap(), "the server keeps an unauthenticated connection");
        }
    });
}
