//! A proxy before PostgreSQL that knows where a message ends.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens to a connection after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection is closed in both directions.
    Cut,
    /// The connection stays open, but carries nothing any more.
    Stall,
    /// The message is sent a second time.
    Duplicate,
}

#[derive(Debug, Default)]
struct Plan {
    armed: Option<(u64, Fault)>,
    messages: u64,
}

/// While set, each reading connection that carries a statement falls silent for good.
type ReadersStall = Arc<AtomicBool>;

/// Carries messages between a server and its database.
pub(super) struct Proxy {
    url: String,
    plan: Arc<Mutex<Plan>>,
    readers_stall: ReadersStall,
}

impl Proxy {
    /// Starts a proxy before the database of this URL.
    pub(super) fn before(url: &str) -> Self {
        let (user, rest) = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let (database, name) = rest.split_once('/').unwrap();
        let database: SocketAddr = database.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://{user}@{}/{name}?sslmode=disable", listener.local_addr().unwrap());
        let plan = Arc::<Mutex<Plan>>::default();
        let readers_stall = ReadersStall::default();
        let kept = (Arc::clone(&plan), Arc::clone(&readers_stall));
        thread::spawn(move || {
            for program in listener.incoming().map_while(Result::ok) {
                let Ok(database) = TcpStream::connect(database) else { continue };
                let (plan, readers_stall) = kept.clone();
                thread::spawn(move || carry_connection(&program, &database, plan, readers_stall));
            }
        });
        Self { url, plan, readers_stall }
    }

    /// The URL that the server uses as its database.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Restarts the count of the writers' messages, and plans this fault after the message with this number.
    pub(super) fn arm(&self, after: u64, fault: Fault) {
        *self.plan.lock().unwrap() = Plan { armed: Some((after, fault)), messages: 0 };
    }

    /// Sets whether reading connections fall silent when they carry a statement. Connections that are silent stay silent.
    pub(super) fn stall_readers(&self, yes: bool) {
        self.readers_stall.store(yes, Ordering::SeqCst);
    }

    /// Stops counting and returns the number of messages.
    pub(super) fn disarm(&self) -> u64 {
        std::mem::take(&mut *self.plan.lock().unwrap()).messages
    }
}

/// The kind of message by which the program runs a prepared statement. From the database, the same kind is an error.
const EXECUTE: u8 = b'E';

/// The faults that may happen to a connection.
#[derive(Clone)]
enum Rule {
    Writer(Arc<Mutex<Plan>>),
    Reader(ReadersStall),
}

fn carry_connection(program: &TcpStream, database: &TcpStream, plan: Arc<Mutex<Plan>>, readers_stall: ReadersStall) {
    for stream in [program, database] {
        stream.set_nodelay(true).unwrap();
    }
    // The first message has no kind byte; it names the application.
    let Ok(startup) = untyped(program) else { return };
    let is_writer = startup.windows(11).any(|it| it == b"tsio writer");
    if (&mut &*database).write_all(&startup).is_err() {
        return;
    }
    let rule = if is_writer { Rule::Writer(plan) } else { Rule::Reader(readers_stall) };
    let stalled = Arc::new(Mutex::new(false));
    let clone = |stream: &TcpStream| stream.try_clone().unwrap();
    let (from, to, kept, other) = (clone(database), clone(program), rule.clone(), Arc::clone(&stalled));
    let back = thread::spawn(move || carry(from, to, &kept, &other));
    carry(clone(program), clone(database), &rule, &stalled);
    back.join().unwrap();
}

/// Carries messages one way, until one of the ends is closed.
fn carry(from: TcpStream, mut to: TcpStream, rule: &Rule, stalled: &Mutex<bool>) {
    while let Ok(message) = typed(&from) {
        let fault = match rule {
            Rule::Writer(plan) => fault_after(plan),
            Rule::Reader(stall) => (message[0] == EXECUTE && stall.load(Ordering::SeqCst)).then_some(Fault::Stall),
        };
        if *stalled.lock().unwrap() {
            continue;
        }
        if to.write_all(&message).is_err() {
            break;
        }
        match fault {
            None => {}
            Some(Fault::Cut) => break,
            Some(Fault::Stall) => *stalled.lock().unwrap() = true,
            Some(Fault::Duplicate) => to.write_all(&message).unwrap_or_default(),
        }
    }
    if !*stalled.lock().unwrap() {
        for stream in [&from, &to] {
            // Fails only if the connection has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Counts a message and returns the fault that is planned after it.
fn fault_after(plan: &Mutex<Plan>) -> Option<Fault> {
    let mut plan = plan.lock().unwrap();
    let (after, fault) = plan.armed?;
    plan.messages += 1;
    (plan.messages == after).then_some(fault)
}

fn untyped(mut from: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    message[..4].copy_from_slice(&length);
    from.read_exact(&mut message[4..])?;
    Ok(message)
}

fn typed(mut from: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut kind = [0; 1];
    from.read_exact(&mut kind)?;
    Ok([&kind[..], &untyped(from)?].concat())
}
