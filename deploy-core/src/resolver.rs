//! From business and project to hosts and the way to each.

mod cached;
mod chain;

pub use cached::CachedResolver;
pub use chain::ChainResolver;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;

use crate::context::Context;
use crate::document::Invalid;
use crate::failure::{Failure, FailureCode, Retry};
use crate::model::{BusinessName, ProjectName, Target};
use crate::parser::ParseError;

/// Resolves business and project to hosts, and each host to how it is reached.
///
/// # Contract
///
/// 1. Every host of the project is there, once. The order is the order in which a rollout does them.
/// 2. A project that is not known is `Unknown`; one without hosts is `NoHosts`. An empty list is
///    never given.
/// 3. Resolving changes nothing.
///
/// # Implementing
///
/// `resolver_conformance!` of deploy-testkit tests yours.
///
/// ```
/// use deploy_core::{FnResolver, ResolveError};
///
/// let resolver = FnResolver::new(|_cx, business, project| async move {
///     // Ask your inventory here.
///     Err(ResolveError::Unknown { business, project })
/// });
/// ```
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` does not resolve projects to hosts",
        note = "use `Inventory`, implement `deploy_core::AgentResolver`, or wrap a closure in `FnResolver::new`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
#[async_trait]
pub trait AgentResolver: fmt::Debug + Send + Sync + 'static {
    /// The hosts of a project.
    ///
    /// # Errors
    ///
    /// `Unknown`, `NoHosts`, `Unavailable`.
    async fn resolve(
        &self,
        cx: Context,
        business: BusinessName,
        project: ProjectName,
    ) -> Result<Vec<Target>, ResolveError>;
}

crate::wrappers::forward_async! {
    AgentResolver {
        async fn resolve(&self, cx: Context, business: BusinessName, project: ProjectName) -> Result<Vec<Target>, ResolveError>;
    }
}

/// Refuses a resolver's answer that is none: no hosts at all, or one twice.
pub(crate) fn fit(resolved: Vec<Target>) -> Result<Vec<Target>, Failure> {
    let unresolved = |message: String| Failure::new(FailureCode::Unresolved, message);
    if resolved.is_empty() {
        return Err(unresolved("the resolver gave no hosts".to_owned()));
    }
    let mut names = BTreeSet::new();
    match resolved.iter().find(|target| !names.insert(&target.host)) {
        Some(twice) => Err(unresolved(format!("the resolver gave the host {} twice", twice.host))),
        None => Ok(resolved),
    }
}

/// Why a project could not be resolved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Nobody knows the project.
    #[error("no project {project} of the business {business} is known")]
    Unknown {
        /// The business.
        business: BusinessName,
        /// The project.
        project: ProjectName,
    },
    /// The project has no hosts.
    #[error("the project {project} of the business {business} has no hosts")]
    NoHosts {
        /// The business.
        business: BusinessName,
        /// The project.
        project: ProjectName,
    },
    /// The inventory says something that is not allowed.
    #[error("the inventory is wrong")]
    Invalid {
        /// What.
        #[from]
        source: Invalid,
    },
    /// What the inventory answers is not a list of hosts.
    #[error("the inventory's answer is none")]
    Malformed {
        /// What is wrong with it: all faults at once.
        #[source]
        source: ParseError,
    },
    /// The inventory could not be asked.
    #[error("the inventory could not be asked")]
    Unavailable {
        /// What failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ResolveError {
    /// Whether the same question is worth asking again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Unknown { .. }
            | Self::NoHosts { .. }
            | Self::Invalid { .. }
            | Self::Malformed { .. } => Retry::Never,
            Self::Unavailable { .. } => Retry::After(Duration::from_secs(5)),
        }
    }
}

impl From<&ResolveError> for Failure {
    fn from(error: &ResolveError) -> Self {
        Self::of(FailureCode::Unresolved, error).with_retry(error.retry())
    }
}

/// What a [`FnResolver`]'s closure returns, boxed.
type Answer = Pin<Box<dyn Future<Output = Result<Vec<Target>, ResolveError>> + Send>>;

/// A resolver made of an async closure.
pub struct FnResolver(Box<dyn Fn(Context, BusinessName, ProjectName) -> Answer + Send + Sync>);

impl FnResolver {
    /// Calls `f` for every question.
    pub fn new<F, A>(f: F) -> Self
    where
        F: Fn(Context, BusinessName, ProjectName) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Vec<Target>, ResolveError>> + Send + 'static,
    {
        Self(Box::new(move |cx, business, project| Box::pin(f(cx, business, project))))
    }
}

impl fmt::Debug for FnResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnResolver(…)")
    }
}

#[async_trait]
impl AgentResolver for FnResolver {
    async fn resolve(
        &self,
        cx: Context,
        business: BusinessName,
        project: ProjectName,
    ) -> Result<Vec<Target>, ResolveError> {
        (self.0)(cx, business, project).await
    }
}
