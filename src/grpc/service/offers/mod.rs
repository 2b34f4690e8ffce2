//! `OfferService`.

mod events;
mod list;

use prost_types::FieldMask;
use tonic::{Request, Response, Status, async_trait};

use super::call::unary;
use super::watch::{self, Watchers};
use crate::app::commands::{
    AcceptOffer, AssignOffer, ChangeOfferRegion, CloseOffer, ContactOffers, CorrectContact, CorrectOfferDate,
    DeclineOffer, IdentifyOffers, NoteOffer, ReopenOffer, StartOffer,
};
use crate::app::{App, OfferInFull, Result};
use crate::domain::event::Seq;
use crate::domain::ids::OfferId;
use crate::domain::programme::command::OfferTarget;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::grpc::message::mask::Mask;
use crate::proto::offer_service_server::OfferService;
use crate::proto::{
    AcceptOfferRequest, AcceptOfferResponse, AssignOfferRequest, AssignOfferResponse, BatchGetOffersRequest,
    BatchGetOffersResponse, ChangeOfferRegionRequest, ChangeOfferRegionResponse, CloseOfferRequest, CloseOfferResponse,
    ContactOffersRequest, ContactOffersResponse, CorrectContactRequest, CorrectContactResponse,
    CorrectOfferDateRequest, CorrectOfferDateResponse, DeclineOfferRequest, DeclineOfferResponse, GetOfferRequest,
    GetOfferResponse, IdentifyOffersRequest, IdentifyOffersResponse, ListOfferEventsRequest, ListOfferEventsResponse,
    ListOffersRequest, ListOffersResponse, NoteOfferRequest, NoteOfferResponse, ReopenOfferRequest,
    ReopenOfferResponse, StartOfferRequest, StartOfferResponse, WatchOffersRequest,
};

/// The most offers in a batch.
const MAX_BATCH: usize = 100;
/// The most offers in one request of `ContactOffers`.
const MAX_CONTACTED: usize = 500;

/// The service, with the open watches.
#[derive(Debug)]
pub(in crate::grpc) struct Offers(pub(in crate::grpc) App, pub(in crate::grpc) Watchers);

fn read_target(fields: &mut Fields, offer: &str, etag: &str) -> Option<OfferTarget> {
    let (offer, etag) = (fields.parse("offer", offer), fields.etag("etag", etag));
    Some(OfferTarget { offer: offer?, etag })
}

/// Reads the offers and the mask of a batch: 1 to [`MAX_BATCH`] offers, each once.
///
/// # Errors
/// [`crate::app::AppError::Invalid`] with all wrong fields.
fn read_batch(message: &BatchGetOffersRequest) -> Result<(Vec<OfferId>, Mask)> {
    let offers = &message.offers;
    let mut fields = Fields::default();
    let mask = read_mask(&mut fields, message.read_mask.as_ref());
    if offers.is_empty() || offers.len() > MAX_BATCH {
        fields.add_violation("offers", format!("must have 1 to {MAX_BATCH} offers, got {}", offers.len()));
    }
    let mut ids: Vec<OfferId> = Vec::new();
    for (index, offer) in offers.iter().enumerate().take(MAX_BATCH) {
        let field = format!("offers[{index}]");
        match fields.parse(&field, offer) {
            Some(id) if ids.contains(&id) => fields.add_violation(&field, "is there already"),
            id => ids.extend(id),
        }
    }
    fields.done(Some((ids, mask)))
}

/// Reads the mask of an offer with its awards and caps. Its paths are `offer`, `awards`, `caps`, and the fields of an
/// offer, such as `offer.state`.
fn read_mask(fields: &mut Fields, read_mask: Option<&FieldMask>) -> Mask {
    let is_field = |path: &str| {
        matches!(path, "offer" | "awards" | "caps") || path.strip_prefix("offer.").is_some_and(list::is_offer_field)
    };
    Mask::read(fields, read_mask, is_field)
}

fn offer_response(full: &OfferInFull, mask: &Mask) -> GetOfferResponse {
    let offer = mask.nested("offer").map(|mask| {
        let mut offer = conversion::offer(&full.offer);
        mask.apply(&mut offer, list::MASK_FIELDS);
        offer
    });
    let awards = full.awards.iter().filter(|_| mask.has("awards")).map(|award| conversion::award(award, None));
    let caps = full.caps.iter().filter(|_| mask.has("caps")).map(conversion::cap);
    GetOfferResponse { offer, awards: awards.collect(), caps: caps.collect() }
}

