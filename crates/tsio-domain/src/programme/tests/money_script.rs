//! Parses the words about money of the test script.
//!
//! A word is `VERB[.N][:ARGUMENT][#NUMBER][/EXTRA][@DATE][~ETAG]`.
//!
//! * Awards, on an offer: `nle:4`, `credit:400000/4000` (partner), `nlg:5000`, `nlg:5000*gov-1` (leader, of Oak Trust),
//!   `npqel:9000/Teach-First` (provider), `npqel:9000*ceo-1` (leader; otherwise a new leader), several awards joined by `+`.
//!   Amounts are in the strand's unit, or name another unit: `credit:3d` (half-days), `nle:500p` (pence).
//! * On an award, the newest award of the offer or its `N`-th: `book:2/leader-2@2022-01-10`, `cancel#24`, `draw:2`, `draw#24`,
//!   `draw:5000/INV-1`, `draw:5000/INV-1=9000` (total), `draw:5000/INV-1^Oak-Trust` (issuer), `release`, `release:2`,
//!   `refund:2/INV-1`, `undo#24`, `undo` (the award's newest movement).
//! * On funds, by strand and region: `fund:credit=south-west`, `put:credit:500000`, `take:credit:1`, `cut:credit:1` (which
//!   may over-commit), `move:credit:nlg:1`. `!ada` names the caller. `yes:ben` gives the newest approval as ben. `cap` is not a
//!   fund, but the account of an offer's cap.

use uuid::Uuid;

use super::script::{Script, day, split_at_first, uid};
use crate::award::claim::{IssuerKey, NewClaim};
use crate::award::{Award, Reference, Support};
use crate::event::Seq;
use crate::ids::{AccountId, ApprovalId, AwardId, OfferId};
use crate::ledger::fund_change::FundChange;
use crate::ledger::{Account, Amount, Unit};
use crate::money::{HalfDays, Pence};
use crate::programme::command::{AwardTarget, NewAward, OfferTarget, RefundIssuer};
use crate::programme::decision::Approved;
use crate::programme::{Command, CommandAnswer, CommandError, TrustAnswer};
use crate::refusal::{Limit, Refusal};
use crate::region::Region;
use crate::role::Action;
use crate::school::TrustKind;
use crate::terms::StrandId;

/// A word, split into its parts.
struct Word<'a> {
    verb: &'a str,
    nth: Option<usize>,
    argument: Option<&'a str>,
    number: Option<Seq>,
    extra: Option<&'a str>,
    on: Option<&'a str>,
}

impl<'a> Word<'a> {
    fn new(word: &'a str) -> Self {
        let (word, on) = split_at_first(word, '@');
        let (word, extra) = split_at_first(word, '/');
        let (word, number) = split_at_first(word, '#');
        let (verb, argument) = split_at_first(word, ':');
        let (verb, nth) = split_at_first(verb, '.');
        let number = number.map(|it| Seq(it.parse().unwrap()));
        Self { verb, nth: nth.map(|it| it.parse().unwrap()), argument, number, extra, on }
    }

    /// The amount of the word, in the unit that it names, or else in `unit`.
    fn amount(&self, unit: Unit) -> Option<Amount> {
        self.argument.map(|text| parse_amount(text, unit))
    }
}

/// Parses an amount, in the unit that the text names, or else in `unit`.
fn parse_amount(text: &str, unit: Unit) -> Amount {
    let (number, unit) = match (text.strip_suffix('d'), text.strip_suffix('p')) {
        (Some(days), _) => (days, Unit::HalfDays),
        (_, Some(pence)) => (pence, Unit::Pence),
        _ => (text, unit),
    };
    match unit {
        Unit::Pence => Amount::Pence(Pence(number.parse().unwrap())),
        Unit::HalfDays => Amount::HalfDays(HalfDays(number.parse().unwrap())),
    }
}

/// The number of events of [`Script::funded`].
pub(crate) const FUNDED_EVENTS: usize = 20;

