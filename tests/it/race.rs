//! Makes concurrent calls for the rest of a limit, and calls that exclude each other. Checks that exactly those succeed for
//! which the limit has enough.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use tonic::{Code, Status};
use tsio::proto::{
    AcceptOfferRequest, Acceptor, AllocateFundRequest, ContactOffersRequest, CreateAwardsRequest, CreateFundRequest,
    DrawAwardRequest, GiveApprovalRequest, Offer, OfferState, Outcome, Party, RecipientKind, StartOfferRequest,
    draw_award_request,
};

use crate::client::{Client, YEAR, contact, fresh, reason};
use crate::harness::{Db, Server, both, run};
use crate::money::{PROVIDER, Quantity, amounts, balances, credit, limit, nle, nlg, npqel, refusal};
use crate::raw_sql::verified_heads;

/// Concurrent calls for the last pound or the last half-day.
const CALLERS: usize = 200;
/// Connections that carry the calls.
const CONNECTIONS: usize = 4;

both!(
    the_last_pound,
    the_last_of_different_amounts,
    the_last_half_day,
    two_resolutions_of_one_commitment,
    draws_of_one_award,
    draws_race_a_close,
    one_of_two_approvers_gives_the_approval,
    one_of_many_equal_funds_is_created,
    an_invoice_in_two_programmes,
);

#[test]
fn the_last_pound_at_two_processes() {
    run(async {
        let db = Db::postgres();
        let servers = [Server::start(&db), Server::start(&db)];
        check_last_pound(&db, &servers).await;
    });
}

#[test]
fn the_last_half_day_at_two_processes() {
    run(async {
        let db = Db::postgres();
        let servers = [Server::start(&db), Server::start(&db)];
        check_last_half_day(&db, &servers).await;
    });
}

async fn the_last_pound(db: Db) {
    let servers = [Server::start(&db)];
    check_last_pound(&db, &servers).await;
}

async fn the_last_half_day(db: Db) {
    let servers = [Server::start(&db)];
    check_last_half_day(&db, &servers).await;
}

/// Opens the connections, on the servers in turn.
async fn connections(servers: &[Server]) -> Vec<Client> {
    let mut clients = Vec::new();
    for n in 0..CONNECTIONS {
        clients.push(Client::of(&servers[n % servers.len()]).await);
    }
    clients
}

/// Returns the offers to recipients of this kind.
pub(crate) fn of_kind(offers: &[Offer], kind: RecipientKind) -> Vec<Offer> {
    offers.iter().filter(|it| it.recipient_kind() == kind).cloned().collect()
}

/// Makes the offers of August, accepts the 5 offers to trusts, and returns these.
async fn accept_trust_offers(client: &Client) -> Vec<Offer> {
    let offers = of_kind(&client.seed().await, RecipientKind::Mat);
    for offer in &offers {
        client.accept_offer(offer).await;
    }
    assert_eq!(offers.len(), 5);
    offers
}

