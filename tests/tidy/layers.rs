//! Checks that each layer of `src/` imports only the layers that it may import. `domain` and `client` are crates of their own,
//! so Cargo checks their imports.
//!
//! Files outside the layers (`main.rs`, `lib.rs`, `config.rs`, `telemetry.rs`) connect the layers and may import all of them.

use crate::source::{Finding, Source};

const LAYERS: [&str; 8] = ["domain", "import", "store", "app", "grpc", "client", "cli", "proto"];

/// The layers that each path may import besides its own layer. The longest matching prefix of a file's path applies.
const MAY_IMPORT: [(&str, &[&str]); 13] = [
    ("src/import", &["domain"]),
    ("src/store", &["domain"]),
    ("src/app", &["domain", "store", "import"]),
    ("src/grpc", &["app", "domain", "proto"]),
    ("src/cli", &["client", "proto"]),
    ("src/cli/terms", &["client", "proto", "domain"]),
    // The command line parses and shows amounts by the rules of terms files.
    ("src/cli/amounts", &["client", "proto", "domain"]),
    // The command line escapes the characters that the domain refuses in texts.
    ("src/cli/output", &["client", "proto", "domain"]),
    ("src/cli/dates", &["client", "proto", "app"]),
    ("src/cli/serve", &["proto", "app", "store", "grpc"]),
    ("src/cli/migrate", &["proto", "app", "store", "grpc"]),
    ("src/cli/verify", &["proto", "app", "store", "grpc"]),
    ("src/cli/demo", &["proto", "app", "store", "grpc"]),
];

/// Finds every path in the code to a layer that this file must not import.
pub(crate) fn check(file: &Source) -> Vec<Finding> {
    let Some((home, allowed)) = home_of(&file.path) else { return Vec::new() };
    let mut imports: Vec<(usize, &str)> = ["crate", "tsio"].iter().flat_map(|root| heads(file, root)).collect();
    imports.extend(through_super(file));
    imports.sort_unstable();
    imports
        .into_iter()
        .filter(|(_, layer)| LAYERS.contains(layer) && *layer != home && !allowed.contains(layer))
        .map(|(offset, layer)| {
            file.finding(file.line_at(offset), format!("{home} must not import {layer}; see the map in src/lib.rs"))
        })
        .collect()
}

/// Returns the layer of a file and the layers that it may import. Returns `None` for a file outside the layers.
fn home_of(path: &str) -> Option<(&'static str, &'static [&'static str])> {
    let contains = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/') || rest == ".rs");
    let (prefix, allowed) =
        MAY_IMPORT.iter().filter(|(prefix, _)| contains(prefix)).max_by_key(|(prefix, _)| prefix.len())?;
    let home = prefix.split('/').nth(1)?;
    Some((home, allowed))
}

/// Returns the first name of each path after `root::`, with its offset. For `crate::{app, store::x}` these are `app` and
/// `store`.
pub(crate) fn heads<'a>(file: &'a Source, root: &str) -> Vec<(usize, &'a str)> {
    let path = format!("{root}::");
    file.words(&path).into_iter().flat_map(|offset| names_from(file, offset + path.len())).collect()
}

/// Finds paths that reach the root of the crate by `super`, such as `super::super::app`. Returns the first name after it, with
/// its offset.
fn through_super(file: &Source) -> Vec<(usize, &str)> {
    const STEP: &str = "super::";
    let depth = depth_of(&file.path);
    let mut found = Vec::new();
    let mut path_end = 0;
    for offset in file.words(STEP) {
        // This `super` belongs to the path before.
        if offset < path_end {
            continue;
        }
        let steps =
            file.code.as_bytes()[offset..].chunks(STEP.len()).take_while(|step| *step == STEP.as_bytes()).count();
        path_end = offset + steps * STEP.len();
        if steps >= depth {
            found.extend(names_from(file, path_end));
        }
    }
    found
}

/// Returns how many `super` lead from a file's module to the root: 1 for `src/app/mod.rs`, 2 for `src/app/offers.rs`.
fn depth_of(path: &str) -> usize {
    let parts = path.split('/').count().saturating_sub(1);
    if path.ends_with("/mod.rs") { parts.saturating_sub(1) } else { parts }
}

/// Returns the name at this offset, or the first name of each item if a brace opens there. Each name has its offset.
fn names_from(file: &Source, start: usize) -> Vec<(usize, &str)> {
    if !file.code[start..].starts_with('{') {
        return name_at(file, start).into_iter().collect();
    }
    let mut found = Vec::new();
    let mut depth = 0;
    for (index, c) in file.code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (c == ',' || index == 0) {
            found.extend(name_at(file, start + index + 1));
        }
    }
    found
}

/// Returns the first name after an offset and white space, with its own offset.
fn name_at(file: &Source, start: usize) -> Option<(usize, &str)> {
    let rest = &file.code[start..];
    let trimmed = rest.trim_start();
    let offset = start + rest.len() - trimmed.len();
    let name = trimmed.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (!name.is_empty()).then_some((offset, name))
}
