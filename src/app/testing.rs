//! Helpers for tests of use cases: an app over its own migrated SQLite file, with the shipped terms and the invented samples.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use uuid::Uuid;

use super::App;
use super::clock::Clock;
use super::imports::{
    Denial, EncodeWithdrawn, FileKind, Import, ImportFilter, ImportOutcome, ImportReply, ImportSource, Upload,
    UploadHeader, Withdrawn,
};
use super::request::RequestIdentity;
use super::writer::{AnswerEncoders, Submission};
use crate::domain::Date;
use crate::domain::event::Hash;
use crate::domain::ids::{ApprovalId, ImportId, OfferId, Programme, RequestId, Urn};
use crate::domain::programme::Command;
use crate::domain::programme::command::OfferTarget;
use crate::domain::role::{Caller, Reach, Regions, Role};
use crate::store::db::page::Page;
use crate::store::{Store, Use};

/// The register of August 2021.
pub(crate) const AUGUST: [(&str, &str); 4] = [
    ("gias_groups_2021-08.csv", "2021-08-31"),
    ("gias_membership_2021-08.csv", "2021-08-31"),
    ("gias_links.csv", "2021-11-30"),
    ("gias_establishments_full.csv", "2021-08-31"),
];

/// The monthly files before the register of March.
pub(crate) const MONTHS: [(&str, &str); 4] = [
    ("ofsted_2021-08-31.csv", "2021-08-31"),
    ("ofsted_2021-09-30.csv", "2021-09-30"),
    ("ofsted_2021-11-30_regional.csv", "2021-11-30"),
    ("ofsted_2022-01-31.csv", "2022-01-31"),
];

/// The register of March 2022.
pub(crate) const MARCH: [(&str, &str); 3] = [
    ("gias_groups_2022-03.csv", "2022-03-31"),
    ("gias_membership_2022-03.csv", "2022-03-31"),
    ("gias_establishments_search.csv", "2022-03-31"),
];

/// The last monthly file.
pub(crate) const LAST_MONTH: (&str, &str) = ("ofsted_2023-01-31.csv", "2023-01-31");

/// An app over its own database, which is deleted with it.
pub(crate) struct TestApp {
    pub(crate) app: App,
    dir: TempDir,
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::with_clock(Clock::fixed("2023-02-01T12:00:00Z".parse().unwrap())).await
    }

    /// A test app with this clock, instead of one that always shows 1 February 2023, noon.
    pub(crate) async fn with_clock(clock: Clock) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = app_in(dir.path(), clock).await;
        app.install_shipped_terms().await.unwrap();
        Self { app, dir }
    }

    /// The imports of one kind of file, or of all kinds if `None`, newest first.
    pub(crate) async fn imports(&self, kind: Option<FileKind>) -> Vec<Import> {
        let filter = ImportFilter { kind, ..ImportFilter::default() };
        let page = Page { newest_first: true, after: None, limit: 500 };
        self.app.list_imports(&admin("ann"), &filter, page).await.unwrap()
    }

    /// A test app that has imported these files, in this order.
    pub(crate) async fn with_files(files: &[(&str, &str)]) -> Self {
        let test_app = Self::new().await;
        for (name, as_at) in files {
            test_app.import_sample(name, as_at).await;
        }
        test_app
    }

    /// Imports a sample as at this date, and returns the outcome. The import must succeed.
    pub(crate) async fn import_sample(&self, name: &str, as_at: &str) -> ImportOutcome {
        self.upload(header(name, as_at), sample(name)).await.unwrap().fresh.unwrap()
    }

    /// Uploads a file: a monthly file if its name begins with `ofsted`, otherwise a file of the register.
    pub(crate) async fn upload(
        &self,
        header: UploadHeader,
        bytes: Vec<u8>,
    ) -> super::Result<ImportReply<ImportOutcome>> {
        let (caller, encode) = (admin("ann"), |it: &ImportOutcome| format!("{it:?}").into_bytes());
        let today = self.today();
        let upload = match header.file_name.starts_with("ofsted") {
            true => Upload { source: ImportSource::Ofsted, rpc: "EligibilityService/ImportOfsted", today, bytes },
            false => Upload { source: ImportSource::Register, rpc: "RegisterService/ImportRegister", today, bytes },
        };
        self.app.import_file(&caller, header, upload, |_| {}, encode).await
    }

    /// The clock's date.
    pub(crate) fn today(&self) -> Date {
        self.app.clock().now().today
    }

    /// The path of a file in the directory of the database.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

async fn app_in(dir: &Path, clock: Clock) -> App {
    let store = Store::open(&format!("sqlite:{}", dir.join("tsio.db").display()), Use::Serve).await.unwrap();
    store.migrate().await.unwrap();
    App::new(store, clock)
}

