//! `RegisterService`.

mod imports;

use prost::Message as _;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::call::{Call, decode, unary};
use super::upload::{self, UploadAnswers, UploadPart, Uploads};
use crate::app::commands::PlaceSchool;
use crate::app::imports::{EncodeWithdrawn, ImportSource, Withdrawn};
use crate::app::{App, Result};
use crate::domain::ids::{ApprovalId, ImportId, RequestId, Uid, Urn};
use crate::domain::region::{Region, local_authorities};
use crate::domain::school::HandPlacement;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::{Fields, page_size, token};
use crate::proto::register_service_server::RegisterService;
use crate::proto::{
    CheckWithdrawalRequest, CheckWithdrawalResponse, GetImportRequest, GetImportResponse, GetSchoolRequest,
    GetSchoolResponse, GetTrustRequest, GetTrustResponse, GiveApprovalRequest, GiveApprovalResponse,
    ImportRegisterRequest, ImportRegisterResponse, ListAreasRequest, ListAreasResponse, ListImportsRequest,
    ListImportsResponse, ListSchoolsRequest, ListSchoolsResponse, ListTrustsRequest, ListTrustsResponse,
    PlaceSchoolRequest, PlaceSchoolResponse, Placement, WithdrawImportRequest, WithdrawImportResponse,
    import_register_request, import_register_response,
};

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Register {
    pub(in crate::grpc) app: App,
    pub(in crate::grpc) uploads: Uploads,
}

type Reply<T> = std::result::Result<Response<T>, Status>;

#[async_trait]
impl RegisterService for Register {
    type ImportRegisterStream = UploadAnswers<ImportRegisterResponse>;

    async fn import_register(
        &self,
        request: Request<Streaming<ImportRegisterRequest>>,
    ) -> Reply<Self::ImportRegisterStream> {
        let part = |message: ImportRegisterRequest| match message.part {
            Some(import_register_request::Part::Header(header)) => UploadPart::Header(header),
            Some(import_register_request::Part::Chunk(chunk)) => UploadPart::Chunk(chunk),
            None => UploadPart::Empty,
        };
        let wrap = |answer| {
            let part = match answer {
                upload::UploadAnswer::Progress(it) => import_register_response::Part::Progress(it),
                upload::UploadAnswer::Outcome(it) => import_register_response::Part::Outcome(it),
            };
            ImportRegisterResponse { part: Some(part) }
        };
        upload::receive_upload(self.app.clone(), self.uploads.clone(), ImportSource::Register, request, part, wrap)
    }

    async fn list_imports(&self, request: Request<ListImportsRequest>) -> Reply<ListImportsResponse> {
        unary(request, async |call| imports::list(&self.app, call).await).await
    }

