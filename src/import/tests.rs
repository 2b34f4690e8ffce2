//! Tests the two parsers with whole files. Every school, group and number here is invented.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use proptest::prelude::*;

use super::*;
use crate::domain::judgement::Grade;

const HEADER: [&str; 22] = [
    "Web link",
    "URN",
    "LAESTAB",
    "School name",
    "Ofsted phase",
    "Type of education",
    "School open date",
    "Local authority",
    "Inspection number of latest full inspection",
    "Inspection start date",
    "Inspection end date",
    "Publication date",
    "URN at time of latest full inspection",
    "Overall effectiveness",
    "Category of concern",
    "Previous full inspection number",
    "Previous inspection start date",
    "Previous inspection end date",
    "Previous publication date",
    "URN at time of previous full inspection",
    "Previous full inspection overall effectiveness",
    "Previous category of concern",
];

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A line of an Ofsted file: a good row in which some cells are changed. A change is a column with its new text, such as
/// `("URN", "100001")`.
fn ofsted(changes: Pairs<'_>) -> String {
    let good = [
        "Ofsted School Webpage",
        "100001",
        "3301001",
        "Hill Top School",
        "Primary",
        "Community School",
        "NULL",
        "Birmingham",
        "10000001",
        "01/10/2019",
        "02/10/2019",
        "05/11/2019",
        "100001",
        "3",
        "",
        "ITS400001",
        "03/02/2015",
        "04/02/2015",
        "09/03/2015",
        "NULL",
        "4",
        "SM",
    ];
    let changes: BTreeMap<_, _> = changes.iter().copied().collect();
    assert!(changes.keys().all(|name| HEADER.contains(name)));
    HEADER.iter().zip(good).map(|(name, cell)| *changes.get(name).unwrap_or(&cell)).collect::<Vec<_>>().join(",")
}

/// The changes for a school that was never inspected.
const NEVER: [(&str, &str); 12] = [
    ("Inspection number of latest full inspection", "NULL"),
    ("Inspection start date", "NULL"),
    ("Inspection end date", "NULL"),
    ("Publication date", "NULL"),
    ("URN at time of latest full inspection", "NULL"),
    ("Overall effectiveness", "NULL"),
    ("Previous full inspection number", "NULL"),
    ("Previous inspection start date", "NULL"),
    ("Previous inspection end date", "NULL"),
    ("Previous publication date", "NULL"),
    ("URN at time of previous full inspection", "NULL"),
    ("Previous full inspection overall effectiveness", "NULL"),
];

fn file(lines: &[String]) -> Vec<u8> {
    [&[HEADER.join(",")], lines].concat().join("\r\n").into_bytes()
}

/// The options of these tests: the sender says that the dates are day-first, and accepts any number of problems.
fn reading() -> Reading {
    Reading { day_first: true, accept_problems: true, ..Reading::of(day(2021, 8, 31).unwrap()) }
}

fn read(bytes: &[u8]) -> Result<ParsedFile<OfstedRow>, FileRefused> {
    read_ofsted(bytes, &reading())
}

fn problems<R>(file: &ParsedFile<R>) -> Vec<(u64, &str, &str)> {
    file.problems.iter().map(|p| (p.line, p.column.as_str(), p.reason.as_str())).collect()
}

fn day(y: i32, m: u32, d: u32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(y, m, d)
}

#[test]
fn a_row_is_read_as_printed() {
    let parsed = read(&file(&[ofsted(&[]), ofsted(&[&[("URN", "100002")], &NEVER[..]].concat())])).unwrap();
    assert_eq!((parsed.read, problems(&parsed)), (2, vec![]));
    let [row, never] = parsed.rows.as_slice() else { panic!("two rows") };
    assert_eq!((row.urn.get(), row.laestab.get(), row.la.get()), (100_001, 3_301_001, 330));
    assert_eq!((row.name.as_str(), row.phase.as_str()), ("Hill Top School", "Primary"));
    assert_eq!((row.opened, row.trust_uid, row.trust_name.as_deref()), (None, None, None));
    let current = row.current.as_ref().unwrap();
    assert_eq!((current.inspection.as_str(), current.grade), ("10000001", Grade::RequiresImprovement));
    assert_eq!((current.started, current.ended), (day(2019, 10, 1), day(2019, 10, 2)));
    assert_eq!((current.published, current.urn_judged.get()), (day(2019, 11, 5), 100_001));
    let previous = row.previous.as_ref().unwrap();
    assert_eq!((previous.inspection.as_str(), previous.grade), ("ITS400001", Grade::Inadequate));
    assert_eq!((previous.published, previous.urn_judged.get()), (day(2015, 3, 9), 100_001));
    assert_eq!((never.current.as_ref(), never.previous.as_ref()), (None, None));
}

