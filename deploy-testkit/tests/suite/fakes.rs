//! The fakes keep the contracts of what they stand for.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use deploy_core::model::{DeploymentId, Fence, HostStatus, ReleaseTask};
use deploy_core::{
    AgentResolver, CancelToken, Clock, Context, Executor, Fact, FailureCode, FnObserver,
    ResolveError, Verifier, VerifyError,
};
use deploy_testkit::{
    FakeVerifier, HostScript, ScriptedExecutor, StaticResolver, VirtualClock, samples,
};

fn task(hosts: usize, at_once: u32) -> ReleaseTask {
    let package = samples::package(b"bytes");
    let request = samples::request(package.clone());
    let mut task = ReleaseTask::new(
        samples::task_id("t-1"),
        DeploymentId::new("d-1").unwrap(),
        &request,
        package,
        samples::fleet(hosts),
        Fence::new(1),
    );
    task.max_parallel = at_once;
    task
}

fn context() -> Context {
    Context::new(samples::task_id("t-1"))
}

#[tokio::test]
async fn every_host_has_a_result_in_the_order_of_the_task() {
    let executor = ScriptedExecutor::new()
        .with_host(samples::host(2), HostScript::fail(FailureCode::HookFailed));
    let report = executor.execute(context(), task(3, 3)).await.unwrap();
    let ended: Vec<_> = report.hosts.iter().map(|h| (h.host.clone(), h.status)).collect();
    let expected = [HostStatus::Succeeded, HostStatus::Failed, HostStatus::Succeeded];
    assert_eq!(ended, (1..).map(samples::host).zip(expected).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_task_that_comes_again_does_not_touch_hosts_that_are_done() {
    let executor = ScriptedExecutor::new();
    let first = executor.execute(context(), task(2, 2)).await.unwrap();
    let again = executor.execute(context(), task(2, 2)).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(executor.executions(&samples::host(1)), 1);
    assert_eq!(executor.tasks().len(), 2);
}

#[tokio::test]
async fn hosts_are_done_at_most_so_many_at_once() {
    let clock = VirtualClock::new();
    let mut executor = ScriptedExecutor::new().with_clock(Arc::new(clock.clone()));
    for number in 1..=6 {
        let slow = HostScript::succeed().after(Duration::from_secs(1));
        executor = executor.with_host(samples::host(number), slow);
    }
    let start = clock.now();
    let running = tokio::spawn({
        let executor = executor.clone();
        async move { executor.execute(context(), task(6, 2)).await }
    });
    while !running.is_finished() {
        tokio::select! {
            _ = clock.advance_to_next() => {}
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(running.await.unwrap().unwrap().succeeded());
    assert_eq!(executor.most_at_once(), 2);
    assert!(clock.now().since(start) >= Duration::from_secs(3));
}

#[tokio::test]
async fn a_host_hangs_until_it_is_released() {
    let executor = ScriptedExecutor::new().with_host(samples::host(1), HostScript::hang());
    let running = tokio::spawn({
        let executor = executor.clone();
        async move { executor.execute(context(), task(1, 1)).await }
    });
    executor.hanging(&samples::host(1)).await;
    assert!(!running.is_finished());
    executor.release(&samples::host(1));
    assert!(running.await.unwrap().unwrap().succeeded());
}

#[tokio::test]
async fn a_cancelled_task_ends_and_starts_no_further_host() {
    let executor = ScriptedExecutor::new().with_host(samples::host(1), HostScript::hang());
    let cancel = CancelToken::new();
    let running = tokio::spawn({
        let (executor, cx) = (executor.clone(), context().with_cancel(cancel.clone()));
        async move { executor.execute(cx, task(2, 1)).await }
    });
    executor.hanging(&samples::host(1)).await;
    cancel.cancel("enough");
    let report = running.await.unwrap().unwrap();
    assert_eq!(report.hosts[0].status, HostStatus::Cancelled);
    assert_eq!(report.hosts[1].status, HostStatus::NotStarted);
    assert_eq!(executor.executions(&samples::host(2)), 0);
}

#[tokio::test]
async fn facts_are_reported_and_each_host_is_finished_last() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observer = FnObserver::new({
        let seen = Arc::clone(&seen);
        move |event: &deploy_core::Event| seen.lock().unwrap().push(event.fact.clone())
    });
    let executor = ScriptedExecutor::new().with_host(
        samples::host(1),
        HostScript::succeed().with_steps(&[deploy_core::Step::Switch]),
    );
    let cx = context().with_observer(Arc::new(observer));
    executor.execute(cx, task(1, 1)).await.unwrap();
    let names: Vec<_> = seen.lock().unwrap().iter().map(Fact::name).collect();
    assert_eq!(names, ["host_started", "step_started", "step_finished", "host_finished"]);
}

#[tokio::test]
async fn the_fake_verifier_gives_its_bytes_and_refuses_other_digests() {
    use std::os::unix::fs::FileExt;
    let verifier = FakeVerifier::new(*b"bytes");
    let package = verifier.verify(context(), samples::package(b"bytes")).await.unwrap();
    let mut read = [0; 5];
    package.file.read_exact_at(&mut read, 0).unwrap();
    assert_eq!((&read, package.digests.size), (b"bytes", 5));
    let other = verifier.verify(context(), samples::package(b"other")).await;
    assert!(matches!(other, Err(VerifyError::Mismatch { what: "MD5", .. })));
    assert_eq!(verifier.calls().len(), 2);
}

#[tokio::test]
async fn the_static_resolver_knows_what_it_was_told() {
    let (business, checkout) = (samples::business(), samples::project("checkout"));
    let fleet = samples::fleet(2);
    let everywhere = StaticResolver::new(fleet.clone());
    let found = everywhere.resolve(context(), business.clone(), checkout.clone()).await;
    assert_eq!(found.unwrap(), fleet);
    let one = StaticResolver::empty().with_project(business.clone(), checkout.clone(), Vec::new());
    let none = one.resolve(context(), business.clone(), checkout).await;
    assert!(matches!(none, Err(ResolveError::NoHosts { .. })));
    let unknown = one.resolve(context(), business, samples::project("other")).await;
    assert!(matches!(unknown, Err(ResolveError::Unknown { .. })));
}
