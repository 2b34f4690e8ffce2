//! Runs the second half of the demo: funds, awards, a refusal, delivery, a claim, closing an offer, and the reports of finance.
//!
//! Every request that can have a date has one. Without it the server would take today, which is after the award window of the
//! programme.

use tonic::Code;

use super::{DemoResult, Failure, Story, by, expect_refusal, heading, request_id, request_of, say};
use crate::cli::amounts::shown;
use crate::cli::args::PROGRAMME;
use crate::cli::names::name;
use crate::proto::approval_service_client::ApprovalServiceClient;
use crate::proto::award_service_client::AwardServiceClient;
use crate::proto::finance_service_client::FinanceServiceClient;
use crate::proto::fund_service_client::FundServiceClient;
use crate::proto::new_award::{Amount, Support};
use crate::proto::offer_service_client::OfferServiceClient;
use crate::proto::{
    AcceptOfferRequest, Acceptor, AllocateFundRequest, AssignOfferRequest, Award, BookDaysRequest, CloseOfferRequest,
    ContactOffersRequest, ContactedOffer, CreateAwardsRequest, CreateFundRequest, CreditSupport, DrawAwardRequest,
    Fund, GetFundPositionRequest, GiveApprovalRequest, LeaderKind, ListApprovalsRequest, ListFundsRequest,
    ListOffersRequest, MoveFundsRequest, NewAward, NleSupport, NlgSupport, NpqelSupport, Offer, Outcome, Party,
    StartOfferRequest, Unit, VerifyLedgerRequest, draw_award_request,
};

/// A multi-academy trust of the samples, which has its own offer and is the partner of a school.
const TRUST: i32 = 90_001;

/// The funds that later steps of the demo use.
pub(super) struct DemoFunds {
    /// The fund that pays the school's credit.
    credit: Fund,
}

impl Story {
    /// Creates the funds and allocates money to them.
    pub(super) async fn funds(&mut self) -> DemoResult<DemoFunds> {
        heading("Funds: the money that can be awarded")?;
        let (credit, nlg) = (self.create_fund("credit").await?, self.create_fund("nlg").await?);
        let npqel = self.create_fund("npqel").await?;
        let mut client = FundServiceClient::new(self.channel.clone());
        let allocate = |fund: &Fund, amount_pence: i64| AllocateFundRequest {
            request_id: request_id(),
            fund: fund.fund.clone(),
            amount_pence,
            date: "2021-09-06".to_owned(),
            ..Default::default()
        };
        let answer = client.allocate_fund(by("finance", allocate(&credit, 4_000_000))).await?.into_inner();
        say(&format!("one person may allocate £40,000: {}", fund_line(&answer.fund.unwrap_or_default())))?;
        expect_refusal(client.allocate_fund(by("finance", allocate(&nlg, 6_000_000))).await, Code::FailedPrecondition)?;
        let mut approvals = ApprovalServiceClient::new(self.channel.clone());
        let mine = ListApprovalsRequest { waiting_for_me: true, ..Default::default() };
        let waiting = approvals.list_approvals(request_of("approver", "finance-approver", mine)).await?.into_inner();
        let approval = waiting.approvals.into_iter().next().ok_or("there is no approval")?.approval;
        let give = GiveApprovalRequest { request_id: request_id(), approval, ..Default::default() };
        let given = approvals.give_approval(request_of("approver", "finance-approver", give)).await?.into_inner();
        for fund in &given.funds {
            say(&format!("the second person approved: {}", fund_line(fund)))?;
        }
        let virement = MoveFundsRequest {
            request_id: request_id(),
            from_fund: nlg.fund,
            to_fund: npqel.fund,
            amount_pence: 1_000_000,
            date: "2021-09-07".to_owned(),
            ..Default::default()
        };
        client.move_funds(by("finance", virement)).await?;
        say("then £10,000 moved from nlg to npqel, both sides in one event")?;
        self.list_funds().await?;
        Ok(DemoFunds { credit })
    }

