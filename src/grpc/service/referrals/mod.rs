//! `ReferralService`.

mod list;

use tonic::{Request, Response, Status, async_trait};

use super::call::unary;
use crate::app::commands::{DecideReferral, RaiseReferral, RecordDiscussion, WithdrawReferral};
use crate::app::{App, Result};
use crate::domain::Date;
use crate::domain::ids::{RequestId, Urn};
use crate::domain::programme::command::referral::{NewReferral, ReferralTarget};
use crate::domain::referral::ReferralSubject;
use crate::grpc::message::conversion;
use crate::grpc::message::fields::Fields;
use crate::proto::referral_service_server::ReferralService;
use crate::proto::{
    DecideReferralRequest, DecideReferralResponse, GetReferralRequest, GetReferralResponse, ListReferralsRequest,
    ListReferralsResponse, RaiseReferralRequest, RaiseReferralResponse, RecordDiscussionRequest,
    RecordDiscussionResponse, ReferralDecision, WithdrawReferralRequest, WithdrawReferralResponse,
};

/// The most schools of a trust in one referral.
const MAX_SCHOOLS: usize = 100;

/// The service.
#[derive(Debug)]
pub(in crate::grpc) struct Referrals(pub(in crate::grpc) App);

type Reply<T> = std::result::Result<Response<T>, Status>;

#[async_trait]
impl ReferralService for Referrals {
    async fn raise_referral(&self, request: Request<RaiseReferralRequest>) -> Reply<RaiseReferralResponse> {
        unary(request, async |call| {
            let (checked, validate_only) = (raise_command(&call.message, call.now.today), call.message.validate_only);
            call.change(&self.0, checked, validate_only).await
        })
        .await
    }

    async fn record_discussion(&self, request: Request<RecordDiscussionRequest>) -> Reply<RecordDiscussionResponse> {
        unary(request, async |call| {
            let message = &call.message;
            let command = Fields::command(&message.request_id, |fields| {
                let referral = read_target(fields, &message.referral, &message.etag);
                let on = fields.effective_date("date", &message.date, call.now.today);
                let with = conversion::discussion_partner_from(message.held_with);
                if with.is_none() {
                    fields.add_violation("held_with", "is not somebody a discussion is held with");
                }
                let text = fields.text("note", &message.note);
                Some(RecordDiscussion { referral: referral?, on: on?, with: with?, text: text? })
            });
            let validate_only = message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn decide_referral(&self, request: Request<DecideReferralRequest>) -> Reply<DecideReferralResponse> {
        unary(request, async |call| {
            let message = &call.message;
            let command = Fields::command(&message.request_id, |fields| {
                let referral = read_target(fields, &message.referral, &message.etag);
                let approve = match message.decision() {
                    ReferralDecision::Approve => Some(true),
                    ReferralDecision::Decline => Some(false),
                    ReferralDecision::Unspecified => None,
                };
                let approve = fields.choice("decision", approve);
                let on = fields.effective_date("date", &message.date, call.now.today);
                let reason = fields.text("reason", &message.reason);
                Some(DecideReferral { referral: referral?, approve: approve?, on: on?, reason: reason? })
            });
            let validate_only = message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn withdraw_referral(&self, request: Request<WithdrawReferralRequest>) -> Reply<WithdrawReferralResponse> {
        unary(request, async |call| {
            let message = &call.message;
            let command = Fields::command(&message.request_id, |fields| {
                let referral = read_target(fields, &message.referral, &message.etag);
                let reason = fields.text("reason", &message.reason);
                Some(WithdrawReferral { referral: referral?, reason: reason? })
            });
            let validate_only = message.validate_only;
            call.change(&self.0, command, validate_only).await
        })
        .await
    }

    async fn get_referral(&self, request: Request<GetReferralRequest>) -> Reply<GetReferralResponse> {
        unary(request, async |call| {
            let mut fields = Fields::default();
            let id = fields.parse("referral", &call.message.referral);
            let referral = self.0.get_referral(&call.caller, call.now.today, fields.done(id)?).await?;
            Ok(GetReferralResponse { referral: Some(conversion::referral_in_full(&referral)) })
        })
        .await
    }

    async fn list_referrals(&self, request: Request<ListReferralsRequest>) -> Reply<ListReferralsResponse> {
        unary(request, async |call| list::list(&self.0, call).await).await
    }
}

fn read_target(fields: &mut Fields, referral: &str, etag: &str) -> Option<ReferralTarget> {
    let (referral, etag) = (fields.parse("referral", referral), fields.etag("etag", etag));
    Some(ReferralTarget { referral: referral?, etag })
}

fn raise_command(message: &RaiseReferralRequest, today: Date) -> Result<(RequestId, RaiseReferral)> {
    Fields::command(&message.request_id, |fields| {
        let programme = fields.programme(&message.programme);
        let urns = read_urns(fields, message);
        let trust = if message.uid == 0 { None } else { fields.uid("uid", message.uid) };
        let subject = match (trust, urns.first()) {
            (Some(uid), _) => Some(ReferralSubject::Trust(uid)),
            (None, Some(urn)) => Some(ReferralSubject::School(*urn)),
            (None, None) => None,
        };
        let origin = fields.choice("origin", conversion::referral_origin_from(message.origin));
        let ground = fields.title("ground", &message.ground);
        if ground.is_none() {
            fields.add_violation("ground", "is required, by its name in the terms");
        }
        let on = fields.effective_date("date", &message.date, today);
        let reason = fields.text("reason", &message.reason);
        let new = NewReferral { subject: subject?, urns, origin: origin?, ground: ground?, on: on?, reason: reason? };
        Some(RaiseReferral { programme: programme?, new })
    })
}

/// Reads the schools of a referral: one if a school is referred, or 1 to [`MAX_SCHOOLS`] if a trust is referred, each once.
fn read_urns(fields: &mut Fields, message: &RaiseReferralRequest) -> Vec<Urn> {
    let limit = if message.uid == 0 { 1 } else { MAX_SCHOOLS };
    if message.urns.is_empty() || message.urns.len() > limit {
        let rule = if limit == 1 {
            "must have one school".to_owned()
        } else {
            format!("must have 1 to {MAX_SCHOOLS} schools")
        };
        fields.add_violation("urns", format!("{rule}, got {}", message.urns.len()));
    }
    let mut urns: Vec<Urn> = Vec::new();
    for (index, number) in message.urns.iter().enumerate().take(MAX_SCHOOLS) {
        let field = format!("urns[{index}]");
        match fields.urn(&field, *number) {
            Some(urn) if urns.contains(&urn) => fields.add_violation(&field, "is there already"),
            urn => urns.extend(urn),
        }
    }
    urns
}