/// Handles a mutation of one offer. `$command` makes the command from the fields of the message.
macro_rules! mutation {
    ($self:ident, $request:ident, |$call:ident, $message:ident, $fields:ident, $offer:ident| $command:expr) => {
        unary($request, async |$call| {
            let $message = &$call.message;
            let command = Fields::command(&$message.request_id, |$fields| {
                let $offer = read_target($fields, &$message.offer, &$message.etag);
                $command
            });
            let validate_only = $message.validate_only;
            $call.change(&$self.0, command, validate_only).await
        })
        .await
    };
}

type Reply<T> = std::result::Result<Response<T>, Status>;

#[async_trait]
impl OfferService for Offers {
    type WatchOffersStream = watch::Stream;

    async fn watch_offers(&self, request: Request<WatchOffersRequest>) -> Reply<watch::Stream> {
        watch::watch(self.1.clone(), request)
    }

    async fn identify_offers(&self, request: Request<IdentifyOffersRequest>) -> Reply<IdentifyOffersResponse> {
        unary(request, async |call| {
            let command = Fields::command(&call.message.request_id, |fields| {
                Some(IdentifyOffers { programme: fields.programme(&call.message.programme)? })
            });
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn get_offer(&self, request: Request<GetOfferRequest>) -> Reply<GetOfferResponse> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let id = fields.parse("offer", &call.message.offer);
            let mask = read_mask(&mut fields, call.message.read_mask.as_ref());
            Ok(offer_response(&self.0.get_offer_in_full(&call.caller, call.now.today, fields.done(id)?).await?, &mask))
        })
        .await
    }

    async fn batch_get_offers(&self, request: Request<BatchGetOffersRequest>) -> Reply<BatchGetOffersResponse> {
        unary(request, async |call| {
            let (ids, mask) = read_batch(&call.message)?;
            let batch = self.0.get_offers_of_snapshot(&call.caller, call.now.today, &ids).await?;
            let offers = batch.offers.iter().map(|it| offer_response(it, &mask)).collect();
            Ok(BatchGetOffersResponse { offers, at_sequence: batch.at.map_or(0, |seq| seq.0) })
        })
        .await
    }

    async fn list_offers(&self, request: Request<ListOffersRequest>) -> Reply<ListOffersResponse> {
        unary(request, async |call| list::list(&self.0, call).await).await
    }

