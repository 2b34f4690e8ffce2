//! Contains code that the tests and the benches of `tsio` share: PostgreSQL clusters, child processes, a running server, callers
//! and their tokens, and the messages that set up a programme.
//!
//! This crate depends on the contract (`tsio-client`), and not on the program: the path of a binary is an argument. Most
//! functions panic if they fail, as a test does. The imports return the status of the server.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test or a bench stops at the first unexpected result, and this crate is only used by them"
)]

pub mod caller;
pub mod child_process;
pub mod cluster;
pub mod delayed_link;
pub mod import;
pub mod messages;
pub mod postgres;
pub mod server;
pub mod signer;
pub mod statements;
