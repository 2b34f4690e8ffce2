//! Lists of awards, referrals, approvals and imports: filtered, in creation order or reversed, with two items on a
//! page. Also funds, which have one order.

use std::fmt::Debug;

use prost_types::Timestamp;
use tonic::Status;
use tsio::proto::referral_service_client::ReferralServiceClient;
use tsio::proto::{
    Approval, ApprovalState, Award, AwardState, DenyApprovalRequest, Fund, GiveApprovalRequest, Import, ImportKind,
    ImportState, ListApprovalsRequest, ListApprovalsResponse, ListAwardsRequest, ListFundsRequest, ListImportsRequest,
    ListOfferEventsRequest, ListReferralsRequest, OfferEvent, Outcome, Referral, ReferralOrigin, ReferralState,
    ReopenOfferRequest, WithdrawFundRequest,
};

use super::wrong_fields;
use crate::authentication::{as_role, call};
use crate::client::{Client, YEAR, fresh, offer_of_school};
use crate::harness::{Db, Server, both};
use crate::money::{Quantity, credit, nle, refusal};
use crate::samples::{
    AUGUST, REGISTER_AUGUST, SEPTEMBER, as_person, import_all, numbers, run_ok, start_with_august, text,
};

both!(
    awards_are_filtered_and_ordered,
    referrals_are_filtered_and_ordered,
    approvals_are_filtered_and_ordered,
    imports_are_filtered_and_ordered,
    events_are_filtered_and_ordered,
    funds_are_filtered,
);

/// Says whether an item matches a filter.
type Matches<T> = Box<dyn Fn(&T) -> bool>;

/// Filters, each with the predicate that it must agree with.
struct FilterCases<T>(Vec<(String, Matches<T>)>);

impl<T> FilterCases<T> {
    const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a filter and its predicate.
    fn says(mut self, filter: impl Into<String>, holds: impl Fn(&T) -> bool + 'static) -> Self {
        self.0.push((filter.into(), Box::new(holds)));
        self
    }
}

/// The page size.
const TWO: i32 = 2;

/// Reads all pages of a list.
async fn walk<T>(what: &str, ask: impl AsyncFn(String) -> Result<(Vec<T>, String), Status>) -> Vec<T> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let (page, next) = ask(token).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(page.len() <= usize::try_from(TWO).unwrap());
        all.extend(page);
        if next.is_empty() {
            return all;
        }
        token = next;
    }
}

/// Checks each filter in each order against its predicate; `list` reads all pages. The first order is that of `all`.
async fn check_filters<T: Clone + PartialEq + Debug>(
    all: &[T],
    orders: &[&str],
    rows: FilterCases<T>,
    list: impl AsyncFn(String, String) -> Vec<T>,
) {
    for (filter, holds) in rows.0 {
        let mut expected: Vec<T> = all.iter().filter(|it| holds(it)).cloned().collect();
        assert!((1..all.len()).contains(&expected.len()), "{filter} selects all or none: {}", expected.len());
        assert_eq!(list(filter.clone(), String::new()).await, expected, "{filter}");
        for order in orders {
            assert_eq!(list(filter.clone(), (*order).to_owned()).await, expected, "{filter} by {order}");
            expected.reverse();
        }
    }
}

/// A time as a filter names it.
fn instant(it: Timestamp) -> String {
    chrono::DateTime::from_timestamp(it.seconds, u32::try_from(it.nanos).unwrap()).unwrap().to_rfc3339()
}

/// Whether the first time is after the other.
fn later(one: Option<Timestamp>, other: Timestamp) -> bool {
    one.is_some_and(|one| (one.seconds, one.nanos) > (other.seconds, other.nanos))
}