    async fn contact_offers(&self, request: Request<ContactOffersRequest>) -> Reply<ContactOffersResponse> {
        unary(request, async |call| {
            let command = contact_command(&call.message, call.now.today);
            let validate_only = call.message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn correct_contact(&self, request: Request<CorrectContactRequest>) -> Reply<CorrectContactResponse> {
        mutation!(self, request, |call, message, fields, offer| {
            if message.contact < 1 {
                fields.add_violation("contact", "must be the sequence number of a contact's event, 1 or more");
            }
            let text = fields.note("note", &message.note);
            Some(CorrectContact { offer: offer?, contact: Seq(message.contact), text })
        })
    }

    async fn correct_offer_date(&self, request: Request<CorrectOfferDateRequest>) -> Reply<CorrectOfferDateResponse> {
        mutation!(self, request, |call, message, fields, offer| {
            let milestone = fields.choice("milestone", conversion::milestone_from(message.milestone));
            // The date is required, because it is what the request corrects. `effective_date` would read an empty text
            // as today.
            let on = match message.date.as_str() {
                "" => fields.date("date", ""),
                date => fields.effective_date("date", date, call.now.today),
            };
            let reason = fields.text("reason", &message.reason);
            Some(CorrectOfferDate { offer: offer?, milestone: milestone?, on: on?, reason: reason? })
        })
    }

    async fn accept_offer(&self, request: Request<AcceptOfferRequest>) -> Reply<AcceptOfferResponse> {
        mutation!(self, request, |call, message, fields, offer| {
            let by = fields.choice("acceptor", conversion::acceptor_from(message.acceptor));
            let on = fields.effective_date("date", &message.date, call.now.today);
            let text = fields.note("note", &message.note);
            Some(AcceptOffer { offer: offer?, by: by?, on: on?, text })
        })
    }

    async fn decline_offer(&self, request: Request<DeclineOfferRequest>) -> Reply<DeclineOfferResponse> {
        mutation!(self, request, |call, message, fields, offer| {
            let reason = fields.choice("reason", conversion::decline_reason_from(message.reason));
            let on = fields.effective_date("date", &message.date, call.now.today);
            let text = fields.note("note", &message.note);
            Some(DeclineOffer { offer: offer?, reason: reason?, on: on?, text })
        })
    }

    async fn start_offer(&self, request: Request<StartOfferRequest>) -> Reply<StartOfferResponse> {
        mutation!(self, request, |call, message, fields, offer| {
            let on = fields.effective_date("date", &message.date, call.now.today);
            Some(StartOffer { offer: offer?, on: on? })
        })
    }

    async fn close_offer(&self, request: Request<CloseOfferRequest>) -> Reply<CloseOfferResponse> {
        mutation!(self, request, |call, message, fields, offer| {
            let outcome = fields.choice("outcome", conversion::outcome_from(message.outcome));
            let on = fields.effective_date("date", &message.date, call.now.today);
            let text = fields.note("note", &message.note);
            Some(CloseOffer { offer: offer?, outcome: outcome?, on: on?, text })
        })
    }

    async fn reopen_offer(&self, request: Request<ReopenOfferRequest>) -> Reply<ReopenOfferResponse> {
        mutation!(self, request, |call, message, fields, offer| {
            let reason = fields.text("reason", &message.reason);
            Some(ReopenOffer { offer: offer?, reason: reason? })
        })
    }

    async fn assign_offer(&self, request: Request<AssignOfferRequest>) -> Reply<AssignOfferResponse> {
        mutation!(self, request, |call, message, fields, offer| {
            let to = fields.optional("assignee", &message.assignee);
            Some(AssignOffer { offer: offer?, to })
        })
    }

    async fn note_offer(&self, request: Request<NoteOfferRequest>) -> Reply<NoteOfferResponse> {
        mutation!(self, request, |call, message, fields, offer| {
            let text = fields.text("text", &message.text);
            Some(NoteOffer { offer: offer?, text: text? })
        })
    }

    async fn change_offer_region(
        &self,
        request: Request<ChangeOfferRegionRequest>,
    ) -> Reply<ChangeOfferRegionResponse> {
        mutation!(self, request, |call, message, fields, offer| {
            let to = fields.parse("region", &message.region);
            Some(ChangeOfferRegion { offer: offer?, to: to? })
        })
    }

    async fn list_offer_events(&self, request: Request<ListOfferEventsRequest>) -> Reply<ListOfferEventsResponse> {
        unary(request, async |call| events::list(&self.0, call).await).await
    }
}

fn contact_command(
    message: &ContactOffersRequest,
    today: crate::domain::Date,
) -> Result<(crate::domain::ids::RequestId, ContactOffers)> {
    let mut fields = Fields::default();
    let request = fields.request_id(&message.request_id);
    let party = fields.choice("party", conversion::party_from(message.party));
    // The date of a contact is required. `effective_date` would read an empty text as today.
    let on = if message.date.is_empty() {
        fields.date("date", "")
    } else {
        fields.effective_date("date", &message.date, today)
    };
    let text = fields.note("note", &message.note);
    if message.offers.is_empty() || message.offers.len() > MAX_CONTACTED {
        fields.add_violation("offers", format!("must have 1 to {MAX_CONTACTED} offers, got {}", message.offers.len()));
    }
    let mut offers: Vec<(OfferTarget, Option<crate::domain::ids::Urn>)> = Vec::with_capacity(message.offers.len());
    for (index, it) in message.offers.iter().enumerate().take(MAX_CONTACTED) {
        let id: Option<OfferId> = fields.parse(&format!("offers[{index}].offer"), &it.offer);
        let urn = if it.urn == 0 { None } else { fields.urn(&format!("offers[{index}].urn"), it.urn) };
        if let Some(Err(error)) = party.map(|party| party.check_school(urn)) {
            fields.add_violation(&format!("offers[{index}].urn"), error.to_string());
        }
        let etag = fields.etag(&format!("offers[{index}].etag"), &it.etag);
        let Some(offer) = id else { continue };
        if offers.iter().any(|(target, _)| target.offer == offer) {
            fields.add_violation(&format!("offers[{index}].offer"), "is named twice");
        }
        offers.push((OfferTarget { offer, etag }, urn));
    }
    let command = party.zip(on).map(|(party, on)| ContactOffers { offers, party, on, text });
    fields.done(request.zip(command))
}
