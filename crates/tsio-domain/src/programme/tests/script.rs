//! A programme in memory for tests. It records as the writer does, and is driven by one-word commands.
//!
//! Four offers are identified first, as events 1 to 4: `S` a maintained school (100001, local authority 330), `T` the
//! school of a single-academy trust (100002, trust 2000), `M` a trust (3000) with the schools 100003 and 100004, `D` a
//! school with a diocese (100005). The first event of a test is number 5.

use std::sync::Arc;

use uuid::Uuid;

use crate::Date;
use crate::award::movement::Movements;
use crate::award::{Award, Support};
use crate::event::{Event, Seq, text_hash};
use crate::ids::{AccountId, ApprovalId, AwardId, LaCode, OfferId, Programme, RequestId, Uid, Urn};
use crate::ledger::{EntrySeq, LedgerEntry, Posting, Unit};
use crate::money::Pence;
use crate::offer::{Acceptor, DeclineReason, Milestone, Offer, Outcome, Party, Recipient, ResponsibleBody};
use crate::period::Period;
use crate::programme::candidates::{Candidate, CandidateSchool, Candidates};
use crate::programme::command::OfferTarget;
use crate::programme::replay::redecide::ReplayVerdict;
use crate::programme::{Command, CommandError, Context, Decision, ProgrammeHeader, ProgrammeState};
use crate::region::Region;
use crate::role::{Action, Reach};
use crate::rules::RulesVersion;
use crate::terms::{StrandId, Terms, shipped};
use crate::time::{Micros, Now};

pub(crate) fn urn(n: u32) -> Urn {
    Urn::new(n).unwrap()
}

pub(crate) fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

pub(crate) fn offer_id(n: u128) -> OfferId {
    OfferId(Uuid::from_u128(n))
}

/// A day of October 2021, or a whole date.
pub(crate) fn day(text: &str) -> Date {
    text.parse().or_else(|_| format!("2021-10-{text:0>2}").parse()).unwrap()
}

pub(crate) fn school(n: u32, region: Region) -> CandidateSchool {
    let rules = vec!["E2_RI_TWICE_ON_ENTRY".to_owned()];
    CandidateSchool {
        urn: urn(n),
        name: format!("School {n}"),
        region,
        rules,
        by_files: true,
        predecessors: Vec::new(),
    }
}

/// A maintained school of local authority 330 (Birmingham, in the West Midlands).
pub(crate) fn standalone(n: u32) -> Candidate {
    Candidate {
        recipient: Recipient::Standalone(urn(n)),
        name: format!("School {n}"),
        trust: None,
        responsible: ResponsibleBody::LocalAuthority(LaCode::new(330).unwrap()),
        diocese_known: true,
        schools: vec![school(n, Region::WestMidlands)],
    }
}

pub(crate) fn mat(n: u32, schools: Vec<CandidateSchool>) -> Candidate {
    Candidate {
        recipient: Recipient::Mat(uid(n)),
        name: format!("Trust {n}"),
        trust: Some(uid(n)),
        responsible: ResponsibleBody::Trust(uid(n)),
        diocese_known: true,
        schools,
    }
}

fn first_four() -> Vec<Candidate> {
    let single =
        Candidate { trust: Some(uid(2000)), responsible: ResponsibleBody::Trust(uid(2000)), ..standalone(100_002) };
    let church =
        Candidate { responsible: ResponsibleBody::Diocese("Diocese of Ely".to_owned()), ..standalone(100_005) };
    let schools = [100_003, 100_004].map(|n| school(n, Region::SouthWest)).to_vec();
    vec![standalone(100_001), single, mat(3000, schools), church]
}

/// The programme 2021-22 on 1 December 2021, with its record.
pub(crate) struct Script {
    pub(crate) state: ProgrammeState,
    pub(crate) events: Vec<Event>,
    pub(crate) today: Date,
    /// The request id of every request; if none, each request gets a new one.
    pub(crate) request: Option<RequestId>,
    /// The reach of every caller.
    pub(crate) reach: Reach,
    ids: u128,
    calls: u128,
}

