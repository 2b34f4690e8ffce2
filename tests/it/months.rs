//! Imports the sample months in order and in other orders, and checks every number of their README.

use super::harness::{Db, Server, both};
use super::samples::{
    AUGUST, Counts, File, JANUARY, LAST, NOVEMBER, REGISTER_AUGUST, REGISTER_MARCH, SEPTEMBER, SEPTEMBER_CORRECTED,
    all_files, identify, import, import_all, offer_of, run_ok, summary,
};

both!(every_number_of_the_table, any_order_ends_the_same, a_corrected_month_from_the_start);

/// The last row of the table.
const AT_THE_END: Counts = [77, 38, 11, 28, 1, 13, 4, 21, 17, 2, 2, 4, 3];

/// The summary of 2022-23 after all imports. Four standalone schools are eligible (2 maintained, 1 SAT, 1 single-school MAT),
/// 1 unplaced school, and 2 schools of trusts: 910066 and 910070. No school is unknown.
const NEXT_YEAR: [(&str, i64); 9] = [
    ("/eligible_schools", 7),
    ("/by_rule/E2_RI_TWICE_ON_ENTRY", 0),
    ("/mat/trusts", 2),
    ("/mat/schools", 2),
    ("/standalone/schools", 4),
    ("/standalone/maintained", 2),
    ("/standalone/single_academy_trust", 1),
    ("/standalone/single_school_mat", 1),
    ("/unplaced", 1),
];

async fn every_number_of_the_table(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    #[rustfmt::skip]
    let rows: [(&[File], Counts, [i64; 6]); 6] = [
        //                 schools eligible E1 E2 both MAT trusts standalone maintained SAT single unplaced unknown   created updated open closed blocked unplaced
        (&[AUGUST],        [73, 28, 0, 28, 0,  10, 5,  14, 11, 2, 1,  4, 0],  [19, 0, 0, 0, 0, 4]),
        (&[SEPTEMBER],     [76, 31, 3, 28, 0,  10, 5,  16, 13, 2, 1,  5, 3],  [3, 0, 18, 0, 0, 5]),
        (&[NOVEMBER],      [77, 33, 5, 28, 0,  11, 5,  17, 14, 2, 1,  5, 4],  [1, 1, 20, 0, 0, 5]),
        (&[JANUARY],       [77, 37, 10, 28, 1, 11, 5,  20, 16, 3, 1,  6, 3],  [3, 0, 22, 0, 0, 6]),
        (&REGISTER_MARCH,  [77, 37, 10, 28, 1, 13, 4,  20, 16, 2, 2,  4, 3],  [0, 1, 22, 0, 4, 4]),
        (&[LAST],          AT_THE_END,                                        [1, 0, 23, 0, 4, 4]),
    ];
    for (files, counts, identified) in rows {
        import_all(&server, files);
        assert_eq!(summary(&server, "2021-22"), counts, "after {files:?}");
        assert_eq!(identify(&server), identified, "after {files:?}");
    }
    #[rustfmt::skip]
    let regions = [
        (90001, "West Midlands",                                &[910_045, 910_046, 910_047, 910_048][..]),
        (90002, "East Midlands and the Humber",                 &[910_050, 910_051, 990_003]),
        (90004, "Lancashire and West Yorkshire",                &[910_053]),
        (90005, "North of England",                             &[910_055, 910_061]),
        (90006, "North-West London and South-Central England",  &[910_057, 910_058]),
    ];
    for (uid, region, schools) in regions {
        let offer = offer_of(&server, uid);
        assert_eq!((&offer["recipient_kind"], &offer["region"]), (&"mat".into(), &region.into()), "{uid}");
        let shown = run_ok(&server, &["offers", "show", offer["offer"].as_str().unwrap()]);
        assert_eq!(super::samples::numbers(&shown["schools"], "urn"), schools, "{uid}");
    }
    check_next_year(&server);
    super::samples::verify_ok(&db);
}

/// Checks the summary, the trusts and the offers of 2022-23.
fn check_next_year(server: &Server) {
    let answer = run_ok(server, &["eligibility", "summary", "--programme", "2022-23"]);
    for (pointer, expected) in NEXT_YEAR {
        assert_eq!(answer.pointer(pointer), Some(&expected.into()), "{pointer}: {answer}");
    }
    assert_eq!(
        (&answer["unknown"], &answer["schools"]),
        (&0.into(), &77.into()),
        "no rule of 2022-23 needs an earlier grade: {answer}"
    );
    #[rustfmt::skip]
    let trusts = [
        ("90008", "met"), ("90009", "met"), ("90010", "not_met"), ("90011", "not_met"), ("90012", "not_met"),
        ("90013", "not_met"), ("90001", "not_met"), ("90002", "not_met"), ("90005", "not_met"), ("90006", "not_met"),
    ];
    for (uid, outcome) in trusts {
        let explained = run_ok(server, &["eligibility", "explain", uid, "--trust", "--programme", "2022-23"]);
        assert_eq!(explained["trust"]["uid"].to_string(), uid);
        let rules = explained["trust_rules"].as_array().unwrap();
        let [rule] = rules.as_slice() else { panic!("{uid}: {rules:?}") };
        assert_eq!(rule["rule"], "T1_TRUST_IMPROVEMENT", "{uid}");
        assert_eq!(rule["outcome"], outcome, "{uid}: {rule}");
    }
    let eligible = run_ok(server, &["eligibility", "list", "--programme", "2022-23"]);
    let expected = [910_027, 910_028, 910_043, 910_053, 910_063, 910_066, 910_070];
    assert_eq!(super::samples::numbers(&eligible, "urn"), expected);
    let identified = run_ok(server, &["offers", "identify", "--programme", "2022-23"]);
    assert_eq!(super::samples::identify_counts(&identified), [6, 0, 0, 0, 0, 1], "4 standalone and 2 trusts");
    let offers = run_ok(server, &["offers", "list", "--programme", "2022-23"]);
    let region =
        |uid: i64| offers.as_array().unwrap().iter().find(|it| it["recipient"] == uid).unwrap()["region"].clone();
    assert_eq!(region(90008), "East Midlands and the Humber");
    assert_eq!(region(90009), "East of England and North-East London");
}

