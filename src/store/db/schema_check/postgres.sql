-- Lists the things of a PostgreSQL schema: one row for each thing, as `kind TAB table TAB name TAB definition`.
-- Reads only catalogs that every role may read.
WITH home AS (
    SELECT n.oid, n.nspname, quote_ident(n.nspname) || '.' AS prefix
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass('books')
), relations AS (
    SELECT c.* FROM pg_class c JOIN home ON home.oid = c.relnamespace
), things (kind, of_table, name, definition) AS (
    SELECT CASE c.relkind WHEN 'r' THEN 'table' ELSE 'relation' END, c.relname, '',
        concat_ws(' ',
            CASE WHEN c.relkind <> 'r' THEN 'relkind ' || c.relkind::text END,
            CASE c.relpersistence WHEN 'p' THEN 'kept' WHEN 'u' THEN 'unlogged' ELSE 'temporary' END,
            CASE WHEN c.relrowsecurity THEN 'with row security' END,
            CASE WHEN NOT pg_table_is_visible(c.oid) THEN 'hidden by another of the same name' END)
    FROM relations c WHERE c.relkind NOT IN ('i', 'I', 't', 'c')
    UNION ALL
    SELECT 'column', c.relname, a.attname,
        concat_ws(' ', format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attcollation NOT IN (0, (SELECT oid FROM pg_collation WHERE collname = 'default'))
                THEN 'COLLATE ' || a.attcollation::regcollation::text END,
            CASE WHEN a.attnotnull THEN 'NOT NULL' END,
            CASE WHEN a.attidentity <> '' THEN 'identity ' || a.attidentity::text END,
            CASE WHEN a.attgenerated <> '' THEN 'generated' END,
            'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid))
    FROM relations c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind = 'r'
    UNION ALL
    -- NOT NULL is listed with its column. PostgreSQL 18 has it as a constraint as well, which is left out here.
    SELECT 'constraint', c.relname, k.conname, pg_get_constraintdef(k.oid)
    FROM relations c JOIN pg_constraint k ON k.conrelid = c.oid
    WHERE c.relkind = 'r' AND k.contype NOT IN ('n', 't')
    UNION ALL
    -- Foreign keys that refer to these tables, also from other schemas: they prevent the deletion of rows.
    SELECT 'reference', c.relname, k.conrelid::regclass::text || ' ' || k.conname, pg_get_constraintdef(k.oid)
    FROM relations c JOIN pg_constraint k ON k.confrelid = c.oid AND k.contype = 'f'
    UNION ALL
    -- Rows of a child are read as rows of its parent.
    SELECT 'child', c.relname, i.inhrelid::regclass::text, 'inherits'
    FROM relations c JOIN pg_inherits i ON i.inhparent = c.oid WHERE c.relkind = 'r'
    UNION ALL
    SELECT CASE WHEN i.indisunique OR i.indisexclusion THEN 'unique index' ELSE 'index' END, c.relname, x.relname,
        concat_ws(' ', pg_get_indexdef(i.indexrelid),
            CASE WHEN NOT i.indisvalid OR NOT i.indisready OR NOT i.indislive THEN 'not valid' END,
            CASE WHEN NOT i.indimmediate THEN 'deferred' END)
    FROM relations c JOIN pg_index i ON i.indrelid = c.oid JOIN pg_class x ON x.oid = i.indexrelid
    WHERE c.relkind = 'r'
    UNION ALL
    SELECT 'trigger', c.relname, t.tgname,
        pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE ' (tgenabled ' || t.tgenabled::text || ')' END
    FROM relations c JOIN pg_trigger t ON t.tgrelid = c.oid
    WHERE c.relkind = 'r' AND NOT t.tgisinternal
    UNION ALL
    -- PostgreSQL enforces a foreign key by an internal trigger, which can be disabled as well.
    SELECT 'trigger', c.relname, k.conname, 'of a foreign key: tgenabled ' || t.tgenabled::text
    FROM relations c JOIN pg_trigger t ON t.tgrelid = c.oid JOIN pg_constraint k ON k.oid = t.tgconstraint
    WHERE c.relkind = 'r' AND t.tgisinternal AND t.tgenabled <> 'O'
    UNION ALL
    SELECT 'rule', c.relname, r.rulename, pg_get_ruledef(r.oid)
    FROM relations c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE c.relkind = 'r'
    UNION ALL
    SELECT 'policy', c.relname, p.polname, 'of row security'
    FROM relations c JOIN pg_policy p ON p.polrelid = c.oid
    UNION ALL
    SELECT 'function', '', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
        concat_ws(' ', pg_get_function_result(p.oid), l.lanname,
            CASE WHEN p.prosecdef THEN 'security definer' END, array_to_string(p.proconfig, ' '), btrim(p.prosrc))
    FROM pg_proc p JOIN home ON home.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    UNION ALL
    SELECT 'setting', '', 'session_replication_role', setting
    FROM pg_settings WHERE name = 'session_replication_role' AND setting <> 'origin'
    UNION ALL
    -- Settings of roles and databases that set `session_replication_role` when a session begins. It can switch triggers off.
    SELECT 'setting', '', concat_ws(' ', 'of', r.rolname, d.datname), c.setting
    FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS c (setting)
    LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase
    WHERE c.setting LIKE 'session_replication_role=%' AND (d.oid IS NULL OR d.datname = current_database())
    UNION ALL
    SELECT 'extension', '', e.extname, e.extversion FROM pg_extension e WHERE e.extname <> 'plpgsql'
    UNION ALL
    SELECT 'statistics', c.relname, s.stxname, 'CREATE STATISTICS'
    FROM relations c JOIN pg_statistic_ext s ON s.stxrelid = c.oid
)
SELECT concat_ws(E'\t', kind, of_table, name,
    replace(replace(replace(definition, prefix, ''), E'\t', ' '), E'\n', ' ')) AS thing
FROM things CROSS JOIN home
ORDER BY kind COLLATE "C", of_table COLLATE "C", name COLLATE "C", definition COLLATE "C"
