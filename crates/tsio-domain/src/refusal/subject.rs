//! Defines the entities that refusals name: the kinds of entities, and the subject of a limit.

use std::fmt;

use crate::ids::{AccountId, Actor, ApprovalId, AwardId, ImportId, OfferId, Programme, ReferralId, Uid, Urn};
use crate::region::Region;
use crate::terms::{DateRange, StrandId};
use crate::values::offer::Recipient;
use crate::values::record::Seq;
use crate::values::reference::Reference;
use crate::values::referral::ReferralSubject;

/// A kind of entity that a command can name or that can have a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntityKind {
    /// An approval, by its id.
    Approval,
    /// An award, by its id.
    Award,
    /// A booking of an award, by the number of its event.
    Booking,
    /// A contact of an offer, by the number of its event.
    Contact,
    /// An event of the record, by its number.
    Event,
    /// A fund, by its id.
    Fund,
    /// A ground of the terms, by its name.
    Ground,
    /// An import, by its id.
    Import,
    /// A row of an import, as files name it: `URN 100000`.
    ImportRow,
    /// An invoice that an award pays, by its reference.
    Invoice,
    /// A leader, by the id of the person.
    Leader,
    /// An offer, by its id.
    Offer,
    /// A programme, by its name.
    Programme,
    /// A referral, by its id.
    Referral,
    /// A school, by its URN.
    School,
    /// A strand of the terms, by its name.
    Strand,
    /// A trust, by its group UID.
    Trust,
    /// A window of the terms, by its purpose.
    Window,
}

impl EntityKind {
    /// Its name in a sentence: `offer`, `import row`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Award => "award",
            Self::Booking => "booking",
            Self::Contact => "contact",
            Self::Event => "event",
            Self::Fund => "fund",
            Self::Ground => "ground",
            Self::Import => "import",
            Self::ImportRow => "import row",
            Self::Invoice => "invoice",
            Self::Leader => "leader",
            Self::Offer => "offer",
            Self::Programme => "programme",
            Self::Referral => "referral",
            Self::School => "school",
            Self::Strand => "strand",
            Self::Trust => "trust",
            Self::Window => "window",
        }
    }
}

