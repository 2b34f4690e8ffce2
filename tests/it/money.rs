//! Days and money over the wire, as scenarios use them: what is asked for, what comes back, how it is counted.
//!
//! No rule lives here and nothing is repeated: each answer is the scenario's to judge. Amounts are pence and half-days.

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
use crate::samples::{done, offer_of, text};

/// A day inside the award window of [`crate::client::YEAR`], on which scenarios award and draw.
pub(crate) const DAY: &str = "2021-11-01";
/// An open multi-academy trust that no standalone offer of the samples belongs to.
pub(crate) const PARTNER: i32 = 90_001;
/// Accredited in the terms of [`crate::client::YEAR`].
pub(crate) const PROVIDER: &str = "Teach First";

/// An amount in its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Much {
    /// Pence.
    Pence(i64),
    /// Half-days.
    Days(i32),
}

pub(crate) fn nle(half_days: i32) -> NewAward {
    let (leader, organisation) = ("nle-17".to_owned(), "Larkrise Teaching School Hub".to_owned());
    NewAward {
        amount: Some(new_award::Amount::HalfDays(half_days)),
        support: Some(new_award::Support::Nle(NleSupport { leader, organisation, ..Default::default() })),
    }
}

fn of_money(pence: i64, support: new_award::Support) -> NewAward {
    NewAward { amount: Some(new_award::Amount::AmountPence(pence)), support: Some(support) }
}

pub(crate) fn credit(pence: i64) -> NewAward {
    credit_with(PARTNER, pence)
}

pub(crate) fn credit_with(partner_uid: i32, pence: i64) -> NewAward {
    messages::credit(partner_uid, pence, "strong on early reading")
}

pub(crate) fn nlg(pence: i64) -> NewAward {
    of_money(pence, new_award::Support::Nlg(NlgSupport { because: "a new board".to_owned(), ..Default::default() }))
}

/// Fees of a leader who is funded by nothing else.
pub(crate) fn npqel(provider: &str, pence: i64) -> NewAward {
    npqel_of(&format!("ceo-{}", fresh()), provider, pence)
}

pub(crate) fn npqel_of(leader: &str, provider: &str, pence: i64) -> NewAward {
    let (leader, provider, because) = (leader.to_owned(), provider.to_owned(), "first post".to_owned());
    of_money(pence, new_award::Support::Npqel(NpqelSupport { leader, provider, because }))
}

/// The refusal that travels with a status.
pub(crate) fn refusal(status: &Status) -> Refusal {
    let details = pb::Status::decode(status.details()).unwrap().details;
    let found = details.iter().find(|it| it.type_url.ends_with("/tsio.v1.Refusal"));
    let found = found.unwrap_or_else(|| panic!("no refusal with {status:?}"));
    Refusal::decode(found.value.as_slice()).unwrap()
}

/// The one limit of this kind that a refusal names.
pub(crate) fn limit(status: &Status, kind: &str) -> Limit {
    let refusal = refusal(status);
    let mut found = refusal.limits.iter().filter(|it| it.kind == kind);
    let limit = found.next().unwrap_or_else(|| panic!("no {kind} limit: {refusal:?}")).clone();
    assert!(found.next().is_none(), "two {kind} limits: {refusal:?}");
    limit
}

/// Allocated, committed, spent, available.
pub(crate) fn balances(fund: &Fund) -> [i64; 4] {
    [fund.allocated, fund.committed, fund.spent, fund.available]
}

