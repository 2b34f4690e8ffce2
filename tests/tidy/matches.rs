//! No default arm in a match over events, nor over actions and commands. Then the compiler shows every place that has to
//! handle a new event or action.

use syn::visit::Visit;
use syn::{Arm, ExprMatch, ItemImpl, ItemMod, Macro, Pat, Type};

use crate::circles::{is_for_tests, is_test};
use crate::source::{Finding, Source};

/// The enums, each with the folders in which a match has to name all its cases.
const ENUMS: [(&[&str], &[&str]); 2] = [
    (&["EventBody", "RegisterBody", "ApprovalAction", "Action", "Role"], &["src/", "crates/"]),
    // The needs of a command; other decisions about single commands may have a default.
    (
        &["Command", "ReferralCommand"],
        &["crates/tsio-domain/src/programme/command/", "crates/tsio-domain/src/programme/decide/mod.rs"],
    ),
];

/// Macros that expand to patterns of all events about something.
const MACROS: [&str; 2] = ["events_about", "independent_of_register"];

pub(crate) fn check(file: &Source) -> Vec<Finding> {
    let within = |folders: &[&str]| folders.iter().any(|it| file.path.starts_with(it));
    let enums: Vec<&str> =
        ENUMS.iter().filter(|(_, folders)| within(folders)).flat_map(|(names, _)| *names).copied().collect();
    if enums.is_empty() || is_test(&file.path) {
        return Vec::new();
    }
    // A file that does not parse does not compile either.
    let Ok(parsed) = syn::parse_file(&file.text) else { return Vec::new() };
    let mut matches = Matches { enums, of_impl: None, lines: Vec::new() };
    matches.visit_file(&parsed);
    let why = "a default arm: name every case, or those about one thing by events_about!";
    matches.lines.into_iter().map(|line| file.finding(line, why)).collect()
}

struct Matches<'a> {
    enums: Vec<&'a str>,
    /// The type that `Self` means.
    of_impl: Option<String>,
    /// The line of each default arm.
    lines: Vec<usize>,
}

impl Matches<'_> {
    /// Tells whether a pattern names a case of one of the enums, anywhere inside it.
    fn names_a_case(&self, pattern: &Pat) -> bool {
        let mut named = Named { within: self, found: false };
        named.visit_pat(pattern);
        named.found
    }

    fn is_one(&self, path: &syn::Path) -> bool {
        let of = path.segments.iter().rev().nth(1).map(|it| it.ident.to_string());
        let of = if of.as_deref() == Some("Self") { self.of_impl.clone() } else { of };
        of.is_some_and(|it| self.enums.contains(&it.as_str()))
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
        let before = std::mem::replace(&mut self.of_impl, name.map(|it| it.ident.to_string()));
        syn::visit::visit_item_impl(self, it);
        self.of_impl = before;
    }

    fn visit_expr_match(&mut self, it: &'ast ExprMatch) {
        if it.arms.iter().any(|arm| self.names_a_case(&arm.pat)) {
            // An arm with a condition is no default: the other arms still have to name every case.
            let unguarded = it.arms.iter().filter(|arm| arm.guard.is_none());
            let default = |arm: &&Arm| !self.names_a_case(&arm.pat) && takes_anything(&arm.pat);
            let lines = unguarded.filter(default).map(|arm| line_of(&arm.pat));
            self.lines.extend(lines.collect::<Vec<_>>());
        }
        syn::visit::visit_expr_match(self, it);
    }
}

/// Searches for a case of an enum in a pattern.
struct Named<'a> {
    within: &'a Matches<'a>,
    found: bool,
}

impl<'ast> Visit<'ast> for Named<'_> {
    fn visit_path(&mut self, it: &'ast syn::Path) {
        self.found |= self.within.is_one(it);
    }

    fn visit_macro(&mut self, it: &'ast Macro) {
        self.found |= it.path.segments.last().is_some_and(|last| MACROS.iter().any(|name| last.ident == name));
    }
}

/// Tells whether a pattern takes any value in at least one position: `_`, `other`, `(_, None)`, `Some(_)`.
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