async fn awards(client: &Client, filter: &str, order_by: &str) -> Vec<Award> {
    let (programme, filter, order_by) = (YEAR.to_owned(), filter.to_owned(), order_by.to_owned());
    let first = ListAwardsRequest { programme, filter, order_by, page_size: TWO, ..Default::default() };
    let ask = async |page_token| {
        let request = ListAwardsRequest { page_token, ..first.clone() };
        let page = client.award_service().list_awards(client.ask(request)).await?.into_inner();
        Ok((page.awards, page.next_page_token))
    };
    walk(&first.filter, ask).await
}

async fn awards_are_filtered_and_ordered(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let (one, two) = (offer_of_school(&offers, 910_001), offer_of_school(&offers, 910_002));
    let fund = client.create_fund_with(YEAR, "credit", 900_000).await;
    for offer in [one, two] {
        client.accept_offer(offer).await;
    }
    let award = client.create_award(&one.offer, credit(400_000)).await;
    client.create_award(&two.offer, credit(300_000)).await;
    client.named("b.officer-2").create_award(&one.offer, nle(2)).await;
    client.start(&one.offer).await.unwrap();
    client.draw(&award, Quantity::Pence(3_000), &fresh()).await.unwrap();
    client.refund(&award, Quantity::Pence(300)).await.unwrap();
    client.release(&award, Some(Quantity::Pence(500))).await.unwrap();
    client.close(&two.offer, Outcome::Withdrawn).await.unwrap();
    let all = awards(&client, "", "").await;
    let amounts: Vec<[i64; 5]> =
        all.iter().map(|it| [it.awarded, it.drawn, it.released, it.refunded, it.committed]).collect();
    assert_eq!(amounts, [[400_000, 3_000, 500, 300, 396_500], [300_000, 0, 300_000, 0, 0], [2, 0, 0, 0, 2]]);
    let (offer, second, days_fund) = (one.offer.clone(), all[1].clone(), all[2].fund.clone());
    let rows = FilterCases::<Award>::new()
        .says(format!("offer = {offer}"), move |it| it.offer == offer)
        .says("strand = credit", |it| it.strand == "credit")
        .says("NOT strand = credit", |it| it.strand != "credit")
        .says("state = SETTLED", |it| it.state() == AwardState::Settled)
        .says("state != AWARD_STATE_SETTLED", |it| it.state() != AwardState::Settled)
        .says("awarded >= 300000", |it| it.awarded >= 300_000)
        .says("drawn > 0", |it| it.drawn > 0)
        .says("released = 500", |it| it.released == 500)
        .says("refunded != 0", |it| it.refunded != 0)
        .says("committed <= 50000 AND state = OPEN", |it| it.committed == 2)
        .says(format!("fund = {days_fund}"), move |it| it.fund == days_fund)
        .says(format!("fund != {fund}"), move |it| it.fund != fund)
        .says("awarded_by = b.officer-2", |it| it.awarded_by == "b.officer-2")
        .says("awarded_by != b.officer-2 AND drawn = 0", move |it| it.award == second.award);
    check_filters(&all, &["award", "award desc"], rows, async |filter, order| awards(&client, &filter, &order).await)
        .await;
    for (filter, count) in [(format!("date = {}", all[0].date), 3), (format!("date < {}", all[0].date), 0)] {
        assert_eq!(awards(&client, &filter, "").await.len(), count, "{filter}");
    }
    let listed = run_ok(&server, &["awards", "list", "--filter", "strand = credit", "--order-by", "award desc"]);
    let listed: Vec<String> = listed.as_array().unwrap().iter().map(|it| text(it, "award")).collect();
    assert_eq!(listed, [all[1].award.clone(), all[0].award.clone()]);
}

async fn referrals(client: &Client, filter: &str, order_by: &str) -> Vec<Referral> {
    let (programme, filter, order_by) = (YEAR.to_owned(), filter.to_owned(), order_by.to_owned());
    let first = ListReferralsRequest { programme, filter, order_by, page_size: TWO, ..Default::default() };
    let ask = async |page_token| {
        let request = ListReferralsRequest { page_token, ..first.clone() };
        let page = ReferralServiceClient::new(client.channel()).list_referrals(client.ask(request)).await?.into_inner();
        Ok((page.referrals, page.next_page_token))
    };
    walk(&first.filter, ask).await
}

