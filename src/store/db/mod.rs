//! Contains the parts that every table shares: transactions, errors, the schema, and tools to write SQL and to decode rows.

pub(in crate::store) mod answer_check;
pub(in crate::store) mod batch_connection;
pub(in crate::store) mod batch_write;
pub(in crate::store) mod bulk_sql;
pub(in crate::store) mod column_values;
pub(in crate::store) mod commit_notices;
pub mod condition;
pub(in crate::store) mod entity;
pub(in crate::store) mod error;
pub(in crate::store) mod free_space;
pub mod guarded_write;
pub(in crate::store) mod held_connections;
pub(in crate::store) mod multi_query;
pub mod notify;
pub mod page;
pub(in crate::store) mod page_copy;
pub(in crate::store) mod pg_date;
pub(in crate::store) mod row;
pub mod schema;
pub mod schema_check;
pub(in crate::store) mod transaction;
pub(in crate::store) mod write_health;
