//! Funds: made, financed, cut, moved between; and the second person that large movements need.

use super::approvals::opening;
use super::limits::LimitCollector;
use crate::approval::Approval;
use crate::event::{EventBody, NewEvent};
use crate::ids::AccountId;
pub use crate::ledger::fund_change::FundChange;
use crate::ledger::{Account, EntryKind, Owner, Posting};
use crate::money::Pence;
use crate::person::TokenSubject;
use crate::programme::ProgrammeState;
use crate::programme::context::Context;
use crate::programme::decision::{Approved, CommandAnswer, Decision};
use crate::programme::error::CommandError;
use crate::refusal::{EntityKind, Limit, LimitKind, Reason, Refusal};
use crate::region::Region;
use crate::rules::RulesVersion;
use crate::terms::StrandId;
use crate::values::statement::{FundStatement, Statement};

impl ProgrammeState {
    /// Makes a fund with nothing in it: one a strand and region, or national.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for a strand the terms do not have; [`Reason::ProgrammeClosed`], [`Reason::FundExists`].
    pub(in crate::programme) fn create_fund(
        &self,
        strand: &StrandId,
        region: Option<Region>,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let found = self.programme.scheme.strand(strand);
        let binds = found.ok_or_else(|| CommandError::not_found(EntityKind::Strand, strand))?.funds_bind;
        let exists = self.ledger.fund(strand, region).map(|it| {
            let limit = Limit::plain(LimitKind::Fund, it.subject(), "use that fund");
            Refusal::of(Reason::FundExists, format!("there is one already: {it}"), limit)
        });
        Refusal::none_of(self.programme_closed().into_iter().chain(exists))?;
        let fund = AccountId((context.ids)());
        let body = EventBody::FundCreated { fund, strand: strand.clone(), region, binds };
        Ok(Decision::new(vec![NewEvent::of_book(context.now.today, body)], CommandAnswer::Funds(vec![fund])))
    }

    /// Moves money in, out of, or between funds; where that takes two people, opens an approval, or names the one its
    /// caller opened already. What would be refused anyway is refused first.
    ///
    /// # Errors
    /// As [`ProgrammeState::movement`], and [`Reason::ApprovalRequired`]; [`Reason::ApprovalNotOpen`] where this very call, made
    /// before, was approved and carried out.
    pub(in crate::programme) fn change_fund(
        &self,
        change: &FundChange,
        etag: Option<&String>,
        text: Option<&String>,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        // A call without a date, made again after midnight, is still the same call.
        let same = |it: &Approval| it.change.as_ref().is_some_and(|asked| asked.dated(change.on()) == *change);
        self.not_asked_before(context, change.fund().0, same)?;
        let mut movement = self.movement(change, etag, context.subject)?;
        let moved = if self.rules < RulesVersion::V2 {
            Pence::ZERO
        } else {
            self.moved_alone(change, &context.person(), context.now.at)
        };
        let together = change.amount().get().saturating_add(moved.get());
        if !movement.two_people && Pence(together) > self.programme.scheme.two_people_above() {
            movement.two_people = true;
            movement.statement.moved_alone(moved);
        }
        // Also where one person could do it by now: what was asked may still be given, and would be done twice.
        let same_change = |it: &&Approval| it.change.as_ref() == Some(change);
        if let Some(open) =
            self.approval_caller(context).own_open(self.approvals.about(change.fund().0).filter(same_change))
        {
            return Err(open.required().into());
        }
        let draft = movement.draft.with_text(text.cloned());
        if !movement.two_people {
            let decided = Decision::new(vec![draft], CommandAnswer::Funds(movement.funds));
            return Ok(decided.warn_if_past(change.on(), context.now));
        }
        let asked = self.asking(change.action(), change.fund().0, context);
        let asked = Approval { change: Some(change.clone()), statement: Some(movement.statement), ..asked };
        Ok(opening(asked, text.cloned(), context))
    }