async fn referrals_are_filtered_and_ordered(db: Db) {
    let server = start_with_august(&db);
    let raise = |actor, on, words: &[&str]| {
        let words = [&["referrals", "raise", "--on", on, "--because", "a letter"][..], words].concat();
        text(&run_ok(&server, &as_person(actor, "case-officer", &words)), "referral")
    };
    let own = ["--origin", "self-identified", "--ground", "would_benefit"];
    let first = raise("ann", "2021-11-02", &[&["--urn", "910030"][..], &own].concat());
    let covid = ["--origin", "exceptional", "--ground", "covid_disruption"];
    raise("ben", "2022-01-24", &[&["--uid", "90001", "--urn", "910048", "--urn", "910045"][..], &covid].concat());
    let last = raise("ann", "2022-01-25", &[&["--urn", "910041"][..], &own].concat());
    let by_ann = |words: &[&str]| run_ok(&server, &as_person("ann", "case-officer", words));
    by_ann(&["referrals", "discuss", &first, "--on", "2021-11-09", "--note", "by telephone"]);
    let approve = ["referrals", "approve", &first, "--on", "2021-11-12", "--because", "it helps"];
    let offer = text(&run_ok(&server, &as_person("dora", "regional-director", &approve)), "offer");
    by_ann(&["referrals", "withdraw", &last, "--because", "not now"]);

    let client = Client::of(&server).await;
    let all = referrals(&client, "", "").await;
    assert_eq!(all.iter().map(|it| it.urns.len()).collect::<Vec<_>>(), [1, 2, 1], "the newest first");
    assert_eq!(all[2].exceptional_urns, [910_030]);
    let region = all[1].region.clone();
    assert!(all.iter().any(|it| it.region != region), "{all:?}");
    let rows = FilterCases::<Referral>::new()
        .says("uid = 90001", |it| it.uid == 90_001)
        .says("uid != 90001", |it| it.uid != 90_001)
        .says("urns : 910045", |it| it.urns.contains(&910_045))
        .says("urns : 910048", |it| it.urns.contains(&910_048))
        .says("NOT urns : 910030", |it| !it.urns.contains(&910_030))
        .says(format!("region = \"{region}\""), move |it| it.region == region)
        .says("origin = SELF_IDENTIFIED", |it| it.origin() == ReferralOrigin::SelfIdentified)
        .says("ground = covid_disruption", |it| it.ground == "covid_disruption")
        .says("state = OPEN", |it| it.state() == ReferralState::Open)
        .says("state = APPROVED OR state = REFERRAL_STATE_WITHDRAWN", |it| it.state() != ReferralState::Open)
        .says("raised_by = ben", |it| it.raised_by == "ben")
        .says("raise_date > 2021-11-02", |it| it.raise_date.as_str() > "2021-11-02")
        .says("decided_by = dora", |it| it.decided_by == "dora")
        .says("decided_by = \"\"", |it| it.decided_by.is_empty())
        .says("decide_date <= 2021-11-12", |it| !it.decide_date.is_empty())
        .says("decide_date != 2021-11-12", |it| it.decide_date.is_empty())
        .says(format!("offer = {offer}"), move |it| it.offer == offer)
        .says("offer = \"\"", |it| it.offer.is_empty())
        .says("exceptional_urns : 910030", |it| it.exceptional_urns.contains(&910_030))
        .says("NOT exceptional_urns : 910030", |it| !it.exceptional_urns.contains(&910_030));
    let orders = ["referral desc", "referral"];
    check_filters(&all, &orders, rows, async |filter, order| referrals(&client, &filter, &order).await).await;
    // A filter finds nothing outside the regions of its caller.
    let broad = ["referrals", "list", "--filter", "region = \"West Midlands\" OR state != OPEN"];
    let seen = |region: &str| {
        let words = [&["--regions", region][..], &broad].concat();
        run_ok(&server, &as_person("eve", "reader", &words)).as_array().unwrap().len()
    };
    assert_eq!((seen("West Midlands"), seen(&all[0].region), seen("North of England")), (2, 1, 0));
    // A part of a URN does not match.
    for part in ["urns : 91004", "urns : 10045", "urns : 1", "exceptional_urns : 91003"] {
        assert_eq!(referrals(&client, part, "").await, [], "{part}");
    }
    let words = ["referrals", "list", "--filter", "raised_by = ann", "--order-by", "referral"];
    let listed = run_ok(&server, &words);
    let listed: Vec<String> = listed.as_array().unwrap().iter().map(|it| text(it, "referral")).collect();
    assert_eq!(listed, [first, last]);
}

