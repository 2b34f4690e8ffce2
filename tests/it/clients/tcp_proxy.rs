//! A TCP proxy in front of a server, which breaks its connections on demand.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Forwards bytes to a server and back until its connections are broken. It also forwards connections that
/// are opened afterwards.
pub(super) struct BreakableProxy {
    address: SocketAddr,
    /// Both streams of each connection that is not broken.
    open: Arc<Mutex<Vec<TcpStream>>>,
    /// For each connection: whether the bytes from the server are discarded.
    discards: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
}

impl BreakableProxy {
    pub(super) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (open, discards) = (Arc::<Mutex<Vec<TcpStream>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (opened, discard_flags) = (Arc::clone(&open), Arc::clone(&discards));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // Without a server the client sees its connection closed.
                let Ok(server) = TcpStream::connect(server) else { continue };
                for stream in [&client, &server] {
                    opened.lock().unwrap().push(stream.try_clone().unwrap());
                }
                let discards = Arc::new(AtomicBool::new(false));
                discard_flags.lock().unwrap().push(Arc::clone(&discards));
                forward(client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::default());
                forward(server, client, discards);
            }
        });
        Self { address, open, discards }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Discards all further bytes from the server on the current connections, which stay open.
    pub(super) fn discard_answers(&self) {
        self.discards.lock().unwrap().iter().for_each(|it| it.store(true, Ordering::SeqCst));
    }

    /// Closes every current connection in both directions.
    pub(super) fn break_connections(&self) {
        let broken: Vec<TcpStream> = self.open.lock().unwrap().drain(..).collect();
        assert!(!broken.is_empty(), "no connection to break");
        for stream in broken {
            // Fails only if the connection has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, discards: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            if !discards.load(Ordering::SeqCst) && to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
