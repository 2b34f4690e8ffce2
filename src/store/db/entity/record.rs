//! Declares the tables of the terms and of the current state that events fold to.

entity! {
    /// The terms of each programme, as loaded.
    terms = "terms" {
        #[sea_orm(primary_key, auto_increment = false)] programme: String,
        text: String,
        sha256: Vec<u8>,
        loaded_by: String,
        loaded_at: i64,
    }
}

entity! {
    /// Offers in their current state.
    offer = "offers" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        programme: String,
        recipient_kind: String,
        recipient: i64,
        name: String,
        region: String,
        state: String,
        assignee: Option<String>,
        outcome: Option<String>,
        before_close: Option<String>,
        accepted_by: Option<String>,
        accepted_on: Option<Date>,
        started_on: Option<Date>,
        trust_uid: Option<i64>,
        responsible: String,
        terms_sha256: Vec<u8>,
        search: String,
        made_at: i64,
    }
}

entity! {
    /// The schools of each offer.
    offer_school = "offer_schools" {
        #[sea_orm(primary_key, auto_increment = false)] offer_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)] urn: i64,
        programme: String,
        name: String,
        rules: String,
        open: bool,
    }
}

entity! {
    /// The contacts of each offer.
    contact = "contacts" {
        #[sea_orm(primary_key, auto_increment = false)] programme: String,
        #[sea_orm(primary_key, auto_increment = false)] seq: i64,
        offer_id: Uuid,
        party: String,
        urn: Option<i64>,
        happened_on: Date,
        corrected_by: Option<i64>,
    }
}

entity! {
    /// Schools placed by hand.
    placement = "placements" {
        #[sea_orm(primary_key, auto_increment = false)] programme: String,
        #[sea_orm(primary_key, auto_increment = false)] urn: i64,
        kind: String,
        uid: Option<i64>,
        seq: i64,
    }
}

entity! {
    /// Decisions about entry positions.
    entry_decision = "entry_decisions" {
        #[sea_orm(primary_key, auto_increment = false)] programme: String,
        #[sea_orm(primary_key, auto_increment = false)] urn: i64,
        met: bool,
        approval: Uuid,
        decided_on: Date,
        seq: i64,
    }
}

entity! {
    /// Approvals, open or answered.
    approval = "approvals" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        programme: Option<String>,
        action: String,
        subject: Uuid,
        change: Option<String>,
        statement: Option<String>,
        expires_at: Option<i64>,
        opened_seq: Option<i64>,
        reason: Option<String>,
        state: String,
        requested_by: String,
        requested_key: Option<String>,
        requested_subject: Option<Vec<u8>>,
        request_id: Option<Uuid>,
        requested_at: i64,
        given_by: Option<String>,
        given_key: Option<String>,
        given_subject: Option<Vec<u8>>,
        denied_seq: Option<i64>,
        denied_reason: Option<String>,
        region: Option<String>,
    }
}

entity! {
    /// Referrals of schools and trusts.
    referral = "referrals" {
        #[sea_orm(primary_key, auto_increment = false)] id: Uuid,
        programme: String,
        subject: String,
        urns: String,
        name: String,
        region: String,
        origin: String,
        rule: String,
        ground: String,
        state: String,
        raised_by: String,
        raised_key: Option<String>,
        raised_subject: Option<Vec<u8>>,
        raised_on: Date,
        raised_seq: i64,
        discussions: String,
        decided_by: Option<String>,
        decided_key: Option<String>,
        decided_subject: Option<Vec<u8>>,
        decided_on: Option<Date>,
        decided_seq: Option<i64>,
        offer_id: Option<Uuid>,
        exceptional: String,
        version: i64,
    }
}
