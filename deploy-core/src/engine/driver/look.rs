//! Looking whether hosts that are done are healthy still.

use std::sync::Arc;

use super::{Driven, Driver};
use crate::engine::together::together;
use crate::event::Fact;
use crate::failure::FailureCode;
use crate::journal::JournalError;
use crate::model::{HostResult, HostStatus, ReleaseAction, ReleaseId, Target};

impl Driver {
    /// Has the monitoring addresses of hosts asked by those who reach the hosts, and records which are
    /// unhealthy. What could not be asked says nothing of the release.
    pub(super) async fn look(
        &mut self,
        hosts: Vec<Target>,
    ) -> Result<Option<Driven>, JournalError> {
        let mut later = Vec::new();
        let decided_on = self.book.state().last;
        for hosts in together(hosts) {
            let state = self.book.state();
            let fence = self.parts.fences.next(self.parts.clock.now());
            // A look is recorded nowhere, so its task has a name that none had before.
            let part = state.task.unrecorded("look", fence);
            let task = super::dispatch::part_task(state, 0, part.clone(), hosts, fence)
                .with_action(ReleaseAction::Probe);
            let release = ReleaseId::from(&task.deployment);
            let cx = self.context(part);
            let (cancel, executor) = (cx.cancel.clone(), Arc::clone(&self.parts.executor));
            let looked = async move { executor.execute(cx, task).await };
            let Some(looked) = self.attend(&cancel, looked).await? else {
                return Ok(Some(self.hand_back()));
            };
            match looked {
                Ok(report) => {
                    later.extend(report.hosts.into_iter().filter(is_unhealthy).map(|result| {
                        Fact::HostFailedLater { result: result.with_serves(release.clone()) }
                    }));
                }
                Err(error) => {
                    let task = &self.book.state().task;
                    tracing::warn!(target: "deploy", %task, %error, "hosts could not be looked at");
                }
            }
        }
        // What somebody recorded meanwhile may be that these hosts go back: then it is decided anew.
        if self.book.state().last != decided_on {
            return Ok(None);
        }
        if self.book.record_decision(later).await? {
            self.looked = Some(self.parts.clock.now());
        }
        Ok(None)
    }
}

fn is_unhealthy(result: &HostResult) -> bool {
    let unhealthy = |code| code == FailureCode::Unhealthy;
    result.status == HostStatus::Failed
        && result.failure.as_ref().is_some_and(|failure| unhealthy(failure.code))
}