async fn approvals(client: &Client, filter: &str, order_by: &str) -> Vec<Approval> {
    let (filter, order_by, include_closed) = (filter.to_owned(), order_by.to_owned(), true);
    let first = ListApprovalsRequest { include_closed, filter, order_by, page_size: TWO, ..Default::default() };
    let ask = async |page_token| {
        let request = ListApprovalsRequest { page_token, ..first.clone() };
        let page = client.approval_service().list_approvals(client.ask(request)).await?.into_inner();
        Ok((page.approvals, page.next_page_token))
    };
    walk(&first.filter, ask).await
}

async fn approvals_are_filtered_and_ordered(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let (fund, other) = (client.create_fund(YEAR, "credit", "").await, client.create_fund(YEAR, "nlg", "").await);
    let approval_of = |refused: Status| refusal(&refused).approval;
    let to_give = approval_of(client.allocate(&fund, 6_000_000, &fresh()).await.unwrap_err());
    let denied = approval_of(client.named("ann").allocate(&other, 7_000_000, &fresh()).await.unwrap_err());
    let offer = offers[0].offer.clone();
    client.close(&offer, Outcome::Withdrawn).await.unwrap();
    let (request_id, reason) = (fresh(), "a mistake".to_owned());
    let reopen = ReopenOfferRequest { request_id, offer: offer.clone(), reason, ..Default::default() };
    client.offers().reopen_offer(client.ask(reopen)).await.unwrap_err();
    let bob = client.named("bob");
    let give = GiveApprovalRequest { request_id: fresh(), approval: to_give, ..Default::default() };
    bob.approval_service().give_approval(bob.ask(give)).await.unwrap();
    let (request_id, reason) = (fresh(), "not this year".to_owned());
    let deny = DenyApprovalRequest { request_id, approval: denied, reason, ..Default::default() };
    bob.approval_service().deny_approval(bob.ask(deny)).await.unwrap();

    let all = approvals(&client, "", "").await;
    let actions: Vec<&str> = all.iter().map(|it| it.action.as_str()).collect();
    assert_eq!(actions, ["reopen_offer", "allocate_fund", "allocate_fund"], "the newest first");
    let middle = all[1].request_time.unwrap();
    let rows = FilterCases::<Approval>::new()
        .says("action = reopen_offer", |it| it.action == "reopen_offer")
        .says("NOT action = reopen_offer", |it| it.action != "reopen_offer")
        .says(format!("subject = {fund}"), move |it| it.subject == fund)
        .says(format!("subject != {offer}"), move |it| it.subject != offer)
        .says("state = OPEN", |it| it.state() == ApprovalState::Open)
        .says("state = CARRIED_OUT", |it| it.state() == ApprovalState::CarriedOut)
        .says("state != APPROVAL_STATE_DENIED", |it| it.state() != ApprovalState::Denied)
        .says("requested_by = ann", |it| it.requested_by == "ann")
        .says(format!("request_time > {}", instant(middle)), move |it| later(it.request_time, middle))
        .says(format!("request_time <= {}", instant(middle)), move |it| !later(it.request_time, middle))
        .says("given_by = bob", |it| it.given_by == "bob")
        .says("given_by = \"\"", |it| it.given_by.is_empty())
        .says("given_by != bob", |it| it.given_by != "bob");
    let orders = ["approval desc", "approval"];
    check_filters(&all, &orders, rows, async |filter, order| approvals(&client, &filter, &order).await).await;
    let words = ["approvals", "list", "--all", "--filter", "action = allocate_fund", "--order-by", "approval"];
    let listed = run_ok(&server, &words);
    let listed: Vec<String> = listed.as_array().unwrap().iter().map(|it| text(it, "approval")).collect();
    assert_eq!(listed, [all[2].approval.clone(), all[1].approval.clone()]);
    // Closed approvals are not listed by default.
    let open = ListApprovalsRequest { filter: "state = DENIED".to_owned(), ..Default::default() };
    let open = client.approval_service().list_approvals(client.ask(open)).await.unwrap().into_inner();
    assert_eq!(open.approvals, []);
    // A filter shows no hidden approval, and no approval as waiting for its own requester.
    let filter = "state = OPEN OR state != OPEN".to_owned();
    let broad = ListApprovalsRequest { include_closed: true, filter: filter.clone(), ..Default::default() };
    let answer =
        call(&client.channel(), "ApprovalService/ListApprovals", as_role("reader", None, broad)).await.unwrap();
    assert_eq!(<ListApprovalsResponse as prost::Message>::decode(answer[0].clone()).unwrap().approvals, []);
    let waiting = ListApprovalsRequest { waiting_for_me: true, filter, ..Default::default() };
    for (who, count) in [(&client, 0), (&bob, 1)] {
        let answer = who.approval_service().list_approvals(who.ask(waiting.clone())).await.unwrap().into_inner();
        assert_eq!(answer.approvals.len(), count, "{answer:?}");
    }
}