/// The fund has £389.73, and each call awards £7.77. So 50 calls succeed (£388.50), and each refusal states that £1.23 is left.
async fn check_last_pound(db: &Db, servers: &[Server]) {
    const FUND: i64 = 38_973;
    const EACH: i64 = 777;
    const SUCCESSES: usize = 50;
    const REST: i64 = 123;
    let clients = connections(servers).await;
    let offers = accept_trust_offers(&clients[0]).await;
    let fund = clients[0].create_fund_with(YEAR, "nlg", FUND).await;
    let ids: Vec<String> = (0..CALLERS).map(|_| fresh()).collect();
    let calls = ids.iter().enumerate().map(|(n, id)| {
        let offer = &offers[n % offers.len()].offer;
        clients[n % CONNECTIONS].award(offer, vec![nlg(EACH)], id)
    });
    let answers = join_all(calls).await;
    let refused: Vec<&Status> = answers.iter().filter_map(|it| it.as_ref().err()).collect();
    assert_eq!((answers.len() - refused.len(), refused.len()), (SUCCESSES, CALLERS - SUCCESSES));
    for status in refused {
        assert_eq!((status.code(), reason(status).as_str()), (Code::FailedPrecondition, "FUNDS_INSUFFICIENT"));
        let limit = limit(status, "fund");
        let numbers = [limit.limit, limit.committed, limit.spent, limit.available, limit.requested, limit.largest];
        assert_eq!(numbers, [FUND, FUND - REST, 0, REST, EACH, REST].map(Some));
        assert_eq!(refusal(status).largest, Some(REST));
    }
    assert_eq!(balances(&clients[0].fund(&fund).await), [FUND, FUND - REST, 0, REST]);
    // Each successful call made one award, under its own request id.
    let mut request_ids_of_awards = BTreeSet::new();
    for offer in &offers {
        request_ids_of_awards.extend(
            clients[0].events(&offer.offer).await.into_iter().filter(|it| it.kind == "awarded").map(|it| it.request_id),
        );
    }
    let request_ids_of_successes: BTreeSet<String> =
        ids.iter().zip(&answers).filter(|it| it.1.is_ok()).map(|it| it.0.clone()).collect();
    assert_eq!(request_ids_of_awards, request_ids_of_successes);
    // A refused call leaves its request id free: it can be repeated under the same id later.
    clients[0].allocate(&fund, EACH - REST, &fresh()).await.unwrap();
    let index = answers.iter().position(Result::is_err).unwrap();
    clients[0].award(&offers[index % offers.len()].offer, vec![nlg(EACH)], &ids[index]).await.unwrap();
    assert_eq!(balances(&clients[0].fund(&fund).await), [FUND - REST + EACH, FUND - REST + EACH, 0, 0]);
    verified_heads(db);
}

/// Each call awards another amount. A refusal names the amount that was left at that moment.
async fn the_last_of_different_amounts(db: Db) {
    const FUND: i64 = 1_000_000;
    let servers = [Server::start(&db)];
    let clients = connections(&servers).await;
    let offers = accept_trust_offers(&clients[0]).await;
    let fund = clients[0].create_fund_with(YEAR, "nlg", FUND).await;
    let amount = |n: usize| 9_001 + 131 * i64::try_from(n * 37 % CALLERS).unwrap();
    let calls = (0..CALLERS).map(|n| {
        let (client, offer) = (clients[n % CONNECTIONS].clone(), offers[n % offers.len()].offer.clone());
        async move { client.award(&offer, vec![nlg(amount(n))], &fresh()).await }
    });
    let answers = join_all(calls).await;
    let commits: Vec<i64> = clients[0].entries(&fund).await.iter().skip(1).map(|it| it.amount_pence).collect();
    let mut left = FUND;
    let mut amounts_left = BTreeSet::from([left]);
    for commit in &commits {
        left -= commit;
        amounts_left.insert(left);
    }
    assert_eq!(commits.len(), answers.iter().filter(|it| it.is_ok()).count());
    assert_eq!(balances(&clients[0].fund(&fund).await), [FUND, FUND - left, 0, left]);
    assert!(left >= 0 && commits.len() < CALLERS, "{left} left of {} awards", commits.len());
    for (n, answer) in answers.iter().enumerate() {
        let Err(status) = answer else { continue };
        let limit = limit(status, "fund");
        let (available, committed) = (limit.available.unwrap(), limit.committed.unwrap());
        assert!(amounts_left.contains(&available), "{available} was never left: {amounts_left:?}");
        assert!(available < amount(n) && available + committed == FUND, "{limit:?}");
        assert_eq!((limit.requested, limit.largest), (Some(amount(n)), Some(available)));
    }
    verified_heads(&db);
}

/// Four and a half of a trust's five days are awarded. Of 200 calls that award the last half-day, one succeeds.
async fn check_last_half_day(db: &Db, servers: &[Server]) {
    let clients = connections(servers).await;
    let offer = accept_trust_offers(&clients[0]).await.remove(0).offer;
    clients[0].create_award(&offer, nle(9)).await;
    let calls = (0..CALLERS).map(|n| {
        let (client, offer) = (clients[n % CONNECTIONS].clone(), offer.clone());
        async move { client.award(&offer, vec![nle(1)], &fresh()).await }
    });
    let answers = join_all(calls).await;
    let refused: Vec<&Status> = answers.iter().filter_map(|it| it.as_ref().err()).collect();
    assert_eq!(refused.len(), CALLERS - 1);
    for status in refused {
        assert_eq!((status.code(), reason(status).as_str()), (Code::FailedPrecondition, "CAP_EXCEEDED"));
        let limit = limit(status, "cap");
        let numbers = [limit.limit, limit.committed, limit.spent, limit.available, limit.requested, limit.largest];
        assert_eq!((numbers, limit.unit.as_str()), ([10, 10, 0, 0, 1, 0].map(Some), "half_days"));
    }
    let whole = clients[0].offer_details(&offer).await;
    assert_eq!(whole.awards.iter().map(|it| it.awarded).sum::<i64>(), 10);
    // 10 half-days at £300.
    let funds = clients[0].funds(YEAR).await;
    let fund = funds.iter().find(|it| it.strand == "nle").unwrap();
    assert_eq!(balances(fund), [0, 300_000, 0, -300_000]);
    verified_heads(db);
}

