//! Tests of invoices: the issuer, and how often an invoice is paid (`domain.md` section 5). For each refusal there is a row that is
//! refused and a row that just passes.
//!
//! [`super::script`] explains the letters of the offers, [`super::money_script`] the words and the results of the rows.

use decision::Warning;

use super::money_script::{FUNDED_EVENTS, judge_money};
use super::script::{Script, day};
use crate::award::claim::IssuerKey;
use crate::ids::AwardId;
use crate::programme::*;
use crate::role::Action;
use crate::rules::RulesVersion;

/// An award of fees of £9,000, and the start of delivery: events 21 and 22.
const FEES: &str = "npqel:900000@6 start@7";

#[test]
fn an_invoice_is_paid_once() {
    const ONE: &str = "npqel:900000@6 start@7 draw:300000/INV-1@8";
    const TWO: &str = "npqel:900000@6 start@7 draw:300000/A-1@8 draw:200000/B-2@8";
    #[rustfmt::skip]
    judge_money(&[
        ("M", FEES, "draw:500000/INV-1@8",  "900000 500000 0 0", ""),
        ("M", FEES, "draw:500000@8",        "INVOICE_MISSING 0 | award", "name the provider's invoice"),
        ("M", FEES, "draw:900001@8",        "AWARD_EXCEEDED 0 | award 900000 900000 0 900000 900001 900000 | award", ""),
        // the reference is compared without case and punctuation, and for all awards
        ("M", ONE,  "draw:1/inv1@9",        "INVOICE_PAID 0 | award", "invoice INV1 of Teach First has been paid by award 00000000"),
        ("M", ONE,  "draw:1/INV-2@9",       "900000 300001 0 0", ""),
        ("M", "npqel:300000@6 start@7 draw:300000/INV-1@8 npqel:1@9", "draw:1/INV-1@9", "INVOICE_PAID 0 | award", ""),
        // the same reference from another provider is another invoice
        ("M", "npqel:300000@6 start@7 draw:300000/INV-1@8 npqel:1/Ambition-Institute@9", "draw:1/INV-1@9", "1 1 0 0", ""),
        // another name of the same provider makes no difference
        ("M", "npqel:300000/Harris-Federation@6 start@7 draw:300000/INV-1@8 npqel:1/harris--federation@9", "draw:1/INV-1@9", "INVOICE_PAID 0 | award", "invoice INV1 of School-Led Network has been paid"),
        // a full refund frees the invoice; if the award has only one invoice, a refund need not name it
        ("M", "npqel:900000@6 start@7 draw:300000/INV-1@8 refund:300000@9", "draw:300000/INV-1@9", "900000 600000 0 300000", ""),
        ("M", "npqel:900000@6 start@7 draw:300000/INV-1@8 refund:299999@9", "draw:300000/INV-1@9", "INVOICE_PAID 0 | award", ""),
        // a refund names its invoice, and takes back no more than was paid on it
        ("M", ONE,  "refund:300000@9",      "900000 300000 0 300000", ""),
        ("M", ONE,  "refund:300001@9",      "AWARD_EXCEEDED 300000 | award 900000 600000 300000 300000 300001 300000 | award 300000 0 300000 300000 300001 300000", "£3,000"),
        ("M", TWO,  "refund:100000@9",      "INVOICE_MISSING 0 | award", "name one of: A1, B2"),
        ("M", TWO,  "refund:100000/b2@9",   "900000 500000 0 100000", ""),
        ("M", TWO,  "refund:200001/b2@9",   "AWARD_EXCEEDED 200000 | award 200000 0 200000 200000 200001 200000", "refund each payment apart"),
        ("M", TWO,  "refund:500001/b2@9",   "AWARD_EXCEEDED 200000 | award 900000 400000 500000 500000 500001 500000 | award 200000 0 200000 200000 500001 200000", ""),
        ("M", TWO,  "refund:1/C-3@9",       "INVOICE_MISSING 0 | award", "no payment of invoice C3 stands"),
        ("M", FEES, "refund:1@9",           "AWARD_EXCEEDED 0 | award 900000 900000 0 0 1 0", ""),
        ("M", FEES, "refund:1/A-1@9",       "INVOICE_MISSING 0 | award | award 900000 900000 0 0 1 0", ""),
    ]);
}

