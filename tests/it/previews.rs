//! A preview of a change has the answer or refusal of the real call, and stores nothing.

use prost::Message as _;
use tonic::Response;
use tsio::proto::{
    AllocateFundRequest, ApprovalState, BookDaysRequest, CancelBookingRequest, CheckAwardRequest, CreateAwardsRequest,
    CreateFundRequest, DenyApprovalRequest, DrawAwardRequest, GiveApprovalRequest, ListApprovalsRequest,
    ListImportsRequest, ListTermsRequest, LoadTermsRequest, MoveFundsRequest, NoteOfferRequest, Outcome,
    PlaceSchoolRequest, Placement, RefundAwardRequest, ReleaseAwardRequest, ReopenOfferRequest, UndoMovementRequest,
    WithdrawFundRequest, WithdrawImportRequest, draw_award_request, refund_award_request, release_award_request,
};

use crate::client::{Client, YEAR, fresh, of_school, reason, seen};
use crate::harness::{Db, Server, both};
use crate::money::{DAY, amounts, balances, credit, nle, refusal};
use crate::raw_sql::proved;

both!(
    movements_of_an_award_are_previewed,
    movements_of_funds_are_previewed,
    new_funds_and_awards_are_previewed,
    changes_without_money_are_previewed,
    calls_that_need_two_people_are_previewed,
);

/// Every mutation of the contract has `validate_only`.
#[test]
fn every_mutation_has_a_preview() {
    let set = prost_types::FileDescriptorSet::decode(tsio::proto::FILE_DESCRIPTOR_SET).unwrap();
    let messages = set.file.iter().filter(|it| it.package() == "tsio.v1").flat_map(|it| &it.message_type);
    let has = |message: &prost_types::DescriptorProto, name: &str| message.field.iter().any(|it| it.name() == name);
    // An event names the request that made it; it is no request itself.
    let mutations: Vec<_> = messages.filter(|it| has(it, "request_id") && it.name() != "OfferEvent").collect();
    assert!(mutations.len() > 20, "there are mutations: {}", mutations.len());
    for message in mutations {
        assert!(has(message, "validate_only"), "{}", message.name());
    }
}

/// Previews a call, then makes it under the same id. The preview stores nothing and has the same answer.
macro_rules! previewed {
    ($db:expr, $client:expr, $service:ident . $rpc:ident, $message:expr) => {{
        let mut message = $message;
        message.request_id = fresh();
        let head = proved($db);
        message.validate_only = true;
        let preview = $client.$service().$rpc($client.ask(message.clone())).await.map(Response::into_inner);
        assert_eq!(proved($db), head, stringify!($rpc));
        message.validate_only = false;
        let real = $client.$service().$rpc($client.ask(message)).await.map(Response::into_inner);
        assert_eq!(seen(preview), seen(real.clone()), stringify!($rpc));
        real
    }};
}

async fn movements_of_an_award_are_previewed(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = of_school(&offers, 910_003);
    client.financed(YEAR, "credit", 100_000).await;
    client.accepted(school).await;
    let award = client.awarded(&school.offer, credit(10_000)).await;
    let days = client.awarded(&school.offer, nle(4)).await;
    client.start(&school.offer).await.unwrap();
    let date = || DAY.to_owned();

    let booked = |half_days| BookDaysRequest { award: days.clone(), half_days, date: date(), ..Default::default() };
    let booking = previewed!(&db, client, award_service.book_days, booked(3)).unwrap().booking;
    assert_eq!(reason(&previewed!(&db, client, award_service.book_days, booked(2)).unwrap_err()), "AWARD_EXCEEDED");
    let second = previewed!(&db, client, award_service.book_days, booked(1)).unwrap().booking;
    assert_eq!(second, booking + 1);
    let cancel = CancelBookingRequest { award: days.clone(), booking: second, ..Default::default() };
    previewed!(&db, client, award_service.cancel_booking, cancel.clone()).unwrap();
    let twice = previewed!(&db, client, award_service.cancel_booking, cancel).unwrap_err();
    assert_eq!(reason(&twice), "BOOKING_NOT_OPEN");
    let deliver = DrawAwardRequest { award: days, booking, date: date(), ..Default::default() };
    let delivered = previewed!(&db, client, award_service.draw_award, deliver).unwrap().award.unwrap();
    assert_eq!(amounts(&delivered), [4, 3, 0, 0, 1]);

    let draw = |pence| DrawAwardRequest {
        award: award.clone(),
        amount: Some(draw_award_request::Amount::AmountPence(pence)),
        date: date(),
        note: "first half".to_owned(),
        ..Default::default()
    };
    previewed!(&db, client, award_service.draw_award, draw(6_000)).unwrap();
    let over = previewed!(&db, client, award_service.draw_award, draw(4_001)).unwrap_err();
    assert_eq!((reason(&over).as_str(), refusal(&over).largest), ("AWARD_EXCEEDED", Some(4_000)));
    let release = ReleaseAwardRequest {
        award: award.clone(),
        amount: Some(release_award_request::Amount::AmountPence(1_000)),
        date: date(),
        ..Default::default()
    };
    previewed!(&db, client, award_service.release_award, release).unwrap();
    let refund = RefundAwardRequest {
        award: award.clone(),
        amount: Some(refund_award_request::Amount::AmountPence(2_500)),
        reason: "paid in error".to_owned(),
        date: date(),
        ..Default::default()
    };
    previewed!(&db, client, award_service.refund_award, refund).unwrap();
    let refunded = client.events(&school.offer).await.into_iter().rfind(|it| it.kind == "refunded").unwrap();
    let undo = UndoMovementRequest {
        award: award.clone(),
        sequence: refunded.sequence,
        reason: "not paid in error".to_owned(),
        ..Default::default()
    };
    let undone = previewed!(&db, client, award_service.undo_movement, undo).unwrap().award.unwrap();
    assert_eq!(amounts(&undone), [10_000, 6_000, 1_000, 0, 3_000]);
    assert_eq!(amounts(&client.get_award(&award).await), [10_000, 6_000, 1_000, 0, 3_000]);
}