    async fn get_import(&self, request: Request<GetImportRequest>) -> Reply<GetImportResponse> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let id: Option<ImportId> = fields.parse("import_id", &call.message.import_id);
            let (import, problems, notes) = self.app.get_import(&call.caller, fields.done(id)?).await?;
            let problems = problems.iter().map(conversion::problem).collect();
            Ok(GetImportResponse { import: Some(conversion::import(&import)), problems, notes })
        })
        .await
    }

    async fn withdraw_import(&self, request: Request<WithdrawImportRequest>) -> Reply<WithdrawImportResponse> {
        unary(request, async |call| {
            let (request, (id, reason)) = Fields::command(&call.message.request_id, |fields| {
                let id: Option<ImportId> = fields.parse("import_id", &call.message.import_id);
                let reason = fields.text("reason", &call.message.reason);
                Some((id?, reason?))
            })?;
            let request = call.identity_of_parts(request, &[id.0.as_bytes(), reason.as_bytes()]);
            let validate_only = call.message.validate_only;
            decode(&self.app.withdraw_import(&call.caller, (request, id), &reason, validate_only).await?)
        })
        .await
    }

    async fn check_withdrawal(&self, request: Request<CheckWithdrawalRequest>) -> Reply<CheckWithdrawalResponse> {
        unary(request, async |call| {
            let id = Fields::check(|fields| fields.parse("import_id", &call.message.import_id))?;
            let affected = self.app.affected_by_withdrawal(&call.caller, id).await?;
            let affected_offers = affected.iter().map(conversion::affected_offer).collect();
            Ok(CheckWithdrawalResponse { affected_offers })
        })
        .await
    }

    async fn list_schools(&self, request: Request<ListSchoolsRequest>) -> Reply<ListSchoolsResponse> {
        unary(request, async |call| list_schools(&self.app, call).await).await
    }

    async fn get_school(&self, request: Request<GetSchoolRequest>) -> Reply<GetSchoolResponse> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let urn = fields.urn("urn", call.message.urn);
            let history = self.app.get_school(&call.caller, call.now.today, fields.done(urn)?).await?;
            Ok(GetSchoolResponse {
                school: Some(conversion::school(&history.school)),
                memberships: history.memberships.iter().map(conversion::membership).collect(),
                months: history.months.iter().map(conversion::month).collect(),
                links: history.links.iter().map(conversion::link).collect(),
                placed: history.placed.iter().map(conversion::programme_placement).collect(),
                entry_decisions: history.entries.iter().map(conversion::stored_entry_decision).collect(),
            })
        })
        .await
    }

    async fn place_school(&self, request: Request<PlaceSchoolRequest>) -> Reply<PlaceSchoolResponse> {
        unary(request, async |call| place(&self.app, call).await).await
    }

    async fn list_trusts(&self, request: Request<ListTrustsRequest>) -> Reply<ListTrustsResponse> {
        unary(request, async |call| list_trusts(&self.app, call).await).await
    }

    async fn get_trust(&self, request: Request<GetTrustRequest>) -> Reply<GetTrustResponse> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let uid = fields.uid("uid", call.message.uid);
            let (trust, schools) = self.app.get_trust(&call.caller, call.now.today, fields.done(uid)?).await?;
            let schools = schools.iter().map(conversion::school).collect();
            Ok(GetTrustResponse { trust: Some(conversion::trust(&trust)), schools })
        })
        .await
    }

    async fn list_areas(&self, request: Request<ListAreasRequest>) -> Reply<ListAreasResponse> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let region: Option<Region> = fields.optional("region", &call.message.region);
            fields.done(Some(()))?;
            let listed = local_authorities().into_iter().filter(|it| region.is_none_or(|region| it.region == region));
            Ok(ListAreasResponse { areas: listed.map(conversion::area).collect() })
        })
        .await
    }
}

async fn list_schools(app: &App, call: Call<ListSchoolsRequest>) -> Result<ListSchoolsResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    // This only checks the text. The search normalises it.
    fields.note("search", &message.search);
    fields.done(Some(()))?;
    let token_binding =
        call.token_binding(&ListSchoolsRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let after: Option<NameAndNumber<Urn>> = token::read_as(&token_binding, &message.page_token)?;
    let size = page_size(message.page_size);
    let page = app.find_schools(&call.caller, call.now.today, &message.search, after.map(Into::into), size).await?;
    // `keys` may have more items than `shown`, so the next page begins after the last key.
    let next_page_token = token::next(&token_binding, size, &page.keys, |(name, urn)| format!("{urn}\n{name}"));
    Ok(ListSchoolsResponse { schools: page.shown.iter().map(conversion::school).collect(), next_page_token })
}

async fn list_trusts(app: &App, call: Call<ListTrustsRequest>) -> Result<ListTrustsResponse> {
    let message = &call.message;
    let mut fields = Fields::default();
    // This only checks the text. The search normalises it.
    fields.note("search", &message.search);
    fields.done(Some(()))?;
    let token_binding =
        call.token_binding(&ListTrustsRequest { page_size: 0, page_token: String::new(), ..message.clone() });
    let after: Option<NameAndNumber<Uid>> = token::read_as(&token_binding, &message.page_token)?;
    let size = page_size(message.page_size);
    let page = app.find_trusts(&call.caller, &message.search, after.map(Into::into), size).await?;
    let next_page_token = token::next(&token_binding, size, &page.keys, |(name, uid)| format!("{uid}\n{name}"));
    Ok(ListTrustsResponse { trusts: page.shown.iter().map(conversion::trust).collect(), next_page_token })
}