async fn imports(client: &Client, filter: &str, order_by: &str) -> Vec<Import> {
    let (filter, order_by) = (filter.to_owned(), order_by.to_owned());
    let first = ListImportsRequest { filter, order_by, page_size: TWO, ..Default::default() };
    let ask = async |page_token| {
        let request = ListImportsRequest { page_token, ..first.clone() };
        let page = client.register_service().list_imports(client.ask(request)).await?.into_inner();
        Ok((page.imports, page.next_page_token))
    };
    walk(&first.filter, ask).await
}

async fn imports_are_filtered_and_ordered(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST, SEPTEMBER]);
    let client = Client::of(&server).await;
    let latest = imports(&client, "", "").await.remove(0);
    let (request_id, reason) = (fresh(), "the wrong month".to_owned());
    let withdraw = tsio::proto::WithdrawImportRequest {
        request_id,
        import_id: latest.import_id.clone(),
        reason,
        ..Default::default()
    };
    let approval =
        refusal(&client.register_service().withdraw_import(client.ask(withdraw)).await.unwrap_err()).approval;
    let bob = client.named("bob");
    let give = GiveApprovalRequest { request_id: fresh(), approval, ..Default::default() };
    bob.approval_service().give_approval(bob.ask(give)).await.unwrap();

    let all = imports(&client, "", "").await;
    assert_eq!((all.len(), all[0].file_name.as_str()), (REGISTER_AUGUST.len() + 2, latest.file_name.as_str()));
    let (name, rows_there, middle) = (all[1].file_name.clone(), all[1].rows, all[2].imported_time.unwrap());
    let withdrawn_by = all[0].withdrawn_by.clone();
    let rows = FilterCases::<Import>::new()
        .says("kind = OFSTED", |it| it.kind() == ImportKind::Ofsted)
        .says("kind != IMPORT_KIND_OFSTED", |it| it.kind() != ImportKind::Ofsted)
        .says("as_at >= 2021-09-01", |it| it.as_at.as_str() >= "2021-09-01")
        .says("state = LANDED", |it| it.state() == ImportState::Landed)
        .says("state = WITHDRAWN", |it| it.state() == ImportState::Withdrawn)
        .says(format!("file_name = \"{name}\""), move |it| it.file_name == name)
        .says(format!("rows >= {rows_there}"), move |it| it.rows >= rows_there)
        .says(format!("accepted < {rows_there}"), move |it| it.accepted < rows_there)
        .says(format!("imported_time > {}", instant(middle)), move |it| later(it.imported_time, middle))
        .says("withdrawn_by = \"\"", |it| it.withdrawn_by.is_empty())
        .says(format!("withdrawn_by = {withdrawn_by}"), |it| !it.withdrawn_by.is_empty());
    let orders = ["import_id desc", "import_id"];
    check_filters(&all, &orders, rows, async |filter, order| imports(&client, &filter, &order).await).await;
    let by = format!("imported_by = {}", all[0].imported_by);
    assert_eq!(imports(&client, &by, "").await, all, "{by}");
    assert_eq!(imports(&client, "imported_by = nobody", "").await, []);
    let words = ["import", "list", "--filter", "kind = OFSTED", "--order-by", "import_id"];
    let listed = run_ok(&server, &words);
    let listed: Vec<String> = listed.as_array().unwrap().iter().map(|it| text(it, "import_id")).collect();
    assert_eq!(listed, [all[1].import_id.clone(), all[0].import_id.clone()]);
}