/// Starts the delivery of a standalone offer, with an award of £1 of credit, which stays open.
async fn start_delivery_with_award(client: &Client, offer: &Offer) {
    client.accept_offer(offer).await;
    client.create_award(&offer.offer, credit(100)).await;
    client.start(&offer.offer).await.unwrap();
}

/// Of a draw and a release of the whole award, one succeeds. The refusal of the other states that 0 is left.
async fn two_resolutions_of_one_commitment(db: Db) {
    const ROUNDS: i64 = 20;
    let mut servers = vec![Server::start(&db)];
    if db.is_postgres() {
        servers.push(Server::start(&db));
    }
    let clients = connections(&servers).await;
    let offer = of_kind(&clients[0].seed().await, RecipientKind::Standalone).remove(0);
    let fund = clients[0].create_fund_with(YEAR, "credit", 100_000).await;
    start_delivery_with_award(&clients[0], &offer).await;
    let (mut drawn, mut released) = (0, 0);
    for round in 0..ROUNDS {
        let award = clients[0].create_award(&offer.offer, credit(10_000)).await;
        let (draw, release) = (clients[0].clone(), clients[1].clone());
        let id = fresh();
        let (draw, release) = tokio::join!(
            draw.draw(&award, Quantity::Pence(10_000), &id),
            release.release(&award, Some(Quantity::Pence(10_000)))
        );
        let loser = match (draw, release) {
            (Ok(_), Err(status)) => {
                drawn += 1;
                assert_eq!(amounts(&clients[0].get_award(&award).await), [10_000, 10_000, 0, 0, 0]);
                clients[0].refund(&award, Quantity::Pence(10_000)).await.unwrap();
                status
            }
            (Err(status), Ok(_)) => {
                released += 1;
                assert_eq!(amounts(&clients[0].get_award(&award).await), [10_000, 0, 10_000, 0, 0]);
                status
            }
            answers => panic!("round {round}: {answers:?}"),
        };
        assert_eq!((loser.code(), reason(&loser).as_str()), (Code::FailedPrecondition, "AWARD_EXCEEDED"));
        assert_eq!(limit(&loser, "award").largest, Some(0));
        assert_eq!(balances(&clients[0].fund(&fund).await), [100_000, 100, 0, 99_900], "round {round}");
    }
    assert_eq!(drawn + released, ROUNDS);
    verified_heads(&db);
}

/// Twenty concurrent draws of £7 from £100: fourteen succeed, and £2 stays committed.
async fn draws_of_one_award(db: Db) {
    let servers = [Server::start(&db)];
    let clients = connections(&servers).await;
    let offer = of_kind(&clients[0].seed().await, RecipientKind::Standalone).remove(0);
    let fund = clients[0].create_fund_with(YEAR, "credit", 100_000).await;
    start_delivery_with_award(&clients[0], &offer).await;
    let award = clients[0].create_award(&offer.offer, credit(10_000)).await;
    let ids: Vec<String> = (0..20).map(|_| fresh()).collect();
    let calls = ids.iter().enumerate().map(|(n, id)| clients[n % CONNECTIONS].draw(&award, Quantity::Pence(700), id));
    let answers = join_all(calls).await;
    let refused: Vec<&Status> = answers.iter().filter_map(|it| it.as_ref().err()).collect();
    assert_eq!(refused.len(), 6);
    for status in refused {
        assert_eq!(reason(status), "AWARD_EXCEEDED");
        let limit = limit(status, "award");
        assert_eq!((limit.requested, limit.largest), (Some(700), Some(200)));
    }
    assert_eq!(amounts(&clients[0].get_award(&award).await), [10_000, 9_800, 0, 0, 200]);
    assert_eq!(balances(&clients[0].fund(&fund).await), [100_000, 300, 9_800, 89_900]);
    verified_heads(&db);
}

