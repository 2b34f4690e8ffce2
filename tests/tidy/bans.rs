//! Code that is banned in certain folders, and the length and first line of a file.

use crate::layers;
use crate::source::{Finding, Source};

/// A longer file has more than one subject.
const LONGEST: usize = 500;

struct Ban {
    words: &'static [&'static str],
    /// Path prefixes where the ban holds. One empty prefix means everywhere.
    within: &'static [&'static str],
    /// Path prefixes that are exempt.
    except: &'static [&'static str],
    why: &'static str,
}

const EVERYWHERE: &[&str] = &[""];
const PURE: &[&str] = &["crates/tsio-domain/src/", "src/import/"];

const BANS: [Ban; 17] = [
    Ban {
        words: &["todo!", "unimplemented!", "dbg!"],
        within: EVERYWHERE,
        except: &[],
        why: "finish it or leave it out",
    },
    Ban {
        words: &["#[allow(", "#![allow("],
        within: EVERYWHERE,
        except: &[],
        why: "use #[expect(..., reason = \"...\")], which ends with its cause",
    },
    Ban { words: &["#[ignore"], within: EVERYWHERE, except: &[], why: "a test that does not run tests nothing" },
    Ban { words: &["thread::sleep"], within: EVERYWHERE, except: &[], why: "wait for the event itself" },
    Ban {
        words: &["time::sleep", "time::sleep_until"],
        within: &["tests/", "benches/", "crates/tsio-test-support/"],
        except: &[],
        why: "wait for the event itself",
    },
    Ban {
        words: &["f32", "f64"],
        within: &["crates/tsio-domain/src/", "src/import/", "src/store/", "src/app/"],
        except: &[],
        why: "money and days are integers",
    },
    Ban {
        words: &["sea_orm", "sea_orm_migration", "sqlx"],
        within: &["src/"],
        except: &["src/store/", "src/store.rs"],
        why: "only store/ knows the database",
    },
    Ban {
        words: &["try_get_by_index", "try_get_by", "try_get_many_by_index", "try_get_by_index_nullable"],
        within: &["src/store/"],
        except: &["src/store/db/"],
        why: "declare the row with row!, which counts its columns (ADR 0038)",
    },
    Ban {
        words: &["tsio_domain", "tsio_client"],
        within: &["src/"],
        except: &["src/lib.rs", "src/proto.rs"],
        why: "say crate::domain, crate::client or crate::proto, which the rule of layers sees",
    },
    Ban {
        words: &["tonic", "tonic_health", "tonic_prost", "tonic_reflection", "tonic_types", "prost", "prost_types"],
        within: &["src/"],
        except: &["src/grpc/", "src/cli/", "src/lib.rs", "src/proto.rs"],
        why: "only grpc/ and cli/ know the wire",
    },
    Ban { words: &["authorise"], within: &["src/grpc/"], except: &[], why: "app authorises, once a use case" },
    Ban {
        words: &["tracing::error!", "tracing::warn!", "tracing::info!", "tracing::debug!"],
        within: &["src/grpc/message/"],
        except: &[],
        why: "a conversion logs nothing: AppError::log is called where the error is handled",
    },
    Ban {
        words: &["env::var", "env::var_os", "env::vars", "env::vars_os"],
        within: &["src/", "crates/tsio-domain/src/", "crates/tsio-client/src/"],
        except: &["src/config/environment.rs"],
        why: "only config/environment.rs reads the environment; clap does by env = in arguments",
    },
    Ban {
        words: &["stdout", "stderr"],
        within: &["src/", "crates/"],
        except: &["src/cli/output.rs", "src/telemetry.rs", "crates/tsio-test-support/"],
        why: "a text that is printed is escaped first: only cli/output.rs and telemetry.rs write to a terminal",
    },
    Ban {
        words: &["csv::Writer", "csv::WriterBuilder"],
        within: &["src/", "crates/"],
        except: &["src/cli/csv.rs", "src/import/records.rs"],
        why: "only cli/csv.rs writes CSV, so that no spreadsheet runs a cell",
    },
    Ban {
        words: &["prost_reflect"],
        within: &["src/", "crates/"],
        except: &["src/cli/json.rs", "src/cli/json/"],
        why: "only cli/json.rs makes JSON of the contract, so that there is one mapping",
    },
    Ban {
        words: &["async", "tokio", "SystemTime", "Instant", "Utc::now", "Local::now", "now_v7"],
        within: PURE,
        except: &[],
        why: "this layer is pure: no waiting, no clock",
    },
];

