//! Finds code that is banned in certain folders, and checks the length and first line of each file.

use crate::layers;
use crate::source::{Finding, Source};

/// The largest number of lines of a file. A longer file should be split by subject.
const MAX_LINES: usize = 500;

/// Words that certain files must not contain.
struct Ban {
    words: &'static [&'static str],
    /// Prefixes of the paths to which the ban applies. An empty prefix matches every path.
    within: &'static [&'static str],
    /// Prefixes of the paths that are exempt.
    except: &'static [&'static str],
    /// The reason of the ban, or the code to write in place of the word.
    why: &'static str,
}

const EVERYWHERE: &[&str] = &[""];
/// Folders whose code does no input or output, never waits, and reads no clock.
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
        why: "use #[expect(..., reason = \"...\")], which fails when its cause is gone",
    },
    Ban {
        words: &["#[ignore"],
        within: EVERYWHERE,
        except: &[],
        why: "an ignored test never runs, so it checks nothing",
    },
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
        words: &["rusqlite", "sea_orm", "sea_orm_migration", "sqlx"],
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
    Ban { words: &["authorise"], within: &["src/grpc/"], except: &[], why: "app authorises, once per use case" },
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
        why: "only config/environment.rs reads the environment; an argument of the command line uses `env =` of clap",
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
        // The tests of import/records.rs write files that only they read.
        except: &["src/cli/csv.rs", "src/import/records.rs"],
        why: "only cli/csv.rs writes CSV, so that no spreadsheet runs a cell as a formula",
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

/// Folders whose code must not name a method of the contract in a literal.
const NO_METHOD_NAMES_IN: [&str; 2] = ["src/grpc/service/", "src/app/"];

/// The modules of `std` for input and output, which pure layers must not use.
const IO: [&str; 6] = ["fs", "net", "env", "process", "thread", "os"];

/// Finds all banned code of a file, ordered by line.
pub(crate) fn check(file: &Source) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        BANS.iter().filter(|ban| ban.applies_to(&file.path)).flat_map(|ban| ban.find(file)).collect();
    if starts_with_any(&file.path, PURE) {
        let io = layers::heads(file, "std").into_iter().filter(|(_, name)| IO.contains(name));
        found.extend(io.map(|(offset, name)| {
            file.finding(file.line_at(offset), format!("std::{name}: this layer is pure: no IO"))
        }));
    }
    found.sort_by_key(|finding| finding.line);
    found
}

/// Finds literals that name a method, such as `"OfferService/NoteOffer"`. The call has the name as a value, which the code must
/// use. Tests may use literals.
pub(crate) fn method_names(file: &Source) -> Vec<Finding> {
    if !starts_with_any(&file.path, &NO_METHOD_NAMES_IN)
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

/// Checks that a file begins with `//! ` and is not too long.
pub(crate) fn shape(file: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if !file.text.starts_with("//! ") {
        found.push(file.finding(1, "starts without a `//!` that says why it exists"));
    }
    let lines = file.text.lines().count();
    if lines > MAX_LINES {
        found.push(file.finding(lines, format!("{lines} lines; {MAX_LINES} is the most")));
    }
    found
}

/// Finds code of use cases that creates a `StoreError`, except in tests. Only `store/` may create one, so that it always means
/// a failure of the database. Patterns that match one are allowed.
pub(crate) fn store_errors_made(file: &Source) -> Vec<Finding> {
    const PATH: &str = "StoreError::";
    if !file.path.starts_with("src/app/") || file.path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let tests = file.code.find("#[cfg(test)]\nmod tests {").unwrap_or(file.code.len());
    let is_variant = |offset: &usize| file.code[offset + PATH.len()..].starts_with(char::is_uppercase);
    let is_pattern = |offset: &usize| {
        let rest = &file.code[offset + PATH.len()..];
        let name_end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let after = rest[name_end..].strip_prefix('(').map_or(&rest[name_end..], after_parenthesis);
        let after = after.trim_start_matches(|c: char| c == ')' || c.is_whitespace());
        ["=>", "|", "if ", "= "].iter().any(|it| after.starts_with(it))
    };
    let creates = |offset: &usize| *offset < tests && is_variant(offset) && !is_pattern(offset);
    let created = file.words(PATH).into_iter().filter(creates);
    created
        .map(|offset| file.finding(file.line_at(offset), "only store/ makes a StoreError; use WriteError or AppError"))
        .collect()
}

/// Returns the code after a closing parenthesis. `code` begins just after the opening parenthesis that belongs to it.
fn after_parenthesis(code: &str) -> &str {
    let mut depth = 1_usize;
    for (offset, c) in code.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &code[offset + 1..];
        }
    }
    ""
}

impl Ban {
    fn applies_to(&self, path: &str) -> bool {
        starts_with_any(path, self.within) && !starts_with_any(path, self.except)
    }

    fn find(&self, file: &Source) -> Vec<Finding> {
        let lines_of =
            |word: &&str| -> Vec<usize> { file.words(word).into_iter().map(|offset| file.line_at(offset)).collect() };
        self.words
            .iter()
            .flat_map(|word| {
                lines_of(word).into_iter().map(move |line| file.finding(line, format!("{word}: {}", self.why)))
            })
            .collect()
    }
}

fn starts_with_any(path: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}
