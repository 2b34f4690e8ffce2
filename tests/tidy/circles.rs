//! Finds circles of imports: two children of the same module must not import each other, directly or through others.
//!
//! A module and its descendants may import each other. Paths in code and in arguments of macros count as imports. If a module
//! imports a name that another module only re-exports, the import counts for the module that defines the item. Tests are
//! exempt.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;
use syn::{Attribute, ItemMod, ItemUse, UseTree};

use crate::source::Source;

/// The names of a path, such as `crate::app::Store` or, without `crate`, a path from the root of the crate.
type Names = Vec<String>;

/// Returns one line for each import that is part of a circle: the parent module, the two children, and the path.
pub(crate) fn check(files: &[Source]) -> Vec<String> {
    let roots: BTreeSet<&str> = files.iter().filter_map(|it| root_of(&it.path)).collect();
    roots.into_iter().flat_map(|root| in_crate(files, root)).collect()
}

fn in_crate(files: &[Source], root: &str) -> Vec<String> {
    let graph = Graph::of(files, root);
    graph.modules.iter().flat_map(|parent| graph.circles_in(parent)).collect()
}

/// The imports of a file, as the file writes them.
struct Imports {
    module: Names,
    /// The names of the modules that the file declares.
    children: BTreeSet<String>,
    /// How many modules inside the file contain the code that is visited now.
    inside: usize,
    /// The names that `use` imports, each with its path.
    named: BTreeMap<String, Names>,
    /// All other paths in the file, with at least two names.
    paths: Vec<Names>,
}

/// The modules of a crate and the imports between them.
#[derive(Default)]
struct Graph {
    modules: BTreeSet<Names>,
    /// The names that modules import: the module, the name, and its path from the root. Children of the module can use such a
    /// name, and all modules can if the import is public.
    named: BTreeMap<(Names, String), Names>,
    /// The imports: the importing module, the module that defines the item, and the path of the import.
    edges: BTreeMap<(Names, Names), String>,
}

impl Graph {
    fn of(files: &[Source], root: &str) -> Self {
        let sources = files.iter().filter(|it| root_of(&it.path) == Some(root) && !is_test(&it.path));
        let imports: Vec<Imports> = sources.map(|it| Imports::of(it, root)).collect();
        let mut graph = Self::default();
        graph.modules.extend(imports.iter().map(|it| it.module.clone()));
        for file in &imports {
            for (name, path) in &file.named {
                if let Some(target) = file.absolute(path) {
                    graph.named.insert((file.module.clone(), name.clone()), target);
                }
            }
        }
        for file in &imports {
            for path in file.named.values().chain(&file.paths) {
                let Some(target) = file.absolute(path) else { continue };
                let target = graph.defined_in(&target, 8);
                if !target.starts_with(&file.module) && !file.module.starts_with(&target) {
                    graph.edges.entry((file.module.clone(), target)).or_insert_with(|| path.join("::"));
                }
            }
        }
        graph
    }

    /// Finds the module that defines the item of a path. Follows at most this number of re-exports.
    fn defined_in(&self, path: &[String], steps: usize) -> Names {
        let longest = (0..=path.len()).rev().map(|it| &path[..it]).find(|it| self.modules.contains(*it));
        let module = longest.unwrap_or_default().to_vec();
        match path.get(module.len()).and_then(|name| self.named.get(&(module.clone(), name.clone()))) {
            Some(target) if steps > 0 => self.defined_in(target, steps - 1),
            _ => module,
        }
    }

    /// Finds the children of a module that import each other, directly or through others, and describes these imports.
    fn circles_in(&self, parent: &[String]) -> Vec<String> {
        let child = |module: &Names| module.strip_prefix(parent).and_then(|below| below.first()).cloned();
        let mut imported: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for ((from, to), path) in &self.edges {
            if let (Some(from_child), Some(to_child)) = (child(from), child(to))
                && from_child != to_child
            {
                let why = format!("{} imports {path}", from.join("::"));
                imported.entry(from_child).or_default().entry(to_child).or_insert(why);
            }
        }
        let reaches = |from: &String, to: &String| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(child) = open.pop() {
                for follower in imported.get(child).into_iter().flat_map(BTreeMap::keys) {
                    if follower == to {
                        return true;
                    }
                    if seen.insert(follower) {
                        open.push(follower);
                    }
                }
            }
            false
        };
        let edges = imported.iter().flat_map(|(from, all)| all.iter().map(move |(to, why)| (from, to, why)));
        let on_circle = edges.filter(|(from, to, _)| reaches(to, from));
        on_circle.map(|(from, to, why)| format!("in {}: {from} -> {to}: {why}", parent.join("::"))).collect()
    }
}

impl Imports {
    fn of(source: &Source, root: &str) -> Self {
        let mut it = Self {
            module: module_of(source.path.trim_start_matches(root)),
            children: BTreeSet::new(),
            inside: 0,
            named: BTreeMap::new(),
            paths: Vec::new(),
        };
        // A file that does not parse does not compile either.
        let Ok(file) = syn::parse_file(&source.text) else { return it };
        let modules = file.items.iter().filter_map(|item| match item {
            syn::Item::Mod(module) => Some(module.ident.to_string()),
            _ => None,
        });
        it.children.extend(modules);
        it.visit_file(&file);
        it
    }