    /// Creates the national fund of a strand.
    async fn create_fund(&mut self, strand: &str) -> DemoResult<Fund> {
        let (request_id, programme, strand) = (request_id(), PROGRAMME.to_owned(), strand.to_owned());
        let request = CreateFundRequest { request_id, programme, strand, ..Default::default() };
        let mut client = FundServiceClient::new(self.channel.clone());
        let made = client.create_fund(by("finance", request)).await?.into_inner();
        made.fund.ok_or_else(|| "no fund was made".into())
    }

    async fn list_funds(&mut self) -> DemoResult<()> {
        let request = ListFundsRequest { programme: PROGRAMME.to_owned(), ..Default::default() };
        let mut client = FundServiceClient::new(self.channel.clone());
        let funds = client.list_funds(by("reader", request)).await?.into_inner().funds;
        funds.iter().try_for_each(|fund| say(&fund_line(fund)))
    }

    /// Supports the school: makes awards, shows a refusal, delivers days, and pays a claim.
    pub(super) async fn school(&mut self, offer: &Offer) -> DemoResult<()> {
        heading("Awards: days and credit, all or nothing")?;
        let (leader, organisation) = ("nle-114".to_owned(), "Alderquill Trust".to_owned());
        let nle = NleSupport { leader, organisation, leader_kind: LeaderKind::NationalLeader.into() };
        let credit = |pence: i64| {
            let suitable_because = "three schools nearby, all good".to_owned();
            new_award(
                Amount::AmountPence(pence),
                Support::Credit(CreditSupport { partner_uid: TRUST, suitable_because }),
            )
        };
        let days = new_award(Amount::HalfDays(5), Support::Nle(nle));
        let made = self.award(&offer.offer, vec![days, credit(400_000)], "2021-10-04").await?;
        made.iter().try_for_each(|award| say(&award_line(award)))?;
        let [days_award, credit_award] = made.as_slice() else { return Err("two awards were asked for".into()) };

        heading("A refusal names every limit")?;
        let more = create_awards_request(&offer.offer, vec![credit(3_700_000)], "2021-10-05");
        let mut client = AwardServiceClient::new(self.channel.clone());
        expect_refusal(client.create_awards(by("case-officer", more)).await, Code::FailedPrecondition)?;

        heading("Delivery and a claim")?;
        self.start(&offer.offer, "2021-10-11").await?;
        self.assign(&offer.offer, "delivery-partner").await?;
        let book = BookDaysRequest {
            request_id: request_id(),
            award: days_award.award.clone(),
            half_days: 2,
            date: "2021-11-15".to_owned(),
            ..Default::default()
        };
        let booking = client.book_days(by("delivery-partner", book)).await?.into_inner().booking;
        say(&format!("booked 1 day for 2021-11-15: booking {booking}"))?;
        let deliver = DrawAwardRequest {
            request_id: request_id(),
            award: days_award.award.clone(),
            booking,
            date: "2021-11-15".to_owned(),
            ..Default::default()
        };
        let delivered = client.draw_award(by("delivery-partner", deliver)).await?.into_inner().award;
        say(&format!("delivered: {}", award_line(&delivered.unwrap_or_default())))?;
        let claim = DrawAwardRequest {
            request_id: request_id(),
            award: credit_award.award.clone(),
            amount: Some(draw_award_request::Amount::AmountPence(125_050)),
            date: "2021-12-06".to_owned(),
            ..Default::default()
        };
        let claimed = client.draw_award(by("finance", claim)).await?.into_inner().award;
        say(&format!("a claim paid: {}", award_line(&claimed.unwrap_or_default())))
    }

    async fn award(&mut self, offer: &str, awards: Vec<NewAward>, date: &str) -> DemoResult<Vec<Award>> {
        let mut client = AwardServiceClient::new(self.channel.clone());
        Ok(client
            .create_awards(by("case-officer", create_awards_request(offer, awards, date)))
            .await?
            .into_inner()
            .awards)
    }

