//! Sends the model's commands to the service: replaces the model's numbers by ids, calls the method of each command, and
//! collects the answer.

use prost::Message as _;
use tonic::Status;
use tsio::proto::{
    AcceptOfferRequest, Acceptor, AllocateFundRequest, Award, BookDaysRequest, CancelBookingRequest, CloseOfferRequest,
    ContactOffersRequest, ContactedOffer, CorrectOfferDateRequest, CreateAwardsRequest, CreateFundRequest,
    DeclineOfferRequest, DeclineReason, DenyApprovalRequest, DrawAwardRequest, Fund, GiveApprovalRequest, Milestone,
    MoveFundsRequest, NewAward, Offer, Outcome, Party, RefundAwardRequest, ReleaseAwardRequest, ReleasedAward,
    ReopenOfferRequest, StartOfferRequest, UndoMovementRequest, WithdrawApprovalRequest, WithdrawFundRequest,
    draw_award_request, refund_award_request, release_award_request,
};

use super::command::{AwardLine, Command, Mistake};
use super::scheme::{PartyKind, RequestedChange, Scheme, Strand};
use crate::client::{Client, YEAR, fresh};
use crate::money::{credit_with, nle, nlg, npqel_of};

/// The parts of a method's response that the test compares.
#[derive(Debug, Default)]
pub(super) struct CallResponse {
    pub(super) bytes: Vec<u8>,
    pub(super) released: Vec<ReleasedAward>,
    pub(super) awards: Vec<Award>,
    pub(super) fund: Option<Fund>,
    pub(super) booking: i64,
}

/// A command with its request id and etag. Sending it again sends the same bytes.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) command: Command,
    pub(super) id: String,
    pub(super) etag: String,
}

/// The clients, and the ids in the service of the offers, funds, awards and approvals that the model numbers.
pub(super) struct World {
    /// The first person, who makes all calls except those of an approver.
    pub(super) client: Client,
    /// The second person, who is the approver.
    pub(super) second: Client,
    /// The clients of both people at another server on the same database.
    pub(super) others: Option<(Client, Client)>,
    pub(super) offers: Vec<Offer>,
    pub(super) funds: Vec<String>,
    pub(super) awards: Vec<String>,
    pub(super) approvals: Vec<String>,
    /// The offer of each award.
    pub(super) award_offers: Vec<usize>,
    /// Tells for each award whether it is in half-days.
    pub(super) counts_half_days: Vec<bool>,
    /// The numbers of the bookings of each award, as the service returned them.
    pub(super) bookings: Vec<Vec<i64>>,
    /// The etag of each offer when it was last read.
    pub(super) offer_etags: Vec<String>,
    /// The etag of each award when it was last read.
    pub(super) award_etags: Vec<String>,
}

/// Calls a method of a service, and makes a `CallResponse` from the answer.
macro_rules! call_method {
    ($client:expr, $service:ident, $rpc:ident, $request:expr, |$answer:ident| $fill:expr) => {{
        let $answer = $client.$service().$rpc($client.ask($request)).await?.into_inner();
        let bytes = $answer.encode_to_vec();
        CallResponse { bytes, ..$fill }
    }};
}

impl World {
    /// Sends the next calls to the other server, if there is one.
    pub(super) fn switch_server(&mut self) {
        if let Some((client, second)) = &mut self.others {
            std::mem::swap(&mut self.client, client);
            std::mem::swap(&mut self.second, second);
        }
    }

    /// Returns the last read etag of the command's offer or award. Empty if the command is about neither.
    pub(super) fn etag(&self, command: &Command) -> String {
        match command {
            Command::Accept { offer, .. }
            | Command::Decline { offer, .. }
            | Command::Start { offer, .. }
            | Command::CorrectDate { offer, .. }
            | Command::Close { offer, .. }
            | Command::Award { offer, .. } => self.offer_etags[*offer].clone(),
            Command::Book { award, .. }
            | Command::Cancel { award, .. }
            | Command::Draw { award, .. }
            | Command::Release { award, .. }
            | Command::Refund { award, .. }
            | Command::Undo { award, .. } => self.award_etags[*award].clone(),
            _ => String::new(),
        }
    }

