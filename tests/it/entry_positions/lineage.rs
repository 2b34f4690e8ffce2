//! A successor takes over the decision about its predecessor, and the judgement with which the predecessor entered the
//! year.
//!
//! A file of October has three new schools with judgements that were made under older URNs. Those of 990099 in Devon
//! were made under 990002 in Birmingham. Those of 990098 in Barnet were made under 910032, of which September's file shows no
//! inspection. Those of 990097 in Birmingham were made under two earlier schools: 910004, whose entry position is *not met*,
//! and 900004.

use serde_json::json;

use super::{OTHER_REGION, WEST, decide, explain_e2, in_regions, july, request_approval, september};
use crate::files::Folder;
use crate::harness::{Db, Server, both};
use crate::samples::{as_person, run_ok, run_refused_for, text, verify_ok};

both!(
    only_the_region_of_the_decided_school_sees_who_decided,
    a_position_not_met_is_passed_on_by_a_link_and_a_file,
    a_position_not_met_in_a_chain_of_three_is_not_overridden,
);

/// Imports the file of October. Its rows are copies of the row of 990002 in September, with another URN and LAESTAB,
/// and with the URNs under which the current and the previous judgement were made.
fn october(server: &Server, folder: &Folder) {
    let september = std::fs::read(july(folder, &["990002"])).unwrap();
    let september: String = september.iter().map(|byte| char::from(*byte)).collect();
    let (header, row) = september.trim_end().split_once('\n').unwrap();
    let successor_row = |urn: &str, laestab: &str, [current, previous]: [&str; 2]| {
        assert_eq!(row.matches(",900002,").count(), 2, "{row}");
        let row =
            row.replacen(",900002,", &format!(",{current},"), 1).replacen(",900002,", &format!(",{previous},"), 1);
        let row = row.replace(",990002,3302002,", &format!(",{urn},{laestab},"));
        assert!(row.contains(&format!(",{urn},{laestab},")), "{row}");
        row
    };
    let rows = [
        header.to_owned(),
        successor_row("990097", "3302097", ["910004", "900004"]),
        successor_row("990098", "3022098", ["910032"; 2]),
        successor_row("990099", "8782002", ["990002"; 2]),
    ];
    let file = folder.write("october.csv", (rows.join("\n") + "\n").as_bytes());
    run_ok(server, &["import", "ofsted", &file, "--as-at", "2021-10-31", "--accept-problems"]);
}

async fn only_the_region_of_the_decided_school_sees_who_decided(db: Db) {
    let (server, folder) = (september(&db), Folder::new());
    decide(&server, "990002", "met");
    october(&server, &folder);
    for (regions, sees_people) in [(WEST, true), (OTHER_REGION, false)] {
        let explain = in_regions(regions, "rita", "reader", &["eligibility", "explain", "990099"]);
        let (outcome, reason, decided, eligible) = explain_e2(&server, &explain);
        assert_eq!((&outcome, &decided["urn"], eligible), (&json!("met"), &json!(990_002), true), "{regions}");
        assert!(reason.contains("decided by a person for URN 990002, a predecessor of this school"), "{reason}");
        assert_eq!(
            (reason.contains("dora"), decided["decided_by"] == "dora"),
            (sees_people, sees_people),
            "{regions}: {reason}"
        );
    }
    let west = in_regions(WEST, "rita", "reader", &["schools", "show", "990002"]);
    assert_eq!(
        run_ok(&server, &west)["entry_decisions"][0]["counts"],
        true,
        "the decision about 990002 counts for its successor"
    );

    // The decision applies to the successor: a request for `met` is refused, and an approval for `not-met` shows `met` as the
    // position before.
    let ask = |position| ["eligibility", "decide", "990099", "--position", position, "--reason", "seen"];
    let again =
        run_refused_for(&server, "ENTRY_NOT_UNKNOWN", &in_regions(OTHER_REGION, "olga", "case-officer", &ask("met")));
    assert!(
        text(&again, "message").contains("decided already for URN 990002, a predecessor of this school: met"),
        "{again}"
    );
    let approval = request_approval(&server, &in_regions(OTHER_REGION, "olga", "case-officer", &ask("not-met")));
    let open = run_ok(&server, &in_regions(OTHER_REGION, "olga", "case-officer", &["approvals", "list"]))[0].clone();
    assert_eq!((&open["approval"], &open["entry"]["before"]), (&json!(approval), &json!("met")));
    run_ok(&server, &in_regions(OTHER_REGION, "dan", "regional-director", &["approvals", "give", &approval]));
    let west = run_ok(&server, &in_regions(WEST, "rita", "reader", &["schools", "show", "990002"]));
    assert_eq!(west["entry_decisions"][0]["counts"], false, "the successor's own decision overrides it");
    drop(server);
    verify_ok(&db);
}

/// The entry position of 910004 is *not met*. A link says that 910032 follows it, and the file says that 990098 follows
/// 910032.
async fn a_position_not_met_is_passed_on_by_a_link_and_a_file(db: Db) {
    let (server, folder) = (september(&db), Folder::new());
    october(&server, &folder);
    let explain = ["eligibility", "explain", "990098"];
    assert_eq!(explain_e2(&server, &explain).0, json!("unknown"));
    let links = "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate\n\
                 910032,910004,Cleyburn CofE Primary School,Predecessor,01-09-2021\n";
    let links = folder.write("links.csv", links.as_bytes());
    run_ok(&server, &["import", "register", &links, "--as-at", "2022-06-30"]);
    let (outcome, reason, _, eligible) = explain_e2(&server, &explain);
    assert_eq!((outcome, eligible), (json!("not_met"), false), "{reason}");
    assert!(reason.contains("the school entered the year as URN 910004"), "{reason}");
    drop(server);
    verify_ok(&db);
}

/// The file names two predecessors; a link says which of them follows the other.
async fn a_position_not_met_in_a_chain_of_three_is_not_overridden(db: Db) {
    let (server, folder) = (september(&db), Folder::new());
    october(&server, &folder);
    let explain = ["eligibility", "explain", "990097"];
    let ask = ["eligibility", "decide", "990097", "--position", "met", "--reason", "seen"];
    let ask = as_person("olga", "case-officer", &ask);
    assert_eq!(explain_e2(&server, &explain).0, json!("unknown"), "nothing says which of the two it follows");
    let approval = request_approval(&server, &ask);
    let links = "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate\n\
                 910004,900004,Cleyburn Infant School,Predecessor,01-09-2016\n";
    let links = folder.write("links.csv", links.as_bytes());
    run_ok(&server, &["import", "register", &links, "--as-at", "2022-06-30"]);
    let (outcome, reason, _, eligible) = explain_e2(&server, &explain);
    assert_eq!((outcome, eligible), (json!("not_met"), false), "{reason}");
    assert!(reason.contains("the school entered the year as URN 910004"), "{reason}");
    run_refused_for(&server, "ENTRY_NOT_UNKNOWN", &ask);
    let give = as_person("dora", "regional-director", &["approvals", "give", &approval]);
    run_refused_for(&server, "APPROVAL_NOT_OPEN", &give);
    drop(server);
    verify_ok(&db);
}
