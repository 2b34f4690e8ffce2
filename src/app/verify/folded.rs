//! What a record comes to.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::{AccountId, Urn};
use crate::domain::ledger::EntrySeq;
use crate::domain::programme::ProgrammeState;
use crate::domain::values::record::Seq;

/// What a record comes to.
pub(in crate::app::verify) struct Folded {
    /// The state its events leave.
    pub(in crate::app::verify) facts: ProgrammeState,
    /// The number the next entry gets.
    pub(in crate::app::verify) next_entry: EntrySeq,
    /// The event that placed a school last.
    pub(in crate::app::verify) placed: HashMap<Urn, Seq>,
    /// Funds that the terms bring with them and an entry moved: from then on they are stored.
    pub(in crate::app::verify) moved: HashSet<AccountId>,
    /// The event of the register's record that was cited last.
    pub(in crate::app::verify) cited: Option<Seq>,
}
