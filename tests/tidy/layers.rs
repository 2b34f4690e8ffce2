//! Which layers of `src/` may import which. `domain` and `client` are crates of their own, so Cargo checks their imports.
//!
//! Files outside the layers (`main.rs`, `lib.rs`, `config.rs`, `telemetry.rs`) connect the layers and are free.

use crate::source::{Finding, Source};

const LAYERS: [&str; 8] = ["domain", "import", "store", "app", "grpc", "client", "cli", "proto"];

/// What each layer may import besides itself. The longest matching prefix of a path decides.
const MAY_IMPORT: [(&str, &[&str]); 12] = [
    ("src/import", &["domain"]),
    ("src/store", &["domain"]),
    ("src/app", &["domain", "store", "import"]),
    ("src/grpc", &["app", "domain", "proto"]),
    ("src/cli", &["client", "proto"]),
    ("src/cli/terms", &["client", "proto", "domain"]),
    // Amounts are parsed and shown by the same rules as in terms files.
    ("src/cli/amounts", &["client", "proto", "domain"]),
    // The characters to escape are those that the domain refuses in texts.
    ("src/cli/output", &["client", "proto", "domain"]),
    ("src/cli/serve", &["proto", "app", "store", "grpc"]),
    ("src/cli/migrate", &["proto", "app", "store", "grpc"]),
    ("src/cli/verify", &["proto", "app", "store", "grpc"]),
    ("src/cli/demo", &["proto", "app", "store", "grpc"]),
];

/// Finds every path in the code to a layer that this file may not import.
pub(crate) fn check(file: &Source) -> Vec<Finding> {
    let Some((home, allowed)) = home_of(&file.path) else { return Vec::new() };
    let mut named: Vec<(usize, &str)> = ["crate", "tsio"].iter().flat_map(|root| heads(file, root)).collect();
    named.extend(through_super(file));
    named.sort_unstable();
    named
        .into_iter()
        .filter(|(_, layer)| LAYERS.contains(layer) && *layer != home && !allowed.contains(layer))
        .map(|(at, layer)| {
            file.finding(file.line_at(at), format!("{home} must not import {layer}; see the map in src/lib.rs"))
        })
        .collect()
}

fn home_of(path: &str) -> Option<(&'static str, &'static [&'static str])> {
    let lies_in = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/') || rest == ".rs");
    let (place, allowed) =
        MAY_IMPORT.iter().filter(|(place, _)| lies_in(place)).max_by_key(|(place, _)| place.len())?;
    let home = place.split('/').nth(1)?;
    Some((home, allowed))
}

/// The first names after `root::`, braces opened: `crate::{app, store::x}` names `app` and `store`.
pub(crate) fn heads<'a>(file: &'a Source, root: &str) -> Vec<(usize, &'a str)> {
    let path = format!("{root}::");
    file.words(&path).into_iter().flat_map(|at| names_from(file, at + path.len())).collect()
}

/// Finds paths such as `super::super::app` that climb to the root of the crate.
fn through_super(file: &Source) -> Vec<(usize, &str)> {
    const STEP: &str = "super::";
    let depth = depth_of(&file.path);
    let mut found = Vec::new();
    let mut past = 0;
    for at in file.words(STEP) {
        if at < past {
            continue;
        }
        let steps = file.code.as_bytes()[at..].chunks(STEP.len()).take_while(|step| *step == STEP.as_bytes()).count();
        past = at + steps * STEP.len();
        if steps >= depth {
            found.extend(names_from(file, past));
        }
    }
    found
}

/// Counts the `super` from a file's module to the root: 1 for `src/app/mod.rs`, 2 for `src/app/offers.rs`.
fn depth_of(path: &str) -> usize {
    let parts = path.split('/').count().saturating_sub(1);
    if path.ends_with("/mod.rs") { parts.saturating_sub(1) } else { parts }
}

/// Returns the name at an offset, or the first name of each item if a brace opens there.
fn names_from(file: &Source, start: usize) -> Vec<(usize, &str)> {
    if !file.code[start..].starts_with('{') {
        return name_at(file, start).into_iter().collect();
    }
    let mut found = Vec::new();
    let mut depth = 0;
    for (offset, c) in file.code[start..].char_indices() {
        let at = start + offset;
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (c == ',' || offset == 0) {
            found.extend(name_at(file, at + 1));
        }
    }
    found
}

fn name_at(file: &Source, start: usize) -> Option<(usize, &str)> {
    let rest = &file.code[start..];
    let trimmed = rest.trim_start();
    let at = start + rest.len() - trimmed.len();
    let name = trimmed.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (!name.is_empty()).then_some((at, name))
}