/// "A claim's reference belongs to its issuer".
#[test]
fn an_invoice_belongs_to_its_issuer() {
    const CREDIT: &str = "credit:9000@6 start@7 draw:4000/INV-1@8";
    const GOVERNANCE: &str = "nlg:9000*gov-1@6 start@7 draw:4000/INV-1@8";
    #[rustfmt::skip]
    judge_money(&[
        // fees: the issuer is the provider, who may be named
        ("M", FEES,       "draw:1/INV-1^TEACH-FIRST@8",    "900000 1 0 0", ""),
        ("M", FEES,       "draw:1/INV-1^Oak-Trust@8",      "INVOICE_NOT_EXPECTED 0 | award", "are invoiced by Teach First, not by Oak Trust"),
        // credit: the issuer is the partner trust, or the issuer that the draw names
        ("S", CREDIT,     "draw:1/inv1@9",                 "INVOICE_PAID 0 | award", "invoice INV1 of Trust 4000 has been paid"),
        ("S", CREDIT,     "draw:1/INV-1^trust-4000@9",     "INVOICE_PAID 0 | award", ""),
        // a renamed trust is the same issuer under all its names
        ("S", CREDIT,     "draw:1/INV-1^once-4000@9",      "INVOICE_PAID 0 | award", "invoice INV1 of Trust 4000 has been paid"),
        ("S", "credit:9000@6 start@7 draw:4000/INV-1^Once-4000@8", "draw:1/INV-1@9", "INVOICE_PAID 0 | award", ""),
        // another trust that had the same former name has its own invoices
        ("S", "credit:4000/2000@6 start@7 draw:1000/INV-1^Once-4000@8 credit:4000@9", "draw:1/INV-1@9", "4000 1 0 0", ""),
        ("S", CREDIT,     "draw:1/INV-1^Oak-Trust@9",      "9000 4001 0 0", ""),
        ("S", CREDIT,     "draw:1/INV-2@9",                "9000 4001 0 0", ""),
        // governance support: the issuer is the leader's organisation if recorded, or the issuer that the draw names
        ("M", GOVERNANCE, "draw:1/INV-1@9",                "INVOICE_PAID 0 | award", "invoice INV1 of the leader's organisation"),
        ("M", GOVERNANCE, "draw:1/INV-1^OAK-TRUST@9",      "INVOICE_PAID 0 | award", "invoice INV1 of OAK TRUST"),
        ("M", GOVERNANCE, "draw:1/INV-1^Ash-Trust@9",      "9000 4001 0 0", ""),
        ("M", "nlg:9000@6 start@7", "draw:1/INV-1@8",      "CLAIM_ISSUER_MISSING 0 | award", "name the issuer of the invoice"),
        ("M", "nlg:9000@6 start@7", "draw:1/INV-1^Ash@8",  "9000 1 0 0", ""),
        // leader time: the same rules; an invoice is the same invoice under every strand
        ("M", "nle:4@6 nlg:9000*gov-1@6 start@7 draw.1:1/INV-1@8", "draw.2:1/INV-1@9", "INVOICE_PAID 0 | award", ""),
        ("M", "nle:4@6 nlg:9000*gov-1@6 start@7 draw.2:1/INV-1@8", "draw.1:1/INV-1@9", "INVOICE_PAID 0 | award", ""),
        ("M", "npqel:9000@6 nlg:9000@6 start@7 draw.1:1/INV-1@8", "draw.2:1/INV-1^Teach-First@9", "INVOICE_PAID 0 | award", ""),
        // all names of a provider are the same issuer
        ("M", "npqel:9000/Harris-Federation@6 nlg:9000@6 start@7 draw.1:1/INV-1@8", "draw.2:1/INV-1^Harris-Federation@9", "INVOICE_PAID 0 | award", ""),
        // a refund names the issuer if two invoices have the same reference
        ("S", "credit:9000@6 start@7 draw:4000/INV-1@8 draw:1000/INV-1^Oak-Trust@8", "refund:1000/INV-1@9", "INVOICE_MISSING 0 | award", "name the issuer: "),
        ("S", "credit:9000@6 start@7 draw:4000/INV-1@8 draw:1000/INV-1^Oak-Trust@8", "refund:1000/INV-1^Oak-Trust@9", "9000 5000 0 1000", ""),
        ("S", "credit:9000@6 start@7 draw:4000/INV-1@8 draw:1000/INV-1^Oak-Trust@8 refund:1000/INV-1^Oak-Trust@9", "draw:1/INV-1@9", "INVOICE_PAID 0 | award", ""),
        ("S", "credit:9000@6 start@7 draw:4000/INV-1@8 draw:1000/INV-1^Oak-Trust@8", "refund:1001/INV-1^Oak-Trust@9", "AWARD_EXCEEDED 1000 | award 1000 0 1000 1000 1001 1000", ""),
        // an invoice is optional, except for fees
        ("S", CREDIT,     "draw:1@9",                      "9000 4001 0 0", ""),
        // a refund without an invoice takes back an amount drawn without one
        ("S", "credit:9000@6 start@7 draw:4000/INV-1@8 draw:1000@8", "refund:1000@9", "9000 5000 0 1000", ""),
        ("S", "credit:9000@6 start@7 draw:4000/INV-1@8 draw:1000@8", "refund:1001@9", "AWARD_EXCEEDED 1000 | award 9000 4000 5000 1000 1001 1000", "name the invoice to be refunded"),
        ("S", "credit:9000@6 start@7 draw:4000/INV-1@8 draw:1000@8", "refund:4000/INV-1@9", "9000 5000 0 4000", ""),
        ("S", CREDIT,     "refund:4000@9",                 "9000 4000 0 4000", ""),
        ("S", "credit:9000@6 start@7 draw:4000@8", "refund:1/INV-1@9", "INVOICE_MISSING 0 | award", "none stands on this award"),
        ("S", "nle:4@6 start@7 draw:3/INV-1@8", "refund:2@9", "4 3 0 2", ""),
        ("S", "nle:4@6 start@7 draw:3/INV-1@8 refund:2@9", "draw:1/INV-1@9", "INVOICE_PAID 0 | award", ""),
        ("S", "nle:4@6 start@7 draw:3/INV-1@8 refund:3@9", "draw:1/INV-1@9", "4 4 0 3", ""),
    ]);
}

