//! Lists of offers and of other items: filters, order, pages, and the fields of an answer.

mod by_id;
mod eligibility;
mod entries;
mod mistakes;
mod walks;

use prost_types::FieldMask;
use serde_json::json;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tsio::proto::register_service_client::RegisterServiceClient;
use tsio::proto::{
    BatchGetOffersRequest, GetOfferRequest, ListOffersRequest, ListOffersResponse, ListSchoolsRequest,
    ListTrustsRequest, Offer, OfferState, Outcome, RecipientKind,
};

use super::authentication::{as_role, call};
use super::client::{Client, YEAR, fresh};
use super::harness::{Db, Server, both};
use super::samples::{AUGUST, REGISTER_AUGUST, SEPTEMBER, identify_created, import, import_all, numbers, run_ok};

both!(
    a_filter_finds_what_it_says,
    pages_hold_each_matching_offer_once_and_in_order,
    offers_created_between_pages_hide_no_others,
    a_page_token_is_bound_to_its_filter_and_order,
    a_page_token_is_bound_to_its_list,
    every_mistake_in_a_list_request_is_named,
    a_huge_mask_and_a_nul_in_a_filter_are_refused,
    a_mask_leaves_out_the_other_fields,
    a_filter_finds_only_offers_of_the_callers_regions,
    the_command_line_lists_and_shows,
);

/// Makes the offers of August in several states: identified, accepted, or closed with one of two outcomes. Every fourth
/// offer is assigned.
async fn seed_states(server: &Server) -> (Client, Vec<Offer>) {
    let client = Client::of(server).await;
    let offers = client.seed().await;
    for (index, offer) in offers.iter().enumerate() {
        match index % 6 {
            0 => client.accept_offer(offer).await,
            1 => drop(client.close(&offer.offer, Outcome::Withdrawn).await.unwrap()),
            2 => drop(client.close(&offer.offer, Outcome::Ineligible).await.unwrap()),
            _ => {}
        }
        if index % 4 == 0 {
            client.assign(&offer.offer, "a.officer-7", &fresh()).await.unwrap();
        }
    }
    let offers = client.list(YEAR).await;
    (client, offers)
}

fn list_request(filter: &str, order_by: &str, page_size: i32) -> ListOffersRequest {
    let (programme, filter, order_by) = (YEAR.to_owned(), filter.to_owned(), order_by.to_owned());
    ListOffersRequest { programme, filter, order_by, page_size, ..Default::default() }
}

async fn page(client: &Client, request: ListOffersRequest) -> Result<ListOffersResponse, Status> {
    Ok(client.offers().list_offers(client.ask(request)).await?.into_inner())
}

/// The offers of all pages of a list.
async fn walk(client: &Client, mut request: ListOffersRequest) -> Vec<Offer> {
    let mut all = Vec::new();
    loop {
        let answer = page(client, request.clone()).await.unwrap_or_else(|error| panic!("{}: {error}", request.filter));
        assert!(i32::try_from(answer.offers.len()).unwrap() <= request.page_size);
        all.extend(answer.offers);
        if answer.next_page_token.is_empty() {
            return all;
        }
        request.page_token = answer.next_page_token;
    }
}

fn ids<'a>(offers: impl IntoIterator<Item = &'a Offer>) -> Vec<&'a str> {
    offers.into_iter().map(|it| it.offer.as_str()).collect()
}

