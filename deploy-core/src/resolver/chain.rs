//! Several inventories, asked one after another.

use std::sync::Arc;

use async_trait::async_trait;

use super::{AgentResolver, ResolveError};
use crate::context::Context;
use crate::model::{BusinessName, ProjectName, Target};

/// Asks one resolver after another, and takes what the first says that knows the project.
///
/// Only a project that is `Unknown` is asked for further on. Whatever else goes wrong is the answer: who
/// comes later might know the same project with other hosts.
///
/// ```
/// # use deploy_core::{ChainResolver, FnResolver, ResolveError};
/// # let inventory = FnResolver::new(|_, business, project| async { Err(ResolveError::Unknown { business, project }) });
/// # let cmdb = FnResolver::new(|_, business, project| async { Err(ResolveError::Unknown { business, project }) });
/// let resolver = ChainResolver::new().with(inventory).with(cmdb);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ChainResolver(Vec<Arc<dyn AgentResolver>>);

impl ChainResolver {
    /// Knows no project yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a resolver, to be asked after those before it.
    #[must_use]
    pub fn with(mut self, resolver: impl AgentResolver) -> Self {
        self.0.push(Arc::new(resolver));
        self
    }
}

#[async_trait]
impl AgentResolver for ChainResolver {
    async fn resolve(
        &self,
        cx: Context,
        business: BusinessName,
        project: ProjectName,
    ) -> Result<Vec<Target>, ResolveError> {
        for resolver in &self.0 {
            match resolver.resolve(cx.clone(), business.clone(), project.clone()).await {
                Err(ResolveError::Unknown { .. }) => {}
                answer => return answer,
            }
        }
        Err(ResolveError::Unknown { business, project })
    }
}
