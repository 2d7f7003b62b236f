//! Which deployments a rule is for: all, or those of some businesses and projects.

use crate::document::{Decode, Invalid, Node, Table};
use crate::model::{BusinessName, DeploymentRequest, ProjectName};

/// Which deployments a rule is for. One that names nothing is for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scope {
    businesses: Vec<BusinessName>,
    projects: Vec<ProjectPath>,
}

impl Scope {
    /// Reads the keys `businesses` and `projects` of a rule. An empty list would be a rule for
    /// nobody, or for everybody: it is refused.
    pub(super) fn decode(table: &mut Table<'_>) -> Option<Self> {
        let businesses = table.optional::<Vec<BusinessName>>("businesses");
        let projects = table.optional::<Vec<ProjectPath>>("projects");
        if businesses.as_ref().is_some_and(|list| list.as_ref().is_some_and(Vec::is_empty)) {
            table.fault("businesses", "a list of 0", "at least one, or no such key");
        }
        if projects.as_ref().is_some_and(|list| list.as_ref().is_some_and(Vec::is_empty)) {
            table.fault("projects", "a list of 0", "at least one, or no such key");
        }
        Some(Self {
            businesses: businesses?.unwrap_or_default(),
            projects: projects?.unwrap_or_default(),
        })
    }

    pub(super) fn covers(&self, request: &DeploymentRequest) -> bool {
        if self.businesses.is_empty() && self.projects.is_empty() {
            return true;
        }
        let same = |path: &ProjectPath| {
            path.business == request.business && path.project == request.project
        };
        self.businesses.contains(&request.business) || self.projects.iter().any(same)
    }
}

/// A project with its business, as `payments/checkout-api`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ProjectPath {
    business: BusinessName,
    project: ProjectName,
}

impl Decode for ProjectPath {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let text = node.text()?;
        let path = text.split_once('/').and_then(|(business, project)| {
            Some(Self { business: business.parse().ok()?, project: project.parse().ok()? })
        });
        let allowed = "a business and a project such as \"payments/checkout-api\"";
        path.map_or_else(|| node.invalid(Invalid::new(text, allowed)), Some)
    }
}
