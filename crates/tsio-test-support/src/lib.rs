//! What the tests and the benches of `tsio` share: PostgreSQL clusters, processes that end with the one that started them, a
//! running server, callers and their tokens, and the messages that set up a programme.
//!
//! It knows the contract (`tsio-client`) and never the program: the path of a binary is passed in. Each function fails by
//! panicking, as a test does.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test or a bench stops at the first surprise, and here that is known first"
)]

pub mod caller;
pub mod child_process;
pub mod cluster;
pub mod import;
pub mod messages;
pub mod postgres;
pub mod server;
pub mod signer;
