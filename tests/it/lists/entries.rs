//! The entries of a fund: a filter, an order, pages from either end, and the stream under the same filter.

use tonic::Status;
use tonic_types::StatusExt as _;
use tsio::proto::{
    FundEntry, ListFundEntriesRequest, ListFundEntriesResponse, MoveFundsRequest, Outcome, StreamFundEntriesRequest,
};

use super::wrong_fields;
use crate::client::{Client, YEAR, fresh};
use crate::harness::{Db, Server, both};
use crate::money::{Quantity, credit};
use crate::samples::{numbers, run_ok};

both!(entries_are_filtered_and_ordered, new_entries_do_not_disturb_pages, every_mistake_about_entries_is_named);

/// Makes a fund with entries of every kind, by two people on three days. Returns a client, the id of the fund, and its
/// entries.
async fn make_entries(server: &Server) -> (Client, String, Vec<FundEntry>) {
    let client = Client::of(server).await;
    let offers = client.seed().await;
    let [one, two] = [910_001, 910_002].map(|urn| offers.iter().find(|it| it.recipient == urn).unwrap());
    let (fund, other) =
        (client.create_fund_with(YEAR, "credit", 900_000).await, client.create_fund_with(YEAR, "nlg", 900_000).await);
    let request = MoveFundsRequest {
        request_id: fresh(),
        from_fund: other,
        to_fund: fund.clone(),
        amount_pence: 70_000,
        date: "2021-10-05".to_owned(),
        ..Default::default()
    };
    client.fund_service().move_funds(client.named("b.finance-2").ask(request)).await.unwrap();
    for offer in [one, two] {
        client.accept_offer(offer).await;
    }
    let award = client.create_award(&one.offer, credit(400_000)).await;
    client.create_award(&two.offer, credit(300_000)).await;
    client.start(&one.offer).await.unwrap();
    client.draw(&award, Quantity::Pence(1_000), &fresh()).await.unwrap();
    client.draw(&award, Quantity::Pence(2_000), &fresh()).await.unwrap();
    client.refund(&award, Quantity::Pence(300)).await.unwrap();
    client.release(&award, Some(Quantity::Pence(500))).await.unwrap();
    client.close(&two.offer, Outcome::Withdrawn).await.unwrap();
    let entries = client.entries(&fund).await;
    let kinds: Vec<&str> = entries.iter().map(|it| it.event_kind.as_str()).collect();
    let expected =
        ["fund_allocated", "funds_moved", "awarded", "awarded", "drawn", "drawn", "refunded", "released", "closed"];
    assert_eq!(kinds, expected);
    (client, fund, entries)
}

fn list_request(fund: &str, filter: &str, order_by: &str, page_size: i32) -> ListFundEntriesRequest {
    let (fund, filter, order_by) = (fund.to_owned(), filter.to_owned(), order_by.to_owned());
    ListFundEntriesRequest { fund, filter, order_by, page_size, ..Default::default() }
}

async fn page(client: &Client, request: ListFundEntriesRequest) -> Result<ListFundEntriesResponse, Status> {
    Ok(client.fund_service().list_fund_entries(client.ask(request)).await?.into_inner())
}

async fn walk(client: &Client, mut request: ListFundEntriesRequest) -> Vec<FundEntry> {
    let mut all = Vec::new();
    loop {
        let answer = page(client, request.clone()).await.unwrap_or_else(|error| panic!("{}: {error}", request.filter));
        all.extend(answer.entries);
        if answer.next_page_token.is_empty() {
            return all;
        }
        request.page_token = answer.next_page_token;
    }
}

async fn streamed(client: &Client, fund: &str, filter: &str) -> Vec<FundEntry> {
    let request = StreamFundEntriesRequest { fund: fund.to_owned(), filter: filter.to_owned() };
    let mut stream = client.fund_service().stream_fund_entries(client.ask(request)).await.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        all.extend(answer.entries);
    }
    all
}

type Matches = Box<dyn Fn(&FundEntry) -> bool>;

