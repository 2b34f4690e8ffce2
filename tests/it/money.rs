//! Helpers for funds and awards: messages, methods of [`Client`], and commands of the command line.
//!
//! These helpers know no rule of the scheme, and repeat no call. The scenarios check the answers. Amounts are pence or
//! half-days.

use prost::Message as _;
use serde_json::Value;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::pb;
use tsio::proto::approval_service_client::ApprovalServiceClient;
use tsio::proto::award_service_client::AwardServiceClient;
use tsio::proto::finance_service_client::FinanceServiceClient;
use tsio::proto::fund_service_client::FundServiceClient;
use tsio::proto::register_service_client::RegisterServiceClient;
use tsio::proto::terms_service_client::TermsServiceClient;
use tsio::proto::{
    Acceptor, AllocateFundRequest, AllocateFundResponse, Award, BookDaysRequest, CloseOfferRequest, CloseOfferResponse,
    CreateAwardsRequest, CreateAwardsResponse, DrawAwardRequest, DrawAwardResponse, Fund, FundEntry, GetAwardRequest,
    GetFundRequest, GetOfferRequest, GetOfferResponse, Limit, ListFundEntriesRequest, ListFundsRequest, NewAward,
    NleSupport, NlgSupport, NpqelSupport, Offer, Outcome, Party, RecipientKind, RefundAwardRequest,
    RefundAwardResponse, Refusal, ReleaseAwardRequest, ReleaseAwardResponse, StartOfferResponse, draw_award_request,
    new_award, refund_award_request, release_award_request,
};
use tsio_test_support::messages;

use crate::client::{Client, contact, fresh};
use crate::harness::Server;
use crate::samples::{offer_of, run_ok, text};

/// The day on which scenarios award and draw. It is inside the award window of [`crate::client::YEAR`].
pub(crate) const DAY: &str = "2021-11-01";
/// The UID of a partner trust: an open multi-academy trust that no standalone offer of the samples belongs to.
pub(crate) const PARTNER: i32 = 90_001;
/// A provider that the terms of [`crate::client::YEAR`] accredit.
pub(crate) const PROVIDER: &str = "Teach First";

/// An amount with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// Pence.
    Pence(i64),
    /// Half-days.
    Days(i32),
}

/// A new award of a leader's days.
pub(crate) fn nle(half_days: i32) -> NewAward {
    let (leader, organisation) = ("nle-17".to_owned(), "Larkrise Teaching School Hub".to_owned());
    NewAward {
        amount: Some(new_award::Amount::HalfDays(half_days)),
        support: Some(new_award::Support::Nle(NleSupport { leader, organisation, ..Default::default() })),
    }
}

fn money_award(pence: i64, support: new_award::Support) -> NewAward {
    NewAward { amount: Some(new_award::Amount::AmountPence(pence)), support: Some(support) }
}

pub(crate) fn credit(pence: i64) -> NewAward {
    credit_with(PARTNER, pence)
}

pub(crate) fn credit_with(partner_uid: i32, pence: i64) -> NewAward {
    messages::credit(partner_uid, pence, "strong on early reading")
}

pub(crate) fn nlg(pence: i64) -> NewAward {
    money_award(pence, new_award::Support::Nlg(NlgSupport { because: "a new board".to_owned(), ..Default::default() }))
}

/// A new award of a leader's fees. Each call uses a new leader, who has no other award.
pub(crate) fn npqel(provider: &str, pence: i64) -> NewAward {
    npqel_of(&format!("ceo-{}", fresh()), provider, pence)
}

pub(crate) fn npqel_of(leader: &str, provider: &str, pence: i64) -> NewAward {
    let (leader, provider, because) = (leader.to_owned(), provider.to_owned(), "first post".to_owned());
    money_award(pence, new_award::Support::Npqel(NpqelSupport { leader, provider, because }))
}