    async fn start(&mut self, offer: &str, date: &str) -> DemoResult<()> {
        let (request_id, offer) = (request_id(), offer.to_owned());
        let request = StartOfferRequest { request_id, offer, date: date.to_owned(), ..Default::default() };
        let mut client = OfferServiceClient::new(self.channel.clone());
        client.start_offer(by("case-officer", request)).await?;
        say(&format!("delivery started on {date}"))
    }

    async fn assign(&mut self, offer: &str, to: &str) -> DemoResult<()> {
        let (request_id, offer, assignee) = (request_id(), offer.to_owned(), to.to_owned());
        let request = AssignOfferRequest { request_id, offer, assignee, ..Default::default() };
        let mut client = OfferServiceClient::new(self.channel.clone());
        client.assign_offer(by("case-officer", request)).await?;
        say(&format!("assigned to {to}, who sees no other offer"))
    }

    /// Supports a trust with governance and the qualification. Shows that an invoice cannot be paid twice, even if its reference is
    /// written in another way.
    pub(super) async fn trust(&mut self) -> DemoResult<()> {
        heading("Governance and the qualification, for a trust")?;
        let offer = self.accept_trust_offer().await?;
        let because = || "a new board, and a first trust".to_owned();
        let (leader, organisation) = ("nlg-12".to_owned(), "Alderquill Trust".to_owned());
        let nlg = Support::Nlg(NlgSupport { because: because(), leader, organisation });
        let nlg = new_award(Amount::AmountPence(300_000), nlg);
        let (leader, provider) = ("ceo-7".to_owned(), "ambition institute".to_owned());
        let npqel = Support::Npqel(NpqelSupport { leader, provider, because: because() });
        let npqel = new_award(Amount::AmountPence(400_000), npqel);
        let made = self.award(&offer, vec![nlg, npqel], "2021-11-01").await?;
        made.iter().try_for_each(|award| say(&award_line(award)))?;
        let npqel_award = made.into_iter().nth(1).ok_or("two awards were asked for")?;
        self.start(&offer, "2021-11-08").await?;
        let mut client = AwardServiceClient::new(self.channel.clone());
        let pay = |invoice: &str| DrawAwardRequest {
            request_id: request_id(),
            award: npqel_award.award.clone(),
            amount: Some(draw_award_request::Amount::AmountPence(200_000)),
            date: "2022-01-17".to_owned(),
            invoice: invoice.to_owned(),
            ..Default::default()
        };
        let paid = client.draw_award(by("finance", pay("INV-2022/17"))).await?.into_inner().award.unwrap_or_default();
        let reference = paid.invoices.first().map(|it| it.reference.clone()).unwrap_or_default();
        say(&format!("invoice {reference} paid: {}", award_line(&paid)))?;
        expect_refusal(client.draw_award(by("finance", pay("inv 2022 17"))).await, Code::FailedPrecondition)
    }

    /// Records that the trust was contacted and has accepted its offer. Returns the id of the offer.
    async fn accept_trust_offer(&mut self) -> DemoResult<String> {
        let mut client = OfferServiceClient::new(self.channel.clone());
        let search = TRUST.to_string();
        let request = ListOffersRequest { programme: PROGRAMME.to_owned(), search, ..Default::default() };
        let listed = client.list_offers(by("reader", request)).await?.into_inner().offers;
        let Offer { offer, name, .. } = listed.into_iter().next().ok_or("the trust has no offer")?;
        let contact = ContactOffersRequest {
            request_id: request_id(),
            offers: vec![ContactedOffer { offer: offer.clone(), ..Default::default() }],
            party: Party::ResponsibleBody.into(),
            date: "2021-10-18".to_owned(),
            ..Default::default()
        };
        client.contact_offers(by("case-officer", contact)).await?;
        let accept = AcceptOfferRequest {
            request_id: request_id(),
            offer: offer.clone(),
            acceptor: Acceptor::Trust.into(),
            date: "2021-10-25".to_owned(),
            ..Default::default()
        };
        client.accept_offer(by("case-officer", accept)).await?;
        say(&format!("{name} accepted on 2021-10-25"))?;
        Ok(offer)
    }