/// Awarded, drawn, released, refunded, committed.
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

    pub(crate) fn finance(&self) -> FinanceServiceClient<Channel> {
        FinanceServiceClient::new(self.channel())
    }

    pub(crate) fn registry(&self) -> RegisterServiceClient<Channel> {
        RegisterServiceClient::new(self.channel())
    }

    pub(crate) fn schemes(&self) -> TermsServiceClient<Channel> {
        TermsServiceClient::new(self.channel())
    }

    pub(crate) fn approvals(&self) -> ApprovalServiceClient<Channel> {
        ApprovalServiceClient::new(self.channel())
    }

    /// Takes an offer from identified to accepted: a trust's by the trust, another by the school.
    pub(crate) async fn accepted(&self, offer: &Offer) {
        let told = contact(Party::ResponsibleBody, &[offer], &fresh());
        self.offers().contact_offers(self.ask(told)).await.unwrap();
        let mut acceptor = Acceptor::Trust;
        if offer.recipient_kind() == RecipientKind::Standalone {
            let told = contact(Party::School, &[offer], &fresh());
            self.offers().contact_offers(self.ask(told)).await.unwrap();
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

    /// One offer with its awards and caps.
    pub(crate) async fn whole(&self, offer: &str) -> GetOfferResponse {
        let request = GetOfferRequest { offer: offer.to_owned(), ..Default::default() };
        self.offers().get_offer(self.ask(request)).await.unwrap().into_inner()
    }

    /// Makes a national fund with so much in it, at most the £50,000 that one person may allocate.
    pub(crate) async fn financed(&self, programme: &str, strand: &str, pence: i64) -> String {
        let fund = self.made(programme, strand, "").await;
        self.allocate(&fund, pence, &fresh()).await.unwrap();
        fund
    }

    /// Makes a fund with nothing in it.
    pub(crate) async fn made(&self, programme: &str, strand: &str, region: &str) -> String {
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

    /// All entries of a fund, first to last.
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

    /// Makes one award, which has to be given, and gives its id.
    pub(crate) async fn awarded(&self, offer: &str, award: NewAward) -> String {
        let mut given = self.award(offer, vec![award], &fresh()).await.unwrap().awards;
        assert_eq!(given.len(), 1);
        given.remove(0).award
    }

    pub(crate) async fn get_award(&self, award: &str) -> Award {
        let request = GetAwardRequest { award: award.to_owned() };
        self.award_service().get_award(self.ask(request)).await.unwrap().into_inner().award.unwrap()
    }

    pub(crate) async fn draw(&self, award: &str, much: Much, id: &str) -> Result<DrawAwardResponse, Status> {
        let amount = match much {
            Much::Pence(pence) => draw_award_request::Amount::AmountPence(pence),
            Much::Days(half_days) => draw_award_request::Amount::HalfDays(half_days),
        };
        let request = DrawAwardRequest { request_id: id.to_owned(), ..messages::draw(award, amount, DAY) };
        Ok(self.award_service().draw_award(self.ask(request)).await?.into_inner())
    }

    /// Releases so much, or all that is committed.
    pub(crate) async fn release(&self, award: &str, much: Option<Much>) -> Result<ReleaseAwardResponse, Status> {
        let amount = much.map(|much| match much {
            Much::Pence(pence) => release_award_request::Amount::AmountPence(pence),
            Much::Days(half_days) => release_award_request::Amount::HalfDays(half_days),
        });
        let (request_id, award, date) = (fresh(), award.to_owned(), DAY.to_owned());
        let request = ReleaseAwardRequest { request_id, award, amount, date, ..Default::default() };
        Ok(self.award_service().release_award(self.ask(request)).await?.into_inner())
    }

    pub(crate) async fn refund(&self, award: &str, much: Much) -> Result<RefundAwardResponse, Status> {
        let amount = match much {
            Much::Pence(pence) => refund_award_request::Amount::AmountPence(pence),
            Much::Days(half_days) => refund_award_request::Amount::HalfDays(half_days),
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

    /// Books half-days of an award, which has to be possible, and gives the booking's number.
    pub(crate) async fn book(&self, award: &str, half_days: i32) -> i64 {
        let (request_id, award, date) = (fresh(), award.to_owned(), DAY.to_owned());
        let request = BookDaysRequest { request_id, award, half_days, date, ..Default::default() };
        self.award_service().book_days(self.ask(request)).await.unwrap().into_inner().booking
    }

    /// Records that a booking was delivered.
    pub(crate) async fn deliver(&self, award: &str, booking: i64) {
        let (request_id, award, date) = (fresh(), award.to_owned(), DAY.to_owned());
        let request = DrawAwardRequest { request_id, award, date, booking, ..Default::default() };
        self.award_service().draw_award(self.ask(request)).await.unwrap();
    }

    /// Pays a claim against an invoice.
    pub(crate) async fn claim(&self, award: &str, pence: i64, invoice: &str) -> Result<DrawAwardResponse, Status> {
        self.pay(Claim::of(award, pence, invoice)).await
    }

    /// Pays a claim, with all that can be said of its invoice.
    pub(crate) async fn pay(&self, claim: Claim<'_>) -> Result<DrawAwardResponse, Status> {
        let request = DrawAwardRequest {
            request_id: fresh(),
            award: claim.award.to_owned(),
            amount: Some(match claim.much {
                Much::Pence(pence) => draw_award_request::Amount::AmountPence(pence),
                Much::Days(half_days) => draw_award_request::Amount::HalfDays(half_days),
            }),
            date: claim.date.to_owned(),
            invoice: claim.invoice.to_owned(),
            issuer: claim.issuer.to_owned(),
            total_pence: claim.total_pence,
            ..Default::default()
        };
        Ok(self.award_service().draw_award(self.ask(request)).await?.into_inner())
    }

    /// Takes back so much of an invoice, which has to be possible.
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

/// What is drawn against an invoice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) award: &'a str,
    pub(crate) much: Much,
    pub(crate) date: &'a str,
    pub(crate) invoice: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) total_pence: i64,
}

impl<'a> Claim<'a> {
    /// That many pence on [`DAY`], of the body that issues the award's invoices, paid by this draw.
    pub(crate) fn of(award: &'a str, pence: i64, invoice: &'a str) -> Self {
        Self { award, much: Much::Pence(pence), date: DAY, invoice, issuer: "", total_pence: 0 }
    }
}

/// An offer taken to accepted by the command line, and its id: a trust's by the trust, another by the school.
pub(crate) fn taken(server: &Server, recipient: i64) -> String {
    let offer = offer_of(server, recipient);
    let id = text(&offer, "offer");
    let contact = |party| ["offers", "contact", &id, "--party", party, "--on", "2021-09-13"];
    done(server, &contact("responsible-body"));
    let by = if offer["recipient_kind"] == "standalone" {
        done(server, &contact("school"));
        "school"
    } else {
        "trust"
    };
    done(server, &["offers", "accept", &id, "--by", by, "--on", "2021-09-20"]);
    id
}

/// Starts the delivery of an offer.
pub(crate) fn started(server: &Server, offer: &str) {
    done(server, &["offers", "start", offer, "--on", "2021-10-01"]);
}

/// A national fund of the first year with so many pounds in it, and its id.
pub(crate) fn funded(server: &Server, strand: &str, pounds: &str) -> String {
    let fund = text(&done(server, &["funds", "create", "--programme", "2021-22", "--strand", strand]), "fund");
    done(server, &["funds", "allocate", &fund, pounds, "--on", "2021-09-01"]);
    fund
}

/// A fund's row of `funds list`.
pub(crate) fn fund_row(server: &Server, fund: &str) -> Value {
    let list = done(server, &["funds", "list", "--programme", "2021-22"]);
    let row = list.as_array().unwrap().iter().find(|it| it["fund"] == fund);
    row.unwrap_or_else(|| panic!("no fund {fund}: {list}")).clone()
}

/// The NLE fund of the first year.
pub(crate) fn nle_fund(server: &Server) -> String {
    let list = done(server, &["funds", "list", "--programme", "2021-22"]);
    text(list.as_array().unwrap().iter().find(|it| it["strand"] == "nle").unwrap(), "fund")
}

/// Allocated, committed, spent, available of a row.
pub(crate) fn counted(row: &Value) -> [i64; 4] {
    ["allocated", "committed", "spent", "available"]
        .map(|key| row[key].as_i64().unwrap_or_else(|| panic!("{key}: {row}")))
}

/// What an offer's cap for a strand says.
pub(crate) fn cap_of(server: &Server, offer: &str, strand: &str) -> [i64; 4] {
    let shown = done(server, &["offers", "show", offer]);
    let row = shown["caps"].as_array().unwrap().iter().find(|it| it["strand"] == strand);
    counted(row.unwrap_or_else(|| panic!("no cap of {strand}: {shown}")))
}

/// Awarded, drawn, released, refunded, committed of an award as it is printed.
pub(crate) fn moved(award: &Value) -> [i64; 5] {
    ["awarded", "drawn", "released", "refunded", "committed"]
        .map(|key| award[key].as_i64().unwrap_or_else(|| panic!("{key}: {award}")))
}

/// Makes an award by the command line, and gives its id. `words` are what the strand asks for.
pub(crate) fn given(server: &Server, strand: &str, offer: &str, words: &[&str]) -> String {
    let award = done(server, &[&["awards", strand, offer, "--on", "2021-10-01"], words].concat());
    text(&award, "award")
}

/// What `awards credit` asks for, beside the amount.
pub(crate) const WITH_PARTNER: [&str; 4] = ["--partner", "90001", "--suitable-because", "strong on early reading"];
/// What `awards nle` asks for, beside the days.
pub(crate) const WITH_LEADER: [&str; 4] = ["--leader", "nle-17", "--organisation", "Larkrise Teaching School Hub"];