/// Before rules 2 only fees had invoices. Replay of old records still needs this rule.
#[test]
fn before_rules_2_only_fees_have_invoices() {
    let mut script = Script::funded().after("S", "credit:9000@6 start@7");
    script.state.rules = RulesVersion::V1;
    assert_eq!(script.money_result("S", "draw:1/INV-1@8").0, "INVOICE_NOT_EXPECTED 0 | award");
}

#[test]
fn an_invoice_is_drawn_in_parts_up_to_its_total() {
    const PART: &str = "npqel:900000@6 start@7 draw:300000/INV-1=500000@8";
    const BOTH: &str = "npqel:900000@6 start@7 draw:300000/INV-1=500000@8 draw:200000/INV-1@8";
    const APART: &str = "npqel:900000@6 start@7 draw:300000/INV-1=800000@8 draw:500000/INV-1@12";
    #[rustfmt::skip]
    judge_money(&[
        ("M", FEES, "draw:500000/INV-1=500000@8",   "900000 500000 0 0", ""),
        ("M", FEES, "draw:500001/INV-1=500000@8",   "CLAIM_TOTAL_EXCEEDED 500000 | award 500000 0 0 500000 500001 500000", "£5,000.01 is more than is left of the total of invoice INV1 of Teach First, £5,000: £5,000"),
        ("M", PART, "draw:200000/INV-1=500000@9",   "900000 500000 0 0", ""),
        ("M", PART, "draw:200000/INV-1@9",          "900000 500000 0 0", ""),
        ("M", PART, "draw:200001/INV-1@9",          "CLAIM_TOTAL_EXCEEDED 200000 | award 500000 0 300000 200000 200001 200000", "draw at most £2,000"),
        ("M", PART, "draw:700000/inv1@9",           "AWARD_EXCEEDED 200000 | award 900000 600000 300000 600000 700000 600000 | award 500000 0 300000 200000 700000 200000", ""),
        ("M", PART, "draw:1/INV-1=500001@9",        "CLAIM_TOTAL_DIFFERS 0 | award", "was stated as £5,000, and £5,000.01 is given"),
        ("M", BOTH, "draw:1/INV-1@9",               "INVOICE_PAID 0 | award", "has been paid up to its total, £5,000"),
        // without a total one draw pays the invoice, and a later total changes nothing
        ("M", "npqel:900000@6 start@7 draw:300000/INV-1@8", "draw:1/INV-1=500000@9", "INVOICE_PAID 0 | award", ""),
        // several awards may pay parts of an invoice, also awards of different strands
        ("M", "npqel:300000@6 start@7 draw:300000/INV-1=500000@8 npqel:600000@8", "draw:200000/INV-1@9", "600000 200000 0 0", ""),
        ("M", "npqel:300000@6 start@7 draw:300000/INV-1=500000@8 npqel:600000@8", "draw:200001/INV-1@9", "CLAIM_TOTAL_EXCEEDED 200000 | award 500000 0 300000 200000 200001 200000", ""),
        // a half-day costs £300
        ("S", "nle:4@6 start@7", "draw:2/INV-1=60000@8", "4 2 0 0", ""),
        ("S", "nle:4@6 start@7 draw:2/INV-1=100000@8", "draw:2/INV-1@9", "CLAIM_TOTAL_EXCEEDED 1 | award 3 0 2 1 2 1", "0.5 days"),
        // a refunded amount may be drawn again up to the total; a full refund frees the reference
        ("M", "npqel:900000@6 start@7 draw:300000/INV-1=500000@8 draw:200000/INV-1@8 refund:50000/INV-1@9", "draw:50000/INV-1@9", "900000 550000 0 50000", ""),
        ("M", "npqel:900000@6 start@7 draw:300000/INV-1=500000@8 draw:200000/INV-1@8 refund:50000/INV-1@9", "draw:50001/INV-1@9", "CLAIM_TOTAL_EXCEEDED 50000 | award 500000 0 450000 50000 50001 50000", ""),
        ("M", "npqel:900000@6 start@7 draw:300000/INV-1=500000@8 refund:300000@9", "draw:1/INV-1=400000@9", "900000 300001 0 300000", ""),
        ("M", "npqel:900000@6 start@7 draw:300000/INV-1=500000@8 refund:300000@9", "draw:300000/INV-1@9", "900000 600000 0 300000", ""),
        // a refund takes back one payment: the newest with enough left as of the day of the refund
        ("M", BOTH, "refund:300000/INV-1@9",        "900000 500000 0 300000", ""),
        ("M", APART, "refund:300000/INV-1@10",      "900000 800000 0 300000", ""),
        ("M", APART, "refund:300000/INV-1@8",       "900000 800000 0 300000", ""),
        ("M", APART, "refund:500000/INV-1@12",      "900000 800000 0 500000", ""),
        ("M", APART, "refund:300001/INV-1@10",      "DATE_ORDER 300000 | period", "give a date on or after 2021-10-12, or refund at most £3,000"),
        ("M", APART, "refund:300000/INV-1@7",       "DATE_ORDER 0 | period", "give a date on or after 2021-10-08"),
        ("M", APART, "refund:500001/INV-1@10",      "AWARD_EXCEEDED 300000 | award 300000 0 300000 300000 500001 300000", "refund each payment apart, at most £3,000 by this one"),
        ("M", APART, "refund:500001/INV-1@12",      "AWARD_EXCEEDED 500000 | award 500000 0 500000 500000 500001 500000", "refund each payment apart, at most £5,000 by this one"),
        ("M", APART, "refund:500001/INV-1@7",       "AWARD_EXCEEDED 0 | award 500000 0 500000 500000 500001 500000", "refund each payment apart"),
        ("M", &format!("{APART} refund:300000/INV-1@10"), "refund:1/INV-1@10", "DATE_ORDER 0 | period", "lies before what it takes back was drawn, on 2021-10-12"),
        ("M", &format!("{APART} refund:400000/INV-1@13"), "refund:300000/INV-1@13", "900000 800000 0 700000", ""),
        ("M", BOTH, "refund:300001/INV-1@9",        "AWARD_EXCEEDED 300000 | award 300000 0 300000 300000 300001 300000", "refund each payment apart"),
    ]);
    let script = Script::funded().after("M", BOTH).after("M", "refund:100000/INV-1");
    let payments = &script.awards_of_offer(Script::offer_id_of("M"))[0].invoices;
    let parts: Vec<_> = payments.iter().map(|it| (it.claim.as_ref().unwrap().part, it.refunded.get())).collect();
    assert_eq!(parts, [(1, 0), (2, 100_000)]);
}

