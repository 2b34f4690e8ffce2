//! The packages that a Rust client of `tsio` compiles: the contract and a client, but no package of a server.

use std::collections::BTreeSet;
use std::process::Command;

/// Packages that only a server needs, by the beginning of their names.
const OF_A_SERVER: [&str; 12] = [
    "axum",
    "clap",
    "jsonwebtoken",
    "libsqlite3-sys",
    "migrations",
    "opentelemetry",
    "prometheus",
    "rusqlite",
    "sea-",
    "sqlx",
    "tower-http",
    "tracing-subscriber",
];
/// Features of tonic that bring its server.
const SERVER_FEATURES: [&str; 2] = ["router", "server"];

/// Lists a package and its dependencies, one per line: name, version and source, a tab, and the features. Cargo reads this
/// from the lock file and the packages that the build has fetched, without a network.
pub(crate) fn tree(package: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--offline", "--locked", "--package", package]);
    let made = cargo.args(["--edges", "normal", "--prefix", "none", "--format", "{p}\t{f}"]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap()
}

/// Finds the lines of a tree that must not be in a client.
pub(crate) fn of_a_server(tree: &str) -> Vec<&str> {
    let lines = tree.lines().filter(|line| {
        let (package, features) = line.split_once('\t').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or_default();
        let ours = name.starts_with("tsio") && name != "tsio-client";
        let serves = name == "tonic" && features.split(',').any(|it| SERVER_FEATURES.contains(&it));
        ours || serves || OF_A_SERVER.iter().any(|it| name.starts_with(it))
    });
    lines.collect()
}

/// The packages of a lock file, `name version`.
pub(crate) fn locked(lock: &str) -> BTreeSet<String> {
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.strip_suffix('"')?.to_owned());
    let lines: Vec<&str> = lock.lines().collect();
    let named = lines.windows(2).filter_map(|two| match two {
        [name, version] => Some(format!("{} {}", value(name, "name = \"")?, value(version, "version = \"")?)),
        _ => None,
    });
    named.collect()
}
