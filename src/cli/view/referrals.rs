//! Formats referrals.

use super::offers;
use crate::cli::json::Object;
use crate::cli::names::word;
use crate::cli::output::{TableColumn, field_lines, parts, table, table_if_any};
use crate::proto::{Discussion, Offer, Referral};

/// Returns the trust or school that is referred: `trust 2571` or `school 103150`. Empty if the answer names neither.
fn subject(it: &Referral) -> String {
    match (it.uid, it.urns.first()) {
        (0, None) => String::new(),
        (0, Some(urn)) => format!("school {urn}"),
        (uid, _) => format!("trust {uid}"),
    }
}

fn state(it: &Referral) -> String {
    word(it.state().as_str_name(), "REFERRAL_STATE_")
}

/// Formats a referral without its discussions.
fn brief(it: &Referral) -> String {
    let numbers = |urns: &[i32]| urns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    field_lines([
        ("referral", it.referral.clone()),
        ("programme", it.programme.clone()),
        ("of", format!("{} ({})", it.name, subject(it))),
        ("schools", numbers(&it.urns)),
        ("region", it.region.clone()),
        ("origin", word(it.origin().as_str_name(), "REFERRAL_ORIGIN_")),
        ("ground", format!("{} of {}", it.ground, it.rule)),
        ("state", state(it)),
        ("raised", format!("{} by {}", it.raise_date, it.raised_by)),
        ("why", it.reason.clone()),
        ("decided", it.decide_date.clone()),
        ("by", it.decided_by.clone()),
        ("because", it.outcome_reason.clone()),
        ("offer", it.offer.clone()),
        ("exceptional", numbers(&it.exceptional_urns)),
        ("etag", it.etag.clone()),
    ])
}

/// Formats referrals as a table, one row per referral.
pub(in crate::cli) fn rows(referrals: &[Referral]) -> String {
    use TableColumn::{Id, Text};
    let columns = [Id("REFERRAL"), Text("OF"), Text("NAME"), Text("REGION"), Text("GROUND"), Text("STATE")];
    let row = |it: &Referral| {
        vec![it.referral.clone(), subject(it), it.name.clone(), it.region.clone(), it.ground.clone(), state(it)]
    };
    table(&columns, referrals.iter().map(row))
}

/// Formats a referral with its discussions.
pub(in crate::cli) fn detail(it: &Referral) -> String {
    use TableColumn::{Number, Text};
    let columns = [Number("NUMBER"), Text("DATE"), Text("RECORDED BY"), Text("HELD WITH"), Text("NOTE")];
    let row = |it: &Discussion| {
        let held_with = word(it.held_with().as_str_name(), "DISCUSSION_PARTNER_");
        vec![it.sequence.to_string(), it.date.clone(), it.recorded_by.clone(), held_with, it.note.clone()]
    };
    let discussions = table_if_any(&columns, &it.discussions, row);
    parts([brief(it), if discussions.is_empty() { discussions } else { format!("discussions\n{discussions}") }])
}

/// Adds the key `made_offer` to the JSON of a changed referral: the offer that the decision has made, or null. The key `offer`
/// is the id in the referral itself.
pub(in crate::cli) fn changed_json(answer: Object, made_offer: Option<&Offer>) -> Object {
    answer.with("made_offer", made_offer.map(offers::row_json))
}

/// Formats a referral after a change, and the offer that the decision has made, if any.
pub(in crate::cli) fn changed(referral: Option<&Referral>, made_offer: Option<&Offer>) -> String {
    parts(referral.map(brief).into_iter().chain(made_offer.map(offers::brief)))
}
