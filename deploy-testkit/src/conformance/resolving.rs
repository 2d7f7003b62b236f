//! Cases of [`AgentResolver`], and what they ask it about.

#![allow(clippy::missing_panics_doc)]

use std::sync::Arc;

use deploy_core::model::{BusinessName, HostName, ProjectName, Target};
use deploy_core::{AgentResolver, Context, ResolveError};

use crate::samples;

/// A resolver, and a project that it knows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolverBench {
    /// The resolver.
    pub resolver: Arc<dyn AgentResolver>,
    /// The business of the project.
    pub business: BusinessName,
    /// The project.
    pub project: ProjectName,
    /// Its hosts, in the order in which a rollout does them.
    pub hosts: Vec<HostName>,
}

impl ResolverBench {
    /// Sets up a resolver, a project that it knows, and the hosts that the project has.
    #[must_use]
    pub fn new(
        resolver: impl AgentResolver,
        business: BusinessName,
        project: ProjectName,
        hosts: Vec<HostName>,
    ) -> Self {
        Self { resolver: Arc::new(resolver), business, project, hosts }
    }

    async fn ask(
        &self,
        business: &BusinessName,
        project: &ProjectName,
    ) -> Result<Vec<Target>, ResolveError> {
        let cx = Context::new(samples::task_id("task-1"));
        self.resolver.resolve(cx, business.clone(), project.clone()).await
    }

    async fn known(&self) -> Vec<Target> {
        let known = self.ask(&self.business, &self.project).await;
        known.expect("the project of the bench is known")
    }

    /// Asks for a project that nobody has.
    async fn is_unknown(&self, business: &BusinessName, project: &ProjectName) {
        match self.ask(business, project).await {
            Err(ResolveError::Unknown { business: b, project: p }) => {
                assert_eq!((&b, &p), (business, project), "it names another project");
            }
            other => panic!("{business}/{project} is not known: {other:?}"),
        }
    }
}

/// Clause 1: every host is there, once, in its order.
pub async fn every_host_of_a_project_is_there_once_in_its_order(bench: ResolverBench) {
    let hosts: Vec<_> = bench.known().await.into_iter().map(|target| target.host).collect();
    assert_eq!(hosts, bench.hosts);
}

/// Clause 2: a project that is not known is `Unknown`, also one of a business that is.
pub async fn a_project_that_is_not_known_is_unknown(bench: ResolverBench) {
    bench.is_unknown(&bench.business, &samples::project("no-such-project")).await;
}

/// Clause 2: the project of another business is another project.
pub async fn a_project_of_another_business_is_unknown(bench: ResolverBench) {
    let business = BusinessName::new("no-such-business").expect("the name is valid");
    bench.is_unknown(&business, &bench.project).await;
}

/// Clause 3: asking changes nothing.
pub async fn asking_changes_nothing(bench: ResolverBench) {
    let first = bench.known().await;
    bench.is_unknown(&bench.business, &samples::project("no-such-project")).await;
    assert_eq!(bench.known().await, first);
}
