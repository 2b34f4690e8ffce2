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
    /// Of each connection, whether what the server says goes nowhere.
    swallows: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
}

impl Tear {
    pub(super) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (open, swallows) = (Arc::<Mutex<Vec<TcpStream>>>::default(), Arc::<Mutex<Vec<_>>>::default());
        let (kept, told) = (Arc::clone(&open), Arc::clone(&swallows));
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A server that is gone takes no more: the client sees its connection closed.
                let Ok(server) = TcpStream::connect(server) else { continue };
                for stream in [&client, &server] {
                    kept.lock().unwrap().push(stream.try_clone().unwrap());
                }
                let swallows = Arc::new(AtomicBool::new(false));
                told.lock().unwrap().push(Arc::clone(&swallows));
                carry(client.try_clone().unwrap(), server.try_clone().unwrap(), Arc::default());
                carry(server, client, swallows);
            }
        });
        Self { address, open, swallows }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nothing of what the server says through any more on the connections there are; they stay open.
    pub(super) fn swallow(&self) {
        self.swallows.lock().unwrap().iter().for_each(|it| it.store(true, Ordering::SeqCst));
    }

    /// Tears every connection there is, both ways.
    pub(super) fn now(&self) {
        let broken: Vec<TcpStream> = self.open.lock().unwrap().drain(..).collect();
        assert!(!broken.is_empty(), "nobody is connected");
        for stream in broken {
            // Fails only where it has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
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