/// The key of an item in a list that is ordered by name. Its text has the number on the first line, then the name.
struct NameAndNumber<T>(String, T);

impl<T: std::str::FromStr> std::str::FromStr for NameAndNumber<T> {
    type Err = ();
    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (number, name) = text.split_once('\n').ok_or(())?;
        Ok(Self(name.to_owned(), number.parse().map_err(|_| ())?))
    }
}

impl<T> From<NameAndNumber<T>> for (String, T) {
    fn from(NameAndNumber(name, number): NameAndNumber<T>) -> Self {
        (name, number)
    }
}

async fn place(app: &App, call: Call<PlaceSchoolRequest>) -> Result<PlaceSchoolResponse> {
    let message = &call.message;
    let command = Fields::command(&message.request_id, |fields| {
        let programme = fields.programme(&message.programme);
        let urn = fields.urn("urn", message.urn);
        let reason = fields.text("reason", &message.reason);
        let placement = hand_placement(fields, message);
        Some(PlaceSchool { programme: programme?, urn: urn?, placement: placement?, reason: reason? })
    });
    let validate_only = message.validate_only;
    call.change(app, command, validate_only).await
}

fn hand_placement(fields: &mut Fields, message: &PlaceSchoolRequest) -> Option<HandPlacement> {
    let mut trust = || fields.uid("trust_uid", message.trust_uid);
    match message.placement() {
        Placement::Maintained if message.trust_uid == 0 => Some(HandPlacement::Maintained),
        Placement::Maintained => {
            fields.add_violation("trust_uid", "a maintained school has no trust");
            None
        }
        Placement::SingleAcademyTrust => trust().map(|uid| HandPlacement::SingleAcademyTrust { uid }),
        Placement::SingleSchoolMat => trust().map(|uid| HandPlacement::SingleSchoolMat { uid }),
        Placement::Mat => trust().map(|uid| HandPlacement::Mat { uid }),
        Placement::Unplaced | Placement::Unspecified => {
            fields.add_violation("placement", "is required, and not UNPLACED");
            None
        }
    }
}

/// Gives the approval for withdrawing an import from the register. Giving it executes the withdrawal.
pub(in crate::grpc) async fn give_withdrawal(
    app: &App,
    call: Call<GiveApprovalRequest>,
    request: RequestId,
    approval: ApprovalId,
) -> Result<GiveApprovalResponse> {
    tracing::Span::current().record("request_id", tracing::field::display(request));
    let encode_given = |it: &Withdrawn| {
        // The answer is stored, so it must contain no free text, which may be erased later.
        let import = crate::proto::Import { withdrawn_reason: String::new(), ..conversion::import(&it.import) };
        GiveApprovalResponse {
            approval: Some(conversion::approval(&it.approval)),
            import: Some(import),
            affected_offers: it.affected.iter().map(conversion::affected_offer).collect(),
            ..Default::default()
        }
        .encode_to_vec()
    };
    if call.message.validate_only {
        return decode(&encode_given(&app.check_withdrawal(&call.caller, approval).await?));
    }
    // The request that opened the approval gets this answer when it is repeated.
    let encode_asked = |it: &Withdrawn| {
        let import = crate::proto::Import { withdrawn_reason: String::new(), ..conversion::import(&it.import) };
        let affected_offers = it.affected.iter().map(conversion::affected_offer).collect();
        WithdrawImportResponse { import: Some(import), affected_offers }.encode_to_vec()
    };
    let encode = EncodeWithdrawn { given: encode_given, asked: encode_asked };
    let request = call.identity_of_parts(request, &[approval.0.as_bytes()]);
    let reply = app.give_withdrawal(&call.caller, request, approval, encode).await?;
    decode(&reply.answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_key_may_have_several_lines() {
        let key: Option<NameAndNumber<Urn>> = "910001\nst john's\nschool".parse().ok();
        let (name, urn) = key.map(<(String, Urn)>::from).unwrap();
        assert_eq!((name.as_str(), urn.get()), ("st john's\nschool", 910_001));
        assert!("st john's".parse::<NameAndNumber<Urn>>().is_err());
    }
}
