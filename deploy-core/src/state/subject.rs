//! What a task is about.

use serde::Serialize;

use crate::model::{BusinessName, DeploymentId, DeploymentRequest, ProjectName, ReleaseTask};

/// What a task is about: a deployment on a control node, a release task on an agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Subject {
    /// An accepted request.
    Deployment {
        /// The deployment's id.
        id: DeploymentId,
        /// The request.
        request: Box<DeploymentRequest>,
    },
    /// An accepted release task.
    Release {
        /// The task.
        task: Box<ReleaseTask>,
    },
}

impl Subject {
    /// The business.
    #[must_use]
    pub fn business(&self) -> &BusinessName {
        match self {
            Self::Deployment { request, .. } => &request.business,
            Self::Release { task } => &task.business,
        }
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &ProjectName {
        match self {
            Self::Deployment { request, .. } => &request.project,
            Self::Release { task } => &task.project,
        }
    }

    /// The deployment.
    #[must_use]
    pub fn deployment(&self) -> &DeploymentId {
        match self {
            Self::Deployment { id, .. } => id,
            Self::Release { task } => &task.deployment,
        }
    }
}