/// Undoing a refund pays its invoice again. Payments made between the refund and the undo count.
#[test]
fn undoing_a_refund_pays_the_invoice_again_within_its_total() {
    const WHOLE: &str = "npqel:900000@6 start@7 draw:300000/INV-1@8 refund:300000@9";
    const PART: &str = "npqel:900000@6 start@7 draw:300000/INV-1=500000@8 refund:300000@9";
    const LESS: &str = "npqel:900000@6 start@7 draw:300000/INV-1=500000@8 refund:100000@9";
    #[rustfmt::skip]
    judge_money(&[
        ("M", WHOLE,                                        "undo#24", "900000 300000 0 0", ""),
        ("M", &format!("{WHOLE} draw:1/INV-2@9"),           "undo#24", "900000 300001 0 0", ""),
        ("M", &format!("{WHOLE} draw:1/INV-1@9"),           "undo#24", "INVOICE_PAID - | award", "invoice INV1 of Teach First has been paid by award 00000000"),
        ("M", &format!("{WHOLE} draw:1/INV-1=400000@9"),    "undo#24", "INVOICE_PAID - | award", "refund all of that payment first"),
        ("M", &format!("{PART} draw:1/INV-1@9"),            "undo#24", "INVOICE_PAID - | award", ""),
        ("M", &format!("{PART} draw:1/INV-1=400000@9"),     "undo#24", "CLAIM_TOTAL_DIFFERS - | award", "was stated as £4,000, and £5,000 is given"),
        ("M", &format!("{PART} draw:500000/INV-1=500000@9"), "undo#24", "INVOICE_PAID - | award", "has been paid up to its total, £5,000"),
        ("M", &format!("{PART} draw:200000/INV-1=500000@9"), "undo#24", "900000 500000 0 0", ""),
        ("M", &format!("{PART} draw:200001/INV-1=500000@9"), "undo#24", "CLAIM_TOTAL_EXCEEDED - | award 500000 0 200001 299999 300000 299999", "refund what was paid in error first"),
        ("M", &format!("{LESS} draw:200000/INV-1@9"),       "undo#24", "900000 500000 0 0", ""),
        ("M", &format!("{LESS} draw:300000/INV-1@9"),       "undo#24", "CLAIM_TOTAL_EXCEEDED - | award 500000 0 500000 0 100000 0", ""),
        // a half-day costs £300
        ("S", "nle:4@6 start@7 draw:2/INV-1@8 refund:1@9",  "undo#24", "4 2 0 0", ""),
        // afterwards less can be drawn on the invoice
        ("M", &format!("{PART} undo#24"),                   "draw:200001/INV-1@9", "CLAIM_TOTAL_EXCEEDED 200000 | award 500000 0 300000 200000 200001 200000", ""),
        // fees of a leader whom another award funds now
        ("M", "npqel:9000*ceo-1@6 release@7",               "undo#22",   "9000 0 0 0", ""),
        ("M", "npqel:9000*ceo-1@6 release@7 npqel:1*ceo-1@7", "undo.1#22", "LEADER_FUNDED - | recipient", "release and refund all of that award first"),
        ("M", "npqel:9000*ceo-1@6 release:1@7",             "undo#22",   "9000 0 0 0", ""),
    ]);
    // The payment gets the next number. A concurrent payment of the same invoice would get the same number, so that the two
    // conflict.
    let script = Script::funded().after("M", &format!("{PART} draw:1/INV-1=500000@9 undo#24"));
    let paid = &script.awards_of_offer(Script::offer_id_of("M"))[0].invoices;
    assert_eq!(paid.iter().map(|it| it.claim.as_ref().unwrap().part).collect::<Vec<_>>(), [3, 2]);
    assert_eq!(script.state.violations, Vec::<String>::new());
}

