//! Holds a programme in memory for tests. It records events as the writer does. Each command is written as one word.
//!
//! [`Script::new`] identifies four offers, as events 1 to 4: `S` a maintained school (100001, local authority 330), `T` the
//! school of a single-academy trust (100002, trust 2000), `M` a trust (3000) with the schools 100003 and 100004, `D` a
//! school with a diocese (100005). The first event that a test adds is number 5.

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

/// Parses a date. A number alone is a day of October 2021.
pub(crate) fn day(text: &str) -> Date {
    text.parse().or_else(|_| format!("2021-10-{text:0>2}").parse()).unwrap()
}

/// An eligible school with this URN.
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

/// A maintained school of local authority 330 (Birmingham, in the West Midlands) as a recipient.
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

/// A multi-academy trust with this UID as a recipient.
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

/// The recipients of the offers `S`, `T`, `M` and `D`, in this order.
fn recipients_of_first_offers() -> Vec<Candidate> {
    let school_of_single_trust =
        Candidate { trust: Some(uid(2000)), responsible: ResponsibleBody::Trust(uid(2000)), ..standalone(100_002) };
    let church_school =
        Candidate { responsible: ResponsibleBody::Diocese("Diocese of Ely".to_owned()), ..standalone(100_005) };
    let schools = [100_003, 100_004].map(|n| school(n, Region::SouthWest)).to_vec();
    vec![standalone(100_001), school_of_single_trust, mat(3000, schools), church_school]
}

/// The time at which every event is recorded: noon on 1 December 2021.
pub(crate) const NOW: Micros = Micros(1_638_360_000_000_000);

/// The programme 2021-22 on 1 December 2021, with its record.
pub(crate) struct Script {
    pub(crate) state: ProgrammeState,
    pub(crate) events: Vec<Event>,
    pub(crate) today: Date,
    /// The request id of every request. If none, each request gets a new request id.
    pub(crate) request: Option<RequestId>,
    /// The reach of every caller.
    pub(crate) reach: Reach,
    /// The number from which the newest id was made.
    last_id: u128,
    request_count: u128,
}

impl Script {
    /// A programme without events.
    pub(crate) fn empty() -> Self {
        let programme: Programme = "2021-22".parse().unwrap();
        let (file, text) = shipped()[0];
        let scheme = Arc::new(Terms::parse(file, text).unwrap());
        let mut state = ProgrammeState::new(ProgrammeHeader { programme, terms: [7; 32], scheme, open: true });
        state.rules = RulesVersion::CURRENT;
        let (events, today, reach) = (Vec::new(), day("2021-12-01"), Reach::everything());
        Self { state, events, today, request: None, reach, last_id: 0, request_count: 0 }
    }

    /// A programme with the offers `S`, `T`, `M` and `D`.
    pub(crate) fn new() -> Self {
        let mut script = Self::empty();
        script.identify(recipients_of_first_offers()).unwrap();
        script
    }

    /// The id of the offer with this letter.
    pub(crate) fn offer_id_of(letter: &str) -> OfferId {
        offer_id(1 + "STMD".find(letter).unwrap() as u128)
    }

    /// The offer with this letter.
    pub(crate) fn offer(&self, letter: &str) -> &Offer {
        &self.state.offers[&Self::offer_id_of(letter)]
    }

