//! The gate of the monitoring address.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{HostStatus, Monitor};
use deploy_core::{
    Context, ExecuteError, Executor, FailureCode, ProbeAnswer, ProbeError, ProbeQuestion, Prober,
};

use super::fixture::{Host, Package, Watched, hook, one};

/// Gives statuses in order, and the last one for ever.
#[derive(Debug)]
struct Scripted(Mutex<VecDeque<u16>>);

impl Scripted {
    fn new(statuses: &[u16]) -> Self {
        Self(Mutex::new(statuses.iter().copied().collect()))
    }
}

#[async_trait]
impl Prober for Scripted {
    async fn probe(
        &self,
        _cx: Context,
        question: ProbeQuestion,
    ) -> Result<ProbeAnswer, ProbeError> {
        assert_eq!(question.url.as_str(), "http://127.0.0.1:8080/h1");
        let mut statuses = self.0.lock().unwrap();
        let status = if statuses.len() > 1 { statuses.pop_front().unwrap() } else { statuses[0] };
        Ok(ProbeAnswer::new(status, b"ok".to_vec()))
    }
}

fn monitor() -> Monitor {
    let mut monitor = Monitor::new("http://{host.address}:8080/{host.name}").unwrap();
    monitor.interval = Duration::from_millis(10);
    monitor.deadline = Duration::from_secs(1);
    monitor
}

on_every_host! {
    a_healthy_release_is_committed(host) {
        let package = Package::version("one");
        let mut task = host.task("d1", 1, &package);
        task.monitor = Some(monitor());
        task.monitor.as_mut().unwrap().successes = 2;
        task.release.hooks.after_switch = vec![hook("echo \"$DEPLOY_MONITOR_URL\"")];
        let executor = host.executor(&package).prober(Scripted::new(&[503, 200, 500, 200])).build();
        let watched = Watched::new(&task);
        let result = one(executor.execute(watched.cx.clone(), task).await.unwrap());
        assert_eq!(result.status, HostStatus::Succeeded, "{result:?}");
        assert_eq!(watched.output(), "http://127.0.0.1:8080/h1\n");
        assert!(watched.steps().ends_with(&["+probe", "-probe", "+prune", "-prune"].map(str::to_owned)));
        host.assert_tidy();
    }

    an_unhealthy_release_is_rolled_back(host) {
        let (one_, two) = (Package::version("one"), Package::version("two"));
        host.deploy(&one_, &host.task("d1", 1, &one_)).await;
        let mut task = host.task("d2", 2, &two);
        task.monitor = Some(monitor());
        let executor = host.executor(&two).prober(Scripted::new(&[503])).build();
        let result = one(executor.execute(Watched::new(&task).cx, task).await.unwrap());
        assert_eq!(result.status, HostStatus::RolledBack, "{result:?}");
        let failure = result.failure.unwrap();
        assert_eq!(failure.code, FailureCode::Unhealthy);
        assert!(failure.message.contains("status 503, not 200-299"), "{failure}");
        assert_eq!(host.read("current/version"), "one");
        assert!(host.read(".deploy/marks/d2").contains("state failed"));
        host.assert_tidy();
    }
}

#[tokio::test]
async fn a_monitor_without_a_prober_is_refused_before_anything() {
    let host = Host::new("dash", true);
    let package = Package::version("one");
    let mut task = host.task("d1", 1, &package);
    task.monitor = Some(monitor());
    let executor = host.executor(&package).build();
    let error = executor.execute(Watched::new(&task).cx, task).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Rejected { .. }));
    assert!(!host.root.exists());
}