/// A payment made before rules 2 has no number. It gets a number when its refund is undone.
#[test]
fn a_payment_without_a_number_gets_a_number() {
    let mut script = Script::funded();
    script.state.rules = RulesVersion::V1;
    let mut script = script.after("M", "npqel:900000@6 start@7 draw:300000/INV-1@8");
    for payment in script.state.awards.values_mut().flat_map(|it| &mut it.invoices) {
        payment.claim = None;
    }
    script.state.rules = RulesVersion::V2;
    let script = script.after("M", "refund:300000@9 undo#24");
    let paid = &script.awards_of_offer(Script::offer_id_of("M"))[0].invoices[0];
    let claim = paid.claim.clone().unwrap();
    assert_eq!((claim.issuer.as_deref(), claim.printed.as_str(), claim.total), (Some("Teach First"), "INV1", None));
    assert_eq!((claim.issuer_key, paid.left()), (IssuerKey::of("Teach First"), 300_000));
}

/// If one award refunded an invoice and a second award paid it, the invoice belongs to the second award. This stays so if the
/// first award changes later.
#[test]
fn an_invoice_stays_with_the_award_that_paid_it_last() {
    let first = "npqel:500000 npqel:400000 start@7 draw.1:300000/INV-1 refund.1:300000 draw.2:300000/INV-1";
    let mut script = Script::funded().after("M", first).after("M", "draw.1:100/INV-9");
    assert_eq!(script.money_result("M", "draw.1:100/INV-1").0, "INVOICE_PAID 0 | award");
    let second = script.awards_of_offer(Script::offer_id_of("M"))[1].id;
    let outstanding = script.state.claims.values().filter_map(|it| it.first_outstanding());
    let paying_awards: Vec<AwardId> = outstanding.map(|(award, _)| award).collect();
    assert_eq!(paying_awards.iter().filter(|it| **it == second).count(), 1);
    assert_eq!(paying_awards.len(), 2);
}

