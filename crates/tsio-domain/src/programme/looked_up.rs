//! What a group of commands looks up once, and no fold keeps as it is by then: what the register, the monthly files and what people
//! decided say together of a school (its rules, its place, who answers for it), and texts that say who issues an invoice.
//!
//! A command that is decided against any of it must not come after one in the same group that may have changed it: it begins the
//! next group, which looks it up again. Each command has its answer in both tables here, with no wildcard.

use super::Command;
use crate::award::claim::NewClaim;
use crate::programme::command::referral::ReferralCommand;
use crate::role::Action;

impl Command {
    /// Whether it is decided against what a group looks up once.
    #[must_use]
    pub const fn reads_looked_up(&self) -> bool {
        match self {
            // A contact asks who is responsible for a school. Where a draw names no issuer, the text of the award may.
            Self::Identify
            | Self::Contact { .. }
            | Self::DecideEntry { .. }
            | Self::GiveApproval { action: Action::DecideEntry, .. }
            | Self::Refer(ReferralCommand::Raise(_) | ReferralCommand::Decide { approve: true, .. })
            | Self::Draw { invoice: Some(NewClaim { issuer: None, .. }), .. } => true,
            Self::Correct { .. }
            | Self::Accept { .. }
            | Self::CorrectDate { .. }
            | Self::Decline { .. }
            | Self::Start { .. }
            | Self::Close { .. }
            | Self::Reopen { .. }
            | Self::GiveApproval { .. }
            | Self::DenyApproval { .. }
            | Self::WithdrawApproval { .. }
            | Self::Assign { .. }
            | Self::Note { .. }
            | Self::ChangeRegion { .. }
            | Self::Place { .. }
            | Self::EraseText { .. }
            | Self::CreateFund { .. }
            | Self::ChangeFund { .. }
            | Self::Award { .. }
            | Self::BookDays { .. }
            | Self::CancelBooking { .. }
            | Self::Draw { .. }
            | Self::Release { .. }
            | Self::Refund { .. }
            | Self::Undo { .. }
            | Self::Refer(_) => false,
        }
    }

    /// Whether it may change what a group looks up once.
    #[must_use]
    pub const fn changes_looked_up(&self) -> bool {
        match self {
            // An approved referral and a decided position make eligible; an offer whose contact is corrected, or that is reopened,
            // follows the register again.
            Self::Identify
            | Self::Correct { .. }
            | Self::GiveApproval { action: Action::DecideEntry | Action::Reopen, .. }
            | Self::Place { .. }
            | Self::EraseText { .. }
            | Self::Refer(ReferralCommand::Decide { approve: true, .. }) => true,
            Self::Contact { .. }
            | Self::Accept { .. }
            | Self::CorrectDate { .. }
            | Self::Decline { .. }
            | Self::Start { .. }
            | Self::Close { .. }
            | Self::Reopen { .. }
            | Self::GiveApproval { .. }
            | Self::DenyApproval { .. }
            | Self::WithdrawApproval { .. }
            | Self::Assign { .. }
            | Self::Note { .. }
            | Self::ChangeRegion { .. }
            | Self::DecideEntry { .. }
            | Self::CreateFund { .. }
            | Self::ChangeFund { .. }
            | Self::Award { .. }
            | Self::BookDays { .. }
            | Self::CancelBooking { .. }
            | Self::Draw { .. }
            | Self::Release { .. }
            | Self::Refund { .. }
            | Self::Undo { .. }
            | Self::Refer(_) => false,
        }
    }
}
