//! The answers of an inventory that is slow to ask, or not always there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex as AsyncMutex;

use super::{AgentResolver, ResolveError};
use crate::clock::{Clock, SystemClock};
use crate::context::Context;
use crate::model::{BusinessName, ProjectName, Target, Timestamp};

/// How many projects are remembered. Beyond that all are forgotten, and asked for anew.
const MOST: usize = 10_000;

/// Remembers a resolver's hosts for a time, and asks for each project once at a time.
///
/// Errors are not remembered. While the resolver is `Unavailable`, hosts that it gave before serve as
/// long as [`stale_for`](Self::stale_for) says, which is not at all by default: hosts that are gone by now
/// would count as failed, and new ones would be left out.
///
/// ```
/// # use deploy_core::{CachedResolver, FnResolver, ResolveError};
/// # use std::time::Duration;
/// # let cmdb = FnResolver::new(|_, business, project| async { Err(ResolveError::Unknown { business, project }) });
/// let resolver = CachedResolver::new(cmdb, Duration::from_secs(60));
/// ```
#[derive(Debug)]
pub struct CachedResolver {
    inner: Arc<dyn AgentResolver>,
    fresh_for: Duration,
    stale_for: Duration,
    clock: Arc<dyn Clock>,
    projects: Mutex<BTreeMap<(BusinessName, ProjectName), Place>>,
}

/// What is known of a project. Whoever asks for it holds the place, and the others wait for the answer.
type Place = Arc<AsyncMutex<Option<Known>>>;

/// The hosts of a project, and when they were asked for.
#[derive(Clone, Debug)]
struct Known {
    at: Timestamp,
    hosts: Vec<Target>,
}

impl CachedResolver {
    /// Remembers what `resolver` says for `fresh_for`.
    #[must_use]
    pub fn new(resolver: impl AgentResolver, fresh_for: Duration) -> Self {
        Self {
            inner: Arc::new(resolver),
            fresh_for,
            stale_for: Duration::ZERO,
            clock: Arc::new(SystemClock::new()),
            projects: Mutex::default(),
        }
    }

    /// Sets how old hosts may be that serve while the resolver is unavailable.
    #[must_use]
    pub fn stale_for(mut self, age: Duration) -> Self {
        self.stale_for = age;
        self
    }

    /// Sets what tells the time.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    fn place(&self, project: (BusinessName, ProjectName)) -> Place {
        let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        if projects.len() >= MOST && !projects.contains_key(&project) {
            projects.clear();
        }
        Arc::clone(projects.entry(project).or_default())
    }
}

impl Known {
    /// Says whether they were asked for within a time. A clock that was set back makes them old.
    fn is_younger_than(&self, age: Duration, now: Timestamp) -> bool {
        self.at <= now && now.since(self.at) < age
    }
}

#[async_trait]
impl AgentResolver for CachedResolver {
    async fn resolve(
        &self,
        cx: Context,
        business: BusinessName,
        project: ProjectName,
    ) -> Result<Vec<Target>, ResolveError> {
        let place = self.place((business.clone(), project.clone()));
        let mut place = place.lock().await;
        if let Some(known) = place.as_ref()
            && known.is_younger_than(self.fresh_for, self.clock.now())
        {
            return Ok(known.hosts.clone());
        }
        let answer = self.inner.resolve(cx, business, project).await;
        let now = self.clock.now();
        match (answer, place.as_ref()) {
            (Ok(hosts), _) => {
                *place = Some(Known { at: now, hosts: hosts.clone() });
                Ok(hosts)
            }
            (Err(ResolveError::Unavailable { source }), Some(known))
                if known.is_younger_than(self.stale_for, now) =>
            {
                tracing::warn!(target: "deploy", error = %source, since = %known.at, "the hosts known before are used");
                Ok(known.hosts.clone())
            }
            (Err(error @ ResolveError::Unavailable { .. }), _) => Err(error),
            (Err(error), _) => {
                *place = None;
                Err(error)
            }
        }
    }
}
