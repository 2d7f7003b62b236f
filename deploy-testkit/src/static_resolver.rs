//! A resolver that knows its hosts by heart.

use std::collections::HashMap;

use async_trait::async_trait;
use deploy_core::model::{BusinessName, ProjectName, Target};
use deploy_core::{AgentResolver, Context, ResolveError};

/// A resolver that knows its hosts by heart.
///
/// ```
/// use deploy_testkit::{StaticResolver, samples};
///
/// // Every project of every business goes to the same three hosts.
/// let resolver = StaticResolver::new(samples::fleet(3));
/// ```
#[derive(Clone, Debug, Default)]
pub struct StaticResolver {
    everywhere: Option<Vec<Target>>,
    projects: HashMap<(BusinessName, ProjectName), Vec<Target>>,
}

impl StaticResolver {
    /// Gives every project the same hosts.
    #[must_use]
    pub fn new(hosts: Vec<Target>) -> Self {
        Self { everywhere: Some(hosts), projects: HashMap::new() }
    }

    /// Knows no project.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Gives a project hosts of its own.
    #[must_use]
    pub fn with_project(
        mut self,
        business: BusinessName,
        project: ProjectName,
        hosts: Vec<Target>,
    ) -> Self {
        self.projects.insert((business, project), hosts);
        self
    }
}

#[async_trait]
impl AgentResolver for StaticResolver {
    async fn resolve(
        &self,
        _cx: Context,
        business: BusinessName,
        project: ProjectName,
    ) -> Result<Vec<Target>, ResolveError> {
        let key = (business, project);
        let hosts = self.projects.get(&key).or(self.everywhere.as_ref()).cloned();
        let (business, project) = key;
        match hosts {
            None => Err(ResolveError::Unknown { business, project }),
            Some(hosts) if hosts.is_empty() => Err(ResolveError::NoHosts { business, project }),
            Some(hosts) => Ok(hosts),
        }
    }
}