impl Script {
    /// A script with all four offers accepted, and funds of £20,000 for credit and £10,000 each for NLG and NPQEL, allocated by `first`.
    /// The register has the trusts 4000 (an open MAT), 4001 (a closed MAT), 4002 (an open SAT), and as open MATs the trusts of `T`
    /// (2000) and `M` (3000). It has [`FUNDED_EVENTS`] events, so the next event is number 21.
    pub(crate) fn funded() -> Self {
        let mut script = Self::new();
        for (n, kind, open) in [
            (2000, TrustKind::Mat, true),
            (3000, TrustKind::Mat, true),
            (4000, TrustKind::Mat, true),
            (4001, TrustKind::Mat, false),
            (4002, TrustKind::Sat, true),
        ] {
            script.state.trusts.insert(uid(n), TrustAnswer { kind, open });
            script.state.trust_names.insert(uid(n), vec![format!("Trust {n}"), format!("Once {n}")]);
        }
        let script = script.after("S", "body@4 school@5 accept:school@5").after("D", "body@4 school@5 accept:school@5");
        let script = script.after("T", "body@4 accept:trust@5").after("M", "body@4 accept:trust@5");
        let script = script
            .after("S", "fund:credit put:credit:2000000@2021-09-01!first fund:nlg put:nlg:1000000@2021-09-01!first");
        script.after("S", "fund:npqel put:npqel:1000000@2021-09-01!first")
    }

    /// Sets the state that the writer loads for a payment of an invoice. The organisation of every leader is Oak Trust.
    pub(in crate::programme) fn load_claims(&mut self) {
        for award in self.state.awards.values() {
            let organisation = match &award.support {
                Support::Nle { .. } => Some("Oak Trust"),
                Support::Nlg { organisation, .. } => organisation.as_deref(),
                Support::Credit { .. } | Support::Npqel { .. } => None,
            };
            self.state.organisations.extend(organisation.map(|it| (award.id, IssuerKey::of(it))));
            self.state.draws_without_invoice.entry(award.id).or_default();
        }
    }

    /// The awards of an offer, in the order in which they were made.
    pub(crate) fn awards_of_offer(&self, offer: OfferId) -> Vec<&Award> {
        let mut awards: Vec<&Award> = self.state.awards.values().filter(|it| it.offer == offer).collect();
        awards.sort_by_key(|it| it.made);
        awards
    }

    /// The id of a fund by its word: `credit`, `credit=south-west`. `cap` is the account of the NLE cap of `S`. Returns a nil id for a fund
    /// that does not exist.
    pub(crate) fn fund_id(&self, word: &str) -> AccountId {
        let (strand, region) = strand_and_region(word);
        if strand.as_str() == "cap" {
            return AccountId::of_cap(Self::offer_id_of("S"), &StrandId::new("nle"));
        }
        self.state.ledger.fund(&strand, region).map_or(AccountId(Uuid::nil()), |it| it.id)
    }

    /// The fund with this word. It must exist.
    pub(crate) fn fund(&self, word: &str) -> &Account {
        self.state.ledger.get(self.fund_id(word)).unwrap()
    }

    /// The caller and the command that a word about money stands for. None for any other word.
    pub(in crate::programme) fn money_command(&self, offer: OfferId, word: &str) -> Option<(String, Command)> {
        let (whole, etag) = split_at_first(word, '~');
        let etag = etag.map(ToOwned::to_owned);
        let (whole, caller) = split_at_first(whole, '!');
        let parsed = Word::new(whole);
        let caller = |usual: &str| caller.unwrap_or(usual).to_owned();
        let command = match parsed.verb {
            "nle" | "credit" | "nlg" | "npqel" => {
                let (lines, on) = split_at_first(whole, '@');
                let before = self.state.awards.len();
                let awards =
                    lines.split('+').enumerate().map(|(index, line)| new_award(line, before + index + 1)).collect();
                Command::Award { offer: OfferTarget { offer, etag }, awards, on: on.map(day) }
            }
            "book" | "cancel" | "draw" | "release" | "refund" | "undo" => self.award_command(offer, &parsed, etag),
            "fund" => {
                let (strand, region) = strand_and_region(parsed.argument.unwrap());
                Command::CreateFund { strand, region }
            }
            "put" | "take" | "cut" | "move" => return Some((caller("fin"), self.fund_change_command(&parsed, etag))),
            "yes" => {
                let fund_approvals = self.state.approvals.values().filter(|it| it.change.is_some());
                let approval = fund_approvals.max_by_key(|it| it.opened).map_or(ApprovalId(Uuid::nil()), |it| it.id);
                let permission = self
                    .state
                    .approvals
                    .get(&approval)
                    .map_or(Action::ApproveMoney, |it| it.action.permission_to_answer());
                return Some((parsed.argument.unwrap().to_owned(), Command::GiveApproval { approval, permission }));
            }
            _ => return None,
        };
        Some((caller("officer"), command))
    }

