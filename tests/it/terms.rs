//! Tests of loading the terms of a year: a new file, the same file again, a changed file, and files with mistakes.

use std::fs;

use serde_json::json;

use super::harness::{Db, Server, both, cli};
use super::samples::{
    CREATED, all_files, identify_counts, import_all, run_ok, run_refused_for, start_with_august, summary, text,
};

both!(
    the_terms_of_a_programme_never_change,
    a_new_year_is_a_new_file,
    the_terms_are_shown_with_every_value,
    two_terms_are_compared
);

/// Reads the terms file of a programme that is shipped in `terms/`.
fn shipped(programme: &str) -> String {
    fs::read_to_string(format!("{}/terms/{programme}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A folder into which a test writes terms files.
struct TermsFolder(tempfile::TempDir);

impl TermsFolder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file and returns its path.
    fn write(&self, name: &str, text: &str) -> String {
        let file = self.0.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

/// Returns the number, from 1, of the first line that starts with this text.
fn line_of(text: &str, start: &str) -> usize {
    text.lines().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}")) + 1
}

async fn the_terms_of_a_programme_never_change(db: Db) {
    let server = start_with_august(&db);
    let folder = TermsFolder::new();
    let list = run_ok(&server, &["terms", "list"]);
    let programmes: Vec<_> = list.as_array().unwrap().iter().map(|it| text(it, "programme")).collect();
    assert_eq!(programmes, ["2021-22", "2022-23"]);
    assert_eq!((&list[0]["starts"], &list[0]["ends"]), (&json!("2021-09-01"), &json!("2022-08-31")));
    assert_eq!(list[0]["rules"], json!(["E1_RI_IN_YEAR", "E2_RI_TWICE_ON_ENTRY", "E3_EXCEPTIONAL"]));
    let grounds = list[0]["grounds"].as_array().unwrap();
    let shown: Vec<_> = grounds.iter().map(|it| json!([it["rule"], it["ground"], it["starts"], it["ends"]])).collect();
    let expected = [
        json!(["E3_EXCEPTIONAL", "would_benefit", "2021-09-01", "2022-08-31"]),
        json!(["E3_EXCEPTIONAL", "covid_disruption", "2022-01-20", "2022-08-31"]),
    ];
    assert_eq!(shown, expected);
    let offer = super::samples::offer_id(&server, 910_001);
    assert_eq!(
        run_ok(&server, &["offers", "show", &offer])["terms_sha256"],
        list[0]["sha256"],
        "an offer has the hash of its terms"
    );

    let same = run_ok(&server, &["terms", "load", &folder.write("same.toml", &shipped("2021-22"))]);
    assert_eq!((&same["unchanged"], &same["sha256"]), (&json!(true), &list[0]["sha256"]));
    let changed = shipped("2021-22").replacen("£10,000", "£12,000", 1);
    let error = run_refused_for(&server, "TERMS_IN_USE", &["terms", "load", &folder.write("2021-22.toml", &changed)]);
    assert_eq!((&error["code"], &error["limits"][0]["kind"]), (&json!("FAILED_PRECONDITION"), &json!("terms")));
    // An additional empty line makes it another file.
    let with_empty_line = format!("{}\n", shipped("2021-22"));
    run_refused_for(&server, "TERMS_IN_USE", &["terms", "load", &folder.write("2021-22.toml", &with_empty_line)]);
    assert_eq!(run_ok(&server, &["terms", "list"]), list);
    check_lines_of_mistakes(&server, &folder);
    assert_eq!(run_ok(&server, &["terms", "list"]), list);
}

/// A refusal of wrong terms has to name every mistake by its line.
fn check_lines_of_mistakes(server: &Server, folder: &TermsFolder) {
    let wrong = shipped("2022-23")
        .replacen("programme = \"2022-23\"", "programme = \"2023-24\"", 1)
        .replacen("claims_until   = 2023-12-31", "claims_until   = 2023-02-30", 1)
        .replacen("day_rate   = \"£600\"", "day_rate   = \"£600.01\"", 1)
        .replacen("nlg   = \"no cap\"", "nlg   = \"3 days\"", 1)
        .replacen("share          = \"1/2\"", "share          = \"most\"", 1);
    let lines_of = |wrong: &str| {
        let file = folder.write("wrong.toml", wrong);
        let error = run_refused_for(server, "FIELD_VIOLATIONS", &["terms", "load", &file]);
        assert_eq!(error["code"], "INVALID_ARGUMENT");
        let lines = error["violations"].as_array().unwrap().iter().map(|it| text(it, "field"));
        lines
            .map(|field| field.rsplit(':').next().unwrap().parse::<usize>().unwrap_or_else(|_| panic!("{field}")))
            .collect::<Vec<_>>()
    };
    // An impossible date is a syntax error of TOML. What can be read beside it is checked, but not against the rest.
    let mut lines = lines_of(&wrong);
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines, ["claims_until", "share ", "day_rate"].map(|start| line_of(&wrong, start)));
    let wrong = wrong.replacen("claims_until   = 2023-02-30", "claims_until   = 2023-02-28", 1);
    let mut lines = lines_of(&wrong);
    lines.sort_unstable();
    let expected = ["year ", "claims_until", "share ", "day_rate", "nlg   ="].map(|start| line_of(&wrong, start));
    assert_eq!(lines, expected, "one refusal names the line of every mistake");
    for (name, wrong) in
        [("empty.toml", ""), ("prose.toml", "Dear colleagues,\nthe scheme"), ("long.toml", &"# x\n".repeat(70_000))]
    {
        let answer = cli(server, &["terms", "load", &folder.write(name, wrong)]);
        assert_eq!(
            (answer.code, &answer.json["error"]["code"]),
            (1, &json!("INVALID_ARGUMENT")),
            "{name}: {}",
            answer.stdout
        );
    }
}

async fn a_new_year_is_a_new_file(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &all_files());
    let folder = TermsFolder::new();
    let moved = |programme: &str, changes: &[(&str, &str)]| {
        changes.iter().fold(shipped(programme), |text, (from, to)| text.replace(from, to))
    };
    // The terms of 2022-23, moved on by a year. No imported file is as at 1 September 2023 or later, so no school has a
    // judgement of that year.
    let changes = [
        ("2022-23", "2023-24"),
        ("2023-08-31", "2024-08-31"),
        ("2023-12-31", "2024-12-31"),
        ("2022-09-01", "2023-09-01"),
    ];
    let valid = moved("2022-23", &changes);
    // An invisible character is refused even if it is written as an escape.
    let with_hidden = valid.replacen("name      = \"", "name      = \"\\u001b[31m\\u202e", 1);
    let hidden = folder.write("hidden.toml", &with_hidden);
    let error = run_refused_for(&server, "FIELD_VIOLATIONS", &["terms", "load", &hidden]);
    let mistake = format!("hidden.toml:{}", line_of(&valid, "name"));
    assert_eq!(error["violations"][0]["field"], mistake, "{error}");
    let checked = cli(&server, &["terms", "check", &hidden]);
    assert_eq!(checked.code, 1, "{}", checked.stdout);
    assert!(
        checked.stderr.contains(&mistake) || checked.stdout.contains(&mistake),
        "{} {}",
        checked.stdout,
        checked.stderr
    );
    assert!(checked.stdout.contains("got U+001B") || checked.stderr.contains("got U+001B"), "{}", checked.stdout);
    let file = folder.write("2023-24.toml", &valid);
    let loaded = run_ok(&server, &["terms", "load", &file]);
    assert_eq!((&loaded["programme"], &loaded["unchanged"]), (&json!("2023-24"), &json!(false)));
    assert_eq!(run_ok(&server, &["terms", "load", &file])["unchanged"], true);
    let counts = run_ok(&server, &["eligibility", "summary", "--programme", "2023-24"]);
    assert_eq!((&counts["schools"], &counts["standalone"]["schools"]), (&json!(77), &json!(0)), "{counts}");

    // The terms of 2021-22, moved back by three years. E2 needs a file as at 31 August 2018 or before, which does not exist.
    // E1 counts schools that were judged 3 during the year. So each school is eligible by E1 or unknown, except 900001, which
    // another URN has superseded.
    let changes = [
        ("2021-22", "2018-19"),
        ("2021-09-01", "2018-09-01"),
        ("2022-08-31", "2019-08-31"),
        ("2022-01-20", "2019-01-20"),
        ("2022-12-31", "2019-12-31"),
    ];
    run_ok(&server, &["terms", "load", &folder.write("2018-19.toml", &moved("2021-22", &changes))]);
    let counts = run_ok(&server, &["eligibility", "summary", "--programme", "2018-19"]);
    let number = |key: &str| counts[key].as_i64().unwrap();
    assert_eq!((number("eligible_schools") + number("unknown"), number("schools")), (77, 77), "{counts}");
    assert_eq!(counts["by_rule"]["E2_RI_TWICE_ON_ENTRY"], 0);
    let eligible = |urn: &str| {
        let explained = run_ok(&server, &["eligibility", "explain", urn, "--programme", "2018-19"]);
        explained["schools"][0]["eligible"].clone()
    };
    assert_eq!(eligible("910001"), true, "judged 3, published on 11/04/2019");
    assert_eq!(eligible("910040"), false, "judged 3, published on 13/04/2018");
    let made = run_ok(&server, &["offers", "identify", "--programme", "2018-19"]);
    let all = run_ok(&server, &["offers", "list", "--programme", "2018-19"]);
    assert_eq!(all.as_array().map(Vec::len), usize::try_from(identify_counts(&made)[CREATED]).ok());
    assert!(identify_counts(&made)[CREATED] > 0, "{made}");
    assert_eq!(summary(&server, "2021-22")[1], 38, "the counts of 2021-22 have not changed");
    run_refused_for(&server, "NOT_FOUND", &["eligibility", "summary", "--programme", "1999-00"]);
}

async fn the_terms_are_shown_with_every_value(db: Db) {
    let server = Server::start(&db);
    let shown = run_ok(&server, &["terms", "show", "2021-22"]);
    assert_eq!((&shown["programme"], &shown["text"]), (&json!("2021-22"), &json!(shipped("2021-22"))));
    let value = |key: &str| {
        let values = shown["values"].as_array().unwrap();
        values.iter().find(|it| it["key"] == key).map(|it| text(it, "value"))
    };
    let rows = [
        ("two_people_above", "£50,000"),
        ("recipients.standalone.caps.nle", "3 days"),
        ("recipients.mat.caps.nle", "5 days"),
        ("strands.nle.day_rate", "£600"),
        // The file leaves these out.
        ("stage_days.first_contact", "10"),
        ("approvals_expire_days", "30"),
    ];
    for (key, expected) in rows {
        assert_eq!(value(key).as_deref(), Some(expected), "{key}");
    }
    let error = run_refused_for(&server, "NOT_FOUND", &["terms", "show", "2030-31"]);
    assert_eq!(text(&error, "message"), "programme 2030-31 does not exist; there are: 2021-22, 2022-23");
}

async fn two_terms_are_compared(db: Db) {
    let server = Server::start(&db);
    let diff = |before: &str, after: &str| {
        let differences = run_ok(&server, &["terms", "diff", before, after]);
        let row = |it: &serde_json::Value| json!([it["key"], it["before"], it["after"], it["kind"]]);
        differences.as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(diff("2021-22", "2021-22"), [json!(null); 0]);
    let years = diff("2021-22", "2022-23");
    for expected in [
        json!(["programme", "2021-22", "2022-23", "not_allowed"]),
        json!(["contact_until", "2022-10-31", "no limit", "at_once"]),
        json!(["recipients.standalone.caps.nle", "3 days", "10 days", "later_offers"]),
        json!(["recipients.standalone.caps.credit", "£10,000", null, "later_offers"]),
        json!([
            "recipients.mat.rules",
            "E1_RI_IN_YEAR, E2_RI_TWICE_ON_ENTRY, E3_EXCEPTIONAL",
            "T1_TRUST_IMPROVEMENT, E3_EXCEPTIONAL",
            "later_offers"
        ]),
        json!(["rules.T1_TRUST_IMPROVEMENT.share", null, "1/2", "later_offers"]),
    ] {
        assert!(years.contains(&expected), "{expected}: {years:#?}");
    }
    // A file is compared without being loaded.
    let folder = TermsFolder::new();
    let later = shipped("2021-22").replacen("claims_until   = 2022-12-31", "claims_until   = 2023-01-31", 1).replacen(
        "[strands.nle]",
        "[stage_days]\nclose = 14\n\n[strands.nle]",
        1,
    );
    let file = folder.write("later.toml", &later);
    assert_eq!(
        diff("2021-22", &file),
        [
            json!(["claims_until", "2022-12-31", "2023-01-31", "at_once"]),
            json!(["stage_days.close", "30", "14", "at_once"])
        ]
    );
    assert_eq!(
        diff(&file, "2021-22"),
        [
            json!(["claims_until", "2023-01-31", "2022-12-31", "not_allowed"]),
            json!(["stage_days.close", "14", "30", "at_once"])
        ]
    );
    let wrong = folder.write("wrong.toml", &later.replacen("close = 14", "close = 0", 1));
    let error = run_refused_for(&server, "FIELD_VIOLATIONS", &["terms", "diff", "2021-22", &wrong]);
    let field = format!("wrong.toml:{}", line_of(&later, "close = 14"));
    assert_eq!(error["violations"][0]["field"], json!(field));
    run_refused_for(&server, "NOT_FOUND", &["terms", "diff", "2021-22", "2030-31"]);
    run_refused_for(&server, "FILE_UNREADABLE", &["terms", "diff", "2021-22", "/no/such/file.toml"]);
}
