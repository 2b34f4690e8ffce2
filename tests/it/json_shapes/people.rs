//! Referrals, and approvals that are denied or taken back.

use super::Shapes;
use crate::samples::text;

const ANN: [&str; 4] = ["--actor", "ann", "--roles", "case-officer"];
const DORA: [&str; 4] = ["--actor", "dora", "--roles", "regional-director"];

/// Raises a referral as Ann.
fn raised(shapes: &mut Shapes, schools: &[&str]) -> String {
    let origin = ["--origin", "self-identified", "--ground", "would_benefit", "--on", "2021-11-02"];
    let words = [&["referrals", "raise"], schools, &origin[..], &["--because", "the head teacher wrote"]].concat();
    text(&shapes.said(&ANN, &words), "referral")
}

/// One that is taken back, one declined, one approved, and one of a trust.
pub(super) fn referrals(shapes: &mut Shapes) {
    let withdrawn = raised(shapes, &["--urn", "910030"]);
    shapes.said(&ANN, &["referrals", "withdraw", &withdrawn, "--because", "raised twice"]);
    for decision in ["decline", "approve"] {
        let referral = raised(shapes, &["--urn", "910030"]);
        let held = ["--on", "2021-11-09", "--note", "with the chair of governors"];
        shapes.said(&ANN, &[&["referrals", "discuss", &referral], &held[..]].concat());
        let decide = ["referrals", decision, &referral, "--on", "2021-11-12", "--because", "as discussed"];
        shapes.said(&DORA, &decide);
        shapes.run(&["referrals", "show", &referral]);
    }
    raised(shapes, &["--uid", "90001", "--urn", "910048"]);
    shapes.run(&["referrals", "list"]);
}

/// One that is denied, and one that whoever asked takes back; then all that there ever were.
pub(super) fn approvals(shapes: &mut Shapes) {
    let finance = ["--actor", "ann", "--roles", "finance"];
    let funds = shapes.run(&["funds", "list", "--programme", "2021-22"]);
    let fund = text(&funds[0], "fund");
    for amount in ["70000", "80000"] {
        let ask = ["funds", "allocate", &fund, amount, "--on", "2021-10-01"];
        let approval = text(&shapes.refused("APPROVAL_REQUIRED", &finance, &ask), "approval");
        if amount == "70000" {
            let approver = ["--actor", "bob", "--roles", "finance-approver"];
            shapes.said(&approver, &["approvals", "deny", &approval, "--reason", "the wrong fund"]);
        } else {
            shapes.said(&finance, &["approvals", "withdraw", &approval]);
        }
    }
    shapes.run(&["approvals", "list", "--all"]);
}
