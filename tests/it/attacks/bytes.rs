//! What is no conversation at all: random bytes, and conversations that are never finished.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{noise, random, seconds, unharmed};
use crate::harness::{Db, Server, run, run_within};

/// What an HTTP/2 client says first, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Longer than the server waits for somebody to be let in.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether the server has ended this connection, as it seems after so long a wait for a byte of it.
fn ended(stream: &mut TcpStream, wait: Duration) -> bool {
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
    run_within(seconds() + Duration::from_secs(120), async {
        let server = Server::start(&Db::sqlite());
        let (mut random, begun, mut tried) = (random(), Instant::now(), 0);
        while begun.elapsed() < seconds() || tried == 0 {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            let spoken = if random.bool() { PREFACE } else { b"" };
            // It may be hung up on meanwhile.
            let _ = stream.write_all(spoken).and_then(|()| stream.write_all(&noise(&mut random, 4_096)));
            let _ = stream.shutdown(Shutdown::Write);
            assert!(ended(&mut stream, PATIENCE), "the server holds on to what is no conversation");
            tried += 1;
        }
        unharmed(&server).await;
    });
}

/// A byte now and then, of a conversation that is begun well and never gets anywhere.
fn drip(mut stream: TcpStream, said: &'static [u8]) -> bool {
    let begun = Instant::now();
    let mut rest = said.iter().chain(std::iter::repeat(&0));
    while begun.elapsed() < PATIENCE {
        let byte = [*rest.next().unwrap()];
        if stream.write_all(&byte).is_err() || ended(&mut stream, Duration::from_millis(500)) {
            return true;
        }
    }
    false
}

#[test]
fn who_drips_is_hung_up_on_and_others_are_served() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("tsio.toml");
        fs::write(&config, "development = true\n[limits]\nconnections = 3\n").unwrap();
        let server = Server::start_with(&Db::sqlite(), &["--config", &config.display().to_string()]);
        // More than there are places for such as these.
        let dripping = [&b""[..], PREFACE, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n"];
        let dripping = dripping.map(|said| (TcpStream::connect(server.address()).unwrap(), said));
        let dripping = dripping.map(|(stream, said)| thread::spawn(move || drip(stream, said)));
        unharmed(&server).await;
        for it in dripping {
            assert!(it.join().unwrap(), "the server hangs up on who was not let in");
        }
    });
}
