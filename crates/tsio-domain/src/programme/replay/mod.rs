//! Replays recorded requests: reconstructs the command of a request from its events, decides it again, and checks that the rules
//! allowed it.
//!
//! In these files `request` is the list of the events that one request recorded.

mod cited;
pub(crate) mod reconstruct;
pub mod redecide;