    /// Carries out what was asked, as the second person; it is judged again, against the funds as they are by now.
    ///
    /// # Errors
    /// As [`ProgrammeState::movement`], and [`Reason::ApprovalExceeded`].
    pub(in crate::programme) fn give_money_approval(
        &self,
        waiting: &Approval,
        change: &FundChange,
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let movement = self.movement(change, None, None)?;
        // An allocation leaves nothing shorter than it was.
        if !matches!(change, FundChange::Allocate { .. }) {
            Refusal::none_of(self.beyond(waiting, &movement.statement))?;
        }
        let given = EventBody::ApprovalGiven { approval: waiting.id, token_subject: context.subject };
        let given = NewEvent::of_book(context.now.today, given);
        let answer = CommandAnswer::Approved(waiting.id, Approved::Funds(movement.funds));
        Ok(Decision::new(vec![given, movement.draft], answer).warn_if_past(change.on(), context.now))
    }

    /// Judges a movement by all limits but the second person.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for what is no fund of the programme, [`CommandError::Stale`]; [`Reason::ProgrammeClosed`],
    /// [`Reason::OutsideProgramme`], [`Reason::SameFund`], [`Reason::FundsInsufficient`], as of a day in the past too,
    /// [`Reason::FundOverCommitted`], [`Reason::AmountTooLarge`].
    fn movement(
        &self,
        change: &FundChange,
        etag: Option<&String>,
        token_subject: Option<TokenSubject>,
    ) -> Result<FundMovement, CommandError> {
        let amount =
            Some(change.amount().get()).filter(|it| *it > 0).ok_or(CommandError::Bug("a movement of nothing"))?;
        let first = self.existing_fund(change.fund())?;
        let second = match change {
            FundChange::Move { to, .. } => Some(self.existing_fund(*to)?),
            FundChange::Allocate { .. } | FundChange::Withdraw { .. } => None,
        };
        if let Some(given) = etag.filter(|it| **it != first.etag()) {
            let (given, current) = (given.clone(), first.etag());
            return Err(CommandError::Stale { subject: format!("fund {}", first.id), given, current });
        }
        let mut limits = LimitCollector::new();
        limits.add_blocker(self.programme_closed());
        limits.add_blocker(self.before_programme(change.on()));
        let posting = |account: &Account, verb| Posting { account: account.id, verb, amount };
        let (mut cuts, mut short_as_of) = (false, 0);
        let (body, postings) = match *change {
            FundChange::Allocate { fund, amount, .. } => {
                arrives(first, amount.get(), &mut limits);
                (EventBody::FundAllocated { fund, amount, token_subject }, vec![posting(first, EntryKind::Allocate)])
            }
            FundChange::Withdraw { fund, amount, over_commit, .. } => {
                leaves(first, amount.get(), over_commit, &mut limits);
                let least = self.least_from(first, change.on());
                cuts = amount.get() > first.headroom(EntryKind::Withdraw) || (over_commit && amount.get() > least);
                if over_commit {
                    short_as_of = amount.get().saturating_sub(least);
                } else {
                    self.leaves_as_of(first, change, &mut limits);
                }
                let body = EventBody::FundWithdrawn { fund, amount, over_commit: cuts, token_subject };
                (body, vec![posting(first, EntryKind::Withdraw)])
            }
            FundChange::Move { from, to, amount, .. } => {
                let second = second.ok_or(CommandError::Bug("a virement without its second fund"))?;
                limits.add_blocker((from == to).then(|| same_fund(first)));
                limits.add_blocker(first.over_committed.then(|| over_committed(first, amount.get())));
                if !first.over_committed {
                    leaves(first, amount.get(), false, &mut limits);
                    self.leaves_as_of(first, change, &mut limits);
                }
                arrives(second, amount.get(), &mut limits);
                let postings = vec![posting(first, EntryKind::Withdraw), posting(second, EntryKind::Allocate)];
                (EventBody::FundsMoved { from, to, amount, token_subject }, postings)
            }
        };
        limits.pass()?;
        let funds = [first].into_iter().chain(second).map(|it| it.id).collect();
        let mut statement = self.state_movement(&postings, cuts)?;
        statement.short_as_of(first.id, Pence(short_as_of));
        let two_people = cuts || change.amount() > self.programme.scheme.two_people_above();
        Ok(FundMovement { draft: NewEvent::of_book(change.on(), body).posting(postings), funds, statement, two_people })
    }

