//! The commands of a page, in order, each with the output that the page shows.
//!
//! A `console` block has commands after `$ ` and the output of each. A `sh` block has only commands. Both may name the
//! one database that they are for: `sqlite` or `postgresql`. A `console` block may be `exact`, if ids and hashes are
//! the same in every run. A `toml` or `python` block may name the file that the reader writes it to. A block that
//! cannot be run has `<!-- not run: REASON -->` on the line before it.

use std::ops::Range;

/// Languages of blocks that have no command of a shell.
const NO_COMMANDS: [&str; 8] = ["json", "js", "mermaid", "python", "rust", "sql", "text", "toml"];

/// A command, and what the page shows of its output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The line number of the command in the page, from 1.
    pub(crate) line: usize,
    pub(crate) command: String,
    /// The lines of the page with its output. `None` for a command of a `sh` block, whose output is not compared.
    pub(crate) shown: Option<Range<usize>>,
    /// The restriction of the command's block.
    pub(crate) only: Option<Only>,
}

/// A restriction of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    /// The block is run only on SQLite.
    Sqlite,
    /// The block is run only on PostgreSQL.
    Postgres,
    /// The output is compared letter by letter.
    Exact,
}

/// A parsed page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) lines: Vec<String>,
    pub(crate) steps: Vec<Step>,
    /// The first line of each block that is marked as not run.
    pub(crate) not_run: Vec<String>,
    /// Faults of the page itself, each with its line.
    pub(crate) faults: Vec<String>,
}

impl Page {
    pub(crate) fn read(text: &str) -> Self {
        let mut page = Self { lines: text.lines().map(ToOwned::to_owned).collect(), ..Self::default() };
        let mut next = 0;
        while let Some(opening) = (next..page.lines.len()).find(|&at| page.lines[at].starts_with("```")) {
            let closing = (opening + 1..page.lines.len()).find(|&at| page.lines[at].starts_with("```"));
            let Some(closing) = closing else {
                page.faults.push(format!("line {}: the block is never closed", opening + 1));
                break;
            };
            page.block(opening, closing);
            next = closing + 1;
        }
        page
    }

    /// The lines that the page shows of a step's output.
    pub(crate) fn shown(&self, step: &Step) -> Option<&[String]> {
        step.shown.clone().map(|range| &self.lines[range])
    }

    fn block(&mut self, opening: usize, closing: usize) {
        let info = self.lines[opening].trim_start_matches('`').to_owned();
        let mut words = info.split_whitespace();
        let language = words.next().unwrap_or_default();
        if let ("toml" | "python", Some(file)) = (language, words.clone().next()) {
            let text = self.lines[opening + 1..closing].join("\n");
            let command = format!("cat > {file} <<'END OF FILE'\n{text}\nEND OF FILE");
            return self.steps.push(Step { line: opening + 1, command, shown: None, only: None });
        }
        let only = match words.next() {
            None => None,
            Some("sqlite") => Some(Only::Sqlite),
            Some("postgresql") => Some(Only::Postgres),
            Some("exact") => Some(Only::Exact),
            Some(other) => return self.faults.push(format!("line {}: {other:?} is not known", opening + 1)),
        };
        if !["console", "sh"].contains(&language) {
            if !NO_COMMANDS.contains(&language) {
                self.faults
                    .push(format!("line {}: {language:?} is neither run nor known to hold no command", opening + 1));
            }
        } else if opening > 0 && self.lines[opening - 1].starts_with("<!-- not run: ") {
            self.not_run.push(self.lines[opening + 1].clone());
        } else if language == "sh" {
            self.scripted(opening + 1..closing, only);
        } else {
            self.console(opening + 1..closing, only);
        }
    }

    /// A block of commands alone.
    fn scripted(&mut self, block: Range<usize>, only: Option<Only>) {
        let mut at = block.start;
        while at < block.end {
            let end = self.end_of_command(at, block.end);
            let command = self.lines[at..end].join("\n");
            if !command.trim().is_empty() {
                self.steps.push(Step { line: at + 1, command, shown: None, only });
            }
            at = end;
        }
    }

    /// A block of commands, each with its output.
    fn console(&mut self, block: Range<usize>, only: Option<Only>) {
        let mut at = block.start;
        while at < block.end {
            let end = self.end_of_command(at, block.end);
            let Some(first) = self.lines[at].strip_prefix("$ ") else {
                return self.faults.push(format!("line {}: the block begins with no command", at + 1));
            };
            let rest = self.lines[at + 1..end].iter().map(|line| format!("\n{line}"));
            let command = rest.fold(first.to_owned(), |command, line| command + &line);
            let next = (end..block.end).find(|&line| self.lines[line].starts_with("$ ")).unwrap_or(block.end);
            self.steps.push(Step { line: at + 1, command, shown: Some(end..next), only });
            at = next;
        }
    }

    /// The line after a command that begins at this one: a backslash at the end of a line continues it.
    fn end_of_command(&self, begin: usize, bound: usize) -> usize {
        (begin..bound).find(|&line| !self.lines[line].ends_with('\\')).map_or(bound, |line| line + 1)
    }
}

#[test]
fn commands_are_read_with_their_output() {
    let page = Page::read(
        "# A\n```console\n$ one \\\n    more\n1\n2\n$ two\n```\nb\n```sh postgresql\nthree\n```\n```toml\nx = 1\n```\n```toml a.toml\nx = 1\n```\n",
    );
    let step = |line, command: &str, shown, only| Step { line, command: command.to_owned(), shown, only };
    let expected = [
        step(3, "one \\\n    more", Some(4..6), None),
        step(7, "two", Some(7..7), None),
        step(11, "three", None, Some(Only::Postgres)),
        step(16, "cat > a.toml <<'END OF FILE'\nx = 1\nEND OF FILE", None, None),
    ];
    assert_eq!(page.steps, expected);
    assert_eq!(page.shown(&page.steps[0]).unwrap(), ["1", "2"]);
    assert!(page.faults.is_empty() && page.not_run.is_empty());
}

#[test]
fn a_page_that_hides_a_command_is_faulty() {
    let rows = [
        ("```bash\nls\n```\n", "line 1: \"bash\" is neither run nor known to hold no command"),
        ("```\nls\n```\n", "line 1: \"\" is neither run nor known to hold no command"),
        ("a\n```console\nls\n```\n", "line 3: the block begins with no command"),
        ("```sh mysql\nls\n```\n", "line 1: \"mysql\" is not known"),
        ("```sh\nls\n", "line 1: the block is never closed"),
    ];
    for (text, fault) in rows {
        assert_eq!(Page::read(text).faults, [fault], "{text:?}");
    }
    let marked = Page::read("<!-- not run: it installs -->\n```sh\napt-get install gcc\n```\n");
    assert_eq!(marked.not_run, ["apt-get install gcc"]);
    assert!(marked.steps.is_empty());
}
