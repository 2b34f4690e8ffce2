//! Generates the pages and diagrams that describe the code, and checks that the stored ones are equal. With
//! `TSIO_WRITE_DOCS=1` the tests write them instead.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "docs/api.rs"]
mod api;
#[path = "docs/schema.rs"]
mod schema;

use std::path::Path;

use tsio::domain::offer::lifecycle::diagram;
use tsio::domain::role::{self, Action};
use tsio::grpc::auth::access;
use tsio::grpc::metadata::KEYS;
use tsio::grpc::reason::{self, Explained};

/// The diagram in the README shows the states of an offer. To write it again: `TSIO_WRITE_DOCS=1 tests/run the_diagram`.
#[test]
fn the_diagram_in_the_readme_is_generated_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once("```mermaid\n").unwrap();
    let (shown, after) = rest.split_once("```").unwrap();
    if std::env::var_os("TSIO_WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{before}```mermaid\n{}```{after}", diagram())).unwrap();
    } else {
        assert_eq!(shown, diagram());
    }
}

/// Returns the page with the reasons of all statuses, each with its meaning and remedy.
fn errors_page() -> String {
    let row = |it: Explained| format!("| `{}` | {} | {} | {} |\n", it.reason, it.code, it.meaning, it.remedy);
    let head = "| reason | status | meaning | what to do |\n|---|---|---|---|\n";
    format!(
        "# Errors and warnings\n\nGenerated from the tables that the program uses, `crates/tsio-domain/src/refusal/reason.rs` and \
         `src/grpc/message/reason.rs`:\n`TSIO_WRITE_DOCS=1 tests/run the_errors_page`.\n\nThe reason is in `google.rpc.ErrorInfo` of the \
         status. Branch on it, not on the text of the message. A retry with the same request id\nis always safe: a change is carried out \
         once.\n\n## Metadata\n\nThe metadata of `google.rpc.ErrorInfo` says which items the error is about. For a refusal it describes the first limit, which \
         the reason is about.\nFor `NOT_FOUND` it has the ids that do not exist, separated by commas: as many whole ids as fit in 256 bytes.\nA single value \
         that is longer is cut, and ends in `…`.\n\n| key | value |\n|---|---|\n{}\n## Refusals\n\nThe scheme does not allow the command. The status has a `Refusal` with every limit that prevents it. Each \
         limit says what would\nremove it: see [the contract](api.md).\n\n{head}{}\n## Other errors, and warnings\n\nA warning comes with an answer: \
         its status is OK.\n\n{head}{}",
        KEYS.iter().map(|(key, value)| format!("| `{key}` | {value} |\n")).collect::<String>(),
        reason::of_scheme().map(row).collect::<String>(),
        reason::of_service().map(row).collect::<String>(),
    )
}

#[test]
fn the_errors_page_is_generated_from_the_reasons() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/errors.md");
    if std::env::var_os("TSIO_WRITE_DOCS").is_some() {
        std::fs::write(path, errors_page()).unwrap();
    } else {
        assert_eq!(std::fs::read_to_string(path).unwrap(), errors_page());
    }
}

/// Returns the page with the rights of each role, and the actions that each method needs.
fn access_page() -> String {
    let actions = |actions: &[Action]| {
        let names: Vec<String> = actions.iter().map(|it| format!("`{}`", it.name())).collect();
        names.join(", ")
    };
    let mut page = String::from(
        "# Who may do what\n\nGenerated from the tables that the program uses, `crates/tsio-domain/src/role.rs` and `src/grpc/auth/access.rs`: \
         `TSIO_WRITE_DOCS=1 tests/run the_access_page`.\n\n\
         ## Roles\n\nA caller may take an action if one of the caller's roles allows it, and only where that role applies: \
         this is the caller's *reach*.\nItems outside the reach do not exist for the caller: the answer is NOT_FOUND. The approver is never the \
         requester, in any role.\n\n\
         | role | where | may |\n|---|---|---|\n",
    );
    for row in role::table() {
        page.push_str(&format!("| {} | {} | {} |\n", row.role, row.reaches.phrase(), actions(row.may)));
    }
    page.push_str(
        "\n## Methods\n\nEach method needs one of the listed actions. Without it the answer is PERMISSION_DENIED, reason `ROLE_MISSING`. \
         Health needs none.\nWithout a token or certificate it is limited in time and number: \
         [connections](configuration.md#connections).\n\n| method | needs |\n|---|---|\n",
    );
    for (method, needed) in access::TABLE {
        page.push_str(&format!("| `{method}` | {} |\n", actions(needed)));
    }
    page.push_str(
        "\n## Tokens whose key is not known\n\nIf a token is signed with a key that its issuer does not publish, the answer is UNAUTHENTICATED, \
         reason `TOKEN_REJECTED`. A token\nwith another key is needed. If the issuer's keys cannot be fetched at the moment, and \
         the key is not known yet, the answer is\nUNAVAILABLE, reason `KEYS_UNAVAILABLE`. The token may be valid, so try again. Known keys \
         stay valid for 24 hours without a\nfetch. After that every token gets this answer.\n",
    );
    page
}

#[test]
fn the_access_page_is_generated_from_the_tables() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/access.md");
    if std::env::var_os("TSIO_WRITE_DOCS").is_some() {
        std::fs::write(path, access_page()).unwrap();
    } else {
        assert_eq!(std::fs::read_to_string(path).unwrap(), access_page());
    }
}

/// The page shows the comment of every part of the contract. A part without a comment fails the test.
#[test]
fn the_api_page_is_generated_from_the_contract() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/api.md");
    if std::env::var_os("TSIO_WRITE_DOCS").is_some() {
        std::fs::write(path, api::page()).unwrap();
    } else {
        assert_eq!(std::fs::read_to_string(path).unwrap(), api::page());
    }
}

/// The page has every table that the migrations create, each with a sentence. A table without a sentence fails the test.
#[tokio::test]
async fn the_schema_page_is_generated_from_a_migrated_database() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/schema.md");
    let page = schema::page().await;
    if std::env::var_os("TSIO_WRITE_DOCS").is_some() {
        std::fs::write(path, page).unwrap();
    } else {
        assert_eq!(std::fs::read_to_string(path).unwrap(), page);
    }
}

/// Each snippet of docs/how-to/client-developer.md is part of an example, which tests/it/clients.rs runs.
#[test]
fn the_snippets_for_clients_are_what_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    // Removes the indentation, because the examples indent a command that is in a comment.
    let without_indentation =
        |text: &str| text.lines().map(|it| format!("{}\n", it.trim_start_matches("    "))).collect::<String>();
    let examples = ["rust/casework.rs", "python/casework.py", "node/casework.js", "buf/curl.sh"];
    let examples = examples.map(|name| without_indentation(&read(&format!("examples/{name}"))));
    let page = read("docs/how-to/client-developer.md");
    let snippets: Vec<&str> = page.split("```").skip(1).step_by(2).map(|it| it.split_once('\n').unwrap().1).collect();
    assert!(snippets.len() > 12, "the page has only {} snippets", snippets.len());
    for snippet in snippets {
        let code = without_indentation(snippet);
        assert!(examples.iter().any(|it| it.contains(&code)), "no example contains this snippet:\n{snippet}");
    }
}
