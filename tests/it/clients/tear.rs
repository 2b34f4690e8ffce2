//! Something on the way to a server that tears connections when it is told to.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Carries bytes to a server and back until told to tear; new connections are carried again.
pub(super) struct Tear {
    address: SocketAddr,
    open: Arc<Mutex<Vec<TcpStream>>>,
    /// Whether what the server says goes nowhere.
    swallows: Arc<AtomicBool>,
}

impl Tear {
    pub(super) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&open);
        let swallows = Arc::new(AtomicBool::new(false));
        let (back, there) = (Arc::clone(&swallows), Arc::new(AtomicBool::new(false)));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is gone takes no more: the client sees its connection closed.
                let Ok(server) = TcpStream::connect(server) else { continue };
                for stream in [&client, &server] {
                    kept.lock().unwrap().push(stream.try_clone().unwrap());
                }
                carry(client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::clone(&there));
                carry(server, client, Arc::clone(&back));
            }
        });
        Self { address, open, swallows }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing of what the server says through any more, until it is torn.
    pub(super) fn swallow(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }

    /// Tears every connection there is, both ways.
    pub(super) fn now(&self) {
        let torn: Vec<TcpStream> = self.open.lock().unwrap().drain(..).collect();
        assert!(!torn.is_empty(), "nobody is connected");
        for stream in torn {
            // Fails only where it has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.swallows.store(false, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, swallows: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            if !swallows.load(Ordering::SeqCst) && to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
