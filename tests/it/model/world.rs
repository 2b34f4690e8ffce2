//! Sends the model's commands to the service: maps numbers to ids, calls the RPC of each command, and collects the answer.

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

use super::command::{Command, Line, Odd};
use super::scheme::{Scheme, Strand, Who, Wish};
use crate::client::{Client, YEAR, fresh};
use crate::money::{credit_with, nle, nlg, npqel_of};

/// The answer to one call.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) bytes: Vec<u8>,
    pub(super) released: Vec<ReleasedAward>,
    pub(super) awards: Vec<Award>,
    pub(super) fund: Option<Fund>,
    pub(super) booking: i64,
}

/// One call: a command with its request id and etag. The same call sends the same bytes.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) command: Command,
    pub(super) id: String,
    pub(super) etag: String,
}

/// The clients, and the service's ids of the things that the model numbers.
pub(super) struct World {
    /// The first person, who makes all calls but those of approvers.
    pub(super) client: Client,
    /// The second person.
    pub(super) second: Client,
    /// Both people at another server on the same database.
    pub(super) others: Option<(Client, Client)>,
    pub(super) offers: Vec<Offer>,
    pub(super) funds: Vec<String>,
    pub(super) awards: Vec<String>,
    pub(super) approvals: Vec<String>,
    /// The offer of each award.
    pub(super) offers_of: Vec<usize>,
    /// Tells for each award whether it is in half-days.
    pub(super) in_days: Vec<bool>,
    /// The numbers of the bookings of each award.
    pub(super) bookings: Vec<Vec<i64>>,
    /// The last known etag of each offer, and below of each award.
    pub(super) offer_etags: Vec<String>,
    pub(super) award_etags: Vec<String>,
}

macro_rules! sent {
    ($client:expr, $service:ident, $rpc:ident, $request:expr, |$answer:ident| $fill:expr) => {{
        let $answer = $client.$service().$rpc($client.ask($request)).await?.into_inner();
        let bytes = $answer.encode_to_vec();
        Sent { bytes, ..$fill }
    }};
}

impl World {
    /// Sends further calls to the other server.
    pub(super) fn turn(&mut self) {
        if let Some((client, second)) = &mut self.others {
            std::mem::swap(&mut self.client, client);
            std::mem::swap(&mut self.second, second);
        }
    }

    /// Returns the etag that the caller saw last, if the command sends one.
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

    /// Makes a call.
    pub(super) async fn send(&self, call: &Call) -> Result<Sent, Status> {
        let (command, odd) = match &call.command {
            Command::Odd(odd, command) => (&**command, Some(*odd)),
            command => (command, None),
        };
        let it = Framed { world: self, call, odd };
        match command {
            Command::CreateFund { .. } | Command::Change { .. } => it.money(command).await,
            Command::Give { .. } | Command::Deny { .. } | Command::WithdrawApproval { .. } => {
                it.approval(command).await
            }
            Command::Award { .. } | Command::Book { .. } | Command::Cancel { .. } | Command::Draw { .. } => {
                it.award(command).await
            }
            Command::Release { .. } | Command::Refund { .. } | Command::Undo { .. } => it.back(command).await,
            _ => it.life(command).await,
        }
    }
}

/// A call with the mistake that is put into it.
struct Framed<'a> {
    world: &'a World,
    call: &'a Call,
    odd: Option<Odd>,
}