    /// Makes a path from the root of the crate. Returns `None` if the path leads to another crate or begins with a local name.
    fn absolute(&self, path: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([&self.module, rest].concat()),
            "super" => {
                let ups = path.iter().take_while(|it| *it == "super").count();
                let kept = self.module.len().checked_sub(ups)?;
                Some([&self.module[..kept], &path[ups..]].concat())
            }
            child if self.children.contains(child) => Some([&self.module, path].concat()),
            name => {
                let stands_for = self.named.get(name).filter(|it| it.first().is_some_and(|it| it != name))?;
                Some([&self.absolute(stands_for)?, rest].concat())
            }
        }
    }

    fn leaves(&mut self, before: &mut Names, tree: &UseTree) {
        match tree {
            UseTree::Path(it) => {
                before.push(it.ident.to_string());
                self.leaves(before, &it.tree);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|it| self.leaves(before, it)),
            UseTree::Name(it) if it.ident == "self" => {
                self.add(before.clone(), before.last().cloned());
            }
            UseTree::Name(it) => self.leaf(before, &it.ident.to_string(), it.ident.to_string()),
            UseTree::Rename(it) => self.leaf(before, &it.ident.to_string(), it.rename.to_string()),
            UseTree::Glob(_) => self.add(before.clone(), None),
        }
    }

    /// Adds a path, rewritten as the module of the file would write it. Leaves out a path that stays within the file.
    fn add(&mut self, path: Names, name: Option<String>) {
        let ups = path.iter().take_while(|it| *it == "super").count();
        let path = match path.first().map(String::as_str) {
            Some("crate") => path,
            _ if self.inside == 0 => path,
            _ if ups < self.inside => return,
            _ if ups > self.inside => path[self.inside..].to_vec(),
            _ => [&["self".to_owned()][..], &path[ups..]].concat(),
        };
        match name {
            Some(name) if self.inside == 0 => drop(self.named.insert(name, path)),
            _ => self.paths.push(path),
        }
    }

    /// Adds one item of a `use`, with the name that it gets.
    fn leaf(&mut self, before: &Names, item: &str, name: String) {
        let path = [before.as_slice(), &[item.to_owned()]].concat();
        // `as _` is an import without a name.
        self.add(path, Some(name).filter(|it| it != "_"));
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_mod(&mut self, it: &'ast ItemMod) {
        if it.content.is_none() || is_for_tests(&it.attrs) {
            return;
        }
        self.inside += 1;
        syn::visit::visit_item_mod(self, it);
        self.inside -= 1;
    }

    fn visit_item_use(&mut self, it: &'ast ItemUse) {
        if !is_for_tests(&it.attrs) {
            self.leaves(&mut Vec::new(), &it.tree);
        }
    }

    fn visit_path(&mut self, it: &'ast syn::Path) {
        let names: Names = it.segments.iter().map(|it| it.ident.to_string()).collect();
        if names.len() > 1 {
            self.add(names, None);
        }
        syn::visit::visit_path(self, it);
    }

    /// Reads paths from the text of a macro's arguments, because `syn` does not parse them.
    fn visit_macro(&mut self, it: &'ast syn::Macro) {
        let text = it.tokens.to_string().replace(" :: ", "::");
        let words = text.split(|it: char| !(it.is_alphanumeric() || it == '_' || it == ':'));
        for word in words.filter(|it| it.contains("::")) {
            let names: Names = word.split("::").map(ToOwned::to_owned).collect();
            if names.iter().all(|it| !it.is_empty() && !it.contains(':')) {
                self.add(names, None);
            }
        }
        syn::visit::visit_macro(self, it);
    }
}

/// Tells whether an item is compiled for tests only.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    let for_tests = |it: &Attribute| it.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test");
    attributes.iter().any(|it| it.path().is_ident("cfg") && for_tests(it))
}

/// Returns the folder with the code of the file's crate, such as `src/`. Returns `None` for a file outside such a folder.
fn root_of(path: &str) -> Option<&str> {
    let end = if path.starts_with("src/") { 0 } else { path.starts_with("crates/").then(|| path.find("/src/"))?? + 1 };
    path.get(..end + "src/".len())
}

/// Returns the module of a file: `app` for `app/mod.rs`, `app::offers` for `app/offers.rs`, the root for `lib.rs`.
fn module_of(path: &str) -> Names {
    let names = path.trim_end_matches(".rs").split('/');
    let mut names: Names = names.map(ToOwned::to_owned).collect();
    if names.last().is_some_and(|it| ["mod", "lib", "main"].contains(&it.as_str())) {
        names.pop();
    }
    names
}

/// Tells whether a file contains only code for tests.
pub(crate) fn is_test(path: &str) -> bool {
    path.split(['/', '.'])
        .any(|it| it == "tests" || it == "testing" || it.ends_with("_tests") || it.starts_with("tests_"))
}
