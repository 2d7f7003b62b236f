//! An approval, and where approvals are kept.

use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde::Serialize;

use crate::document::{Decode, Node, Value, deserialize_by_decode};
use crate::failure::Retry;
use crate::model::{DeploymentId, Person, Timestamp, WorkOrder};

/// What is approved: all that a work order asks for, or one deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ApprovalSubject {
    /// Every deployment of this work order.
    WorkOrder(WorkOrder),
    /// This deployment.
    Deployment(DeploymentId),
}

impl fmt::Display for ApprovalSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkOrder(number) => write!(f, "work order {number}"),
            Self::Deployment(id) => write!(f, "deployment {id}"),
        }
    }
}

/// What somebody says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// It may go out.
    Approved,
    /// The approval is taken back.
    Revoked,
}

/// That somebody approves of something, or does no longer.
///
/// As JSON: `{"work_order":"WO-7","by":"alice","at":"2026-11-23T09:00:00Z","verdict":"approved"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Approval {
    /// What is approved.
    #[serde(flatten)]
    pub subject: ApprovalSubject,
    /// By whom.
    pub by: Person,
    /// When.
    pub at: Timestamp,
    /// What they say.
    pub verdict: Verdict,
}

impl Approval {
    /// Says that somebody approves of something.
    #[must_use]
    pub fn new(subject: ApprovalSubject, by: Person, at: Timestamp) -> Self {
        Self { subject, by, at, verdict: Verdict::Approved }
    }

    /// Takes the approval back instead.
    #[must_use]
    pub fn revoked(mut self) -> Self {
        self.verdict = Verdict::Revoked;
        self
    }
}

impl Decode for Approval {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let work_order: Option<Option<WorkOrder>> = table.optional("work_order");
        let deployment: Option<Option<DeploymentId>> = table.optional("deployment");
        let (by, at) = (table.required("by"), table.required("at"));
        let verdict = table.or("verdict", Verdict::Approved);
        let subject = match (work_order?, deployment?) {
            (Some(number), None) => Some(ApprovalSubject::WorkOrder(number)),
            (None, Some(id)) => Some(ApprovalSubject::Deployment(id)),
            (both, _) => {
                let found = if both.is_some() { "both" } else { "neither" };
                table.fault("work_order", found, "one of the keys work_order and deployment");
                None
            }
        };
        table.finish();
        Some(Self { subject: subject?, by: by?, at: at?, verdict: verdict? })
    }
}

impl Decode for Verdict {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Text(text) if text == "approved" => Some(Self::Approved),
            Value::Text(text) if text == "revoked" => Some(Self::Revoked),
            _ => node.refuse("\"approved\" or \"revoked\""),
        }
    }
}

deserialize_by_decode!(Approval);

/// Keeps approvals.
///
/// Whoever can write to it can approve in anybody's name: who somebody is has to be found out before.
///
/// # Contract
///
/// 1. When `record` has answered, the approval is kept.
/// 2. `about` gives the approvals of any of the subjects, in the order in which they were recorded,
///    those of other processes too.
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` does not keep approvals",
        note = "use `FileApprovals` or `MemoryApprovals`, or implement `deploy_core::gate::ApprovalStore`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait ApprovalStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps an approval, or that it was taken back.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] when it could not be kept.
    async fn record(&self, approval: Approval) -> Result<(), ApprovalError>;

    /// The approvals of some subjects.
    ///
    /// # Errors
    ///
    /// [`ApprovalError`] when they could not be read.
    async fn about(&self, subjects: Vec<ApprovalSubject>) -> Result<Vec<Approval>, ApprovalError>;
}

crate::wrappers::forward_async! {
    ApprovalStore {
        async fn record(&self, approval: Approval) -> Result<(), ApprovalError>;
        async fn about(&self, subjects: Vec<ApprovalSubject>) -> Result<Vec<Approval>, ApprovalError>;
    }
}

/// The store of approvals failed.
#[derive(Debug, thiserror::Error)]
#[error("the approvals could not be read or written")]
#[non_exhaustive]
pub struct ApprovalError {
    /// What failed.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl ApprovalError {
    /// Says what failed.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }

    /// Whether the same call is worth making again: yes, what stands in the way may be mended.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Immediately
    }
}

/// Approvals in memory, which end with the process.
#[derive(Debug, Default)]
pub struct MemoryApprovals(Mutex<Vec<Approval>>);

impl MemoryApprovals {
    /// Holds none yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl ApprovalStore for MemoryApprovals {
    async fn record(&self, approval: Approval) -> Result<(), ApprovalError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(approval);
        Ok(())
    }

    async fn about(&self, subjects: Vec<ApprovalSubject>) -> Result<Vec<Approval>, ApprovalError> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(all.iter().filter(|approval| subjects.contains(&approval.subject)).cloned().collect())
    }
}