    /// What a movement does to its funds, as they are now.
    ///
    /// # Errors
    /// [`CommandError::Bug`] for a movement that its funds cannot bear: it was judged before.
    fn state_movement(&self, postings: &[Posting], deliberate: bool) -> Result<Statement, CommandError> {
        let mut funds = Vec::with_capacity(postings.len());
        for posting in postings {
            let account = self.ledger.get(posting.account).ok_or(CommandError::Bug("a movement of no fund"))?;
            let mut moved = account.clone();
            let posted = moved.post(posting.verb, posting.amount, deliberate);
            posted.map_err(|_| CommandError::Bug("a movement that its fund cannot bear"))?;
            let (before, after) = (account.numbers(), moved.numbers());
            funds.push(FundStatement { fund: account.id, before, after, as_of_shortfall: None });
        }
        Ok(Statement::Funds { funds, moved_alone: None })
    }

    /// Money that leaves a fund on a day: no later day may have had less, unless it is deliberately cut below.
    fn leaves_as_of(&self, fund: &Account, change: &FundChange, limits: &mut LimitCollector) {
        let amount = change.amount().get();
        let beyond = amount > fund.headroom(EntryKind::Withdraw);
        let refusal = if beyond { None } else { self.as_of(fund, change.on(), Some(amount), "take out") };
        limits.add_numeric_limit(self.least_from(fund, change.on()).max(0), refusal);
    }

    fn existing_fund(&self, id: AccountId) -> Result<&Account, CommandError> {
        let fund = self.ledger.get(id).filter(|it| matches!(it.owner, Owner::Fund { .. }));
        fund.ok_or_else(|| CommandError::not_found(EntityKind::Fund, id))
    }
}

/// A movement that no limit stands against.
struct FundMovement {
    draft: NewEvent,
    /// The funds it changes; of a virement the one it leaves first.
    funds: Vec<AccountId>,
    /// What it does to them.
    statement: Statement,
    /// Whether it takes a second person.
    two_people: bool,
}

/// Money that leaves a fund: what is available, or deliberately as much as was put in.
fn leaves(fund: &Account, amount: i64, deliberate: bool, limits: &mut LimitCollector) {
    let most = if deliberate { fund.allocated() } else { fund.headroom(EntryKind::Withdraw) };
    let remedy = match (deliberate, fund.binds) {
        (true, _) => format!("take out at most what was put in: {}", Pence(most)),
        (false, true) => {
            format!("take out at most {}; withdrawing more is over-commitment, by two people", Pence(most))
        }
        (false, false) => format!("take out at most {}", Pence(most)),
    };
    let refusal = (amount > most).then(|| {
        let message = format!("{} is more than can be taken out of the fund: {}", Pence(amount), Pence(most));
        Refusal::of(Reason::FundsInsufficient, message, fund.limit(Some(amount), most, remedy))
    });
    limits.add_numeric_limit(most, refusal);
}

/// Money that arrives in a fund: as much as an account can count.
fn arrives(fund: &Account, amount: i64, limits: &mut LimitCollector) {
    let most = fund.headroom(EntryKind::Allocate);
    let refusal = (amount > most).then(|| {
        let message = "the fund cannot count that much".to_owned();
        let remedy = format!("put in at most {}", Pence(most));
        Refusal::of(Reason::AmountTooLarge, message, fund.limit(Some(amount), most, remedy))
    });
    limits.add_numeric_limit(most, refusal);
}

fn same_fund(fund: &Account) -> Refusal {
    let limit = Limit::plain(LimitKind::Fund, fund.subject(), "name two funds");
    Refusal::of(Reason::SameFund, "a virement is between two funds", limit)
}

fn over_committed(fund: &Account, amount: i64) -> Refusal {
    let short = Pence(fund.available.saturating_neg().saturating_add(amount));
    let remedy = format!("allocate at least {short} to the fund first");
    let message = "the fund is over-committed: nothing can be moved out of it";
    Refusal::of(Reason::FundOverCommitted, message, fund.limit(Some(amount), 0, remedy))
}
