//! Compares the requests of all records with the stored answers, by sums of hashes. The answers are therefore not held in
//! memory. Of the requests, only hashes are held, and only of requests whose methods may record no event. If the sums differ,
//! the database compares the requests and the answers as sets, to name the differences.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use super::Result;
use crate::domain::event::{Event, EventBody};
use crate::domain::events_about;
use crate::domain::ids::RequestId;
use crate::domain::programme::main_event;
use crate::domain::register_record::{RegisterBody, RegisterEvent};
use crate::domain::time::Micros;
use crate::store::request_checks::{self, Answered};
use crate::store::{ReadTx, StoreError};

/// The hash of one request, with random keys.
type RequestHash = u128;

/// The requests that the records contain, in no order.
#[derive(Debug, Clone)]
pub(super) struct RequestSet {
    /// New keys for each verification, so that nobody can choose requests that make the sums equal although the sets differ.
    keys: [RandomState; 2],
    /// The sum of the hashes of requests whose methods always record an event. Each must have an answer, and each answer of
    /// these methods must have a request.
    sum: RequestHash,
    /// Requests that must have an answer, but whose methods may also answer without recording an event.
    must_be_answered: HashSet<RequestHash>,
    /// Whether all requests are included. The request of an event that cannot be read is missing.
    is_complete: bool,
    /// The request of the register's record that was added last. It may have several events, and is added once.
    last_of_register: Option<RequestHash>,
}

impl RequestSet {
    /// An empty set of requests, with new keys.
    pub(super) fn new() -> Self {
        let keys = [RandomState::new(), RandomState::new()];
        Self { keys, sum: 0, must_be_answered: HashSet::new(), is_complete: true, last_of_register: None }
    }

    /// An empty set of requests, with the keys of this set.
    pub(super) fn empty_with_same_keys(&self) -> Self {
        Self { keys: self.keys.clone(), ..Self::new() }
    }

    /// Adds the requests of another record, which must have the same keys.
    pub(super) fn add(&mut self, other: Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.must_be_answered.extend(other.must_be_answered);
        self.is_complete &= other.is_complete;
    }

    /// Notes that some requests are missing.
    pub(super) const fn mark_incomplete(&mut self) {
        self.is_complete = false;
    }

    /// Adds a request of a programme's record, given its events. `register_began` is the time at which the register's record began.
    pub(super) fn add_request(&mut self, request_events: &[Event], register_began: Micros) {
        let Some(event) = main_event(request_events) else { return };
        let hash = self.hash(event.actor.as_str(), event.request, event.recorded);
        match &event.body {
            // The program adopts rules without a request. An approval that does not state what it would change was opened by a
            // version that did not store its request.
            EventBody::RulesAdopted { .. } | EventBody::ApprovalOpened { statement: None, .. } => {}
            EventBody::Identified { .. }
            | EventBody::SchoolsAdded { .. }
            | EventBody::ResponsibleBodyChanged { .. }
            | EventBody::ReferralConfirmed { .. } => drop(self.must_be_answered.insert(hash)),
            // Before the register's record began, the same methods answered approvals about imports and recorded no event.
            EventBody::ApprovalGiven { .. }
            | EventBody::ApprovalDenied { .. }
            | EventBody::ApprovalWithdrawn { .. }
                if event.recorded <= register_began =>
            {
                self.must_be_answered.insert(hash);
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

    /// Adds the request of an event of the register's record, unless the last event had the same request. The first
    /// events of the record list what existed before it, and have no request.
    pub(super) fn add_register_event(&mut self, event: &RegisterEvent) {
        let began_record = matches!(
            event.body,
            RegisterBody::RecordBegun { .. }
                | RegisterBody::ImportFound { .. }
                | RegisterBody::ApprovalFound { .. }
                | RegisterBody::AnswerFound { .. }
        );
        if !began_record {
            let hash = self.hash(event.actor.as_str(), event.request, event.recorded);
            if self.last_of_register.replace(hash) != Some(hash) {
                self.sum = self.sum.wrapping_add(hash);
            }
        }
    }

    /// Whether every request has an answer, and every answer that needs an event has a request. If this returns `true`, that is
    /// certain apart from a chance collision of hashes. It also returns `false` if a request or an answer could not be read.
    pub(super) async fn agree(mut self, snapshot: &ReadTx, register_began: Micros) -> Result<bool> {
        let mut next = self.is_complete.then_some(request_checks::PageStart::FIRST);
        while let Some(page_start) = next {
            let (page, after) = match request_checks::answered(snapshot, page_start, register_began).await {
                Err(StoreError::Unreadable(_)) => return Ok(false),
                read => read?,
            };
            for Answered { actor, request, recorded, needs_event } in page {
                let hash = self.hash(&actor, request, recorded);
                if needs_event {
                    self.sum = self.sum.wrapping_sub(hash);
                } else {
                    self.must_be_answered.remove(&hash);
                }
            }
            next = after;
        }
        Ok(self.is_complete && self.sum == 0 && self.must_be_answered.is_empty())
    }

    fn hash(&self, actor: &str, request: RequestId, recorded: Micros) -> RequestHash {
        let [high, low] = self.keys.each_ref().map(|key| key.hash_one((actor, request.0, recorded.0)));
        RequestHash::from(high) << 64 | RequestHash::from(low)
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

    /// Unpacks the database of a fixture to this file, and upgrades it. The fixtures together have events of every kind.
    async fn upgrade_fixture(fixture: &Path, file: &Path) -> App {
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
            let app = upgrade_fixture(&fixture.unwrap().path(), &dir.path().join(format!("{seen}.db"))).await;
            let snapshot = app.store().snapshot().await.unwrap();
            let (register, register_requests) = register::fold(&snapshot, RequestSet::new()).await.unwrap();
            let register = Arc::new(register);
            let register_began = register.began_at();
            let (_, requests, differences_of_no_record) =
                records(app.store(), &snapshot, &register, register_requests.clone(), None).await.unwrap();
            assert_eq!(differences_of_no_record, Vec::<String>::new());
            assert!(
                requests.clone().agree(&snapshot, register_began).await.unwrap(),
                "the requests and the answers must agree"
            );
            let mut twice = requests.clone();
            twice.add(requests.clone());
            assert!(!twice.agree(&snapshot, register_began).await.unwrap(), "requests without an answer must be found");
            assert!(
                !register_requests.agree(&snapshot, register_began).await.unwrap(),
                "answers without a request must be found"
            );
            let mut incomplete = requests;
            incomplete.mark_incomplete();
            assert!(!incomplete.agree(&snapshot, register_began).await.unwrap(), "incomplete requests must not agree");
            seen += 1;
        }
        assert!(seen > 1, "there are {seen} fixtures");
    }
}
