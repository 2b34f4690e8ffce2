//! A successor of a school takes over what was decided of it, and what its predecessor entered the year with.
//!
//! 990099 in Devon follows 990002 in Birmingham, and 990098 in Barnet follows 910032, which was never inspected. By a file of October
//! they have judgements that were made under these URNs. 990097 in Birmingham is printed with a judgement of 910004, which entered
//! the year with a no, and with one of the school before that.

use serde_json::json;

use super::{WEST, asked, decide, explained, july, of, september};
use crate::files::Folder;
use crate::harness::{Db, Server, both};
use crate::samples::{done, refused_for, said_by, text, verified};

both!(
    who_decided_is_told_where_the_decided_school_lies,
    a_link_and_then_the_file_hand_on_a_no,
    nobody_overrides_a_no_along_a_chain_of_three,
);

const AWAY: &str = "South-West England";

/// The file of October: the rows of 990002 in September, under newer URNs in other places.
fn october(server: &Server, folder: &Folder) {
    let september = std::fs::read(july(folder, &["990002"])).unwrap();
    let september: String = september.iter().map(|byte| char::from(*byte)).collect();
    let (header, row) = september.trim_end().split_once('\n').unwrap();
    let follows = |urn: &str, laestab: &str, [current, previous]: [&str; 2]| {
        assert_eq!(row.matches(",900002,").count(), 2, "{row}");
        let row =
            row.replacen(",900002,", &format!(",{current},"), 1).replacen(",900002,", &format!(",{previous},"), 1);
        let row = row.replace(",990002,3302002,", &format!(",{urn},{laestab},"));
        assert!(row.contains(&format!(",{urn},{laestab},")), "{row}");
        row
    };
    let rows = [
        header.to_owned(),
        follows("990097", "3302097", ["910004", "900004"]),
        follows("990098", "3022098", ["910032"; 2]),
        follows("990099", "8782002", ["990002"; 2]),
    ];
    let file = folder.write("october.csv", (rows.join("\n") + "\n").as_bytes());
    done(server, &["import", "ofsted", &file, "--as-at", "2021-10-31", "--accept-problems"]);
}

async fn who_decided_is_told_where_the_decided_school_lies(db: Db) {
    let (server, folder) = (september(&db), Folder::new());
    decide(&server, "990002", "met");
    october(&server, &folder);
    for (regions, told) in [(WEST, true), (AWAY, false)] {
        let explain = of(regions, "rita", "reader", &["eligibility", "explain", "990099"]);
        let (outcome, reason, decided, eligible) = explained(&server, &explain);
        assert_eq!((&outcome, &decided["urn"], eligible), (&json!("met"), &json!(990_002), true), "{regions}");
        assert!(reason.contains("decided by a person of URN 990002, which it follows"), "{reason}");
        assert_eq!((reason.contains("dora"), decided["decided_by"] == "dora"), (told, told), "{regions}: {reason}");
    }
    let west = of(WEST, "rita", "reader", &["schools", "show", "990002"]);
    assert_eq!(done(&server, &west)["entry_decisions"][0]["counts"], true, "for who follows it");

    // It is what counts before: the same again is refused, and the contrary states it.
    let ask = |position| ["eligibility", "decide", "990099", "--position", position, "--reason", "seen"];
    let again = refused_for(&server, "ENTRY_NOT_UNKNOWN", &of(AWAY, "olga", "case-officer", &ask("met")));
    assert!(text(&again, "message").contains("decided already of URN 990002, which it follows: met"), "{again}");
    let approval = asked(&server, &of(AWAY, "olga", "case-officer", &ask("not-met")));
    let open = done(&server, &of(AWAY, "olga", "case-officer", &["approvals", "list"]))[0].clone();
    assert_eq!((&open["approval"], &open["entry"]["before"]), (&json!(approval), &json!("met")));
    done(&server, &of(AWAY, "dan", "regional-director", &["approvals", "give", &approval]));
    let west = done(&server, &of(WEST, "rita", "reader", &["schools", "show", "990002"]));
    assert_eq!(west["entry_decisions"][0]["counts"], false, "its successor's own goes before");
    drop(server);
    verified(&db);
}

/// 910004 entered the year with a no. By the register 910032 followed it, and by the file 990098 followed 910032.
async fn a_link_and_then_the_file_hand_on_a_no(db: Db) {
    let (server, folder) = (september(&db), Folder::new());
    october(&server, &folder);
    let explain = ["eligibility", "explain", "990098"];
    assert_eq!(explained(&server, &explain).0, json!("unknown"));
    let links = "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate\n\
                 910032,910004,Cleyburn CofE Primary School,Predecessor,01-09-2021\n";
    let links = folder.write("links.csv", links.as_bytes());
    done(&server, &["import", "register", &links, "--as-at", "2022-06-30"]);
    let (outcome, reason, _, eligible) = explained(&server, &explain);
    assert_eq!((outcome, eligible), (json!("not_met"), false), "{reason}");
    assert!(reason.contains("the school entered the year as URN 910004"), "{reason}");
    drop(server);
    verified(&db);
}

/// The file names two URNs; a link says that one follows the other.
async fn nobody_overrides_a_no_along_a_chain_of_three(db: Db) {
    let (server, folder) = (september(&db), Folder::new());
    october(&server, &folder);
    let explain = ["eligibility", "explain", "990097"];
    let ask = ["eligibility", "decide", "990097", "--position", "met", "--reason", "seen"];
    let ask = said_by("olga", "case-officer", &ask);
    assert_eq!(explained(&server, &explain).0, json!("unknown"), "nothing says which of the two it follows");
    let approval = asked(&server, &ask);
    let links = "URN,LinkURN,LinkName,LinkType,LinkEstablishedDate\n\
                 910004,900004,Cleyburn Infant School,Predecessor,01-09-2016\n";
    let links = folder.write("links.csv", links.as_bytes());
    done(&server, &["import", "register", &links, "--as-at", "2022-06-30"]);
    let (outcome, reason, _, eligible) = explained(&server, &explain);
    assert_eq!((outcome, eligible), (json!("not_met"), false), "{reason}");
    assert!(reason.contains("the school entered the year as URN 910004"), "{reason}");
    refused_for(&server, "ENTRY_NOT_UNKNOWN", &ask);
    let give = said_by("dora", "regional-director", &["approvals", "give", &approval]);
    refused_for(&server, "APPROVAL_NOT_OPEN", &give);
    drop(server);
    verified(&db);
}