/// The record has the invoice as printed, its issuer, and its total.
#[test]
fn the_record_has_the_invoice_as_printed_and_its_issuer() {
    let script = Script::funded().after("S", "credit:9000@6 nle:4@6 start@7 draw.1:1/INV-1=50@8 draw.2:1/inv.2@8");
    let payments: Vec<_> =
        script.awards_of_offer(Script::offer_id_of("S")).into_iter().map(|it| it.invoices[0].clone()).collect();
    let (credit, leader_time) = (payments[0].claim.clone().unwrap(), payments[1].claim.clone().unwrap());
    assert_eq!((credit.issuer.as_deref(), credit.printed.as_str(), credit.part), (Some("Trust 4000"), "INV-1", 1));
    assert_eq!((credit.total.map(|it| it.get()), credit.issuer_key), (Some(50), IssuerKey::of("trust 4000")));
    // The organisation of a leader of education is in an erasable text, so the record has only its key.
    assert_eq!((leader_time.issuer.as_deref(), leader_time.printed.as_str(), leader_time.total), (None, "inv.2", None));
    assert_eq!((leader_time.issuer_key, payments[1].amount.get()), (IssuerKey::of("Oak Trust"), 30_000));
}

/// "An NPQEL leader is funded once in a programme, unless the earlier award was wholly released, refunded or undone".
#[test]
fn a_leader_is_funded_once() {
    #[rustfmt::skip]
    judge_money(&[
        ("M", "npqel:9000*ceo-1@6",                          "npqel:1*ceo-1@6",       "LEADER_FUNDED 0 | recipient", "leader ceo-1 is funded by award 00000000"),
        // case is ignored, as in all ids of people
        ("M", "npqel:9000*ceo-1@6",                          "npqel:1*CEO-1@6",       "LEADER_FUNDED 0 | recipient", ""),
        ("M", "npqel:9000*ceo-1@6",                          "npqel:1*ceo-2@6",       "1 0 0 0", ""),
        // also within one request
        ("M", "",                                            "npqel:1*ceo-1+npqel:2*Ceo-1@6", "LEADER_FUNDED 0 | recipient", "an award before it in this call"),
        ("M", "",                                            "npqel:1*ceo-1+npqel:2*ceo-2@6", "1 0 0 0 + 2 0 0 0", ""),
        // nothing of the earlier award is left
        ("M", "npqel:9000*ceo-1@6 release@7",                "npqel:1*ceo-1@7",       "1 0 0 0", ""),
        ("M", "npqel:9000*ceo-1@6 release:8999@7",           "npqel:1*ceo-1@7",       "LEADER_FUNDED 0 | recipient", "release and refund all of that award first"),
        ("M", "npqel:9000*ceo-1@6 start@7 draw:9000/A-1@8",  "npqel:1*ceo-1@8",       "LEADER_FUNDED 0 | recipient", ""),
        ("M", "npqel:9000*ceo-1@6 start@7 draw:4000/A-1@8 refund:4000@9 release@9", "npqel:1*ceo-1@9", "1 0 0 0", ""),
        ("M", "npqel:9000*ceo-1@6 start@7 draw:4000/A-1@8 refund:3999@9 release@9", "npqel:1*ceo-1@9", "LEADER_FUNDED 0 | recipient", ""),
        // a leader of another strand does not count
        ("M", "npqel:9000*leader-1@6",                       "nle:1@6",               "1 0 0 0", ""),
        ("M", "npqel:9000*gov-1@6",                          "nlg:1*gov-1@6",         "1 0 0 0", ""),
    ]);
    // Before rules 2 a leader could be funded twice. Those awards count under rules 2.
    let mut script = Script::funded();
    script.state.rules = RulesVersion::V1;
    let mut script = script.after("M", "npqel:9000*ceo-1@6 npqel:9000*ceo-1@6");
    assert_eq!(script.state.violations, Vec::<String>::new());
    script.state.rules = RulesVersion::V2;
    assert_eq!(script.money_result("M", "npqel:1*ceo-1@6").0, "LEADER_FUNDED 0 | recipient");
}

