//! Referrals, and approvals that are denied or withdrawn.

use super::Shapes;
use crate::samples::text;

const ANN: [&str; 4] = ["--actor", "ann", "--roles", "case-officer"];
const DORA: [&str; 4] = ["--actor", "dora", "--roles", "regional-director"];

/// Raises a referral as Ann, and returns its id.
fn raise(shapes: &mut Shapes, schools: &[&str]) -> String {
    let origin = ["--origin", "self-identified", "--ground", "would_benefit", "--on", "2021-11-02"];
    let words = [&["referrals", "raise"], schools, &origin[..], &["--because", "the head teacher wrote"]].concat();
    text(&shapes.run_as(&ANN, &words), "referral")
}

/// Four referrals: withdrawn, declined, approved, and one of a trust.
pub(super) fn referrals(shapes: &mut Shapes) {
    let withdrawn = raise(shapes, &["--urn", "910030"]);
    shapes.run_as(&ANN, &["referrals", "withdraw", &withdrawn, "--because", "raised twice"]);
    for decision in ["decline", "approve"] {
        let referral = raise(shapes, &["--urn", "910030"]);
        let discussion = ["--on", "2021-11-09", "--note", "with the chair of governors"];
        shapes.run_as(&ANN, &[&["referrals", "discuss", &referral], &discussion[..]].concat());
        let decide = ["referrals", decision, &referral, "--on", "2021-11-12", "--because", "as discussed"];
        shapes.run_as(&DORA, &decide);
        shapes.run(&["referrals", "show", &referral]);
    }
    raise(shapes, &["--uid", "90001", "--urn", "910048"]);
    shapes.run(&["referrals", "list"]);
}

/// Two approvals: one is denied, the requester withdraws the other. Then all are listed.
pub(super) fn approvals(shapes: &mut Shapes) {
    let finance = ["--actor", "ann", "--roles", "finance"];
    let funds = shapes.run(&["funds", "list", "--programme", "2021-22"]);
    let fund = text(&funds[0], "fund");
    for amount in ["70000", "80000"] {
        let ask = ["funds", "allocate", &fund, amount, "--on", "2021-10-01"];
        let approval = text(&shapes.filed(&finance, &ask), "approval");
        shapes.run_as(&["--actor", "bob", "--roles", "finance-approver"], &["due", "--kind", "approval"]);
        if amount == "70000" {
            let approver = ["--actor", "bob", "--roles", "finance-approver"];
            shapes.run_as(&approver, &["approvals", "deny", &approval, "--reason", "the wrong fund"]);
        } else {
            shapes.run_as(&finance, &["approvals", "withdraw", &approval]);
        }
    }
    shapes.run(&["approvals", "list", "--all"]);
}
