//! `tsio demo`: runs one case from import to close on a new SQLite database, and prints each step. The schools are invented, and
//! are part of the program. The demo calls a real server over a network connection.

mod money;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use super::args::{DemoArgs, PROGRAMME};
use super::errors::ErrorView;
use super::names::name;
use super::output;
use crate::app::App;
use crate::app::clock::Clock;
use crate::app::verify::verify;
use crate::config::development;
use crate::grpc::Serving;
use crate::proto::approval_service_client::ApprovalServiceClient;
use crate::proto::eligibility_service_client::EligibilityServiceClient;
use crate::proto::offer_service_client::OfferServiceClient;
use crate::proto::register_service_client::RegisterServiceClient;
use crate::proto::{
    AcceptOfferRequest, Acceptor, CloseOfferRequest, ContactOffersRequest, ContactedOffer, ExplainEligibilityRequest,
    GiveApprovalRequest, IdentifyOffersRequest, ImportHeader, ImportOfstedRequest, ImportOutcome,
    ImportRegisterRequest, ListApprovalsRequest, ListEligibilityChangesRequest, ListOffersRequest, Offer, Outcome,
    Party, ReopenOfferRequest, StartOfferRequest, SummariseEligibilityRequest, explain_eligibility_request,
    import_ofsted_request, import_ofsted_response, import_register_request, import_register_response,
};
use crate::store::{Store, Use};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type DemoResult<T> = Result<T, Failure>;

/// A sample file, as its name and its content.
type Sample = (&'static str, &'static [u8]);

/// Includes a file of `samples/` as a [`Sample`].
macro_rules! sample {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../samples/", $name)).as_slice())
    };
}

/// Files of the register, and the as-at date of each.
const REGISTER: [(Sample, &str); 4] = [
    (sample!("gias_groups_2021-08.csv"), "2021-08-31"),
    (sample!("gias_membership_2021-08.csv"), "2021-08-31"),
    (sample!("gias_links.csv"), "2021-11-30"),
    (sample!("gias_establishments_full.csv"), "2021-08-31"),
];
/// Monthly files of Ofsted, and their as-at dates.
const AUGUST: (Sample, &str) = (sample!("ofsted_2021-08-31.csv"), "2021-08-31");
const SEPTEMBER: (Sample, &str) = (sample!("ofsted_2021-09-30.csv"), "2021-09-30");

