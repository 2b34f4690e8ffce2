//! `tsio offers`: makes, lists and watches offers, and changes their state.
//!
//! Every mutation prints the offer in its new state. The server decides which command is allowed; the client does not repeat its
//! checks.

mod args;
mod change;
mod record;
mod summary;
#[cfg(test)]
mod tests;
mod watch;

pub(super) use self::args::OffersCommand;
use self::args::{ContactArgs, ListArgs};
pub(super) use self::change::warn;
use super::errors::Failure;
use super::json::{self, Json};
use super::output::{parts, remark};
use super::session::{PAGE, Session, every_page};
use super::view::offers as view;
use crate::proto::{
    BatchGetOffersRequest, ContactOffersRequest, ContactedOffer, GetOfferRequest, IdentifyOffersRequest,
    ListOfferEventsRequest, ListOffersRequest, Offer, OfferState, Party,
};

/// The number of offers in one batch: the most that the server accepts.
const BATCH_SIZE: usize = 100;
/// The most offers of one contact: the most that the server accepts.
const MOST_CONTACTED: usize = 500;
/// The page size of events: the largest that the server allows.
const EVENTS_PAGE_SIZE: i32 = 1000;

/// Checks the arguments beyond what the parser can check.
///
/// # Errors
/// [`Failure::Usage`] if an argument for one offer is used with several.
pub(super) fn check(command: &OffersCommand) -> Result<(), Failure> {
    match command {
        OffersCommand::Contact(args) if args.offers.len() > 1 && (args.urn.is_some() || args.etag.is_some()) => {
            Err(Failure::Usage("--urn and --etag are about one offer: name one only".to_owned()))
        }
        _ => Ok(()),
    }
}

pub(super) async fn run(command: OffersCommand, session: &Session<'_>) -> Result<(), Failure> {
    match command {
        OffersCommand::Identify { dry_run } => {
            let (request_id, programme) = (session.request_id(), session.programme());
            let request = IdentifyOffersRequest { request_id, programme, validate_only: dry_run };
            let answer = session.services.offers().identify_offers(session.call(request)).await?.into_inner();
            warn(&answer.warnings);
            session.print(|| record::identify_json(&answer, dry_run), || record::identify_text(&answer, dry_run))
        }
        OffersCommand::List(args) => list(args, session).await,
        OffersCommand::Summary(args) => summary::run(args, session).await,
        OffersCommand::Show { offers } => show(offers, session).await,
        OffersCommand::Events { offer, filter, order_by, output } => {
            let first_request = ListOfferEventsRequest {
                offer,
                filter,
                order_by,
                page_size: EVENTS_PAGE_SIZE,
                page_token: String::new(),
            };
            let events = every_page(async |page_token| {
                let request = ListOfferEventsRequest { page_token, ..first_request.clone() };
                let answer = session.services.offers().list_offer_events(session.call(request)).await?.into_inner();
                Ok((answer.events, answer.next_page_token))
            });
            let events = events.await?;
            session.print_list(&events, &output, json::of, record::events)
        }
        OffersCommand::Watch(args) => watch::run(args, session).await,
        OffersCommand::Contact(args) => contact(args, session).await,
        OffersCommand::Change(command) => change::run(command, session).await,
    }
}

/// Shows one offer, or several as a list. The offers of one batch are read at the same moment.
async fn show(offers: Vec<String>, session: &Session<'_>) -> Result<(), Failure> {
    if let [offer] = offers.as_slice() {
        let request = GetOfferRequest { offer: offer.clone(), ..Default::default() };
        let answer = session.services.offers().get_offer(session.call(request)).await?.into_inner();
        return session.print(|| view::detail_json(&answer), || view::detail(&answer));
    }
    let mut all_offers = Vec::with_capacity(offers.len());
    for batch in offers.chunks(BATCH_SIZE) {
        let request = BatchGetOffersRequest { offers: batch.to_vec(), ..Default::default() };
        let answer = session.services.offers().batch_get_offers(session.call(request)).await?.into_inner();
        all_offers.extend(answer.offers);
    }
    let text = || all_offers.iter().map(view::detail).collect::<Vec<_>>().join("\n\n\n");
    session.print(|| all_offers.iter().map(view::detail_json).collect::<Json>(), text)
}

