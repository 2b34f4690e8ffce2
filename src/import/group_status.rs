//! The status of a group in the register.

/// The status of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupStatus {
    /// The group exists.
    Open,
    /// The group exists no longer.
    Closed,
    /// The group does not exist yet.
    ProposedToOpen,
    /// The group exists and is going to close.
    ProposedToClose,
    /// The group never existed: the row of the register was a mistake.
    CreatedInError,
}
