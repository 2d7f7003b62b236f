//! The network of a lossy link: whatever it loses, a task is carried out once, and nothing that is
//! not known is called anything else.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{DeploymentId, Endpoint, Fence, HostStatus, ReleaseTask};
use deploy_core::{AgentNode, Context, ExecuteError, Executor};
use deploy_queue::{MemoryJournal, MemoryQueue};
use deploy_testkit::{Dice, LinkFaults, LossyLink, ScriptedExecutor, StaticResolver, samples};

fn endpoint() -> Endpoint {
    Endpoint::new("http://agent.test:7070").unwrap()
}

fn task() -> ReleaseTask {
    let package = samples::package(b"package");
    let request = samples::request(package.clone());
    let mut target = samples::target(1);
    target.endpoint = endpoint();
    let (id, deployment) = (samples::task_id("d.0"), DeploymentId::new("d").unwrap());
    ReleaseTask::new(id, deployment, &request, package, vec![target], Fence::new(1))
}

async fn agent(hosts: &ScriptedExecutor) -> AgentNode {
    AgentNode::builder()
        .resolver(StaticResolver::new(samples::fleet(1)))
        .executor(hosts.clone())
        .queue(Arc::new(MemoryQueue::default()))
        .journal(Arc::new(MemoryJournal::new()))
        .build()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_task_is_carried_out_once_whatever_the_network_loses_and_doubles() {
    for seed in 0..20 {
        let link = LossyLink::new(&Dice::new(seed));
        link.set_faults(LinkFaults::everything(300));
        let hosts = ScriptedExecutor::new();
        link.connect(&endpoint(), &agent(&hosts).await);
        let done = link.executor().execute(Context::new(task().id), task()).await;
        match done {
            Ok(report) => assert!(report.succeeded(), "seed {seed}"),
            Err(error) => assert!(matches!(error, ExecuteError::Lost { .. }), "{seed}: {error}"),
        }
        assert!(hosts.executions(&samples::host(1)) <= 1, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_not_there_is_unreachable_and_one_behind_a_cut_may_have_the_task() {
    let link = LossyLink::new(&Dice::new(1));
    let error = link.executor().execute(Context::new(task().id), task()).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Unreachable { .. }), "{error}");
    let hosts = ScriptedExecutor::new();
    link.connect(&endpoint(), &agent(&hosts).await);
    link.set_cut(&endpoint(), true);
    let error = link.executor().execute(Context::new(task().id), task()).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Lost { .. }), "{error}");
    assert_eq!(hosts.executions(&samples::host(1)), 0);
    // It is mended while somebody tries.
    let mending = link.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        mending.set_cut(&endpoint(), false);
    });
    assert!(link.executor().execute(Context::new(task().id), task()).await.unwrap().succeeded());
}

#[tokio::test(start_paused = true)]
async fn a_task_is_followed_through_the_restart_of_its_agent() {
    let link = LossyLink::new(&Dice::new(1));
    let hosts = ScriptedExecutor::new();
    hosts.script(samples::host(1), deploy_testkit::HostScript::hang());
    let node = agent(&hosts).await;
    link.connect(&endpoint(), &node);
    let executor = link.executor();
    let running =
        tokio::spawn(async move { executor.execute(Context::new(task().id), task()).await });
    hosts.hanging(&samples::host(1)).await;
    link.disconnect(&endpoint());
    tokio::time::sleep(Duration::from_secs(20)).await;
    link.connect(&endpoint(), &node);
    hosts.release(&samples::host(1));
    assert!(running.await.unwrap().unwrap().succeeded());
    assert_eq!(hosts.executions(&samples::host(1)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_cancelled_before_its_agent_comes_to_it_has_not_begun() {
    let link = LossyLink::new(&Dice::new(1));
    let hosts = ScriptedExecutor::new();
    hosts.script(samples::host(1), deploy_testkit::HostScript::hang());
    let node = AgentNode::builder()
        .resolver(StaticResolver::new(samples::fleet(1)))
        .executor(hosts.clone())
        .queue(Arc::new(MemoryQueue::default()))
        .journal(Arc::new(MemoryJournal::new()))
        .workers(1)
        .build()
        .await
        .unwrap();
    link.connect(&endpoint(), &node);
    let executor = link.executor();
    tokio::spawn(async move { executor.execute(Context::new(task().id), task()).await });
    hosts.hanging(&samples::host(1)).await;
    let mut second = task();
    second.id = samples::task_id("d.1");
    let cx = Context::new(second.id.clone());
    let (cancel, executor) = (cx.cancel.clone(), link.executor());
    let id = second.id.clone();
    let running = tokio::spawn(async move { executor.execute(cx, second).await });
    while node.state(&id).await.is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    cancel.cancel("taken back");
    let report = running.await.unwrap().unwrap();
    assert_eq!(report.hosts[0].status, HostStatus::NotStarted, "{report:#?}");
}
