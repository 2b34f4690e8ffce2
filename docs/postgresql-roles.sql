-- Creates two roles for tsio on PostgreSQL: an owner, which migrates, and a serving role, which cannot remove a guard or
-- change the record. It works on a new installation, and on one that has one role.
--
-- Run by an administrator of the cluster, in the database of tsio, with no server and no migration running:
--
--   psql -X -v ON_ERROR_STOP=1 -v owner=tsio_owner -v server=tsio -d tsio -f docs/postgresql-roles.sql
--
-- Run it again after each `tsio migrate`. It changes only what is not correct yet. It creates missing roles without a password.
-- It works in the schema that contains the tables, or in `public` if there are no tables yet. If two schemas contain them, it
-- uses the one on the search path, and stops if neither is on it.

BEGIN;

SELECT format('CREATE ROLE %I LOGIN', name)
FROM (VALUES (:'owner'), (:'server')) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec

SELECT set_config('tsio.owner', :'owner', TRUE), set_config('tsio.server', :'server', TRUE),
    set_config('tsio.home', COALESCE((SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = to_regclass('books')), (SELECT n.nspname FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = 'books' AND c.relkind = 'r'), 'public'), TRUE)
\g /dev/null

DO $$
DECLARE
    owner TEXT := current_setting('tsio.owner');
    server TEXT := current_setting('tsio.server');
    home TEXT := current_setting('tsio.home');
    it RECORD;
BEGIN
    IF owner = server THEN
        RAISE EXCEPTION 'the owner and the serving role must be two roles, got % twice', owner;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = server
        AND (rolsuper OR rolcreaterole OR rolreplication OR rolbypassrls)) THEN
        RAISE EXCEPTION 'the serving role % must have no SUPERUSER, CREATEROLE, REPLICATION or BYPASSRLS', server;
    END IF;

    -- The owner takes over what the serving role owned. The serving role must not be a member of the owner.
    FOR it IN SELECT DISTINCT r.rolname AS granted FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
        JOIN pg_roles u ON u.oid = m.member WHERE u.rolname = server LOOP
        IF it.granted = owner THEN
            EXECUTE format('REVOKE %I FROM %I', owner, server);
        ELSIF pg_has_role(it.granted, owner, 'MEMBER') THEN
            RAISE EXCEPTION 'the serving role % is a member of %, which is one of %', server, it.granted, owner;
        END IF;
    END LOOP;
    EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), owner);
    -- The owner of a schema may drop everything in it, even if another role owns that.
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = home AND pg_has_role(server::NAME, nspowner, 'MEMBER')) THEN
        EXECUTE format('ALTER SCHEMA %I OWNER TO %I', home, owner);
    END IF;
    -- PostgreSQL looks first in a schema that is named like the current role. So the owner would not find a schema with another
    -- name, such as that of the serving role, and migrating would create a second set of tables.
    IF home <> 'public' THEN
        EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = %I', owner, current_database(), home);
    END IF;
    FOR it IN SELECT c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = home AND c.relkind IN ('r', 'p') AND NOT EXISTS
            (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') LOOP
        EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', home, it.relname, owner);
    END LOOP;
    FOR it IN SELECT p.oid::regprocedure AS function FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = home AND p.proname = 'append_only' LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO %I', it.function, owner);
    END LOOP;

    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, %I', home, server);
    EXECUTE format('REVOKE CREATE ON DATABASE %I FROM PUBLIC, %I', current_database(), server);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', home, owner);
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', home, server);
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), server);

    -- The rights that the server needs on each table. Tables whose rows it never changes get no UPDATE. Tables whose rows it never
    -- removes get no DELETE.
    FOR it IN SELECT c.oid, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = home AND c.relkind = 'r' AND pg_get_userbyid(c.relowner) = owner LOOP
        EXECUTE format('REVOKE ALL ON %I.%I FROM PUBLIC, %I', home, it.relname, server);
        EXECUTE format('GRANT %s ON %I.%I TO %I', CASE
            WHEN it.relname = 'seaql_migrations' THEN 'SELECT'
            WHEN it.relname = 'terms' THEN 'SELECT, INSERT'
            WHEN EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                WHERE t.tgrelid = it.oid AND p.proname = 'append_only') THEN 'SELECT, INSERT'
            WHEN it.relname = 'texts' OR it.relname LIKE '%\_rows' OR it.relname = 'import_problems'
                THEN 'SELECT, INSERT, DELETE'
            WHEN it.relname IN ('imports', 'schools', 'trusts') THEN 'SELECT, INSERT, UPDATE, DELETE'
            ELSE 'SELECT, INSERT, UPDATE'
            END, home, it.relname, server);
    END LOOP;
    -- The serving role can use tables of a later migration at once. Run this script again to restrict its rights.
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I',
        owner, home, server);
END $$;

COMMIT;
