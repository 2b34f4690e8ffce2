//! Summaries of offers, by any dimension: counts, money and days, and who sees them.

use serde_json::{Value, json};
use tonic::Code;
use tsio::proto::work_service_client::WorkServiceClient;
use tsio::proto::{OfferState, SummariseOffersRequest, SummaryDimension};

use super::client::{Client, YEAR};
use super::harness::{Db, Server, both};
use super::money::{WITH_LEADER, WITH_PARTNER, accept_offer, create_award, create_fund_with, start_delivery};
use super::samples::{as_person, run_ok, run_refused_for, start_with_august, text};

both!(
    the_offers_of_august_are_counted_by_every_dimension,
    money_and_days_are_summed_and_add_up,
    a_summary_has_only_what_the_caller_may_see,
    a_trust_counts_where_most_of_its_schools_are,
    all_wrong_fields_are_reported_together,
    the_areas_are_local_authorities_with_their_regions
);

fn summary(server: &Server, args: &[&str]) -> Vec<Value> {
    run_ok(server, &[&["offers", "summary"], args].concat()).as_array().unwrap().clone()
}

/// The only row of a summary without dimensions.
fn total(server: &Server, args: &[&str]) -> Value {
    let rows = summary(server, args);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

/// The number of offers for each value of a dimension.
fn counts(rows: &[Value], key: &str) -> Vec<(Value, i64)> {
    rows.iter().map(|it| (it[key].clone(), it["offers"].as_i64().unwrap())).collect()
}

async fn the_offers_of_august_are_counted_by_every_dimension(db: Db) {
    let server = start_with_august(&db);
    let all = total(&server, &[]);
    assert_eq!(
        (&all["offers"], &all["contacted_offers"], &all["contacted_median_days"]),
        (&json!(19), &json!(0), &Value::Null)
    );
    assert!(all.get("region").is_none() && all.get("month").is_none(), "{all}");
    // 14 schools and 5 trusts.
    let by_kind = counts(&summary(&server, &["--by", "recipient-kind"]), "recipient_kind");
    assert_eq!(by_kind, [(json!("standalone"), 14), (json!("mat"), 5)]);
    accept_offer(&server, 910_001);
    accept_offer(&server, 90_001);
    run_ok(&server, &["offers", "contact", "910002", "--party", "responsible-body", "--on", "2021-09-13"]);
    run_ok(&server, &["offers", "contact", "910003", "--party", "responsible-body", "--on", "2021-09-13"]);
    let contact = run_ok(&server, &["offers", "show", "910003"])["contacts"][0]["contact"].to_string();
    run_ok(&server, &["offers", "correct", "910003", "--contact", &contact, "--note", "another school"]);
    run_ok(&server, &["offers", "assign", "910002", "--to", "ann"]);
    let by_state = summary(&server, &["--by", "state"]);
    // In the order of an offer's life. The offer whose contact was a mistake is only identified.
    let expected = [(json!("identified"), 16), (json!("contacted"), 1), (json!("accepted"), 2)];
    assert_eq!(counts(&by_state, "state"), expected);
    let contacted: Vec<&Value> = by_state.iter().map(|it| &it["contacted_offers"]).collect();
    assert_eq!(contacted, [&json!(0), &json!(1), &json!(2)]);
    // The offers were made today, and all dates are of 2021: they were recorded late.
    assert_eq!((&by_state[2]["accepted_offers"], &by_state[2]["accepted_median_days"]), (&json!(2), &json!(0)));
    assert_eq!(counts(&summary(&server, &["--by", "assignee"]), "assignee"), [(Value::Null, 18), (json!("ann"), 1)]);
    assert_eq!(total(&server, &["--assignee", "ann"])["offers"], json!(1));
    assert_eq!(total(&server, &["--state", "accepted"])["offers"], json!(2));
    // One identify, so one month.
    let by_month = summary(&server, &["--by", "month"]);
    assert_eq!((by_month.len(), &by_month[0]["offers"]), (1, &json!(19)));
    assert_eq!(text(&by_month[0], "month").len(), "2021-09".len());
    // Each dimension and each combination counts every offer once.
    for by in
        ["region", "local-authority", "region,state", "state,recipient-kind,assignee,local-authority,month,region"]
    {
        let offers: i64 = summary(&server, &["--by", by]).iter().map(|it| it["offers"].as_i64().unwrap()).sum();
        assert_eq!(offers, 19, "{by}");
    }
    let empty = total(&server, &["--programme", "2022-23"]);
    assert_eq!((&empty["offers"], &empty["awarded_pence"]), (&json!(0), &json!(0)));
    assert_eq!(summary(&server, &["--programme", "2022-23", "--by", "state"]), [Value::Null; 0]);
}

async fn money_and_days_are_summed_and_add_up(db: Db) {
    let server = start_with_august(&db);
    create_fund_with(&server, "credit", "40000");
    create_fund_with(&server, "nlg", "40000");
    for recipient in [910_001, 910_002, 90_001] {
        accept_offer(&server, recipient);
    }
    let days = create_award(&server, "nle", "910001", &[&["--days", "3"], &WITH_LEADER[..]].concat());
    let credit = create_award(&server, "credit", "910001", &[&["--amount", "4000"], &WITH_PARTNER[..]].concat());
    create_award(&server, "credit", "910002", &[&["--amount", "10000"], &WITH_PARTNER[..]].concat());
    create_award(&server, "nlg", "uid:90001", &["--amount", "2500.50", "--because", "new governors"]);
    start_delivery(&server, "910001");
    run_ok(&server, &["awards", "draw", &credit, "--amount", "1000", "--on", "2021-11-01", "--invoice", "A1"]);
    run_ok(&server, &["awards", "refund", &credit, "--amount", "250", "--reason", "too much", "--on", "2021-11-02"]);
    run_ok(&server, &["awards", "release", &credit, "--amount", "500", "--on", "2021-11-03"]);
    for days_of_booking in ["1", "0.5", "1"] {
        run_ok(&server, &["awards", "book", &days, "--days", days_of_booking, "--on", "2021-11-15"]);
    }
    let bookings = run_ok(&server, &["awards", "show", &days])["bookings"].clone();
    let booking = |index: usize| bookings[index]["booking"].to_string();
    run_ok(&server, &["awards", "draw", &days, "--booking", &booking(0), "--on", "2021-11-15"]);
    run_ok(&server, &["awards", "cancel", &days, "--booking", &booking(1)]);

    let all = total(&server, &[]);
    let figures = |it: &Value| {
        let keys = [
            "awarded_pence",
            "drawn_pence",
            "left_pence",
            "awarded_half_days",
            "drawn_half_days",
            "left_half_days",
            "booked_half_days",
            "delivered_half_days",
            "started_offers",
        ];
        keys.map(|key| it[key].as_i64().unwrap())
    };
    // £4,000 + £10,000 + £2,500.50; £1,000 drawn, of which the refund is not taken off; £500 released.
    // 3 days, of which 1 is drawn; 2 days booked, the cancelled half-day not counted.
    assert_eq!(figures(&all), [1_650_050, 100_000, 1_500_050, 6, 2, 4, 4, 2, 1]);
    for by in ["region", "state", "recipient-kind", "local-authority", "assignee,month"] {
        let mut sums = [0; 9];
        for row in summary(&server, &["--by", by]) {
            for (sum, figure) in sums.iter_mut().zip(figures(&row)) {
                *sum += figure;
            }
        }
        assert_eq!(sums, figures(&all), "{by}");
    }
}

async fn a_summary_has_only_what_the_caller_may_see(db: Db) {
    let server = start_with_august(&db);
    run_ok(&server, &["offers", "assign", "910001", "--to", "oakfield"]);
    let by_region = counts(&summary(&server, &["--by", "region"]), "region");
    let west = by_region.iter().find(|(region, _)| *region == json!("West Midlands")).unwrap().1;
    assert!((1..19).contains(&west));
    let officer = ["--actor", "carol", "--roles", "case-officer", "--regions", "West Midlands"];
    let of_officer = run_ok(&server, &[&officer[..], &["offers", "summary", "--by", "region"]].concat());
    assert_eq!(of_officer[0]["offers"], json!(west));
    assert_eq!(of_officer.as_array().map(Vec::len), Some(1));
    assert_eq!(total(&server, &["--region", "west-midlands"])["offers"], json!(west));
    let partner = run_ok(&server, &as_person("oakfield", "delivery-partner", &["offers", "summary"]));
    assert_eq!(partner[0]["offers"], json!(1));
    let other = run_ok(&server, &as_person("elmfield", "delivery-partner", &["offers", "summary"]));
    assert_eq!(other[0]["offers"], json!(0));
    run_refused_for(&server, "NOT_FOUND", &["offers", "summary", "--programme", "2030-31"]);
}

async fn a_trust_counts_where_most_of_its_schools_are(db: Db) {
    let server = start_with_august(&db);
    let only_trust = ["--by", "local-authority", "--state", "contacted"];
    run_ok(&server, &["offers", "contact", "uid:90001", "--party", "responsible-body", "--on", "2021-09-13"]);
    // The schools of the trust: 910045 (LA 330), 910046 (LA 336), 910047 (LA 383). One each: the lowest code.
    assert_eq!(counts(&summary(&server, &only_trust), "local_authority"), [(json!(330), 1)]);
    // The condition selects offers that list a school there, also if their own area is another.
    assert_eq!(total(&server, &["--local-authority", "336", "--state", "contacted"])["offers"], json!(1));
    assert_eq!(total(&server, &["--local-authority", "391", "--state", "contacted"])["offers"], json!(0));
}

async fn all_wrong_fields_are_reported_together(db: Db) {
    let server = start_with_august(&db);
    let client = Client::of(&server).await;
    let mut work = WorkServiceClient::new(client.channel());
    let region = SummaryDimension::Region.into();
    let wrong = SummariseOffersRequest {
        programme: "2021".to_owned(),
        by: vec![region, 0, region, 77],
        state: 99,
        region: "Nowhere".to_owned(),
        assignee: String::new(),
        local_authority: -1,
    };
    let status = work.summarise_offers(client.ask(wrong)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = tonic_types::StatusExt::get_details_bad_request(&status).unwrap();
    let fields: Vec<&str> = details.field_violations.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(fields, ["programme", "by[1]", "by[2]", "by[3]", "state", "region", "local_authority"]);
    let right = SummariseOffersRequest {
        programme: YEAR.to_owned(),
        state: OfferState::Identified.into(),
        ..Default::default()
    };
    assert_eq!(work.summarise_offers(client.ask(right)).await.unwrap().into_inner().rows[0].offers, 19);
}

async fn the_areas_are_local_authorities_with_their_regions(db: Db) {
    let server = Server::start(&db);
    let all = run_ok(&server, &["areas"]);
    let birmingham = all.as_array().unwrap().iter().find(|it| it["code"] == 330).unwrap();
    assert_eq!(*birmingham, json!({ "code": 330, "name": "Birmingham", "region": "West Midlands" }));
    let west = run_ok(&server, &["areas", "--region", "west-midlands"]);
    assert!(west.as_array().unwrap().iter().all(|it| it["region"] == "West Midlands"), "{west}");
    assert!(west.as_array().unwrap().len() < all.as_array().unwrap().len());
    run_refused_for(&server, "FIELD_VIOLATIONS", &["areas", "--region", "nowhere"]);
}
