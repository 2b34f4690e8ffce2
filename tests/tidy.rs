//! Rules about the source, as tests.
//!
//! The checkers are plain functions over a path and a text, so each is shown here to be able to fail before the
//! source is checked with it. Nothing in here knows what the program does.

#![expect(clippy::unwrap_used, reason = "a test ends when a file or cargo cannot be read")]

#[path = "tidy/bans.rs"]
mod bans;
#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/matches.rs"]
mod matches;
#[path = "tidy/packages.rs"]
mod packages;
#[path = "tidy/reasons.rs"]
mod reasons;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

use source::{Finding, Source};

type Rule = fn(&Source) -> Vec<Finding>;
/// A file name and its text.
type Page<'a> = (&'a str, &'a str);

#[test]
fn the_walk_sees_every_file() {
    let paths: Vec<String> = source::rust().into_iter().map(|s| s.path).collect();
    for wanted in [
        "src/lib.rs",
        "crates/tsio-client/src/lib.rs",
        "crates/tsio-domain/src/lib.rs",
        "crates/tsio-test-support/src/lib.rs",
        "migrations/src/lib.rs",
        "tests/tidy.rs",
        "tests/tidy/bans.rs",
    ] {
        assert!(paths.iter().any(|p| p == wanted), "{wanted} is not among the files checked: {paths:#?}");
    }
}

#[test]
fn layers_import_only_what_they_may() {
    hold_each(&source::rust(), layers::check);
}

