//! Finds default arms in matches over events, actions, roles and commands. Without a default arm, the compiler shows every
//! match that has to handle a new case.

use syn::visit::Visit;
use syn::{Arm, ExprMatch, ItemImpl, ItemMod, Macro, Pat, Type};

use crate::circles::{is_for_tests, is_test};
use crate::source::{Finding, Source};

/// Enums, and the folders in which a match has to name all their cases.
const ENUMS: [(&[&str], &[&str]); 2] = [
    (&["EventBody", "RegisterBody", "ApprovalAction", "Action", "Role"], &["src/", "crates/"]),
    // These files handle every command. Code elsewhere may handle single commands, with a default arm for the others.
    (
        &["Command", "ReferralCommand"],
        &["crates/tsio-domain/src/programme/command/", "crates/tsio-domain/src/programme/decide/mod.rs"],
    ),
];

/// Macros that expand to a pattern of several events.
const MACROS: [&str; 2] = ["events_about", "independent_of_register"];

/// Finds the default arms of a file.
pub(crate) fn check(file: &Source) -> Vec<Finding> {
    let is_in = |folders: &[&str]| folders.iter().any(|it| file.path.starts_with(it));
    let enums: Vec<&str> =
        ENUMS.iter().filter(|(_, folders)| is_in(folders)).flat_map(|(names, _)| *names).copied().collect();
    if enums.is_empty() || is_test(&file.path) {
        return Vec::new();
    }
    // A file that does not parse does not compile either.
    let Ok(parsed) = syn::parse_file(&file.text) else { return Vec::new() };
    let mut matches = Matches { enums, self_type: None, lines: Vec::new() };
    matches.visit_file(&parsed);
    let why = "a default arm: name every case, or those about one thing by events_about!";
    matches.lines.into_iter().map(|line| file.finding(line, why)).collect()
}

/// Visits the matches of a file, and collects the lines of their default arms.
struct Matches<'a> {
    enums: Vec<&'a str>,
    /// The type that `Self` means in the `impl` block that is visited now.
    self_type: Option<String>,
    /// The line of each default arm found.
    lines: Vec<usize>,
}

impl Matches<'_> {
    /// Tells whether a pattern names a case of one of the enums, anywhere inside it.
    fn names_a_case(&self, pattern: &Pat) -> bool {
        let mut search = CaseSearch { matches: self, found: false };
        search.visit_pat(pattern);
        search.found
    }

    /// Tells whether a path such as `Action::Award` names a case of one of the enums.
    fn is_case(&self, path: &syn::Path) -> bool {
        let parent = path.segments.iter().rev().nth(1).map(|it| it.ident.to_string());
        let parent = if parent.as_deref() == Some("Self") { self.self_type.clone() } else { parent };
        parent.is_some_and(|it| self.enums.contains(&it.as_str()))
    }
}

impl<'ast> Visit<'ast> for Matches<'_> {
    fn visit_item_mod(&mut self, it: &'ast ItemMod) {
        if !is_for_tests(&it.attrs) {
            syn::visit::visit_item_mod(self, it);
        }
    }

    fn visit_item_impl(&mut self, it: &'ast ItemImpl) {
        let name = if let Type::Path(path) = &*it.self_ty { path.path.segments.last() } else { None };
        let outer = std::mem::replace(&mut self.self_type, name.map(|it| it.ident.to_string()));
        syn::visit::visit_item_impl(self, it);
        self.self_type = outer;
    }

    fn visit_expr_match(&mut self, it: &'ast ExprMatch) {
        if it.arms.iter().any(|arm| self.names_a_case(&arm.pat)) {
            // An arm with a condition is not a default arm, because the other arms still have to name every case.
            let unguarded = it.arms.iter().filter(|arm| arm.guard.is_none());
            let is_default = |arm: &&Arm| !self.names_a_case(&arm.pat) && takes_anything(&arm.pat);
            let lines = unguarded.filter(is_default).map(|arm| line_of(&arm.pat));
            self.lines.extend(lines.collect::<Vec<_>>());
        }
        syn::visit::visit_expr_match(self, it);
    }
}

/// Searches a pattern for a case of one of the enums.
struct CaseSearch<'a> {
    matches: &'a Matches<'a>,
    found: bool,
}

impl<'ast> Visit<'ast> for CaseSearch<'_> {
    fn visit_path(&mut self, it: &'ast syn::Path) {
        self.found |= self.matches.is_case(it);
    }

    fn visit_macro(&mut self, it: &'ast Macro) {
        self.found |= it.path.segments.last().is_some_and(|last| MACROS.iter().any(|name| last.ident == name));
    }
}

/// Tells whether a pattern accepts any value in at least one position: `_`, `other`, `(_, None)`, `Some(_)`.
fn takes_anything(pattern: &Pat) -> bool {
    match pattern {
        Pat::Wild(_) | Pat::Rest(_) => true,
        // A name that begins with a capital letter is a case or a constant.
        Pat::Ident(it) => it.subpat.is_none() && it.ident.to_string().starts_with(|first: char| first.is_lowercase()),
        Pat::Reference(it) => takes_anything(&it.pat),
        Pat::Paren(it) => takes_anything(&it.pat),
        Pat::Or(it) => it.cases.iter().any(takes_anything),
        Pat::Tuple(it) => it.elems.iter().any(takes_anything),
        Pat::TupleStruct(it) => {
            it.path.segments.last().is_some_and(|last| last.ident == "Some" || last.ident == "Ok")
                && it.elems.iter().any(takes_anything)
        }
        _ => false,
    }
}

fn line_of(pattern: &Pat) -> usize {
    use syn::spanned::Spanned as _;
    pattern.span().start().line
}