async fn a_filter_finds_what_it_says(db: Db) {
    let server = Server::start(&db);
    let (client, offers) = seed_states(&server).await;
    let first = offers[0].create_time.unwrap();
    let created =
        chrono::DateTime::from_timestamp(first.seconds, u32::try_from(first.nanos).unwrap()).unwrap().to_rfc3339();
    let rows: Vec<(String, Matches)> = vec![
        ("state = CLOSED".into(), Box::new(|it| it.state() == OfferState::Closed)),
        ("state = OFFER_STATE_CLOSED".into(), Box::new(|it| it.state() == OfferState::Closed)),
        ("NOT state = closed".into(), Box::new(|it| it.state() != OfferState::Closed)),
        ("outcome = WITHDRAWN".into(), Box::new(|it| it.outcome() == Outcome::Withdrawn)),
        ("outcome != WITHDRAWN".into(), Box::new(|it| it.outcome() != Outcome::Withdrawn)),
        ("outcome = \"\"".into(), Box::new(|it| it.outcome() == Outcome::Unspecified)),
        ("NOT outcome = \"\"".into(), Box::new(|it| it.outcome() != Outcome::Unspecified)),
        ("recipient_kind = MAT".into(), Box::new(|it| it.recipient_kind() == RecipientKind::Mat)),
        ("recipient = 910001".into(), Box::new(|it| it.recipient == 910_001)),
        (
            "recipient >= 910005 AND recipient < 910020".into(),
            Box::new(|it| (910_005..910_020).contains(&it.recipient)),
        ),
        (
            "recipient <= 910005 recipient > 90004".into(),
            Box::new(|it| it.recipient <= 910_005 && it.recipient > 90_004),
        ),
        ("assignee = a.officer-7".into(), Box::new(|it| it.assignee == "a.officer-7")),
        ("assignee != \"a.officer-7\"".into(), Box::new(|it| it.assignee != "a.officer-7")),
        ("assignee = \"\"".into(), Box::new(|it| it.assignee.is_empty())),
        ("trust_uid = 0".into(), Box::new(|it| it.trust_uid == 0)),
        ("trust_uid = 90001".into(), Box::new(|it| it.trust_uid == 90_001)),
        ("schools.urn : 910046".into(), Box::new(|it| it.schools.iter().any(|it| it.urn == 910_046))),
        ("NOT schools.urn : 910046".into(), Box::new(|it| it.schools.iter().all(|it| it.urn != 910_046))),
        ("region = \"west midlands\"".into(), Box::new(|it| it.region == "West Midlands")),
        (
            format!("create_time > \"{created}\""),
            Box::new(move |it| {
                it.create_time.unwrap().nanos != first.nanos || it.create_time.unwrap().seconds != first.seconds
            }),
        ),
        (
            format!("create_time <= {}", created.replace("+00:00", "Z")),
            Box::new(move |it| it.create_time.unwrap() == first),
        ),
        (
            "state = CLOSED AND recipient_kind = MAT OR assignee = \"\"".into(),
            Box::new(|it| {
                it.state() == OfferState::Closed
                    && (it.recipient_kind() == RecipientKind::Mat || it.assignee.is_empty())
            }),
        ),
    ];
    for (filter, matches) in rows {
        let expected: Vec<&str> = ids(offers.iter().filter(|it| matches(it)));
        assert_eq!(ids(&walk(&client, list_request(&filter, "", 4)).await), expected, "{filter}");
    }
    // A part of a name matches in upper and lower case. Quotes and wild cards have no special meaning.
    let part = offers[3].name.split(' ').next().unwrap().to_uppercase();
    let found = walk(&client, list_request(&format!("name : \"{part}\""), "", 50)).await;
    assert!(ids(&found).contains(&offers[3].offer.as_str()) && found.len() < offers.len(), "{part}");
    for filter in ["name : \"%\"", "name : \"' OR 1=1 --\"", "name = \"_\""] {
        assert_eq!(walk(&client, list_request(filter, "", 50)).await, [], "{filter}");
    }
    let exact = walk(&client, list_request(&format!("name = \"{}\"", offers[3].name), "", 50)).await;
    assert!(exact.iter().all(|it| it.name == offers[3].name) && !exact.is_empty());
}

/// A predicate that says whether an offer matches a filter.
type Matches = Box<dyn Fn(&Offer) -> bool>;

