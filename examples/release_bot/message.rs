//! What is asked of a bot that has a state directory open, and what it answers: a line of JSON each.

use deploy_core::model::{BusinessName, DeploymentId, DeploymentRequest, HostName, Outcome};
use deploy_core::model::{ProjectName, RollbackTarget, TaskId, Timestamp, WorkOrder};
use deploy_core::{Drift, Event, HostRecord, JournalQuery, Plan, Sequence};
use serde::{Deserialize, Serialize};

use crate::account::Account;

/// What is asked. Asking again changes nothing more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// How a deployment is, or all unfinished ones are.
    Status { deployment: Option<DeploymentId> },
    /// The deployments that match.
    History { filter: Filter },
    /// What became of a host in the deployments that match.
    HostHistory { host: HostName, filter: Filter },
    /// What a person wants of a deployment, and why.
    Say { deployment: DeploymentId, wish: Wish, why: String },
    /// Take a request.
    Submit { request: Box<DeploymentRequest> },
    /// Say what a request would do.
    Plan { request: Box<DeploymentRequest> },
    /// Take the request of a plan.
    Apply { plan: Box<Plan> },
    /// The events of a deployment after a number, up to its end.
    Follow { deployment: DeploymentId, after: Sequence },
}

/// What a person may want of a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wish {
    Pause,
    Resume,
    Promote,
    Cancel,
    Retry,
    Skip(HostName),
    /// Until then.
    Extend(Timestamp),
    RollBack(RollbackTarget),
}

/// Which deployments are wanted. What is not set matches everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    pub(crate) project: Option<(BusinessName, ProjectName)>,
    pub(crate) work_order: Option<WorkOrder>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) after: Option<TaskId>,
    pub(crate) limit: Option<usize>,
}

impl Filter {
    /// As the library has it.
    pub(crate) fn query(self) -> JournalQuery {
        let mut query = JournalQuery::new();
        (query.business, query.project) = self.project.unzip();
        query.work_order = self.work_order;
        query.outcome = self.outcome;
        (query.since, query.until) = (self.since, self.until);
        (query.after, query.limit) = (self.after, self.limit);
        query
    }
}

/// What is answered: one line, and to `Follow` one for each event and the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    Accounts {
        accounts: Vec<Account>,
    },
    Hosts {
        hosts: Vec<HostRecord>,
    },
    Submitted {
        deployment: DeploymentId,
    },
    Planned {
        plan: Box<Plan>,
    },
    /// A plan was not applied: the world has moved.
    Drifted {
        drifts: Vec<Drift>,
    },
    Event {
        event: Box<Event>,
    },
    End,
    /// It was not done. Where that is the asker's fault, it is said so.
    Refused {
        message: String,
        bad_input: bool,
    },
}