/// Folders in which no literal names a method of the contract.
const NAMES_NO_METHOD: [&str; 2] = ["src/grpc/service/", "src/app/"];

/// The modules of `std` that do IO, banned in pure layers.
const IO: [&str; 6] = ["fs", "net", "env", "process", "thread", "os"];

/// Finds all banned code of a file, in the order of its lines.
pub(crate) fn check(file: &Source) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        BANS.iter().filter(|ban| ban.holds_in(&file.path)).flat_map(|b| b.find(file)).collect();
    if starts_with_any(&file.path, PURE) {
        let io = layers::heads(file, "std").into_iter().filter(|(_, name)| IO.contains(name));
        found.extend(
            io.map(|(at, name)| file.finding(file.line_at(at), format!("std::{name}: this layer is pure: no IO"))),
        );
    }
    found.sort_by_key(|finding| finding.line);
    found
}

/// Finds literals that name a method, such as `"OfferService/NoteOffer"`, where a value has the name. Tests may use them.
pub(crate) fn method_names(file: &Source) -> Vec<Finding> {
    if !starts_with_any(&file.path, &NAMES_NO_METHOD)
        || file.path.ends_with("tests.rs")
        || file.path.ends_with("testing.rs")
    {
        return Vec::new();
    }
    let code = file.text.lines().take_while(|line| *line != "#[cfg(test)]");
    let named = (1..).zip(code).filter(|(_, line)| {
        let literals = line.split('"').skip(1).step_by(2);
        literals.filter_map(|it| it.split_once("Service/")).any(|(_, name)| name.starts_with(char::is_uppercase))
    });
    named.map(|(line, _)| file.finding(line, "a method in a literal: the call knows its method")).collect()
}

/// Checks the length of a file and its first line.
pub(crate) fn shape(file: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if !file.text.starts_with("//! ") {
        found.push(file.finding(1, "starts without a `//!` that says why it exists"));
    }
    let lines = file.text.lines().count();
    if lines > LONGEST {
        found.push(file.finding(lines, format!("{lines} lines; {LONGEST} is the most")));
    }
    found
}

/// Finds errors of the database that a use case creates itself, except in tests. Use cases have their own errors, so a
/// `StoreError` always means a failure of the database.
pub(crate) fn store_errors_made(file: &Source) -> Vec<Finding> {
    const PATH: &str = "StoreError::";
    if !file.path.starts_with("src/app/") || file.path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let tests = file.code.find("#[cfg(test)]\nmod tests {").unwrap_or(file.code.len());
    let is_variant = |at: &usize| file.code[at + PATH.len()..].starts_with(char::is_uppercase);
    let is_pattern = |at: &usize| {
        let rest = &file.code[at + PATH.len()..];
        let name = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let after = rest[name..].strip_prefix('(').map_or(&rest[name..], after_parenthesis);
        let after = after.trim_start_matches(|c: char| c == ')' || c.is_whitespace());
        ["=>", "|", "if ", "= "].iter().any(|it| after.starts_with(it))
    };
    let made = file.words(PATH).into_iter().filter(|at| *at < tests && is_variant(at) && !is_pattern(at));
    made.map(|at| file.finding(file.line_at(at), "only store/ makes a StoreError; use WriteError or AppError"))
        .collect()
}

/// Returns the text after the parenthesis that closes an already open one.
fn after_parenthesis(code: &str) -> &str {
    let mut depth = 1_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &code[at + 1..];
        }
    }
    ""
}

impl Ban {
    fn holds_in(&self, path: &str) -> bool {
        starts_with_any(path, self.within) && !starts_with_any(path, self.except)
    }

    fn find(&self, file: &Source) -> Vec<Finding> {
        let at = |word: &&str| file.words(word).into_iter().map(|at| file.line_at(at)).collect::<Vec<_>>();
        self.words
            .iter()
            .flat_map(|word| at(word).into_iter().map(move |line| file.finding(line, format!("{word}: {}", self.why))))
            .collect()
    }
}

fn starts_with_any(path: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}