/// Makes concurrent draws of £7 and a close. Draws before the close stay, the close releases the rest, and draws after it are
/// refused.
async fn draws_race_a_close(db: Db) {
    let mut servers = vec![Server::start(&db)];
    if db.is_postgres() {
        servers.push(Server::start(&db));
    }
    let clients = connections(&servers).await;
    let offers = of_kind(&clients[0].seed().await, RecipientKind::Standalone);
    let fund = clients[0].create_fund_with(YEAR, "credit", 1_000_000).await;
    let mut spent = 0;
    for (round, offer) in offers.iter().take(6).enumerate() {
        start_delivery_with_award(&clients[0], offer).await;
        let award = clients[0].create_award(&offer.offer, credit(10_000)).await;
        let ids: Vec<String> = (0..12).map(|_| fresh()).collect();
        let draws = join_all(
            ids.iter().enumerate().map(|(n, id)| clients[n % CONNECTIONS].draw(&award, Quantity::Pence(700), id)),
        );
        let (draws, closed) = tokio::join!(draws, clients[round % CONNECTIONS].close(&offer.offer, Outcome::Completed));
        let closed = closed.unwrap();
        let drawn = 700 * i64::try_from(draws.iter().filter(|it| it.is_ok()).count()).unwrap();
        for status in draws.iter().filter_map(|it| it.as_ref().err()) {
            assert_eq!(reason(status), "STATE_NOT_ALLOWED", "round {round}");
        }
        let mut released: Vec<i64> = closed.released.iter().map(|it| it.amount).collect();
        released.sort_unstable();
        assert_eq!(released, [100, 10_000 - drawn], "round {round}");
        let whole = clients[0].offer_details(&offer.offer).await;
        assert_eq!(whole.offer.unwrap().state(), OfferState::Closed);
        assert_eq!(amounts(&clients[0].get_award(&award).await), [10_000, drawn, 10_000 - drawn, 0, 0]);
        let kinds: Vec<String> = clients[0].events(&offer.offer).await.into_iter().map(|it| it.kind).collect();
        assert_eq!(kinds.last().map(String::as_str), Some("closed"), "round {round}: {kinds:?}");
        spent += drawn;
        assert_eq!(balances(&clients[0].fund(&fund).await), [1_000_000, 0, spent, 1_000_000 - spent]);
    }
    verified_heads(&db);
}

/// Two people give the approval of £50,000.01 at the same time. The money is allocated once, and one call is refused.
async fn one_of_two_approvers_gives_the_approval(db: Db) {
    let mut servers = vec![Server::start(&db)];
    if db.is_postgres() {
        servers.push(Server::start(&db));
    }
    let clients = connections(&servers).await;
    clients[0].seed().await;
    let fund = clients[0].create_fund(YEAR, "credit", "").await;
    for round in 1..=5 {
        let status = clients[0].allocate(&fund, 5_000_001, &fresh()).await.unwrap_err();
        let approval = refusal(&status).approval;
        let give = |client: Client| {
            let request = GiveApprovalRequest { request_id: fresh(), approval: approval.clone(), ..Default::default() };
            async move { client.approval_service().give_approval(client.ask(request)).await }
        };
        let (one, other) = tokio::join!(give(clients[0].named("bob")), give(clients[1].named("cleo")));
        let (given, refused) = match (one, other) {
            (Ok(given), Err(status)) | (Err(status), Ok(given)) => (given.into_inner(), status),
            both => panic!("round {round}: {both:?}"),
        };
        assert_eq!(reason(&refused), "APPROVAL_NOT_OPEN");
        assert_eq!(given.funds.iter().map(|it| it.allocated).collect::<Vec<_>>(), [round * 5_000_001]);
        assert_eq!(clients[0].fund(&fund).await.allocated, round * 5_000_001);
    }
    verified_heads(&db);
}

