//! Checks that a preview of a change has the answer or refusal of the real call, and stores nothing.

use prost::Message as _;
use tonic::Response;
use tsio::proto::{
    AllocateFundRequest, ApprovalState, BookDaysRequest, CancelBookingRequest, CheckAwardRequest, CreateAwardsRequest,
    CreateFundRequest, DenyApprovalRequest, DrawAwardRequest, GiveApprovalRequest, ListApprovalsRequest,
    ListImportsRequest, ListTermsRequest, LoadTermsRequest, MoveFundsRequest, NoteOfferRequest, Outcome,
    PlaceSchoolRequest, Placement, RefundAwardRequest, ReleaseAwardRequest, ReopenOfferRequest, UndoMovementRequest,
    WithdrawFundRequest, WithdrawImportRequest, draw_award_request, refund_award_request, release_award_request,
};

use crate::client::{Client, YEAR, comparable, fresh, offer_of_school, reason};
use crate::harness::{Db, Server, both};
use crate::money::{DAY, amounts, balances, credit, nle, refusal};
use crate::raw_sql::verified_heads;

both!(
    movements_of_an_award_are_previewed,
    movements_of_funds_are_previewed,
    new_funds_and_awards_are_previewed,
    changes_without_money_are_previewed,
    calls_that_need_two_people_are_previewed,
);

/// Every request of the contract that changes data has the field `validate_only`.
#[test]
fn every_mutation_has_a_preview() {
    let set = prost_types::FileDescriptorSet::decode(tsio::proto::FILE_DESCRIPTOR_SET).unwrap();
    let messages = set.file.iter().filter(|it| it.package() == "tsio.v1").flat_map(|it| &it.message_type);
    let has = |message: &prost_types::DescriptorProto, name: &str| message.field.iter().any(|it| it.name() == name);
    // `OfferEvent` has the id of the request that made the event, but is no request.
    let mutations: Vec<_> = messages.filter(|it| has(it, "request_id") && it.name() != "OfferEvent").collect();
    assert!(mutations.len() > 20, "too few mutations: {}", mutations.len());
    for message in mutations {
        assert!(has(message, "validate_only"), "{}", message.name());
    }
}

/// Previews a call, then makes it under the same id. Checks that the preview stores nothing and has the same answer. Returns
/// the answer or refusal.
macro_rules! preview_and_call {
    ($db:expr, $client:expr, $service:ident . $rpc:ident, $message:expr) => {{
        let mut message = $message;
        message.request_id = fresh();
        let heads = verified_heads($db);
        message.validate_only = true;
        let preview = $client.$service().$rpc($client.ask(message.clone())).await.map(Response::into_inner);
        assert_eq!(verified_heads($db), heads, stringify!($rpc));
        message.validate_only = false;
        let real = $client.$service().$rpc($client.ask(message)).await.map(Response::into_inner);
        assert_eq!(comparable(preview), comparable(real.clone()), stringify!($rpc));
        real
    }};
}