/// A random filter, and the predicate that it must agree with.
fn random_filter(rng: &mut fastrand::Rng, depth: u32) -> (String, Matches) {
    let regions = ["West Midlands", "South-West England", "North of England"];
    match if depth == 0 { rng.u8(0..4) } else { rng.u8(0..7) } {
        0 => {
            let state = *rng.choice(["IDENTIFIED", "ACCEPTED", "CLOSED"].iter()).unwrap();
            let expected = OfferState::from_str_name(&format!("OFFER_STATE_{state}")).unwrap();
            (format!("state = {state}"), Box::new(move |it| it.state() == expected))
        }
        1 => {
            let region = *rng.choice(regions.iter()).unwrap();
            (format!("region != \"{region}\""), Box::new(move |it| it.region != region))
        }
        2 => {
            let number = rng.i32(910_000..910_060);
            (format!("recipient >= {number}"), Box::new(move |it| it.recipient >= number))
        }
        3 => ("assignee = \"\"".to_owned(), Box::new(|it| it.assignee.is_empty())),
        4 => {
            let ((left, left_matches), (right, right_matches)) =
                (random_filter(rng, depth - 1), random_filter(rng, depth - 1));
            (format!("(({left}) AND ({right}))"), Box::new(move |it| left_matches(it) && right_matches(it)))
        }
        5 => {
            let ((left, left_matches), (right, right_matches)) =
                (random_filter(rng, depth - 1), random_filter(rng, depth - 1));
            (format!("({left} OR {right})"), Box::new(move |it| left_matches(it) || right_matches(it)))
        }
        _ => {
            let (inner, matches) = random_filter(rng, depth - 1);
            (format!("NOT ({inner})"), Box::new(move |it| !matches(it)))
        }
    }
}

async fn pages_hold_each_matching_offer_once_and_in_order(db: Db) {
    let server = Server::start(&db);
    let (client, offers) = seed_states(&server).await;
    let mut by_name = offers.clone();
    by_name.sort_by(|a, b| (&a.name, &a.offer).cmp(&(&b.name, &b.offer)));
    let mut rng = fastrand::Rng::with_seed(20_211_004);
    let (mut selective, mut total) = (0, 0);
    for _ in 0..120 {
        let (filter, matches) = random_filter(&mut rng, 3);
        let (order, sorted, descending) = *rng
            .choice(
                [
                    ("", &offers, false),
                    ("create_time desc", &offers, true),
                    ("name", &by_name, false),
                    ("name  desc", &by_name, true),
                ]
                .iter(),
            )
            .unwrap();
        let mut expected = ids(sorted.iter().filter(|it| matches(it)));
        if descending {
            expected.reverse();
        }
        let found = walk(&client, list_request(&filter, order, rng.i32(1..6))).await;
        assert_eq!(ids(&found), expected, "{filter} by {order:?}");
        selective += usize::from(!expected.is_empty() && expected.len() < offers.len());
        total += 1;
    }
    assert!(selective * 2 > total, "too few filters select a part of the offers: {selective} of {total}");
}

/// In each order an offer is changed between two pages, and in the order by name three offers are created too. Each
/// earlier offer is still listed, and no offer is listed twice.
async fn offers_created_between_pages_hide_no_others(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST]);
    assert_eq!(identify_created(&server), 19);
    let client = Client::of(&server).await;
    for order in ["", "name", "name desc"] {
        let before = client.list(YEAR).await;
        let mut request = list_request("NOT state = CLOSED", order, 5);
        let first = page(&client, request.clone()).await.unwrap();
        if order == "name" {
            import(&server, SEPTEMBER);
            assert_eq!(identify_created(&server), 3);
        }
        client.assign(&first.offers[0].offer, "someone", &fresh()).await.unwrap();
        request.page_token = first.next_page_token;
        let rest = walk(&client, request).await;
        let mut seen = ids(first.offers.iter().chain(&rest));
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count, "{order}: an offer is listed twice");
        assert!(before.iter().all(|it| seen.contains(&it.offer.as_str())), "{order}: an offer is not listed");
    }
}

