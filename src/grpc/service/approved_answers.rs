//! What a call answers whose approval was carried out: at once, or made again once a second person gave it.

use prost::Message as _;

use crate::app::writer::CommandOutcome;
use crate::domain::values::approval::ApprovalAction;
use crate::grpc::message::conversion;
use crate::proto::{
    AllocateFundResponse, DecideEntryResponse, MoveFundsResponse, ReopenOfferResponse, WithdrawFundResponse,
};

/// The answer of the call that asks for this action; nothing for one that no book carries out.
pub(in crate::grpc) fn answer(action: ApprovalAction, told: &CommandOutcome) -> Option<Vec<u8>> {
    match action {
        ApprovalAction::ReopenOffer => Some(reopened(told)),
        ApprovalAction::DecideEntry => Some(decided(told)),
        ApprovalAction::AllocateFund => Some(allocated(told)),
        ApprovalAction::WithdrawFund => Some(withdrawn(told)),
        ApprovalAction::MoveFunds => Some(moved(told)),
        ApprovalAction::WithdrawImport => None,
    }
}

fn reopened(told: &CommandOutcome) -> Vec<u8> {
    ReopenOfferResponse { offer: conversion::first_offer(told) }.encode_to_vec()
}

pub(in crate::grpc) fn decided(told: &CommandOutcome) -> Vec<u8> {
    DecideEntryResponse { decision: conversion::decided(told) }.encode_to_vec()
}

pub(in crate::grpc) fn allocated(told: &CommandOutcome) -> Vec<u8> {
    let fund = conversion::funds(told).into_iter().next();
    AllocateFundResponse { fund, warnings: conversion::warnings(told) }.encode_to_vec()
}

pub(in crate::grpc) fn withdrawn(told: &CommandOutcome) -> Vec<u8> {
    let fund = conversion::funds(told).into_iter().next();
    WithdrawFundResponse { fund, warnings: conversion::warnings(told) }.encode_to_vec()
}

pub(in crate::grpc) fn moved(told: &CommandOutcome) -> Vec<u8> {
    let mut funds = conversion::funds(told).into_iter();
    let (from_fund, to_fund) = (funds.next(), funds.next());
    MoveFundsResponse { from_fund, to_fund, warnings: conversion::warnings(told) }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_of_a_book_has_its_answer() {
        let (programme, answer) =
            ("2021-22".parse().unwrap(), crate::domain::programme::CommandAnswer::Funds(Vec::new()));
        let told = CommandOutcome::empty(programme, answer);
        for action in ApprovalAction::ALL.iter().copied() {
            assert_eq!(super::answer(action, &told).is_some(), action != ApprovalAction::WithdrawImport, "{action}");
        }
    }
}