impl Framed<'_> {
    fn id(&self) -> String {
        self.call.id.clone()
    }

    fn etag(&self) -> String {
        if self.odd == Some(Odd::Stale) { "of-long-ago".to_owned() } else { self.call.etag.clone() }
    }

    fn date(&self, date: &str) -> String {
        if self.odd == Some(Odd::Future) { "2999-01-01".to_owned() } else { date.to_owned() }
    }

    fn amount(&self, amount: i64) -> i64 {
        if self.odd == Some(Odd::Nothing) { 0 } else { amount }
    }

    fn half_days(&self, amount: i64) -> i32 {
        i32::try_from(self.amount(amount)).unwrap()
    }

    fn named(&self, id: &str) -> String {
        if self.odd == Some(Odd::Unknown) { fresh() } else { id.to_owned() }
    }

    fn offer(&self, offer: usize) -> String {
        self.named(&self.world.offers[offer].offer)
    }

    fn award_id(&self, award: usize) -> String {
        self.named(&self.world.awards[award])
    }

    async fn life(&self, command: &Command) -> Result<Sent, Status> {
        let client = &self.world.client;
        let (request_id, etag) = (self.id(), self.etag());
        Ok(match command {
            Command::Contact { offer, who, date } => {
                let party = if *who == Who::Body { Party::ResponsibleBody } else { Party::School }.into();
                let offers = vec![ContactedOffer { offer: self.offer(*offer), ..Default::default() }];
                let date = self.date(date);
                let request = ContactOffersRequest { request_id, offers, party, date, ..Default::default() };
                sent!(client, offers, contact_offers, request, |answer| Sent::default())
            }
            Command::Accept { offer, by, date } => {
                let acceptor = if *by == Who::Body { Acceptor::Trust } else { Acceptor::School }.into();
                let (offer, date) = (self.offer(*offer), self.date(date));
                let request = AcceptOfferRequest { request_id, offer, acceptor, date, etag, ..Default::default() };
                sent!(client, offers, accept_offer, request, |answer| Sent::default())
            }
            Command::Decline { offer, date } => {
                let (offer, reason, date) = (self.offer(*offer), DeclineReason::NotWanted.into(), self.date(date));
                let request = DeclineOfferRequest { request_id, offer, reason, date, etag, ..Default::default() };
                sent!(client, offers, decline_offer, request, |answer| Sent {
                    released: answer.released,
                    ..Default::default()
                })
            }
            Command::CorrectDate { offer, accepted, date } => {
                let milestone = if *accepted { Milestone::Accepted } else { Milestone::Started }.into();
                let (offer, date, reason) = (self.offer(*offer), self.date(date), "letter".to_owned());
                let request =
                    CorrectOfferDateRequest { request_id, offer, milestone, date, reason, etag, validate_only: false };
                sent!(client, offers, correct_offer_date, request, |answer| Sent::default())
            }
            Command::Start { offer, date } => {
                let (offer, date) = (self.offer(*offer), self.date(date));
                let request = StartOfferRequest { request_id, offer, date, etag, ..Default::default() };
                sent!(client, offers, start_offer, request, |answer| Sent::default())
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
                sent!(client, offers, close_offer, request, |answer| Sent {
                    released: answer.released,
                    ..Default::default()
                })
            }
            Command::Reopen { offer } => {
                let (offer, reason) = (self.offer(*offer), "in error".to_owned());
                let request = ReopenOfferRequest { request_id, offer, reason, ..Default::default() };
                sent!(client, offers, reopen_offer, request, |answer| Sent::default())
            }
            other => unreachable!("{other:?}"),
        })
    }

    async fn approval(&self, command: &Command) -> Result<Sent, Status> {
        let request_id = self.id();
        let by = |asker: bool| if asker { &self.world.client } else { &self.world.second };
        let named = |approval: usize| self.named(&self.world.approvals[approval]);
        Ok(match command {
            Command::Give { approval, asker } => {
                let request = GiveApprovalRequest { request_id, approval: named(*approval), ..Default::default() };
                sent!(by(*asker), approvals, give_approval, request, |answer| Sent::default())
            }
            Command::Deny { approval, asker } => {
                let (approval, reason) = (named(*approval), "not now".to_owned());
                let request = DenyApprovalRequest { request_id, approval, reason, validate_only: false };
                sent!(by(*asker), approvals, deny_approval, request, |answer| Sent::default())
            }
            Command::WithdrawApproval { approval, asker } => {
                let request = WithdrawApprovalRequest { request_id, approval: named(*approval), validate_only: false };
                sent!(by(*asker), approvals, withdraw_approval, request, |answer| Sent::default())
            }
            other => unreachable!("{other:?}"),
        })
    }

    async fn money(&self, command: &Command) -> Result<Sent, Status> {
        let client = &self.world.client;
        let (request_id, etag) = (self.id(), self.etag());
        let on = match command {
            Command::Change { date, .. } => date.as_str(),
            _ => "",
        };
        let date = self.date(on);
        let fund = |fund: usize| self.named(&self.world.funds[fund]);
        Ok(match command {
            Command::CreateFund { strand, region } => {
                let (programme, strand, region) = (YEAR.to_owned(), strand.name().to_owned(), (*region).to_owned());
                let request = CreateFundRequest { request_id, programme, strand, region, validate_only: false };
                sent!(client, fund_service, create_fund, request, |answer| Sent {
                    fund: answer.fund,
                    ..Default::default()
                })
            }
            Command::Change { wish: Wish::Allocate(to, amount), .. } => {
                let (fund, amount_pence) = (fund(*to), self.amount(*amount));
                let request = AllocateFundRequest { request_id, fund, amount_pence, date, etag, ..Default::default() };
                sent!(client, fund_service, allocate_fund, request, |answer| Sent::default())
            }
            Command::Change { wish: Wish::Withdraw(from, amount, over_commit), .. } => {
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
                sent!(client, fund_service, withdraw_fund, request, |answer| Sent::default())
            }
            Command::Change { wish: Wish::Move(from, to, amount), .. } => {
                let (from_fund, to_fund, amount_pence) = (fund(*from), fund(*to), self.amount(*amount));
                let request =
                    MoveFundsRequest { request_id, from_fund, to_fund, amount_pence, date, etag, ..Default::default() };
                sent!(client, fund_service, move_funds, request, |answer| Sent::default())
            }
            other => unreachable!("{other:?}"),
        })
    }

    fn line(&self, line: &Line) -> NewAward {
        match line.strand {
            Strand::Nle => nle(self.half_days(line.amount)),
            Strand::Credit => credit_with(line.partner, self.amount(line.amount)),
            Strand::Nlg => nlg(self.amount(line.amount)),
            Strand::Npqel => npqel_of(&line.leader, line.provider, self.amount(line.amount)),
        }
    }

    /// Makes a new award: in half-days for NLE, in pence for others.
    async fn award(&self, command: &Command) -> Result<Sent, Status> {
        let client = &self.world.client;
        let (request_id, etag) = (self.id(), self.etag());
        Ok(match command {
            Command::Award { offer, lines, date } => {
                let awards = lines.iter().map(|it| self.line(it)).collect();
                let (offer, date) = (self.offer(*offer), self.date(date));
                let request = CreateAwardsRequest { request_id, offer, awards, date, etag, ..Default::default() };
                sent!(client, award_service, create_awards, request, |answer| Sent {
                    awards: answer.awards,
                    ..Default::default()
                })
            }
            Command::Book { award, half_days, date } => {
                let (award, half_days, date) = (self.award_id(*award), self.half_days(*half_days), self.date(date));
                let request = BookDaysRequest { request_id, award, half_days, date, etag, ..Default::default() };
                sent!(client, award_service, book_days, request, |answer| Sent {
                    booking: answer.booking,
                    ..Default::default()
                })
            }
            Command::Cancel { award, booking } => {
                let (booking, award) = (self.booking(*award, *booking), self.award_id(*award));
                let request = CancelBookingRequest { request_id, award, booking, etag, validate_only: false };
                sent!(client, award_service, cancel_booking, request, |answer| Sent::default())
            }
            Command::Draw { award, amount, booking, invoice, total, date } => {
                use draw_award_request::Amount;
                let days = self.world.awards_of_days(*award);
                let amount = if days {
                    Amount::HalfDays(self.half_days(*amount))
                } else {
                    Amount::AmountPence(self.amount(*amount))
                };
                let booking = booking.map_or(0, |booking| self.booking(*award, booking));
                // The reference as a person types it.
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
                sent!(client, award_service, draw_award, request, |answer| Sent::default())
            }
            other => unreachable!("{other:?}"),
        })
    }

    async fn back(&self, command: &Command) -> Result<Sent, Status> {
        let client = &self.world.client;
        let (request_id, etag) = (self.id(), self.etag());
        Ok(match command {
            Command::Release { award, amount, date } => {
                use release_award_request::Amount;
                let days = self.world.awards_of_days(*award);
                let amount = amount.map(|amount| match days {
                    true => Amount::HalfDays(self.half_days(amount)),
                    false => Amount::AmountPence(self.amount(amount)),
                });
                let (award, date) = (self.award_id(*award), self.date(date));
                let request = ReleaseAwardRequest { request_id, award, amount, date, etag, ..Default::default() };
                sent!(client, award_service, release_award, request, |answer| Sent::default())
            }
            Command::Refund { award, amount, invoice, date } => {
                use refund_award_request::Amount;
                let amount = if self.world.awards_of_days(*award) {
                    Amount::HalfDays(self.half_days(*amount))
                } else {
                    Amount::AmountPence(self.amount(*amount))
                };
                let (award, reason) = (self.award_id(*award), "in error".to_owned());
                let (invoice, date) = (invoice.clone().unwrap_or_default(), self.date(date));
                let amount = Some(amount);
                let request =
                    RefundAwardRequest { request_id, award, amount, reason, date, invoice, etag, ..Default::default() };
                sent!(client, award_service, refund_award, request, |answer| Sent::default())
            }
            Command::Undo { award, moved } => {
                let sequence = self.movement(*award, *moved).await;
                let (award, reason) = (self.award_id(*award), "in error".to_owned());
                let request = UndoMovementRequest { request_id, award, sequence, reason, etag, validate_only: false };
                sent!(client, award_service, undo_movement, request, |answer| Sent::default())
            }
            other => unreachable!("{other:?}"),
        })
    }

    /// Returns the sequence of an award's movement, or a sequence that does not exist.
    async fn movement(&self, award: usize, moved: usize) -> i64 {
        let (offer, award) = (self.world.offers_of[award], &self.world.awards[award]);
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
    /// Tells whether an award is in half-days.
    fn awards_of_days(&self, award: usize) -> bool {
        self.in_days[award]
    }

    /// Returns the model's first state, with the service's offers.
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
            alone: 0,
            entries: Vec::new(),
        };
        Scheme { offers: self.offers.iter().map(offer).collect(), funds: vec![nle], ..Scheme::default() }
    }
}