/// The bytes of a sample file.
pub(crate) fn sample(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(name)).unwrap()
}

/// The header of an upload with a new request id and no options.
pub(crate) fn header(name: &str, as_at: &str) -> UploadHeader {
    UploadHeader {
        request: RequestId(Uuid::new_v4()),
        file_name: name.to_owned(),
        as_at: date(as_at),
        validate_only: false,
        replaces: None,
        day_first: false,
        accept_problems: false,
    }
}

/// The header of an upload that replaces an import.
pub(crate) fn replacing_header(name: &str, as_at: &str, replaces: ImportId) -> UploadHeader {
    UploadHeader { replaces: Some(replaces), ..header(name, as_at) }
}

pub(crate) fn admin(name: &str) -> Caller {
    Caller { actor: name.parse().unwrap(), roles: vec![Role::Administrator], regions: Regions::Every, subject: None }
}

pub(crate) fn date(text: &str) -> Date {
    text.parse().unwrap()
}

pub(crate) fn urn(number: u32) -> Urn {
    Urn::new(number).unwrap()
}

pub(crate) fn programme(name: &str) -> Programme {
    name.parse().unwrap()
}

/// A caller who manages funds.
pub(crate) fn treasurer() -> Caller {
    Caller { roles: vec![Role::Finance], ..officer() }
}

/// A caller who works on offers, and may move them to another region.
pub(crate) fn officer() -> Caller {
    let roles = vec![Role::CaseOfficer, Role::Administrator];
    Caller { actor: "officer".parse().unwrap(), roles, regions: Regions::Every, subject: None }
}

/// A submission of a command by the officer, with a new request id.
pub(crate) fn submission(programme_name: &Programme, command: Command) -> Submission {
    Submission {
        programme: programme_name.clone(),
        actor: officer().actor,
        subject: None,
        reach: Reach::everything(),
        request: RequestIdentity { id: RequestId(Uuid::new_v4()), rpc: "test", fingerprint: Hash([0; 32]) },
        command,
        deadline: None,
        encoders: EMPTY_ENCODERS,
    }
}

/// Encoders that return empty answers.
pub(crate) const EMPTY_ENCODERS: AnswerEncoders =
    AnswerEncoders { answer: |_| Ok(Vec::new()), carried_out: |_| Vec::new() };

/// Submits a command with a new request id, and returns the request id.
pub(crate) async fn submit(
    test_app: &TestApp,
    programme_name: &Programme,
    command: Command,
) -> super::Result<RequestId> {
    let submission = submission(programme_name, command);
    let request = submission.request.id;
    test_app.app.inner.writer.submit(submission).await.map(|_| request)
}

/// A note on an offer.
pub(crate) fn note(offer: OfferId) -> Command {
    Command::Note { offer: OfferTarget { offer, etag: None }, text: "called".to_owned() }
}

/// The offers of a programme, made by identify.
pub(crate) async fn offers(test_app: &TestApp, programme_name: &Programme) -> Vec<OfferId> {
    submit(test_app, programme_name, Command::Identify).await.unwrap();
    let offers = crate::store::offers::of_programme(test_app.app.store(), programme_name).await.unwrap();
    BTreeMap::into_keys(offers).collect()
}

/// Requests to withdraw an import, with this request id. Returns the encoded answer.
pub(crate) async fn request_withdrawal(
    test_app: &TestApp,
    by: &Caller,
    (id, import): (RequestId, ImportId),
    reason: &str,
) -> super::Result<Vec<u8>> {
    let parts: [&[u8]; 2] = [import.0.as_bytes(), reason.as_bytes()];
    let request = RequestIdentity::of_parts(id, "RegisterService/WithdrawImport", &parts);
    test_app.app.withdraw_import(by, (request, import), reason, false).await
}

/// Gives an approval to withdraw an import, with this request id. Returns the reply.
pub(crate) async fn give_withdrawal(
    test_app: &TestApp,
    by: &Caller,
    (id, approval): (RequestId, ApprovalId),
    encode: EncodeWithdrawn,
) -> super::Result<ImportReply<Withdrawn>> {
    let request = RequestIdentity::of_parts(id, "ApprovalService/GiveApproval", &[approval.0.as_bytes()]);
    test_app.app.give_withdrawal(by, request, approval, encode).await
}

/// A request to deny an approval to withdraw an import, with this request id.
pub(crate) fn denial(id: RequestId, approval: ApprovalId, reason: &str) -> Denial {
    let parts: [&[u8]; 2] = [approval.0.as_bytes(), reason.as_bytes()];
    let request = RequestIdentity::of_parts(id, "ApprovalService/DenyApproval", &parts);
    Denial { request, approval, reason: reason.to_owned() }
}
