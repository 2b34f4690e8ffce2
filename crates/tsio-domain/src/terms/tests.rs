//! Tests each possible mistake of a terms file, with its line, and the contents of the shipped files.

use super::*;
use crate::money::HalfDays;

fn shipped_terms(name: &str) -> Terms {
    let (file, text) = shipped().iter().find(|(file, _)| *file == name).unwrap();
    Terms::parse(file, text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// The text of the oldest shipped file.
fn shipped_text() -> &'static str {
    shipped().first().unwrap().1
}

/// Replaces `from` by `to` in the shipped text. Returns the new text, and the number of its line that begins with
/// `line_start`.
fn edited_text(from: &str, to: &str, line_start: &str) -> (String, usize) {
    assert!(shipped_text().contains(from), "{from:?} is not in the shipped text");
    let text = shipped_text().replacen(from, to, 1);
    let line =
        text.lines().position(|line| line.starts_with(line_start)).unwrap_or_else(|| panic!("no line {line_start:?}"));
    (text, line + 1)
}

#[test]
fn each_mistake_is_reported_with_its_line_and_reason() {
    #[rustfmt::skip]
    let rows = [
        // replace                                  by                                       at the line                reason
        (r#"programme = "2021-22""#,                r#"programme = "2021""#,                 "programme",               r#"programme: "2021" is not a programme (an academic year, like 2021-22)"#),
        (r#"programme = "2021-22""#,                r#"programme = "2020-21""#,              "year ",                   "the year begins in 2021, but the programme is 2020-21"),
        ("year           = { from = 2021-09-01, to = 2022-08-31 }", "year = { from = 2022-09-01, to = 2021-08-31 }", "year ", "year ends 2021-08-31 before it begins 2022-09-01"),
        ("claims_until   = 2022-12-31",             "claims_until = 2022-08-01",             "claims_until",            "claims_until 2022-08-01 is before the award window ends 2022-08-31"),
        ("contact_until  = 2022-10-31",             "contact_until = 2021-08-31",            "contact_until",           "contact_until 2021-08-31 is before the year begins 2021-09-01"),
        ("contact_until  = 2022-10-31",             "contact_until = 7",                     "contact_until",           "contact_until must be a date (like 2021-09-01)"),
        ("claims_until   = 2022-12-31",             r#"claims_until = "soon""#,              "claims_until",            "claims_until must be a date (like 2021-09-01)"),
        ("claims_until   = 2022-12-31",             "claims_until = 2022-12-31T10:00:00",    "claims_until",            "claims_until must be a date (like 2021-09-01)"),
        (r#"judgement_date = "publication""#,       r#"judgement_date = "post""#,            "judgement_date",          r#"judgement_date: "post" is none of publication, inspection"#),
        (r#"two_people_above = "£50,000""#,         r#"two_people_above = "£50,00""#,        "two_people_above",        r#"two_people_above: "£50,00" is not an amount in pounds (like £4,000 or 4000.50)"#),
        ("name      = \"Trust and school",          "approvals_expire_days = 0\nname = \"Trust and school", "approvals_expire_days", "approvals_expire_days must be a whole number above 0"),
        ("name      = \"Trust and school",          "title = \"Trust and school",            "title",                   "title is not a known key"),
        ("name      = \"Trust and school",          "low_fund_percent = 0\nname = \"Trust and school", "low_fund_percent", "low_fund_percent must be a whole number above 0"),
        ("name      = \"Trust and school",          "low_fund_percent = 101\nname = \"Trust and school", "low_fund_percent", "low_fund_percent must be at most 100, got 101"),
        ("name      = \"Trust and school",          "stage_days = 10\nname = \"Trust and school", "stage_days",        "stage_days must be a table"),
        ("[strands.nle]",                           "[stage_days]\nclaim = -1\n\n[strands.nle]", "claim = -1",         "stage_days.claim must be a whole number above 0"),
        ("[strands.nle]",                           "[stage_days]\nclose = 3661\n\n[strands.nle]", "close = 3661",     "stage_days.close must be at most 3660 days, got 3661"),
        ("[strands.nle]",                           "[stage_days]\nfirst = 10\n\n[strands.nle]", "first = 10",         "stage_days.first is not a known key"),
        ("from    = 2021-09-01",                    "from = 2021-08-01",                     "[rules.E1_RI_IN_YEAR]",   "rule E1_RI_IN_YEAR is in effect 2021-08-01 to 2022-08-31, outside 2021-09-01 to 2022-08-31"),
        ("from = 2022-01-20\nto   = 2022-08-31",    "from = 2022-01-20\nto   = 2022-09-30",  "[rules.E3_EXCEPTIONAL]",  "ground covid_disruption of rule E3_EXCEPTIONAL is in effect 2022-01-20 to 2022-09-30, outside 2021-09-01 to 2022-08-31"),
        ("kind    = \"judged_in_year\"",            "kind = \"judged\"",                     "kind = \"judged\"",       r#"rules.E1_RI_IN_YEAR.kind: "judged" is none of judged_in_year, twice_on_entry, exceptional, trust_improvement"#),
        ("previous = [3, 4]",                       "previous = [3, 9]",                     "previous",                "previous: 9 is not a grade (1 to 4)"),
        ("previous = [3, 4]",                       "previous = []",                         "previous",                "previous names no grade"),
        ("previous = [3, 4]",                       "previous = [3, 3.5]",                   "previous",                "rules.E2_RI_TWICE_ON_ENTRY.previous: each must be a whole number"),
        ("previous = [3, 4]\n",                     "",                                      "[rules.E2_RI",            "rules.E2_RI_TWICE_ON_ENTRY.previous is missing"),
        (r#"day_rate   = "£600""#,                  r#"day_rate = "£600.01""#,               "day_rate",                "day_rate £600.01 is of odd pence: half a day would not cost whole pence"),
        (r#"day_rate   = "£600""#,                  r#"day_rate = "£0""#,                    "day_rate",                "day_rate must be above £0"),
        (r#"day_rate   = "£600""#,                  "day_rate = 600",                        "day_rate",                "strands.nle.day_rate must be a text, not empty"),
        (r#"day_rate   = "£600""#,                  "rate = 0",                              "[strands.nle]",           "strands.nle.day_rate is missing"),
        (r#"needs      = ["partner_mat"]"#,         r#"needs = ["partner"]"#,                "needs = [\"partner\"]",   r#"strands.credit.needs: "partner" is none of partner_mat, beneficial_reason, accredited_provider"#),
        (r#"nle    = "3 days""#,                    r#"nle = "£1,800""#,                     "nle = ",                  r#"recipients.standalone.caps: strand nle counts half-days, but its cap "£1,800" is no number of days"#),
        (r#"nle    = "3 days""#,                    r#"nle = "0 days""#,                     "nle = ",                  r#"recipients.standalone.caps: strand nle has a cap of "0 days", which is not above 0"#),
        (r#"nle    = "3 days""#,                    r#"nle = "2.25 days""#,                  "nle = ",                  r#"recipients.standalone.caps: strand nle has a bad cap: "2.25 days" is not whole or half days (like 2.5 or 3 days)"#),
        (r#"nle    = "3 days""#,                    r#"nle = "no cap""#,                     "nle = ",                  "recipients.standalone.caps: strand nle has no cap and its funds do not bind: nothing would limit it"),
        (r#"credit = "£10,000""#,                   r#"credit = "3 days""#,                  "credit = ",               r#"recipients.standalone.caps: strand credit counts pence, but its cap "3 days" is no sum of money"#),
        (r#"credit = "£10,000""#,                   r#"coaching = "£10,000""#,               "coaching",                "recipients.standalone.caps: strand coaching is not defined"),
        (r#"who   = ["mat"]"#,                      r#"who = ["mat", "mat"]"#,               "who = ",                  "recipients.mat: mat is listed twice"),
        (r#"who   = ["mat"]"#,                      r#"who = ["mat", "maintained"]"#,        "who = ",                  "recipients.mat: maintained is listed twice"),
        (r#"who   = ["maintained", "#,              r#"who = ["mat", "maintained", "#,       "who = [\"mat\", \"main",  "recipients.standalone: an offer cannot be made to mat this way"),
        (r#"    "Teach First","#,                   r#"    "best  practice network","#,      "    \"best",              r#"provider "best  practice network" is named twice"#),
        ("[recipients.mat.caps]",                   "[recipients.mat.limits]",               "[recipients.mat.limits]", "recipients.mat.limits is not a known key"),
    ];
    for (from, to, at, reason) in rows {
        let (text, line) = edited_text(from, to, at);
        let mistakes = Terms::parse("x.toml", &text).expect_err(reason);
        let expected = TermsMistake { file: "x.toml".to_owned(), line, reason: reason.to_owned() };
        assert!(mistakes.contains(&expected), "expected {expected}\n got {mistakes:#?}");
    }
}

#[test]
fn a_stage_has_the_time_of_the_file_or_the_default() {
    let days = |terms: &Terms| Stage::ALL.iter().map(|stage| terms.stage_times().days(*stage)).collect::<Vec<_>>();
    let shipped = shipped_terms("2021-22.toml");
    assert_eq!((days(&shipped), shipped.low_fund_percent()), (vec![10, 10, 28, 42, 30, 30], 10));
    let (text, _) =
        edited_text("[strands.nle]", "[stage_days]\nacceptance = 3660\nfirst_contact = 1\n\n[strands.nle]", "[stage");
    let text = format!("low_fund_percent = 100\n{text}");
    let terms = Terms::parse("x.toml", &text).unwrap();
    assert_eq!((days(&terms), terms.low_fund_percent()), (vec![1, 10, 3_660, 42, 30, 30], 100));
}

#[test]
fn a_rule_must_be_defined_used_and_fit_its_recipient() {
    #[rustfmt::skip]
    let rows = [
        // Each row has the columns of the test above, but changes the terms of 2022.
        (r#"rules = ["E1_RI_IN_YEAR", "E3"#,                  r#"rules = ["E9", "E1_RI_IN_YEAR", "E3"#, "rules = [\"E9\"", "recipients.standalone: rule E9 is not defined"),
        (r#"rules = ["E1_RI_IN_YEAR", "E3"#,                  r#"rules = ["T1_TRUST_IMPROVEMENT", "E3"#, "rules = [\"T1_TRUST_IMPROVEMENT\"", "recipients.standalone: rule T1_TRUST_IMPROVEMENT is one for trusts only"),
        (r#"rules = ["E1_RI_IN_YEAR", "E3_EXCEPTIONAL"]"#,    r#"rules = ["E3_EXCEPTIONAL", "E3_EXCEPTIONAL"]"#, "rules = [\"E3", "recipients.standalone: rule E3_EXCEPTIONAL is listed twice"),
        (r#"rules = ["E1_RI_IN_YEAR", "E3_EXCEPTIONAL"]"#,    r#"rules = ["E3_EXCEPTIONAL"]"#, "[rules.E1_RI_IN_YEAR]", "rule E1_RI_IN_YEAR makes no recipient eligible"),
        (r#"share          = "1/2""#,                         r#"share = "2/1""#, "share", "share must be above 0 and at most 1, like \"1/2\""),
        ("years_in_trust = 3",                                "years_in_trust = 0", "years_in_trust", "rules.T1_TRUST_IMPROVEMENT.years_in_trust must be a whole number above 0"),
    ];
    let text = shipped().iter().find(|(file, _)| *file == "2022-23.toml").unwrap().1;
    for (from, to, at, reason) in rows {
        assert!(text.contains(from), "{from:?}");
        let edited = text.replacen(from, to, 1);
        let line = edited.lines().position(|line| line.starts_with(at)).unwrap() + 1;
        let mistakes = Terms::parse("x.toml", &edited).expect_err(reason);
        let expected = TermsMistake { file: "x.toml".to_owned(), line, reason: reason.to_owned() };
        assert!(mistakes.contains(&expected), "expected {expected}\n got {mistakes:#?}");
    }
}

#[test]
fn all_mistakes_are_reported_together_in_the_order_of_their_lines() {
    let text = shipped_text()
        .replacen("\"publication\"", "\"post\"", 1)
        .replacen("\"£600\"", "\"£600.01\"", 1)
        .replacen("nle   = \"5 days\"", "nle   = \"5 pounds\"", 1)
        .replacen("[accredited_providers]", "extra = 1\n[accredited_providers]", 1);
    let mistakes = Terms::parse("x.toml", &text).expect_err("all four are mistakes");
    let line = |start: &str| text.lines().position(|line| line.starts_with(start)).unwrap() + 1;
    let lines: Vec<usize> = mistakes.iter().map(|mistake| mistake.line).collect();
    // `extra` is below the table of caps, so it is read as a strand there.
    let expected = [line("judgement_date"), line("day_rate"), line("nle   = \"5 pounds"), line("extra")];
    assert_eq!(lines, expected, "{mistakes:#?}");
}

#[test]
fn invisible_characters_written_as_escapes_are_found() {
    for (file, text) in shipped() {
        assert_eq!(Terms::forbidden_characters(file, text), [], "{file}");
    }
    let in_many_lines = "must have no control or invisible characters except line feeds and tabs; got";
    let in_one_line = "must have no control or invisible characters; got";
    let name = "name      = \"Trust";
    #[rustfmt::skip]
    let rows = [
        // replace                                  by                                           at the line        reason
        (name,                                      r#"name = "Offer \u001b[31m\u202e Trust"#,   "name",            format!("name {in_many_lines} U+001B at character 7")),
        (name,                                      r#"name = "Offer\n\tby \U0000200b Trust"#,   "name",            format!("name {in_many_lines} U+200B at character 5 of line 2")),
        (name,                                      r#"name = "Of\rfer Trust"#,                   "name",            format!("name {in_many_lines} U+000D at character 3")),
        (r#"    "Teach First","#,                   r#"    "Teach \u202eFirst","#,                "    \"Teach \\u",     format!("accredited_providers.names {in_many_lines} U+202E at character 7")),
        ("[rules.E1_RI_IN_YEAR]",                   r#"[rules."E1\u0007"]"#,                      "[rules.\"E1",     format!("rules.E1\\u0007 {in_one_line} U+0007 at character 3")),
    ];
    for (from, to, at, reason) in rows {
        let (text, line) = edited_text(from, to, at);
        assert_eq!(
            Terms::forbidden_characters("x.toml", &text),
            [TermsMistake { file: "x.toml".to_owned(), line, reason }],
            "{to}"
        );
    }
    // Line feeds and tabs are allowed in a text, and stored terms are read unchanged.
    let (text, _) = edited_text(name, r#"name = "Offer\n\tTrust"#, "name");
    assert_eq!(Terms::forbidden_characters("x.toml", &text), []);
    let (text, _) = edited_text(name, r#"name = "Offer \u001b Trust"#, "name");
    assert_eq!(Terms::parse("x.toml", &text).map(|it| it.name().starts_with("Offer \u{1b} Trust")), Ok(true));
}

#[test]
fn bad_syntax_is_reported_with_its_lines() {
    let mistakes = Terms::parse("x.toml", "programme = \nname = \"x\"\nyear = = 3\n").expect_err("two mistakes");
    let lines: std::collections::BTreeSet<usize> = mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines.into_iter().collect::<Vec<_>>(), [1, 3], "{mistakes:#?}");
    let empty = Terms::parse("x.toml", "").expect_err("everything is missing");
    assert!(empty.iter().any(|mistake| mistake.line == 1 && mistake.reason == "programme is missing"));
}

#[test]
fn what_can_be_read_is_checked_beside_wrong_syntax() {
    let (text, wrong) = edited_text("\"publication\"", "\"post\"", "judgement_date");
    let text = text.replacen("two_people_above = \"£50,000\"", "two_people_above = = 5", 1);
    let text = text.replacen("name       = \"National leader of governance\"\n", "", 1);
    let syntax = text.lines().position(|line| line.starts_with("two_people_above")).unwrap() + 1;
    let mistakes = Terms::parse("x.toml", &text).expect_err("two mistakes");
    let lines: std::collections::BTreeSet<usize> = mistakes.iter().map(|mistake| mistake.line).collect();
    // The name of the strand is missing too. It is reported once the syntax is right, because the parser may have skipped it.
    assert_eq!(lines, [wrong, syntax].into(), "{mistakes:#?}");
}

#[test]
fn a_brace_that_is_missing_makes_no_key_unknown() {
    let open = "year           = { from = 2021-09-01, to = 2022-08-31 }";
    let (text, _) = edited_text(open, "year           = { from = 2021-09-01, to = 2022-08-31", "year ");
    let mistakes = Terms::parse("x.toml", &text).expect_err("the brace is missing");
    assert!(mistakes.iter().all(|it| !it.reason.contains("known key")), "{mistakes:#?}");
}

#[test]
fn a_strand_that_needs_a_provider_requires_at_least_one() {
    let start = shipped_text().find("names = [").unwrap();
    let text = format!("{}names = []\n", &shipped_text()[..start]);
    assert!(!text.contains("[accredited_providers.also]"));
    let mistakes = Terms::parse("x.toml", &text).expect_err("no provider");
    let reasons: Vec<&str> = mistakes.iter().map(|mistake| mistake.reason.as_str()).collect();
    assert_eq!(reasons, ["strand npqel needs an accredited provider, but none is named"]);
}

#[test]
fn the_terms_of_2021_have_the_caps_of_the_scheme() {
    let terms = shipped_terms("2021-22.toml");
    let strand = |name: &str| StrandId::new(name);
    assert_eq!(terms.programme().as_str(), "2021-22");
    assert_eq!(terms.entry(), date("2021-08-31"));
    #[rustfmt::skip]
    let caps = [
        (RecipientKind::Standalone, "nle",    Some(Cap::HalfDays(HalfDays(6)))),
        (RecipientKind::Standalone, "credit", Some(Cap::Pence(Pence(1_000_000)))),
        (RecipientKind::Standalone, "nlg",    None),
        (RecipientKind::Standalone, "npqel",  None),
        (RecipientKind::Mat,        "nle",    Some(Cap::HalfDays(HalfDays(10)))),
        (RecipientKind::Mat,        "credit", None),
        (RecipientKind::Mat,        "nlg",    Some(Cap::FundsOnly)),
        (RecipientKind::Mat,        "npqel",  Some(Cap::FundsOnly)),
    ];
    for (kind, name, expected) in caps {
        assert_eq!(terms.cap(kind, &strand(name)), expected, "{kind:?} {name}");
    }
    let nle = terms.strand(&strand("nle")).unwrap();
    assert_eq!((nle.unit, nle.funds_bind), (StrandUnit::HalfDays { day_rate: Pence(60_000) }, false));
    assert!(terms.strands().iter().all(|s| s.funds_bind != (s.id.as_str() == "nle")));
    assert_eq!(terms.strand(&strand("credit")).unwrap().needs, [AwardCondition::PartnerMat]);
    assert_eq!(terms.provider(" teach  FIRST "), Some("Teach First"));
    assert_eq!(terms.provider("Acme"), None);
}

/// `domain.md` section 2: "Harris Federation (announced) / School-Led Network (in DfE's register of providers)".
#[test]
fn a_provider_is_found_by_both_names() {
    for (file, _) in shipped() {
        let terms = shipped_terms(file);
        for name in ["Harris Federation", "harris  federation ", "School-Led Network", "SCHOOL-LED NETWORK"] {
            assert_eq!(terms.provider(name), Some("School-Led Network"), "{file}: {name}");
        }
        assert!(!terms.providers().iter().any(|it| it == "Harris Federation"), "{file}");
    }
    let (text, _) = edited_text("= \"School-Led Network\"", "= \" teach  FIRST\"", "programme");
    let terms = Terms::parse("x.toml", &text).unwrap();
    assert_eq!(terms.provider("Harris Federation"), Some("Teach First"), "the spelling of the names must be returned");
}

#[test]
fn another_name_must_belong_to_one_of_the_names() {
    const LINE: &str = "\"Harris Federation\" = \"School-Led Network\"";
    #[rustfmt::skip]
    let rows = [
        (r#""Harris Federation" = "Acme""#,                               r#"accredited_providers.also: "Acme" is none of the names"#),
        (r#""teach first" = "School-Led Network""#,                       r#"provider "teach first" is named twice"#),
        (r#""A" = "UCL Institute of Education"
"B" = "A""#,                                                              r#"accredited_providers.also: "A" is none of the names"#),
        (r#""Harris" = "Teach First"
"harris " = "Teach First""#,                                              r#"provider "harris " is named twice"#),
        (r#"" " = "Teach First""#,                                        "accredited_providers.also: a name must be a text, not empty"),
        (r#""Harris Federation" = 1"#,                                    "accredited_providers.also.Harris Federation must be a text, not empty"),
    ];
    for (to, reason) in rows {
        let (text, _) = edited_text(LINE, to, "programme");
        let at = to.lines().last().unwrap();
        let line = text.lines().position(|line| line.starts_with(at)).unwrap() + 1;
        let mistakes = Terms::parse("x.toml", &text).expect_err(reason);
        assert_eq!(mistakes, [TermsMistake { file: "x.toml".to_owned(), line, reason: reason.to_owned() }]);
    }
}

#[test]
fn covid_became_a_ground_on_20_january_2022() {
    let terms = shipped_terms("2021-22.toml");
    let grounds = |day| {
        let in_effect = terms.grounds().filter(|(_, ground)| ground.in_effect.contains(date(day)));
        in_effect.map(|(_, ground)| ground.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(grounds("2021-08-31"), Vec::<String>::new());
    assert_eq!(grounds("2022-01-19"), ["would_benefit"]);
    assert_eq!(grounds("2022-01-20"), ["would_benefit", "covid_disruption"]);
}

#[test]
fn the_terms_of_2022_need_no_other_code() {
    let terms = shipped_terms("2022-23.toml");
    let nle = StrandId::new("nle");
    for kind in [RecipientKind::Standalone, RecipientKind::Mat] {
        assert_eq!(terms.cap(kind, &nle), Some(Cap::HalfDays(HalfDays(20))), "{kind:?}");
        assert_eq!(terms.cap(kind, &StrandId::new("credit")), None, "{kind:?}");
    }
    let e1 = RuleId::new("E1_RI_IN_YEAR");
    assert!(terms.applies(&e1, RecipientKind::Standalone));
    assert!(!terms.applies(&e1, RecipientKind::Mat));
}

#[test]
fn a_share_is_compared_in_whole_numbers() {
    let half = Share { part: 1, whole: 2 };
    #[rustfmt::skip]
    let rows = [(0, 0, false), (0, 1, false), (1, 2, true), (1, 3, false), (2, 3, true), (2, 4, true)];
    for (count, all, expected) in rows {
        assert_eq!(half.reached(count, all), expected, "{count} of {all}");
    }
}
