//! Scripts read the JSON of each command, so no key may disappear and no type may change, also in nested objects.
//!
//! Every command that prints JSON has a file in `json_shapes/` with the shape of what it printed in this scenario;
//! `json_shapes/shape.rs` describes the format. `TSIO_WRITE_SHAPES=1 tests/run json_shapes` writes the current shapes
//! into the files, for example after a key was added.

mod money;
mod people;
mod register;
mod shape;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::harness::{Db, Server, both, cli, setting, tsio};
use super::samples::{AUGUST, REGISTER_AUGUST, import_all, import_args, text};

use shape::Shape;

both!(every_command_has_the_shape_of_its_file);

/// Commands that print no JSON document.
const NO_JSON: [&str; 6] = ["serve", "config", "migrate", "demo", "completions", "help"];

/// A server, and the shapes of what its clients printed so far, by command.
struct Shapes {
    server: Server,
    seen: BTreeMap<String, Shape>,
}

/// The name of a command's file without its ending: the noun and the verb, if it has one, joined with `_`.
fn file_name(args: &[&str]) -> String {
    args.iter().take(2).take_while(|it| !it.starts_with('-')).copied().collect::<Vec<_>>().join("_").replace('-', "_")
}

impl Shapes {
    /// Adds a document that a command printed.
    fn add(&mut self, name: &str, document: &Value) {
        self.seen.entry(name.to_owned()).or_default().add(Shape::of(document));
    }

    /// Runs a command that has to succeed, as the local operator.
    fn run(&mut self, args: &[&str]) -> Value {
        self.run_as(&[], args)
    }

    /// Runs a command that has to succeed, with these global options.
    fn run_as(&mut self, options: &[&str], args: &[&str]) -> Value {
        let answer = cli(&self.server, &[options, args].concat());
        assert_eq!(answer.code, 0, "{args:?}\n{}{}", answer.stdout, answer.stderr);
        self.add(&file_name(args), &answer.json);
        answer.json
    }

    /// Runs a command that has to be refused for this reason.
    fn refused(&mut self, reason: &str, options: &[&str], args: &[&str]) -> Value {
        let answer = cli(&self.server, &[options, args].concat());
        assert_eq!((answer.code, &answer.json["error"]["reason"]), (1, &Value::from(reason)), "{args:?}");
        self.add("refused", &answer.json);
        answer.json["error"].clone()
    }

    /// Runs a command that is filed and waits for a second person, and returns its document.
    fn filed(&mut self, options: &[&str], args: &[&str]) -> Value {
        let answer = cli(&self.server, &[options, args].concat());
        assert_eq!((answer.code, &answer.json["error"]), (3, &Value::Null), "{args:?}");
        self.add("filed", &answer.json);
        answer.json
    }

    /// Runs a command that needs an approval, gives the approval as a second person, and runs the same command again.
    /// Each person has an actor and roles. Returns the document of the given approval.
    fn by_two(&mut self, ask: [&str; 2], give: [&str; 2], args: &[&str]) -> Value {
        let id = super::client::fresh();
        let global_options = |[actor, roles]: [&str; 2]| ["--actor", actor, "--roles", roles].map(str::to_owned);
        let (requester_options, approver_options) = (global_options(ask), global_options(give));
        let requester_options = requester_options.each_ref().map(String::as_str);
        let requester_options = [&["--request-id", id.as_str()][..], &requester_options].concat();
        let approval = text(&self.filed(&requester_options, args), "approval");
        self.run(&["approvals", "list"]);
        let given = self.run_as(&approver_options.each_ref().map(String::as_str), &["approvals", "give", &approval]);
        self.run_as(&requester_options, args);
        given
    }

    /// The id of the only offer made to this URN or UID.
    fn offer(&self, recipient: i64) -> String {
        super::samples::offer_id(&self.server, recipient)
    }
}

async fn every_command_has_the_shape_of_its_file(db: Db) {
    let mut shapes = Shapes { server: Server::start(&db), seen: BTreeMap::new() };
    import_all(&shapes.server, &REGISTER_AUGUST[..3]);
    for file in [REGISTER_AUGUST[3], AUGUST] {
        shapes.run(&import_args(file).each_ref().map(String::as_str));
    }
    shapes.run(&["offers", "identify"]);
    register::terms(&mut shapes);
    people::referrals(&mut shapes);
    money::funds(&mut shapes);
    money::offers_and_awards(&mut shapes);
    people::approvals(&mut shapes);
    register::months(&mut shapes);
    register::lookups(&mut shapes);
    register::imports(&mut shapes);
    let verified = tsio(&["--output", "json", "verify", "--database", &db.url()]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    shapes.add("verify", &verified.json);
    check_files(&shapes.seen);
}

/// Checks that each shape is the one in its file, that each file has a command, and that each command printed a
/// document.
fn check_files(seen: &BTreeMap<String, Shape>) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/json_shapes");
    let writes_files = setting("TSIO_WRITE_SHAPES").is_some();
    let mut mismatches = Vec::new();
    for (name, shape) in seen {
        let (file, current) = (folder.join(format!("{name}.json")), shape.to_json());
        if writes_files {
            fs::write(&file, format!("{}\n", serde_json::to_string_pretty(&current).unwrap())).unwrap();
        }
        let stored = fs::read_to_string(&file).unwrap_or_default();
        if serde_json::from_str::<Value>(&stored).ok().as_ref() != Some(&current) {
            mismatches.push(format!("{name}: {}\nnow prints\n{current:#}\nand its file has\n{stored}", file.display()));
        }
    }
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n\n"));
    let files = fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path());
    let files = files.filter(|it| it.extension().is_some_and(|it| it == "json"));
    let mut files: Vec<String> = files.map(|it| it.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    files.sort();
    assert_eq!(files, seen.keys().cloned().collect::<Vec<_>>(), "the shape files and the commands differ");
    let without_document: Vec<String> = commands().into_iter().filter(|name| !seen.contains_key(name)).collect();
    assert!(without_document.is_empty(), "no document was printed by {without_document:?}");
}

/// The file names of all commands that print JSON.
fn commands() -> Vec<String> {
    let all = tsio::cli::command();
    let nouns = all.get_subcommands().filter(|it| !NO_JSON.contains(&it.get_name()));
    let commands_of = |noun: &clap::Command| {
        let verbs: Vec<String> =
            noun.get_subcommands().map(|it| file_name(&[noun.get_name(), it.get_name()])).collect();
        if verbs.is_empty() { vec![noun.get_name().to_owned()] } else { verbs }
    };
    nouns.flat_map(commands_of).collect()
}
