//! Lists the commands that read the snapshot of a batch, and the commands that may make the snapshot out of date.
//!
//! The snapshot is the data that a batch loads once and that `apply` does not update. It contains facts about schools that follow
//! from the register, the monthly files and people's decisions together: the rules that a school meets, its placement, and its
//! responsible body. It also contains the texts that name the issuer of an invoice.
//!
//! A command that reads the snapshot must not follow a command of the same batch that may make it out of date. The reading command
//! starts the next batch instead, which loads the snapshot again. Both tables here list every command, without a wildcard.

use super::Command;
use crate::award::claim::NewClaim;
use crate::programme::command::referral::ReferralCommand;
use crate::role::Action;

impl Command {
    /// Whether deciding this command reads the snapshot of its batch.
    #[must_use]
    pub const fn reads_batch_snapshot(&self) -> bool {
        match self {
            // A contact reads the responsible body of a school. A draw that names an invoice but not its issuer reads the issuer
            // from the text of the award.
            Self::Identify
            | Self::Contact { .. }
            | Self::DecideEntry { .. }
            | Self::GiveApproval { permission: Action::DecideEntry, .. }
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

    /// Whether carrying out this command may make the snapshot of its batch out of date.
    #[must_use]
    pub const fn changes_batch_snapshot(&self) -> bool {
        match self {
            // Identify puts schools on offers, and the snapshot contains data about the schools on offers. An approved referral
            // or a decided entry position can make a school eligible. A placement by hand gives a school a recipient. An offer
            // that is reopened, or whose contact is corrected, takes its responsible body from the register again. An erased text may
            // have named the issuer of an invoice. Reopening and deciding an entry position happen when the approval is given.
            Self::Identify
            | Self::Correct { .. }
            | Self::GiveApproval { permission: Action::DecideEntry | Action::Reopen, .. }
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