/// Returns the refusal in the details of a status.
pub(crate) fn refusal(status: &Status) -> Refusal {
    let details = pb::Status::decode(status.details()).unwrap().details;
    let detail = details.iter().find(|it| it.type_url.ends_with("/tsio.v1.Refusal"));
    let detail = detail.unwrap_or_else(|| panic!("no refusal with {status:?}"));
    Refusal::decode(detail.value.as_slice()).unwrap()
}

/// Returns the only limit of this kind in the refusal of a status.
pub(crate) fn limit(status: &Status, kind: &str) -> Limit {
    let refusal = refusal(status);
    let mut limits = refusal.limits.iter().filter(|it| it.kind == kind);
    let limit = limits.next().unwrap_or_else(|| panic!("no {kind} limit: {refusal:?}")).clone();
    assert!(limits.next().is_none(), "two {kind} limits: {refusal:?}");
    limit
}

/// Returns the allocated, committed, spent and available amounts of a fund.
pub(crate) fn balances(fund: &Fund) -> [i64; 4] {
    [fund.allocated, fund.committed, fund.spent, fund.available]
}

/// Returns the awarded, drawn, released, refunded and committed amounts of an award.
pub(crate) fn amounts(award: &Award) -> [i64; 5] {
    [award.awarded, award.drawn, award.released, award.refunded, award.committed]
}

impl Client {
    pub(crate) fn award_service(&self) -> AwardServiceClient<Channel> {
        AwardServiceClient::new(self.channel())
    }

    pub(crate) fn fund_service(&self) -> FundServiceClient<Channel> {
        FundServiceClient::new(self.channel())
    }

    pub(crate) fn finance_service(&self) -> FinanceServiceClient<Channel> {
        FinanceServiceClient::new(self.channel())
    }

    pub(crate) fn register_service(&self) -> RegisterServiceClient<Channel> {
        RegisterServiceClient::new(self.channel())
    }

    pub(crate) fn terms_service(&self) -> TermsServiceClient<Channel> {
        TermsServiceClient::new(self.channel())
    }

    pub(crate) fn approval_service(&self) -> ApprovalServiceClient<Channel> {
        ApprovalServiceClient::new(self.channel())
    }

    /// Contacts the parties of an identified offer, and accepts it: by the school if it is standalone, else by the trust.
    pub(crate) async fn accept_offer(&self, offer: &Offer) {
        let contact_body = contact(Party::ResponsibleBody, &[offer], &fresh());
        self.offers().contact_offers(self.ask(contact_body)).await.unwrap();
        let mut acceptor = Acceptor::Trust;
        if offer.recipient_kind() == RecipientKind::Standalone {
            let contact_school = contact(Party::School, &[offer], &fresh());
            self.offers().contact_offers(self.ask(contact_school)).await.unwrap();
            acceptor = Acceptor::School;
        }
        let request = messages::accept(&offer.offer, acceptor, "2021-09-20");
        self.offers().accept_offer(self.ask(request)).await.unwrap();
    }

    pub(crate) async fn start(&self, offer: &str) -> Result<StartOfferResponse, Status> {
        Ok(self.offers().start_offer(self.ask(messages::start(offer, DAY))).await?.into_inner())
    }

    pub(crate) async fn close(&self, offer: &str, outcome: Outcome) -> Result<CloseOfferResponse, Status> {
        let (request_id, offer, date) = (fresh(), offer.to_owned(), DAY.to_owned());
        let request = CloseOfferRequest { request_id, offer, outcome: outcome.into(), date, ..Default::default() };
        Ok(self.offers().close_offer(self.ask(request)).await?.into_inner())
    }

    /// Gets an offer with its awards and caps.
    pub(crate) async fn offer_details(&self, offer: &str) -> GetOfferResponse {
        let request = GetOfferRequest { offer: offer.to_owned(), ..Default::default() };
        self.offers().get_offer(self.ask(request)).await.unwrap().into_inner()
    }

