//! Provokes refusals for reasons that ordinary casework does not meet, and checks the metadata of refusals.

use std::collections::BTreeMap;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tsio::proto::{Outcome, SubjectKind};

use crate::authentication::refusal_of;
use crate::client::{Client, YEAR, fresh, offer_of_school};
use crate::harness::{Db, Server, both};
use crate::money::{Quantity, credit, limit};
use crate::raw_sql::RawSql;

both!(
    an_offer_with_draws_cannot_be_declined,
    a_closed_programme_takes_no_changes,
    an_account_has_a_largest_amount,
    an_error_names_its_subject_and_limits,
);

/// Checks that a call was refused by a rule of the scheme for this reason.
fn check_reason(status: &Status, reason: &str) {
    assert_eq!(refusal_of(status), (Code::FailedPrecondition, reason.to_owned()), "{status}");
}

async fn an_offer_with_draws_cannot_be_declined(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    client.create_fund_with(YEAR, "credit", 100_000).await;
    client.accept_offer(school).await;
    let award = client.create_award(&school.offer, credit(10_000)).await;
    client.start(&school.offer).await.unwrap();
    client.draw(&award, Quantity::Pence(4_000), &fresh()).await.unwrap();

    let status = client.close(&school.offer, Outcome::Declined).await.unwrap_err();
    check_reason(&status, "ALREADY_DRAWN");
    let binding_limit = limit(&status, "award");
    assert_eq!(
        (binding_limit.subject_kind(), binding_limit.subject_id.as_str()),
        (SubjectKind::Offer, school.offer.as_str())
    );
    // The remedy: refund the draw first.
    client.refund(&award, Quantity::Pence(4_000)).await.unwrap();
    client.close(&school.offer, Outcome::Declined).await.unwrap();
}

/// No command closes a programme yet, so the test changes the row by SQL.
async fn a_closed_programme_takes_no_changes(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let fund = client.create_fund_with(YEAR, "credit", 100_000).await;
    let mut raw_sql = RawSql::of(&db).await;
    let mut set_open = async |open: bool| {
        raw_sql.run(&format!("UPDATE books SET open = {open} WHERE programme = '{YEAR}'")).await.unwrap();
    };
    set_open(false).await;
    let status = client.allocate(&fund, 1, &fresh()).await.unwrap_err();
    check_reason(&status, "PROGRAMME_CLOSED");
    let binding_limit = limit(&status, "period");
    assert_eq!((binding_limit.subject_kind(), binding_limit.subject_id.as_str()), (SubjectKind::Programme, YEAR));
    set_open(true).await;
    client.allocate(&fund, 1, &fresh()).await.unwrap();
}

/// SQL sets the fund to almost the largest amount that an account can store.
async fn an_account_has_a_largest_amount(db: Db) {
    const HEADROOM: i64 = 99;
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let fund = client.create_fund(YEAR, "credit", "").await;
    let mut raw_sql = RawSql::of(&db).await;
    let (id, available) = (raw_sql.id(&fund), i64::MAX - HEADROOM);
    raw_sql
        .run(&format!("UPDATE accounts SET available = {available}, outside = -{available} WHERE id = {id}"))
        .await
        .unwrap();

    let status = client.allocate(&fund, HEADROOM + 1, &fresh()).await.unwrap_err();
    check_reason(&status, "AMOUNT_TOO_LARGE");
    let binding_limit = limit(&status, "fund");
    assert_eq!(
        (binding_limit.limit, binding_limit.requested, binding_limit.largest),
        (Some(available), Some(HEADROOM + 1), Some(HEADROOM))
    );
    assert_eq!(
        (binding_limit.subject_kind(), binding_limit.subject_id, binding_limit.strand),
        (SubjectKind::Fund, fund, "credit".to_owned())
    );
}

async fn an_error_names_its_subject_and_limits(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    let fund = client.create_fund_with(YEAR, "credit", 2_000_000).await;
    client.accept_offer(school).await;
    let metadata = |status: &Status| -> BTreeMap<String, String> {
        status.get_details_error_info().unwrap().metadata.into_iter().collect()
    };
    let map_of = |rows: &[(&str, &str)]| -> BTreeMap<String, String> {
        rows.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let offer = school.offer.as_str();

    // The cap of £10,000 and the fund of £20,000 both prevent it. The reason is that of the cap, which is the first limit.
    let status = client.award(offer, vec![credit(2_000_001)], &fresh()).await.unwrap_err();
    check_reason(&status, "CAP_EXCEEDED");
    let (cap, fund_limit) = (limit(&status, "cap"), limit(&status, "fund"));
    assert_eq!(cap.account, format!("offer {offer} (credit)"));
    assert_eq!(
        (cap.subject_kind(), cap.subject_id.as_str(), cap.strand.as_str()),
        (SubjectKind::Offer, offer, "credit")
    );
    assert_eq!((fund_limit.subject_kind(), fund_limit.subject_id.as_str()), (SubjectKind::Fund, fund.as_str()));
    let expected = [
        ("offer_id", offer),
        ("strand", "credit"),
        ("limit_kind", "cap"),
        ("unit", "pence"),
        ("limit", "1000000"),
        ("committed", "0"),
        ("spent", "0"),
        ("available", "1000000"),
        ("requested", "2000001"),
        ("largest", "1000000"),
    ];
    assert_eq!(metadata(&status), map_of(&expected));

    // A limit without numbers.
    let status = client.start(offer).await.unwrap_err();
    check_reason(&status, "AWARD_MISSING");
    assert_eq!(metadata(&status), map_of(&[("offer_id", offer), ("limit_kind", "award")]));

    // An offer that does not exist.
    let unknown_offer = uuid::Uuid::nil().to_string();
    let status = client.note(&unknown_offer, "of no offer", &fresh()).await.unwrap_err();
    assert_eq!(refusal_of(&status), (Code::NotFound, "NOT_FOUND".to_owned()));
    assert_eq!(metadata(&status), map_of(&[("offer_id", unknown_offer.as_str())]));
}
