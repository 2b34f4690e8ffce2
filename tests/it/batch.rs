//! Gets several offers in one call: all as of one moment and in the requested order, or none if one is wrong.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tsio::proto::{BatchGetOffersRequest, BatchGetOffersResponse, Offer, Party};

use crate::client::{Client, contact, fresh, offer_of_school};
use crate::harness::{Db, Server, both};
use crate::money::nle;

both!(offers_are_complete_and_in_order, offers_are_of_one_moment, a_batch_names_all_that_is_wrong);

/// How many different moments the test has to see. A writer makes contacts until the test has seen them.
const MOMENTS: usize = 10;

async fn batch(client: &Client, offers: &[&str]) -> Result<BatchGetOffersResponse, Status> {
    let offers = offers.iter().map(|&it| it.to_owned()).collect();
    Ok(client
        .offers()
        .batch_get_offers(client.ask(BatchGetOffersRequest { offers, ..Default::default() }))
        .await?
        .into_inner())
}

async fn offers_are_complete_and_in_order(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    client.accept_offer(school).await;
    client.create_award(&school.offer, nle(2)).await;
    let other = offers.iter().map(|it| it.offer.as_str()).find(|it| *it != school.offer).unwrap();
    let mut newest = 0;
    for offer in &offers {
        newest = client.events(&offer.offer).await.iter().map(|it| it.sequence).fold(newest, i64::max);
    }
    for order in [[school.offer.as_str(), other], [other, school.offer.as_str()]] {
        let found = batch(&client, &order).await.unwrap();
        let alone = [client.offer_details(order[0]).await, client.offer_details(order[1]).await];
        assert_eq!((found.offers, found.at_sequence), (alone.to_vec(), newest));
    }
}

/// Each call of the writer records a contact with both offers in one commit, so both have the same number of contacts
/// at any moment.
async fn offers_are_of_one_moment(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let pair: Vec<Offer> = offers[..2].to_vec();
    let seen_enough = Arc::new(AtomicBool::new(false));
    let writer = {
        let (client, pair, seen_enough) = (Client::of(&server).await, pair.clone(), Arc::clone(&seen_enough));
        tokio::spawn(async move {
            while !seen_enough.load(Ordering::SeqCst) {
                let both = contact(Party::ResponsibleBody, &[&pair[0], &pair[1]], &fresh());
                client.offers().contact_offers(client.ask(both)).await.unwrap();
            }
        })
    };
    let (mut moments, mut last) = (BTreeSet::new(), 0);
    while moments.len() < MOMENTS {
        let found = batch(&client, &[&pair[0].offer, &pair[1].offer]).await.unwrap();
        let contacts: Vec<usize> = found.offers.iter().map(|it| it.offer.as_ref().unwrap().contacts.len()).collect();
        assert_eq!(contacts[0], contacts[1], "one offer has a contact that the other lacks");
        assert!(found.at_sequence >= last, "the sequence went back");
        last = found.at_sequence;
        moments.insert(contacts[0]);
        assert!(!writer.is_finished(), "the writer has failed");
    }
    seen_enough.store(true, Ordering::SeqCst);
    writer.await.unwrap();
}

async fn a_batch_names_all_that_is_wrong(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let (first, absent) = (offers[0].offer.as_str(), [fresh(), fresh()]);
    let status = batch(&client, &[&absent[0], first, &absent[1]]).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    for id in &absent {
        assert!(status.message().contains(id), "{status}");
    }
    assert!(!status.message().contains(first), "{status}");
    let wrong = async |offers: &[&str]| {
        let status = batch(&client, offers).await.unwrap_err();
        let bad = status.get_details_bad_request().unwrap();
        bad.field_violations.into_iter().map(|it| it.field).collect::<Vec<_>>()
    };
    assert_eq!(wrong(&[]).await, ["offers"]);
    assert_eq!(wrong(&[first, "x", first, ""]).await, ["offers[1]", "offers[2]", "offers[3]"]);
    // A call may get at most 100 offers.
    let many: Vec<String> = (0..101).map(|_| fresh()).collect();
    assert_eq!(wrong(&many.iter().map(String::as_str).collect::<Vec<_>>()).await, ["offers"]);
}