    /// Creates a national fund, allocates this amount to it, and returns its id. The amount is at most the £50,000 that one
    /// person may allocate.
    pub(crate) async fn create_fund_with(&self, programme: &str, strand: &str, pence: i64) -> String {
        let fund = self.create_fund(programme, strand, "").await;
        self.allocate(&fund, pence, &fresh()).await.unwrap();
        fund
    }

    /// Creates a fund without money, and returns its id. It is national if the region is empty.
    pub(crate) async fn create_fund(&self, programme: &str, strand: &str, region: &str) -> String {
        let request = messages::fund(programme, strand, region);
        let answer = self.fund_service().create_fund(self.ask(request)).await.unwrap().into_inner();
        answer.fund.unwrap().fund
    }

    pub(crate) async fn allocate(&self, fund: &str, pence: i64, id: &str) -> Result<AllocateFundResponse, Status> {
        let allocate = messages::allocate(fund, pence, "2021-09-01");
        let request = AllocateFundRequest { request_id: id.to_owned(), ..allocate };
        Ok(self.fund_service().allocate_fund(self.ask(request)).await?.into_inner())
    }

    pub(crate) async fn fund(&self, fund: &str) -> Fund {
        let request = GetFundRequest { fund: fund.to_owned() };
        self.fund_service().get_fund(self.ask(request)).await.unwrap().into_inner().fund.unwrap()
    }

    pub(crate) async fn funds(&self, programme: &str) -> Vec<Fund> {
        let request = ListFundsRequest { programme: programme.to_owned(), page_size: 500, ..Default::default() };
        self.fund_service().list_funds(self.ask(request)).await.unwrap().into_inner().funds
    }

    /// Lists all entries of a fund in the order of the record.
    pub(crate) async fn entries(&self, fund: &str) -> Vec<FundEntry> {
        let mut request = ListFundEntriesRequest { fund: fund.to_owned(), page_size: 1_000, ..Default::default() };
        let mut all = Vec::new();
        loop {
            let page = self.fund_service().list_fund_entries(self.ask(request.clone())).await.unwrap().into_inner();
            all.extend(page.entries);
            if page.next_page_token.is_empty() {
                return all;
            }
            request.page_token = page.next_page_token;
        }
    }

    pub(crate) async fn award(
        &self,
        offer: &str,
        awards: Vec<NewAward>,
        id: &str,
    ) -> Result<CreateAwardsResponse, Status> {
        let request = CreateAwardsRequest { request_id: id.to_owned(), ..messages::award(offer, awards, DAY) };
        Ok(self.award_service().create_awards(self.ask(request)).await?.into_inner())
    }

    /// Creates one award, checks that this succeeds, and returns the id of the award.
    pub(crate) async fn create_award(&self, offer: &str, award: NewAward) -> String {
        let mut awards = self.award(offer, vec![award], &fresh()).await.unwrap().awards;
        assert_eq!(awards.len(), 1);
        awards.remove(0).award
    }

    pub(crate) async fn get_award(&self, award: &str) -> Award {
        let request = GetAwardRequest { award: award.to_owned() };
        self.award_service().get_award(self.ask(request)).await.unwrap().into_inner().award.unwrap()
    }

    pub(crate) async fn draw(&self, award: &str, quantity: Quantity, id: &str) -> Result<DrawAwardResponse, Status> {
        let amount = match quantity {
            Quantity::Pence(pence) => draw_award_request::Amount::AmountPence(pence),
            Quantity::Days(half_days) => draw_award_request::Amount::HalfDays(half_days),
        };
        let request = DrawAwardRequest { request_id: id.to_owned(), ..messages::draw(award, amount, DAY) };
        Ok(self.award_service().draw_award(self.ask(request)).await?.into_inner())
    }

    /// Releases this amount of an award; `None` for all that is committed.
    pub(crate) async fn release(
        &self,
        award: &str,
        quantity: Option<Quantity>,
    ) -> Result<ReleaseAwardResponse, Status> {
        let amount = quantity.map(|quantity| match quantity {
            Quantity::Pence(pence) => release_award_request::Amount::AmountPence(pence),
            Quantity::Days(half_days) => release_award_request::Amount::HalfDays(half_days),
        });
        let (request_id, award, date) = (fresh(), award.to_owned(), DAY.to_owned());
        let request = ReleaseAwardRequest { request_id, award, amount, date, ..Default::default() };
        Ok(self.award_service().release_award(self.ask(request)).await?.into_inner())
    }

