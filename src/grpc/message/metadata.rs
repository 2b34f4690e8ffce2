//! Makes the metadata of `google.rpc.ErrorInfo`. It names the subject of an error, for programs that read neither texts
//! nor our own details.

use crate::domain::refusal::{EntityKind, Limit, Refusal};

/// A key and its value.
pub(in crate::grpc) type Item = (Key, String);

/// Declares the enum of the keys and the texts of each key, in the order of the reference documentation.
macro_rules! keys {
    ($($variant:ident = $name:literal, $meaning:literal;)+) => {
        /// A key of the metadata.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(in crate::grpc) enum Key { $(#[doc = $meaning] $variant),+ }

        impl Key {
            /// Returns the key as it is sent, in lower_snake case.
            pub(in crate::grpc) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }

        /// Every key, with the meaning of its value.
        pub const KEYS: &[(&str, &str)] = &[$(($name, $meaning)),+];
    };
}

#[rustfmt::skip]
keys! {
    Approval  = "approval_id",  "The id of an approval.";
    Award     = "award_id",     "The id of an award.";
    Booking   = "booking",      "The number of the event that recorded a booking; `award_id` is its award.";
    Contact   = "contact",      "The number of the event that recorded a contact; `offer_id` is its offer.";
    Event     = "event",        "The number of an event of the record.";
    Fund      = "fund_id",      "The id of a fund.";
    Ground    = "ground",       "The name of a ground of the terms.";
    Import    = "import_id",    "The id of an import.";
    ImportRow = "import_row",   "A row of an import, as files name it: `URN 100000`; `import_id` is the import.";
    Invoice   = "invoice",      "The reference of an invoice; `award_id` is the award that it pays.";
    Leader    = "leader",       "The id of a leader.";
    Offer     = "offer_id",     "The id of an offer.";
    Programme = "programme",    "The name of a programme: `2021-22`.";
    Referral  = "referral_id",  "The id of a referral.";
    School    = "urn",          "The URN of a school.";
    Strand    = "strand",       "The name of a strand of the terms, also that of a cap, a fund or an award.";
    Trust     = "uid",          "The group UID of a trust.";
    Window    = "window",       "What a window of the terms is for: `award window`; `programme` is its programme.";
    LimitKind = "limit_kind",   "The kind of the limit, as `Limit.kind`.";
    Unit      = "unit",         "What the numbers count: `pence` or `half_days`.";
    Limit     = "limit",        "The limit.";
    Committed = "committed",    "What is committed against it.";
    Spent     = "spent",        "What is spent against it.";
    Available = "available",    "What is left of it.";
    Requested = "requested",    "What was asked for.";
    Largest   = "largest",      "The largest amount that this limit alone would have let pass.";
}

/// Returns the key of an entity of this kind.
const fn entity_key(kind: EntityKind) -> Key {
    match kind {
        EntityKind::Approval => Key::Approval,
        EntityKind::Award => Key::Award,
        EntityKind::Booking => Key::Booking,
        EntityKind::Contact => Key::Contact,
        EntityKind::Event => Key::Event,
        EntityKind::Fund => Key::Fund,
        EntityKind::Ground => Key::Ground,
        EntityKind::Import => Key::Import,
        EntityKind::ImportRow => Key::ImportRow,
        EntityKind::Invoice => Key::Invoice,
        EntityKind::Leader => Key::Leader,
        EntityKind::Offer => Key::Offer,
        EntityKind::Programme => Key::Programme,
        EntityKind::Referral => Key::Referral,
        EntityKind::School => Key::School,
        EntityKind::Strand => Key::Strand,
        EntityKind::Trust => Key::Trust,
        EntityKind::Window => Key::Window,
    }
}

/// The most bytes of a value.
pub(in crate::grpc) const MAX_VALUE: usize = 256;

/// Makes the metadata of entities that do not exist: their ids, separated by commas, under the key of their kind. The
/// first id is always there. A further id is left out if it does not fit in [`MAX_VALUE`].
pub(in crate::grpc) fn for_missing_entities(kind: EntityKind, ids: &[String]) -> Vec<Item> {
    let mut value = String::new();
    for id in ids {
        let separator = if value.is_empty() { "" } else { ", " };
        if !value.is_empty() && value.len() + separator.len() + id.len() > MAX_VALUE {
            break;
        }
        value.push_str(separator);
        value.push_str(id);
    }
    vec![(entity_key(kind), value)]
}

/// Makes the metadata of a refusal from its first limit, which is the limit that the reason is about: the subject, the
/// kind, and the numbers of the limit. Empty if the refusal has no limit.
pub(in crate::grpc) fn for_refusal(refusal: &Refusal) -> Vec<Item> {
    refusal.limits.first().map(for_limit).unwrap_or_default()
}

fn for_limit(limit: &Limit) -> Vec<Item> {
    let subject = &limit.subject;
    let id = subject.id().map(|id| (entity_key(subject.kind()), id));
    let part_of = subject.part_of().map(|(kind, id)| (entity_key(kind), id));
    let strand = subject.strand().map(|it| (Key::Strand, it.to_string()));
    let unit = limit.unit.map(|it| (Key::Unit, it.name().to_owned()));
    let numbers = [
        (Key::Limit, limit.limit),
        (Key::Committed, limit.committed),
        (Key::Spent, limit.spent),
        (Key::Available, limit.available),
        (Key::Requested, limit.requested),
        (Key::Largest, limit.largest),
    ];
    let numbers = numbers.into_iter().filter_map(|(key, number)| Some((key, number?.to_string())));
    let texts = [id, part_of, strand, Some((Key::LimitKind, limit.kind.name().to_owned())), unit];
    texts.into_iter().flatten().chain(numbers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::OfferId;
    use uuid::Uuid;

    /// Six UUIDs with a comma and a space between them are 226 bytes, seven are 264.
    #[test]
    fn an_id_that_does_not_fit_is_left_out_whole() {
        let ids: Vec<String> = (1..=7).map(|number| OfferId(Uuid::from_u128(number)).to_string()).collect();
        let items = for_missing_entities(EntityKind::Offer, &ids);
        assert_eq!(items, [(Key::Offer, ids[..6].join(", "))]);
        assert_eq!(for_missing_entities(EntityKind::Offer, &ids[..2]), [(Key::Offer, ids[..2].join(", "))]);
    }
}