/// "Its bookings are lines without entries, delivering them moves no money; money is drawn by claims."
#[test]
fn bookings_of_governance_support_move_no_money() {
    const SUPPORT: &str = "nlg:9000*gov-1@6 start@7";
    #[rustfmt::skip]
    judge_money(&[
        ("M", SUPPORT, "book:4@2022-03-01",         "9000 0 0 0", ""),
        ("M", "nlg:9000@6 start@7", "book:4@2022-03-01", "BOOKING_LEADER_MISSING 0 | award", "name the leader who comes"),
        ("M", "nlg:9000@6 start@7", "book:4/gov-2@2022-03-01", "9000 0 0 0", ""),
        ("M", SUPPORT, "book:1@5",                  "DATE_ORDER 0 | period", ""),
        ("M", SUPPORT, "book:1@2023-01-01",         "OUTSIDE_WINDOW 0 | period", ""),
        // bookings hold no money
        ("M", "nlg:9000*gov-1@6 start@7 book:4@2022-03-01", "draw:9000@8",          "9000 9000 0 0", ""),
        ("M", "nlg:9000*gov-1@6 start@7 book:4@2022-03-01", "release@8",            "9000 0 9000 0", ""),
        ("M", "nlg:9000*gov-1@6 start@7 book:4@2022-03-01", "draw#23@8",            "9000 0 0 0", ""),
        ("M", "nlg:9000*gov-1@6 start@7 book:4@2022-03-01", "draw:1#23@8",          "UNIT_MISMATCH 0 | award", "a booking of nlg moves no money"),
        ("M", "nlg:9000*gov-1@6 start@7 book:4@2022-03-01", "draw#23/INV-1@8",      "UNIT_MISMATCH 0 | award", "pay the claim apart"),
        ("M", "nlg:9000*gov-1@6 start@7 book:4@2022-03-01", "draw#23@5",            "DATE_ORDER 0 | period | period", ""),
        ("M", "nlg:9000*gov-1@6 start@7 book:4@2022-03-01", "draw#23@6",            "DATE_ORDER 0 | period", "before delivery started, on 2021-10-07"),
        ("M", "nlg:9000*gov-1@6 book:4@2022-03-01", "draw#22@8",                    "STATE_NOT_ALLOWED 0 | state", ""),
        ("M", "nlg:9000*gov-1@6 start@7 book:4@2022-03-01 draw#23@8", "draw#23@8",  "BOOKING_NOT_OPEN 0 | award", ""),
        ("M", "nlg:9000*gov-1@6 start@7 book:4@2022-03-01", "cancel#23",            "9000 0 0 0", ""),
        ("M", "nlg:9000*gov-1@6 start@7 book:4@2022-03-01 cancel#23", "draw#23@8",  "BOOKING_NOT_OPEN 0 | award", ""),
    ]);
    // Closing cancels open bookings, also of an award with nothing committed. The answer names only released amounts.
    for (before, closed) in [("", "closed 9000"), ("draw:9000@8", "closed")] {
        let mut script = Script::funded().after("M", SUPPORT).after("M", "book:4@2022-03-01").after("M", before);
        assert_eq!(script.money_result("M", "close:completed@9").0, closed);
        let award = script.awards_of_offer(Script::offer_id_of("M"))[0];
        assert!(!award.has_open_bookings() && award.is_settled(), "{award:?}");
    }
    let script = Script::funded().after("M", SUPPORT).after("M", "book:4@2022-03-01 book:1/gov-2@2022-03-02 draw#23@8");
    assert!(script.events[FUNDED_EVENTS + 2..].iter().all(|it| it.entries.is_empty()), "{:?}", script.events);
    let kinds: Vec<&str> = script.events[FUNDED_EVENTS + 2..].iter().map(|it| it.body.kind()).collect();
    assert_eq!(kinds, ["days_booked", "days_booked", "booking_delivered"]);
    let bookings = &script.awards_of_offer(Script::offer_id_of("M"))[0].bookings;
    let lines: Vec<_> = bookings.iter().map(|it| (it.leader.as_str(), it.state.name())).collect();
    assert_eq!(lines, [("gov-1", "delivered"), ("gov-2", "booked")]);
}