async fn events(client: &Client, offer: &str, filter: &str, order_by: &str) -> Vec<OfferEvent> {
    let (offer, filter, order_by) = (offer.to_owned(), filter.to_owned(), order_by.to_owned());
    let first = ListOfferEventsRequest { offer, filter, order_by, page_size: TWO, ..Default::default() };
    let ask = async |page_token| {
        let request = ListOfferEventsRequest { page_token, ..first.clone() };
        let page = client.offers().list_offer_events(client.ask(request)).await?.into_inner();
        Ok((page.events, page.next_page_token))
    };
    walk(&first.filter, ask).await
}

async fn events_are_filtered_and_ordered(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let [one, other] = [&offers[0], &offers[1]];
    client.accept_offer(one).await;
    client.note(&other.offer, "of another offer", &fresh()).await.unwrap();
    client.named("b.officer-2").note(&one.offer, "telephoned", &fresh()).await.unwrap();
    client.close(&one.offer, Outcome::Withdrawn).await.unwrap();
    let all = events(&client, &one.offer, "", "").await;
    assert!(all.is_sorted_by_key(|it| it.sequence) && all.len() >= 5, "{all:?}");
    let (day, middle) = (all[1].effective_date.clone(), all[2].clone());
    let (number, time) = (middle.sequence, middle.recorded_time.unwrap());
    let rows = FilterCases::<OfferEvent>::new()
        .says("kind = noted", |it| it.kind == "noted")
        .says("kind != noted", |it| it.kind != "noted")
        .says("actor = b.officer-2", |it| it.actor == "b.officer-2")
        .says(format!("sequence > {number}"), move |it| it.sequence > number)
        .says(format!("sequence <= {number} AND kind != contacted"), move |it| {
            it.sequence <= number && it.kind != "contacted"
        })
        .says(format!("recorded_time > {}", instant(time)), move |it| later(it.recorded_time, time))
        .says(format!("NOT effective_date = {day}"), move |it| it.effective_date != day);
    let orders = ["sequence", "sequence desc"];
    let list = async |filter: String, order: String| events(&client, &one.offer, &filter, &order).await;
    check_filters(&all, &orders, rows, list).await;
    assert_eq!(events(&client, &one.offer, "reason_code = \"\"", "").await, all);
    run_ok(&server, &["offers", "decline", &other.offer, "--reason", "no-capacity"]);
    let declined = events(&client, &other.offer, "NOT reason_code = \"\"", "").await;
    let codes: Vec<&str> = declined.iter().map(|it| it.reason_code.as_str()).collect();
    assert_eq!(codes, ["no_capacity"]);
    assert_eq!(events(&client, &other.offer, "reason_code = no_capacity", "").await, declined);
    let wrong = ListOfferEventsRequest {
        offer: "x".to_owned(),
        filter: "kind = telephoned".to_owned(),
        order_by: "kind".to_owned(),
        ..Default::default()
    };
    let refused = client.offers().list_offer_events(client.ask(wrong)).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["offer", "filter", "order_by"]);
    let words = ["offers", "events", &one.offer, "--filter", "NOT kind = noted", "--order-by", "sequence desc"];
    let listed = numbers(&run_ok(&server, &words), "sequence");
    let expected: Vec<i64> = all.iter().filter(|it| it.kind != "noted").map(|it| it.sequence).rev().collect();
    assert_eq!(listed, expected);
}

