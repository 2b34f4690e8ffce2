//! Something on the way to a server that tears connections when it is told to.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Carries bytes to a server and back until told to tear; new connections are carried again.
pub(super) struct Tear {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Tear {
    pub(super) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&open);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is gone takes no more: the client sees its connection closed.
                let Ok(server) = TcpStream::connect(server) else { continue };
                for stream in [&client, &server] {
                    kept.lock().unwrap().push(stream.try_clone().unwrap());
                }
                carry(client.try_clone().unwrap(), server.try_clone().unwrap());
                carry(server, client);
            }
        });
        Self { address, open }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tears every connection there is, both ways.
    pub(super) fn now(&self) {
        let torn: Vec<TcpStream> = self.open.lock().unwrap().drain(..).collect();
        assert!(!torn.is_empty(), "nobody is connected");
        for stream in torn {
            // Fails only where it has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}