async fn movements_of_an_award_are_previewed(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    client.create_fund_with(YEAR, "credit", 100_000).await;
    client.accept_offer(school).await;
    let award = client.create_award(&school.offer, credit(10_000)).await;
    let days = client.create_award(&school.offer, nle(4)).await;
    client.start(&school.offer).await.unwrap();
    let date = || DAY.to_owned();

    let book = |half_days| BookDaysRequest { award: days.clone(), half_days, date: date(), ..Default::default() };
    let booking = preview_and_call!(&db, client, award_service.book_days, book(3)).unwrap().booking;
    assert_eq!(
        reason(&preview_and_call!(&db, client, award_service.book_days, book(2)).unwrap_err()),
        "AWARD_EXCEEDED"
    );
    let second = preview_and_call!(&db, client, award_service.book_days, book(1)).unwrap().booking;
    assert_eq!(second, booking + 1);
    let cancel = CancelBookingRequest { award: days.clone(), booking: second, ..Default::default() };
    preview_and_call!(&db, client, award_service.cancel_booking, cancel.clone()).unwrap();
    let twice = preview_and_call!(&db, client, award_service.cancel_booking, cancel).unwrap_err();
    assert_eq!(reason(&twice), "BOOKING_NOT_OPEN");
    let deliver = DrawAwardRequest { award: days, booking, date: date(), ..Default::default() };
    let delivered = preview_and_call!(&db, client, award_service.draw_award, deliver).unwrap().award.unwrap();
    assert_eq!(amounts(&delivered), [4, 3, 0, 0, 1]);

    let draw = |pence| DrawAwardRequest {
        award: award.clone(),
        amount: Some(draw_award_request::Amount::AmountPence(pence)),
        date: date(),
        note: "first half".to_owned(),
        ..Default::default()
    };
    preview_and_call!(&db, client, award_service.draw_award, draw(6_000)).unwrap();
    let over = preview_and_call!(&db, client, award_service.draw_award, draw(4_001)).unwrap_err();
    assert_eq!((reason(&over).as_str(), refusal(&over).largest), ("AWARD_EXCEEDED", Some(4_000)));
    let release = ReleaseAwardRequest {
        award: award.clone(),
        amount: Some(release_award_request::Amount::AmountPence(1_000)),
        date: date(),
        ..Default::default()
    };
    preview_and_call!(&db, client, award_service.release_award, release).unwrap();
    let refund = RefundAwardRequest {
        award: award.clone(),
        amount: Some(refund_award_request::Amount::AmountPence(2_500)),
        reason: "paid in error".to_owned(),
        date: date(),
        ..Default::default()
    };
    preview_and_call!(&db, client, award_service.refund_award, refund).unwrap();
    let refunded = client.events(&school.offer).await.into_iter().rfind(|it| it.kind == "refunded").unwrap();
    let undo = UndoMovementRequest {
        award: award.clone(),
        sequence: refunded.sequence,
        reason: "not paid in error".to_owned(),
        ..Default::default()
    };
    let undone = preview_and_call!(&db, client, award_service.undo_movement, undo).unwrap().award.unwrap();
    assert_eq!(amounts(&undone), [10_000, 6_000, 1_000, 0, 3_000]);
    assert_eq!(amounts(&client.get_award(&award).await), [10_000, 6_000, 1_000, 0, 3_000]);
}

async fn movements_of_funds_are_previewed(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let (fund, to_fund) =
        (client.create_fund_with(YEAR, "credit", 1_000).await, client.create_fund(YEAR, "nlg", "").await);
    let date = || "2021-10-01".to_owned();
    let allocate = AllocateFundRequest { fund: fund.clone(), amount_pence: 50, date: date(), ..Default::default() };
    preview_and_call!(&db, client, fund_service.allocate_fund, allocate).unwrap();
    let withdraw =
        |amount_pence| WithdrawFundRequest { fund: fund.clone(), amount_pence, date: date(), ..Default::default() };
    preview_and_call!(&db, client, fund_service.withdraw_fund, withdraw(100)).unwrap();
    let over = preview_and_call!(&db, client, fund_service.withdraw_fund, withdraw(951)).unwrap_err();
    assert_eq!((reason(&over).as_str(), refusal(&over).largest), ("FUNDS_INSUFFICIENT", Some(950)));
    let virement = MoveFundsRequest {
        from_fund: fund.clone(),
        to_fund: to_fund.clone(),
        amount_pence: 200,
        date: date(),
        ..Default::default()
    };
    let moved = preview_and_call!(&db, client, fund_service.move_funds, virement).unwrap();
    assert_eq!(balances(&moved.from_fund.unwrap()), [750, 0, 0, 750]);
    assert_eq!(balances(&moved.to_fund.unwrap()), [200, 0, 0, 200]);
    // A preview opens no approval.
    let large_allocation = AllocateFundRequest {
        request_id: fresh(),
        fund: fund.clone(),
        amount_pence: 5_000_001,
        date: date(),
        validate_only: true,
        ..Default::default()
    };
    let heads = verified_heads(&db);
    let refused = client.fund_service().allocate_fund(client.ask(large_allocation)).await.unwrap_err();
    assert_eq!((reason(&refused).as_str(), verified_heads(&db)), ("APPROVAL_REQUIRED", heads));
    let open = client
        .approval_service()
        .list_approvals(client.ask(tsio::proto::ListApprovalsRequest::default()))
        .await
        .unwrap();
    assert_eq!(open.into_inner().approvals.len(), 0);
}

