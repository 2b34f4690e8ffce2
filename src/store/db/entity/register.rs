//! Declares the tables of reference data: imports, the rows of each file, the search by name, and the register's lock.

entity! {
    /// One import of one file.
    import = "imports" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        kind: String,
        as_at: Date,
        state: String,
        file_name: String,
        sha256: Vec<u8>,
        rows: i64,
        accepted: i64,
        more_problems: i64,
        imported_by: String,
        imported_at: i64,
        withdrawn_by: Option<String>,
        withdrawn_reason: Option<String>,
        replaced_by: Option<Uuid>,
        indexed: bool,
    }
}

entity! {
    /// The problems of a file's rows, and the notes about the file.
    problem = "import_problems" {
        #[sea_orm(primary_key, auto_increment = false)] import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] ordinal: i64,
        line: i64,
        column_name: String,
        reason: String,
    }
}

entity! {
    /// GIAS groups.
    group_row = "group_rows" {
        #[sea_orm(primary_key, auto_increment = false)] import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] uid: i64,
        group_id: Option<String>,
        name: String,
        companies_house: Option<String>,
        kind: i64,
        kind_name: String,
        status: String,
        opened_on: Option<Date>,
        closed_on: Option<Date>,
    }
}

entity! {
    /// GIAS group membership.
    membership_row = "membership_rows" {
        #[sea_orm(primary_key, auto_increment = false)] import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] urn: i64,
        #[sea_orm(primary_key, auto_increment = false)] uid: i64,
        group_name: String,
        kind: i64,
        kind_name: String,
        status: String,
        joined_on: Option<Date>,
        school_name: String,
        school_type: String,
        phase: String,
        la_code: i64,
    }
}

entity! {
    /// GIAS links.
    link_row = "link_rows" {
        #[sea_orm(primary_key, auto_increment = false)] import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] urn: i64,
        #[sea_orm(primary_key, auto_increment = false)] link_urn: i64,
        link_name: String,
        #[sea_orm(primary_key, auto_increment = false)] link_type: String,
        linked_on: Option<Date>,
    }
}

entity! {
    /// GIAS establishments.
    establishment_row = "establishment_rows" {
        #[sea_orm(primary_key, auto_increment = false)] import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] urn: i64,
        la_code: i64,
        laestab: Option<i64>,
        name: String,
        school_type: String,
        type_group: String,
        status: String,
        opened_on: Option<Date>,
        closed_on: Option<Date>,
        phase: String,
        diocese: Option<String>,
    }
}

entity! {
    /// Rows of Ofsted's monthly files.
    ofsted_row = "ofsted_rows" {
        #[sea_orm(primary_key, auto_increment = false)] import_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] urn: i64,
        name: String,
        laestab: i64,
        school_type: String,
        phase: String,
        opened_on: Option<Date>,
        trust_uid: Option<i64>,
        cur_number: Option<String>,
        cur_urn: Option<i64>,
        cur_started: Option<Date>,
        cur_ended: Option<Date>,
        cur_published: Option<Date>,
        cur_grade: Option<i64>,
        prev_number: Option<String>,
        prev_urn: Option<i64>,
        prev_started: Option<Date>,
        prev_ended: Option<Date>,
        prev_published: Option<Date>,
        prev_grade: Option<i64>,
    }
}

entity! {
    /// Schools for the search by name.
    school = "schools" {
        #[sea_orm(primary_key, auto_increment = false)] urn: i64,
        search: String,
    }
}

entity! {
    /// Trusts for the search by name.
    trust = "trusts" {
        #[sea_orm(primary_key, auto_increment = false)] uid: i64,
        search: String,
    }
}

entity! {
    /// The single row that imports, withdrawals and commands that depend on reference data lock. It has the head of the register's
    /// record.
    lock = "register_lock" {
        #[sea_orm(primary_key, auto_increment = false)] id: i64,
        next_seq: i64,
        head: Option<Vec<u8>>,
    }
}
