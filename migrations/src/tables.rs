//! Descriptions of the tables. `docs/reference/schema.md` is generated from them and from the migrated schema, in this
//! order.

/// The title of a group of tables, and its tables, each with its name and a description.
pub type Group = (&'static str, &'static [(&'static str, &'static str)]);

/// Every table of the schema.
pub const TABLES: [Group; 5] = [
    (
        "The record of each programme",
        &[
            (
                "terms",
                "The scheme of each programme, as the text of the file that was loaded. A text is never changed.",
            ),
            (
                "books",
                "One row for each programme: the head of its record, and the next numbers. Every change of the programme locks it \
                 first.",
            ),
            (
                "events",
                "The record: one row for each event, numbered without gaps, each hashed onto the one before, with its entries of caps \
                 (`cap_entries`). Rows are only added.",
            ),
            (
                "texts",
                "Free text of events. It is stored apart so that it can be erased; the event has only its salted hash.",
            ),
            (
                "requests",
                "The answer to the first success of each mutation, by caller and request id. A repeated request gets it again. Empty \
                 while the approval that the call opened waits for its answer.",
            ),
        ],
    ),
    (
        "Offers and what two people decide",
        &[
            ("offers", "The current state of each offer."),
            ("offer_schools", "The schools of each offer, with the rules by which each is eligible."),
            ("contacts", "Contacts about each offer: with whom and when, by the event that recorded it."),
            ("placements", "Schools that a person has placed, because the register does not place them."),
            (
                "approvals",
                "Actions that wait for a second person, or were answered by one. An approval without a programme is about reference data.",
            ),
            (
                "referrals",
                "Schools and trusts that come forward, or are put forward, although the monthly files do not make them eligible.",
            ),
            ("entry_decisions", "Entry positions that two people decided, because the files cannot say."),
        ],
    ),
    (
        "Money and days",
        &[
            (
                "accounts",
                "Each limit with its balances: a fund, or the cap of an offer for one strand. The four balances add up to 0; `outside` is \
                 minus what was put in. `days` are the daily changes of a cap.",
            ),
            (
                "entries",
                "The ledger: movements of an amount between two balances of a fund. Each belongs to an event, whose hash covers it. The \
                 numbers that are missing here are those of the entries of caps, which are with their events. Older entries of caps are \
                 here too. Rows are only added.",
            ),
            (
                "account_days",
                "By how much the entries of each effective date changed what is available in a fund that binds. The changes of a cap are \
                 in its own row.",
            ),
            (
                "awards",
                "Support that was promised under an offer, and how much of it was drawn, released and refunded.",
            ),
            ("bookings", "Days of an award that were booked for a date. The number of a booking is that of its event."),
            ("invoices", "Invoices, or parts of one, that were paid under an award, by the event that paid them."),
        ],
    ),
    (
        "Reference data",
        &[
            (
                "register_lock",
                "One row, which is locked by calls that land or withdraw an import and by identify. It holds the head of the register's \
                 record.",
            ),
            (
                "register_events",
                "The register's record: one row for each event, hashed as in `events`. Rows are only added.",
            ),
            (
                "register_salts",
                "The salts of the texts of these events. The texts are with the approvals and the withdrawn imports.",
            ),
            ("imports", "Each file that was imported. Its rows count only while its state is `landed`."),
            (
                "import_problems",
                "Rows of an imported file that could not be used, and notes on the file, in their order.",
            ),
            ("group_rows", "Rows of files of groups: trusts and federations."),
            ("membership_rows", "Rows of files of group membership: which school is in which trust."),
            ("link_rows", "Rows of files of links: which school follows which."),
            ("establishment_rows", "Rows of files of establishments: the schools."),
            ("ofsted_rows", "Rows of Ofsted's monthly files: the latest judgement of a school, and the one before."),
            ("schools", "The names of schools for searching, in lower case, from the newest file that has the school."),
            ("trusts", "The names of multi-academy and single-academy trusts for searching, in the same way."),
        ],
    ),
    (
        "The schema itself",
        &[("seaql_migrations", "Which migrations have been applied, and when, in seconds since 1970.")],
    ),
];
