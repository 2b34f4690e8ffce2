//! A proxy between a server and PostgreSQL. It splits each stream into messages, and makes a fault after one of them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A fault that the proxy makes after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection is closed in both directions.
    Cut,
    /// The connection stays open, but carries no further message.
    Stall,
    /// The message is sent a second time.
    Duplicate,
}

/// The planned fault, and the number of messages since the plan was made.
#[derive(Debug, Default)]
struct Plan {
    /// The fault, and the number of the message after which it comes. Messages are only counted while a fault is planned.
    fault: Option<(u64, Fault)>,
    messages: u64,
}

/// While this is true, each connection for reads is stalled when it carries a statement, and stays so.
type ReadersStall = Arc<AtomicBool>;

/// Carries messages between a server and its database.
pub(super) struct Proxy {
    url: String,
    plan: Arc<Mutex<Plan>>,
    readers_stall: ReadersStall,
}

impl Proxy {
    /// Starts a proxy for the database with this URL.
    pub(super) fn before(url: &str) -> Self {
        let (user, rest) = url.strip_prefix("postgres://").unwrap().split_once('@').unwrap();
        let (address, name) = rest.split_once('/').unwrap();
        let address: SocketAddr = address.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://{user}@{}/{name}?sslmode=disable", listener.local_addr().unwrap());
        let plan = Arc::<Mutex<Plan>>::default();
        let readers_stall = ReadersStall::default();
        let shared = (Arc::clone(&plan), Arc::clone(&readers_stall));
        thread::spawn(move || {
            for server in listener.incoming().map_while(Result::ok) {
                let Ok(database) = TcpStream::connect(address) else { continue };
                let (plan, readers_stall) = shared.clone();
                thread::spawn(move || carry_connection(&server, &database, plan, readers_stall));
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
        *self.plan.lock().unwrap() = Plan { fault: Some((after, fault)), messages: 0 };
    }

    /// Sets whether connections for reads are stalled when they carry a statement. Stalled connections stay stalled.
    pub(super) fn stall_readers(&self, yes: bool) {
        self.readers_stall.store(yes, Ordering::SeqCst);
    }

    /// Removes the planned fault, and returns the number of messages since it was planned.
    pub(super) fn disarm(&self) -> u64 {
        std::mem::take(&mut *self.plan.lock().unwrap()).messages
    }
}

/// The first byte of the message with which the server executes a prepared statement. From the database, this byte means an
/// error.
const EXECUTE: u8 = b'E';

/// The source of a connection's faults: the plan for writers, the switch for readers.
#[derive(Clone)]
enum Rule {
    Writer(Arc<Mutex<Plan>>),
    Reader(ReadersStall),
}

/// Carries messages in both directions until the connection ends.
fn carry_connection(server: &TcpStream, database: &TcpStream, plan: Arc<Mutex<Plan>>, readers_stall: ReadersStall) {
    for stream in [server, database] {
        stream.set_nodelay(true).unwrap();
    }
    // The first message has no kind byte. It contains the name of the application.
    let Ok(startup) = read_without_kind(server) else { return };
    let is_writer = startup.windows(11).any(|it| it == b"tsio writer");
    if (&mut &*database).write_all(&startup).is_err() {
        return;
    }
    let rule = if is_writer { Rule::Writer(plan) } else { Rule::Reader(readers_stall) };
    let stalled = Arc::new(Mutex::new(false));
    let clone = |stream: &TcpStream| stream.try_clone().unwrap();
    let (from, to) = (clone(database), clone(server));
    let (answer_rule, answers_stalled) = (rule.clone(), Arc::clone(&stalled));
    let answers = thread::spawn(move || carry(from, to, &answer_rule, &answers_stalled));
    carry(clone(server), clone(database), &rule, &stalled);
    answers.join().unwrap();
}

/// Carries messages in one direction until a side closes, then closes both. Drops all messages once `stalled` is true.
fn carry(from: TcpStream, mut to: TcpStream, rule: &Rule, stalled: &Mutex<bool>) {
    while let Ok(message) = read_with_kind(&from) {
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

/// Counts a message, and returns the fault that is planned after it. Returns `None` if no fault is planned here.
fn fault_after(plan: &Mutex<Plan>) -> Option<Fault> {
    let mut plan = plan.lock().unwrap();
    let (after, fault) = plan.fault?;
    plan.messages += 1;
    (plan.messages == after).then_some(fault)
}

/// Reads a message that begins with its length.
fn read_without_kind(mut from: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    message[..4].copy_from_slice(&length);
    from.read_exact(&mut message[4..])?;
    Ok(message)
}

/// Reads a message that begins with a byte for its kind, and then its length.
fn read_with_kind(mut from: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut kind = [0; 1];
    from.read_exact(&mut kind)?;
    Ok([&kind[..], &read_without_kind(from)?].concat())
}
