//! Files that people saved with another program after the download. Some are refused, and others are imported with
//! problems and notes.
//!
//! Each test file is made from a sample by one change.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::harness::{Db, Server, both, cli, tsio};
use super::samples::{
    AUGUST, REGISTER_AUGUST, identify, import_all, offer_of, path, run_ok, run_refused_for, summary, text,
};

both!(
    unreadable_files_are_refused,
    changed_files_are_imported_with_problems_and_notes,
    the_flags_of_an_import_belong_to_its_request,
    a_trust_proposed_to_close_is_open,
);

/// A temporary folder for test files.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file, and returns its path.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> String {
        let file: PathBuf = self.0.path().join(name);
        fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

/// Reads a sample. Each byte of windows-1252 becomes one character, which [`bytes`] turns into the same byte.
fn sample(name: &str) -> String {
    fs::read(path(name)).unwrap().into_iter().map(char::from).collect()
}

/// The bytes of a text in the form that [`sample`] returns.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

/// A monthly file with each cell changed, and quoted where needed.
fn change_each_cell(text: &str, change: impl Fn(&str) -> String) -> String {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for row in reader.records() {
        let row = row.unwrap();
        writer.write_record(row.iter().map(&change)).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

/// Puts the month of a date first, as an American spreadsheet does. Leaves other cells unchanged.
fn month_first(cell: &str) -> String {
    let parts: Vec<&str> = cell.split('/').collect();
    match parts.as_slice() {
        [day, month, year] if *year != "1899" && year.len() == 4 => format!("{month}/{day}/{year}"),
        _ => cell.to_owned(),
    }
}

/// Sets the day of a date to 2 or 3, so that the order of day and month is ambiguous. Leaves other cells unchanged.
fn ambiguous(cell: &str) -> String {
    let parts: Vec<&str> = cell.split(['/', '-']).collect();
    match parts.as_slice() {
        [day, month, year] if year.len() == 4 && day.len() == 2 => {
            format!("02/{month}/{year}").replace("02/02/", "03/02/")
        }
        _ => cell.to_owned(),
    }
}

/// The header and the first rows of a monthly file.
fn first_rows(month: &str, count: usize) -> String {
    month.split_inclusive('\n').take(count + 1).collect()
}

/// A file of establishments with 1,100 rows of Wales, and a last row that begins with `last`.
fn wales(last: &str) -> String {
    let header =
        "URN,LA (code),EstablishmentNumber,EstablishmentName,TypeOfEstablishment (name),EstablishmentStatus (name)";
    let rows = (0..1_100).map(|n| format!("{},661,{},Ysgol {n},Welsh establishment,Open", 400_100 + n, 2_000 + n));
    let lines = std::iter::once(header.to_owned()).chain(rows);
    lines.chain([format!("{last},Ashmoor Road Primary School,Community school,Open")]).collect::<Vec<_>>().join("\n")
}

/// A file's name and bytes, the noun of the import command, its flags, and texts that the refusal contains.
type RefusedCase<'a> = (&'a str, Vec<u8>, &'a str, &'a [&'a str], &'a [&'a str]);

async fn unreadable_files_are_refused(db: Db) {
    let server = Server::start(&db);
    let folder = Folder::new();
    let month = sample(AUGUST.0);
    let dots: String = month.split_inclusive('\n').next().unwrap().replace(' ', ".");
    let list =
        "LA,LAEstab,URN,School Name,Phase,No Pupils\n330,3302001,910001,Ashmoor Road Primary School,Primary,91\n";
    let no_kind = "of no kind of file known here";
    let bad = fs::read(path("bad/wrong_dates.csv")).unwrap();
    let lines: Vec<&[u8]> = bad.split_inclusive(|byte| *byte == b'\n').collect();
    let only_wrong_rows = [lines[0], lines[2], lines[3], lines[4]].concat();
    #[rustfmt::skip]
    let cases: [RefusedCase<'_>; 12] = [
        // file                        its bytes                                           as         flags
        // says
        ("month_first.csv",            change_each_cell(&month, month_first).into(),                  "ofsted",   &[],                     &["its dates have the month first", "in line "]),
        ("month_first.csv",            change_each_cell(&month, month_first).into(),                  "ofsted",   &["--day-first"],        &["its dates have the month first"]),
        ("ambiguous.csv",              change_each_cell(&month, ambiguous).into(),          "ofsted",   &[],                     &["nothing in the file tells", "--day-first"]),
        ("wrong_rows.csv",             bad.clone(),                                         "ofsted",   &[],                     &["8 of 11 rows have problems", "--accept-problems", "line 3, Publication date", "\"9100O8\" is not a URN"]),
        ("no_good_row.csv",            only_wrong_rows,                                     "ofsted",   &["--accept-problems"],  &["none of the 3 rows can be taken", "line 2, Publication date"]),
        ("dots.csv",                   bytes(&month.replacen(month.split_inclusive('\n').next().unwrap(), &dots, 1)), "ofsted", &[], &["no column \"School name\"", "\"Publication.date\""]),
        ("note.csv",                   bytes(&month.replacen(",Overall effectiveness,", ",Overall effectiveness [note 1],", 1)), "ofsted", &[], &["the nearest is \"Overall effectiveness [note 1]\""]),
        ("list.csv",                   list.into(),                                         "register", &[],                     &[no_kind]),
        ("list.csv",                   list.into(),                                         "ofsted",   &[],                     &[no_kind]),
        ("wales.csv",                  wales("91000O,330,2001").into(),                     "register", &["--accept-problems"],  &["none of the 1101 rows can be taken", "line 1102, URN", "\"91000O\" is not a URN"]),
        ("authority.csv",              wales("910001,7,5302").into(),                       "register", &[],                     &["line 1102, LA (code)", "local authority 7 is not in the table"]),
        ("nul.csv",                    [&bytes(&first_rows(&month, 3))[..], b"\0"].concat(),      "ofsted",   &[],                     &["has NUL characters"]),
    ];
    for (name, content, noun, flags, says) in cases {
        let file = folder.write(name, &content);
        let words = [&["import", noun, &file, "--as-at", "2021-08-31"], flags].concat();
        for dry in [&["--dry-run"][..], &[]] {
            let error = run_refused_for(&server, "FILE_REFUSED", &[&words[..], dry].concat());
            assert_eq!(error["code"], "INVALID_ARGUMENT", "{name}");
            let message = error_text(&error);
            assert!(says.iter().all(|it| message.contains(it)), "{name} {flags:?}: {message}");
        }
    }
    let bad = folder.write("bad.csv", &bad);
    let table = tsio(&["--server", &server.url(), "import", "ofsted", &bad, "--as-at", "2021-08-31"]);
    assert!(table.stderr.contains("  line 7, URN: \"9100O8\" is not a URN (5 or 6 digits)"), "{}", table.stderr);
    assert_eq!(run_ok(&server, &["import", "list"]), json!([]));
}

/// The message and the violations of an error, one per line.
fn error_text(error: &Value) -> String {
    let listed = error["violations"].as_array().into_iter().flatten();
    let listed = listed.map(|it| format!("{}: {}", text(it, "field"), text(it, "description")));
    std::iter::once(text(error, "message")).chain(listed).collect::<Vec<_>>().join("\n")
}

/// A file's name and bytes, the numbers of rows and of accepted rows, the problems with line, column and reason, and
/// the beginning of its only note; empty if it has no note.
type ImportedCase<'a> = (&'a str, Vec<u8>, [i64; 2], &'a [(i64, &'a str, &'a str)], &'a str);

async fn changed_files_are_imported_with_problems_and_notes(db: Db) {
    let server = Server::start(&db);
    let folder = Folder::new();
    let month = sample(AUGUST.0);
    let first = month.split_inclusive('\n').nth(1).unwrap();
    let name = "Ashmoor Road Primary School";
    let changed = |to: &str| bytes(&month.replacen(name, to, 1));
    let midnight =
        change_each_cell(
            &month,
            |cell| if month_first(cell) == cell { cell.to_owned() } else { format!("{cell} 00:00") },
        );
    let later = month.replacen("12/03/2019,13/03/2019,11/04/2019", "12/03/2019,13/03/2019,31/12/9999", 1);
    let rounded = month.replacen(",10990003,", ",1.0990E+07,", 1);
    #[rustfmt::skip]
    let cases: [ImportedCase<'_>; 13] = [
        // file          its bytes                                             rows, accepted   problems
        // a note
        ("plain",        bytes(&month),                                        [73, 73],        &[],                                                                  ""),
        ("midnight",     midnight.into(),                                      [73, 73],        &[],                                                                  ""),
        ("semicolons",   with_separator(&month, b';'),                         [73, 73],        &[],                                                                  "a semicolon separates the cells"),
        ("tabs",         with_separator(&month, b'\t'),                        [73, 73],        &[],                                                                  "a tab separates the cells"),
        ("marks",        [b"\xef\xbb\xbf\xef\xbb\xbf", &bytes(&month)[..]].concat(), [73, 73],  &[],                                                                  ""),
        ("twice",        bytes(&format!("{month}{first}")),                    [74, 73],        &[],                                                                  "1 row(s) repeat another one cell for cell and were taken once: line 75 is line 2"),
        ("comma",        changed("Ashmoor Road, Primary School"),              [73, 72],        &[(3, "(row)", "has 71 columns, the header 70 (a comma without quotation marks?)")], ""),
        ("escape",       changed("A\u{1b}[31mRED\u{1b}[0m School"),            [73, 72],        &[(3, "School name", "has the control character U+001B")],             ""),
        ("bell",         changed("A\u{1b}]0;title\u{7} School"),               [73, 72],        &[(3, "School name", "has the control character U+001B")],             ""),
        ("turned",       changed("A\u{e2}\u{80}\u{ae}loohcS"),                 [73, 72],        &[(3, "School name", "has the control character U+202E")], ""),
        ("never",        bytes(&later),                                        [73, 72],        &[(2, "Publication date", "\"31/12/9999\" is not a date between the years 1000 and 2100")], ""),
        ("rounded",      bytes(&rounded),                                      [73, 72],        &[(3, "Inspection number of latest full inspection", "\"1.0990E+07\" is not an inspection number (digits, perhaps with letters in front)")], ""),
        ("curly",        changed("Ashmoor Road \u{93}Primary\u{94} School"),   [73, 73],        &[],                                                                  ""),
    ];
    for (name, content, counts, problems, note) in cases {
        let file = folder.write(name, &content);
        let answer = run_ok(&server, &["import", "ofsted", &file, "--as-at", "2021-08-31", "--dry-run"]);
        let answer = &answer[0];
        assert_eq!([&answer["rows"], &answer["accepted"]].map(|it| it.as_i64().unwrap()), counts, "{name}: {answer}");
        let reported = answer["problems"].as_array().unwrap();
        let reported: Vec<_> =
            reported.iter().map(|it| (it["line"].as_i64().unwrap(), text(it, "column"), text(it, "reason"))).collect();
        let expected: Vec<_> = problems.iter().map(|&(line, at, why)| (line, at.to_owned(), why.to_owned())).collect();
        assert_eq!(reported, expected, "{name}");
        let notes = answer["notes"].as_array().unwrap();
        let expected_notes = usize::from(!note.is_empty());
        assert_eq!(notes.len(), expected_notes, "{name}: {notes:?}");
        assert!(notes.iter().all(|it| it.as_str().unwrap().starts_with(note)), "{name}: {notes:?}");
    }
    check_notes(&server, &folder);
}

/// The bytes of a sample with another separator between the cells.
fn with_separator(text: &str, separator: u8) -> Vec<u8> {
    let bytes = bytes(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes.as_slice());
    let mut writer = csv::WriterBuilder::new().flexible(true).delimiter(separator).from_writer(Vec::new());
    for row in reader.byte_records() {
        writer.write_byte_record(&row.unwrap()).unwrap();
    }
    writer.into_inner().unwrap()
}

/// Checks that notes are shown by an import and by `import show`, as JSON and in the table.
fn check_notes(server: &Server, folder: &Folder) {
    let register = folder.write("wales.csv", wales("910001,330,2001").as_bytes());
    let wales = run_ok(server, &["import", "register", &register, "--as-at", "2021-08-31"]);
    let of_wales = "1100 row(s) are of no local authority in England and were not taken: Wales (660 to 681): 1100";
    let answer = &wales[0];
    assert_eq!((&answer["rows"], &answer["accepted"], &answer["problems"]), (&1_101.into(), &1.into(), &json!([])));
    assert_eq!(answer["notes"], json!([of_wales]));
    let id = text(answer, "import_id");
    let shown = run_ok(server, &["import", "show", &id]);
    assert_eq!((&shown["notes"], &shown["problems"]), (&json!([of_wales]), &json!([])));
    let table = tsio(&["--server", &server.url(), "import", "show", &id]);
    assert!(table.stdout.contains(&format!("wales.csv: note: {of_wales}")), "{}", table.stdout);
    // The same monthly file is imported with its own as-at date, and with two others.
    let note = |as_at: &str| {
        let words = ["import", "ofsted", &path(AUGUST.0), "--as-at", as_at, "--dry-run"];
        run_ok(server, &words)[0]["notes"].clone()
    };
    let doubt =
        |as_at: &str, why: &str| json!([format!("the as-at date is {as_at}, but {why}: is the as-at date right?")]);
    assert_eq!(note("2021-08-31"), json!([]));
    let late = "1 report(s) came out more than five weeks after it, the newest on 2021-08-31";
    assert_eq!(note("2021-07-15"), doubt("2021-07-15", late));
    let old = "no report came out in the half year before it, the newest on 2021-08-31";
    assert_eq!(note("2022-03-31"), doubt("2022-03-31", old));
}

async fn the_flags_of_an_import_belong_to_its_request(db: Db) {
    let server = Server::start(&db);
    let file = path("bad/wrong_dates.csv");
    let id = "7d0a4f5e-6b7c-4c3e-9d9e-6f1c8a5230c5";
    let words = ["--request-id", id, "import", "ofsted", &file, "--as-at", "2021-08-31"];
    let accepted = [&words[..], &["--accept-problems"]].concat();
    run_refused_for(&server, "FILE_REFUSED", &words);
    let first = run_ok(&server, &accepted);
    assert_eq!((&first[0]["rows"], &first[0]["accepted"]), (&11.into(), &3.into()));
    assert_eq!(run_ok(&server, &accepted), first, "the repeated request gets the same answer");
    run_refused_for(&server, "REQUEST_ID_REUSED", &words);
    run_refused_for(&server, "REQUEST_ID_REUSED", &[&accepted[..], &["--day-first"]].concat());
}

async fn a_trust_proposed_to_close_is_open(db: Db) {
    let server = Server::start(&db);
    let folder = Folder::new();
    let [groups, membership, links, establishments] = REGISTER_AUGUST;
    // The change: Alderquill (90001) is proposed to close, and Foxlow Lantern (90003) was created in error.
    let with_status = |text: &str, status: &str, uid: &str| -> String {
        let line = |line: &str| match line.contains(&format!("{uid},TR{uid}")) {
            true => line.replace(",OPEN,Open,", &format!(",,{status},")),
            false => line.to_owned(),
        };
        text.split_inclusive('\n').map(line).collect()
    };
    for (name, as_at) in [groups, membership] {
        let text = with_status(&with_status(&sample(name), "Proposed to close", "90001"), "Created in error", "90003");
        assert!(text.contains("Proposed to close") && text.contains("Created in error"), "{name}");
        let file = folder.write(name, &bytes(&text));
        let answer = run_ok(&server, &["import", "register", &file, "--as-at", as_at]);
        assert_eq!((&answer[0]["accepted"], &answer[0]["problems"]), (&answer[0]["rows"], &json!([])), "{answer}");
    }
    import_all(&server, &[links, establishments, AUGUST]);
    // The counts are those of the first row of the README's table, but the only school of 90003 has no placement any
    // more.
    assert_eq!(summary(&server, "2021-22"), [73, 28, 0, 28, 0, 10, 5, 13, 11, 2, 0, 5, 0]);
    assert_eq!(identify(&server), [18, 0, 0, 0, 0, 5]);
    assert_eq!(offer_of(&server, 90_001)["recipient_kind"], "mat");
    let shown = run_ok(&server, &["trusts", "show", "90001"]);
    assert!(shown.to_string().contains("Proposed to close"), "{shown}");
    let school = cli(&server, &["schools", "show", "910044"]);
    assert_eq!(school.code, 0, "{}", school.stderr);
    assert!(school.json.to_string().contains("unplaced"), "{}", school.stdout);
}
