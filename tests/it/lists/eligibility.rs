//! Lists of schools by eligibility: filters of words and fields, an order, and pages bound to both.

use tonic::{Code, Status};
use tsio::proto::eligibility_service_client::EligibilityServiceClient;
use tsio::proto::{
    ListEligibilityRequest, ListEligibilityResponse, Placement, RuleAnswer, RuleOutcome, SchoolEligibility,
};

use super::wrong_fields;
use crate::client::{Client, YEAR};
use crate::harness::{Db, Server, both};
use crate::samples::{AUGUST, JANUARY, NOVEMBER, REGISTER_AUGUST, SEPTEMBER, import_all, numbers, run_ok};

both!(schools_are_filtered_and_ordered, every_mistake_about_schools_is_named);

fn list_request(filter: &str, order_by: &str, page_size: i32) -> ListEligibilityRequest {
    let (programme, filter, order_by) = (YEAR.to_owned(), filter.to_owned(), order_by.to_owned());
    ListEligibilityRequest { programme, filter, order_by, page_size, ..Default::default() }
}

async fn page(client: &Client, request: ListEligibilityRequest) -> Result<ListEligibilityResponse, Status> {
    let mut service = EligibilityServiceClient::new(client.channel());
    Ok(service.list_eligibility(client.ask(request)).await?.into_inner())
}

async fn walk(client: &Client, mut request: ListEligibilityRequest) -> Vec<SchoolEligibility> {
    let mut all = Vec::new();
    loop {
        let answer = page(client, request.clone()).await.unwrap_or_else(|error| panic!("{}: {error}", request.filter));
        all.extend(answer.schools);
        if answer.next_page_token.is_empty() {
            return all;
        }
        request.page_token = answer.next_page_token;
    }
}

type Matches = fn(&SchoolEligibility) -> bool;

async fn schools_are_filtered_and_ordered(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST, SEPTEMBER, NOVEMBER, JANUARY]);
    let client = Client::of(&server).await;
    let school = |it: &SchoolEligibility| it.school.clone().unwrap();
    let all = walk(&client, list_request("eligible OR unknown", "", 3)).await;
    assert!(all.is_sorted_by_key(|it| school(it).urn) && all.iter().any(|it| !it.eligible));
    let rows: [(&str, Matches); 13] = [
        ("", |it| it.eligible),
        ("eligible", |it| it.eligible),
        ("unknown", |it| !it.eligible),
        ("NOT eligible", |it| !it.eligible),
        ("unplaced", |it| it.eligible && it.school.as_ref().unwrap().placement() == Placement::Unplaced),
        ("eligible NOT unplaced", |it| it.eligible && it.school.as_ref().unwrap().placement() != Placement::Unplaced),
        ("school.placement = MAT AND school.urn < 910050", |it| {
            let school = it.school.as_ref().unwrap();
            it.eligible && school.placement() == Placement::Mat && school.urn < 910_050
        }),
        ("E2_RI_TWICE_ON_ENTRY AND school.region = \"West Midlands\"", |it| {
            let met = |rule: &RuleAnswer| rule.rule == "E2_RI_TWICE_ON_ENTRY" && rule.outcome() == RuleOutcome::Met;
            it.rules.iter().any(met) && it.school.as_ref().unwrap().region == "West Midlands"
        }),
        ("school.name : 'PRIMARY' AND school.trust_uid = 0", |it| {
            let school = it.school.as_ref().unwrap();
            it.eligible && school.name.contains("Primary") && school.trust_uid == 0
        }),
        // A filter that does not mention eligibility finds only eligible schools.
        ("school.la_code != 330", |it| it.eligible && it.school.as_ref().unwrap().la_code != 330),
        ("NOT unplaced", |it| it.eligible && it.school.as_ref().unwrap().placement() != Placement::Unplaced),
        ("unknown AND school.la_code != 330", |it| !it.eligible && it.school.as_ref().unwrap().la_code != 330),
        ("school.la_code != 330 AND (eligible OR NOT eligible)", |it| it.school.as_ref().unwrap().la_code != 330),
    ];
    for (filter, holds) in rows {
        let mut expected: Vec<SchoolEligibility> = all.iter().filter(|it| holds(it)).cloned().collect();
        assert!((1..all.len()).contains(&expected.len()), "{filter} selects all or none: {}", expected.len());
        assert_eq!(walk(&client, list_request(filter, "", 3)).await, expected, "{filter}");
        expected.sort_by_key(|it| (school(it).name, school(it).urn));
        assert_eq!(walk(&client, list_request(filter, "school.name", 3)).await, expected, "{filter}");
        expected.reverse();
        assert_eq!(walk(&client, list_request(filter, "school.name desc", 3)).await, expected, "{filter}");
    }
    let words = ["eligibility", "list", "--filter", "unplaced OR unknown", "--order-by", "school.urn desc"];
    let expected = all.iter().filter(|it| !it.eligible || school(it).placement() == Placement::Unplaced);
    let expected: Vec<i64> = expected.map(|it| i64::from(school(it).urn)).rev().collect();
    assert_eq!(numbers(&run_ok(&server, &words), "urn"), expected);
}

async fn every_mistake_about_schools_is_named(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let wrong = list_request("elligible AND school.colour = red AND school.placement = NOWHERE", "name", 3);
    assert_eq!(wrong_fields(&page(&client, wrong).await.unwrap_err()), ["order_by", "filter", "filter", "filter"]);
    // Without a programme the words of its rules are unknown; the other mistakes are still named.
    let wrong = "unheard AND school.urn = x";
    let no_programme = ListEligibilityRequest { programme: String::new(), ..list_request(wrong, "name", 3) };
    assert_eq!(wrong_fields(&page(&client, no_programme).await.unwrap_err()), ["programme", "order_by", "filter"]);
    let unknown = ListEligibilityRequest { programme: "1999-00".to_owned(), ..list_request(wrong, "name", 3) };
    assert_eq!(wrong_fields(&page(&client, unknown.clone()).await.unwrap_err()), ["order_by", "filter"]);
    let unknown = ListEligibilityRequest { order_by: String::new(), filter: "unheard".to_owned(), ..unknown };
    assert_eq!(page(&client, unknown).await.unwrap_err().code(), Code::NotFound);
    let first = page(&client, list_request("eligible", "school.name", 1)).await.unwrap().next_page_token;
    for (filter, order) in [("unplaced", "school.name"), ("eligible", ""), ("", "school.name")] {
        let request = ListEligibilityRequest { page_token: first.clone(), ..list_request(filter, order, 1) };
        assert_eq!(wrong_fields(&page(&client, request).await.unwrap_err()), ["page_token"], "{filter} {order}");
    }
}
