//! The status of a group in the register.

/// Whether a group exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupStatus {
    /// It does.
    Open,
    /// No longer.
    Closed,
    /// Not yet.
    ProposedToOpen,
    /// It does, until it closes.
    ProposedToClose,
    /// It never did: a row of the register that was a mistake.
    CreatedInError,
}