/// "Two equal draws of one award on one day without a reference bring a warning."
#[test]
fn an_equal_draw_without_an_invoice_is_a_warning() {
    #[rustfmt::skip]
    let rows = [
        ("draw:100@8",         "draw:100@8",         true),
        ("draw:100@8",         "draw:100@9",         false),
        ("draw:100@8",         "draw:101@8",         false),
        ("draw:100/INV-1@8",   "draw:100@8",         false),
        ("draw:100@8",         "draw:100/INV-1@8",   false),
        ("draw:100@8 draw:7@8 refund:100@9", "draw:100@8", true),
        ("draw.1:100@8",       "draw.2:100@8",       false),
    ];
    for (before, word, warned) in rows {
        let script = Script::funded().after("S", "credit:9000@6 credit:8000@6 start@7").after("S", before);
        let decided = { script }.word("S", word).unwrap();
        let repeated = decided.warnings.iter().filter(|it| matches!(it, Warning::DrawRepeated(_)));
        let expected = if warned { vec![Warning::DrawRepeated(day("8"))] } else { Vec::new() };
        assert_eq!(repeated.copied().collect::<Vec<_>>(), expected, "{before}, {word}");
    }
}

/// "Finance: draw claims": a draw of days with an invoice is a claim too.
#[test]
fn a_draw_with_an_invoice_is_the_task_of_finance() {
    let script = Script::funded().after("S", "nle:4@6 start@7");
    let action = |word: &str| script.command(Script::offer_id_of("S"), word).1.action();
    assert_eq!((action("draw:1@8"), action("draw:1/INV-1@8")), (Action::Deliver, Action::PayClaims));
}