    /// Closes the school's offer, which releases what was not drawn.
    pub(super) async fn close(&mut self, offer: &Offer) -> DemoResult<()> {
        heading("Closing gives back what was not drawn")?;
        let close = CloseOfferRequest {
            request_id: request_id(),
            offer: offer.offer.clone(),
            outcome: Outcome::Completed.into(),
            date: "2022-07-22".to_owned(),
            ..Default::default()
        };
        let mut client = OfferServiceClient::new(self.channel.clone());
        let closed = client.close_offer(by("case-officer", close)).await?.into_inner();
        say(&format!("{} is completed", offer.name))?;
        closed.released.iter().try_for_each(|it| {
            say(&format!("  {} of the {} award given back", amount(it.unit(), it.amount), it.strand))
        })
    }

    /// Prints what finance sees: the positions of the credit fund as of several days, all funds, and the verification of the record.
    pub(super) async fn finance(&mut self, funds: &DemoFunds) -> DemoResult<()> {
        heading("What finance sees")?;
        let mut client = FundServiceClient::new(self.channel.clone());
        for day in ["2021-10-31", "2022-03-31", "2022-08-31"] {
            let fund = funds.credit.fund.clone();
            let request = GetFundPositionRequest { fund, as_of_date: day.to_owned(), ..Default::default() };
            let answer = client.get_fund_position(by("finance", request)).await?.into_inner();
            let position = answer.position.unwrap_or_default();
            let [allocated, committed, spent, available] =
                [position.allocated, position.committed, position.spent, position.available].map(pounds);
            say(&format!(
                "credit as of {day}: {allocated} allocated, {committed} committed, {spent} spent, {available} available"
            ))?;
        }
        self.list_funds().await?;
        let mut client = FinanceServiceClient::new(self.channel.clone());
        let request = VerifyLedgerRequest { programme: PROGRAMME.to_owned(), ..Default::default() };
        let report = client.verify_ledger(by("finance", request)).await?.into_inner();
        for record in &report.books {
            say(&format!(
                "verified by the server: {} events and {} entries recomputed, {} differences",
                record.sequence, record.entries, record.difference_count
            ))?;
        }
        if report.sound { Ok(()) } else { Err(Failure::from("the ledger is not sound")) }
    }
}

const fn new_award(amount: Amount, support: Support) -> NewAward {
    NewAward { amount: Some(amount), support: Some(support) }
}

fn create_awards_request(offer: &str, awards: Vec<NewAward>, date: &str) -> CreateAwardsRequest {
    let (request_id, offer, date) = (request_id(), offer.to_owned(), date.to_owned());
    CreateAwardsRequest { request_id, offer, awards, date, ..Default::default() }
}

fn pounds(pence: i64) -> String {
    shown(Some("pence"), pence)
}

fn amount(unit: Unit, amount: i64) -> String {
    shown(name(unit.as_str_name(), "UNIT_").as_deref(), amount)
}

fn award_line(award: &Award) -> String {
    let unit = award.unit();
    let [awarded, drawn, committed] = [award.awarded, award.drawn, award.committed].map(|it| amount(unit, it));
    format!("{}: {awarded} awarded, {drawn} drawn, {committed} still committed", award.strand)
}

fn fund_line(fund: &Fund) -> String {
    let [allocated, committed, spent, available] =
        [fund.allocated, fund.committed, fund.spent, fund.available].map(pounds);
    let binds = if fund.binds { "" } else { " (counted, not limited)" };
    format!(
        "fund {}: {allocated} allocated, {committed} committed, {spent} spent, {available} available{binds}",
        fund.strand
    )
}
