//! What a call answers whose approval was carried out: at once, or made again once a second person gave it.

use prost::Message as _;

use super::convert;
use crate::app::writer::Told;
use crate::domain::approval::{DECIDE_ENTRY, REOPEN_OFFER};
use crate::proto::{
    AllocateFundResponse, DecideEntryResponse, MoveFundsResponse, ReopenOfferResponse, WithdrawFundResponse,
};

/// The answer of the call that asks for this action; nothing for one that no book carries out.
pub(super) fn answer(action: &str, told: &Told) -> Option<Vec<u8>> {
    match action {
        REOPEN_OFFER => Some(reopened(told)),
        DECIDE_ENTRY => Some(decided(told)),
        "allocate_fund" => Some(allocated(told)),
        "withdraw_fund" => Some(withdrawn(told)),
        "move_funds" => Some(moved(told)),
        _ => None,
    }
}

fn reopened(told: &Told) -> Vec<u8> {
    ReopenOfferResponse { offer: convert::first_offer(told) }.encode_to_vec()
}

pub(super) fn decided(told: &Told) -> Vec<u8> {
    DecideEntryResponse { decision: convert::decided(told) }.encode_to_vec()
}

pub(super) fn allocated(told: &Told) -> Vec<u8> {
    let fund = convert::funds(told).into_iter().next();
    AllocateFundResponse { fund, warnings: convert::warnings(told) }.encode_to_vec()
}

pub(super) fn withdrawn(told: &Told) -> Vec<u8> {
    let fund = convert::funds(told).into_iter().next();
    WithdrawFundResponse { fund, warnings: convert::warnings(told) }.encode_to_vec()
}

pub(super) fn moved(told: &Told) -> Vec<u8> {
    let mut funds = convert::funds(told).into_iter();
    let (from_fund, to_fund) = (funds.next(), funds.next());
    MoveFundsResponse { from_fund, to_fund, warnings: convert::warnings(told) }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::approval::{WITHDRAW_IMPORT, actions};

    #[test]
    fn every_action_of_a_book_has_its_answer() {
        let (programme, answer) = ("2021-22".parse().unwrap(), crate::domain::programme::Answer::Funds(Vec::new()));
        let told = Told::empty(programme, answer);
        for action in actions() {
            assert_eq!(super::answer(action, &told).is_some(), action != WITHDRAW_IMPORT, "{action}");
        }
    }
}
