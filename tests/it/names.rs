//! Offers, awards, funds, approvals and referrals by the names that people use.

use serde_json::{Value, json};
use tonic::Code;
use tsio::proto::name_service_client::NameServiceClient;
use tsio::proto::{NamedKind, ResolveNamesRequest};

use super::client::{Client, YEAR, reason};
use super::harness::{Db, Server, both, tsio};
use super::money::{accept_offer, create_fund_with, start_delivery};
use super::samples::{as_person, offer_id, run_filed, run_ok, run_refused_for, start_with_august, text};

both!(
    an_offer_is_named_by_its_school_its_trust_or_an_ending,
    an_award_and_a_fund_are_named_by_their_strand,
    an_approval_and_a_referral_are_named_by_an_ending,
    a_name_outside_the_reach_belongs_to_nothing,
    all_wrong_names_are_reported_together,
    an_unknown_name_of_the_terms_is_answered_with_those_that_exist,
    a_denied_call_names_the_roles_that_may,
    a_list_is_printed_as_ids_columns_and_csv
);

/// A school in the West Midlands that is offered support itself, and its trust that is not; a trust with several eligible schools.
const SCHOOL: i64 = 910_001;
const TRUST: i64 = 90_001;

/// The last eight hex digits of an id.
fn ending(id: &str) -> &str {
    &id[id.len() - 8..]
}

/// The id of the offer that a command with this name shows.
fn shown_offer(server: &Server, name: &str) -> String {
    text(&run_ok(server, &["offers", "show", name]), "offer")
}

async fn an_offer_is_named_by_its_school_its_trust_or_an_ending(db: Db) {
    let server = start_with_august(&db);
    let (of_school, of_trust) = (offer_id(&server, SCHOOL), offer_id(&server, TRUST));
    let shown = run_ok(&server, &["offers", "show", &of_trust]);
    let urn_in_trust = shown["schools"][0]["urn"].to_string();
    let names = [
        (SCHOOL.to_string(), &of_school),
        (ending(&of_school).to_owned(), &of_school),
        (of_school[20..].to_uppercase(), &of_school),
        (of_school.clone(), &of_school),
        (format!("uid:{TRUST}"), &of_trust),
        (urn_in_trust, &of_trust),
    ];
    for (name, offer) in names {
        assert_eq!(shown_offer(&server, &name), *offer, "{name}");
    }
    // Several names in one command, and a command that changes the offer.
    let both = run_ok(&server, &["offers", "show", &SCHOOL.to_string(), &format!("uid:{TRUST}")]);
    assert_eq!([&both[0]["offer"], &both[1]["offer"]], [&json!(of_school), &json!(of_trust)]);
    let contacted = ["offers", "contact", "910001", "--party", "responsible-body", "--on", "13/9/2021"];
    let contacted = run_ok(&server, &contacted);
    assert_eq!(
        (&contacted[0]["state"], &contacted[0]["contacts"][0]["date"]),
        (&json!("contacted"), &json!("2021-09-13"))
    );
    // A closed offer is named by its school as well.
    run_ok(&server, &["offers", "close", "910001", "--outcome", "withdrawn", "--on", "2021-09-14"]);
    assert_eq!(shown_offer(&server, "910001"), of_school);
    run_refused_for(&server, "NOT_FOUND", &["offers", "show", "910001", "--programme", "2022-23"]);
}

