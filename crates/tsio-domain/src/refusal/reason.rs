//! Defines the reasons why a command can be refused, with one row for each reason.

/// Defines [`Reason`] and its texts. `docs/reference/errors.md` lists the reasons in this order.
macro_rules! reasons {
    ($($variant:ident = $code:literal, $meaning:literal, $remedy:literal;)+) => {
        /// Why a command was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = $meaning] $variant),+ }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its code on the wire, in upper snake case.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// Its meaning, as a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }

            /// The general remedy, as a sentence. Each limit of a refusal has its own remedy.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),+ }
            }
        }
    };
}

#[rustfmt::skip]
reasons! {
    StateNotAllowed = "STATE_NOT_ALLOWED",
        "The offer's state does not allow the command.", "Bring the offer into one of the states that the remedy names.";
    ContactMissing = "CONTACT_MISSING",
        "A contact that must come first is not on record.", "Record that contact first, dated no later.";
    ContactNotCorrectable = "CONTACT_NOT_CORRECTABLE",
        "The named contact cannot be corrected.", "Name a contact that is on record, that is not corrected and on which nothing depends.";
    AcceptorNotAllowed = "ACCEPTOR_NOT_ALLOWED",
        "The one who accepts cannot accept this kind of offer.", "A trust accepts its offer; a school in no trust accepts its own.";
    SchoolNotOnOffer = "SCHOOL_NOT_ON_OFFER",
        "The school is not on this offer.", "Name a school that the offer lists.";
    AwardMissing = "AWARD_MISSING",
        "Delivery cannot start: no award has an amount left to draw.", "Award support first.";
    AlreadyDrawn = "ALREADY_DRAWN",
        "Support was already drawn, so the offer cannot be declined.", "Refund what was drawn, or close the offer with another outcome.";
    ProgrammeNotEnded = "PROGRAMME_NOT_ENDED",
        "The programme has not ended.", "Wait for its end, or close the offer with another outcome.";
    ProgrammeClosed = "PROGRAMME_CLOSED",
        "The programme is closed.", "Nothing: a closed programme takes no more changes.";
    OutsideProgramme = "OUTSIDE_PROGRAMME",
        "The date lies before the programme.", "Give a date on or after the day the programme starts.";
    SchoolOnAnotherOffer = "SCHOOL_ON_ANOTHER_OFFER",
        "A school of this offer is on another open offer.", "Close the other offer first, or leave the school on it.";
    ApprovalRequired = "APPROVAL_REQUIRED",
        "A second person has to approve.", "Have a second person give the approval that the refusal names.";
    ApprovalNotOpen = "APPROVAL_NOT_OPEN",
        "The approval is not open, or what it was asked for has changed since.", "Ask again under a new request id.";
    ApprovalClosed = "APPROVAL_CLOSED",
        "The call was made before, and its approval was denied, withdrawn, or has expired.", "Ask again under a new request id.";
    ApprovalExceeded = "APPROVAL_EXCEEDED",
        "Carried out now, it would do more than the approval states.", "Ask again, so that what is approved is what was asked.";
    ApprovalOfAnother = "APPROVAL_OF_ANOTHER",
        "Only the person who asked for an approval may withdraw it.", "Deny it, or have that person withdraw it.";
    SelfApproval = "SELF_APPROVAL",
        "The person who asked, or who raised the referral, may not decide.", "Have another person answer.";
    AlreadyPlaced = "ALREADY_PLACED",
        "The register places the school; placing by hand is only for schools that it does not place.", "No action is needed.";
    EntryNotUnknown = "ENTRY_NOT_UNKNOWN",
        "The entry position cannot be decided: it is known from the files or by an earlier decision, another URN counts, no monthly file shows the school, or no rule asks for it.", "See the remedy of the limit.";
    TrustNotSuitable = "TRUST_NOT_SUITABLE",
        "The trust is closed, or of another kind than the placement says.", "Name an open trust of that kind.";
    ImportDisagrees = "IMPORT_DISAGREES",
        "Files of one date disagree about a school.", "Check which file is right; a corrected file replaces the import that it names.";
    ImportNotLanded = "IMPORT_NOT_LANDED",
        "The import has not landed, or was replaced or withdrawn.", "Name an import that has landed.";
    TermsInUse = "TERMS_IN_USE",
        "Other terms are loaded for this programme.", "Nothing: the terms of a programme never change.";
    CapExceeded = "CAP_EXCEEDED",
        "The cap of the offer for the strand leaves less than that.", "Award less, or release what an earlier award does not need.";
    FundsInsufficient = "FUNDS_INSUFFICIENT",
        "The fund has less than that, now or as of the day given, or the cap of the offer has as of that day.", "Ask for less, give a later date, or allocate money to the fund.";
    FundMissing = "FUND_MISSING",
        "There is no fund for the strand and region.", "Create one and allocate money to it.";
    FundExists = "FUND_EXISTS",
        "There is a fund for the strand and region already.", "Use that fund.";
    FundOverCommitted = "FUND_OVER_COMMITTED",
        "The fund is over-committed: nothing can be promised from it or moved out of it.", "Allocate money to it first.";
    StrandNotOffered = "STRAND_NOT_OFFERED",
        "The terms do not offer this strand to this kind of recipient.", "Award a strand that they offer.";
    PartnerNotSuitable = "PARTNER_NOT_SUITABLE",
        "The partner is not an open multi-academy trust, or is the school's own trust.", "Name another partner.";
    ProviderNotAccredited = "PROVIDER_NOT_ACCREDITED",
        "The provider is not on the list of the terms.", "Name a provider as the terms spell it.";
    OutsideWindow = "OUTSIDE_WINDOW",
        "The date lies outside the window of the terms, or before the referral was raised.", "Give a date inside the window.";
    DateOrder = "DATE_ORDER",
        "The date lies before what has to come first, or after what depends on it.", "Give a date that keeps the order.";
    AwardExceeded = "AWARD_EXCEEDED",
        "The award has less than that to draw, release, book or refund.", "Ask for less.";
    UnitMismatch = "UNIT_MISMATCH",
        "The amount, or what is said with it, does not fit the award: another unit, or days or a kind of leader for a strand without them.", "Give days for leader time, money for everything else.";
    MovementNotUndoable = "MOVEMENT_NOT_UNDOABLE",
        "The event named is no draw, release or refund that can be undone.", "Name such an event that is not undone and on which nothing depends.";
    BookingNotOpen = "BOOKING_NOT_OPEN",
        "The named booking is not open: it was delivered or cancelled. Or neither a booking nor an amount is named.", "Name a booking that is neither delivered nor cancelled.";
    BookingLeaderMissing = "BOOKING_LEADER_MISSING",
        "No leader is named for the booking.", "Name the leader.";
    LeaderFunded = "LEADER_FUNDED",
        "The fees of this leader are paid by another award of the programme.", "Release and refund that award entirely, or name another leader.";
    InvoiceMissing = "INVOICE_MISSING",
        "The invoice is missing: NPQEL claims need one, and a refund names the invoice that it refunds.", "Give the reference of the invoice.";
    InvoiceNotExpected = "INVOICE_NOT_EXPECTED",
        "The issuer is not the award's provider, or the strand takes no invoices under the rules in force.", "Check the invoice and the award.";
    InvoicePaid = "INVOICE_PAID",
        "The invoice has been paid already.", "Name another invoice, or refund the payment if it was made by mistake.";
    NoText = "NO_TEXT",
        "The event was recorded without a text.", "Nothing: there is no text to erase.";
    TextErased = "TEXT_ERASED",
        "The text has been erased already.", "Nothing.";
    ClaimIssuerMissing = "CLAIM_ISSUER_MISSING",
        "Nothing says who issued the invoice.", "Name the issuer.";
    ClaimTotalDiffers = "CLAIM_TOTAL_DIFFERS",
        "Another total of the invoice was stated before.", "Check the invoice; its total is stated once.";
    ClaimTotalExceeded = "CLAIM_TOTAL_EXCEEDED",
        "It is more than is left of the invoice's total.", "Pay what is left.";
    AmountTooLarge = "AMOUNT_TOO_LARGE",
        "The amount is larger than an account can store.", "Give a smaller amount.";
    SameFund = "SAME_FUND",
        "A virement names one fund twice.", "Name two funds.";
    ReferralOpen = "REFERRAL_OPEN",
        "The school or trust is referred already.", "Use that referral.";
    ReferralNotOpen = "REFERRAL_NOT_OPEN",
        "The referral has been decided, confirmed or withdrawn.", "Raise another referral.";
    CannotBeReferred = "CANNOT_BE_REFERRED",
        "A referral of this school or trust cannot lead to an offer.", "See the remedy of each limit.";
    GroundNotInEffect = "GROUND_NOT_IN_EFFECT",
        "The ground is not in effect on that day.", "Name a ground that the terms have on that day.";
    DiscussionMissing = "DISCUSSION_MISSING",
        "No discussion with the regional schools commissioner is on record that was held by the day of the decision.", "Record the discussion first.";
}
