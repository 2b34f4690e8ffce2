//! Lists random offers with random filters and orders, while offers are added between pages. Each earlier offer is
//! listed once and in order. Added offers may be listed too.

use std::collections::BTreeSet;

use fastrand::Rng;
use tsio::proto::{Offer, OfferState};
use uuid::Uuid;

use super::{Matches, ids, list_request, page, random_filter, walk};
use crate::client::Client;
use crate::harness::{Db, Server, both, run};
use crate::raw_sql::RawSql;

both!(pages_list_all_earlier_offers);

/// How many offers there are at first.
const INITIAL: i32 = 80;
const ROUNDS: usize = 60;
/// Few names, so that many offers share one. Every collation orders them the same.
const NAMES: [&str; 5] = ["ash", "birch", "cedar", "elm", "oak"];
const REGIONS: [&str; 4] = ["West Midlands", "South-West England", "North of England", "East Midlands and the Humber"];
const STATES: [&str; 5] = ["identified", "contacted", "accepted", "delivering", "closed"];

/// A random offer, at a random place in the order.
fn random_offer(rng: &mut Rng, recipient: i32) -> Offer {
    let state = format!("OFFER_STATE_{}", rng.choice(STATES.iter()).unwrap().to_uppercase());
    Offer {
        offer: Uuid::from_u128(rng.u128(..)).to_string(),
        recipient,
        name: (*rng.choice(NAMES.iter()).unwrap()).to_owned(),
        region: (*rng.choice(REGIONS.iter()).unwrap()).to_owned(),
        state: OfferState::from_str_name(&state).unwrap().into(),
        assignee: if rng.bool() { "ann".to_owned() } else { String::new() },
        ..Default::default()
    }
}

/// Inserts an offer into the database, without an event.
async fn insert(db: &Db, raw_sql: &mut RawSql, offer: &Offer) {
    let Offer { recipient, name, region, .. } = offer;
    let state = offer.state().as_str_name().trim_start_matches("OFFER_STATE_").to_lowercase();
    let outcome = if state == "closed" { "'withdrawn'" } else { "NULL" };
    let assignee = if offer.assignee.is_empty() { "NULL".to_owned() } else { format!("'{}'", offer.assignee) };
    let (id, hash) = if db.is_postgres() {
        (format!("'{}'", offer.offer), "decode(repeat('00', 32), 'hex')")
    } else {
        (format!("X'{}'", offer.offer.replace('-', "")), "zeroblob(32)")
    };
    let sql = format!(
        "INSERT INTO offers (id, programme, recipient_kind, recipient, name, region, state, outcome, assignee, responsible, \
         terms_sha256, search, made_at) VALUES ({id}, '2021-22', 'standalone', {recipient}, '{name}', '{region}', \
         '{state}', {outcome}, {assignee}, '{{\"local_authority\":330}}', {hash}, '{name}', 1)"
    );
    raw_sql.run(&sql).await.unwrap();
}

/// The ids of these offers in this order. Ids are compared as text.
fn sorted(mut offers: Vec<&Offer>, order: &str) -> Vec<String> {
    offers.sort_by(|a, b| match order {
        "" => a.offer.cmp(&b.offer),
        "create_time desc" => b.offer.cmp(&a.offer),
        "name" => (&a.name, &a.offer).cmp(&(&b.name, &b.offer)),
        _ => (&b.name, &b.offer).cmp(&(&a.name, &a.offer)),
    });
    offers.into_iter().map(|it| it.offer.clone()).collect()
}

async fn pages_list_all_earlier_offers(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let mut raw_sql = RawSql::of(&db).await;
    let mut rng = Rng::with_seed(20_211_005);
    let mut offers: Vec<Offer> = (0..INITIAL).map(|n| random_offer(&mut rng, 910_000 + n)).collect();
    for offer in &offers {
        insert(&db, &mut raw_sql, offer).await;
    }
    let (mut selective, mut added_seen) = (0, 0);
    for round in 0..ROUNDS {
        let (filter, holds): (String, Matches) = random_filter(&mut rng, 3);
        let order = *rng.choice(["", "create_time desc", "name", "name desc"].iter()).unwrap();
        let initial_count = offers.len();
        let mut request = list_request(&filter, order, rng.i32(1..9));
        let mut seen = Vec::new();
        loop {
            let answer = page(&client, request.clone()).await.unwrap_or_else(|error| panic!("{filter}: {error}"));
            seen.extend(answer.offers.into_iter().map(|it| it.offer));
            if answer.next_page_token.is_empty() {
                break;
            }
            request.page_token = answer.next_page_token;
            // In every second round more offers are added, before and after the current page.
            if round % 2 == 1 && rng.u8(0..4) == 0 {
                let new = random_offer(&mut rng, 910_000 + i32::try_from(offers.len()).unwrap());
                insert(&db, &mut raw_sql, &new).await;
                offers.push(new);
            }
        }
        let listed: BTreeSet<&String> = seen.iter().collect();
        assert_eq!(listed.len(), seen.len(), "{filter} by {order:?}: each once");
        let found: Vec<&Offer> = offers.iter().filter(|it| holds(it) && listed.contains(&it.offer)).collect();
        assert_eq!(seen, sorted(found, order), "{filter} by {order:?}: wrong order");
        let before = offers[..initial_count].iter().filter(|it| holds(it));
        let missing: Vec<&String> = before.clone().map(|it| &it.offer).filter(|it| !listed.contains(it)).collect();
        assert_eq!(missing, [""; 0], "{filter} by {order:?}: earlier offers are missing");
        let expected_count = before.count();
        selective += usize::from(expected_count > 0 && expected_count < initial_count);
        added_seen += seen.len() - expected_count;
    }
    assert!(selective * 2 > ROUNDS, "too few filters select a part of the offers: {selective} of {ROUNDS}");
    assert!(added_seen > 0, "no added offer was listed");
}

/// Most databases order names by the collation of a language, and not by code point. Some different names compare as
/// equal.
#[test]
fn names_are_paged_in_the_order_of_a_language() {
    run(async {
        let db = Db::postgres_in("en-GB");
        let server = Server::start(&db);
        let client = Client::of(&server).await;
        let (mut raw_sql, mut rng) = (RawSql::of(&db).await, Rng::with_seed(20_211_006));
        let names = ["Zeal", "elm", "Elm", "élan", "Elan", "e-lm", "E lm", "St Ann", "St. Ann", "ST ANN", "ash", "Ash"];
        for n in 0..60 {
            let offer =
                Offer { name: (*rng.choice(names.iter()).unwrap()).to_owned(), ..random_offer(&mut rng, 910_000 + n) };
            insert(&db, &mut raw_sql, &offer).await;
        }
        for (order, sql) in [("name", "name, id"), ("name desc", "name DESC, id DESC")] {
            let expected = db.psql(&format!("SELECT id FROM offers ORDER BY {sql}"));
            let expected: Vec<&str> = expected.lines().collect();
            assert_eq!(expected.len(), 60);
            let found = walk(&client, list_request("", order, 7)).await;
            assert_eq!(ids(&found), expected, "{order}");
            let by_code_point =
                found.is_sorted_by(|a, b| a.name <= b.name) || found.is_sorted_by(|a, b| a.name >= b.name);
            assert!(!by_code_point, "this database orders as a language does");
        }
    });
}