/// Title lines above the header, an index column, renamed and new columns, blank lines and empty rows make no difference.
#[test]
fn the_layout_does_not_change_the_rows() {
    let plain = read(&file(&[ofsted(&[])])).unwrap();
    let renamed = String::from_utf8(file(&[ofsted(&[])])).unwrap().replace("full inspection", "graded inspection");
    let titled = format!("Management information,as at 31 August 2021\r\n\r\n{renamed}\r\n,,,,\r\n\r\n, ,\r\n");
    let indexed = format!("{}\n", renamed.replace("Web link", ",Web  Link").replace("\r\nOfsted", "\n0,Ofsted"));
    let shouted = indexed.replace("School name", "  SCHOOL   NAME ") + "1,,,,,,\n";
    let bom = ["\u{feff}", &renamed.replace("Web link", "\"Web link\"")].concat();
    for layout in [&renamed, &titled, &indexed, &shouted, &bom] {
        let parsed = read(layout.as_bytes()).unwrap();
        assert_eq!((parsed.rows, parsed.read, parsed.problems), (plain.rows.clone(), 1, vec![]), "{layout}");
    }
    let header = renamed.lines().next().unwrap();
    let trust = format!("{header},Multi-academy trust UID,Multi-academy trust name\n{},2044,A  Trust", ofsted(&[]));
    let row = read(trust.as_bytes()).unwrap().rows.remove(0);
    assert_eq!((row.trust_uid.map(|uid| uid.get()), row.trust_name.as_deref()), (Some(2044), Some("A Trust")));
}

#[test]
fn windows_1252_and_utf_8_may_be_in_one_file() {
    let resaved = "Château \u{96} St Mary\u{92}s".as_bytes().to_vec();
    let names = [b"Ch\xe2teau \x96 St Mary\x92s".to_vec(), "Château – St Mary’s".as_bytes().to_vec(), resaved];
    for (urn, name) in (100_001..).zip(names) {
        let (before, after) = ofsted(&[("URN", &format!("{urn}")), ("School name", "@")])
            .split_once('@')
            .map(|(before, after)| (before.to_owned(), after.to_owned()))
            .unwrap();
        let bytes = [&file(&[before]), &name[..], after.as_bytes()].concat();
        assert_eq!(read(&bytes).unwrap().rows[0].name, "Château – St Mary’s");
    }
}

/// If a stray comma has shifted a row, any column can contain a name. Problems are stored, so they must not quote the name.
#[test]
fn no_problem_quotes_a_name() {
    let mut problem_count = 0;
    for column in HEADER {
        let parsed = read(&file(&[ofsted(&[("URN", "100009")]), ofsted(&[(column, "Fairweather")])])).unwrap();
        problem_count += parsed.problems.len();
        assert!(parsed.problems.iter().all(|it| !it.reason.contains("Fair")), "{column}: {:?}", parsed.problems);
    }
    assert!(problem_count >= 10, "a name in a column of numbers, dates or grades is a problem: {problem_count}");
}

