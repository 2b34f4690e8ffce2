//! Deciding a recorded call again: its command, what it cites, and whether its rules allow it.

mod cited;
pub(crate) mod reconstruct;
pub mod redecide;
