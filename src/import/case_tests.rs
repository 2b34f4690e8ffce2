//! Tests whole files as people save and send them: the rows that are read, the notes, and the refusals. All schools are invented.

use chrono::NaiveDate;

use super::*;

const HEADER: &str = "URN,LAESTAB,School name,Type of education,Inspection number of latest full inspection,\
    Inspection start date,Inspection end date,Publication date,Overall effectiveness,Previous full inspection number,\
    Previous inspection start date,Previous publication date,Previous full inspection overall effectiveness,Website";

/// The cells of a good row that tests change.
#[derive(Clone)]
struct School {
    urn: u32,
    laestab: &'static str,
    name: &'static str,
    inspection: &'static str,
    /// The start, the end and the publication of the latest inspection.
    dates: [&'static str; 3],
    /// The start and the publication of the inspection before it.
    previous: [&'static str; 2],
    /// A column that is not read.
    website: &'static str,
}

/// A good row. Its date 13/03/2019 shows that the day comes first.
fn school(urn: u32) -> School {
    School {
        urn,
        laestab: "3301001",
        name: "Hill Top School",
        inspection: "10000001",
        dates: ["12/03/2019", "13/03/2019", "11/04/2019"],
        previous: ["10/03/2015", "09/04/2015"],
        website: "none",
    }
}

impl School {
    fn line(&self) -> String {
        let Self { urn, laestab, name, inspection, dates, previous, website } = self;
        let (dates, previous) = (dates.join(","), previous.join(","));
        format!("{urn},{laestab},{name},Community School,{inspection},{dates},3,ITS400001,{previous},3,{website}")
    }
}

fn file(lines: &[String]) -> String {
    [&[HEADER.to_owned()], lines].concat().join("\r\n")
}

/// A file whose first school is changed by the test. It has enough other good schools that one problem does not refuse the file.
fn file_with_changed_school(change: impl FnOnce(&mut School)) -> String {
    let mut changed = school(100_001);
    change(&mut changed);
    let others = (100_100..100_130).map(|urn| school(urn).line());
    file(&std::iter::once(changed.line()).chain(others).collect::<Vec<_>>())
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn reading() -> Reading {
    Reading::of(day("2019-08-31"))
}

fn read(file: &str) -> Result<ParsedFile<OfstedRow>, FileRefused> {
    read_ofsted(file.as_bytes(), &reading())
}

fn refusal(file: &str, reading: &Reading) -> String {
    read_ofsted(file.as_bytes(), reading).unwrap_err().to_string()
}

/// The problems of the first row, each with its column.
fn problems(parsed: &ParsedFile<OfstedRow>) -> Vec<(&str, &str)> {
    assert!(parsed.problems.iter().all(|it| it.line == 2), "{:?}", parsed.problems);
    parsed.problems.iter().map(|it| (it.column.as_str(), it.reason.as_str())).collect()
}

/// The lines of `count` schools with these dates of inspection and publication, and earlier dates in ISO form.
fn schools_with_dates(count: u32, dates: [&'static str; 3]) -> Vec<String> {
    let line = |n| School { dates, previous: ["2015-03-10", "2015-04-09"], ..school(100_001 + n) }.line();
    (0..count).map(line).collect()
}

/// Two dates that would be other days with the month first, and an ISO date between them.
const AMBIGUOUS_DATES: [&str; 3] = ["03/04/2019", "2019-04-04", "05/06/2019"];

#[test]
fn dates_with_the_month_first_refuse_a_file() {
    let saved = schools_with_dates(3, ["03/12/2019", "03/13/2019", "04/11/2019"]);
    let without_zeros = schools_with_dates(3, ["3/12/2019", "3/13/2019", "4/11/2019"]);
    // A spreadsheet leaves NULL and the dates that databases print for an unknown day unchanged when it saves a file.
    let unknown = [saved.clone(), schools_with_dates(4, ["31/12/1899", "NULL", "01/01/1900"]).split_off(3)].concat();
    // A date in a column that is not read shows the order too. The other dates of this school are ambiguous.
    let website = vec![School { website: "01/31/2018", ..school(100_001) }.line().replace("13/03", "12/03")];
    for (lines, dates, line) in [(saved, 3, 2), (without_zeros, 3, 2), (unknown, 3, 2), (website, 1, 2)] {
        for day_first in [false, true] {
            let refused =
                read_ofsted(file(&lines).as_bytes(), &Reading { day_first, accept_problems: true, ..reading() });
            let Err(FileRefused::MonthFirst { dates: found, line: at, .. }) = refused else { panic!("{refused:?}") };
            assert_eq!((found, at), (dates, line));
        }
    }
}

#[test]
fn month_first_dates_in_a_day_first_file_are_problems() {
    let parsed = read(&file_with_changed_school(|it| it.dates[2] = "04/13/2019")).unwrap();
    let reason =
        "\"04/13/2019\" can only be a date with the month first; dates are dd/mm/yyyy, dd-mm-yyyy or yyyy-mm-dd";
    assert_eq!(problems(&parsed), [("Publication date", reason)]);
    assert_eq!((parsed.rows.len(), parsed.notes.as_slice()), (30, &[][..]));
}

#[test]
fn ambiguous_dates_are_read_if_few_or_said_to_be_day_first() {
    // Ten schools have twenty such dates, eleven have twenty-two.
    let (few, many) = (file(&schools_with_dates(10, AMBIGUOUS_DATES)), file(&schools_with_dates(11, AMBIGUOUS_DATES)));
    let parsed = read(&few).unwrap();
    let note = "nothing in the file tells whether its dates have the day or the month first: 20 of them would be other \
        days with the month first. They were read with the day first";
    assert_eq!(parsed.notes, [note]);
    assert_eq!(read(&many), Err(FileRefused::DateOrderUntold { dates: 22 }));
    let parsed = read_ofsted(many.as_bytes(), &Reading { day_first: true, ..reading() }).unwrap();
    assert_eq!((parsed.rows.len(), parsed.notes.as_slice()), (11, &[][..]));
    assert_eq!(parsed.rows[0].current.as_ref().unwrap().started, Some(day("2019-04-03")));
    // An ISO date has no such order, and a date whose day equals its month is the same in both orders.
    for dates in [["2019-04-03", "2019-04-04", "2019-06-05"], ["04/04/2019", "04/04/2019", "05/05/2019"]] {
        assert_eq!(
            read(&file(&schools_with_dates(40, dates))).map(|it| (it.rows.len(), it.notes)),
            Ok((40, vec![])),
            "{dates:?}"
        );
    }
    // One date that is possible only with the day first is enough, in any row and any column.
    let with_clear_date =
        [schools_with_dates(40, AMBIGUOUS_DATES), vec![School { website: "31-08-2018", ..school(100_100) }.line()]]
            .concat();
    assert_eq!(read(&file(&with_clear_date)).map(|it| (it.rows.len(), it.notes)), Ok((41, vec![])));
}

#[test]
fn impossible_dates_are_problems() {
    #[rustfmt::skip]
    let cases = [
        (["12/03/2019", "13/03/2019", "11/03/2019"], &[("Publication date", "is 2019-03-11, before the inspection began (2019-03-12)")][..]),
        (["13/03/2019", "12/03/2019", "11/04/2019"], &[("Inspection end date", "is 2019-03-12, before the inspection began (2019-03-13)")]),
        (["12/03/2019", "14/03/2019", "13/03/2019"], &[("Publication date", "is 2019-03-13, before the inspection ended (2019-03-14)")]),
        (["12/09/2019", "13/09/2019", "11/10/2019"], &[("Inspection start date", "is 2019-09-12, after the as-at date 2019-08-31")]),
        (["12/03/1919", "13/03/2019", "11/04/2019"], &[
            ("Inspection start date", "is 1919-03-12, before Ofsted's first inspections (1992)"),
            ("Previous inspection start date", "is 2015-03-10, after the latest inspection began (1919-03-12)"),
        ]),
        (["12/03/2019", "13/03/2019", "11/04/2029"], &[("Publication date", "is 2029-04-11, more than a year after the as-at date 2019-08-31")]),
        (["12/03/2019", "13/03/2109", "11/04/2019"], &[("Inspection end date", "\"13/03/2109\" is not a date between the years 1000 and 2100")]),
        (["12/03/2019", "13/03/2019", "31/12/9999"], &[("Publication date", "\"31/12/9999\" is not a date between the years 1000 and 2100")]),
        (["12/03/0019", "13/03/2019", "11/04/2019"], &[("Inspection start date", "\"12/03/0019\" is not a date between the years 1000 and 2100")]),
        (["NULL",       "13/03/2019", "30/09/2019"], &[]),
        (["12/03/2019", "12/03/2019", "12/03/2019"], &[]),
        (["31/08/2019", "31/08/2019", "30/09/2019"], &[]),
    ];
    for (dates, expected) in cases {
        let parsed = read(&file_with_changed_school(|it| it.dates = dates)).unwrap();
        assert_eq!(problems(&parsed), expected, "{dates:?}");
    }
    let parsed = read(&file_with_changed_school(|it| it.previous = ["12/03/2020", "09/03/2020"])).unwrap();
    let expected = [
        ("Previous inspection start date", "is 2020-03-12, after the as-at date 2019-08-31"),
        ("Previous inspection start date", "is 2020-03-12, after the latest inspection began (2019-03-12)"),
        ("Previous publication date", "is 2020-03-09, before the inspection began (2020-03-12)"),
    ];
    assert_eq!(problems(&parsed), expected);
}

#[test]
fn a_repeated_row_is_taken_once() {
    let good = school(100_001).line();
    let spaced = good.replace(",Community School,", ",\tCommunity School ,") + ",, ";
    let bad = School { name: "", ..school(100_002) }.line();
    let lines = [good.clone(), spaced, school(100_003).line(), good, bad.clone(), bad];
    let parsed = read_ofsted(file(&lines).as_bytes(), &Reading { accept_problems: true, ..reading() }).unwrap();
    assert_eq!(parsed.rows.iter().map(|row| row.urn.get()).collect::<Vec<_>>(), [100_001, 100_003]);
    // The repeated row with a problem is not a repeat of a taken row: both of its lines are problems.
    assert_eq!((parsed.read, parsed.repeats, parsed.problems.len()), (6, 2, 2));
    let note = "2 row(s) repeat another one cell for cell and were taken once: line 3 is line 2, line 5 is line 2";
    assert_eq!(parsed.notes, [note]);
}

#[test]
fn a_file_with_many_problems_is_refused_unless_they_are_accepted() {
    // One problem in twenty rows is 5 %, two in thirty-nine are more.
    let lines = |bad: u32, good: u32| {
        let bad = (0..bad).map(|n| School { name: "", ..school(100_200 + n) }.line());
        file(&bad.chain((0..good).map(|n| school(100_001 + n).line())).collect::<Vec<_>>())
    };
    assert_eq!(read(&lines(1, 19)).map(|it| (it.rows.len(), it.problems.len())), Ok((19, 1)));
    let accepted = Reading { accept_problems: true, ..reading() };
    let refused = read(&lines(2, 37)).unwrap_err();
    let message = "2 of 39 rows have problems, more than 5 %. Mend the file or, to take the other rows nevertheless, say \
        --accept-problems (field accept_problems)";
    assert_eq!(refused.to_string(), message);
    let details = [("line 2, School name", "is blank"), ("line 3, School name", "is blank")];
    assert_eq!(refused.details(), details.map(|(place, what)| (place.to_owned(), what.to_owned())));
    let taken = read_ofsted(lines(2, 37).as_bytes(), &accepted).map(|it| (it.rows.len(), it.problems.len()));
    assert_eq!(taken, Ok((37, 2)));
    let none = "none of the 2 rows can be taken: 2 have problems, 0 are of other countries";
    assert_eq!(refusal(&lines(2, 0), &accepted), none);
}

#[test]
fn rows_of_other_countries_are_counted_in_one_line() {
    let abroad = |count: u32, laestab: &'static str| {
        (0..count).map(move |n| School { laestab, name: "", ..school(400_001 + n) }.line().replace("3,ITS", "8,ITS"))
    };
    let lines: Vec<_> = abroad(1_100, "6611001").chain([school(100_001).line()]).collect();
    let parsed = read(&file(&lines)).unwrap();
    assert_eq!((parsed.read, parsed.rows.len(), parsed.abroad, parsed.problems.len()), (1_101, 1, 1_100, 0));
    let note = "1100 row(s) are of no local authority in England and were not taken: Wales (660 to 681): 1100";
    assert_eq!(parsed.notes, [note]);
    let lines: Vec<_> = abroad(1_100, "6611001").chain([School { name: "", ..school(100_001) }.line()]).collect();
    let refused = read(&file(&lines)).unwrap_err();
    assert_eq!(refused.details(), [("line 1102, School name".to_owned(), "is blank".to_owned())]);

    let header =
        "URN,LA (code),EstablishmentNumber,EstablishmentName,TypeOfEstablishment (name),EstablishmentStatus (name)";
    let register = [
        "100001,330,1001,Hill Top,Community school,Open",
        "100002,000,,Offshore,Offshore schools,Open",
        "100003,0,,Offshore,Offshore schools,Open",
        "100004,702,1001,Barracks,Service children's education,Open",
        "100005,681,2001,Cwm,Welsh establishment,Open",
        "100006,7,5302,Low Moor,Community school,Open",
        "100007,330,53021,Low Moor,Community school,Open",
    ];
    let text = [&[header], &register[..]].concat().join("\n");
    let accepted = Reading { accept_problems: true, ..reading() };
    let Ok(RegisterFile::Establishments(parsed)) = read_register(text.as_bytes(), &accepted) else { panic!("{text}") };
    let note = "4 row(s) are of no local authority in England and were not taken: Wales (660 to 681): 1, no local \
        authority (000): 2, overseas (700 to 799): 1";
    assert_eq!((parsed.rows.len(), parsed.notes.as_slice()), (1, &[note.to_owned()][..]));
    let found: Vec<_> = parsed.problems.iter().map(|it| (it.line, it.column.as_str(), it.reason.as_str())).collect();
    let expected = [
        (7, "LA (code)", "local authority 7 is not in the table of English authorities"),
        (8, "EstablishmentNumber", "\"53021\" is not an establishment number (4 digits)"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_as_at_date_that_does_not_fit_is_noted() {
    let note = |as_at: &str, published: &'static str| {
        let lines = schools_with_dates(2, ["2019-03-12", "2019-03-13", published]);
        read_ofsted(file(&lines).as_bytes(), &Reading::of(day(as_at))).unwrap().notes
    };
    let late = |newest: &str| {
        vec![format!(
            "the as-at date is 2019-08-31, but 2 report(s) came out more than five weeks after it, the newest on {newest}: is \
             the as-at date right?"
        )]
    };
    let old = |newest: &str| {
        vec![format!(
            "the as-at date is 2019-08-31, but no report came out in the half year before it, the newest on {newest}: is the \
             as-at date right?"
        )]
    };
    #[rustfmt::skip]
    let cases = [
        ("2019-08-31", "2019-08-31", vec![]),
        ("2019-08-31", "2019-10-05", vec![]),
        ("2019-08-31", "2019-10-06", late("2019-10-06")),
        ("2019-09-28", "2019-03-28", vec![]),
        ("2019-10-31", "2019-04-30", vec![]),
    ];
    for (as_at, published, expected) in cases {
        assert_eq!(note(as_at, published), expected, "{published} in a file as at {as_at}");
    }
    let lines = [("2018-02-12", "2018-02-27"), ("2018-02-12", "2018-02-28")];
    let lines: Vec<_> = (100_001..)
        .zip(lines)
        .map(|(urn, (start, out))| School { dates: [start, start, out], ..school(urn) }.line())
        .collect();
    let as_at_notes = |as_at: &str| {
        let notes = read_ofsted(file(&lines).as_bytes(), &Reading::of(day(as_at))).unwrap().notes;
        notes.into_iter().filter(|it| it.contains("as-at")).count()
    };
    assert_eq!((as_at_notes("2018-08-31"), as_at_notes("2018-09-01")), (0, 1));
    assert_eq!(note("2019-11-01", "2019-04-30"), [old("2019-04-30")[0].replace("2019-08-31", "2019-11-01")]);
}

#[test]
fn other_separators_are_read_and_noted() {
    let comma = file_with_changed_school(|_| {});
    let plain = read(&comma).unwrap();
    for (mark, name) in [(";", "semicolon"), ("\t", "tab"), ("|", "vertical bar")] {
        let saved = comma.replace(',', mark);
        let quoted =
            saved.lines().map(|it| format!("\"{}\"", it.replace(mark, &format!("\"{mark}\"")))).collect::<Vec<_>>();
        for text in [saved.clone(), format!("sep={mark}\r\n{saved}"), quoted.join("\n"), format!("\u{feff}{saved}")] {
            let parsed = read(&text).unwrap();
            assert_eq!((&parsed.rows, parsed.problems.len()), (&plain.rows, 0), "{name}");
            assert_eq!(
                parsed.notes,
                [format!("a {name} separates the cells of the file, not a comma; it was read so")]
            );
        }
        let long = saved.replacen("Hill Top", &format!("Hill{mark} Top"), 1);
        let reason = format!("has 15 columns, the header 14 (a {name} without quotation marks?)");
        assert_eq!(problems(&read(&long).unwrap()), [("(row)", reason.as_str())]);
    }
    let named = comma.replace(',', ";").replacen("Hill Top School", "Hill, Top School", 1);
    assert_eq!(read(&named).unwrap().rows[0].name, "Hill, Top School");
}

#[test]
fn a_row_longer_than_its_header_is_one_problem() {
    let parsed = read(&file_with_changed_school(|it| it.name = "Hill Top, Lower School")).unwrap();
    assert_eq!(problems(&parsed), [("(row)", "has 15 columns, the header 14 (a comma without quotation marks?)")]);
    // Empty cells at the end of a row do not count, and the search extract ends with a list without quotation marks.
    assert_eq!(read(&file_with_changed_school(|it| it.website = "none,,, ,")).map(|it| it.rows.len()), Ok(31));
    let extract = "URN,LA (code),EstablishmentName,TypeOfEstablishment (name),EstablishmentStatus (name),Linked establishments\n\
        100001,330,Hill Top,Community school,Open,100007 Successor,100008 Successor\n";
    let Ok(RegisterFile::Establishments(parsed)) = read_register(extract.as_bytes(), &reading()) else { panic!() };
    assert_eq!((parsed.rows.len(), parsed.problems.len()), (1, 0));
}

#[test]
fn a_refusal_names_the_column_that_is_nearest_to_a_missing_one() {
    let good = file_with_changed_school(|_| {});
    let dots = HEADER.replace(' ', ".");
    #[rustfmt::skip]
    let cases = [
        (good.replacen("Overall effectiveness,", "Overall effectiveness [note 1],", 1), &[("Overall effectiveness", "Overall effectiveness [note 1]")][..]),
        (good.replacen("Publication date,", "Publication_Date,", 1), &[("Publication date", "Publication_Date")]),
        (good.replacen("Publication date,", "Publicaton date,", 1), &[("Publication date", "Publicaton date")]),
        (good.replacen("URN,", "URN [1],", 1), &[("URN", "URN [1]")]),
        (good.replacen(HEADER, &dots, 1), &[
            ("School name", "School.name"), ("Type of education", "Type.of.education"),
            ("Inspection number of latest full inspection", "Inspection.number.of.latest.full.inspection"),
            ("Inspection start date", "Inspection.start.date"), ("Publication date", "Publication.date"),
            ("Overall effectiveness", "Overall.effectiveness"),
            ("Previous full inspection overall effectiveness", "Previous.full.inspection.overall.effectiveness"),
        ]),
    ];
    for (text, expected) in cases {
        let refused = read(&text).unwrap_err();
        let details = refused.details();
        assert_eq!(details.len(), expected.len(), "{refused}");
        for ((name, detail), (missing, nearest)) in details.iter().zip(expected) {
            assert_eq!(name, missing);
            assert!(detail.starts_with(&format!("no column {missing:?}")), "{detail}");
            assert!(detail.ends_with(&format!(" (the nearest is {nearest:?})")), "{detail}");
        }
        assert!(refused.to_string().contains(&format!("the nearest is {:?}", expected[0].1)), "{refused}");
    }
    let with_invisible_characters =
        format!("\u{feff}\u{feff}{}", good.replacen("Publication date,", "Publication\u{200b} date\u{2060},", 1));
    assert_eq!(read(&with_invisible_characters).map(|it| it.rows.len()), Ok(31));
}

#[test]
fn a_list_of_another_service_is_of_no_known_kind() {
    let lists = [
        "LA,LAEstab,URN,School Name,Phase,No Pupils\n330,3302001,910001,Ashmoor Road Primary School,Primary,91\n",
        "URN,LAESTAB,SCHNAME,TOWN\n910001,3302001,Ashmoor Road Primary School,Nowhere\n",
        "URN,LA (code),EstablishmentName,PhaseOfEducation (name)\n910001,330,Ashmoor Road,Primary\n",
    ];
    for list in lists {
        let columns = list.lines().next().unwrap().replace(',', ", ");
        for refused in [read(list).map(|_| ()), read_register(list.as_bytes(), &reading()).map(|_| ())] {
            let message = refused.unwrap_err().to_string();
            assert!(
                message.starts_with(&format!("the columns ({columns}) are of no kind of file known here")),
                "{message}"
            );
        }
    }
    // The message repeats the names of the header without control characters, which a terminal would obey.
    let message = refusal("URN,\u{1b}[31mColour,Ta\u{202e}ste\n1,2,3\n", &reading());
    assert!(message.contains("(URN, [31mColour, Taste)"), "{message:?}");
}

#[test]
fn numbers_that_a_spreadsheet_has_rounded_are_problems() {
    for number in ["1.0990E+07", "1.099e+07", "########", "#N/A"] {
        let parsed = read(&file_with_changed_school(|it| it.inspection = number)).unwrap();
        let [(column, reason)] = problems(&parsed)[..] else { panic!("{:?}", parsed.problems) };
        assert_eq!(column, "Inspection number of latest full inspection");
        assert!(reason.ends_with("is not an inspection number (digits, perhaps with letters in front)"), "{reason}");
    }
    assert_eq!(read(&file_with_changed_school(|it| it.inspection = "10000001.0")).map(|it| it.rows.len()), Ok(31));
}

#[test]
fn cells_with_control_characters_are_problems() {
    #[rustfmt::skip]
    let cases = [
        ("A\u{1b}[31mRED\u{1b}[0m School",      Some("U+001B")),
        ("A\u{1b}]0;title\u{7} School",         Some("U+001B")),
        ("A\u{7} School",                       Some("U+0007")),
        ("A\u{8}\u{8} School",                  Some("U+0008")),
        ("A\u{4} School",                       Some("U+0004")),
        ("A\u{81} School",                      Some("U+0081")),
        ("A\u{202e}loohcS",                     Some("U+202E")),
        ("A\u{2067}School",                     Some("U+2067")),
        ("St Mary\u{92}s \u{96} School",        None),
        ("A\u{9b}31m School",                   None),
        ("A \"\"quoted\"\" School",             None),
    ];
    for (name, control) in cases {
        let parsed = read(&file_with_changed_school(|it| it.name = name)).unwrap();
        let expected = control.map(|it| format!("has the control character {it}"));
        assert_eq!(
            problems(&parsed),
            expected.iter().map(|it| ("School name", it.as_str())).collect::<Vec<_>>(),
            "{name:?}"
        );
    }
    // A cell with a control character has only this one problem. Columns that are not read are not checked.
    let parsed = read(&file_with_changed_school(|it| it.dates[2] = "11/04/\u{1b}2019")).unwrap();
    assert_eq!(problems(&parsed), [("Publication date", "has the control character U+001B")]);
    assert_eq!(read(&file_with_changed_school(|it| it.website = "\u{1b}[31m")).map(|it| it.rows.len()), Ok(31));
}

#[test]
fn a_midnight_after_a_date_is_ignored() {
    for midnight in [" 00:00", " 0:00", " 00:00:00.000", "T00:00:00Z"] {
        let date: &'static str = format!("11/04/2019{midnight}").leak();
        let parsed = read(&file_with_changed_school(|it| it.dates[2] = date)).unwrap();
        assert_eq!(parsed.rows[0].current.as_ref().unwrap().published, Some(day("2019-04-11")), "{midnight}");
    }
}