async fn movements_of_funds_are_previewed(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    client.seed().await;
    let (fund, to_fund) = (client.financed(YEAR, "credit", 1_000).await, client.made(YEAR, "nlg", "").await);
    let date = || "2021-10-01".to_owned();
    let allocate = AllocateFundRequest { fund: fund.clone(), amount_pence: 50, date: date(), ..Default::default() };
    previewed!(&db, client, fund_service.allocate_fund, allocate).unwrap();
    let withdraw =
        |amount_pence| WithdrawFundRequest { fund: fund.clone(), amount_pence, date: date(), ..Default::default() };
    previewed!(&db, client, fund_service.withdraw_fund, withdraw(100)).unwrap();
    let over = previewed!(&db, client, fund_service.withdraw_fund, withdraw(951)).unwrap_err();
    assert_eq!((reason(&over).as_str(), refusal(&over).largest), ("FUNDS_INSUFFICIENT", Some(950)));
    let moved = MoveFundsRequest {
        from_fund: fund.clone(),
        to_fund: to_fund.clone(),
        amount_pence: 200,
        date: date(),
        ..Default::default()
    };
    let moved = previewed!(&db, client, fund_service.move_funds, moved).unwrap();
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
    let head = proved(&db);
    let waits = client.fund_service().allocate_fund(client.ask(large_allocation)).await.unwrap_err();
    assert_eq!((reason(&waits).as_str(), proved(&db)), ("APPROVAL_REQUIRED", head));
    let open =
        client.approvals().list_approvals(client.ask(tsio::proto::ListApprovalsRequest::default())).await.unwrap();
    assert_eq!(open.into_inner().approvals.len(), 0);
}

/// A created thing has a new id each time; everything else in the preview equals the real answer.
async fn new_funds_and_awards_are_previewed(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let school = of_school(&offers, 910_003);
    client.accepted(school).await;
    let head = proved(&db);
    let mut create = CreateFundRequest {
        request_id: fresh(),
        programme: YEAR.to_owned(),
        strand: "credit".to_owned(),
        validate_only: true,
        ..Default::default()
    };
    let mut would =
        client.fund_service().create_fund(client.ask(create.clone())).await.unwrap().into_inner().fund.unwrap();
    assert_eq!((proved(&db), client.funds(YEAR).await.len()), (head, 1));
    create.validate_only = false;
    let made = client.fund_service().create_fund(client.ask(create)).await.unwrap().into_inner().fund.unwrap();
    would.fund.clone_from(&made.fund);
    assert_eq!(would, made);
    client.allocate(&made.fund, 100_000, &fresh()).await.unwrap();

    let head = proved(&db);
    let awards = vec![credit(100_000), nle(6)];
    let offer = school.offer.clone();
    let check =
        CheckAwardRequest { offer: offer.clone(), awards: awards.clone(), date: DAY.to_owned(), ..Default::default() };
    let checked = client.award_service().check_award(client.ask(check)).await.unwrap().into_inner();
    assert_eq!((checked.judged_at_sequence, proved(&db)), (head[0].0, head.clone()));
    let mut create = CreateAwardsRequest {
        request_id: fresh(),
        offer,
        awards,
        date: DAY.to_owned(),
        validate_only: true,
        ..Default::default()
    };
    let would = client.award_service().create_awards(client.ask(create.clone())).await.unwrap().into_inner();
    assert_eq!(proved(&db), head);
    create.validate_only = false;
    let made = client.award_service().create_awards(client.ask(create)).await.unwrap().into_inner();
    for preview in [would.awards, checked.awards] {
        assert_eq!(preview.len(), 2);
        for (mut would, made) in preview.into_iter().zip(&made.awards) {
            assert_eq!(would.award, "", "an id of an award that is not made");
            would.award.clone_from(&made.award);
            assert_eq!(would, *made);
        }
    }
    assert_eq!((would.warnings, checked.warnings), (made.warnings.clone(), made.warnings));
    proved(&db);
}