    /// The name of the state of the offer with this letter.
    pub(crate) fn state_name(&self, letter: &str) -> &'static str {
        self.offer(letter).state.name()
    }

    /// Carries out identify with these eligible recipients.
    pub(crate) fn identify(&mut self, recipients: Vec<Candidate>) -> Result<Decision, CommandError> {
        self.state.candidates = Some(Candidates { recipients, ..Candidates::default() });
        self.call("officer", &Command::Identify)
    }

    /// Decides a command as this actor. Numbers and applies the events of the decision, as the writer does.
    pub(crate) fn call(&mut self, actor: &str, command: &Command) -> Result<Decision, CommandError> {
        let actor = actor.parse().unwrap();
        let last_id = &mut self.last_id;
        let mut new_id = || {
            *last_id += 1;
            Uuid::from_u128(*last_id)
        };
        let now = Now { at: NOW, today: self.today };
        self.request_count += 1;
        let request = self.request.unwrap_or(RequestId(Uuid::from_u128(self.request_count)));
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

    /// Decides a command as [`Script::call`] does. If the command has a date later than today, that date counts as today.
    fn call_on_its_date(&mut self, actor: &str, command: &Command) -> Result<Decision, CommandError> {
        let today = self.today;
        self.today = command.happened_on().map_or(today, |on| on.max(today));
        let result = self.call(actor, command);
        self.today = today;
        result
    }

    /// Replays the record. Returns the forbidden events, each with the reason. Events that are forbidden because of a future date
    /// are left out, because the words of these tests use future dates.
    pub(crate) fn forbidden(&self) -> Vec<(Seq, String)> {
        let mut found = forbidden_events(&self.events, &self.state, self.today);
        found.retain(|(_, why)| !why.contains("lies in the future"));
        found
    }

    /// The entries of the postings, numbered as the writer numbers them.
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

    /// Carries out one word on one offer: `body@4`, `school@5/100003`, `correct#7`, `accept:trust@6`, `day:accepted@5`,
    /// `decline@6`, `start@7`, `close:lapsed@2022-09-01`, `ask:ada` and `give:ben` or `deny:ben` (reopen), `assign:cy`, `note`,
    /// `region`. `~v3` adds an etag. `award`, `settled` and `drawn` give the offer an award in that state, without an event.
    /// Words about money are in [`super::money_script`].
    pub(crate) fn word(&mut self, letter: &str, word: &str) -> Result<Decision, CommandError> {
        let id = Self::offer_id_of(letter);
        match word {
            "award" => self.set_award(id, |it| it.released = 0),
            "settled" => self.set_award(id, |it| it.released = it.awarded - it.drawn),
            "drawn" => self.set_award(id, |it| (it.drawn, it.released) = (2, 2)),
            _ => {
                self.load_claims();
                let (actor, command) = self.command(id, word);
                return self.call_on_its_date(&actor, &command);
            }
        }
        Ok(Decision::new(Vec::new(), crate::programme::CommandAnswer::Offers(vec![id])))
    }

    /// Changes the offer's award that has no event, and the committed and spent amounts of its fund. A new award is
    /// [`settled_award`].
    fn set_award(&mut self, offer: OfferId, change: impl Fn(&mut Award)) {
        let id = AwardId(offer.0);
        if !self.state.awards.contains_key(&id) {
            self.state.awards.put(settled_award(offer));
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

    /// The caller and the command that a word stands for.
    pub(crate) fn command(&self, id: OfferId, word: &str) -> (String, Command) {
        if let Some(actor_and_command) = self.money_command(id, word) {
            return actor_and_command;
        }
        let (word, etag) = split_at_first(word, '~');
        let (word, school) = split_at_first(word, '/');
        let (word, on) = split_at_first(word, '@');
        let (word, seq) = split_at_first(word, '#');
        let (verb, argument) = split_at_first(word, ':');
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
            "give" => Command::GiveApproval { approval: self.last_approval(id), permission: Action::Reopen },
            "deny" => {
                let (approval, reason) = (self.last_approval(id), "not now".to_owned());
                Command::DenyApproval { approval, permission: Action::Reopen, reason }
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

    /// Carries out several words on one offer, and returns the script. Every word must pass.
    pub(crate) fn after(mut self, letter: &str, words: &str) -> Self {
        for word in words.split_whitespace() {
            let (result, text) = self.result(letter, word);
            assert_eq!(result, result.to_lowercase(), "{letter}: {word}: {text}");
        }
        self
    }

    /// Carries out a word. Returns the offer's state afterwards, or the code of the refusal; and the text of the refusal.
    pub(crate) fn result(&mut self, letter: &str, word: &str) -> (String, String) {
        match self.word(letter, word) {
            Ok(_) => (self.state_name(letter).to_owned(), String::new()),
            Err(CommandError::Refused(refusal)) => {
                let limits = refusal.limits.iter().map(|it| format!("{}: {}: {}", it.kind, it.subject, it.remedy));
                let all = std::iter::once(refusal.message.clone()).chain(limits).collect::<Vec<_>>().join("\n");
                (refusal.reason.code().to_owned(), all)
            }
            Err(CommandError::NotFound(kind, ids)) => ("NOT_FOUND".to_owned(), format!("{kind} {}", ids.join(", "))),
            Err(CommandError::UnknownName(kind, name, _)) => ("NOT_FOUND".to_owned(), format!("{kind} {name}")),
            Err(fault @ CommandError::Stale { .. }) => ("STALE".to_owned(), fault.to_string()),
            Err(CommandError::FutureDate(future)) => ("FUTURE_DATE".to_owned(), future.to_string()),
            Err(CommandError::Bug(bug)) => unreachable!("{bug}"),
        }
    }
}

/// Decides each request of these events again, with the trusts of `original`, on this day. Returns the forbidden events, each
/// with the reason.
pub(crate) fn forbidden_events(events: &[Event], original: &ProgrammeState, today: Date) -> Vec<(Seq, String)> {
    let mut state = Script::empty().state;
    state.movements = Movements::summed();
    state.trusts.clone_from(&original.trusts);
    let mut found = Vec::new();
    for request in events.chunk_by(|one, next| (&one.actor, one.request) == (&next.actor, next.request)) {
        let Some(first) = request.first() else { continue };
        for undone in request.iter().filter_map(|it| it.body.undoes()) {
            events.iter().filter(|it| it.seq == undone).for_each(|it| state.movements.recall(it));
        }
        match state.redecide(request, Now { at: first.recorded, today }) {
            ReplayVerdict::Allowed | ReplayVerdict::ForbiddenByLaterRules(..) => {}
            ReplayVerdict::Forbidden(seq, why) => found.push((seq, why)),
        }
        for event in request {
            state.apply(event);
            found.extend(state.violations.drain(..).map(|it| (event.seq, it)));
        }
    }
    found
}

/// An award of two days, all released.
fn settled_award(offer: OfferId) -> Award {
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

/// Splits a text at the first `separator`. The second part is none if the text has no separator.
pub(in crate::programme) fn split_at_first(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(head, tail)| (head, Some(tail)))
}

/// A row of a test: the offer, the words before, the tested word, the expected result (see [`Script::result`]), and a part of
/// the text of the refusal.
pub(crate) type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// Carries out the tested word of each row, and checks the result. Each row starts with [`Script::new`].
pub(crate) fn judge(rows: &[Row]) {
    for row @ (letter, history, word, expected, part) in rows {
        let (result, text) = Script::new().after(letter, history).result(letter, word);
        assert_eq!(result, *expected, "{row:?}: {text}");
        assert!(text.contains(part), "{row:?}: {text}");
    }
}
