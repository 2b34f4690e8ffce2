//! An installation with two roles on PostgreSQL. One role owns the schema. The other role serves, and cannot drop
//! triggers or constraints. The documented script moves an installation from one role to two.

use uuid::Uuid;

use crate::client::{Client, YEAR, fresh};
use crate::fixtures::casework;
use crate::harness::{Db, Server, cli, run, tsio};
use crate::raw_sql::{RawSql, verified_heads, verified_length};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/postgresql-roles.sql");
/// The errors that the serving role gets.
const REFUSED: [&str; 2] = ["permission denied", "must be owner"];

/// A database with its own owner and its own serving role. Dropping it drops the roles too.
struct TwoRoles {
    db: Db,
    owner: String,
    server: String,
    /// The schema that has the tables.
    schema: &'static str,
}

impl TwoRoles {
    /// An installation with one role, which owns everything and serves.
    fn before_separation() -> Self {
        Self::in_schema("public")
    }

    /// The same as [`Self::before_separation`], with the tables in this schema. The search path of the serving role has
    /// this schema; that of the administrator has only `public`.
    fn in_schema(schema: &'static str) -> Self {
        let db = Db::postgres();
        let [owner, server] = ["owner", "server"].map(|name| format!("{name}_{}", Uuid::new_v4().simple()));
        let name = db.url().rsplit('/').next().unwrap().to_owned();
        db.psql(&format!("CREATE ROLE {server} LOGIN"));
        db.psql(&format!("ALTER DATABASE {name} OWNER TO {server}"));
        db.psql("DROP SCHEMA public CASCADE");
        db.psql("CREATE SCHEMA public AUTHORIZATION pg_database_owner");
        if schema != "public" {
            db.psql(&format!("CREATE SCHEMA {schema} AUTHORIZATION {server}"));
            db.psql(&format!("ALTER ROLE {server} IN DATABASE {name} SET search_path = {schema}"));
        }
        let it = Self { db, owner, server, schema };
        it.migrate_as(&it.server);
        it
    }

    /// Runs the script that moves the installation to two roles.
    fn separate(&self) {
        self.db.psql_file(SCRIPT, &[("owner", &self.owner), ("server", &self.server)]);
    }

    fn url_of(&self, role: &str) -> String {
        self.db.url().replace("postgres://tsio@", &format!("postgres://{role}@"))
    }

    fn migrate_as(&self, role: &str) {
        let migrated = tsio(&["migrate", "--database", &self.url_of(role)]);
        assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    }

    fn serve(&self) -> Server {
        Server::start_at(&self.db, &self.url_of(&self.server))
    }

    async fn connect(&self, role: &str) -> RawSql {
        RawSql::at(&self.url_of(role)).await
    }
}

impl Drop for TwoRoles {
    fn drop(&mut self) {
        for role in [&self.server, &self.owner] {
            let exists = self.db.psql(&format!("SELECT 1 FROM pg_roles WHERE rolname = '{role}'"));
            if !exists.is_empty() {
                self.db.psql(&format!("REASSIGN OWNED BY {role} TO tsio"));
                self.db.psql(&format!("DROP OWNED BY {role}"));
                self.db.psql(&format!("DROP ROLE {role}"));
            }
        }
    }
}

/// SQL that the serving role must not be able to run: it would change the record, or the triggers and constraints that
/// protect it.
const FORBIDDEN: [&str; 18] = [
    "UPDATE events SET actor = 'nobody'",
    "DELETE FROM events",
    "TRUNCATE events CASCADE",
    "DROP TABLE events CASCADE",
    "UPDATE entries SET amount = amount + 1",
    "DELETE FROM entries",
    "UPDATE terms SET loaded_by = 'nobody'",
    "DELETE FROM offers",
    "DELETE FROM requests",
    "UPDATE texts SET text = 'never said'",
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TRIGGER events_are_not_changed ON events",
    "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "ALTER TABLE offers DROP CONSTRAINT offers_state_check",
    "DROP INDEX one_offer_a_recipient",
    "CREATE TABLE mine (id INT)",
    "INSERT INTO seaql_migrations VALUES ('m9999_mine', 0)",
    "SET session_replication_role = replica",
];