/// A preview of a new fund or award cannot have the id of the real one. All other fields are equal.
async fn new_funds_and_awards_are_previewed(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = offer_of_school(&offers, 910_003);
    client.accept_offer(school).await;
    let heads = verified_heads(&db);
    let mut create = CreateFundRequest {
        request_id: fresh(),
        programme: YEAR.to_owned(),
        strand: "credit".to_owned(),
        validate_only: true,
        ..Default::default()
    };
    let mut previewed =
        client.fund_service().create_fund(client.ask(create.clone())).await.unwrap().into_inner().fund.unwrap();
    assert_eq!((verified_heads(&db), client.funds(YEAR).await.len()), (heads, 1));
    create.validate_only = false;
    let made = client.fund_service().create_fund(client.ask(create)).await.unwrap().into_inner().fund.unwrap();
    previewed.fund.clone_from(&made.fund);
    assert_eq!(previewed, made);
    client.allocate(&made.fund, 100_000, &fresh()).await.unwrap();

    let heads = verified_heads(&db);
    let awards = vec![credit(100_000), nle(6)];
    let offer = school.offer.clone();
    let check =
        CheckAwardRequest { offer: offer.clone(), awards: awards.clone(), date: DAY.to_owned(), ..Default::default() };
    let checked = client.award_service().check_award(client.ask(check)).await.unwrap().into_inner();
    assert_eq!((checked.judged_at_sequence, verified_heads(&db)), (heads[0].sequence, heads.clone()));
    let mut create = CreateAwardsRequest {
        request_id: fresh(),
        offer,
        awards,
        date: DAY.to_owned(),
        validate_only: true,
        ..Default::default()
    };
    let previewed = client.award_service().create_awards(client.ask(create.clone())).await.unwrap().into_inner();
    assert_eq!(verified_heads(&db), heads);
    create.validate_only = false;
    let made = client.award_service().create_awards(client.ask(create)).await.unwrap().into_inner();
    for preview in [previewed.awards, checked.awards] {
        assert_eq!(preview.len(), 2);
        for (mut previewed, made) in preview.into_iter().zip(&made.awards) {
            assert_eq!(previewed.award, "", "the preview has an id of an award");
            previewed.award.clone_from(&made.award);
            assert_eq!(previewed, *made);
        }
    }
    assert_eq!((previewed.warnings, checked.warnings), (made.warnings.clone(), made.warnings));
    verified_heads(&db);
}

async fn changes_without_money_are_previewed(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let offer = offers[0].offer.clone();
    let note = |text: &str| NoteOfferRequest { offer: offer.clone(), text: text.to_owned(), ..Default::default() };
    preview_and_call!(&db, client, offers.note_offer, note("rang the school")).unwrap();
    let empty = preview_and_call!(&db, client, offers.note_offer, note("")).unwrap_err();
    assert_eq!(reason(&empty), "FIELD_VIOLATIONS");

    let place = |urn| PlaceSchoolRequest {
        programme: YEAR.to_owned(),
        urn,
        placement: Placement::Maintained.into(),
        reason: "the council runs it".to_owned(),
        ..Default::default()
    };
    assert_eq!(preview_and_call!(&db, client, register_service.place_school, place(910_063)).unwrap().urn, 910_063);
    let already_placed = preview_and_call!(&db, client, register_service.place_school, place(910_003)).unwrap_err();
    assert_eq!(reason(&already_placed), "ALREADY_PLACED");

    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/terms/2022-23.toml")).unwrap();
    let load = |text: String| LoadTermsRequest { file_name: "next.toml".to_owned(), text, ..Default::default() };
    let changed = format!("{text}\n# another\n");
    assert_eq!(
        reason(&preview_and_call!(&db, client, terms_service.load_terms, load(changed)).unwrap_err()),
        "TERMS_IN_USE"
    );
    let year_changes = [("2022-23", "2031-32"), ("2022-", "2031-"), ("2023-", "2032-")];
    let mut new = load(year_changes.iter().fold(text, |text, (from, to)| text.replace(from, to)));
    (new.request_id, new.validate_only) = (fresh(), true);
    let answer = client.terms_service().load_terms(client.ask(new)).await.unwrap().into_inner();
    let loaded =
        client.terms_service().list_terms(client.ask(ListTermsRequest::default())).await.unwrap().into_inner().terms;
    assert_eq!(answer.terms.unwrap().programme, "2031-32", "the preview has other terms");
    assert!(loaded.iter().all(|it| it.programme != "2031-32"), "the preview loaded the terms");
}

