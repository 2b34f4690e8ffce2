//! Tests that every command escapes the control characters that it prints, so that none reaches a terminal. Texts that
//! earlier versions stored may contain them.

use crate::harness::{Db, Output, Server, both, tsio};
use crate::raw_sql::RawSql;
use crate::samples::{offer_id, path, run_ok, start_with_august, text};

both!(stored_texts_are_shown_escaped, what_is_typed_is_shown_escaped, csv_output_holds_no_formula);

/// Control characters that colour text, change the title of a window, begin a C1 sequence, and reverse the direction of text.
const HOSTILE: &str = "\u{1b}[31m\u{1b}]0;x\u{7}\u{9b}1m\u{202e}\u{2028}";
/// The same text as tables and JSON show it.
const ESCAPED: &str = r"\u001b[31m\u001b]0;x\u0007\u009b1m\u202e\u2028";

/// Every column with text from a file or a person: the table and its columns.
const COLUMNS: [(&str, &[&str]); 10] = [
    ("offers", &["name"]),
    ("offer_schools", &["name"]),
    ("texts", &["text"]),
    ("referrals", &["name"]),
    ("imports", &["file_name"]),
    ("import_problems", &["column_name", "reason"]),
    ("group_rows", &["name"]),
    ("membership_rows", &["group_name", "school_name", "phase"]),
    ("establishment_rows", &["name", "phase", "diocese"]),
    ("ofsted_rows", &["name", "phase"]),
];

/// Runs a command without adding `--output json`, so by default it prints a table.
fn run_as_typed(server: &Server, args: &[&str]) -> Output {
    tsio(&[&["--server", &server.url()], args].concat())
}

