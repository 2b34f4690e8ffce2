//! Runs scenarios with a real client against the real binary. Most run on SQLite and on PostgreSQL.
//!
//! Each feature has a file. The code that starts servers and databases is in `harness/`. Only `tamper` verifies with the
//! program's own code instead of the command, because it verifies several hundred times.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by a panic, and then prints what its server wrote"
)]

mod adopted_rules;
mod approvals;
mod attacks;
mod authentication;
mod awards;
mod bad_input;
mod bad_money;
mod batch;
mod call_log;
mod claims;
mod cli_shapes;
mod client;
mod clients;
mod clocks;
mod closed;
mod confirmed;
mod dates;
mod db_roles;
mod db_sessions;
mod documents;
mod due;
mod eligibility;
mod entry_positions;
mod erasing;
mod etags;
mod faults;
mod files;
mod fixtures;
mod forgeries;
mod full_disk;
mod funds;
mod harness;
mod idempotency;
mod import_concurrency;
mod io_faults;
mod json_shapes;
mod kept_state;
mod kill;
mod ledger;
mod lists;
mod load;
mod lockout;
mod metrics;
mod model;
mod money;
mod months;
mod names;
mod offers;
mod one_batch;
mod overload;
mod people;
mod previews;
mod race;
mod raw_call;
mod raw_sql;
mod reasons;
mod record;
mod references;
mod referrals;
mod refusals;
mod register;
mod register_record;
mod replicas;
mod responsible;
mod roles;
mod samples;
mod schema;
mod set_up;
mod start;
mod summaries;
mod sync_standby;
mod tamper;
mod terms;
mod texts;
mod traces;
mod upgrade;
mod watch;
mod wire_faults;
mod workload;