    fn award_command(&self, offer: OfferId, word: &Word<'_>, etag: Option<String>) -> Command {
        let awards = self.awards_of_offer(offer);
        let award = word.nth.map_or_else(|| awards.last(), |n| awards.get(n - 1));
        let (id, unit) = award.map_or((AwardId(Uuid::nil()), Unit::Pence), |it| (it.id, it.unit));
        let (award, on) = (AwardTarget { award: id, etag }, word.on.map_or(self.today, day));
        let amount = word.amount(unit);
        let claim = word.extra.map(parse_claim);
        let invoice = claim.as_ref().map(|it| it.reference.clone());
        match word.verb {
            "book" => {
                let half_days = HalfDays(word.argument.unwrap().parse().unwrap());
                let leader = word.extra.map(|who| who.parse().unwrap());
                Command::BookDays { award, half_days, on, leader, leader_kind: None }
            }
            "undo" => {
                let newest = || self.state.movements.of(id).last().map_or(Seq(1), |it| it.seq);
                Command::Undo { award, movement: word.number.unwrap_or_else(newest), reason: "wrong award".to_owned() }
            }
            "cancel" => Command::CancelBooking { award, booking: word.number.unwrap() },
            "draw" => Command::Draw { award, amount, on, booking: word.number, invoice: claim, text: None },
            "release" => Command::Release { award, amount, on, text: None },
            _ => {
                let (amount, issuer, reason) =
                    (amount.unwrap(), claim.and_then(|it| it.issuer).map(RefundIssuer::Named), "sent back".to_owned());
                Command::Refund { award, amount, on, invoice, issuer, reason }
            }
        }
    }

    fn fund_change_command(&self, word: &Word<'_>, etag: Option<String>) -> Command {
        let on = word.on.map_or(self.today, day);
        let (funds, amount) = word.argument.unwrap().rsplit_once(':').unwrap();
        let amount = Pence(amount.parse().unwrap());
        let (first, second) = split_at_first(funds, ':');
        let fund = self.fund_id(first);
        let change = match word.verb {
            "put" => FundChange::Allocate { fund, amount, on },
            "move" => FundChange::Move { from: fund, to: self.fund_id(second.unwrap()), amount, on },
            verb => FundChange::Withdraw { fund, amount, over_commit: verb == "cut", on },
        };
        Command::ChangeFund { change, etag, text: Some("letter of 3 May".to_owned()) }
    }

    /// Carries out a word. Returns its result in numbers, and the text of a refusal.
    ///
    /// The result of awards is `awarded drawn released refunded`, of funds `allocated committed spent available`, and of a close the
    /// released amounts. If an approval was opened, the result is `asked`; otherwise it is the offer's state. The result of a refusal
    /// is its reason, the largest amount that would have passed, and each limit with its kind. A numeric limit adds
    /// `limit committed spent available requested largest`.
    pub(crate) fn money_result(&mut self, letter: &str, word: &str) -> (String, String) {
        let answer = match self.word(letter, word) {
            Ok(decided) => decided.answer,
            Err(CommandError::Refused(refusal)) => return (numbers(&refusal), self.sentences(&refusal)),
            Err(CommandError::NotFound(kind, ids)) => {
                return ("NOT_FOUND".to_owned(), format!("{kind} {}", ids.join(", ")));
            }
            Err(CommandError::UnknownName(kind, name, _)) => return ("NOT_FOUND".to_owned(), format!("{kind} {name}")),
            Err(fault @ CommandError::Stale { .. }) => return ("STALE".to_owned(), fault.to_string()),
            Err(CommandError::FutureDate(future)) => return ("FUTURE_DATE".to_owned(), future.to_string()),
            Err(CommandError::Bug(bug)) => return ("BUG".to_owned(), bug.to_owned()),
        };
        let funds = |ids: &[AccountId]| {
            let fund = |id: &AccountId| {
                let Account { committed, spent, available, .. } = &self.state.ledger.get(*id).unwrap();
                let allocated = -self.state.ledger.get(*id).unwrap().outside;
                format!("{allocated} {committed} {spent} {available}")
            };
            ids.iter().map(fund).collect::<Vec<_>>().join(" + ")
        };
        let award = |id: &AwardId| {
            let it = &self.state.awards[id];
            format!("{} {} {} {}", it.awarded, it.drawn, it.released, it.refunded)
        };
        let result = match answer {
            CommandAnswer::Awards(ids) => ids.iter().map(award).collect::<Vec<_>>().join(" + "),
            CommandAnswer::Funds(ids) | CommandAnswer::Approved(_, Approved::Funds(ids)) => funds(&ids),
            CommandAnswer::Closed(_, released) => {
                let amounts: Vec<String> = released.iter().map(|it| it.amount.to_string()).collect();
                format!("closed {}", amounts.join(" ")).trim_end().to_owned()
            }
            CommandAnswer::ApprovalOpened(_) => "asked".to_owned(),
            _ => self.state_name(letter).to_owned(),
        };
        (result, String::new())
    }

