//! Defines the actions that need a second person.

use serde::{Deserialize, Serialize};

use super::named_enum;

named_enum! {
    /// An action that needs a second person (`domain.md` section 8). Its name is part of the record.
    ApprovalAction {
        /// Reopens an offer.
        ReopenOffer = "reopen_offer",
        /// Withdraws an import. An approval of this action belongs to no programme.
        WithdrawImport = "withdraw_import",
        /// Decides the entry position of a school.
        DecideEntry = "decide_entry",
        /// Puts money into a fund.
        AllocateFund = "allocate_fund",
        /// Takes money out of a fund.
        WithdrawFund = "withdraw_fund",
        /// Moves money between two funds.
        MoveFunds = "move_funds",
    }
}
