//! Whether a deployment may start now: the trait, and the gates that are here.
//!
//! Gates are asked before the first host and not between batches. A freeze that begins in the middle
//! of a rollout does not stop it: a fleet that stays half on one release and half on another over a
//! weekend is a greater risk than the end of the rollout. Whoever wants it otherwise cancels.

mod answers;
mod approval;
mod approval_file;
mod approvals;
#[cfg(feature = "zones")]
mod freeze;
#[cfg(feature = "zones")]
mod policy;
#[cfg(feature = "zones")]
mod recurring;
mod scope;
#[cfg(feature = "zones")]
mod window;
#[cfg(feature = "zones")]
mod zone;

pub(crate) use answers::Answers;
#[cfg(feature = "mock")]
pub use approval::MockApprovalStore;
pub use approval::{
    Approval, ApprovalError, ApprovalStore, ApprovalSubject, MemoryApprovals, Verdict,
};
pub use approval_file::FileApprovals;
pub use approvals::{ApprovalRule, Approvals};
#[cfg(feature = "zones")]
pub use freeze::FreezeWindows;
#[cfg(feature = "zones")]
pub use policy::GatePolicy;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;

use crate::context::Context;
use crate::failure::{Failure, FailureCode, Retry};
use crate::model::{DeploymentId, DeploymentRequest, Timestamp};

/// Says whether a deployment may start: a freeze, an approval, a ticket system.
///
/// It is asked when everything is prepared and the scheduled time has come, before the first host.
///
/// # Contract
///
/// 1. Asking changes nothing; it is asked again after a restart, and when the time of a `Held` has
///    come.
/// 2. An error counts as held, never as open.
///
/// # Implementing
///
/// ```
/// use deploy_core::model::Timestamp;
/// use deploy_core::{FnGate, GateDecision};
/// use std::time::Duration;
///
/// let gate = FnGate::new(|_cx, _deployment, request| async move {
///     // Ask your tickets here.
///     Ok(match request.work_order {
///         Some(_) => GateDecision::Open,
///         None => GateDecision::Held {
///             reason: "no work order".to_owned(),
///             until: Timestamp::now().plus(Duration::from_secs(60)),
///         },
///     })
/// });
/// ```
///
/// Something that changes before `until`, such as an approval, is seen at once after
/// [`Deployment::recheck`](crate::Deployment::recheck).
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` is not a gate",
        note = "implement `deploy_core::Gate`, or wrap a closure in `FnGate::new`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait Gate: fmt::Debug + Send + Sync + 'static {
    /// Says whether a deployment may start now.
    ///
    /// # Errors
    ///
    /// [`GateError`] when it could not be found out.
    async fn check(
        &self,
        cx: Context,
        deployment: DeploymentId,
        request: DeploymentRequest,
    ) -> Result<GateDecision, GateError>;
}

crate::wrappers::forward_async! {
    Gate {
        async fn check(&self, cx: Context, deployment: DeploymentId, request: DeploymentRequest) -> Result<GateDecision, GateError>;
    }
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GateDecision {
    /// The deployment may start.
    Open,
    /// It may not start yet.
    Held {
        /// Why, in words.
        reason: String,
        /// When to ask again; in a second at the earliest.
        until: Timestamp,
    },
    /// It may never start.
    Refused {
        /// Why, in words.
        reason: String,
    },
}

/// A gate could not find out whether a deployment may start.
#[derive(Debug, thiserror::Error)]
#[error("the gate could not be asked")]
#[non_exhaustive]
pub struct GateError {
    /// What failed.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

impl GateError {
    /// Says what failed.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }

    /// Whether the same question is worth asking again: always.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Immediately
    }
}

impl From<&GateError> for Failure {
    fn from(error: &GateError) -> Self {
        Self::of(FailureCode::Internal, error).with_retry(error.retry())
    }
}

/// What a [`FnGate`]'s closure returns, boxed.
type Answer = Pin<Box<dyn Future<Output = Result<GateDecision, GateError>> + Send>>;

/// A gate made of an async closure.
pub struct FnGate(Box<dyn Fn(Context, DeploymentId, DeploymentRequest) -> Answer + Send + Sync>);

impl FnGate {
    /// Calls `f` for every question.
    pub fn new<F, A>(f: F) -> Self
    where
        F: Fn(Context, DeploymentId, DeploymentRequest) -> A + Send + Sync + 'static,
        A: Future<Output = Result<GateDecision, GateError>> + Send + 'static,
    {
        Self(Box::new(move |cx, deployment, request| Box::pin(f(cx, deployment, request))))
    }
}

impl fmt::Debug for FnGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnGate(…)")
    }
}

#[async_trait]
impl Gate for FnGate {
    async fn check(
        &self,
        cx: Context,
        deployment: DeploymentId,
        request: DeploymentRequest,
    ) -> Result<GateDecision, GateError> {
        (self.0)(cx, deployment, request).await
    }
}