impl Script {
    pub(crate) fn empty() -> Self {
        let programme: Programme = "2021-22".parse().unwrap();
        let (file, text) = shipped()[0];
        let scheme = Arc::new(Terms::parse(file, text).unwrap());
        let mut state = ProgrammeState::new(ProgrammeHeader { programme, terms: [7; 32], scheme, open: true });
        state.rules = RulesVersion::CURRENT;
        let (events, today, reach) = (Vec::new(), day("2021-12-01"), Reach::everything());
        Self { state, events, today, request: None, reach, ids: 0, calls: 0 }
    }

    /// With the offers `S`, `T`, `M`, `D`.
    pub(crate) fn new() -> Self {
        let mut script = Self::empty();
        script.identify(first_four()).unwrap();
        script
    }

    /// The id of the offer with this letter.
    pub(crate) fn named(letter: &str) -> OfferId {
        offer_id(1 + "STMD".find(letter).unwrap() as u128)
    }

    pub(crate) fn offer(&self, letter: &str) -> &Offer {
        &self.state.offers[&Self::named(letter)]
    }

    /// The state of an offer, by its name.
    pub(crate) fn state_name(&self, letter: &str) -> &'static str {
        self.offer(letter).state.name()
    }

    pub(crate) fn identify(&mut self, recipients: Vec<Candidate>) -> Result<Decision, CommandError> {
        self.state.candidates = Some(Candidates { recipients, ..Candidates::default() });
        self.call("officer", &Command::Identify)
    }

    /// Decides a command, and numbers and applies its events, as the writer does.
    pub(crate) fn call(&mut self, actor: &str, command: &Command) -> Result<Decision, CommandError> {
        let actor = actor.parse().unwrap();
        let ids = &mut self.ids;
        let mut new_id = || {
            *ids += 1;
            Uuid::from_u128(*ids)
        };
        let now = Now { at: Micros(1_638_360_000_000_000), today: self.today };
        self.calls += 1;
        let request = self.request.unwrap_or(RequestId(Uuid::from_u128(self.calls)));
        let mut context = Context { actor: &actor, subject: None, reach: &self.reach, request, now, ids: &mut new_id };
        let decision = self.state.decide(command, &mut context)?;
        for draft in decision.events.clone() {
            let event = Event {
                seq: Seq(i64::try_from(self.events.len()).unwrap() + 1),
                offer: draft.offer,
                actor: actor.clone(),
                request,
                effective: draft.effective,
                recorded: now.at,
                reason_code: draft.reason_code.map(ToOwned::to_owned),
                text_hash: draft.text.as_deref().map(|text| text_hash(b"salt", text)),
                body: draft.body,
                entries: self.number(draft.effective, &draft.postings),
            };
            self.state.apply(&event);
            self.events.push(event);
        }
        Ok(decision)
    }

    /// Makes the call on the day that the command names, if that day is later than today.
    fn call_when_it_happened(&mut self, actor: &str, command: &Command) -> Result<Decision, CommandError> {
        let today = self.today;
        self.today = command.happened_on().map_or(today, |on| on.max(today));
        let result = self.call(actor, command);
        self.today = today;
        result
    }

    /// The verdicts against its events when the record is replayed. Verdicts about future dates are left out, because the words of these
    /// tests use such dates.
    pub(crate) fn forbidden(&self) -> Vec<(Seq, String)> {
        let mut found = forbidden(&self.events, &self.state, self.today);
        found.retain(|(_, why)| !why.contains("lies in the future"));
        found
    }

    /// The entries of postings, numbered as the writer does.
    fn number(&self, on: Date, postings: &[Posting]) -> Vec<LedgerEntry> {
        let before: usize = self.events.iter().map(|it| it.entries.len()).sum();
        let entry = |(index, it): (usize, &Posting)| LedgerEntry {
            seq: EntrySeq(i64::try_from(before + index).unwrap() + 1),
            account: it.account,
            verb: it.verb,
            amount: it.amount,
            period: Period::of(on),
        };
        postings.iter().enumerate().map(entry).collect()
    }

    /// Carries out one word on one offer: `body@4`, `school@5/100003`, `correct#7`, `accept:trust@6`, `day:accepted@5`, `decline@6`,
    /// `start@7`, `close:lapsed@2022-09-01`, `ask:ada` and `give:ben` or `deny:ben` (reopen), `assign:cy`, `note`, `region`. `~v3`
    /// adds an etag. `award`, `settled` and `drawn` put an award in that state on the offer, without an event. Words about money are
    /// in [`super::money_script`].
    pub(crate) fn word(&mut self, letter: &str, word: &str) -> Result<Decision, CommandError> {
        let id = Self::named(letter);
        match word {
            "award" => self.set_award(id, |it| it.released = 0),
            "settled" => self.set_award(id, |it| it.released = it.awarded - it.drawn),
            "drawn" => self.set_award(id, |it| (it.drawn, it.released) = (2, 2)),
            _ => {
                self.load_claims();
                let (actor, command) = self.command(id, word);
                return self.call_when_it_happened(&actor, &command);
            }
        }
        Ok(Decision::new(Vec::new(), crate::programme::CommandAnswer::Offers(vec![id])))
    }

    /// Changes the offer's award that has no event, and its fund. At first the award is [`settled`].
    fn set_award(&mut self, offer: OfferId, change: impl Fn(&mut Award)) {
        let id = AwardId(offer.0);
        if !self.state.awards.contains_key(&id) {
            self.state.awards.put(settled(offer));
        }
        let award = self.state.awards.get_mut(id).unwrap();
        let (committed, spent) = (award.committed(), award.spent());
        change(award);
        let fund = self.state.ledger.get_mut(award.fund).unwrap();
        let cost = |half_days: i64| half_days * 30_000;
        fund.committed += cost(award.committed() - committed);
        fund.spent += cost(award.spent() - spent);
        fund.available = -fund.outside - fund.committed - fund.spent;
    }

    /// The caller and the command behind a word.
    pub(crate) fn command(&self, id: OfferId, word: &str) -> (String, Command) {
        if let Some(about_money) = self.about_money(id, word) {
            return about_money;
        }
        let (word, etag) = cut(word, '~');
        let (word, school) = cut(word, '/');
        let (word, on) = cut(word, '@');
        let (word, seq) = cut(word, '#');
        let (verb, argument) = cut(word, ':');
        let offer = OfferTarget { offer: id, etag: etag.map(ToOwned::to_owned) };
        let (on, text) = (on.map_or(day("2021-12-01"), day), None);
        let argument = argument.unwrap_or_default();
        let actor = if ["ask", "give", "deny"].contains(&verb) { argument } else { "officer" };
        let command = match verb {
            "body" => Command::Contact { offers: vec![(offer, None)], party: Party::ResponsibleBody, on, text },
            "school" => {
                let urn = school.map(|n| n.parse().unwrap());
                Command::Contact { offers: vec![(offer, urn)], party: Party::School, on, text }
            }
            "day" => {
                let milestone = Milestone::named(argument).unwrap();
                Command::CorrectDate { offer, milestone, on, reason: "letter of 3 May".to_owned() }
            }
            "correct" => Command::Correct { offer, contact: Seq(seq.unwrap().parse().unwrap()), text },
            "accept" => Command::Accept { offer, by: Acceptor::named(argument).unwrap(), on, text },
            "decline" => Command::Decline { offer, reason: DeclineReason::NoCapacity, on, text },
            "start" => Command::Start { offer, on },
            "close" => Command::Close { offer, outcome: Outcome::named(argument).unwrap(), on, text },
            "ask" => Command::Reopen { offer, reason: "new facts".to_owned() },
            "give" => Command::GiveApproval { approval: self.last_approval(id), action: Action::Reopen },
            "deny" => {
                let (approval, reason) = (self.last_approval(id), "not now".to_owned());
                Command::DenyApproval { approval, action: Action::Reopen, reason }
            }
            "assign" => Command::Assign { offer, to: argument.parse().ok() },
            "note" => Command::Note { offer, text: "rang twice".to_owned() },
            "region" => Command::ChangeRegion { offer, to: Region::NorthOfEngland },
            _ => unreachable!("{word} is no word"),
        };
        (actor.to_owned(), command)
    }

    /// The newest approval about an offer; if there is none, an id that does not exist.
    fn last_approval(&self, offer: OfferId) -> ApprovalId {
        let of_offer = self.state.approvals.values().filter(|it| it.subject == offer.0);
        of_offer.map(|it| it.id).max().unwrap_or(ApprovalId(Uuid::nil()))
    }

    /// Carries out several words, all of which must pass.
    pub(crate) fn after(mut self, letter: &str, words: &str) -> Self {
        for word in words.split_whitespace() {
            let (passed, text) = self.result(letter, word);
            assert_eq!(passed, passed.to_lowercase(), "{letter}: {word}: {text}");
        }
        self
    }

    /// The result of a word: the offer's state after it, or the code of the refusal; and the text of the refusal.
    pub(crate) fn result(&mut self, letter: &str, word: &str) -> (String, String) {
        match self.word(letter, word) {
            Ok(_) => (self.state_name(letter).to_owned(), String::new()),
            Err(CommandError::Refused(refusal)) => {
                let limits = refusal.limits.iter().map(|it| format!("{}: {}: {}", it.kind, it.subject, it.remedy));
                let all = std::iter::once(refusal.message.clone()).chain(limits).collect::<Vec<_>>().join("\n");
                (refusal.reason.code().to_owned(), all)
            }
            Err(CommandError::NotFound(kind, ids)) => ("NOT_FOUND".to_owned(), format!("{kind} {}", ids.join(", "))),
            Err(fault @ CommandError::Stale { .. }) => ("STALE".to_owned(), fault.to_string()),
            Err(CommandError::FutureDate(future)) => ("FUTURE_DATE".to_owned(), future.to_string()),
            Err(CommandError::Bug(bug)) => unreachable!("{bug}"),
        }
    }
}