async fn list(args: ListArgs, session: &Session<'_>) -> Result<(), Failure> {
    let assignee = if args.mine { session.actor() } else { args.assignee.unwrap_or_default() };
    let first_request = ListOffersRequest {
        programme: session.programme(),
        state: args.state.unwrap_or(OfferState::Unspecified).into(),
        region: args.region.unwrap_or_default(),
        assignee,
        search: args.search.unwrap_or_default(),
        local_authority: args.local_authority.unwrap_or_default(),
        page_size: PAGE,
        filter: args.filter.unwrap_or_default(),
        order_by: args.order_by.unwrap_or_default(),
        ..Default::default()
    };
    let offers = every_page(async |page_token| {
        let request = ListOffersRequest { page_token, ..first_request.clone() };
        let answer = session.services.offers().list_offers(session.call(request)).await?.into_inner();
        Ok((answer.offers, answer.next_page_token))
    });
    let offers = offers.await?;
    session.print_list(&offers, &args.output, view::row_json, view::rows)
}

/// The offers that list a school of a local authority and wait for a contact with this party: the responsible body has not been
/// contacted yet, or it has been and the school of a standalone offer has not.
async fn waiting_for_contact(code: i32, party: Party, session: &Session<'_>) -> Result<Vec<String>, Failure> {
    let (state, filter) = match party {
        Party::School => (OfferState::Contacted, "recipient_kind = STANDALONE"),
        Party::ResponsibleBody | Party::Unspecified => (OfferState::Identified, ""),
    };
    let first_request = ListOffersRequest {
        programme: session.programme(),
        state: state.into(),
        local_authority: code,
        filter: filter.to_owned(),
        page_size: PAGE,
        ..Default::default()
    };
    let offers = every_page(async |page_token| {
        let request = ListOffersRequest { page_token, ..first_request.clone() };
        let answer = session.services.offers().list_offers(session.call(request)).await?.into_inner();
        Ok((answer.offers, answer.next_page_token))
    });
    let is_contacted = |offer: &Offer| offer.contacts.iter().any(|it| it.party() == party && it.corrected_by == 0);
    let waiting: Vec<String> = offers.await?.into_iter().filter(|it| !is_contacted(it)).map(|it| it.offer).collect();
    if waiting.len() > MOST_CONTACTED {
        let message = format!("{} offers wait there; one command records at most {MOST_CONTACTED}", waiting.len());
        return Err(Failure::Usage(message));
    }
    Ok(waiting)
}

/// Records a contact for one or several offers, and prints the changed offers.
async fn contact(args: ContactArgs, session: &Session<'_>) -> Result<(), Failure> {
    let urn = args.urn.unwrap_or_default();
    let etag = args.etag.unwrap_or_default();
    let offers = match args.local_authority {
        Some(code) => waiting_for_contact(code, args.party, session).await?,
        None => args.offers,
    };
    if offers.is_empty() {
        remark("no offer there waits for this contact");
        return session.print(|| Json::List(Vec::new()), String::new);
    }
    let request = ContactOffersRequest {
        request_id: session.request_id(),
        offers: offers.into_iter().map(|offer| ContactedOffer { offer, urn, etag: etag.clone() }).collect(),
        party: args.party.into(),
        date: args.on,
        note: args.note.text(),
        validate_only: args.dry_run,
    };
    let answer = session.services.offers().contact_offers(session.call(request)).await?.into_inner();
    warn(&answer.warnings);
    let changed_json = |offer| json::of(offer).with("warnings", json::list(&answer.warnings));
    let text = || parts(answer.offers.iter().map(view::with_schools));
    session.print(|| answer.offers.iter().map(changed_json).collect::<Json>(), text)
}