#[test]
fn every_problem_of_a_row_is_reported_and_good_rows_are_taken() {
    let cases: [(Pairs<'_>, Pairs<'_>); 13] = [
        (
            &[("School open date", "01/09/2099")],
            &[("School open date", "is 2099-09-01, more than a year after the as-at date 2021-08-31")],
        ),
        (&[("URN", "12")], &[("URN", r#""12" is not a URN (5 or 6 digits)"#)]),
        (&[("URN", "")], &[("URN", "is blank")]),
        (&[("School name", "  ")], &[("School name", "is blank")]),
        (&[("LAESTAB", "330/1001")], &[("LAESTAB", r#""330/1001" is not a LAESTAB (7 digits)"#)]),
        (&[("LAESTAB", "1501001")], &[("LAESTAB", "local authority 150 is not in the table of English authorities")]),
        (
            &[("Publication date", "31/02/2021")],
            &[("Publication date", r#""31/02/2021" is not a date (dd/mm/yyyy, dd-mm-yyyy or yyyy-mm-dd)"#)],
        ),
        (
            &[("Overall effectiveness", "5")],
            &[("Overall effectiveness", r#""5" is not an overall effectiveness (1 to 4, 9, 8, 0, Not judged, NULL)"#)],
        ),
        (
            &[("Overall effectiveness", "NULL")],
            &[("Overall effectiveness", r#""NULL" is no grade, but inspection "10000001" is given"#)],
        ),
        (
            &[("Inspection number of latest full inspection", "NULL")],
            &[("Inspection number of latest full inspection", r#"is blank, but overall effectiveness "3" is given"#)],
        ),
        (
            &[("Previous full inspection number", "")],
            &[("Previous full inspection number", r#"is blank, but overall effectiveness "4" is given"#)],
        ),
        (
            &[("URN at time of latest full inspection", "12x")],
            &[("URN at time of latest full inspection", r#""12x" is not a URN (5 or 6 digits)"#)],
        ),
        (
            &[("URN", "x"), ("School name", "NULL"), ("School open date", "1/9/2020")],
            &[
                ("School name", "is blank"),
                ("School open date", r#""1/9/2020" is not a date (dd/mm/yyyy, dd-mm-yyyy or yyyy-mm-dd)"#),
                ("URN", "a text of 1 character is not a URN (5 or 6 digits)"),
            ],
        ),
    ];
    for (changes, expected) in cases {
        let parsed = read(&file(&[ofsted(&[("URN", "100009")]), ofsted(changes)])).unwrap();
        let expected: Vec<_> = expected.iter().map(|(column, reason)| (3, *column, *reason)).collect();
        assert_eq!(problems(&parsed), expected, "{changes:?}");
        assert_eq!((parsed.read, parsed.rows.len()), (2, 1), "{changes:?}");
    }
}

#[test]
fn codes_that_are_not_grades_are_kept_apart() {
    let grade = |text| {
        let parsed = read(&file(&[ofsted(&[("Overall effectiveness", text)])])).unwrap();
        parsed.rows[0].current.as_ref().map(|judgement| judgement.grade)
    };
    assert_eq!(grade("9"), Some(Grade::NotJudged));
    assert_eq!(grade("Not judged"), Some(Grade::NotJudged));
    assert_eq!(grade("8"), Some(Grade::DoesNotApply));
    assert_eq!(grade("0"), Some(Grade::InsufficientEvidence));
}

#[test]
fn the_urn_judged_may_be_that_of_a_predecessor() {
    let parsed = read(&file(&[ofsted(&[("URN at time of latest full inspection", "100777")])])).unwrap();
    let judged = parsed.rows[0].current.as_ref().map(|judgement| judgement.urn_judged.get());
    assert_eq!((parsed.rows[0].urn.get(), judged), (100_001, Some(100_777)));
}

#[test]
fn different_rows_with_the_same_urn_are_not_taken() {
    let line = |urn, name| ofsted(&[("URN", urn), ("School name", name)]);
    let bad = ofsted(&[("School name", "")]);
    let parsed = read(&file(&[line("100001", "A"), line("100002", "A"), line("100001", "B"), bad])).unwrap();
    assert_eq!(parsed.rows.iter().map(|row| row.urn.get()).collect::<Vec<_>>(), [100_002]);
    let expected = [
        (2, "URN", "the same URN is on lines 4, 5; none of these rows is taken"),
        (4, "URN", "the same URN is on lines 2, 5; none of these rows is taken"),
        (5, "School name", "is blank"),
        (5, "URN", "the same URN is on lines 2, 4; none of these rows is taken"),
    ];
    assert_eq!(problems(&parsed), expected);

    let mut many: Vec<_> = ["A", "B", "C", "D", "E", "F", "G", "H"].map(|name| line("100001", name)).to_vec();
    many.push(line("100002", "A"));
    let many = read(&file(&many)).unwrap();
    let first = "the same URN is on lines 3, 4, 5, 6, 7 and 2 more; none of these rows is taken";
    assert_eq!((many.rows.len(), problems(&many)[0]), (1, (2, "URN", first)));
}

#[test]
fn short_rows_and_rows_over_several_lines_are_problems() {
    let over_lines = format!("x,100003,\"Hill\n{}\nTop\"", ofsted(&[("URN", "100004")]));
    let parsed = read(&file(&["x,100002,3301002".to_owned(), over_lines, ofsted(&[])])).unwrap();
    assert_eq!(parsed.rows.len(), 1);
    let expected = [
        (2, "(row)", "is cut short: it has 3 columns, the header 22"),
        (3, "(row)", "runs on to line 5 and has 3 columns where the header has 22: look for a stray quotation mark"),
    ];
    assert_eq!(problems(&parsed), expected);
}

#[test]
fn a_row_needs_every_column_up_to_the_last_one_that_is_read() {
    let row = ofsted(&[]);
    let (without_unused, _) = row.rsplit_once(',').unwrap();
    let (without_grade, _) = without_unused.rsplit_once(',').unwrap();
    let beyond = format!("{}stray", ",".repeat(25));
    let other = ofsted(&[("URN", "100002")]) + ",,, ,";
    let rows = [without_unused.to_owned(), without_grade.to_owned(), ",".repeat(25), beyond, other];
    let parsed = read(&file(&rows)).unwrap();
    assert_eq!((parsed.rows.len(), parsed.read), (1, 4));
    let lines = parsed.problems.iter().map(|problem| (problem.line, problem.column.as_str())).collect::<BTreeSet<_>>();
    assert_eq!(lines, [(2, "URN"), (3, "(row)"), (3, "URN"), (5, "(row)")].into());
    assert_eq!(read(&file(&[without_unused.to_owned()])).map(|parsed| parsed.rows.len()), Ok(1));
}

#[test]
fn a_layout_without_the_previous_number_is_read() {
    let text = String::from_utf8(file(&[ofsted(&[])])).unwrap().replace("Previous full inspection number", "Other");
    let previous = read(text.as_bytes()).unwrap().rows.remove(0).previous.unwrap();
    assert_eq!((previous.inspection.as_str(), previous.grade), ("", Grade::Inadequate));
}

#[test]
fn problems_beyond_the_limit_are_counted() {
    let mut rows = (0..5).map(|n| ofsted(&[("URN", &format!("10001{n}")), ("School name", "")])).collect::<Vec<_>>();
    rows.push(ofsted(&[]));
    let limits = ImportLimits { problems: 2, ..ImportLimits::default() };
    let parsed = read_ofsted(&file(&rows), &Reading { limits, ..reading() }).unwrap();
    assert_eq!((parsed.problems.len(), parsed.problems_beyond, parsed.read), (2, 3, 6));
}

#[test]
fn a_refusal_says_what_is_wrong_with_the_file() {
    let good = file(&[ofsted(&[])]);
    let twice = String::from_utf8(good.clone()).unwrap().replacen("Web link", "Publication  date", 1);
    let renamed = "Inspection number of latest graded inspection";
    let both = String::from_utf8(good.clone()).unwrap().replacen("Web link", renamed, 1);
    let groups = "Group UID,Group Name,Group Type (code),Group Type,Group Status\n1,A,6,Multi-academy trust,Open\n";
    let cases: [(&[u8], &str); 11] = [
        (b"", "the file is empty"),
        (b"\r\n  \n", "the file is empty"),
        (
            b"PK\x03\x04",
            "this is not a CSV file: it seems to be a zip archive or an Excel workbook. Save it as CSV and try again",
        ),
        (
            b"URN,a\n\0",
            "this is not a CSV file: it has NUL characters, so it is not text. Save it as CSV and try again",
        ),
        (
            b"name,town\nA,B\n",
            "no header row was found: none of the first 2 rows has a column named URN or Group UID, whether commas, \
             semicolons, tabs or vertical bars separate the cells",
        ),
        (HEADER_ONLY.as_bytes(), "the file has a header, but no row under it"),
        (groups.as_bytes(), "this looks like a file of GIAS groups: import it with `tsio import register`"),
        (
            b"School name,URN,Type of education,Publication date,Overall effectiveness,Inspection start date\n",
            "this looks like a file of Ofsted management information, but it has no column \"LAESTAB\"; and no column \
             \"Inspection number of latest full inspection\" or \"Inspection number of latest graded inspection\"; \
             and no column \"Previous full inspection overall effectiveness\" or \"Previous graded inspection overall \
             effectiveness\" or \"Previous overall effectiveness\" or \"Previous inspection overall effectiveness\"",
        ),
        (twice.as_bytes(), "columns 1 and 12 are both \"Publication date\": remove one of them"),
        (
            both.as_bytes(),
            "columns 1 and 9 are both \"Inspection number of latest full inspection\": remove one of them",
        ),
        (
            b"URN,\"LAESTAB\n1,2\n",
            "a quotation mark opened in the row of line 1 is never closed, so the rows after it cannot be read",
        ),
    ];
    for (bytes, expected) in cases {
        assert_eq!(read(bytes).map_err(|refused| refused.to_string()), Err(expected.to_owned()));
    }
    let register = |bytes: &[u8]| read_register(bytes, &reading()).map_err(|refused| refused.to_string());
    assert_eq!(
        register(&good),
        Err("this looks like a file of Ofsted management information: import it with `tsio import ofsted`".to_owned())
    );
    assert_eq!(
        register(b"URN,Colour\n100001,red\n"),
        Err("the columns (URN, Colour) are of no kind of file known here. Known are: Ofsted management information; \
             GIAS groups, group membership, establishment links and establishments"
            .to_owned())
    );
}

const HEADER_ONLY: &str = "URN,LAESTAB,School name,Type of education,Inspection number of latest full inspection,\
    Inspection start date,Publication date,Overall effectiveness,Previous full inspection overall effectiveness\n,,,\n";

#[test]
fn limits_refuse_the_whole_file() {
    let good = file(&[ofsted(&[]), ofsted(&[("URN", "100002")])]);
    let default = ImportLimits::default();
    let cases = [
        (ImportLimits { rows: 1, ..default }, "the file exceeds the limit of 1 rows"),
        (ImportLimits { upload_bytes: 100, ..default }, "the upload exceeds the limit of 100 bytes"),
        (ImportLimits { unpacked_bytes: 100, ..default }, "the unpacked file exceeds the limit of 100 bytes"),
        (ImportLimits { row_bytes: 100, ..default }, "the row of line 1 exceeds the limit of 100 bytes"),
        (ImportLimits { columns: 21, ..default }, "the row of line 1 exceeds the limit of 21 columns"),
    ];
    for (limits, expected) in cases {
        let refused = read_ofsted(&good, &Reading { limits, ..reading() }).map_err(|e| e.to_string());
        assert_eq!(refused, Err(expected.to_owned()));
    }
    let exact = ImportLimits { rows: 2, columns: 22, ..default };
    let exact = Reading { limits: exact, ..reading() };
    assert_eq!(read_ofsted(&good, &exact).map(|parsed| parsed.rows.len()), Ok(2));
    let with_empty_row = [&good[..], b"\n,,,\n"].concat();
    let refused = read_ofsted(&with_empty_row, &exact).map_err(|e| e.to_string());
    assert_eq!(refused, Err("the file exceeds the limit of 2 rows".to_owned()));
}

/// The URN, the name and the grade of each school of a file.
fn parts() -> impl Strategy<Value = Vec<(u32, String, u8)>> {
    let row = (100_000..200_000_u32, "[A-Za-z',àé–]{1,12}", 0..10_u8);
    prop::collection::vec(row, 1..20)
}

fn built(parts: &[(u32, String, u8)]) -> Vec<u8> {
    let line = |(urn, name, grade): &(u32, String, u8)| {
        let (urn, name, grade) = (urn.to_string(), format!("\"N{name}\""), grade.to_string());
        ofsted(&[("URN", &urn), ("School name", &name), ("Overall effectiveness", &grade)])
    };
    file(&parts.iter().map(line).collect::<Vec<_>>())
}

/// Whether each row is either taken or explained by a problem or a note. True if some problems are not listed.
fn accounted<R>(file: &ParsedFile<R>) -> bool {
    let explained: BTreeSet<_> = file.problems.iter().map(|problem| problem.line).collect();
    file.problems_beyond > 0 || file.rows.len() + explained.len() + file.repeats + file.abroad == file.read
}

proptest! {
    #[test]
    fn the_order_of_rows_never_matters(
        (parts, shuffled) in parts().prop_flat_map(|parts| (Just(parts.clone()), Just(parts).prop_shuffle())),
    ) {
        let sorted = |parts: &[_]| {
            read(&built(parts)).map_err(|refused| refused.details().len()).map(|parsed| {
                assert!(accounted(&parsed));
                let mut rows = parsed.rows;
                rows.sort_by_key(|row| row.urn);
                (rows, parsed.problems.len())
            })
        };
        prop_assert_eq!(sorted(&parts), sorted(&shuffled));
    }

    #[test]
    fn a_damaged_file_never_causes_a_panic_or_the_loss_of_a_row_without_a_finding(
        parts in parts(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let mut bytes = built(&parts);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(parsed) = read(&bytes) {
            prop_assert!(accounted(&parsed), "{parsed:?}");
        }
        if let Ok(RegisterFile::Establishments(parsed)) = read_register(&bytes, &reading()) {
            prop_assert!(accounted(&parsed));
        }
    }

    #[test]
    fn any_bytes_under_a_header_are_rows_or_problems(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(parsed) = read(&[&file(&[String::new()]), &bytes[..]].concat()) {
            prop_assert!(accounted(&parsed));
        }
    }
}