async fn a_page_token_is_bound_to_its_filter_and_order(db: Db) {
    let server = Server::start(&db);
    let (client, _) = seed_states(&server).await;
    let first = page(&client, list_request("NOT state = CLOSED", "name", 2)).await.unwrap();
    let with_token = |filter: &str, order: &str| ListOffersRequest {
        page_token: first.next_page_token.clone(),
        ..list_request(filter, order, 2)
    };
    for (filter, order) in [("state = CLOSED", "name"), ("NOT state = CLOSED", ""), ("", "name")] {
        let refused = page(&client, with_token(filter, order)).await.unwrap_err();
        assert_eq!((refused.code(), wrong_fields(&refused)), (Code::InvalidArgument, vec!["page_token".to_owned()]));
    }
    // The page size and the mask may change between pages.
    let read_mask = Some(FieldMask { paths: vec!["offer".to_owned()] });
    let larger = ListOffersRequest { page_size: 3, read_mask, ..with_token("NOT state = CLOSED", "name") };
    assert_eq!(page(&client, larger).await.unwrap().offers.len(), 3);
}

/// The tokens of schools and trusts have the same form, but a list refuses the tokens of the other.
async fn a_page_token_is_bound_to_its_list(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    let client = Client::of(&server).await;
    let mut register = RegisterServiceClient::new(client.channel());
    let search = "school".to_owned();
    let schools = ListSchoolsRequest { search: search.clone(), page_size: 1, ..Default::default() };
    let page_token = register.list_schools(client.ask(schools)).await.unwrap().into_inner().next_page_token;
    assert!(!page_token.is_empty(), "there is one school only");
    let trusts = ListTrustsRequest { search, page_size: 1, page_token };
    let refused = register.list_trusts(client.ask(trusts)).await.unwrap_err();
    assert_eq!((refused.code(), wrong_fields(&refused)), (Code::InvalidArgument, vec!["page_token".to_owned()]));
}

/// The fields in the violations of a status.
fn wrong_fields(status: &Status) -> Vec<String> {
    status.get_details_bad_request().unwrap().field_violations.into_iter().map(|it| it.field).collect()
}

