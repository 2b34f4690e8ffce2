//! `tsio serve`, `tsio migrate` and `tsio config check`: the commands that run and configure the server.

use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::args::{ConfigCommand, MigrateArgs, ServeArgs};
use super::output;
use crate::app::clock::Clock;
use crate::app::{App, Upgraded};

#[cfg(debug_assertions)]
use crate::config::environment;
use crate::config::{Config, ConfigOverrides};
use crate::grpc::auth::Access;
use crate::grpc::{Exporting, Serving};
use crate::store::db::schema::Version;
use crate::store::{Backend, Store, Use};
use crate::telemetry;

/// The time limit of closing the database.
const CLOSE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Serves until SIGTERM or SIGINT, then drains. Exits 0 if every request in flight was answered, and 1 on an error or if the time
/// limit of the drain has cut off requests.
pub async fn serve(args: ServeArgs) -> ExitCode {
    let ServeArgs { database, listen, config, migrate, development, metrics_listen, traces_endpoint } = args;
    let overrides = ConfigOverrides { database, listen, migrate, development, metrics_listen, traces_endpoint };
    let config = match Config::load(config.as_deref(), overrides) {
        Ok(config) => config,
        Err(mistakes) => return failed(&mistakes.into()),
    };
    let traces = match config.traces.as_ref().map(Exporting::begin).transpose() {
        Ok(traces) => traces,
        Err(error) => return failed(&error.into()),
    };
    telemetry::start_with(traces.as_ref());
    let served = serve_on(&config).await;
    if let Some(traces) = traces {
        // This blocks for a limited time, and logs its own failure.
        let _ = tokio::task::spawn_blocking(move || traces.end()).await;
    }
    match served {
        Ok(Serving::Drained) => ExitCode::SUCCESS,
        Ok(Serving::CutOff) => failed(&"the drain's time was up; calls still in flight were cut off".into()),
        Err(error) => failed(&error),
    }
}

/// Binds the address, opens the database, serves until SIGTERM or SIGINT, and closes the database, also after an error.
async fn serve_on(config: &Config) -> Result<Serving, Failure> {
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}; --listen takes another address", config.listen))?;
    let store = Store::open(&config.database, Use::Serve).await?;
    let outcome = serve_store(config, listener, &store).await;
    // Closing merges SQLite's write-ahead log into its file. Tasks that still run after the drain may keep the database open, so the
    // wait is limited.
    if tokio::time::timeout(CLOSE_TIMEOUT, store.close()).await.is_err() {
        tracing::warn!(
            "the database was not closed in time; a SQLite database keeps its write-ahead log (`-wal`) until the next start"
        );
    }
    outcome
}

/// Prepares the database, and serves until SIGTERM or SIGINT.
async fn serve_store(config: &Config, listener: TcpListener, store: &Store) -> Result<Serving, Failure> {
    prepare_schema(store, config.migrate).await?;
    let app = App::new(store.clone(), Clock::system());
    #[cfg(debug_assertions)]
    if let Some(percent) = environment::state_losses() {
        app.lose_state(percent);
    }
    app.install_shipped_terms().await?;
    app.adopt_rules().await?;
    app.clean_staging().await?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!("stopping");
    };
    let listen = listener.local_addr()?;
    match config.setup.access {
        Access::Development => {
            output::remark("DEVELOPMENT MODE: callers name themselves and nobody checks; on loopback only");
            tracing::warn!(%listen, "serving in development mode, without authentication, on loopback");
        }
        Access::Guarded { .. } => tracing::info!(%listen, tls = config.setup.tls.is_some(), "serving"),
    }
    if let Some(warning) = config.setup.access.warning() {
        tracing::warn!("{warning}");
    }
    let ready = move || output::text(&format!("LISTENING {listen}"));
    crate::grpc::serve(app, listener, config.setup.clone(), ready, stop).await
}

/// Checks the schema of the database. SQLite is migrated first; PostgreSQL only with `--migrate`.
async fn prepare_schema(store: &Store, migrate: bool) -> Result<(), Failure> {
    if migrate || store.backend() == Backend::Sqlite {
        store.migrate().await?;
    }
    match store.version().await? {
        Version::Current => Ok(()),
        Version::Old(missing) => {
            let missing = missing.join(", ");
            Err(format!("the database lacks {missing}: run `tsio migrate --database URL`, or serve with --migrate")
                .into())
        }
        Version::Newer(unknown) => {
            let unknown = unknown.join(", ");
            Err(format!("the database is newer than this program: it has {unknown}; use the newer program").into())
        }
    }
}

/// Checks a configuration file, without the environment and flags. Prints a summary, or each mistake. Exits 1 if there is a
/// mistake.
#[must_use]
pub fn config(command: &ConfigCommand) -> ExitCode {
    let ConfigCommand::Check { config: path } = command;
    match Config::load(Some(path), ConfigOverrides::default()) {
        Ok(config) => {
            let callers = match &config.setup.access {
                Access::Development => "callers name themselves (development mode)".to_owned(),
                Access::Guarded { tokens, services } => {
                    let tokens =
                        tokens.as_ref().map_or("no tokens".to_owned(), |it| format!("tokens of {}", it.issuer));
                    format!("{tokens}, {} service(s) by certificate", services.len())
                }
            };
            if let Some(warning) = config.setup.access.warning() {
                output::remark(&format!("warning: {warning}"));
            }
            let tls = if config.setup.tls.is_some() { "TLS" } else { "no TLS" };
            output::remark(&format!("{}: no mistakes: {}, {tls}, {callers}", path.display(), config.listen));
            ExitCode::SUCCESS
        }
        Err(mistakes) => failed(&mistakes.into()),
    }
}

/// Migrates the schema of a database, and has its programmes adopt the rules of this version. Exits 1 on an error.
pub async fn migrate(args: MigrateArgs) -> ExitCode {
    telemetry::start();
    let migration = async {
        let store = Store::open(&args.database, Use::Serve).await?;
        let adopted = migrate_store(&store).await;
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, store.close()).await;
        adopted
    };
    match migration.await {
        Ok(adopted) => {
            for it in &adopted.expired {
                let (approval, action, by) = (it.id, &it.action, &it.requested_by);
                output::remark(&format!(
                    "approval {approval} ({action}, asked for by {by}) was open and has expired: ask again"
                ));
            }
            for programme in adopted.programmes {
                output::remark(&format!("programme {programme} has adopted the rules of this version"));
            }
            if let Some(imports) = adopted.imports.filter(|it| *it > 0) {
                output::remark(&format!("the register's record has begun, and adopted {imports} imports"));
            }
            output::remark("the schema is up to date");
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

/// Migrates the schema, and has the programmes adopt the rules of this version. Returns what changed.
async fn migrate_store(store: &Store) -> Result<Upgraded, Failure> {
    store.migrate().await?;
    Ok(App::new(store.clone(), Clock::system()).adopt_rules().await?)
}

/// Prints an error, and returns the exit code of a failure.
fn failed(error: &Failure) -> ExitCode {
    if let Some(cause) = error.source() {
        tracing::warn!(%cause, "the cause of the error");
    }
    output::remark(&format!("error: {error}"));
    ExitCode::FAILURE
}