async fn funds(client: &Client, filter: &str) -> Vec<Fund> {
    let (programme, filter) = (YEAR.to_owned(), filter.to_owned());
    let first = ListFundsRequest { programme, filter, page_size: TWO, ..Default::default() };
    let ask = async |page_token| {
        let request = ListFundsRequest { page_token, ..first.clone() };
        let page = client.fund_service().list_funds(client.ask(request)).await?.into_inner();
        Ok((page.funds, page.next_page_token))
    };
    walk(&first.filter, ask).await
}

async fn funds_are_filtered(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    client.create_fund_with(YEAR, "credit", 900_000).await;
    let regional = client.create_fund(YEAR, "credit", "South-West England").await;
    client.allocate(&regional, 400_000, &fresh()).await.unwrap();
    client.create_fund_with(YEAR, "npqel", 5_000).await;
    let offer = offer_of_school(&offers, 910_001);
    client.accept_offer(offer).await;
    let award = client.create_award(&offer.offer, credit(300_000)).await;
    client.start(&offer.offer).await.unwrap();
    client.draw(&award, Quantity::Pence(1_000), &fresh()).await.unwrap();
    let all = funds(&client, "").await;
    let rows = FilterCases::<Fund>::new()
        .says("strand = credit", |it| it.strand == "credit")
        .says("region = \"South-West England\"", |it| it.region == "South-West England")
        .says("region = \"\" AND strand != nle", |it| it.region.is_empty() && it.strand != "nle")
        .says("binds = false", |it| !it.binds)
        .says("allocated >= 400000", |it| it.allocated >= 400_000)
        .says("committed > 0", |it| it.committed > 0)
        .says("spent = 1000", |it| it.spent == 1_000)
        .says("available < 600000 binds = true", |it| it.available < 600_000 && it.binds);
    check_filters(&all, &[], rows, async |filter, _| funds(&client, &filter).await).await;
    assert_eq!(funds(&client, "over_committed = true").await, []);
    assert_eq!(funds(&client, "over_committed = false").await, all);
    let charged = all.iter().find(|it| it.committed > 0).unwrap();
    let (ann, bob) = (client.named("ann"), client.named("bob"));
    let cut = WithdrawFundRequest {
        request_id: fresh(),
        fund: charged.fund.clone(),
        amount_pence: charged.available + 1,
        date: "2021-10-05".to_owned(),
        over_commit: true,
        ..Default::default()
    };
    let approval = refusal(&ann.fund_service().withdraw_fund(ann.ask(cut)).await.unwrap_err()).approval;
    let give = GiveApprovalRequest { request_id: fresh(), approval, ..Default::default() };
    bob.approval_service().give_approval(bob.ask(give)).await.unwrap();
    let over = funds(&client, "over_committed = true").await;
    assert_eq!(over.iter().map(|it| &it.fund).collect::<Vec<_>>(), [&charged.fund]);
    let listed = run_ok(&server, &["funds", "list", "--filter", "spent > 0"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
}