/// The verdicts against these events when each request is decided again, with the trusts of `original`, on this day.
pub(crate) fn forbidden(events: &[Event], original: &ProgrammeState, today: Date) -> Vec<(Seq, String)> {
    let mut state = Script::empty().state;
    state.movements = Movements::summed();
    state.trusts.clone_from(&original.trusts);
    let mut found = Vec::new();
    for call in events.chunk_by(|one, next| (&one.actor, one.request) == (&next.actor, next.request)) {
        let Some(first) = call.first() else { continue };
        for undone in call.iter().filter_map(|it| it.body.undoes()) {
            events.iter().filter(|it| it.seq == undone).for_each(|it| state.movements.recall(it));
        }
        match state.redecide(call, Now { at: first.recorded, today }) {
            ReplayVerdict::Allowed | ReplayVerdict::ForbiddenByLaterRules(..) => {}
            ReplayVerdict::Forbidden(seq, why) => found.push((seq, why)),
        }
        for event in call {
            state.apply(event);
            found.extend(state.violations.drain(..).map(|it| (event.seq, it)));
        }
    }
    found
}

/// An award of two days, all released.
fn settled(offer: OfferId) -> Award {
    Award {
        id: AwardId(offer.0),
        offer,
        unit: Unit::HalfDays,
        support: Support::Nle { leader: "leader-1".parse().unwrap(), leader_kind: None },
        fund: AccountId::of_programme(&"2021-22".parse().unwrap(), &StrandId::new("nle")),
        cap: None,
        rate: Some(Pence(60_000)),
        awarded: 4,
        drawn: 0,
        released: 4,
        refunded: 0,
        on: day("1"),
        by: "officer".parse().unwrap(),
        made: Seq(5),
        version: Seq(5),
        bookings: Vec::new(),
        invoices: Vec::new(),
    }
}

/// Splits a text at the first `at`.
pub(in crate::programme) fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(head, tail)| (head, Some(tail)))
}

/// A row: the offer, the words before, the tested word, the expected result, and a part of the text of the refusal.
pub(crate) type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

pub(crate) fn judge(rows: &[Row]) {
    for row @ (letter, history, word, expected, part) in rows {
        let (result, text) = Script::new().after(letter, history).result(letter, word);
        assert_eq!(result, *expected, "{row:?}: {text}");
        assert!(text.contains(part), "{row:?}: {text}");
    }
}