/// A maintained school of the samples whose responsible body is its diocese.
const DIOCESAN_SCHOOL: i32 = 910_003;
/// The time limit of the server's drain. It is never reached, because the demo stops the server after its last answer.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Runs the demo. Exits 0 if every step had the expected result, otherwise 1.
pub async fn run(args: DemoArgs) -> ExitCode {
    match run_story(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::remark(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run_story(args: DemoArgs) -> DemoResult<()> {
    let temporary = tempfile::tempdir()?;
    let directory = args.keep.unwrap_or_else(|| temporary.path().to_owned());
    std::fs::create_dir_all(&directory)?;
    let path = directory.join("demo.db");
    if path.exists() {
        return Err(format!("{} exists already: name another directory", path.display()).into());
    }
    heading("A database and a server")?;
    say(&format!("an empty SQLite file, {}", path.display()))?;
    let server = DemoServer::open(&path).await?;
    let mut story = server.story().await?;
    story.import_register().await?;
    story.first_month().await?;
    let offer = story.offers().await?;
    story.contact_order(&offer).await?;
    story.second_month().await?;
    story.two_people().await?;
    let funds = story.funds().await?;
    story.school(&offer).await?;
    story.trust().await?;
    story.close(&offer).await?;
    story.finance(&funds).await?;
    drop(story);
    server.close().await?;
    verify_record(&path).await?;
    if directory != temporary.path() {
        say(&format!("kept: {}", path.display()))?;
    }
    Ok(())
}

/// The server that the demo calls.
struct DemoServer {
    url: String,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<Result<Serving, Failure>>,
}

impl DemoServer {
    /// Starts a server on a new database.
    async fn open(path: &Path) -> DemoResult<Self> {
        let store = Store::open(&url(path), Use::Serve).await?;
        store.migrate().await?;
        let app = App::new(store, Clock::system());
        app.install_shipped_terms().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let served = tokio::spawn(crate::grpc::serve(app, listener, development(DRAIN), || Ok(()), stopped));
        say(&format!("serving on {url}"))?;
        Ok(Self { url, stop, served })
    }

    /// Connects to the server.
    async fn story(&self) -> DemoResult<Story> {
        Ok(Story { channel: Endpoint::from_shared(self.url.clone())?.connect().await? })
    }

    /// Stops the server, and waits until it has drained.
    async fn close(self) -> DemoResult<()> {
        let _ = self.stop.send(());
        self.served.await??;
        Ok(())
    }
}

/// A connection to the server, over which the steps of the demo are sent.
struct Story {
    channel: Channel,
}

impl Story {
    /// Imports the files of the register.
    async fn import_register(&mut self) -> DemoResult<()> {
        heading("The register: who is in which trust")?;
        for (sample, as_at) in REGISTER {
            let messages = upload(sample, as_at).map(|part| match part {
                Ok(header) => import_register_request::Part::Header(header),
                Err(chunk) => import_register_request::Part::Chunk(chunk),
            });
            let messages = messages.map(|part| ImportRegisterRequest { part: Some(part) }).collect::<Vec<_>>();
            let mut client = RegisterServiceClient::new(self.channel.clone());
            let mut answers =
                client.import_register(by("administrator", tokio_stream::iter(messages))).await?.into_inner();
            let mut outcome = None;
            while let Some(answer) = answers.message().await? {
                if let Some(import_register_response::Part::Outcome(it)) = answer.part {
                    outcome = Some(it);
                }
            }
            say_imported(sample.0, &outcome.unwrap_or_default())?;
        }
        Ok(())
    }

    /// Imports a monthly file of Ofsted.
    async fn import_month(&mut self, (sample, as_at): (Sample, &str)) -> DemoResult<()> {
        let messages = upload(sample, as_at).map(|part| match part {
            Ok(header) => import_ofsted_request::Part::Header(header),
            Err(chunk) => import_ofsted_request::Part::Chunk(chunk),
        });
        let messages = messages.map(|part| ImportOfstedRequest { part: Some(part) }).collect::<Vec<_>>();
        let mut client = EligibilityServiceClient::new(self.channel.clone());
        let mut answers = client.import_ofsted(by("administrator", tokio_stream::iter(messages))).await?.into_inner();
        let mut outcome = None;
        while let Some(answer) = answers.message().await? {
            if let Some(import_ofsted_response::Part::Outcome(it)) = answer.part {
                outcome = Some(it);
            }
        }
        say_imported(sample.0, &outcome.unwrap_or_default())
    }

    async fn first_month(&mut self) -> DemoResult<()> {
        heading("Ofsted's position at 31 August 2021: who is eligible")?;
        self.import_month(AUGUST).await?;
        self.summary().await?;
        let request = ExplainEligibilityRequest {
            programme: PROGRAMME.to_owned(),
            subject: Some(explain_eligibility_request::Subject::Urn(DIOCESAN_SCHOOL)),
        };
        let mut client = EligibilityServiceClient::new(self.channel.clone());
        let explained = client.explain_eligibility(by("reader", request)).await?.into_inner();
        for school in explained.schools {
            say(&format!("why {}:", school.school.map(|it| it.name).unwrap_or_default()))?;
            for rule in school.rules {
                let evidence = rule.evidence.map(|it| format!(" (file as at {})", it.as_at)).unwrap_or_default();
                say(&format!("  {}: {}{evidence}", rule.rule, rule.reason))?;
            }
        }
        Ok(())
    }

    async fn summary(&mut self) -> DemoResult<()> {
        let mut client = EligibilityServiceClient::new(self.channel.clone());
        let request = SummariseEligibilityRequest { programme: PROGRAMME.to_owned() };
        let it = client.summarise_eligibility(by("reader", request)).await?.into_inner();
        say(&format!(
            "{} schools, {} eligible: {} in {} trusts; {} standalone ({} maintained, {} in a single-academy trust, {} the \
             only school of its trust); {} cannot be placed; {} unknown; {} closed",
            it.schools,
            it.eligible_schools,
            it.mat_schools,
            it.mat_trusts,
            it.standalone_schools,
            it.standalone_maintained,
            it.standalone_single_academy_trust,
            it.standalone_single_school_mat,
            it.unplaced,
            it.unknown,
            it.closed
        ))
    }

    async fn identify(&mut self) -> DemoResult<()> {
        let request_id = request_id();
        let request = IdentifyOffersRequest { request_id, programme: PROGRAMME.to_owned(), validate_only: false };
        let mut client = OfferServiceClient::new(self.channel.clone());
        let report = client.identify_offers(by("case-officer", request)).await?.into_inner();
        say(&format!(
            "{} offers made, {} trusts' offers gained schools, {} needed no change, {} schools cannot be placed",
            report.created,
            report.updated,
            report.already_open,
            report.unplaced.len()
        ))
    }

    /// Makes the offers, and returns the offer of the diocesan school.
    async fn offers(&mut self) -> DemoResult<Offer> {
        heading("Offers, one for each recipient")?;
        self.identify().await?;
        // A second run shows that it makes no offer twice.
        self.identify().await?;
        let search = DIOCESAN_SCHOOL.to_string();
        let request = ListOffersRequest { programme: PROGRAMME.to_owned(), search, ..Default::default() };
        let mut client = OfferServiceClient::new(self.channel.clone());
        let listed = client.list_offers(by("reader", request)).await?.into_inner();
        listed.offers.into_iter().next().ok_or_else(|| "the school has no offer".into())
    }

    async fn contact_order(&mut self, offer: &Offer) -> DemoResult<()> {
        heading("Contacts, in the right order")?;
        say(&format!("{}: {} comes first", offer.name, offer.responsible_body))?;
        let contact = |party: Party, date: &str| ContactOffersRequest {
            request_id: request_id(),
            offers: vec![ContactedOffer { offer: offer.offer.clone(), ..Default::default() }],
            party: party.into(),
            date: date.to_owned(),
            ..Default::default()
        };
        let mut client = OfferServiceClient::new(self.channel.clone());
        let too_early = client.contact_offers(by("case-officer", contact(Party::School, "2021-09-14"))).await;
        expect_refusal(too_early, Code::FailedPrecondition)?;
        client.contact_offers(by("case-officer", contact(Party::ResponsibleBody, "2021-09-13"))).await?;
        say("recorded the contact with the diocese, dated 2021-09-13")?;
        client.contact_offers(by("case-officer", contact(Party::School, "2021-09-14"))).await?;
        say("recorded the contact with the school, dated 2021-09-14")?;
        let accept = AcceptOfferRequest {
            request_id: request_id(),
            offer: offer.offer.clone(),
            acceptor: Acceptor::School.into(),
            date: "2021-09-20".to_owned(),
            ..Default::default()
        };
        client.accept_offer(by("case-officer", accept)).await?;
        say("the school accepted on 2021-09-20")?;
        let start = StartOfferRequest { request_id: request_id(), offer: offer.offer.clone(), ..Default::default() };
        expect_refusal(client.start_offer(by("case-officer", start)).await, Code::FailedPrecondition)
    }

    async fn second_month(&mut self) -> DemoResult<()> {
        heading("A month later")?;
        self.import_month(SEPTEMBER).await?;
        let request = ListEligibilityChangesRequest {
            programme: PROGRAMME.to_owned(),
            from_date: AUGUST.1.to_owned(),
            to_date: SEPTEMBER.1.to_owned(),
            ..Default::default()
        };
        let mut client = EligibilityServiceClient::new(self.channel.clone());
        for it in client.list_eligibility_changes(by("reader", request)).await?.into_inner().changes {
            say(&format!("{} {}: {} {}", it.urn, it.name, it.change.replace('_', " "), it.rules.join(", ")))?;
        }
        self.summary().await?;
        self.identify().await
    }

    async fn two_people(&mut self) -> DemoResult<()> {
        heading("What needs two people")?;
        let request = ListOffersRequest { programme: PROGRAMME.to_owned(), page_size: 1, ..Default::default() };
        let mut client = OfferServiceClient::new(self.channel.clone());
        let offers = client.list_offers(by("reader", request)).await?.into_inner().offers;
        let offer = offers.into_iter().next().ok_or("there is no offer")?.offer;
        let close = CloseOfferRequest {
            request_id: request_id(),
            offer: offer.clone(),
            outcome: Outcome::Withdrawn.into(),
            ..Default::default()
        };
        client.close_offer(by("case-officer", close)).await?;
        say("an offer was closed by mistake")?;
        let reopen = ReopenOfferRequest {
            request_id: request_id(),
            offer,
            reason: "a mistake".to_owned(),
            ..Default::default()
        };
        expect_refusal(client.reopen_offer(by("administrator", reopen)).await, Code::FailedPrecondition)?;
        let mut approvals = ApprovalServiceClient::new(self.channel.clone());
        let mine = ListApprovalsRequest { waiting_for_me: true, ..Default::default() };
        let by_second_person = |message| request_of("second-administrator", "administrator", message);
        let waiting = approvals.list_approvals(by_second_person(mine)).await?.into_inner();
        let approval = waiting.approvals.into_iter().next().ok_or("there is no approval")?.approval;
        let own_approval =
            GiveApprovalRequest { request_id: request_id(), approval: approval.clone(), ..Default::default() };
        expect_refusal(approvals.give_approval(by("administrator", own_approval)).await, Code::PermissionDenied)?;
        let give = GiveApprovalRequest { request_id: request_id(), approval, ..Default::default() };
        let given =
            approvals.give_approval(request_of("second-administrator", "administrator", give)).await?.into_inner();
        let state = given.offer.and_then(|it| name(it.state().as_str_name(), "OFFER_STATE_")).unwrap_or_default();
        say(&format!("a second administrator approved: the offer is {state} again"))
    }
}

async fn verify_record(path: &Path) -> DemoResult<()> {
    heading("The record is verified")?;
    let store = Store::open(&url(path), Use::Look).await?;
    for report in verify(&store, None, None).await? {
        say(&format!(
            "{}: {} events and {} entries recomputed, {} differences; head {}:{}",
            report.programme, report.seq, report.entries, report.count, report.seq, report.hash
        ))?;
        if !report.is_sound() {
            return Err(report.differences.join("\n").into());
        }
    }
    Ok(store.close().await?)
}

/// Returns the parts of an upload: the header, then the content. `Result` only tells the two types apart: `Ok` is the header,
/// and `Err` is the content, not an error.
fn upload((name, bytes): Sample, as_at: &str) -> impl Iterator<Item = Result<ImportHeader, Vec<u8>>> {
    let header = ImportHeader {
        request_id: request_id(),
        file_name: name.to_owned(),
        as_at: as_at.to_owned(),
        size_bytes: i64::try_from(bytes.len()).unwrap_or_default(),
        ..Default::default()
    };
    std::iter::once(Ok(header)).chain(std::iter::once(Err(bytes.to_vec())))
}

/// Prints the outcome of an import.
fn say_imported(name: &str, outcome: &ImportOutcome) -> DemoResult<()> {
    say(&format!("{name}: {} rows, {} accepted, {} problems", outcome.rows, outcome.accepted, outcome.problems.len()))
}

/// Prints a refusal. Returns an error if the call succeeded, or failed with another code.
fn expect_refusal<T>(result: Result<T, Status>, expected: Code) -> DemoResult<()> {
    match result {
        Err(status) if status.code() == expected => {
            let shown = ErrorView::from_status(status).text();
            shown.lines().try_for_each(|line| say(&format!("refused | {line}")))
        }
        Err(status) => Err(status.into()),
        Ok(_) => Err("a call that should have been refused was not".into()),
    }
}

/// Makes a request of a caller whose id is the name of the role.
fn by<T>(role: &'static str, message: T) -> Request<T> {
    request_of(role, role, message)
}

/// Makes a request of the caller with this id and this role.
fn request_of<T>(actor: &'static str, role: &'static str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-tsio-actor", MetadataValue::from_static(actor));
    request.metadata_mut().insert("x-tsio-roles", MetadataValue::from_static(role));
    request
}

fn request_id() -> String {
    Uuid::new_v4().to_string()
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", PathBuf::from(path).display())
}

fn heading(text: &str) -> DemoResult<()> {
    Ok(output::text(&format!("\n{text}"))?)
}

fn say(text: &str) -> DemoResult<()> {
    Ok(output::text(&format!("  {text}"))?)
}