async fn calls_that_need_two_people_are_previewed(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let offer = offer_of_school(&offers, 910_003).offer.clone();
    client.close(&offer, Outcome::Withdrawn).await.unwrap();
    let open_approvals = async || {
        let list = ListApprovalsRequest::default();
        client.approval_service().list_approvals(client.ask(list)).await.unwrap().into_inner().approvals
    };
    let reopen = |validate_only| ReopenOfferRequest {
        request_id: fresh(),
        offer: offer.clone(),
        reason: "in error".to_owned(),
        validate_only,
        ..Default::default()
    };
    let imports = client.register_service().list_imports(client.ask(ListImportsRequest::default())).await.unwrap();
    let import_id = imports.into_inner().imports[0].import_id.clone();
    let withdraw = |validate_only| WithdrawImportRequest {
        request_id: fresh(),
        import_id: import_id.clone(),
        reason: "wrong month".to_owned(),
        validate_only,
    };
    let previews = [
        client.offers().reopen_offer(client.ask(reopen(true))).await.unwrap_err(),
        client.register_service().withdraw_import(client.ask(withdraw(true))).await.unwrap_err(),
    ];
    for preview in previews {
        let (reason, approval) = (reason(&preview), refusal(&preview).approval);
        assert_eq!((reason.as_str(), approval.as_str()), ("APPROVAL_REQUIRED", ""));
    }
    assert_eq!(open_approvals().await, [], "a preview opens no approval");

    let refusals = [
        client.register_service().withdraw_import(client.ask(withdraw(false))).await.unwrap_err(),
        client.offers().reopen_offer(client.ask(reopen(false))).await.unwrap_err(),
    ];
    for refused in refusals {
        let approval = refusal(&refused).approval;
        let deny = DenyApprovalRequest { approval: approval.clone(), reason: "no".to_owned(), ..Default::default() };
        let own = preview_and_call!(&db, client, approval_service.deny_approval, deny.clone()).unwrap_err();
        assert_eq!(reason(&own), "SELF_APPROVAL");
        let (ben, heads, before) = (client.named("ben"), verified_heads(&db), open_approvals().await);
        let denial = DenyApprovalRequest { request_id: fresh(), validate_only: true, ..deny };
        let preview = ben.approval_service().deny_approval(ben.ask(denial)).await.unwrap().into_inner();
        assert_eq!(preview.approval.map(|it| it.state()), Some(ApprovalState::Denied));
        assert_eq!((verified_heads(&db), open_approvals().await), (heads, before), "a preview denies nothing");
        let give = GiveApprovalRequest { approval, ..Default::default() };
        let own = preview_and_call!(&db, client, approval_service.give_approval, give.clone()).unwrap_err();
        assert_eq!(reason(&own), "SELF_APPROVAL");
        let bob = client.named("bob");
        let (heads, before) = (verified_heads(&db), open_approvals().await);
        let mut giving = GiveApprovalRequest { request_id: fresh(), validate_only: true, ..give };
        let preview = bob.approval_service().give_approval(bob.ask(giving.clone())).await.unwrap().into_inner();
        assert_eq!((verified_heads(&db), open_approvals().await), (heads, before), "a preview gives nothing");
        giving.validate_only = false;
        let given = bob.approval_service().give_approval(bob.ask(giving)).await.unwrap().into_inner();
        assert_eq!(preview, given);
    }
    assert_eq!(open_approvals().await, []);
}