    /// The message of a refusal, and the remedies of its limits.
    fn sentences(&self, refusal: &Refusal) -> String {
        let limits = refusal.limits.iter().map(|it| format!("{}: {}: {}", it.kind, it.subject, it.remedy));
        std::iter::once(refusal.message.clone()).chain(limits).collect::<Vec<_>>().join("\n")
    }
}

/// A refusal in numbers, as [`Script::money_result`] says.
fn numbers(refusal: &Refusal) -> String {
    let shown = |it: Option<i64>| it.map_or_else(|| "-".to_owned(), |it| it.to_string());
    let limit = |it: &Limit| {
        let numbers = [it.limit, it.committed, it.spent, it.available, it.requested, it.largest];
        if it.limit.is_none() {
            assert_eq!(
                (numbers, it.unit),
                ([None; 6], None),
                "a limit without a number has other numbers or a unit: {it:?}"
            );
            return it.kind.name().to_owned();
        }
        format!("{} {}", it.kind, numbers.map(shown).join(" "))
    };
    let limits: Vec<String> = refusal.limits.iter().map(limit).collect();
    format!("{} {} | {}", refusal.reason.code(), shown(refusal.largest), limits.join(" | "))
}

fn strand_and_region(word: &str) -> (StrandId, Option<Region>) {
    let (strand, region) = split_at_first(word, '=');
    let region = region.map(|name| serde_json::from_value(serde_json::Value::String(name.to_owned())).unwrap());
    (StrandId::new(strand), region)
}

/// Parses an invoice such as `INV-1=9000^Oak-Trust`: a reference, and optionally its total and its issuer.
fn parse_claim(text: &str) -> NewClaim {
    let (text, issuer) = split_at_first(text, '^');
    let (printed, total) = split_at_first(text, '=');
    NewClaim {
        reference: Reference::read(printed).unwrap(),
        printed: printed.to_owned(),
        issuer: issuer.map(|it| it.replace('-', " ")),
        total: total.map(|it| Pence(it.parse().unwrap())),
    }
}

/// Parses a new award, which will be the `n`-th award of the programme.
fn new_award(line: &str, n: usize) -> NewAward {
    let (line, leader) = split_at_first(line, '*');
    let word = Word::new(line);
    let default_leader = "leader-1".parse().unwrap();
    let (support, unit) = match word.verb {
        "nle" => (Support::Nle { leader: default_leader, leader_kind: None }, Unit::HalfDays),
        "credit" => (Support::Credit { partner: uid(word.extra.unwrap_or("4000").parse().unwrap()) }, Unit::Pence),
        "nlg" => {
            let leader = leader.map(|it| it.parse().unwrap());
            let organisation = leader.is_some().then(|| "Oak Trust".to_owned());
            (Support::Nlg { leader, organisation }, Unit::Pence)
        }
        _ => {
            let leader = leader.map_or_else(|| format!("leader-{n}"), ToOwned::to_owned).parse().unwrap();
            let provider = word.extra.unwrap_or("teach-first").replace('-', " ");
            (Support::Npqel { leader, provider }, Unit::Pence)
        }
    };
    NewAward { support, amount: word.amount(unit).unwrap(), text: "because".to_owned() }
}

/// A row of a test: the offer, the words before, the tested word, the expected result (see [`Script::money_result`]), and a part of the
/// text of the refusal.
pub(crate) type MoneyRow<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

/// Carries out the tested word of each row, and checks the result. Each row starts with [`Script::funded`].
pub(crate) fn judge_money(rows: &[MoneyRow<'_>]) {
    for row @ (letter, history, word, expected, part) in rows {
        let mut script = Script::funded().after(letter, history);
        let before = (script.state.awards.clone(), script.state.ledger.clone(), script.events.len());
        let (result, text) = script.money_result(letter, word);
        assert_eq!(result, *expected, "{row:?}: {text}");
        assert!(text.contains(part), "{row:?}: {text}");
        if result.starts_with(char::is_uppercase) {
            assert_eq!(
                (script.state.awards, script.state.ledger, script.events.len()),
                before,
                "{row:?}: a refused word changed something"
            );
        }
    }
}