async fn changes_without_money_are_previewed(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let offer = offers[0].offer.clone();
    let note = |text: &str| NoteOfferRequest { offer: offer.clone(), text: text.to_owned(), ..Default::default() };
    previewed!(&db, client, offers.note_offer, note("rang the school")).unwrap();
    let empty = previewed!(&db, client, offers.note_offer, note("")).unwrap_err();
    assert_eq!(reason(&empty), "FIELD_VIOLATIONS");

    let place = |urn| PlaceSchoolRequest {
        programme: YEAR.to_owned(),
        urn,
        placement: Placement::Maintained.into(),
        reason: "the council runs it".to_owned(),
        ..Default::default()
    };
    assert_eq!(previewed!(&db, client, registry.place_school, place(910_063)).unwrap().urn, 910_063);
    let known = previewed!(&db, client, registry.place_school, place(910_003)).unwrap_err();
    assert_eq!(reason(&known), "ALREADY_PLACED");

    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/terms/2022-23.toml")).unwrap();
    let load = |text: String| LoadTermsRequest { file_name: "next.toml".to_owned(), text, ..Default::default() };
    let changed = format!("{text}\n# another\n");
    assert_eq!(reason(&previewed!(&db, client, schemes.load_terms, load(changed)).unwrap_err()), "TERMS_IN_USE");
    let later = [("2022-23", "2031-32"), ("2022-", "2031-"), ("2023-", "2032-")];
    let mut new = load(later.iter().fold(text, |text, (from, to)| text.replace(from, to)));
    (new.request_id, new.validate_only) = (fresh(), true);
    let answer = client.schemes().load_terms(client.ask(new)).await.unwrap().into_inner();
    let loaded = client.schemes().list_terms(client.ask(ListTermsRequest::default())).await.unwrap().into_inner().terms;
    assert_eq!(answer.terms.unwrap().programme, "2031-32", "it would be loaded");
    assert!(loaded.iter().all(|it| it.programme != "2031-32"), "and was not");
}

async fn calls_that_need_two_people_are_previewed(db: Db) {
    let server = Server::start(&db);
    let client = Client::of(&server).await;
    let offers = client.seed().await;
    let offer = of_school(&offers, 910_003).offer.clone();
    client.close(&offer, Outcome::Withdrawn).await.unwrap();
    let open = async || {
        let list = ListApprovalsRequest::default();
        client.approvals().list_approvals(client.ask(list)).await.unwrap().into_inner().approvals
    };
    let reopen = |validate_only| ReopenOfferRequest {
        request_id: fresh(),
        offer: offer.clone(),
        reason: "in error".to_owned(),
        validate_only,
        ..Default::default()
    };
    let imports = client.registry().list_imports(client.ask(ListImportsRequest::default())).await.unwrap();
    let import_id = imports.into_inner().imports[0].import_id.clone();
    let withdraw = |validate_only| WithdrawImportRequest {
        request_id: fresh(),
        import_id: import_id.clone(),
        reason: "wrong month".to_owned(),
        validate_only,
    };
    let tried = [
        client.offers().reopen_offer(client.ask(reopen(true))).await.unwrap_err(),
        client.registry().withdraw_import(client.ask(withdraw(true))).await.unwrap_err(),
    ];
    for tried in tried {
        let (reason, named) = (reason(&tried), refusal(&tried).approval);
        assert_eq!((reason.as_str(), named.as_str()), ("APPROVAL_REQUIRED", ""));
    }
    assert_eq!(open().await, [], "a preview opens no approval");

    let refusals = [
        client.registry().withdraw_import(client.ask(withdraw(false))).await.unwrap_err(),
        client.offers().reopen_offer(client.ask(reopen(false))).await.unwrap_err(),
    ];
    for refused in refusals {
        let approval = refusal(&refused).approval;
        let deny = DenyApprovalRequest { approval: approval.clone(), reason: "no".to_owned(), ..Default::default() };
        let own = previewed!(&db, client, approvals.deny_approval, deny.clone()).unwrap_err();
        assert_eq!(reason(&own), "SELF_APPROVAL");
        let (ben, head, before) = (client.named("ben"), proved(&db), open().await);
        let tried = DenyApprovalRequest { request_id: fresh(), validate_only: true, ..deny };
        let preview = ben.approvals().deny_approval(ben.ask(tried)).await.unwrap().into_inner();
        assert_eq!(preview.approval.map(|it| it.state()), Some(ApprovalState::Denied));
        assert_eq!((proved(&db), open().await), (head, before), "a preview denies nothing");
        let give = GiveApprovalRequest { approval, ..Default::default() };
        let own = previewed!(&db, client, approvals.give_approval, give.clone()).unwrap_err();
        assert_eq!(reason(&own), "SELF_APPROVAL");
        let bob = client.named("bob");
        let (head, before) = (proved(&db), open().await);
        let mut tried = GiveApprovalRequest { request_id: fresh(), validate_only: true, ..give };
        let preview = bob.approvals().give_approval(bob.ask(tried.clone())).await.unwrap().into_inner();
        assert_eq!((proved(&db), open().await), (head, before), "a preview gives nothing");
        tried.validate_only = false;
        let given = bob.approvals().give_approval(bob.ask(tried)).await.unwrap().into_inner();
        assert_eq!(preview, given);
    }
    assert_eq!(open().await, []);
}