    pub(crate) async fn refund(&self, award: &str, quantity: Quantity) -> Result<RefundAwardResponse, Status> {
        let amount = match quantity {
            Quantity::Pence(pence) => refund_award_request::Amount::AmountPence(pence),
            Quantity::Days(half_days) => refund_award_request::Amount::HalfDays(half_days),
        };
        let request = RefundAwardRequest {
            request_id: fresh(),
            award: award.to_owned(),
            amount: Some(amount),
            reason: "paid in error".to_owned(),
            date: DAY.to_owned(),
            ..Default::default()
        };
        Ok(self.award_service().refund_award(self.ask(request)).await?.into_inner())
    }

    /// Books half-days of an award, checks that this succeeds, and returns the number of the booking.
    pub(crate) async fn book(&self, award: &str, half_days: i32) -> i64 {
        let (request_id, award, date) = (fresh(), award.to_owned(), DAY.to_owned());
        let request = BookDaysRequest { request_id, award, half_days, date, ..Default::default() };
        self.award_service().book_days(self.ask(request)).await.unwrap().into_inner().booking
    }

    /// Records that all half-days of a booking were delivered.
    pub(crate) async fn deliver(&self, award: &str, booking: i64) {
        let (request_id, award, date) = (fresh(), award.to_owned(), DAY.to_owned());
        let request = DrawAwardRequest { request_id, award, date, booking, ..Default::default() };
        self.award_service().draw_award(self.ask(request)).await.unwrap();
    }

    /// Pays these pence of an award against an invoice, on [`DAY`].
    pub(crate) async fn claim(&self, award: &str, pence: i64, invoice: &str) -> Result<DrawAwardResponse, Status> {
        self.pay(Claim::of(award, pence, invoice)).await
    }

    /// Pays a claim against an invoice, with all fields of the invoice.
    pub(crate) async fn pay(&self, claim: Claim<'_>) -> Result<DrawAwardResponse, Status> {
        let request = DrawAwardRequest {
            request_id: fresh(),
            award: claim.award.to_owned(),
            amount: Some(match claim.quantity {
                Quantity::Pence(pence) => draw_award_request::Amount::AmountPence(pence),
                Quantity::Days(half_days) => draw_award_request::Amount::HalfDays(half_days),
            }),
            date: claim.date.to_owned(),
            invoice: claim.invoice.to_owned(),
            issuer: claim.issuer.to_owned(),
            total_pence: claim.total_pence,
            ..Default::default()
        };
        Ok(self.award_service().draw_award(self.ask(request)).await?.into_inner())
    }

    /// Refunds these pence of an invoice, and checks that this succeeds.
    pub(crate) async fn refund_invoice(&self, award: &str, pence: i64, invoice: &str) {
        let request = RefundAwardRequest {
            request_id: fresh(),
            award: award.to_owned(),
            amount: Some(refund_award_request::Amount::AmountPence(pence)),
            reason: "paid in error".to_owned(),
            invoice: invoice.to_owned(),
            ..Default::default()
        };
        self.award_service().refund_award(self.ask(request)).await.unwrap();
    }
}

/// A payment against an invoice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) award: &'a str,
    pub(crate) quantity: Quantity,
    pub(crate) date: &'a str,
    pub(crate) invoice: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) total_pence: i64,
}

impl<'a> Claim<'a> {
    /// A payment of these pence on [`DAY`]. It names no issuer and no total, so the server uses the award's issuer, and the
    /// payment as the total.
    pub(crate) fn of(award: &'a str, pence: i64, invoice: &'a str) -> Self {
        Self { award, quantity: Quantity::Pence(pence), date: DAY, invoice, issuer: "", total_pence: 0 }
    }
}