async fn every_mistake_in_a_list_request_is_named(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let filter = "colour = red AND state = GONE AND region < \"X\" AND create_time > yesterday";
    let read_mask = Some(FieldMask { paths: ["offer", "shoe", "offer.name"].map(str::to_owned).to_vec() });
    let wrong = ListOffersRequest { read_mask, ..list_request(filter, "size", 5) };
    let refused = page(&client, wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    // The third comparison has two mistakes: the operator and the value of the region.
    let expected = ["filter"; 5].into_iter().chain(["order_by", "read_mask.paths[1]", "read_mask.paths[2]"]);
    assert_eq!(wrong_fields(&refused), expected.collect::<Vec<_>>(), "{refused:?}");
    let bad = refused.get_details_bad_request().unwrap();
    let positions: Vec<&str> =
        bad.field_violations[..5].iter().map(|it| it.description.split(':').next().unwrap()).collect();
    assert_eq!(positions, [1, 26, 42, 44, 66].map(|position| format!("at character {position}")));
}

/// A mask with a million paths is reported as one mistake.
async fn a_huge_mask_and_a_nul_in_a_filter_are_refused(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let paths = vec![String::new(); 1_000_000];
    let many =
        page(&client, ListOffersRequest { read_mask: Some(FieldMask { paths }), ..list_request("", "", 5) }).await;
    assert_eq!(wrong_fields(&many.unwrap_err()), ["read_mask"]);
    let nul = page(&client, list_request("name = \"a\0\"", "", 5)).await.unwrap_err();
    assert_eq!((nul.code(), wrong_fields(&nul)), (Code::InvalidArgument, vec!["filter".to_owned()]));
}

async fn a_mask_leaves_out_the_other_fields(db: Db) {
    let server = Server::start(&db);
    let (client, offers) = seed_states(&server).await;
    let mask = |paths: &[&str]| Some(FieldMask { paths: paths.iter().map(|it| (*it).to_owned()).collect() });
    let first = &offers[0];
    let listed = page(&client, ListOffersRequest { read_mask: mask(&["offer", "state"]), ..list_request("", "", 1) })
        .await
        .unwrap();
    assert_eq!(listed.offers, [Offer { offer: first.offer.clone(), state: first.state, ..Default::default() }]);
    let listed =
        page(&client, ListOffersRequest { read_mask: mask(&["contacts"]), ..list_request("", "", 1) }).await.unwrap();
    assert!(!first.contacts.is_empty());
    assert_eq!(listed.offers, [Offer { contacts: first.contacts.clone(), ..Default::default() }]);
    let everything =
        page(&client, ListOffersRequest { read_mask: mask(&["*"]), ..list_request("", "", 1) }).await.unwrap();
    assert_eq!(everything.offers, std::slice::from_ref(first));

    let get = async |paths: &[&str]| {
        let request = GetOfferRequest { offer: first.offer.clone(), read_mask: mask(paths) };
        client.offers().get_offer(client.ask(request)).await.map(tonic::Response::into_inner)
    };
    let whole = get(&[]).await.unwrap();
    assert!(whole.offer.as_ref() == Some(first) && !whole.caps.is_empty());
    let caps = get(&["caps", "offer.etag"]).await.unwrap();
    assert_eq!(caps.caps, whole.caps);
    assert_eq!(caps.offer, Some(Offer { etag: first.etag.clone(), ..Default::default() }));
    assert_eq!(get(&["awards"]).await.unwrap().offer, None);
    assert_eq!(get(&["offer"]).await.unwrap().caps, []);
    let wrong = get(&["offer", "fund", "offer.shoe"]).await.unwrap_err();
    assert_eq!(wrong_fields(&wrong), ["read_mask.paths[1]", "read_mask.paths[2]"]);

    let request = BatchGetOffersRequest { offers: vec![first.offer.clone()], read_mask: mask(&["offer.name"]) };
    let batch = client.offers().batch_get_offers(client.ask(request)).await.unwrap().into_inner();
    assert_eq!(batch.offers[0].offer, Some(Offer { name: first.name.clone(), ..Default::default() }));
    assert_eq!(batch.offers[0].caps, []);
}

async fn a_filter_finds_only_offers_of_the_callers_regions(db: Db) {
    let server = Server::start(&db);
    let (client, offers) = seed_states(&server).await;
    let is_open = |it: &&Offer| it.state() != OfferState::Closed;
    let region = offers.iter().find(is_open).unwrap().region.clone();
    let own = offers.iter().filter(|it| it.region == region);
    let rows = [
        (format!("region != \"{region}\""), Vec::new()),
        (format!("region = \"{region}\" OR NOT state = CLOSED"), ids(own.clone())),
        ("NOT state = CLOSED".to_owned(), ids(own.filter(is_open))),
    ];
    for (filter, expected) in rows {
        let request = as_role("reader", Some(&region), list_request(&filter, "", 100));
        let answer = call(&client.channel(), "OfferService/ListOffers", request).await.unwrap();
        let found = <ListOffersResponse as prost::Message>::decode(answer[0].clone()).unwrap().offers;
        assert_eq!(ids(&found), expected, "{filter}");
    }
    assert!(offers.iter().any(|it| it.region != region && it.state() != OfferState::Closed));
}

async fn the_command_line_lists_and_shows(db: Db) {
    let server = Server::start(&db);
    let (_, offers) = seed_states(&server).await;
    let list = |words: &[&str]| run_ok(&server, &[&["offers", "list"], words].concat());
    let listed = list(&["--filter", "recipient_kind = STANDALONE AND recipient < 910004", "--order-by", "name desc"]);
    // The URNs of schools begin at 900001; the UIDs of trusts are lower.
    let mut expected: Vec<&Offer> = offers.iter().filter(|it| (900_001..910_004).contains(&it.recipient)).collect();
    expected.sort_by(|a, b| (&b.name, &b.offer).cmp(&(&a.name, &a.offer)));
    assert_eq!(numbers(&listed, "recipient"), expected.iter().map(|it| i64::from(it.recipient)).collect::<Vec<_>>());
    let [first, second] = [&offers[2].offer, &offers[0].offer];
    let shown = run_ok(&server, &["offers", "show", first, second]);
    assert_eq!(
        shown,
        json!([run_ok(&server, &["offers", "show", first]), run_ok(&server, &["offers", "show", second])])
    );
}