    /// Sends a call, and returns the answer or the status of a refusal.
    pub(super) async fn send(&self, call: &Call) -> Result<CallResponse, Status> {
        let (command, mistake) = match &call.command {
            Command::WithMistake(mistake, command) => (&**command, Some(*mistake)),
            command => (command, None),
        };
        let it = PreparedCall { world: self, call, mistake };
        match command {
            Command::CreateFund { .. } | Command::Change { .. } => it.send_fund_command(command).await,
            Command::Give { .. } | Command::Deny { .. } | Command::WithdrawApproval { .. } => {
                it.send_approval_command(command).await
            }
            Command::Award { .. } | Command::Book { .. } | Command::Cancel { .. } | Command::Draw { .. } => {
                it.send_award_command(command).await
            }
            Command::Release { .. } | Command::Refund { .. } | Command::Undo { .. } => {
                it.send_reversal_command(command).await
            }
            _ => it.send_offer_command(command).await,
        }
    }
}

/// A call with the mistake that is made in it, if any. Its methods return the values of the request's fields.
struct PreparedCall<'a> {
    world: &'a World,
    call: &'a Call,
    mistake: Option<Mistake>,
}

impl PreparedCall<'_> {
    fn id(&self) -> String {
        self.call.id.clone()
    }

    fn etag(&self) -> String {
        if self.mistake == Some(Mistake::StaleEtag) { "of-long-ago".to_owned() } else { self.call.etag.clone() }
    }

    fn date(&self, date: &str) -> String {
        if self.mistake == Some(Mistake::FutureDate) { "2999-01-01".to_owned() } else { date.to_owned() }
    }

    fn amount(&self, amount: i64) -> i64 {
        if self.mistake == Some(Mistake::ZeroAmount) { 0 } else { amount }
    }

    fn half_days(&self, amount: i64) -> i32 {
        i32::try_from(self.amount(amount)).unwrap()
    }

    /// Returns the id, or a new one that does not exist if this is the mistake.
    fn id_or_unknown(&self, id: &str) -> String {
        if self.mistake == Some(Mistake::UnknownId) { fresh() } else { id.to_owned() }
    }

    fn offer(&self, offer: usize) -> String {
        self.id_or_unknown(&self.world.offers[offer].offer)
    }

    fn award_id(&self, award: usize) -> String {
        self.id_or_unknown(&self.world.awards[award])
    }

    /// Sends a command about an offer, but not its awards.
    async fn send_offer_command(&self, command: &Command) -> Result<CallResponse, Status> {
        let client = &self.world.client;
        let (request_id, etag) = (self.id(), self.etag());
        Ok(match command {
            Command::Contact { offer, party, date } => {
                let party =
                    if *party == PartyKind::ResponsibleBody { Party::ResponsibleBody } else { Party::School }.into();
                let offers = vec![ContactedOffer { offer: self.offer(*offer), ..Default::default() }];
                let date = self.date(date);
                let request = ContactOffersRequest { request_id, offers, party, date, ..Default::default() };
                call_method!(client, offers, contact_offers, request, |answer| CallResponse::default())
            }
            Command::Accept { offer, by, date } => {
                let acceptor =
                    if *by == PartyKind::ResponsibleBody { Acceptor::Trust } else { Acceptor::School }.into();
                let (offer, date) = (self.offer(*offer), self.date(date));
                let request = AcceptOfferRequest { request_id, offer, acceptor, date, etag, ..Default::default() };
                call_method!(client, offers, accept_offer, request, |answer| CallResponse::default())
            }
            Command::Decline { offer, date } => {
                let (offer, reason, date) = (self.offer(*offer), DeclineReason::NotWanted.into(), self.date(date));
                let request = DeclineOfferRequest { request_id, offer, reason, date, etag, ..Default::default() };
                call_method!(client, offers, decline_offer, request, |answer| CallResponse {
                    released: answer.released,
                    ..Default::default()
                })
            }
            Command::CorrectDate { offer, accepted, date } => {
                let milestone = if *accepted { Milestone::Accepted } else { Milestone::Started }.into();
                let (offer, date, reason) = (self.offer(*offer), self.date(date), "letter".to_owned());
                let request =
                    CorrectOfferDateRequest { request_id, offer, milestone, date, reason, etag, validate_only: false };
                call_method!(client, offers, correct_offer_date, request, |answer| CallResponse::default())
            }
            Command::Start { offer, date } => {
                let (offer, date) = (self.offer(*offer), self.date(date));
                let request = StartOfferRequest { request_id, offer, date, etag, ..Default::default() };
                call_method!(client, offers, start_offer, request, |answer| CallResponse::default())
            }
            Command::Close { offer, outcome, date } => {
                let outcome = match *outcome {
                    "completed" => Outcome::Completed,
                    "withdrawn" => Outcome::Withdrawn,
                    "lapsed" => Outcome::Lapsed,
                    "ineligible" => Outcome::Ineligible,
                    _ => Outcome::Superseded,
                };
                let (offer, outcome, date) = (self.offer(*offer), outcome.into(), self.date(date));
                let request = CloseOfferRequest { request_id, offer, outcome, date, etag, ..Default::default() };
                call_method!(client, offers, close_offer, request, |answer| CallResponse {
                    released: answer.released,
                    ..Default::default()
                })
            }
            Command::Reopen { offer } => {
                let (offer, reason) = (self.offer(*offer), "in error".to_owned());
                let request = ReopenOfferRequest { request_id, offer, reason, ..Default::default() };
                call_method!(client, offers, reopen_offer, request, |answer| CallResponse::default())
            }
            other => unreachable!("{other:?}"),
        })
    }

    async fn send_approval_command(&self, command: &Command) -> Result<CallResponse, Status> {
        let request_id = self.id();
        let by = |by_requester: bool| if by_requester { &self.world.client } else { &self.world.second };
        let approval_id = |approval: usize| self.id_or_unknown(&self.world.approvals[approval]);
        Ok(match command {
            Command::Give { approval, by_requester } => {
                let request =
                    GiveApprovalRequest { request_id, approval: approval_id(*approval), ..Default::default() };
                call_method!(by(*by_requester), approval_service, give_approval, request, |answer| {
                    CallResponse::default()
                })
            }
            Command::Deny { approval, by_requester } => {
                let (approval, reason) = (approval_id(*approval), "not now".to_owned());
                let request = DenyApprovalRequest { request_id, approval, reason, validate_only: false };
                call_method!(by(*by_requester), approval_service, deny_approval, request, |answer| {
                    CallResponse::default()
                })
            }
            Command::WithdrawApproval { approval, by_requester } => {
                let request =
                    WithdrawApprovalRequest { request_id, approval: approval_id(*approval), validate_only: false };
                call_method!(by(*by_requester), approval_service, withdraw_approval, request, |answer| {
                    CallResponse::default()
                })
            }
            other => unreachable!("{other:?}"),
        })
    }

    async fn send_fund_command(&self, command: &Command) -> Result<CallResponse, Status> {
        let client = &self.world.client;
        let (request_id, etag) = (self.id(), self.etag());
        let on = match command {
            Command::Change { date, .. } => date.as_str(),
            _ => "",
        };
        let date = self.date(on);
        let fund = |fund: usize| self.id_or_unknown(&self.world.funds[fund]);
        Ok(match command {
            Command::CreateFund { strand, region } => {
                let (programme, strand, region) = (YEAR.to_owned(), strand.name().to_owned(), (*region).to_owned());
                let request = CreateFundRequest { request_id, programme, strand, region, validate_only: false };
                call_method!(client, fund_service, create_fund, request, |answer| CallResponse {
                    fund: answer.fund,
                    ..Default::default()
                })
            }
            Command::Change { requested_change: RequestedChange::Allocate(to, amount), .. } => {
                let (fund, amount_pence) = (fund(*to), self.amount(*amount));
                let request = AllocateFundRequest { request_id, fund, amount_pence, date, etag, ..Default::default() };
                call_method!(client, fund_service, allocate_fund, request, |answer| CallResponse::default())
            }
            Command::Change { requested_change: RequestedChange::Withdraw(from, amount, over_commit), .. } => {
                let (fund, amount_pence, over_commit) = (fund(*from), self.amount(*amount), *over_commit);
                let request = WithdrawFundRequest {
                    request_id,
                    fund,
                    amount_pence,
                    over_commit,
                    date,
                    etag,
                    ..Default::default()
                };
                call_method!(client, fund_service, withdraw_fund, request, |answer| CallResponse::default())
            }
            Command::Change { requested_change: RequestedChange::Move(from, to, amount), .. } => {
                let (from_fund, to_fund, amount_pence) = (fund(*from), fund(*to), self.amount(*amount));
                let request =
                    MoveFundsRequest { request_id, from_fund, to_fund, amount_pence, date, etag, ..Default::default() };
                call_method!(client, fund_service, move_funds, request, |answer| CallResponse::default())
            }
            other => unreachable!("{other:?}"),
        })
    }

    /// Makes a new award of a request: in half-days for NLE, in pence for other strands.
    fn new_award(&self, line: &AwardLine) -> NewAward {
        match line.strand {
            Strand::Nle => nle(self.half_days(line.amount)),
            Strand::Credit => credit_with(line.partner, self.amount(line.amount)),
            Strand::Nlg => nlg(self.amount(line.amount)),
            Strand::Npqel => npqel_of(&line.leader, line.provider, self.amount(line.amount)),
        }
    }

    /// Sends a command that makes awards, books or cancels days, or draws.
    async fn send_award_command(&self, command: &Command) -> Result<CallResponse, Status> {
        let client = &self.world.client;
        let (request_id, etag) = (self.id(), self.etag());
        Ok(match command {
            Command::Award { offer, lines, date } => {
                let awards = lines.iter().map(|it| self.new_award(it)).collect();
                let (offer, date) = (self.offer(*offer), self.date(date));
                let request = CreateAwardsRequest { request_id, offer, awards, date, etag, ..Default::default() };
                call_method!(client, award_service, create_awards, request, |answer| CallResponse {
                    awards: answer.awards,
                    ..Default::default()
                })
            }
            Command::Book { award, half_days, date } => {
                let (award, half_days, date) = (self.award_id(*award), self.half_days(*half_days), self.date(date));
                let request = BookDaysRequest { request_id, award, half_days, date, etag, ..Default::default() };
                call_method!(client, award_service, book_days, request, |answer| CallResponse {
                    booking: answer.booking,
                    ..Default::default()
                })
            }
            Command::Cancel { award, booking } => {
                let (booking, award) = (self.booking(*award, *booking), self.award_id(*award));
                let request = CancelBookingRequest { request_id, award, booking, etag, validate_only: false };
                call_method!(client, award_service, cancel_booking, request, |answer| CallResponse::default())
            }
            Command::Draw { award, amount, booking, invoice, total, date } => {
                use draw_award_request::Amount;
                let days = self.world.counts_half_days[*award];
                let amount = if days {
                    Amount::HalfDays(self.half_days(*amount))
                } else {
                    Amount::AmountPence(self.amount(*amount))
                };
                let booking = booking.map_or(0, |booking| self.booking(*award, booking));
                // A person may type the reference in lower case and with punctuation. The service ignores both.
                let invoice = invoice.as_ref().map_or(String::new(), |it| it.to_lowercase().replace("inv", "Inv-/"));
                let (award, date) = (self.award_id(*award), self.date(date));
                let request = DrawAwardRequest {
                    request_id,
                    award,
                    amount: Some(amount),
                    date,
                    booking,
                    invoice,
                    total_pence: total.unwrap_or_default(),
                    etag,
                    ..Default::default()
                };
                call_method!(client, award_service, draw_award, request, |answer| CallResponse::default())
            }
            other => unreachable!("{other:?}"),
        })
    }

    /// Sends a release, a refund, or the undoing of a movement.
    async fn send_reversal_command(&self, command: &Command) -> Result<CallResponse, Status> {
        let client = &self.world.client;
        let (request_id, etag) = (self.id(), self.etag());
        Ok(match command {
            Command::Release { award, amount, date } => {
                use release_award_request::Amount;
                let days = self.world.counts_half_days[*award];
                let amount = amount.map(|amount| match days {
                    true => Amount::HalfDays(self.half_days(amount)),
                    false => Amount::AmountPence(self.amount(amount)),
                });
                let (award, date) = (self.award_id(*award), self.date(date));
                let request = ReleaseAwardRequest { request_id, award, amount, date, etag, ..Default::default() };
                call_method!(client, award_service, release_award, request, |answer| CallResponse::default())
            }
            Command::Refund { award, amount, invoice, date } => {
                use refund_award_request::Amount;
                let amount = if self.world.counts_half_days[*award] {
                    Amount::HalfDays(self.half_days(*amount))
                } else {
                    Amount::AmountPence(self.amount(*amount))
                };
                let (award, reason) = (self.award_id(*award), "in error".to_owned());
                let (invoice, date) = (invoice.clone().unwrap_or_default(), self.date(date));
                let amount = Some(amount);
                let request =
                    RefundAwardRequest { request_id, award, amount, reason, date, invoice, etag, ..Default::default() };
                call_method!(client, award_service, refund_award, request, |answer| CallResponse::default())
            }
            Command::Undo { award, moved } => {
                let sequence = self.movement(*award, *moved).await;
                let (award, reason) = (self.award_id(*award), "in error".to_owned());
                let request = UndoMovementRequest { request_id, award, sequence, reason, etag, validate_only: false };
                call_method!(client, award_service, undo_movement, request, |answer| CallResponse::default())
            }
            other => unreachable!("{other:?}"),
        })
    }

    /// Returns the sequence of an award's movement, or a sequence that does not exist.
    async fn movement(&self, award: usize, moved: usize) -> i64 {
        let (offer, award) = (self.world.award_offers[award], &self.world.awards[award]);
        let events = self.world.client.events(&self.world.offers[offer].offer).await;
        let moves = events.iter().filter(|it| {
            ["drawn", "released", "refunded"].contains(&it.kind.as_str()) && it.body_json.contains(award.as_str())
        });
        moves.map(|it| it.sequence).nth(moved).unwrap_or(999_999)
    }

    /// Returns the number of a booking, or a number that does not exist.
    fn booking(&self, award: usize, booking: usize) -> i64 {
        self.world.bookings[award].get(booking).copied().unwrap_or(999_999)
    }
}

impl World {
    /// Returns the model's state at the beginning: the offers of the service, and the fund of NLE.
    pub(super) fn scheme(&self) -> Scheme {
        use super::scheme::{Account, Fund, Offer};
        let offer = |it: &tsio::proto::Offer| {
            let trust = it.recipient_kind() == tsio::proto::RecipientKind::Mat;
            Offer::new(trust, it.trust_uid, it.region.clone())
        };
        let nle = Fund {
            strand: Strand::Nle,
            region: "",
            account: Account::of(0),
            days: Default::default(),
            moved_alone: 0,
            entries: Vec::new(),
        };
        Scheme { offers: self.offers.iter().map(offer).collect(), funds: vec![nle], ..Scheme::default() }
    }
}
