//! Formats what needs attention, with the command that deals with each item.

use crate::cli::names::word;
use crate::cli::output::{TableColumn, table};
use crate::proto::{DueItem, DueKind, RecipientKind};

/// The command that deals with an item. Words in capital letters are to be replaced. It has `--programme` if the list was made with
/// it.
pub(in crate::cli) fn command(it: &DueItem, programme: Option<&str>) -> String {
    let command = match it.kind() {
        DueKind::Unspecified => return String::new(),
        DueKind::FirstContact => format!("offers contact {} --party responsible-body --on DATE", offer(it)),
        DueKind::SchoolContact => format!("offers contact {} --party school --on DATE", offer(it)),
        DueKind::Acceptance => format!("offers accept {} --by {} --on DATE", offer(it), acceptor(it)),
        DueKind::FirstDay => format!("offers start {} --on DATE", offer(it)),
        DueKind::Claim => {
            format!("awards draw {} --booking {} --on {}", ending(&it.award), it.booking, it.since_date)
        }
        DueKind::Unclaimed => format!("awards release {}", ending(&it.award)),
        DueKind::Close => format!("offers close {} --outcome completed", offer(it)),
        DueKind::ReferralDiscussion => {
            format!("referrals discuss {} --with rsc --on DATE --note TEXT", ending(&it.referral))
        }
        DueKind::ReferralDecision => format!("referrals approve {} --because TEXT", ending(&it.referral)),
        DueKind::Approval => format!("approvals give {}", ending(&it.approval)),
        DueKind::LowFund => format!("funds allocate {} AMOUNT", fund(it)),
        DueKind::Unplaced => format!("schools place {} --kind KIND --reason TEXT", it.urn),
        DueKind::Unknown => format!("eligibility decide {} --position POSITION --reason TEXT", it.urn),
        DueKind::Blocked => format!("offers show {}", ending(&it.offer)),
        DueKind::RecipientChanged => close_or_show(it, "superseded"),
        DueKind::SchoolClosed => close_or_show(it, "withdrawn"),
        DueKind::NotEligible => close_or_show(it, "ineligible"),
    };
    let programme = programme.map(|it| format!(" --programme {it}")).unwrap_or_default();
    format!("tsio {command}{programme}")
}

/// Closes the offer to a school. An offer to a trust may list other schools, so a person looks at it first.
fn close_or_show(it: &DueItem, outcome: &str) -> String {
    if it.recipient_kind() == RecipientKind::Standalone {
        format!("offers close {} --outcome {outcome}", ending(&it.offer))
    } else {
        format!("offers show {}", ending(&it.offer))
    }
}

/// The last eight digits of an id, which name it.
fn ending(id: &str) -> &str {
    id.len().checked_sub(8).and_then(|start| id.get(start..)).unwrap_or(id)
}

/// The name of the offer to a school or trust: the URN, or the UID.
fn offer(it: &DueItem) -> String {
    if it.recipient_kind() == RecipientKind::Mat { format!("uid:{}", it.trust_uid) } else { it.urn.to_string() }
}

fn acceptor(it: &DueItem) -> &'static str {
    if it.recipient_kind() == RecipientKind::Mat { "trust" } else { "school" }
}

/// The name of a fund: its strand, and its region if it has one.
fn fund(it: &DueItem) -> String {
    let region = it.region.to_lowercase().replace(' ', "-");
    if region.is_empty() { it.strand.clone() } else { format!("{}/{region}", it.strand) }
}

/// Formats items as a table, one row per item.
pub(in crate::cli) fn rows(items: &[DueItem], programme: Option<&str>) -> String {
    use TableColumn::{Id, Text};
    let columns = [Id("DUE"), Text("KIND"), Text("SUBJECT"), Text("OWNER"), Text("COMMAND")];
    let row = |it: &DueItem| {
        let kind = word(it.kind().as_str_name(), "DUE_KIND_").replace('_', " ");
        vec![it.due_date.clone(), kind, it.subject.clone(), it.owner.clone(), command(it, programme)]
    };
    table(&columns, items.iter().map(row))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::command::Cli;
    use crate::cli::names::Choice as _;

    fn item(kind: DueKind, recipient_kind: RecipientKind) -> DueItem {
        let id = "0190a4c1-7d3e-7c55-8f0e-3a5b6c7d8e9f".to_owned();
        DueItem {
            kind: kind.into(),
            since_date: "2021-10-20".to_owned(),
            due_date: "2021-11-19".to_owned(),
            region: "West Midlands".to_owned(),
            recipient_kind: recipient_kind.into(),
            urn: 910_001,
            trust_uid: 90_001,
            booking: 17,
            strand: "credit".to_owned(),
            offer: id.clone(),
            award: id.clone(),
            referral: id.clone(),
            approval: id.clone(),
            fund: id,
            ..Default::default()
        }
    }

    #[test]
    fn the_command_of_every_kind_parses() {
        let placeholders =
            [("DATE", "2021-10-05"), ("AMOUNT", "1"), ("KIND", "maintained"), ("POSITION", "met"), ("TEXT", "seen")];
        for recipient_kind in [RecipientKind::Standalone, RecipientKind::Mat] {
            for (kind, ..) in DueKind::ALL {
                let mut line = command(&item(*kind, recipient_kind), Some("2022-23"));
                for (word, value) in placeholders {
                    line = line.replace(word, value);
                }
                let parsed = Cli::try_parse_from(line.split_whitespace());
                assert!(parsed.is_ok_and(|it| it.global.programme.as_deref() == Some("2022-23")), "{line}");
            }
        }
    }

    #[test]
    fn a_command_names_things_as_people_do() {
        use RecipientKind::{Mat, Standalone};
        let rows = [
            (DueKind::FirstContact, Standalone, "offers contact 910001 --party responsible-body --on DATE"),
            (DueKind::FirstContact, Mat, "offers contact uid:90001 --party responsible-body --on DATE"),
            (DueKind::Acceptance, Mat, "offers accept uid:90001 --by trust --on DATE"),
            (DueKind::Claim, Standalone, "awards draw 6c7d8e9f --booking 17 --on 2021-10-20"),
            (DueKind::LowFund, Standalone, "funds allocate credit/west-midlands AMOUNT"),
            (DueKind::SchoolClosed, Standalone, "offers close 6c7d8e9f --outcome withdrawn"),
            (DueKind::SchoolClosed, Mat, "offers show 6c7d8e9f"),
        ];
        for (kind, recipient_kind, expected) in rows {
            assert_eq!(command(&item(kind, recipient_kind), None), format!("tsio {expected}"), "{kind:?}");
        }
    }
}