/// Checks that the serving role can run none of [`FORBIDDEN`].
async fn check_forbidden(roles: &TwoRoles) {
    let mut raw_sql = roles.connect(&roles.server).await;
    for attempt in FORBIDDEN {
        let refused = raw_sql.run(attempt).await.expect_err(attempt);
        assert!(REFUSED.iter().any(|it| refused.contains(it)), "{attempt}: {refused}");
    }
    let drop_all = format!("DROP SCHEMA {} CASCADE", roles.schema);
    let refused = raw_sql.run(&drop_all).await.expect_err(&drop_all);
    assert!(refused.contains("must be owner"), "{refused}");
}

#[test]
fn the_script_moves_an_installation_from_one_role_to_two() {
    run(async {
        let roles = TwoRoles::before_separation();
        let mut server = roles.serve();
        let offer = Client::of(&server).await.seed().await.remove(0).offer;
        server.stop();
        let before = verified_heads(&roles.db);

        roles.separate();
        assert_eq!(verified_heads(&roles.db), before, "the script changes neither the record nor the schema");
        check_forbidden(&roles).await;
        let server = roles.serve();
        Client::of(&server).await.note(&offer, "as the serving role", &fresh()).await.unwrap();
        assert_eq!(verified_length(&roles.db), before[0].sequence + 1);

        // Running it again changes nothing, and the owner can still migrate.
        let granted = "SELECT string_agg(relname || relacl::text || relowner::regrole, ',' ORDER BY relname) FROM pg_class \
                       WHERE relnamespace = 'public'::regnamespace";
        let rights = roles.db.psql(granted);
        roles.separate();
        assert_eq!(roles.db.psql(granted), rights);
        roles.migrate_as(&roles.owner);
    });
}

/// The serving role has created the schema. As the owner of the schema it could drop every table, so the script must
/// change the owner.
#[test]
fn the_script_gives_the_schema_to_the_owner() {
    run(async {
        let roles = TwoRoles::in_schema("casework");
        let mut server = roles.serve();
        let offer = Client::of(&server).await.seed().await.remove(0).offer;
        server.stop();
        roles.separate();
        let owner = roles.db.psql("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'casework'");
        assert_eq!(owner, roles.owner);
        check_forbidden(&roles).await;
        roles.migrate_as(&roles.owner);
        let schemas = roles.db.psql("SELECT string_agg(schemaname, ',') FROM pg_tables WHERE tablename = 'events'");
        assert_eq!(schemas, "casework", "the migration of the owner makes no second table");
        let server = roles.serve();
        Client::of(&server).await.note(&offer, "as the serving role", &fresh()).await.unwrap();
    });
}

/// A server whose role owns nothing does the whole casework, and a second server reads the result.
#[test]
fn the_serving_role_does_all_the_work() {
    run(async {
        let roles = TwoRoles::before_separation();
        roles.separate();
        let (mut server, other) = (roles.serve(), roles.serve());
        casework::carry_out(Client::of(&server).await.channel()).await;
        let client = Client::of(&other).await;
        assert!(!client.list(YEAR).await.is_empty());
        let terms = cli(&other, &["terms", "list"]);
        assert_eq!(terms.code, 0, "{}", terms.stderr);
        let verified = tsio(&["verify", "--database", &roles.url_of(&roles.server)]);
        assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
        check_forbidden(&roles).await;
        server.stop();
        let log = server.stderr();
        assert!(!log.contains("permission denied") && !log.contains("must be owner"), "{log}");
    });
}

/// The owner creates a table, as a migration would. The serving role can use the new table immediately, with too many
/// privileges. Running the script again leaves only the needed privileges.
#[test]
fn the_serving_role_can_use_a_table_of_a_later_migration() {
    run(async {
        let roles = TwoRoles::before_separation();
        roles.separate();
        let mut owner = roles.connect(&roles.owner).await;
        owner.run("CREATE TABLE later (id BIGINT PRIMARY KEY)").await.unwrap();
        let mut server = roles.connect(&roles.server).await;
        server.run("INSERT INTO later VALUES (1); DELETE FROM later").await.unwrap();
        roles.separate();
        server.run("INSERT INTO later VALUES (2); UPDATE later SET id = 3").await.unwrap();
        assert!(server.run("DELETE FROM later").await.unwrap_err().contains("permission denied"));
        // The serving role does not migrate.
        owner.run("DROP TABLE later; DELETE FROM seaql_migrations WHERE version = 'm0014_erased'; DROP INDEX texts_erased")
            .await
            .unwrap();
        let refused = tsio(&["migrate", "--database", &roles.url_of(&roles.server)]);
        assert_eq!(refused.code, 1, "{}", refused.stdout);
        roles.migrate_as(&roles.owner);
        roles.serve();
    });
}
