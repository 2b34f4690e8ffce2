//! Tests approvals to withdraw an import.

use super::*;

#[tokio::test]
async fn a_denied_withdrawal_does_not_change_the_import() {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..2]].concat()).await;
    let (ann, ben) = (admin("ann"), admin("ben"));
    let september = test_app.imports(Some(FileKind::Ofsted)).await[0].id;
    let request = RequestId(new_id());
    let ask = async |request| request_withdrawal(&test_app, &ann, (request, september), "wrong month").await;
    let approval = refused(ask(request).await).approval.unwrap();
    let encode = |it: &Approval| format!("{it:?}").into_bytes();
    let deny = async |by: &Caller, denial: &Denial, validate_only| {
        test_app.app.deny_withdrawal(by, denial, validate_only, encode).await
    };

    let denial_request = denial(RequestId(new_id()), approval, "it is the right month");
    assert_eq!(refused(deny(&ann, &denial_request, false).await).reason, Reason::SelfApproval);
    assert!(!test_app.app.is_write_in_doubt(), "a refusal leaves no doubt");
    let preview = deny(&ben, &denial_request, true).await.unwrap();
    assert!(!test_app.app.is_write_in_doubt(), "a refusal leaves no doubt");
    assert_eq!(refused(ask(RequestId(new_id())).await).approval, Some(approval), "a preview denies nothing");
    assert_eq!(deny(&ben, &denial_request, false).await.unwrap(), preview);
    assert_eq!(deny(&ben, &denial_request, false).await.unwrap(), preview, "the same request gets the same answer");
    let other = denial(denial_request.request.id, approval, "because");
    assert_eq!(deny(&ben, &other, false).await, Err(AppError::RequestIdReused));
    assert_eq!(
        refused(deny(&ben, &denial(RequestId(new_id()), approval, "no"), false).await).reason,
        Reason::ApprovalNotOpen
    );
    let nothing = EncodeWithdrawn { given: |_| Vec::new(), asked: |_| Vec::new() };
    let given = give_withdrawal(&test_app, &ben, (RequestId(new_id()), approval), nothing).await;
    assert_eq!(refused(given).reason, Reason::ApprovalNotOpen);

    let (import, ..) = test_app.app.get_import(&ann, september).await.unwrap();
    assert_eq!((import.state, import.withdrawn_by), (ImportState::Landed, None));
    let page = Page { newest_first: true, after: None, limit: 9 };
    let all = test_app
        .app
        .list_approvals(&ann, test_app.app.clock().now().at, (crate::app::ApprovalScope::All, None), page)
        .await
        .unwrap();
    let shown: Vec<_> = all.iter().map(|it| (it.state.name(), it.denied_reason.as_deref())).collect();
    assert_eq!(shown, [("denied", Some("it is the right month"))]);
    assert_eq!(
        refused(ask(request).await).reason,
        Reason::ApprovalClosed,
        "the repeated request opens no other approval"
    );
    let again = refused(ask(RequestId(new_id())).await);
    assert_eq!((again.reason, again.approval == Some(approval)), (Reason::ApprovalRequired, false));
}

/// Makes the offers, and requests a withdrawal as Ann. Returns the approval that the request opened.
async fn request_withdrawal_as_ann(test_app: &TestApp) -> ApprovalId {
    identify(test_app).await;
    let september = test_app.imports(Some(FileKind::Ofsted)).await[0].id;
    refused(request_withdrawal(test_app, &admin("ann"), (RequestId(new_id()), september), "wrong month").await)
        .approval
        .unwrap()
}

/// Earlier versions withdrew in one transaction and stored the answer in a second. If the process died in between, the
/// repeated request stores and returns the answer.
#[tokio::test]
async fn a_withdrawal_without_a_stored_answer_is_answered_by_the_same_request() {
    let test_app = TestApp::with_files(&[&AUGUST[..], &MONTHS[..2]].concat()).await;
    let (approval, ben, request) = (request_withdrawal_as_ann(&test_app).await, admin("ben"), RequestId(new_id()));
    let encode =
        EncodeWithdrawn { given: |it| format!("{:?}", it.affected).into_bytes(), asked: |_| b"asked".to_vec() };
    let waiting = test_app.app.approval(&ben, approval).await.unwrap();
    let asking = (waiting.request.unwrap(), ImportId(waiting.subject));
    let ask_again = async || request_withdrawal(&test_app, &admin("ann"), asking, "wrong month").await;
    assert_eq!(refused(ask_again().await).approval, Some(approval));
    give_withdrawal(&test_app, &ben, (request, approval), encode).await.unwrap();
    // Empties the stored answers, as if the process had died before it stored them.
    let interrupted = test_app.app.locked().await.unwrap();
    for (actor, request) in [(&ben.actor, request), (&waiting.requested_by, asking.0)] {
        store::requests::answer(&interrupted, (actor, request), &[]).await.unwrap();
    }
    interrupted.commit().await.unwrap();
    let unanswered = ask_again().await;
    assert!(matches!(unanswered, Err(AppError::Unavailable(_))), "carried out, and not answered yet: {unanswered:?}");
    identify(&test_app).await;
    assert_eq!(
        test_app.app.eligibility_summary(&ben, test_app.today(), &programme("2021-22")).await.unwrap().eligible_schools,
        28
    );

    let other = give_withdrawal(&test_app, &ben, (RequestId(new_id()), approval), encode).await;
    assert_eq!(refused(other).reason, Reason::ApprovalNotOpen, "another request cannot give the approval again");
    let (one, two) = tokio::join!(
        give_withdrawal(&test_app, &ben, (request, approval), encode),
        give_withdrawal(&test_app, &ben, (request, approval), encode),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.answer, two.answer);
    assert_eq!(ask_again().await, Ok(b"asked".to_vec()), "the request that opened the approval has its answer too");
    let done = one.fresh.or(two.fresh).unwrap();
    assert_eq!(
        (done.import.state, done.approval.state.answered_by().map(|it| it.as_str())),
        (ImportState::Withdrawn, Some("ben"))
    );
    let lost: Vec<_> = done.affected.iter().flat_map(|it| it.urns.clone()).collect();
    assert_eq!(lost, [urn(910_017), urn(910_019), urn(910_021)]);
    assert_eq!(test_app.app.find_schools(&ben, test_app.today(), "990001", None, 9).await.unwrap().keys, []);
}
