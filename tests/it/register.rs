//! Checks imports of the register and of months: a corrected month, a withdrawn month, and a school that moved to a trust.

use serde_json::{Value, json};

use super::harness::{Db, Server, both};
use super::samples::{
    AUGUST, BLOCKED, File, JANUARY, NOVEMBER, REGISTER_AUGUST, REGISTER_MARCH, SEPTEMBER, SEPTEMBER_CORRECTED,
    as_person, identify, identify_counts, identify_created, import, import_all, import_args, numbers, offer_id,
    offer_of, run_filed, run_ok, run_refused, run_refused_for, start_with_august, summary, text,
};

both!(
    a_corrected_month_replaces_the_wrong_one,
    two_people_withdraw_an_import,
    a_withdrawal_affects_no_other_offers_than_it_states,
    a_moved_school_is_blocked,
);

/// Returns the file name and the id of each import of this kind and state.
fn imports(server: &Server, kind: &str, state: &str) -> Vec<(String, String)> {
    let list = run_ok(server, &["import", "list"]);
    let matching = list.as_array().unwrap().iter().filter(|it| it["kind"] == kind && it["state"] == state);
    matching.map(|it| (text(it, "file_name"), text(it, "import_id"))).collect()
}

async fn a_corrected_month_replaces_the_wrong_one(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST]);
    let wrong = text(&import(&server, SEPTEMBER), "import_id");
    let before = run_ok(&server, &["import", "list"]);
    let corrected = import_args(SEPTEMBER_CORRECTED);
    let corrected: Vec<&str> = corrected.iter().map(String::as_str).collect();

    let error = run_refused_for(&server, "IMPORT_DISAGREES", &corrected);
    assert_eq!(error["code"], "FAILED_PRECONDITION");
    let message = error.to_string();
    assert!(message.contains("910022") && message.contains(&wrong), "neither the URN nor the import is named: {error}");
    assert!(!message.contains("910021") && !message.contains("910023"), "a school that agrees is named: {error}");
    assert_eq!(run_ok(&server, &["import", "list"]), before);
    assert_eq!(summary(&server, "2021-22"), [76, 31, 3, 28, 0, 10, 5, 16, 13, 2, 1, 5, 3]);

    // A file may replace only a valid import of its own kind and date.
    let of_august = imports(&server, "ofsted", "landed").into_iter().find(|it| it.0 == AUGUST.0).unwrap().1;
    for replaced in [&of_august, "00000000-0000-4000-8000-000000000000", "not-an-id"] {
        run_refused(&server, &[corrected.as_slice(), &["--replaces", replaced]].concat());
    }
    assert_eq!(run_ok(&server, &["import", "list"]), before);

    let replacing = [corrected.as_slice(), &["--replaces", &wrong]].concat();
    let dry_run = run_ok(&server, &[replacing.as_slice(), &["--dry-run"]].concat());
    assert_eq!((&dry_run[0]["dry_run"], &dry_run[0]["import_id"]), (&true.into(), &Value::Null));
    assert_eq!(run_ok(&server, &["import", "list"]), before);

    let landed = run_ok(&server, &replacing);
    assert_eq!((&landed[0]["replaced"], &landed[0]["accepted"]), (&json!(wrong), &58.into()), "{landed}");
    assert_eq!(summary(&server, "2021-22"), [76, 32, 4, 28, 0, 10, 5, 17, 14, 2, 1, 5, 3]);
    assert_eq!(imports(&server, "ofsted", "replaced"), [(SEPTEMBER.0.to_owned(), wrong)]);
    let explained = run_ok(&server, &["eligibility", "explain", "910022"]);
    assert_eq!(explained["schools"][0]["rules"][0]["outcome"], "met");
    assert_eq!(explained["schools"][0]["rules"][0]["evidence"]["import_id"], landed[0]["import_id"]);
    // The wrong file now disagrees with the corrected one.
    let wrong_again = import_args(SEPTEMBER);
    run_refused_for(&server, "IMPORT_DISAGREES", &wrong_again.each_ref().map(String::as_str));
    import_all(&server, &[NOVEMBER, JANUARY]);
    assert_eq!(summary(&server, "2021-22"), [77, 37, 10, 28, 1, 11, 5, 20, 16, 3, 1, 6, 3]);
}

