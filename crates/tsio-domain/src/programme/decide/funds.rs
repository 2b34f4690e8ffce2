//! Decides commands about funds: create a fund, allocate, withdraw, move money between funds. Large movements need a second
//! person.

use super::approvals::open_approval;
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
    /// Creates an empty fund. There is at most one fund for each strand and region, and at most one national fund for each strand.
    ///
    /// # Errors
    /// [`CommandError::UnknownName`] for a strand the terms do not have; [`Reason::ProgrammeClosed`], [`Reason::FundExists`].
    pub(in crate::programme) fn create_fund(
        &self,
        strand: &StrandId,
        region: Option<Region>,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        let terms_strand = self.programme.scheme.strand(strand);
        let known = || self.programme.scheme.strands().iter().map(|it| it.id.to_string()).collect();
        let unknown = || CommandError::UnknownName(EntityKind::Strand, strand.to_string(), known());
        let binds = terms_strand.ok_or_else(unknown)?.funds_bind;
        let exists = self.ledger.fund(strand, region).map(|it| {
            let limit = Limit::plain(LimitKind::Fund, it.subject(), "use that fund");
            Refusal::of(Reason::FundExists, format!("there is one already: {it}"), limit)
        });
        Refusal::join(self.programme_closed().into_iter().chain(exists))?;
        let fund = AccountId((context.ids)());
        let body = EventBody::FundCreated { fund, strand: strand.clone(), region, binds };
        Ok(Decision::new(vec![NewEvent::without_offer(context.now.today, body)], CommandAnswer::Funds(vec![fund])))
    }

    /// Allocates money to a fund, withdraws it, or moves it between funds. A movement that needs two people opens an approval.
    /// If the caller already has an open approval for the same movement, the refusal names it. All other limits are checked
    /// first.
    ///
    /// # Errors
    /// Those of [`ProgrammeState::check_movement`] and [`ProgrammeState::refuse_repeated_request`]; [`Reason::ApprovalRequired`].
    pub(in crate::programme) fn change_fund(
        &self,
        change: &FundChange,
        etag: Option<&String>,
        text: Option<&String>,
        context: &mut Context<'_>,
    ) -> Result<Decision, CommandError> {
        // The date is ignored: a request without a date, repeated after midnight, is still the same request.
        let is_same = |it: &Approval| it.change.as_ref().is_some_and(|other| other.dated(change.on()) == *change);
        self.refuse_repeated_request(context, change.fund().0, is_same)?;
        let mut movement = self.check_movement(change, etag, context.subject)?;
        let moved_alone = if self.rules < RulesVersion::V2 {
            Pence::ZERO
        } else {
            self.moved_alone(change, &context.person(), context.now.at)
        };
        let sum = change.amount().get().saturating_add(moved_alone.get());
        if !movement.two_people && Pence(sum) > self.programme.scheme.two_people_above() {
            movement.two_people = true;
            movement.statement.set_moved_alone(moved_alone);
        }
        // Refuse even if one person could now make the movement alone: the open approval could still be given, and the money would
        // move twice.
        let same_change = |it: &&Approval| it.change.as_ref() == Some(change);
        if let Some(open) =
            self.approval_caller(context).find_own_open(self.approvals.about(change.fund().0).filter(same_change))
        {
            return Err(open.required_refusal().into());
        }
        let draft = movement.draft.with_text(text.cloned());
        if !movement.two_people {
            let decision = Decision::new(vec![draft], CommandAnswer::Funds(movement.funds));
            return Ok(decision.warn_if_past(change.on(), context.now));
        }
        let approval = self.new_approval(change.action(), change.fund().0, context);
        let approval = Approval { change: Some(change.clone()), statement: Some(movement.statement), ..approval };
        Ok(open_approval(approval, text.cloned(), context))
    }

    /// Gives an approval of a movement and carries it out, as the second person. The limits are checked again with the funds as
    /// they are now.
    ///
    /// # Errors
    /// Those of [`ProgrammeState::check_movement`]; [`Reason::ApprovalExceeded`].
    pub(in crate::programme) fn give_money_approval(
        &self,
        requested: &Approval,
        change: &FundChange,
        context: &Context<'_>,
    ) -> Result<Decision, CommandError> {
        let movement = self.check_movement(change, None, None)?;
        // An allocation takes nothing out of a fund, so it cannot leave a fund with less than was stated.
        if !matches!(change, FundChange::Allocate { .. }) {
            Refusal::join(self.exceeds_approval_refusal(requested, &movement.statement))?;
        }
        let given = EventBody::ApprovalGiven { approval: requested.id, token_subject: context.subject };
        let given = NewEvent::without_offer(context.now.today, given);
        let answer = CommandAnswer::Approved(requested.id, Approved::Funds(movement.funds));
        Ok(Decision::new(vec![given, movement.draft], answer).warn_if_past(change.on(), context.now))
    }

    /// Checks all limits of a movement. Returns the movement, and whether it needs a second person.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] for an id that is no fund of the programme, [`CommandError::Stale`]; [`Reason::ProgrammeClosed`],
    /// [`Reason::OutsideProgramme`], [`Reason::SameFund`], [`Reason::FundsInsufficient`] (today or as of a past day),
    /// [`Reason::FundOverCommitted`], [`Reason::AmountTooLarge`].
    fn check_movement(
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
        if let Some(outdated) = etag.filter(|it| **it != first.etag()) {
            let (given, current) = (outdated.clone(), first.etag());
            return Err(CommandError::Stale { subject: format!("fund {}", first.id), given, current });
        }
        let mut limits = LimitCollector::new();
        limits.add_blocker(self.programme_closed());
        limits.add_blocker(self.before_programme(change.on()));
        let posting = |account: &Account, verb| Posting { account: account.id, verb, amount };
        let (mut over_commits, mut shortfall_as_of) = (false, 0);
        let (body, postings) = match *change {
            FundChange::Allocate { fund, amount, .. } => {
                check_allocation(first, amount.get(), &mut limits);
                (EventBody::FundAllocated { fund, amount, token_subject }, vec![posting(first, EntryKind::Allocate)])
            }
            FundChange::Withdraw { fund, amount, over_commit, .. } => {
                check_withdrawal(first, amount.get(), over_commit, &mut limits);
                let least = self.least_available_from(first, change.on());
                // The fund is over-committed today, or, if the caller allows it, as of a past day.
                over_commits =
                    amount.get() > first.headroom(EntryKind::Withdraw) || (over_commit && amount.get() > least);
                if over_commit {
                    shortfall_as_of = amount.get().saturating_sub(least);
                } else {
                    self.check_withdrawal_as_of(first, change, &mut limits);
                }
                let body = EventBody::FundWithdrawn { fund, amount, over_commit: over_commits, token_subject };
                (body, vec![posting(first, EntryKind::Withdraw)])
            }
            FundChange::Move { from, to, amount, .. } => {
                let second = second.ok_or(CommandError::Bug("a virement without its second fund"))?;
                limits.add_blocker((from == to).then(|| same_fund(first)));
                limits.add_blocker(first.over_committed.then(|| over_committed(first, amount.get())));
                if !first.over_committed {
                    check_withdrawal(first, amount.get(), false, &mut limits);
                    self.check_withdrawal_as_of(first, change, &mut limits);
                }
                check_allocation(second, amount.get(), &mut limits);
                let postings = vec![posting(first, EntryKind::Withdraw), posting(second, EntryKind::Allocate)];
                (EventBody::FundsMoved { from, to, amount, token_subject }, postings)
            }
        };
        limits.pass()?;
        let funds = [first].into_iter().chain(second).map(|it| it.id).collect();
        let mut statement = self.movement_statement(&postings, over_commits)?;
        statement.set_as_of_shortfall(first.id, Pence(shortfall_as_of));
        let two_people = over_commits || change.amount() > self.programme.scheme.two_people_above();
        Ok(FundMovement {
            draft: NewEvent::without_offer(change.on(), body).posting(postings),
            funds,
            statement,
            two_people,
        })
    }

    /// The statement of a movement: the numbers of its funds before and after the movement.
    ///
    /// # Errors
    /// [`CommandError::Bug`] for a movement that its funds cannot bear, because the limits were checked before.
    fn movement_statement(&self, postings: &[Posting], is_over_commitment: bool) -> Result<Statement, CommandError> {
        let mut funds = Vec::with_capacity(postings.len());
        for posting in postings {
            let account = self.ledger.get(posting.account).ok_or(CommandError::Bug("a movement of no fund"))?;
            let mut moved = account.clone();
            let posted = moved.post(posting.verb, posting.amount, is_over_commitment);
            posted.map_err(|_| CommandError::Bug("a movement that its fund cannot bear"))?;
            let (before, after) = (account.numbers(), moved.numbers());
            funds.push(FundStatement { fund: account.id, before, after, as_of_shortfall: None });
        }
        Ok(Statement::Funds { funds, moved_alone: None })
    }

    /// Checks money that leaves a fund on a day in the past: on that day and each later day the fund must have had the amount.
    fn check_withdrawal_as_of(&self, fund: &Account, change: &FundChange, limits: &mut LimitCollector) {
        let amount = change.amount().get();
        // `check_withdrawal` has refused this amount already.
        let is_refused = amount > fund.headroom(EntryKind::Withdraw);
        let refusal =
            if is_refused { None } else { self.unavailable_as_of(fund, change.on(), Some(amount), "take out") };
        limits.add_numeric_limit(self.least_available_from(fund, change.on()).max(0), refusal);
    }

    /// The fund with this id, or the error that it does not exist. The account of an offer's cap is not a fund.
    fn existing_fund(&self, id: AccountId) -> Result<&Account, CommandError> {
        let fund = self.ledger.get(id).filter(|it| matches!(it.owner, Owner::Fund { .. }));
        fund.ok_or_else(|| CommandError::not_found(EntityKind::Fund, id))
    }
}