async fn an_award_and_a_fund_are_named_by_their_strand(db: Db) {
    let server = start_with_august(&db);
    let fund = create_fund_with(&server, "credit", "40000");
    let regional = run_ok(&server, &["funds", "create", "--strand", "credit", "--region", "west-midlands"]);
    for (name, id) in [("credit", &fund), (ending(&fund), &fund), ("credit/west-midlands", &text(&regional, "fund"))] {
        assert_eq!(text(&run_ok(&server, &["funds", "show", name]), "fund"), *id, "{name}");
    }
    run_ok(&server, &["funds", "move", "credit", "credit/West Midlands", "5000", "--on", "2021-09-02"]);

    accept_offer(&server, SCHOOL);
    let award = |amount| {
        let args =
            ["awards", "credit", "910001", "--amount", amount, "--partner", "90003", "--suitable-because", "near"];
        text(&run_ok(&server, &[&args[..], &["--on", "2021-09-21"]].concat()), "award")
    };
    let first = award("1000");
    for name in ["910001/credit", "910001/credit/1", ending(&first)] {
        assert_eq!(text(&run_ok(&server, &["awards", "show", name]), "award"), first, "{name}");
    }
    let second = award("2000");
    assert_eq!(text(&run_ok(&server, &["awards", "show", "910001/credit/2"]), "award"), second);
    let several = run_refused_for(&server, "FIELD_VIOLATIONS", &["awards", "show", "910001/credit"]);
    let description = several["violations"][0]["description"].as_str().unwrap();
    assert!(description.contains(&first) && description.contains(&second), "{several}");
    run_refused_for(&server, "NOT_FOUND", &["awards", "show", "910001/credit/3"]);
    run_refused_for(&server, "NOT_FOUND", &["awards", "show", "910001/nle"]);
    start_delivery(&server, "910001");
    let drawn = run_ok(&server, &["awards", "draw", "910001/credit/2", "--amount", "500", "--on", "2021-10-05"]);
    assert_eq!((&drawn["award"], &drawn["drawn"]), (&json!(second), &json!(50_000)));
    let listed = run_ok(&server, &["awards", "list", "--offer", "910001"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
}

async fn an_approval_and_a_referral_are_named_by_an_ending(db: Db) {
    let server = start_with_august(&db);
    let raise = ["referrals", "raise", "--urn", "910030", "--origin", "self-identified", "--ground", "would_benefit"];
    let raised = run_ok(&server, &[&raise[..], &["--on", "2021-11-02", "--because", "came forward"]].concat());
    let referral = text(&raised, "referral");
    let shown = run_ok(&server, &["referrals", "show", ending(&referral)]);
    assert_eq!(shown["referral"], json!(referral));
    run_ok(&server, &["referrals", "withdraw", ending(&referral), "--because", "raised twice"]);

    let fund = create_fund_with(&server, "credit", "1000");
    let large = ["funds", "allocate", "credit", "£60,000", "--on", "2021-09-02"];
    let approval = text(&run_filed(&server, &large), "approval");
    let given = run_ok(&server, &as_person("rita", "finance-approver", &["approvals", "give", ending(&approval)]));
    assert_eq!((&given["approval"]["approval"], &given["funds"][0]["fund"]), (&json!(approval), &json!(fund)));
}

async fn a_name_outside_the_reach_belongs_to_nothing(db: Db) {
    let server = start_with_august(&db);
    let offer = offer_id(&server, SCHOOL);
    let shown = run_ok(&server, &["offers", "show", &offer]);
    let elsewhere = if shown["region"] == "West Midlands" { "South-West England" } else { "West Midlands" };
    let reads = |region| ["--roles", "reader", "--actor", "rob", "--regions", region];
    for name in ["910001", ending(&offer)] {
        let show = ["offers", "show", name];
        run_refused_for(&server, "NOT_FOUND", &[&reads(elsewhere)[..], &show].concat());
        run_ok(&server, &[&reads(shown["region"].as_str().unwrap())[..], &show].concat());
    }
    // A delivery partner sees the offers that are assigned to it.
    let as_partner = as_person("oakfield", "delivery-partner", &["offers", "show", "910001"]);
    run_refused_for(&server, "NOT_FOUND", &as_partner);
    run_ok(&server, &["offers", "assign", "910001", "--to", "oakfield"]);
    assert_eq!(text(&run_ok(&server, &as_partner), "offer"), offer);
}

async fn an_unknown_name_of_the_terms_is_answered_with_those_that_exist(db: Db) {
    let server = start_with_august(&db);
    let raise = |ground: &'static str| {
        let words =
            ["referrals", "raise", "--urn", "910030", "--origin", "self-identified", "--because", "x", "--ground"];
        [&words[..], &[ground]].concat()
    };
    let rows = [
        (raise("hardship"), "ground hardship does not exist; there are: would_benefit, covid_disruption"),
        (
            vec!["funds", "create", "--strand", "coaching"],
            "strand coaching does not exist; there are: nle, credit, nlg, npqel",
        ),
        (
            vec!["offers", "list", "--programme", "2030-31"],
            "programme 2030-31 does not exist; there are: 2021-22, 2022-23",
        ),
    ];
    for (command, message) in rows {
        assert_eq!(text(&run_refused_for(&server, "NOT_FOUND", &command), "message"), message);
    }
}

async fn a_denied_call_names_the_roles_that_may(db: Db) {
    let server = start_with_august(&db);
    let rows = [
        ("reader", vec!["offers", "identify"], "work offers; these may: case-officer, regional-director"),
        ("case-officer", vec!["funds", "create", "--strand", "credit"], "keep funds; these may: finance"),
        (
            "administrator",
            vec!["awards", "draw", "0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f", "--days", "1", "--on", "2021-10-05"],
            "deliver or pay claims; these may: case-officer, delivery-partner, regional-director, finance",
        ),
    ];
    for (role, command, expected) in rows {
        let error = run_refused_for(&server, "ROLE_MISSING", &as_person("someone", role, &command));
        assert_eq!(text(&error, "message"), format!("none of the caller's roles may {expected}"));
    }
}

async fn all_wrong_names_are_reported_together(db: Db) {
    let server = start_with_august(&db);
    let client = Client::of(&server).await;
    let mut names = NameServiceClient::new(client.channel());
    let offer = offer_id(&server, SCHOOL);
    let request = |kind: NamedKind, texts: &[&str]| ResolveNamesRequest {
        programme: YEAR.to_owned(),
        kind: kind.into(),
        names: texts.iter().map(|it| (*it).to_owned()).collect(),
    };
    let mut resolve = async |message| names.resolve_names(client.ask(message)).await.map(tonic::Response::into_inner);
    let ids = resolve(request(NamedKind::Offer, &["910001", ending(&offer), "910001"])).await.unwrap().ids;
    assert_eq!(ids, vec![offer.clone(); 3]);

    let wrong = resolve(request(NamedKind::Offer, &["910001", "999999", "St Wilfreda", "00000000"])).await.unwrap_err();
    assert_eq!((wrong.code(), reason(&wrong).as_str()), (Code::InvalidArgument, "FIELD_VIOLATIONS"));
    let missing = resolve(request(NamedKind::Offer, &["910001", "999999", "00000000"])).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(missing.message().contains("999999") && missing.message().contains("00000000"), "{missing}");
    let fields = resolve(ResolveNamesRequest::default()).await.unwrap_err();
    assert_eq!(fields.code(), Code::InvalidArgument);
    let too_many = resolve(request(NamedKind::Offer, &["910001"; 501])).await.unwrap_err();
    assert_eq!(too_many.code(), Code::InvalidArgument);

    let args = ["offers", "show", "910001", "999999", "St Wilfreda"];
    let error = run_refused_for(&server, "FIELD_VIOLATIONS", &args);
    let descriptions: Vec<&str> =
        error["violations"].as_array().unwrap().iter().map(|it| it["description"].as_str().unwrap()).collect();
    assert!(matches!(descriptions.as_slice(), [a, b] if a.contains("999999") && b.contains("St Wilfreda")), "{error}");
}

async fn a_list_is_printed_as_ids_columns_and_csv(db: Db) {
    let server = start_with_august(&db);
    let run = |args: &[&str]| tsio(&[&["--server", &server.url()], args].concat());
    let offers = run_ok(&server, &["offers", "list", "--order-by", "name"]);
    let expected = |key: &str| -> Vec<String> {
        offers.as_array().unwrap().iter().map(|it| it[key].as_str().unwrap().to_owned()).collect()
    };
    let by_name = ["offers", "list", "--order-by", "name"];
    let ids = run(&[&by_name[..], &["--output", "id"]].concat());
    assert_eq!(ids.stdout.lines().collect::<Vec<_>>(), expected("offer"));
    let csv = run(&[&by_name[..], &["--csv", "--columns", "name,offer"]].concat());
    let mut rows = csv::Reader::from_reader(csv.stdout.as_bytes());
    assert_eq!(rows.headers().unwrap(), vec!["name", "offer"]);
    let rows: Vec<Vec<String>> = rows.records().map(|it| it.unwrap().iter().map(ToOwned::to_owned).collect()).collect();
    let pairs: Vec<Vec<String>> =
        expected("name").into_iter().zip(expected("offer")).map(|(name, offer)| vec![name, offer]).collect();
    assert_eq!(rows, pairs);
    // Of 19 offers 16 are left out, which standard error says.
    let three = run(&[&by_name[..], &["--columns", "offer", "--limit", "3"]].concat());
    assert_eq!(three.stdout.lines().skip(1).map(str::trim).collect::<Vec<_>>(), expected("offer")[..3]);
    assert!(three.stderr.contains("16 more: --limit 0"), "{}", three.stderr);
    let limited = run_ok(&server, &[&by_name[..], &["--limit", "2"]].concat());
    assert_eq!(limited.as_array().map(Vec::len), Some(2));
    let unknown = run(&[&by_name[..], &["--columns", "nmae"]].concat());
    assert_eq!(unknown.code, 2);
    assert!(unknown.stderr.contains("no column nmae; there are: offer, programme"), "{}", unknown.stderr);
    // An answer without ids says so.
    let summary = run(&["eligibility", "summary", "--output", "id"]);
    assert_eq!((summary.code, summary.stdout.as_str()), (0, ""));
    assert!(summary.stderr.contains("this answer has no ids"), "{}", summary.stderr);
    let nothing: Value = run_ok(&server, &["offers", "list", "--state", "closed"]);
    assert_eq!(nothing, json!([]));
    assert_eq!(run(&["offers", "list", "--state", "closed", "--output", "id"]).stdout, "");
    // An empty list has its columns too.
    let closed = ["offers", "list", "--state", "closed"];
    let header = run(&[&closed[..], &["--csv"]].concat()).stdout;
    assert!(header.starts_with("offer,programme,") && header.lines().count() == 1, "{header}");
    assert_eq!(run(&[&closed[..], &["--csv", "--columns", "nmae"]].concat()).code, 2);
    let two_formats = run(&[&by_name[..], &["--csv", "--output", "json"]].concat());
    assert_eq!((two_formats.code, two_formats.stdout.as_str()), (2, ""), "{}", two_formats.stderr);
}