impl fmt::Display for EntityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The entity that has a limit. `Display` writes it as the text in a refusal: `offer ID (nle)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LimitSubject {
    /// An offer, or its cap for a strand.
    Offer {
        /// The offer.
        offer: OfferId,
        /// The strand, if the limit is the cap for a strand.
        strand: Option<StrandId>,
    },
    /// A contact of an offer.
    Contact {
        /// The offer.
        offer: OfferId,
        /// The event that recorded the contact.
        contact: Seq,
    },
    /// A fund.
    Fund {
        /// The fund.
        fund: AccountId,
        /// Its strand.
        strand: StrandId,
        /// Its region; `None` for a national fund.
        region: Option<Region>,
    },
    /// A fund that does not exist.
    MissingFund {
        /// The strand that it would be for.
        strand: StrandId,
        /// The region that it would be for. A national fund would also be enough.
        region: Region,
    },
    /// An award.
    Award {
        /// The award.
        award: AwardId,
        /// Its strand.
        strand: StrandId,
    },
    /// A booking of an award.
    Booking {
        /// The event that recorded the booking.
        booking: Seq,
        /// The award.
        award: AwardId,
        /// The award's strand.
        strand: StrandId,
    },
    /// An invoice that an award pays.
    Invoice {
        /// The normalised reference of the invoice.
        reference: Reference,
        /// The name of its issuer; `None` if the refusal names only the award.
        issuer: Option<String>,
        /// The award.
        award: AwardId,
        /// The award's strand.
        strand: StrandId,
    },
    /// An approval.
    Approval(ApprovalId),
    /// The approval that a request would open, if the request was only checked.
    UnopenedApproval,
    /// A referral.
    Referral(ReferralId),
    /// A school.
    School(Urn),
    /// A trust.
    Trust(Uid),
    /// The leader of an award.
    Leader(Actor),
    /// A strand of the terms.
    Strand(StrandId),
    /// A programme.
    Programme(Programme),
    /// A window of a programme's terms.
    Window {
        /// Its purpose: `award window`.
        name: &'static str,
        /// The programme.
        programme: Programme,
        /// Its days, if the refusal names them.
        days: Option<DateRange>,
    },
    /// A ground of the terms, by its name.
    Ground(String),
    /// An event of the record.
    Event(Seq),
    /// An import.
    Import(ImportId),
    /// A row of an import.
    ImportRow {
        /// The row, as files name it: `URN 100000`.
        row: String,
        /// The import.
        import: ImportId,
    },
}

impl LimitSubject {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EntityKind {
        match self {
            Self::Offer { .. } => EntityKind::Offer,
            Self::Contact { .. } => EntityKind::Contact,
            Self::Fund { .. } | Self::MissingFund { .. } => EntityKind::Fund,
            Self::Award { .. } => EntityKind::Award,
            Self::Booking { .. } => EntityKind::Booking,
            Self::Invoice { .. } => EntityKind::Invoice,
            Self::Approval(_) | Self::UnopenedApproval => EntityKind::Approval,
            Self::Referral(_) => EntityKind::Referral,
            Self::School(_) => EntityKind::School,
            Self::Trust(_) => EntityKind::Trust,
            Self::Leader(_) => EntityKind::Leader,
            Self::Strand(_) => EntityKind::Strand,
            Self::Programme(_) => EntityKind::Programme,
            Self::Window { .. } => EntityKind::Window,
            Self::Ground(_) => EntityKind::Ground,
            Self::Event(_) => EntityKind::Event,
            Self::Import(_) => EntityKind::Import,
            Self::ImportRow { .. } => EntityKind::ImportRow,
        }
    }

    /// Its id, in the form that [`EntityKind`] describes. `None` for a fund or an approval that does not exist.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        match self {
            Self::MissingFund { .. } | Self::UnopenedApproval => None,
            Self::Offer { offer, .. } => Some(offer.to_string()),
            Self::Contact { contact: seq, .. } | Self::Booking { booking: seq, .. } | Self::Event(seq) => {
                Some(seq.to_string())
            }
            Self::Fund { fund, .. } => Some(fund.to_string()),
            Self::Award { award, .. } => Some(award.to_string()),
            Self::Invoice { reference, .. } => Some(reference.as_str().to_owned()),
            Self::Approval(id) => Some(id.to_string()),
            Self::Referral(id) => Some(id.to_string()),
            Self::School(urn) => Some(urn.to_string()),
            Self::Trust(uid) => Some(uid.to_string()),
            Self::Leader(actor) => Some(actor.to_string()),
            Self::Strand(strand) => Some(strand.to_string()),
            Self::Programme(programme) => Some(programme.to_string()),
            Self::Window { name, .. } => Some((*name).to_owned()),
            Self::Ground(name) => Some(name.clone()),
            Self::Import(id) => Some(id.to_string()),
            Self::ImportRow { row, .. } => Some(row.clone()),
        }
    }

    /// The entity that this one is a part of, with its id: the offer of a contact, the award of a booking or an
    /// invoice, the programme of a window, the import of a row. `None` for every other entity.
    #[must_use]
    pub fn part_of(&self) -> Option<(EntityKind, String)> {
        match self {
            Self::Contact { offer, .. } => Some((EntityKind::Offer, offer.to_string())),
            Self::Booking { award, .. } | Self::Invoice { award, .. } => Some((EntityKind::Award, award.to_string())),
            Self::Window { programme, .. } => Some((EntityKind::Programme, programme.to_string())),
            Self::ImportRow { import, .. } => Some((EntityKind::Import, import.to_string())),
            Self::Offer { .. }
            | Self::Fund { .. }
            | Self::MissingFund { .. }
            | Self::Award { .. }
            | Self::Approval(_)
            | Self::UnopenedApproval
            | Self::Referral(_)
            | Self::School(_)
            | Self::Trust(_)
            | Self::Leader(_)
            | Self::Strand(_)
            | Self::Programme(_)
            | Self::Ground(_)
            | Self::Event(_)
            | Self::Import(_) => None,
        }
    }

    /// The strand of the terms; `None` if the limit is not about a strand.
    #[must_use]
    pub const fn strand(&self) -> Option<&StrandId> {
        match self {
            Self::Offer { strand, .. } => strand.as_ref(),
            Self::Fund { strand, .. }
            | Self::MissingFund { strand, .. }
            | Self::Award { strand, .. }
            | Self::Booking { strand, .. }
            | Self::Invoice { strand, .. }
            | Self::Strand(strand) => Some(strand),
            Self::Contact { .. }
            | Self::Approval(_)
            | Self::UnopenedApproval
            | Self::Referral(_)
            | Self::School(_)
            | Self::Trust(_)
            | Self::Leader(_)
            | Self::Programme(_)
            | Self::Window { .. }
            | Self::Ground(_)
            | Self::Event(_)
            | Self::Import(_)
            | Self::ImportRow { .. } => None,
        }
    }
}

impl fmt::Display for LimitSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offer { offer, strand: None } => write!(f, "offer {offer}"),
            Self::Offer { offer, strand: Some(strand) } => write!(f, "offer {offer} ({strand})"),
            Self::Contact { offer, contact } => write!(f, "offer {offer} contact {contact}"),
            Self::Fund { fund, strand, region: None } => write!(f, "fund {fund} ({strand}, national)"),
            Self::Fund { fund, strand, region: Some(region) } => write!(f, "fund {fund} ({strand}, {region})"),
            Self::MissingFund { strand, region } => write!(f, "fund ({strand}, {region} or national)"),
            Self::Award { award, strand } => write!(f, "award {award} ({strand})"),
            Self::Booking { booking, award, strand } => write!(f, "booking {booking} of award {award} ({strand})"),
            Self::Invoice { reference, issuer: Some(issuer), award, strand } => {
                write!(f, "invoice {} of {issuer} (award {award} ({strand}))", reference.as_str())
            }
            Self::Invoice { reference, issuer: None, award, strand } => {
                write!(f, "invoice {} of award {award} ({strand})", reference.as_str())
            }
            Self::Approval(approval) => write!(f, "approval {approval}"),
            Self::UnopenedApproval => f.write_str("not opened, this was only a check"),
            Self::Referral(referral) => write!(f, "referral {referral}"),
            Self::School(urn) => write!(f, "school {urn}"),
            Self::Trust(uid) => write!(f, "trust {uid}"),
            Self::Leader(leader) => write!(f, "leader {leader}"),
            Self::Strand(strand) => write!(f, "strand {strand}"),
            Self::Programme(programme) => write!(f, "programme {programme}"),
            Self::Window { name, programme, days: None } => write!(f, "{name} of {programme}"),
            Self::Window { name, programme, days: Some(days) } => write!(f, "{name} of {programme}: {days}"),
            Self::Ground(name) => write!(f, "ground {name}"),
            Self::Event(seq) => write!(f, "event {seq}"),
            Self::Import(import) => write!(f, "import {import}"),
            Self::ImportRow { row, import } => write!(f, "{row} in import {import}"),
        }
    }
}

/// Conversions from ids whose type determines the entity.
macro_rules! from_id {
    ($($id:ident => $subject:ident),+ $(,)?) => {$(
        impl From<$id> for LimitSubject {
            fn from(id: $id) -> Self {
                Self::$subject(id)
            }
        }
    )+};
}

from_id! {
    ApprovalId => Approval,
    ReferralId => Referral,
    Urn => School,
    Uid => Trust,
    Programme => Programme,
    ImportId => Import,
}

impl From<OfferId> for LimitSubject {
    fn from(offer: OfferId) -> Self {
        Self::Offer { offer, strand: None }
    }
}

impl From<Recipient> for LimitSubject {
    fn from(recipient: Recipient) -> Self {
        match recipient {
            Recipient::Standalone(urn) => Self::School(urn),
            Recipient::Mat(uid) => Self::Trust(uid),
        }
    }
}

impl From<ReferralSubject> for LimitSubject {
    fn from(subject: ReferralSubject) -> Self {
        match subject {
            ReferralSubject::School(urn) => Self::School(urn),
            ReferralSubject::Trust(uid) => Self::Trust(uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Each row has the text for people, and the parts for programs: kind, id, the id of the entity it is a part of,
    /// strand.
    #[test]
    fn a_subject_names_its_ids() {
        let id = Uuid::from_u128(1);
        let text = "00000000-0000-0000-0000-000000000001";
        let strand = || StrandId::new("nle");
        let (offer, award, booking) = (OfferId(id), AwardId(id), Seq(7));
        let reference: Reference = Reference::read("INV-1").unwrap();
        let region: Region = "West Midlands".parse().unwrap();
        let days = DateRange { from: "2021-09-01".parse().unwrap(), to: "2022-03-31".parse().unwrap() };
        let programme: Programme = "2021-22".parse().unwrap();
        let urn: Urn = "100000".parse().unwrap();
        let window = |days| LimitSubject::Window { name: "award window", programme: programme.clone(), days };
        let fund = |region| LimitSubject::Fund { fund: AccountId(id), strand: strand(), region };
        let invoice = |issuer: Option<&str>| {
            let (reference, issuer) = (reference.clone(), issuer.map(str::to_owned));
            LimitSubject::Invoice { reference, issuer, award, strand: strand() }
        };
        let row = LimitSubject::ImportRow { row: "URN 100000".to_owned(), import: ImportId(id) };
        #[rustfmt::skip]
        let rows = [
            (LimitSubject::from(offer),                                            "offer ID", "offer ID - -"),
            (LimitSubject::Offer { offer, strand: Some(strand()) },                "offer ID (nle)", "offer ID - nle"),
            (LimitSubject::Contact { offer, contact: booking },                    "offer ID contact 7", "contact 7 ID -"),
            (fund(None),                                                           "fund ID (nle, national)", "fund ID - nle"),
            (fund(Some(region)),                                                   "fund ID (nle, West Midlands)", "fund ID - nle"),
            (LimitSubject::MissingFund { strand: strand(), region },               "fund (nle, West Midlands or national)", "fund - - nle"),
            (LimitSubject::Award { award, strand: strand() },                      "award ID (nle)", "award ID - nle"),
            (LimitSubject::Booking { booking, award, strand: strand() },           "booking 7 of award ID (nle)", "booking 7 ID nle"),
            (invoice(Some("Teach First")),                                         "invoice INV1 of Teach First (award ID (nle))", "invoice INV1 ID nle"),
            (invoice(None),                                                        "invoice INV1 of award ID (nle)", "invoice INV1 ID nle"),
            (ApprovalId(id).into(),                                                "approval ID", "approval ID - -"),
            (LimitSubject::UnopenedApproval,                                       "not opened, this was only a check", "approval - - -"),
            (ReferralId(id).into(),                                                "referral ID", "referral ID - -"),
            (Recipient::Standalone(urn).into(),                                    "school 100000", "school 100000 - -"),
            (ReferralSubject::Trust("17".parse().unwrap()).into(),                 "trust 17", "trust 17 - -"),
            (LimitSubject::Leader("ceo-1".parse().unwrap()),                       "leader ceo-1", "leader ceo-1 - -"),
            (LimitSubject::Strand(strand()),                                       "strand nle", "strand nle - nle"),
            (programme.clone().into(),                                             "programme 2021-22", "programme 2021-22 - -"),
            (window(None),                                                         "award window of 2021-22", "window award window 2021-22 -"),
            (window(Some(days)),                                                   "award window of 2021-22: 2021-09-01 to 2022-03-31", "window award window 2021-22 -"),
            (LimitSubject::Ground("hardship".to_owned()),                          "ground hardship", "ground hardship - -"),
            (LimitSubject::Event(booking),                                         "event 7", "event 7 - -"),
            (ImportId(id).into(),                                                  "import ID", "import ID - -"),
            (row,                                                                  "URN 100000 in import ID", "import row URN 100000 ID -"),
        ];
        let absent = || "-".to_owned();
        for (subject, shown, parts) in rows {
            let id = subject.id().unwrap_or_else(absent);
            let part_of = subject.part_of().map_or_else(absent, |(_, id)| id);
            let strand = subject.strand().map_or_else(absent, ToString::to_string);
            let actual_parts = format!("{} {id} {part_of} {strand}", subject.kind());
            let expected = (shown.replace("ID", text), parts.replace("ID", text));
            assert_eq!((subject.to_string(), actual_parts), expected);
        }
    }
}