async fn two_people_withdraw_an_import(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST]);
    identify(&server);
    // September's file with an as-at date that is one day late. The content of the file does not show this mistake.
    let wrong_date: File = (SEPTEMBER.0, "2021-10-01");
    let wrong = text(&import(&server, wrong_date), "import_id");
    assert_eq!(identify(&server), [3, 0, 18, 0, 0, 5]);

    let check = as_person("ann", "administrator", &["import", "withdraw", &wrong, "--dry-run"]);
    let would_be_affected = run_ok(&server, &check)["affected_offers"].clone();
    assert_eq!(run_ok(&server, &["approvals", "list"]), json!([]), "the check opened an approval");
    run_refused_for(&server, "ROLE_MISSING", &as_person("carol", "case-officer", &check[4..]));
    let ask = |actor| as_person(actor, "administrator", &["import", "withdraw", &wrong, "--reason", "wrong date"]);
    let approval = text(&run_filed(&server, &ask("ann")), "approval");
    // The repeated call opens no second approval.
    assert_eq!(run_filed(&server, &ask("ann"))["approval"], approval);
    let open = run_ok(&server, &["approvals", "list"]);
    let fields = |it: &Value| ["approval", "action", "state", "requested_by", "subject"].map(|key| text(it, key));
    let open: Vec<_> = open.as_array().unwrap().iter().map(fields).collect();
    assert_eq!(open, [[approval.as_str(), "withdraw_import", "open", "ann", &wrong]]);
    assert_eq!(summary(&server, "2021-22")[1], 31, "the request for approval withdrew the import");

    let affected_offers = &run_ok(&server, &["approvals", "list"])[0]["affected_offers"];
    assert_eq!(affected_offers.as_array().unwrap().len(), 3, "{affected_offers}");
    let give = |actor, roles| as_person(actor, roles, &["approvals", "give", &approval]);
    let self_approval = run_refused_for(&server, "SELF_APPROVAL", &give("ann", "administrator"));
    assert_eq!(self_approval["code"], "PERMISSION_DENIED");
    run_refused_for(&server, "ROLE_MISSING", &give("bob", "case-officer,regional-director,finance,finance-approver"));
    assert_eq!(summary(&server, "2021-22")[1], 31);

    let answer = run_ok(&server, &give("bob", "administrator"));
    assert_eq!(answer["affected_offers"], would_be_affected, "the check listed other offers");
    run_refused_for(&server, "IMPORT_NOT_LANDED", &check);
    assert_eq!(
        (&answer["approval"]["state"], &answer["import"]["state"]),
        (&"carried_out".into(), &"withdrawn".into())
    );
    // The reason is stored only with the import, where it can be erased. The answer, which is stored too, does not have it.
    assert_eq!(
        (&answer["import"]["withdrawn_by"], &answer["import"]["withdrawn_reason"]),
        (&"ann".into(), &Value::Null)
    );
    let listed = run_ok(&server, &["import", "list"]);
    let listed = listed.as_array().unwrap().iter().find(|it| it["import_id"] == wrong).unwrap();
    for shown in [listed, &run_ok(&server, &["import", "show", &wrong])] {
        assert_eq!(shown["withdrawn_reason"], "wrong date", "{shown}");
    }
    let mut affected: Vec<(String, Vec<i64>)> = answer["affected_offers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (text(it, "offer"), it["urns"].as_array().unwrap().iter().map(|urn| urn.as_i64().unwrap()).collect()))
        .collect();
    affected.sort_by_key(|it| it.1.clone());
    let expected = [910_017, 910_019, 910_021].map(|urn| (offer_id(&server, urn), vec![urn]));
    assert_eq!(affected, expected, "the affected offers are those that the withdrawn file led to");
    assert_eq!(summary(&server, "2021-22"), [73, 28, 0, 28, 0, 10, 5, 14, 11, 2, 1, 4, 0]);
    assert_eq!(offer_of(&server, 910_017)["state"], "identified", "an offer stays until a person closes it");
    run_refused_for(&server, "APPROVAL_NOT_OPEN", &give("cleo", "administrator"));
    run_refused_for(&server, "IMPORT_NOT_LANDED", &ask("ann"));
    assert_eq!(run_ok(&server, &["approvals", "list"]), json!([]));

    import_all(&server, &[SEPTEMBER]);
    assert_eq!(summary(&server, "2021-22"), [76, 31, 3, 28, 0, 10, 5, 16, 13, 2, 1, 5, 3]);
    assert_eq!(
        identify(&server),
        [0, 0, 21, 0, 0, 5],
        "the 22 offers without that of 900001 are open, and no offer is made again"
    );
}

