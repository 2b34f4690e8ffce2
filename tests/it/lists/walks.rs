//! Pages over random offers, conditions and orders while more offers come: what was there is on them once and in order, and
//! with anything else on them that came meanwhile.

use std::collections::BTreeSet;

use fastrand::Rng;
use tsio::proto::{Offer, OfferState};
use uuid::Uuid;

use super::{Matches, ids, list_request, page, random_filter, walk};
use crate::client::Client;
use crate::harness::{Db, Server, both, run};
use crate::raw_sql::Past;

both!(a_walk_holds_all_that_was_there);

/// Offers to begin with.
const THERE: i32 = 80;
const ROUNDS: usize = 60;
/// Few, so that many offers have one name; ordered alike by every collation.
const NAMES: [&str; 5] = ["ash", "birch", "cedar", "elm", "oak"];
const REGIONS: [&str; 4] = ["West Midlands", "South-West England", "North of England", "East Midlands and the Humber"];
const STATES: [&str; 5] = ["identified", "contacted", "accepted", "delivering", "closed"];

/// An offer of any kind, anywhere in the order.
fn any(rng: &mut Rng, recipient: i32) -> Offer {
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

async fn put_in(db: &Db, past: &mut Past, offer: &Offer) {
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
         terms_sha256, search, version, made_at) VALUES ({id}, '2021-22', 'standalone', {recipient}, '{name}', '{region}', \
         '{state}', {outcome}, {assignee}, '{{\"local_authority\":330}}', {hash}, '{name}', 1, 1)"
    );
    past.run(&sql).await.unwrap();
}

/// In the order asked for, as text tells it: ids are compared as they are written.
fn sorted(mut offers: Vec<&Offer>, order: &str) -> Vec<String> {
    offers.sort_by(|a, b| match order {
        "" => a.offer.cmp(&b.offer),
        "create_time desc" => b.offer.cmp(&a.offer),
        "name" => (&a.name, &a.offer).cmp(&(&b.name, &b.offer)),
        _ => (&b.name, &b.offer).cmp(&(&a.name, &a.offer)),
    });
    offers.into_iter().map(|it| it.offer.clone()).collect()
}

async fn a_walk_holds_all_that_was_there(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let mut past = Past::of(&db).await;
    let mut rng = Rng::with_seed(20_211_005);
    let mut offers: Vec<Offer> = (0..THERE).map(|n| any(&mut rng, 910_000 + n)).collect();
    for offer in &offers {
        put_in(&db, &mut past, offer).await;
    }
    let (mut told_apart, mut came) = (0, 0);
    for round in 0..ROUNDS {
        let (filter, holds): (String, Matches) = random_filter(&mut rng, 3);
        let order = *rng.choice(["", "create_time desc", "name", "name desc"].iter()).unwrap();
        let there = offers.len();
        let mut request = list_request(&filter, order, rng.i32(1..9));
        let mut seen = Vec::new();
        loop {
            let answer = page(&client, request.clone()).await.unwrap_or_else(|error| panic!("{filter}: {error}"));
            seen.extend(answer.offers.into_iter().map(|it| it.offer));
            if answer.next_page_token.is_empty() {
                break;
            }
            request.page_token = answer.next_page_token;
            // In every second round more offers come, before and after the place that the pages have reached.
            if round % 2 == 1 && rng.u8(0..4) == 0 {
                let new = any(&mut rng, 910_000 + i32::try_from(offers.len()).unwrap());
                put_in(&db, &mut past, &new).await;
                offers.push(new);
            }
        }
        let set: BTreeSet<&String> = seen.iter().collect();
        assert_eq!(set.len(), seen.len(), "{filter} by {order:?}: each once");
        let found: Vec<&Offer> = offers.iter().filter(|it| holds(it) && set.contains(&it.offer)).collect();
        assert_eq!(seen, sorted(found, order), "{filter} by {order:?}: what holds, in order");
        let before = offers[..there].iter().filter(|it| holds(it));
        let missing: Vec<&String> = before.clone().map(|it| &it.offer).filter(|it| !set.contains(it)).collect();
        assert_eq!(missing, [""; 0], "{filter} by {order:?}: none of those that were there is missed");
        let held = before.count();
        told_apart += usize::from(held > 0 && held < there);
        came += seen.len() - held;
    }
    assert!(told_apart * 2 > ROUNDS, "the conditions tell offers apart: {told_apart} of {ROUNDS}");
    assert!(came > 0, "some of what came meanwhile was seen");
}

/// Most databases order names as a language does: not by code point, and some that differ as if they did not.
#[test]
fn names_are_walked_as_a_language_orders_them() {
    run(async {
        let db = Db::postgres_in("en-GB");
        let server = Server::start(&db);
        let client = Client::of(&server).await;
        let (mut past, mut rng) = (Past::of(&db).await, Rng::with_seed(20_211_006));
        let names = ["Zeal", "elm", "Elm", "élan", "Elan", "e-lm", "E lm", "St Ann", "St. Ann", "ST ANN", "ash", "Ash"];
        for n in 0..60 {
            let offer = Offer { name: (*rng.choice(names.iter()).unwrap()).to_owned(), ..any(&mut rng, 910_000 + n) };
            put_in(&db, &mut past, &offer).await;
        }
        for (order, sql) in [("name", "name, id"), ("name desc", "name DESC, id DESC")] {
            let there = db.psql(&format!("SELECT id FROM offers ORDER BY {sql}"));
            let there: Vec<&str> = there.lines().collect();
            assert_eq!(there.len(), 60);
            let found = walk(&client, list_request("", order, 7)).await;
            assert_eq!(ids(&found), there, "{order}");
            let by_code_point =
                found.is_sorted_by(|a, b| a.name <= b.name) || found.is_sorted_by(|a, b| a.name >= b.name);
            assert!(!by_code_point, "this database orders as a language does");
        }
    });
}
