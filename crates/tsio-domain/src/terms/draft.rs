//! Defines the parts of a terms file that were read but not yet checked against each other.

use super::model::{Cap, DateRange, RecipientTerms, Rule, RuleId, Strand, StrandId, StrandUnit};
use super::read::Located;
use crate::Date;
use crate::ids::Programme;
use crate::money::Pence;
use crate::placement::{PlacementKind, RecipientKind};

/// A rule that was read. `rule` is `None` if the rule has a mistake. The name still counts as defined.
pub(super) struct RuleDraft {
    pub(super) id: RuleId,
    pub(super) line: usize,
    pub(super) rule: Option<Rule>,
}

/// A strand that was read. `strand` is `None` if the strand has a mistake. The name still counts as defined.
pub(super) struct StrandDraft {
    pub(super) id: StrandId,
    pub(super) line: usize,
    pub(super) strand: Option<Strand>,
}

/// A kind of recipient that was read. The names of its rules and strands, and its caps, are still texts of the file.
pub(super) struct RecipientDraft {
    pub(super) kind: RecipientKind,
    pub(super) who: Vec<Located<PlacementKind>>,
    pub(super) rules: Vec<Located<String>>,
    pub(super) caps: Vec<(String, Located<String>)>,
}

/// The dates of the file. A date with a mistake is `None`.
pub(super) struct Dates {
    pub(super) programme: Option<Located<Programme>>,
    pub(super) year: Option<Located<DateRange>>,
    pub(super) award_window: Option<Located<DateRange>>,
    pub(super) claims_until: Option<Located<Date>>,
    pub(super) contact_until: Option<Located<Date>>,
}

/// Reads the text of a cap. The error is a phrase that follows the name of the strand.
pub(super) fn cap(text: &str, strand: &Strand) -> Result<Cap, String> {
    let require_positive = |is_positive: bool| {
        if is_positive { Ok(()) } else { Err(format!("has a cap of {text:?}, which is not above 0")) }
    };
    if text == "no cap" {
        return if strand.funds_bind {
            Ok(Cap::FundsOnly)
        } else {
            Err("has no cap and its funds do not bind: nothing would limit it".to_owned())
        };
    }
    match strand.unit {
        StrandUnit::Pence => {
            let cap: Pence =
                text.parse().map_err(|_| format!("counts pence, but its cap {text:?} is no sum of money"))?;
            require_positive(cap.is_positive()).map(|()| Cap::Pence(cap))
        }
        StrandUnit::HalfDays { .. } if text.contains("day") => {
            let cap: crate::money::HalfDays = text.parse().map_err(|e| format!("has a bad cap: {e}"))?;
            require_positive(cap.is_positive()).map(|()| Cap::HalfDays(cap))
        }
        StrandUnit::HalfDays { .. } => Err(format!("counts half-days, but its cap {text:?} is no number of days")),
    }
}

/// Makes the terms of a recipient from its draft. The names of the draft must have been checked.
pub(super) fn recipient(draft: RecipientDraft, caps: Vec<(StrandId, Cap)>) -> RecipientTerms {
    RecipientTerms {
        kind: draft.kind,
        who: draft.who.into_iter().map(|who| who.value).collect(),
        rules: draft.rules.into_iter().map(|rule| RuleId::new(rule.value)).collect(),
        caps,
    }
}