/// "Given when the facts have moved beyond it (import: other offers affected), it is refused with the difference and stays
/// open."
async fn a_withdrawal_affects_no_other_offers_than_it_states(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST]);
    identify(&server);
    let wrong = text(&import(&server, (SEPTEMBER.0, "2021-10-01")), "import_id");
    let ask = as_person("ann", "administrator", &["import", "withdraw", &wrong, "--reason", "wrong date"]);
    let approval = text(&run_filed(&server, &ask), "approval");
    let affected_count = |approval: &str| {
        let open = run_ok(&server, &["approvals", "list"]);
        let found = open.as_array().unwrap().iter().find(|it| it["approval"] == approval).unwrap().clone();
        found["affected_offers"].as_array().unwrap().len()
    };
    assert_eq!(affected_count(&approval), 0, "no offer depends on the import yet");

    assert_eq!(identify_created(&server), 3);
    let give = as_person("bob", "administrator", &["approvals", "give", &approval]);
    let refused = run_refused_for(&server, "APPROVAL_EXCEEDED", &give);
    let message = text(&refused, "message");
    assert!(message.contains("states 0 offers") && message.contains("now 3 others would be: "), "{message}");
    for urn in [910_017, 910_019, 910_021] {
        assert!(message.contains(&offer_id(&server, urn)), "{message}");
    }
    assert_eq!(
        (affected_count(&approval), summary(&server, "2021-22")[1]),
        (0, 31),
        "the approval stays open, and the import is not withdrawn"
    );

    run_ok(&server, &as_person("ann", "administrator", &["approvals", "withdraw", &approval]));
    let again = text(&run_filed(&server, &ask), "approval");
    assert_eq!((again == approval, affected_count(&again)), (false, 3));
    // Fewer affected offers than stated do not prevent it.
    let offer = offer_id(&server, 910_017);
    run_ok(&server, &["offers", "close", &offer, "--outcome", "ineligible"]);
    assert_eq!(
        run_ok(&server, &as_person("bob", "administrator", &["approvals", "give", &again]))["affected_offers"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(summary(&server, "2021-22")[1], 28);
}

fn blocked_urns(answer: &Value) -> Vec<i64> {
    let mut urns = numbers(&answer["blocked_schools"], "urn");
    urns.sort_unstable();
    urns
}

async fn a_moved_school_is_blocked(db: Db) {
    let server = start_with_august(&db);
    import_all(&server, &[SEPTEMBER]);
    identify(&server);
    let (standalone, trust_90004, trust_90006) =
        (offer_of(&server, 910_042), offer_of(&server, 90_004), offer_of(&server, 90_006));
    assert_eq!(standalone["recipient_kind"], "standalone");
    import_all(&server, &REGISTER_MARCH);
    let answer = run_ok(&server, &["offers", "identify"]);
    assert_eq!(identify_counts(&answer)[BLOCKED], 4, "{answer}");
    let lineage = offer_of(&server, 900_001);
    let blocked = [(910_042, &standalone), (910_053, &trust_90004), (910_057, &trust_90006), (990_001, &lineage)];
    assert_eq!(blocked_urns(&answer), blocked.map(|it| it.0));
    for (urn, offer) in blocked {
        let rows = answer["blocked_schools"].as_array().unwrap();
        let row = rows.iter().find(|it| it["urn"] == urn).unwrap();
        assert_eq!(row["offer"], offer["offer"], "{urn} is on {row}");
        assert!(row["reason"].as_str().unwrap().len() > 10, "{urn}: {row}");
    }
    for before in [standalone, trust_90004, trust_90006, lineage] {
        let after = offer_of(&server, before["recipient"].as_i64().unwrap());
        assert_eq!(after, before, "an offer keeps the recipient, name and region that it was made with");
    }
    // The copy re-saved as UTF-8 has U+0096 and U+0092 where the first file has a dash and an apostrophe.
    for (uid, name) in [("90005", "Brambleforth – A Learning Community"), ("90009", "Meadowsweet Schools’ Trust")] {
        assert_eq!(run_ok(&server, &["trusts", "show", uid])["name"], name);
    }
    // After the old offer is closed as superseded, the school can join the offer of its new trust.
    let old = offer_id(&server, 910_042);
    run_ok(&server, &["offers", "close", &old, "--outcome", "superseded"]);
    let answer = run_ok(&server, &["offers", "identify"]);
    assert_eq!(blocked_urns(&answer), [910_053, 910_057, 990_001]);
    let trust = run_ok(&server, &["offers", "show", &offer_id(&server, 90_002)]);
    assert!(numbers(&trust["schools"], "urn").contains(&910_042), "{trust}");
    // Reopening it would put the school on two open offers.
    let error =
        run_refused_for(&server, "SCHOOL_ON_ANOTHER_OFFER", &["offers", "reopen", &old, "--reason", "a mistake"]);
    assert!(error.to_string().contains("910042"), "{error}");
    super::samples::verify_ok(&db);
}
