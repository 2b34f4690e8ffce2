//! The type of the result of folding a programme's record.

use std::collections::{HashMap, HashSet};

use crate::domain::ids::{AccountId, Urn};
use crate::domain::ledger::EntrySeq;
use crate::domain::programme::ProgrammeState;
use crate::domain::values::record::Seq;

/// The result of folding a programme's record.
pub(in crate::app::verify) struct Folded {
    /// The state after the last event.
    pub(in crate::app::verify) state: ProgrammeState,
    /// The number of the next entry.
    pub(in crate::app::verify) next_entry: EntrySeq,
    /// The last event that placed each school.
    pub(in crate::app::verify) placed: HashMap<Urn, Seq>,
    /// Funds that the terms define and that have entries. Only such funds have a row.
    pub(in crate::app::verify) moved_funds: HashSet<AccountId>,
    /// The last event of the register's record that the programme cites; `None` if it cites no event.
    pub(in crate::app::verify) cited: Option<Seq>,
}