/// Of forty concurrent calls that create the same fund, one succeeds.
async fn one_of_many_equal_funds_is_created(db: Db) {
    let mut servers = vec![Server::start(&db)];
    if db.is_postgres() {
        servers.push(Server::start(&db));
    }
    let clients = connections(&servers).await;
    clients[0].seed().await;
    let calls = (0..40).map(|n| {
        let client = clients[n % CONNECTIONS].clone();
        let (programme, strand) = (YEAR.to_owned(), "credit".to_owned());
        let request = CreateFundRequest { request_id: fresh(), programme, strand, ..Default::default() };
        async move { client.fund_service().create_fund(client.ask(request)).await }
    });
    let answers = join_all(calls).await;
    let refused: Vec<&Status> = answers.iter().filter_map(|it| it.as_ref().err()).collect();
    assert_eq!(refused.len(), 39);
    assert!(refused.iter().all(|it| it.code() == Code::AlreadyExists && reason(it) == "FUND_EXISTS"), "{refused:?}");
    assert_eq!(clients[0].funds(YEAR).await.len(), 2);
    verified_heads(&db);
}

/// Makes an award of fees under this offer, starts the delivery, and returns the id of the award.
pub(crate) async fn award_fees(client: &Client, offer: &Offer, day: &str) -> String {
    let fund = client.create_fund(&offer.programme, "npqel", "").await;
    let date = || day.to_owned();
    let request =
        AllocateFundRequest { request_id: fresh(), fund, amount_pence: 100_000, date: date(), ..Default::default() };
    client.fund_service().allocate_fund(client.ask(request)).await.unwrap();
    let contact_request = ContactOffersRequest { date: date(), ..contact(Party::ResponsibleBody, &[offer], &fresh()) };
    client.offers().contact_offers(client.ask(contact_request)).await.unwrap();
    let (request_id, acceptor, offer) = (fresh(), Acceptor::Trust.into(), offer.offer.clone());
    let request = AcceptOfferRequest { request_id, offer: offer.clone(), acceptor, date: date(), ..Default::default() };
    client.offers().accept_offer(client.ask(request)).await.unwrap();
    let (request_id, awards) = (fresh(), vec![npqel(PROVIDER, 90_000)]);
    let request = CreateAwardsRequest { request_id, offer: offer.clone(), awards, date: date(), ..Default::default() };
    let made = client.award_service().create_awards(client.ask(request)).await.unwrap().into_inner();
    let request = StartOfferRequest { request_id: fresh(), offer, date: date(), ..Default::default() };
    client.offers().start_offer(client.ask(request)).await.unwrap();
    made.awards[0].award.clone()
}

/// Each programme has a writer of its own, but a provider's invoice is paid in only one of two programmes.
async fn an_invoice_in_two_programmes(db: Db) {
    const DAYS: [&str; 2] = ["2021-11-01", "2022-11-01"];
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let (this, next) = client.seed_both().await;
    let [this, next] = [this, next].map(|offers| of_kind(&offers, RecipientKind::Mat).remove(0));
    let awards = [award_fees(&client, &this, DAYS[0]).await, award_fees(&client, &next, DAYS[1]).await];
    let pay = |which: usize, invoice: String| {
        let request = DrawAwardRequest {
            request_id: fresh(),
            award: awards[which].clone(),
            amount: Some(draw_award_request::Amount::AmountPence(100)),
            date: DAYS[which].to_owned(),
            invoice,
            ..Default::default()
        };
        let client = client.clone();
        async move { client.award_service().draw_award(client.ask(request)).await }
    };
    let mut paid = [0, 0];
    for round in 0..20 {
        let invoice = format!("INV-{round}");
        let answers = tokio::join!(pay(0, invoice.clone()), pay(1, invoice.clone()));
        let (which, loser) = match answers {
            (Ok(_), Err(status)) => (0, status),
            (Err(status), Ok(_)) => (1, status),
            both => panic!("round {round}: {both:?}"),
        };
        paid[which] += 100;
        assert_eq!((loser.code(), reason(&loser).as_str()), (Code::FailedPrecondition, "INVOICE_PAID"), "{loser:?}");
        // Later payments are refused in both programmes too.
        for which in [0, 1] {
            assert_eq!(reason(&pay(which, format!("inv {round}")).await.unwrap_err()), "INVOICE_PAID");
        }
    }
    for (award, paid) in awards.iter().zip(paid) {
        assert_eq!(client.get_award(award).await.drawn, paid);
    }
    verified_heads(&db);
}