/// Contacts the parties of the offer to this URN or UID, and accepts it: by the school if it is standalone, else by the
/// trust. Returns the id of the offer.
pub(crate) fn accept_offer(server: &Server, recipient: i64) -> String {
    let offer = offer_of(server, recipient);
    let id = text(&offer, "offer");
    let contact = |party| ["offers", "contact", &id, "--party", party, "--on", "2021-09-13"];
    run_ok(server, &contact("responsible-body"));
    let by = if offer["recipient_kind"] == "standalone" {
        run_ok(server, &contact("school"));
        "school"
    } else {
        "trust"
    };
    run_ok(server, &["offers", "accept", &id, "--by", by, "--on", "2021-09-20"]);
    id
}

/// Starts the delivery of an offer.
pub(crate) fn start_delivery(server: &Server, offer: &str) {
    run_ok(server, &["offers", "start", offer, "--on", "2021-10-01"]);
}

/// Creates a national fund of 2021-22, allocates these pounds to it, and returns its id.
pub(crate) fn create_fund_with(server: &Server, strand: &str, pounds: &str) -> String {
    let fund = text(&run_ok(server, &["funds", "create", "--programme", "2021-22", "--strand", strand]), "fund");
    run_ok(server, &["funds", "allocate", &fund, pounds, "--on", "2021-09-01"]);
    fund
}

/// Returns the element of `funds list` for this fund.
pub(crate) fn fund_row(server: &Server, fund: &str) -> Value {
    let list = run_ok(server, &["funds", "list", "--programme", "2021-22"]);
    let row = list.as_array().unwrap().iter().find(|it| it["fund"] == fund);
    row.unwrap_or_else(|| panic!("no fund {fund}: {list}")).clone()
}

/// Returns the id of the NLE fund of 2021-22.
pub(crate) fn nle_fund(server: &Server) -> String {
    let list = run_ok(server, &["funds", "list", "--programme", "2021-22"]);
    text(list.as_array().unwrap().iter().find(|it| it["strand"] == "nle").unwrap(), "fund")
}

/// Reads the allocated, committed, spent and available amounts in the JSON of a fund or a cap.
pub(crate) fn fund_amounts(row: &Value) -> [i64; 4] {
    ["allocated", "committed", "spent", "available"]
        .map(|key| row[key].as_i64().unwrap_or_else(|| panic!("{key}: {row}")))
}

/// Returns the amounts of an offer's cap for a strand, as [`fund_amounts`].
pub(crate) fn cap_of(server: &Server, offer: &str, strand: &str) -> [i64; 4] {
    let shown = run_ok(server, &["offers", "show", offer]);
    let row = shown["caps"].as_array().unwrap().iter().find(|it| it["strand"] == strand);
    fund_amounts(row.unwrap_or_else(|| panic!("no cap of {strand}: {shown}")))
}

/// Reads the awarded, drawn, released, refunded and committed amounts in the JSON of an award.
pub(crate) fn award_amounts(award: &Value) -> [i64; 5] {
    ["awarded", "drawn", "released", "refunded", "committed"]
        .map(|key| award[key].as_i64().unwrap_or_else(|| panic!("{key}: {award}")))
}

/// Creates an award and returns its id. `args` are the further arguments, which depend on the strand.
pub(crate) fn create_award(server: &Server, strand: &str, offer: &str, args: &[&str]) -> String {
    let award = run_ok(server, &[&["awards", strand, offer, "--on", "2021-10-01"], args].concat());
    text(&award, "award")
}

/// The arguments that `awards credit` requires in addition to the amount.
pub(crate) const WITH_PARTNER: [&str; 4] = ["--partner", "90001", "--suitable-because", "strong on early reading"];
/// The arguments that `awards nle` requires in addition to the days.
pub(crate) const WITH_LEADER: [&str; 4] = ["--leader", "nle-17", "--organisation", "Larkrise Teaching School Hub"];