/// A movement that all limits allow.
struct FundMovement {
    draft: NewEvent,
    /// The funds that the movement changes. For a virement, the fund that the money leaves is first.
    funds: Vec<AccountId>,
    /// The numbers of its funds before and after the movement.
    statement: Statement,
    /// Whether the movement needs a second person.
    two_people: bool,
}

/// Checks that a withdrawal takes no more than the fund can give. A deliberate over-commitment may take all that was allocated.
/// Adds the limit and its headroom.
fn check_withdrawal(fund: &Account, amount: i64, over_commit: bool, limits: &mut LimitCollector) {
    let most = if over_commit { fund.allocated() } else { fund.headroom(EntryKind::Withdraw) };
    let remedy = match (over_commit, fund.binds) {
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

/// Checks that an allocation leaves the fund with no more than an account can count. Adds the limit and its headroom.
fn check_allocation(fund: &Account, amount: i64, limits: &mut LimitCollector) {
    let most = fund.headroom(EntryKind::Allocate);
    let refusal = (amount > most).then(|| {
        let message = "the fund cannot count that much".to_owned();
        let remedy = format!("put in at most {}", Pence(most));
        Refusal::of(Reason::AmountTooLarge, message, fund.limit(Some(amount), most, remedy))
    });
    limits.add_numeric_limit(most, refusal);
}

/// The refusal of a virement from a fund to itself.
fn same_fund(fund: &Account) -> Refusal {
    let limit = Limit::plain(LimitKind::Fund, fund.subject(), "name two funds");
    Refusal::of(Reason::SameFund, "a virement is between two funds", limit)
}

/// The refusal to move money out of an over-committed fund.
fn over_committed(fund: &Account, amount: i64) -> Refusal {
    let short = Pence(fund.available.saturating_neg().saturating_add(amount));
    let remedy = format!("allocate at least {short} to the fund first");
    let message = "the fund is over-committed: nothing can be moved out of it";
    Refusal::of(Reason::FundOverCommitted, message, fund.limit(Some(amount), 0, remedy))
}