#[test]
fn imports_form_no_circle() {
    let found = circles::check(&source::rust());
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn matches_over_events_and_permissions_have_no_default() {
    hold_each(&source::rust(), matches::check);
}

#[test]
fn files_are_short_and_say_why_they_exist() {
    hold_each(&source::rust(), bans::shape);
}

#[test]
fn banned_words_are_absent() {
    hold_each(&source::rust(), bans::check);
}

#[test]
fn reasons_are_named_by_their_enums() {
    let files = source::rust();
    let all = reasons::all(&files);
    assert!(all.len() > 90 && all.contains_key("STATE_NOT_ALLOWED") && all.contains_key("INTERNAL"), "{all:#?}");
    hold_each(&files, |it| reasons::literals(it, &all));
    assert_eq!(reasons::unused(&files, &all), [""; 0], "rows of reasons that nothing gives");
}

#[test]
fn methods_are_not_named_in_literals() {
    hold_each(&source::rust(), bans::method_names);
}

#[test]
fn use_cases_make_no_store_errors() {
    hold_each(&source::rust(), bans::store_errors_made);
}

#[test]
fn each_reason_has_a_test_that_provokes_it() {
    let files = source::rust();
    assert_eq!(reasons::untested(&files, &reasons::all(&files)), [""; 0], "no test in tests/it names these");
}

#[test]
fn retired_words_are_absent() {
    hold_each(&source::rust(), words::check);
    hold_each(&source::markdown(), words::check);
    hold_each(&source::proto(), words::check);
}

#[test]
fn decisions_are_numbered_complete_and_indexed() {
    hold(docs::adrs(&source::markdown()));
}

#[test]
fn links_between_pages_lead_somewhere() {
    hold_each(&source::markdown(), |page| docs::links(page, &|path| source::exists(path)));
}

#[test]
fn a_client_compiles_nothing_of_a_server() {
    let tree = packages::tree("tsio-client");
    assert!(tree.lines().any(|line| line.starts_with("tonic v")), "{tree}");
    assert_eq!(packages::of_a_server(&tree), [] as [&str; 0]);
}

/// Cargo would allow the circle, since the tests of `tsio` depend on it.
#[test]
fn what_tests_share_does_not_know_the_program() {
    let tree = packages::tree("tsio-test-support");
    assert!(tree.lines().any(|line| line.starts_with("tsio-client v")), "{tree}");
    let program: Vec<&str> =
        tree.lines().filter(|it| ["tsio v", "tsio-domain v"].iter().any(|name| it.starts_with(name))).collect();
    assert_eq!(program, [] as [&str; 0]);
}

/// So that what is looked up of the lock file of the workspace, vulnerabilities for one, holds for the example too.
#[test]
fn the_example_locks_what_the_workspace_locks() {
    let of = |path: &str| packages::locked(&source::text(path));
    let (workspace, example) = (of("Cargo.lock"), of("examples/rust/Cargo.lock"));
    assert!(example.iter().any(|it| it.starts_with("tonic ")), "{example:#?}");
    let other: Vec<&String> = example.difference(&workspace).filter(|it| !it.starts_with("casework ")).collect();
    assert!(
        other.is_empty(),
        "{other:#?}: cargo update --manifest-path examples/rust/Cargo.toml PACKAGE --precise VERSION"
    );
}

#[test]
fn the_pages_a_newcomer_needs_exist() {
    hold(docs::pages(&|path| source::exists(path)));
}

fn hold_each(files: &[Source], rule: impl Fn(&Source) -> Vec<Finding>) {
    hold(files.iter().flat_map(rule).collect());
}

fn hold(findings: Vec<Finding>) {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// One row a rule: the file, its text, and the lines that must be found (none: it must pass).
fn table(rule: Rule, rows: &[(&str, &str, &[usize])]) {
    for (path, text, expected) in rows {
        let found: Vec<usize> = rule(&Source::new(path, text)).iter().map(|f| f.line).collect();
        assert_eq!(&found, expected, "{path}: {text}");
    }
}

#[test]
fn the_import_rule_can_fail() {
    #[rustfmt::skip]
    table(layers::check, &[
        ("src/import/money.rs",     "use super::ids::Urn;\nuse crate::domain::Date;",          &[]),
        ("src/import/money.rs",     "\nuse crate::store::funds;",                              &[2]),
        ("src/import/money.rs",     "use super::super::app::writer;",                          &[1]),
        ("src/import/a/b.rs",       "use super::app::x;\nuse super::super::super::app::x;",    &[2]),
        ("src/import/gias.rs",      "use crate::domain::ids::Urn;",                            &[]),
        ("src/import/gias.rs",      "fn f() { crate::app::run() }",                            &[1]),
        ("src/store/funds.rs",      "use crate::{\n    domain::Date,\n    app::{writer},\n};", &[3]),
        ("src/store/mod.rs",        "use super::domain::Date;",                                &[]),
        ("src/store/mod.rs",        "use super::grpc::status;",                                &[1]),
        ("src/app/offers.rs",       "use crate::{domain, import, store};",                     &[]),
        ("src/app/offers.rs",       "use super::import::run;",                                 &[]),
        ("src/app/offers.rs",       "use crate::proto::Offer;",                                &[1]),
        ("src/grpc/service/offers/mod.rs",      "use crate::{app, domain, proto};",                        &[]),
        ("src/grpc/service/offers/mod.rs",      "use crate::store::offers;",                               &[1]),
        ("src/grpc/service/offers/mod.rs",      "use tsio::store::offers;",                                &[1]),
        ("src/cli/offers.rs",       "use crate::proto::v1;",                                   &[]),
        ("src/cli/offers.rs",       "use crate::app::offers;",                                 &[1]),
        ("src/cli/output.rs",          "use crate::domain::text::shown;",                         &[]),
        ("src/cli/names.rs",        "use crate::domain::text::shown;",                         &[1]),
        ("src/cli/serve.rs",        "use crate::{app, grpc, store};",                          &[]),
        ("src/cli/demo/story.rs",   "use crate::app::offers;",                                 &[]),
        ("src/main.rs",             "use tsio::{app, cli, store};",                            &[]),
        ("src/import/money.rs",     "//! not crate::app\nconst A: &str = \"crate::app\";",     &[]),
    ]);
}

#[test]
fn the_circle_rule_can_fail() {
    let circle = |files: &[(&str, &str)]| {
        let files: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        circles::check(&files).len()
    };
    let (root, a) = (("src/lib.rs", "mod a;\nmod b;\nmod c;"), ("src/a.rs", "use crate::b::B;"));
    assert_eq!(circle(&[root, a, ("src/b.rs", "pub struct B;")]), 0);
    assert_eq!(circle(&[root, a, ("src/b.rs", "use super::a::A;")]), 2, "two import each other");
    assert_eq!(circle(&[root, a, ("src/b.rs", "fn f() { crate::a::g() }")]), 2, "a path in code is an import");
    let (b, c) = (("src/b.rs", "use crate::c::{self, C};"), ("src/c.rs", "use crate::a::A;"));
    assert_eq!(circle(&[root, a, b, c]), 3, "through a third");
    let (parent, child) = (("src/b.rs", "mod d;\npub use d::D;"), ("src/b/d.rs", "use super::B;"));
    assert_eq!(circle(&[root, a, parent, child]), 0, "a parent and its child may");
    let (exported, elsewhere) = (("src/b.rs", "pub use crate::c::B;"), ("src/c.rs", "use crate::a::A;"));
    assert_eq!(circle(&[root, a, exported, elsewhere]), 2, "a public import is followed to where the item is defined");
    let (private, below) = (("src/b.rs", "mod d;\nuse crate::c::C;"), ("src/b/d.rs", "use super::C;"));
    let back = ("src/c.rs", "use crate::b::d::D;\nstruct C;");
    assert_eq!(circle(&[root, private, below, back]), 2, "so is a private one that a child takes from its parent");
    let through = ("src/b.rs", "use crate::a;\nfn f() { a::g() }");
    assert_eq!(circle(&[root, a, through]), 2, "a path that begins with an import");
    let in_macro = ("src/b.rs", "fn f() { println!(\"{}\", crate::a::g()) }");
    assert_eq!(circle(&[root, a, in_macro]), 2, "a path in a macro");
    let inline = ("src/b.rs", "mod e {\n    use super::super::a::A;\n}");
    assert_eq!(circle(&[root, a, inline]), 2, "in a module inside the file");
    let tests = ("src/b.rs", "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}");
    assert_eq!(circle(&[root, a, tests]), 0, "tests may import what they like");
}

#[test]
fn the_rule_of_default_arms_can_fail() {
    let arms = |arms: &str| format!("fn f() {{\n    match it {{\n{arms}\n    }}\n}}");
    let of_impl =
        |name: &str| format!("impl {name} {{\n    fn f(self) {{ match self {{ Self::A => 1,\n _ => 2 }} }}\n}}");
    let domain = "crates/tsio-domain/src/a.rs";
    let decide = "crates/tsio-domain/src/programme/decide/mod.rs";
    #[rustfmt::skip]
    let rows: &[(&str, &str, &[usize])] = &[
        (domain,          &arms("EventBody::A { .. } => 1,\nEventBody::B => 2,"),                &[]),
        (domain,          &arms("EventBody::A { .. } => 1,\n_ => 2,"),                           &[4]),
        (domain,          &arms("EventBody::A { .. } => 1,\nother => g(other),"),                &[4]),
        (domain,          &arms("EventBody::A | EventBody::B => 1,\nother if g(other) => 2,"),   &[]),
        (domain,          &arms("EventBody::A { .. } => 1,\nevents_about!(offer) => 2,"),        &[]),
        (domain,          &arms("events_about!(offer) => 2,\n_ => 1,"),                          &[4]),
        (domain,          &arms("(EventBody::A, EventBody::A) => 1,\n_ => 2,"),                  &[4]),
        (domain,          &arms("(EventBody::A, 1) => 1,\n(_, None) => 2,"),                     &[4]),
        (domain,          &arms("(EventBody::A, _) => 1,\n(EventBody::B, _) => 2,"),             &[]),
        (domain,          &arms("Some(EventBody::A) => 1,\nNone => 2,"),                         &[]),
        (domain,          &arms("Some(EventBody::A) => 1,\nSome(_) | None => 2,"),               &[4]),
        (domain,          &arms("Ok(EventBody::A) => 1,\nErr(why) => 2,"),                       &[]),
        (domain,          &arms("RegisterBody::A { .. } => 1,\n_ => 2,"),                        &[4]),
        (domain,          &arms("Action::Read => 1,\n_ => 2,"),                                  &[4]),
        (domain,          &arms("Other::A { .. } => 1,\n_ => 2,"),                               &[]),
        (domain,          &of_impl("EventBody"),                                                 &[3]),
        (domain,          &of_impl("Other"),                                                     &[]),
        (domain,          "#[cfg(test)]\nmod tests { fn f() { match it { EventBody::A => 1, _ => 2 } } }", &[]),
        ("src/app/a.rs",  &arms("body::EventBody::A => 1,\n_ => 2,"),                            &[4]),
        (decide,          &arms("Command::A { .. } => 1,\n_ => 2,"),                             &[4]),
        ("src/cli/a.rs",  &arms("Command::A { .. } => 1,\n_ => 2,"),                             &[]),
        ("tests/it/a.rs", &arms("EventBody::A => 1,\n_ => 2,"),                                  &[]),
    ];
    table(matches::check, rows);
}

#[test]
fn the_rule_of_retired_words_can_fail() {
    table(
        words::check,
        &[
            ("src/a.rs", "//! Said once.\n//! Whoever calls.", &[2]),
            ("src/a.rs", "let torn = 1;", &[1]),
            ("src/a.rs", "let torn_off = 1; // pending, floor, planes", &[1]),
            ("src/a.rs", "fn whoever_asked() {}\nfn what_rests_on_it() {}\nlet outdoor = 1;", &[1, 2]),
            ("src/a.rs", "PRAGMA foreign_keys", &[]),
            ("docs/a.md", "`torn_off`", &[]),
            ("src/a.rs", "\"20 awards are wanted\"", &[1]),
            ("docs/a.md", "It rests on the book, decided anew.", &[1, 1, 1]),
            ("docs/a.md", "No foreign keys. A foreign index.", &[1]),
            ("docs/a.md", "`tsio book v1`, Millrace Lane", &[]),
            ("proto/a.proto", "// As the database has it.", &[1]),
            ("CHANGELOG.md", "whoever", &[]),
        ],
    );
}

#[test]
fn the_shape_rule_can_fail() {
    let long = format!("//! why\n{}", "fn f() {}\n".repeat(500));
    let longest = format!("//! why\n{}", "fn f() {}\n".repeat(499));
    table(
        bans::shape,
        &[
            ("src/a.rs", "//! why\n", &[]),
            ("src/a.rs", "use std::fmt;\n", &[1]),
            ("src/a.rs", &longest, &[]),
            ("src/a.rs", &long, &[501]),
        ],
    );
}

#[test]
fn the_bans_can_fail() {
    #[rustfmt::skip]
    table(bans::check, &[
        ("src/app/a.rs",       "fn f() { todo!() }",                       &[1]),
        ("src/app/a.rs",       "use tsio_domain::ids::Urn;",               &[1]),
        ("src/cli/a.rs",       "use tsio_client::Client;",                 &[1]),
        ("src/lib.rs",         "pub use tsio_domain as domain;",           &[]),
        ("benches/a.rs",       "fn f() {\n    unimplemented!()\n}",        &[2]),
        ("migrations/a.rs",    "dbg!(1);",                                 &[1]),
        ("src/app/a.rs",       "// todo!\n/* dbg!(1) */ let a = \"todo!\";", &[]),
        ("src/app/a.rs",       "let a = r#\"a \" dbg!(\"#; dbg!(a);",      &[1]),
        ("src/app/a.rs",       "let q = '\"'; dbg!(q);",                   &[1]),
        ("src/app/a.rs",       "#[allow(dead_code)]",                      &[1]),
        ("src/app/a.rs",       "#![allow(dead_code)]",                     &[1]),
        ("src/app/a.rs",       "#[expect(dead_code, reason = \"x\")]",     &[]),
        ("tests/it/a.rs",      "#[ignore = \"slow\"]",                     &[1]),
        ("tests/it/a.rs",      "tokio::time::sleep(d).await;",             &[1]),
        ("crates/tsio-test-support/src/a.rs", "tokio::time::sleep(d).await;", &[1]),
        ("src/app/a.rs",       "std::thread::sleep(d);",                   &[1]),
        ("crates/tsio-domain/src/a.rs",    "fn f(a: f64) {}",                          &[1]),
        ("src/store/a.rs",     "let a = 1 as f32;",                        &[1]),
        ("src/cli/a.rs",       "let done = 1 as f64;",                     &[]),
        ("src/app/a.rs",       "use sea_orm::Value;",                      &[1]),
        ("src/store/a.rs",     "use sea_orm::Value;",                      &[]),
        ("src/store/a.rs",     "row.try_get_by_index::<i64>(16)?;",        &[1]),
        ("src/store/a/b.rs",   "let a = 1;\nlet b = row.try_get_by(2)?;",  &[2]),
        ("src/store/a.rs",     "row.try_get::<i64>(\"\", \"seq\")?;",      &[]),
        ("src/store/db/a.rs",  "row.try_get_by_index(place)?;",            &[]),
        ("src/app/a.rs",       "use tonic::Status;\nuse prost_types::Any;", &[1, 2]),
        ("src/grpc/a.rs",      "use tonic::Status;",                       &[]),
        ("src/grpc/service/a.rs", "use crate::app::{App, authorise};\nauthorise(&caller)?;", &[1, 2]),
        ("src/app/a.rs",       "authorise(caller, Action::Read)?;",        &[]),
        ("src/cli/a.rs",       "std::env::var(\"A\").ok();\nenv::var_os(b);", &[1, 2]),
        ("src/cli/a.rs",       "#[arg(long, env = \"TSIO_CA\")]",           &[]),
        ("src/config/environment.rs", "std::env::var(\"A\").ok();",         &[]),
        ("src/grpc/message/a.rs", "tracing::error!(what);",                 &[1]),
        ("src/grpc/service/a.rs", "tracing::error!(what);",                 &[]),
        ("src/grpc/message/a.rs", "use tracing::Span;",                     &[]),
        ("src/proto.rs",       "tonic::include_proto!(\"tsio.v1\");",      &[]),
        ("src/cli/a.rs",       "use std::io::stdout;\nio::stderr().lock();", &[1, 2]),
        ("src/cli/output.rs",     "io::stderr().lock();",                     &[]),
        ("tests/it/a.rs",      "printed.stdout",                           &[]),
        ("crates/tsio-test-support/src/a.rs", "command.stdout(Stdio::piped());", &[]),
        ("src/cli/funds.rs",   "let a = csv::Writer::from_writer(b);",     &[1]),
        ("src/app/a.rs",       "csv::WriterBuilder::new();",               &[1]),
        ("src/cli/csv.rs",     "::csv::Writer::from_writer(b);",           &[]),
        ("src/cli/funds.rs",   "use prost_reflect::DynamicMessage;",       &[1]),
        ("src/cli/json.rs",    "use prost_reflect::DynamicMessage;",       &[]),
        ("crates/tsio-domain/src/a.rs",    "async fn f() {}",                          &[1]),
        ("crates/tsio-domain/src/a.rs",    "use std::time::SystemTime;",               &[1]),
        ("src/import/a.rs",    "use tokio::sync::mpsc;",                   &[1]),
        ("src/import/a.rs",    "use std::fs::File;",                       &[1]),
        ("src/import/a.rs",    "use std::{\n    fmt,\n    net,\n};",       &[3]),
        ("crates/tsio-domain/src/a.rs",    "let a = chrono::Utc::now();",              &[1]),
        ("crates/tsio-domain/src/a.rs",    "let asynchronous = my_tokio;",             &[]),
        ("src/app/a.rs",       "use std::fs::File;\nasync fn f() {}",      &[]),
    ]);
}

#[test]
fn the_reason_rules_can_fail() {
    const TABLE: &str =
        "service_reasons! {\n    NotFound = \"NOT_FOUND\", NotFound,\n        \"Not there.\", \"Look.\";\n}\n";
    let table = || Source::new("src/grpc/message/reason.rs", TABLE);
    let all = reasons::all(&[table()]);
    assert_eq!(all.iter().collect::<Vec<_>>(), [(&"NOT_FOUND".to_owned(), &"ServiceReason::NotFound".to_owned())]);
    let lines = |path: &str, text: &str| -> Vec<usize> {
        reasons::literals(&Source::new(path, text), &all).iter().map(|it| it.line).collect()
    };
    let none: Vec<usize> = Vec::new();
    let given = "fn f() {\n    g(\"NOT_FOUND\")\n}";
    assert_eq!(lines("src/grpc/auth.rs", given), [2]);
    assert_eq!(lines("crates/tsio-domain/src/a.rs", given), [2]);
    assert_eq!(lines("src/app/error.rs", given), [2]);
    assert_eq!(lines("src/grpc/message/reason.rs", given), none, "the table itself");
    assert_eq!(lines("src/cli/retry.rs", given), none, "a client");
    assert_eq!(lines("src/grpc/auth/tests.rs", given), none, "a test");
    assert_eq!(lines("src/grpc/auth.rs", &format!("#[cfg(test)]\nmod tests {{\n{given}\n}}")), none, "tests of a file");
    assert_eq!(lines("src/grpc/auth.rs", "g(\"NOT_FOUND_AT_ALL\"); // `NOT_FOUND`"), none);

    let unused = |path: &str, text: &str| reasons::unused(&[table(), Source::new(path, text)], &all);
    assert!(unused("src/grpc/auth.rs", "g(ServiceReason::NotFound)").is_empty());
    assert_eq!(unused("src/grpc/auth.rs", "// ServiceReason::NotFound\ng(ServiceReason::NotFoundYet)"), ["NOT_FOUND"]);
    assert_eq!(unused("src/app/error.rs", "g(ServiceReason::NotFound)"), ["NOT_FOUND"], "no place for it");

    let untested = |path: &str, text: &str| reasons::untested(&[table(), Source::new(path, text)], &all);
    assert!(untested("tests/it/a.rs", "assert_eq!(reason, \"NOT_FOUND\")").is_empty());
    assert_eq!(untested("tests/it/a.rs", "assert_eq!(reason, \"FOUND\") // `NOT_FOUND`"), ["NOT_FOUND"]);
    assert_eq!(untested("tests/it/model/mod.rs", "\"NOT_FOUND\""), ["NOT_FOUND"], "a list provokes nothing");
    assert_eq!(untested("src/grpc/a.rs", "\"NOT_FOUND\""), ["NOT_FOUND"], "nor does the program");
}

#[test]
fn the_rule_of_method_names_can_fail() {
    let tested = "fn f() {}\n#[cfg(test)]\nmod tests {\n    const A: &str = \"OfferService/NoteOffer\";\n}";
    #[rustfmt::skip]
    table(bans::method_names, &[
        ("src/grpc/service/a.rs",       "unary(request)",                                       &[]),
        ("src/grpc/service/a.rs",       "unary(\"OfferService/NoteOffer\", request)",           &[1]),
        ("src/grpc/service/a.rs",       "\n    \"/tsio.v1.OfferService/NoteOffer\"",            &[2]),
        ("src/grpc/service/a.rs",       "/// `OfferService/NoteOffer`\nfn f() {}",              &[]),
        ("src/grpc/service/a.rs",       tested,                                                 &[]),
        ("src/grpc/service/a/tests.rs", "\"OfferService/NoteOffer\"",                           &[]),
        ("src/grpc/auth/access.rs",     "\"OfferService/NoteOffer\"",                           &[]),
        ("src/app/imports/withdraw.rs", "const A: &str = \"OfferService/NoteOffer\";",          &[1]),
    ]);
}

#[test]
fn the_rule_of_store_errors_can_fail() {
    #[rustfmt::skip]
    table(bans::store_errors_made, &[
        ("src/app/a.rs",       "return Err(StoreError::Full(f(x)));",              &[1]),
        ("src/app/a.rs",       "x.map_err(StoreError::Unreadable)",                &[1]),
        ("src/app/a.rs",       "Some(it) => StoreError::Full(x),\n_ => StoreError::Full(y)", &[1, 2]),
        ("src/app/a.rs",       "Err(StoreError::Full(why)) => 1,",                 &[]),
        ("src/app/a.rs",       "StoreError::Full(_)\n| StoreError::Outdated(_) => 1,", &[]),
        ("src/app/a.rs",       "StoreError::Full(it) if it.is_empty() => 1,",      &[]),
        ("src/app/a.rs",       "let StoreError::Full(it) = error else { return };", &[]),
        ("src/app/a.rs",       "StoreError::no_answer()",                          &[]),
        ("src/app/a.rs",       "#[cfg(test)]\nmod tests {\nStoreError::Full(x);", &[]),
        ("src/app/x/tests.rs", "StoreError::Full(x);",                             &[]),
        ("src/store/a.rs",     "StoreError::Full(x);",                             &[]),
    ]);
}

#[test]
fn the_rule_of_packages_can_fail() {
    let program = packages::tree("tsio");
    let found = packages::of_a_server(&program);
    for package in ["axum ", "migrations ", "sea-orm ", "sqlx ", "tonic ", "tsio ", "tsio-domain "] {
        assert!(found.iter().any(|line| line.starts_with(package)), "{package}: {found:#?}");
    }
}

#[test]
fn the_rule_of_locks_can_fail() {
    let locked = |version: &str| {
        packages::locked(&format!(
            "[[package]]\nname = \"http\"\nversion = \"{version}\"\ndependencies = [\n \"bytes\",\n]\n"
        ))
    };
    assert_eq!(locked("1.4.0").into_iter().collect::<Vec<_>>(), ["http 1.4.0"]);
    assert_eq!(locked("1.5.0").difference(&locked("1.4.0")).count(), 1);
}

#[test]
fn the_adr_rule_can_fail() {
    const WHOLE: &str = "# 1\n## Status\n## Context\n## Decision\n## Consequences\n";
    let cut = WHOLE.replace("## Context\n", "");
    #[rustfmt::skip]
    let rows: &[(&str, &str, &[Page<'_>], usize)] = &[
        ("whole",            "[1](0001-a.md)",      &[("0001-a.md", WHOLE)],                       0),
        ("a gap",            "0001-a.md 0003-c.md", &[("0001-a.md", WHOLE), ("0003-c.md", WHOLE)], 1),
        ("one number twice", "0001-a.md 0001-b.md", &[("0001-a.md", WHOLE), ("0001-b.md", WHOLE)], 1),
        ("not indexed",      "",                    &[("0001-a.md", WHOLE)],                       1),
        ("no number",        "a-b.md",              &[("a-b.md",    WHOLE)],                       1),
        ("capitals",         "0001-A.md",           &[("0001-A.md", WHOLE)],                       1),
        ("no context",       "0001-a.md",           &[("0001-a.md", &cut)],                        1),
    ];
    for (name, index, decisions, expected) in rows {
        let page = |(file, text): &Page<'_>| Source::new(&format!("docs/adr/{file}"), text);
        let found = docs::adrs(&[&[("README.md", *index)], *decisions].concat().iter().map(page).collect::<Vec<_>>());
        assert_eq!(found.len(), *expected, "{name}: {found:?}");
    }
}

#[test]
fn the_link_rule_can_fail() {
    let exists = |path: &str| ["README.md", "docs/a.md", "docs/adr"].contains(&path);
    let lines = |text| docs::links(&Source::new("docs/b.md", text), &exists).iter().map(|f| f.line).collect::<Vec<_>>();
    let none: Vec<usize> = vec![];
    assert_eq!(lines("[a](a.md) [r](../README.md#top) [d](adr/) [h](https://x.example/y) [s](#here)"), none);
    assert_eq!(lines("x\n[a](gone.md) and [b](a.md)"), [2]);
    assert_eq!(lines("[a]: ../docs/gone.md"), [1]);
    assert_eq!(lines("[a](../../a.md)"), [1]);
    assert_eq!(lines("`[a](gone.md)`\n```\n[a](gone.md)\n```\n[a](gone.md)"), [5]);
}

#[test]
fn the_page_rule_can_fail() {
    assert_eq!(docs::pages(&|_| true), []);
    let found = docs::pages(&|path| path != "CHANGELOG.md");
    assert_eq!(found.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(), ["CHANGELOG.md"]);
}
