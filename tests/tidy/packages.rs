//! Checks which packages a Rust client of `tsio` compiles: those of the contract and of a client, but none of a server.

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
/// Features of tonic that contain its server.
const SERVER_FEATURES: [&str; 2] = ["router", "server"];

/// Lists a package and its dependencies, one per line: name, version and source, a tab, and the features. Cargo reads this
/// from the lock file and the packages that the build has fetched, without a network.
pub(crate) fn tree(package: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--offline", "--locked", "--package", package]);
    let output = cargo.args(["--edges", "normal", "--prefix", "none", "--format", "{p}\t{f}"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the lines of a tree whose packages or features a client must not compile.
pub(crate) fn of_a_server(tree: &str) -> Vec<&str> {
    let lines = tree.lines().filter(|line| {
        let (package, features) = line.split_once('\t').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or_default();
        let is_own_server = name.starts_with("tsio") && name != "tsio-client";
        let has_server_feature = name == "tonic" && features.split(',').any(|it| SERVER_FEATURES.contains(&it));
        is_own_server || has_server_feature || OF_A_SERVER.iter().any(|it| name.starts_with(it))
    });
    lines.collect()
}

/// Returns the packages of a lock file, each as `name version`.
pub(crate) fn locked(lock: &str) -> BTreeSet<String> {
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.strip_suffix('"')?.to_owned());
    let lines: Vec<&str> = lock.lines().collect();
    let packages = lines.windows(2).filter_map(|pair| match pair {
        [name, version] => Some(format!("{} {}", value(name, "name = \"")?, value(version, "version = \"")?)),
        _ => None,
    });
    packages.collect()
}