async fn entries_are_filtered_and_ordered(db: Db) {
    let server = Server::start(&db);
    let (client, fund, entries) = make_entries(&server).await;
    let (third, offer) = (entries[2].clone(), entries[2].offer.clone());
    let time = third.recorded_time.unwrap();
    let instant = chrono::DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).unwrap()).unwrap();
    let after = move |it: &FundEntry| {
        let other = it.recorded_time.unwrap();
        (other.seconds, other.nanos) > (time.seconds, time.nanos)
    };
    let mut rows: Vec<(String, Matches)> = vec![
        ("verb = spend".into(), Box::new(|it| it.verb == "spend")),
        ("verb != spend".into(), Box::new(|it| it.verb != "spend")),
        ("amount_pence > 1000".into(), Box::new(|it| it.amount_pence > 1_000)),
        (
            "amount_pence <= 1000 AND NOT verb = spend".into(),
            Box::new(|it| it.amount_pence <= 1_000 && it.verb != "spend"),
        ),
        (
            "effective_date >= 2021-10-05 effective_date < 2021-11-01".into(),
            Box::new(|it| it.effective_date == "2021-10-05"),
        ),
        (
            "effective_date = \"2021-09-01\" OR event_kind = closed".into(),
            Box::new(|it| it.effective_date == "2021-09-01" || it.event_kind == "closed"),
        ),
        ("period = \"FY2021-22/M07\"".into(), Box::new(|it| it.period == "FY2021-22/M07")),
        ("actor = b.finance-2".into(), Box::new(|it| it.actor == "b.finance-2")),
        ("offer = \"\"".into(), Box::new(|it| it.offer.is_empty())),
        ("offer != \"\"".into(), Box::new(|it| !it.offer.is_empty())),
        (format!("NOT offer = {offer}"), Box::new(move |it| it.offer != offer)),
        (format!("recorded_time > {}", instant.to_rfc3339()), Box::new(after)),
        (
            format!("event_sequence <= {}", third.event_sequence),
            Box::new(move |it| it.event_sequence <= third.event_sequence),
        ),
        (format!("entry != {}", third.entry), Box::new(move |it| it.entry != third.entry)),
    ];
    // A filter can name each kind of event.
    for kind in entries.iter().map(|it| it.event_kind.clone()) {
        rows.push((format!("event_kind = {kind}"), Box::new(move |it| it.event_kind == kind)));
    }
    for (filter, holds) in rows {
        let mut expected: Vec<FundEntry> = entries.iter().filter(|it| holds(it)).cloned().collect();
        assert!((1..entries.len()).contains(&expected.len()), "{filter} selects all or none");
        assert_eq!(walk(&client, list_request(&fund, &filter, "", 2)).await, expected, "{filter}");
        assert_eq!(streamed(&client, &fund, &filter).await, expected, "{filter}");
        expected.reverse();
        assert_eq!(walk(&client, list_request(&fund, &filter, "entry desc", 2)).await, expected, "{filter}");
    }
    let words = ["funds", "entries", &fund, "--filter", "verb = spend", "--order-by", "entry desc"];
    assert_eq!(numbers(&run_ok(&server, &words), "amount_pence"), [2_000, 1_000]);
}

/// In the order *newest first*, pages continue after the last listed entry, so new entries do not appear. In the order
/// *oldest first*, new entries appear at the end.
async fn new_entries_do_not_disturb_pages(db: Db) {
    let server = Server::start(&db);
    let (client, fund, entries) = make_entries(&server).await;
    let numbers = |of: &[FundEntry]| of.iter().map(|it| it.entry).collect::<Vec<_>>();
    for order in ["", "entry desc"] {
        let mut expected = client.entries(&fund).await;
        let mut request = list_request(&fund, "amount_pence > 0", order, 4);
        let first = page(&client, request.clone()).await.unwrap();
        client.allocate(&fund, 9, &fresh()).await.unwrap();
        request.page_token = first.next_page_token;
        let seen = [first.entries, walk(&client, request).await].concat();
        if order.is_empty() {
            expected = client.entries(&fund).await;
        } else {
            expected.reverse();
        }
        assert_eq!(numbers(&seen), numbers(&expected), "{order}");
        assert!(seen.len() > entries.len());
    }
}

async fn every_mistake_about_entries_is_named(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let fund = client.create_fund_with(YEAR, "credit", 5).await;
    let filter = "verb = give AND amount_pence : 3 AND effective_date = 2021-11-31";
    let refused = page(&client, list_request("x", filter, "amount_pence", 2)).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["fund", "filter", "filter", "filter", "order_by"], "{refused:?}");
    let wrong = refused.get_details_bad_request().unwrap().field_violations;
    let places: Vec<&str> = wrong[1..4].iter().map(|it| it.description.split(':').next().unwrap()).collect();
    assert_eq!(places, [8, 30, 55].map(|at| format!("at character {at}")));
    client.allocate(&fund, 6, &fresh()).await.unwrap();
    let first = page(&client, list_request(&fund, "amount_pence > 0", "", 1)).await.unwrap().next_page_token;
    for (filter, order) in [("amount_pence > 1", ""), ("amount_pence > 0", "entry desc"), ("", "")] {
        let request = ListFundEntriesRequest { page_token: first.clone(), ..list_request(&fund, filter, order, 1) };
        assert_eq!(wrong_fields(&page(&client, request).await.unwrap_err()), ["page_token"], "{filter} {order}");
    }
}
