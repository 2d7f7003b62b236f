//! What became of one host, deployment by deployment.

use serde::{Deserialize, Serialize};

use super::ControlNode;
use crate::engine::NodeError;
use crate::event::{Event, Fact, Sequence};
use crate::journal::JournalQuery;
use crate::model::{HostName, HostResult, Timestamp};
use crate::summary::TaskSummary;

/// How many events are read at once.
const PAGE: usize = 1_000;

/// What a deployment did to a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HostRecord {
    /// The host.
    pub host: HostName,
    /// The deployment, and how far it has come.
    pub deployment: TaskSummary,
    /// When work on the host began, the last time; none where it was not touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
    /// When it ended, the last time; none while it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How often work on it began: more than once where it was done again.
    pub turns: u32,
    /// How it ended, when it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<HostResult>,
}

impl HostRecord {
    fn new(host: HostName, deployment: TaskSummary) -> Self {
        Self { host, deployment, began_at: None, ended_at: None, turns: 0, result: None }
    }

    /// Takes the next event of the deployment.
    fn apply(&mut self, event: &Event) {
        match &event.fact {
            Fact::HostStarted { host } if *host == self.host => {
                self.turns += 1;
                self.began_at = Some(event.at);
                (self.ended_at, self.result) = (None, None);
            }
            Fact::HostFinished { result } | Fact::HostFailedLater { result }
                if result.host == self.host =>
            {
                self.ended_at = Some(event.at);
                self.result = Some(result.clone());
            }
            Fact::Retried { hosts, .. } if hosts.contains(&self.host) => {
                (self.ended_at, self.result) = (None, None);
            }
            Fact::RollbackStarted { batches, .. }
                if batches.iter().flatten().any(|host| *host == self.host) =>
            {
                (self.ended_at, self.result) = (None, None);
            }
            _ => {}
        }
    }
}

impl ControlNode {
    /// What became of a host in those of the deployments that match a query which had it, those
    /// accepted last first. The query's `limit` counts deployments that had the host.
    ///
    /// It reads the events of every deployment that matches, until it has enough.
    ///
    /// # Errors
    ///
    /// `Storage`.
    pub async fn host_history(
        &self,
        host: &HostName,
        mut query: JournalQuery,
    ) -> Result<Vec<HostRecord>, NodeError> {
        let wanted = query.limit.take().unwrap_or(JournalQuery::LIMIT);
        let mut found = Vec::new();
        loop {
            let page = self.history(query.clone()).await?;
            let Some(last) = page.last() else { return Ok(found) };
            query = query.with_after(last.task.clone());
            for summary in page {
                if found.len() == wanted {
                    return Ok(found);
                }
                found.extend(self.host_record(host, summary).await?);
            }
        }
    }

    /// What a deployment did to a host; `None` when it did not have it.
    async fn host_record(
        &self,
        host: &HostName,
        summary: TaskSummary,
    ) -> Result<Option<HostRecord>, NodeError> {
        let (task, last) = (summary.task.clone(), summary.last);
        let journal = &self.engine.parts().journal;
        let mut record = None;
        let mut read = Sequence::START;
        while read < last {
            let events = journal.read(task.clone(), read, PAGE).await?;
            // A task that was forgotten meanwhile has no more events.
            let Some(newest) = events.last() else { break };
            read = newest.sequence;
            // What comes after the end of the summary is not part of it.
            for event in events.iter().filter(|event| event.sequence <= last) {
                match (&mut record, &event.fact) {
                    (Some(record), _) => HostRecord::apply(record, event),
                    (None, Fact::Resolved { hosts }) => {
                        if !hosts.iter().any(|target| target.host == *host) {
                            return Ok(None);
                        }
                        record = Some(HostRecord::new(host.clone(), summary.clone()));
                    }
                    (None, _) => {}
                }
            }
        }
        Ok(record)
    }
}
