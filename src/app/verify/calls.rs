//! The calls of all records beside the stored answers, as two sums: no side is read into memory and nothing is sorted.
//! Only where the sums differ do the databases compare the two as sets, and name what differs.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use super::Result;
use crate::domain::event::{Event, EventBody};
use crate::domain::events_about;
use crate::domain::ids::RequestId;
use crate::domain::programme::telling;
use crate::domain::register_record::{RegisterBody, RegisterEvent};
use crate::domain::time::Micros;
use crate::store::request_checks::{self, Answered};
use crate::store::{ReadTx, StoreError};

/// The hash of one call, under keys that nobody knows before.
type CallHash = u128;

/// The calls that records tell of, in no order.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    /// Made again for each verification, so that nobody can choose calls of which two sums agree.
    keys: [RandomState; 2],
    /// The sum of those that were answered under the same rule on both sides.
    sum: CallHash,
    /// Those that have an answer for certain, of methods whose answers need no call: few.
    answered: HashSet<CallHash>,
    /// Whether they are all there: an event that cannot be read tells of none.
    complete: bool,
    /// The call of the register's record that was added last: it may have several events.
    of_register: Option<CallHash>,
}

impl Calls {
    /// None yet.
    pub(super) fn new() -> Self {
        let keys = [RandomState::new(), RandomState::new()];
        Self { keys, sum: 0, answered: HashSet::new(), complete: true, of_register: None }
    }

    /// The same keys and no calls.
    pub(super) fn none(&self) -> Self {
        Self { keys: self.keys.clone(), ..Self::new() }
    }

    /// Adds the calls of another record.
    pub(super) fn add(&mut self, other: Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.answered.extend(other.answered);
        self.complete &= other.complete;
    }

    /// Some calls are not told of.
    pub(super) const fn lack_some(&mut self) {
        self.complete = false;
    }

    /// Adds a call of a programme's record.
    pub(super) fn call(&mut self, call: &[Event], begun: Micros) {
        let Some(event) = telling(call) else { return };
        let hash = self.hash(event.actor.as_str(), event.request, event.recorded);
        match &event.body {
            // What the program does by itself is nobody's request, and an approval that states nothing was opened before
            // its request was kept.
            EventBody::RulesAdopted { .. } | EventBody::ApprovalOpened { statement: None, .. } => {}
            EventBody::Identified { .. }
            | EventBody::SchoolsAdded { .. }
            | EventBody::ResponsibleBodyChanged { .. }
            | EventBody::ReferralConfirmed { .. } => drop(self.answered.insert(hash)),
            EventBody::ApprovalGiven { .. }
            | EventBody::ApprovalDenied { .. }
            | EventBody::ApprovalWithdrawn { .. }
                if event.recorded <= begun =>
            {
                self.answered.insert(hash);
            }
            EventBody::Contacted { .. }
            | EventBody::ContactCorrected { .. }
            | EventBody::Accepted { .. }
            | EventBody::Started {}
            | EventBody::DateCorrected { .. }
            | EventBody::Closed { .. }
            | EventBody::Reopened { .. }
            | EventBody::Assigned { .. }
            | EventBody::Noted {}
            | EventBody::RegionChanged { .. }
            | EventBody::ReferralRaised { .. }
            | EventBody::ReferralDiscussed { .. }
            | EventBody::ReferralApproved { .. }
            | EventBody::ReferralDeclined { .. }
            | EventBody::ReferralWithdrawn { .. }
            | EventBody::TextErased { .. }
            | events_about!(school, approval, fund, award) => self.sum = self.sum.wrapping_add(hash),
        }
    }

    /// Adds the call of an event of the register's record; those of one call follow each other.
    pub(super) fn register_event(&mut self, event: &RegisterEvent) {
        let is_found = matches!(
            event.body,
            RegisterBody::RecordBegun { .. }
                | RegisterBody::ImportFound { .. }
                | RegisterBody::ApprovalFound { .. }
                | RegisterBody::AnswerFound { .. }
        );
        if !is_found {
            let hash = self.hash(event.actor.as_str(), event.request, event.recorded);
            if self.of_register.replace(hash) != Some(hash) {
                self.sum = self.sum.wrapping_add(hash);
            }
        }
    }

    /// Whether each of them was answered, and nothing else was. A "no" may be wrong.
    pub(super) async fn agree(mut self, snapshot: &ReadTx, begun: Micros) -> Result<bool> {
        let mut next = self.complete.then_some(request_checks::Place::FIRST);
        while let Some(place) = next {
            let (page, after) = match request_checks::answered(snapshot, place, begun).await {
                Err(StoreError::Unreadable(_)) => return Ok(false),
                read => read?,
            };
            for Answered { actor, request, recorded, needs_event } in page {
                let hash = self.hash(&actor, request, recorded);
                if needs_event {
                    self.sum = self.sum.wrapping_sub(hash);
                } else {
                    self.answered.remove(&hash);
                }
            }
            next = after;
        }
        Ok(self.complete && self.sum == 0 && self.answered.is_empty())
    }

    fn hash(&self, actor: &str, request: RequestId, recorded: Micros) -> CallHash {
        let [high, low] = self.keys.each_ref().map(|key| key.hash_one((actor, request.0, recorded.0)));
        CallHash::from(high) << 64 | CallHash::from(low)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::path::Path;
    use std::sync::Arc;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::app::App;
    use crate::app::clock::Clock;
    use crate::app::verify::{records, register};
    use crate::store::{Store, Use};

    /// The database that an earlier version left, with events of every kind, upgraded.
    async fn upgraded(fixture: &Path, file: &Path) -> App {
        let packed = std::fs::File::open(fixture.join("sqlite/database.gz")).unwrap();
        let mut bytes = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        std::fs::write(file, bytes).unwrap();
        let store = Store::open(&format!("sqlite:{}", file.display()), Use::Serve).await.unwrap();
        store.migrate().await.unwrap();
        let app = App::new(store, Clock::system());
        app.adopt_rules().await.unwrap();
        app
    }

    #[tokio::test]
    async fn the_sums_of_sound_records_agree() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let dir = tempfile::tempdir().unwrap();
        let mut seen = 0;
        for fixture in std::fs::read_dir(fixtures).unwrap() {
            let app = upgraded(&fixture.unwrap().path(), &dir.path().join(format!("{seen}.db"))).await;
            let snapshot = app.store().snapshot().await.unwrap();
            let (register, of_register) = register::fold(&snapshot, Calls::new()).await.unwrap();
            let register = Arc::new(register);
            let begun = register.begun();
            let (_, calls, stray) =
                records(app.store(), &snapshot, &register, of_register.clone(), None).await.unwrap();
            assert_eq!(stray, Vec::<String>::new());
            assert!(calls.clone().agree(&snapshot, begun).await.unwrap(), "the answers are not those of the calls");
            let mut twice = calls.clone();
            twice.add(calls.clone());
            assert!(!twice.agree(&snapshot, begun).await.unwrap(), "calls that were not answered are not missed");
            assert!(!of_register.agree(&snapshot, begun).await.unwrap(), "answers without calls are not missed");
            let mut some = calls;
            some.lack_some();
            assert!(!some.agree(&snapshot, begun).await.unwrap(), "calls that were not read are not missed");
            seen += 1;
        }
        assert!(seen > 1, "there are {seen} fixtures");
    }
}
