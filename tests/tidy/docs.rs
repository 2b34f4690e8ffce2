//! Rules for pages: required pages exist, decision records are numbered and complete, and links lead to existing files.

use crate::source::{Finding, Source};

const ADR: &str = "docs/adr/";
const ADR_INDEX: &str = "docs/adr/README.md";
const ADR_PARTS: [&str; 4] = ["## Status", "## Context", "## Decision", "## Consequences"];
const PAGES: [&str; 5] = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md", ADR_INDEX];

/// Checks that every required page exists.
pub(crate) fn pages(exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let missing = |page: &&str| Finding { path: (*page).to_owned(), line: 1, why: "is missing".to_owned() };
    PAGES.iter().filter(|page| !exists(page)).map(missing).collect()
}

/// Checks decision records: they are named `NNNN-title.md`, numbered from 0001 without gaps, contain every required heading, and
/// are listed in the index.
pub(crate) fn adrs(pages: &[Source]) -> Vec<Finding> {
    let index = pages.iter().find(|page| page.path == ADR_INDEX).map_or("", |page| page.text.as_str());
    let mut found = Vec::new();
    let mut expected = 1;
    for page in pages.iter().filter(|page| page.path.starts_with(ADR) && page.path != ADR_INDEX) {
        let name = page.path.trim_start_matches(ADR);
        match number_of(name) {
            None => found.push(page.finding(1, "is not named NNNN-title.md, lower case with hyphens")),
            Some(number) if number != expected => {
                found.push(page.finding(1, format!("is numbered {number:04}; {expected:04} comes next")));
                expected = number + 1;
            }
            Some(_) => expected += 1,
        }
        let missing = ADR_PARTS.iter().filter(|part| !page.text.lines().any(|line| line.trim_end() == **part));
        found.extend(missing.map(|part| page.finding(1, format!("has no {part:?}"))));
        if !index.contains(name) {
            found.push(page.finding(1, format!("is not listed in {ADR_INDEX}")));
        }
    }
    found
}

/// Returns the number of a decision record. Returns `None` if its file is not named `NNNN-title.md`.
fn number_of(name: &str) -> Option<u32> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let is_plain = title.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if number.len() == 4 && is_plain && !title.is_empty() { number.parse().ok() } else { None }
}

/// Finds the relative links of a page that lead to no file or folder of the repository.
pub(crate) fn links(page: &Source, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut in_code_block = false;
    for (index, line) in page.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code_block = !in_code_block;
        } else if !in_code_block {
            let broken = targets(line).into_iter().filter(|target| !target_exists(&page.path, target, exists));
            found.extend(broken.map(|target| page.finding(index + 1, format!("{target} leads nowhere"))));
        }
    }
    found
}

/// Returns the targets of a line's links, `[text](target)` and `[name]: target`, outside code spans.
fn targets(line: &str) -> Vec<String> {
    let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next().map(str::to_owned));
    let defined =
        prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim().to_owned());
    inline.chain(defined).collect()
}

/// Tells whether a link from this page leads to an existing file or folder. Links to other sites are not checked.
fn target_exists(page: &str, target: &str, exists: &dyn Fn(&str) -> bool) -> bool {
    let path = target.split('#').next().unwrap_or_default();
    if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part != ".." {
            parts.push(part);
        } else if parts.pop().is_none() {
            return false; // above the root of the repository
        }
    }
    parts.is_empty() || exists(&parts.join("/"))
}
