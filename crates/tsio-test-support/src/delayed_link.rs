//! Forwards connections to a port of this machine, and delays everything by the same time: a server that is far away.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The most bytes that are forwarded together.
const PIECE: usize = 64 * 1024;

/// Listens on a free port of 127.0.0.1, and connects each of its connections to the port `to`. All bytes arrive late by `delay`, in
/// both directions; a faster sender is not slowed down. Returns the port. The link lasts as long as this process.
///
/// # Panics
/// If no port is free.
#[must_use]
pub fn start(to: u16, delay: Duration) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of 127.0.0.1 is free");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)) else { continue };
            for (from, to) in [(&near, &far), (&far, &near)] {
                let clones = from.try_clone().and_then(|from| Ok((from, to.try_clone()?)));
                let (from, to) = clones.expect("this process may open more files");
                let _ = to.set_nodelay(true);
                forward(from, to, delay);
            }
        }
    });
    port
}

/// Forwards what comes from one connection to the other one, until one of them ends. Does not wait for that.
fn forward(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, pieces) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let piece = buffer.get(..count).unwrap_or_default().to_vec();
            if sender.send((Instant::now() + delay, piece)).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, piece) in pieces {
            // A parked thread may wake too early.
            while Instant::now() < due {
                thread::park_timeout(due.saturating_duration_since(Instant::now()));
            }
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
