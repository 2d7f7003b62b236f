//! A later attempt that does not get to a host: what an earlier one did there is not known.

use deploy_core::model::{HostStatus, ReleaseAction, RollbackTarget};
use deploy_core::{
    ExecuteError, Executor, FailureCode, FnVerifier, LocalConnector, ReleaseExecutor, VerifyError,
};

use super::fixture::{Host, Package, Watched, one};

#[tokio::test]
async fn a_host_that_is_out_of_reach_may_have_been_changed_by_an_earlier_attempt() {
    let host = Host::new("dash", true);
    let package = Package::version("one");
    let mut task = host.task("d1", 7, &package);
    task.hosts[0].endpoint = "ssh://nowhere".parse().unwrap();
    for (attempt, status) in [(1, HostStatus::Failed), (2, HostStatus::Unknown)] {
        let mut watched = Watched::new(&task);
        watched.cx.attempt = attempt;
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, status);
        assert_eq!(result.failure.unwrap().code, FailureCode::Invalid);
    }
    // Who only looks changes nothing.
    task.action = ReleaseAction::Inspect;
    let mut watched = Watched::new(&task);
    watched.cx.attempt = 2;
    let looked = host.deploy_watched(&package, &task, &watched).await;
    assert_eq!(looked.status, HostStatus::Failed);
}

#[tokio::test]
async fn a_host_whose_turn_did_not_come_may_have_had_it_in_an_earlier_attempt() {
    let host = Host::new("dash", true);
    let package = Package::version("one");
    let mut task = host.task("d1", 7, &package);
    // Nobody may begin.
    task.action =
        ReleaseAction::Rollback { release: "d1".parse().unwrap(), to: RollbackTarget::LastGood };
    for (attempt, status) in [(1, HostStatus::NotStarted), (2, HostStatus::Unknown)] {
        let mut watched = Watched::new(&task);
        watched.cx.attempt = attempt;
        watched.cx.cancel.cancel("enough");
        let result = host.deploy_watched(&package, &task, &watched).await;
        assert_eq!(result.status, status);
        assert_eq!(result.failure.unwrap().code, FailureCode::Cancelled);
    }
}

#[tokio::test]
async fn a_package_that_is_gone_says_nothing_of_what_an_earlier_attempt_did() {
    let host = Host::new("dash", true);
    let package = Package::version("one");
    let task = host.task("d1", 7, &package);
    let gone = FnVerifier::new(|_, source| async move {
        let (url, reason) = (source.url.to_string(), "it is gone".to_owned());
        Err(VerifyError::Refused { url, reason })
    });
    let executor = ReleaseExecutor::builder(LocalConnector::new(), gone).build();
    let watched = Watched::new(&task);
    let first = executor.execute(watched.cx.clone(), task.clone()).await.unwrap_err();
    assert!(matches!(first, ExecuteError::Package { .. }), "{first:?}");
    let again = executor.execute(watched.cx.clone().with_attempt(2), task.clone()).await;
    assert!(matches!(again, Err(ExecuteError::Lost { .. })), "{again:?}");
    // What is known of a host stands.
    let done = host.deploy(&package, &task).await;
    let known = Watched::new(&task).cx.with_attempt(2).with_known(vec![done.clone()]);
    let result = one(host.executor(&package).build().execute(known, task).await.unwrap());
    assert_eq!(result, done);
}