/// Returns the control characters of an output, but no line feeds, which are allowed.
fn control_characters(text: &str) -> Vec<char> {
    let is_control = |it: &char| {
        it.is_control() && *it != '\n' || matches!(it, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{61c}')
    };
    text.chars().filter(is_control).collect()
}

fn prints_no_control_characters(printed: &Output, command: &str) {
    for text in [&printed.stdout, &printed.stderr] {
        assert!(control_characters(text).is_empty(), "{command}: {text:?}");
    }
}

async fn stored_texts_are_shown_escaped(db: Db) {
    let server = start_with_august(&db);
    run_ok(&server, &["import", "ofsted", &path("bad/wrong_dates.csv"), "--as-at", "2021-07-31", "--accept-problems"]);
    let offer = offer_id(&server, 90_001);
    run_ok(&server, &["offers", "note", &offer, "agreed by phone"]);
    let raise = ["--urn", "910030", "--origin", "self-identified", "--ground", "would_benefit", "--because", "asked"];
    let referral = run_ok(&server, &[&["referrals", "raise", "--on", "2021-11-01"], &raise[..]].concat());
    let referral = text(&referral, "referral");
    let imports = run_ok(&server, &["import", "list"]);
    let import = text(&imports[0], "import_id");
    let mut raw_sql = RawSql::of(&db).await;
    for (table, columns) in COLUMNS {
        for column in columns {
            raw_sql.run(&format!("UPDATE {table} SET {column} = {column} || '{HOSTILE}'")).await.unwrap();
            let stored = format!("SELECT count(*) FROM {table} WHERE {column} LIKE '%{HOSTILE}'");
            assert!(raw_sql.number(&stored).await > 0, "{table}.{column} has no row with the control characters");
        }
    }
    // Each command, and whether it prints a name.
    let commands: [(&[&str], bool); 17] = [
        (&["offers", "list"], true),
        (&["offers", "show", &offer], true),
        (&["offers", "events", &offer], true),
        (&["offers", "identify", "--dry-run"], true),
        (&["offers", "watch", "--once"], true),
        (&["schools", "find", "ashmoor"], true),
        (&["schools", "show", "910001"], true),
        (&["trusts", "find", "two becks"], true),
        (&["trusts", "show", "90002"], true),
        (&["eligibility", "list"], true),
        (&["eligibility", "explain", "910001"], true),
        (&["eligibility", "changes", "--from", "2021-07-31", "--to", "2021-08-31"], true),
        (&["import", "list"], true),
        (&["import", "show", &import], true),
        (&["referrals", "list"], true),
        (&["referrals", "show", &referral], true),
        (&["terms", "list"], false),
    ];
    for (command, has_names) in commands {
        for output in ["table", "json"] {
            let printed = run_as_typed(&server, &[&["--output", output], command].concat());
            assert_eq!(printed.code, 0, "{command:?}: {}", printed.stderr);
            prints_no_control_characters(&printed, &format!("{command:?} as {output}"));
            // A table may break a long word over two lines.
            let shown = printed.stdout.contains(ESCAPED) || output == "table" && printed.stdout.contains(r"\u00");
            assert_eq!(shown, has_names, "{command:?} as {output}: {}", printed.stdout);
        }
    }
    // Decoded JSON has the unchanged text.
    let name = text(&run_ok(&server, &["offers", "show", &offer]), "name");
    assert!(name.ends_with(HOSTILE), "{name:?}");
    let differences = tsio(&["verify", "--database", &db.url()]);
    assert_eq!(differences.code, 1);
    prints_no_control_characters(&differences, "verify");
    assert!(differences.stdout.contains("u{1b}") || differences.stdout.contains(ESCAPED), "{}", differences.stdout);
}

/// Control characters in arguments, file names and the contents of files are escaped in the errors that name them.
async fn what_is_typed_is_shown_escaped(db: Db) {
    let server = Server::start(&db);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("month{HOSTILE}.csv"));
    std::fs::write(&file, "Fruit,Colour\napple,red\n").unwrap();
    let terms = folder.path().join("terms.toml");
    std::fs::write(&terms, "# a comment\nname = \"x\u{202e}\"\n").unwrap();
    let (file, terms) = (file.to_str().unwrap(), terms.to_str().unwrap());
    let commands: [(&[&str], i32); 9] = [
        (&["offers", "show", HOSTILE], 1),
        (&["offers", "list", "--filter", HOSTILE], 1),
        (&["schools", "find", HOSTILE], 1),
        (&["import", "ofsted", file, "--as-at", "2021-08-31"], 1),
        (&["import", "register", file, file, "--as-at", "2021-08-31"], 1),
        (&["terms", "check", terms], 1),
        (&["terms", "check", &format!("/nowhere/{HOSTILE}")], 1),
        (&["offers", HOSTILE], 2),
        (&["funds", "list", &format!("--{HOSTILE}")], 2),
    ];
    for (command, code) in commands {
        let printed = run_as_typed(&server, command);
        assert_eq!(printed.code, code, "{command:?}: {printed:?}");
        prints_no_control_characters(&printed, &format!("{command:?}"));
        assert!(!printed.stderr.is_empty() || !printed.stdout.is_empty(), "{command:?}");
    }
    let checked = run_as_typed(&server, &["terms", "check", terms]);
    assert!(checked.stderr.contains("terms.toml:2: ") && checked.stderr.contains("U+202E"), "{}", checked.stderr);
    assert!(control_characters(&server.stderr()).is_empty(), "{}", server.stderr());
}

/// The id of an actor may begin like a formula. CSV output puts an apostrophe before it, so that spreadsheets show it as
/// text. Amounts are unchanged.
async fn csv_output_holds_no_formula(db: Db) {
    let server = Server::start(&db);
    let fund = run_ok(&server, &["funds", "create", "--programme", "2021-22", "--strand", "credit"]);
    let fund = text(&fund, "fund");
    let actors = ["@SUM(1+1)", "=1+1", "+44", "-1", "'x", "ann"];
    for actor in actors {
        let allocate = ["funds", "allocate", &fund, "1000", "--on", "2021-09-06"];
        run_ok(&server, &[&[format!("--actor={actor}").as_str()][..], &allocate].concat());
    }
    let sheet = run_as_typed(&server, &["funds", "entries", &fund, "--csv"]);
    assert_eq!(sheet.code, 0, "{}", sheet.stderr);
    let mut rows = csv::Reader::from_reader(sheet.stdout.as_bytes());
    let columns = rows.headers().unwrap().clone();
    let index_of = |name: &str| columns.iter().position(|it| it == name).unwrap();
    let rows: Vec<(String, String)> = rows
        .records()
        .map(|row| row.unwrap())
        .map(|row| (row[index_of("actor")].to_owned(), row[index_of("amount_pence")].to_owned()))
        .collect();
    let expected = ["'@SUM(1+1)", "'=1+1", "'+44", "'-1", "'x", "ann"];
    assert_eq!(rows, expected.map(|it| (it.to_owned(), "100000".to_owned())));
}