/// Returns three orders of the files that do not follow their dates.
fn import_orders() -> [Vec<File>; 3] {
    let shuffled = |seed: u64| {
        let mut files = all_files();
        fastrand::Rng::with_seed(seed).shuffle(&mut files);
        eprintln!("seed {seed}: {files:?}");
        files
    };
    let reversed = all_files().into_iter().rev().collect();
    [reversed, shuffled(20_220_131), shuffled(7)]
}

async fn any_order_ends_the_same(db: Db) {
    for (index, files) in import_orders().into_iter().enumerate() {
        let db = if index == 0 { db.clone() } else { empty_database(&db) };
        let server = Server::start(&db);
        import_all(&server, &files);
        assert_eq!(summary(&server, "2021-22"), AT_THE_END, "{files:?}");
        // All files first, then one identify: 21 standalone offers and 4 of trusts.
        assert_eq!(identify(&server), [25, 0, 0, 0, 0, 4], "{files:?}");
        // The trust's offer is made only now, in the region of most of its four eligible schools.
        assert_eq!(offer_of(&server, 90002)["region"], "South-West England", "{files:?}");
        for (filter, expected) in LISTS {
            let list = run_ok(&server, &["eligibility", "list", "--filter", filter]);
            assert_eq!(super::samples::numbers(&list, "urn"), *expected, "{filter}: {files:?}");
        }
        if index == 0 {
            check_second_import(&server, &files);
        }
    }
}

/// Creates an empty database on the same engine.
fn empty_database(db: &Db) -> Db {
    if db.is_postgres() { Db::postgres() } else { Db::sqlite() }
}

/// Imports the same files again, and checks that this changes nothing.
fn check_second_import(server: &Server, files: &[File]) {
    let before = run_ok(server, &["import", "list"]);
    for file in files {
        let again = import(server, *file);
        assert_eq!((&again["accepted"], &again["unchanged"]), (&0.into(), &again["rows"]), "{file:?}: {again}");
        assert!(before.as_array().unwrap().iter().any(|it| it["import_id"] == again["import_id"]), "{again}");
    }
    assert_eq!(run_ok(server, &["import", "list"]), before);
    assert_eq!(summary(server, "2021-22"), AT_THE_END);
    assert_eq!(identify(server), [0, 0, 25, 0, 0, 4]);
}

/// The schools in each list of the README after all files are imported.
const LISTS: &[(&str, &[i64])] = &[
    ("unknown", &[910_031, 910_032, 990_002]),
    ("unplaced", &[910_060, 910_062, 910_063, 910_064]),
    (
        "E1_RI_IN_YEAR",
        &[910_005, 910_017, 910_019, 910_021, 910_022, 910_025, 910_026, 910_030, 910_041, 910_048, 990_003],
    ),
    (
        "E2_RI_TWICE_ON_ENTRY",
        &[
            910_001, 910_002, 910_003, 910_005, 910_007, 910_008, 910_009, 910_020, 910_024, 910_028, 910_040, 910_042,
            910_044, 910_045, 910_046, 910_047, 910_050, 910_051, 910_053, 910_055, 910_057, 910_058, 910_060, 910_061,
            910_062, 910_063, 910_064, 990_001,
        ],
    ),
];

async fn a_corrected_month_from_the_start(db: Db) {
    let server = Server::start(&db);
    import_all(&server, &REGISTER_AUGUST);
    import_all(&server, &[AUGUST, SEPTEMBER_CORRECTED]);
    assert_eq!(summary(&server, "2021-22"), [76, 32, 4, 28, 0, 10, 5, 17, 14, 2, 1, 5, 3]);
    assert_eq!(identify(&server), [22, 0, 0, 0, 0, 5], "17 standalone and 5 trusts");
    import_all(&server, &[NOVEMBER, JANUARY]);
    assert_eq!(summary(&server, "2021-22"), [77, 37, 10, 28, 1, 11, 5, 20, 16, 3, 1, 6, 3]);
}
