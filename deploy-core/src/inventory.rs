//! The inventory: agents, hosts and projects, read from a file.
//!
//! ```toml
//! [[agent]]
//! name = "east"
//! cloud = "private"                       # or "public"
//! endpoint = "http://127.0.0.1:7070"
//! token_file = "east.token"
//!
//! [[host]]
//! name = "web-1"
//! address = "10.0.1.11"
//! agent = "east"                          # or, without an agent: endpoint = "local:/srv/h1"
//! zone = "a"                              # hosts of one zone may fail at once
//! tags = ["web"]
//!
//! [[project]]
//! business = "payments"
//! name = "checkout-api"
//! hosts = ["web-*", "tag:web"]            # names, globs, tags
//! root = "/srv/checkout-api"
//! ```

mod entry;
mod pattern;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

pub use entry::{Agent, Cloud, Host, Project};
pub use pattern::HostPattern;

use crate::context::Context;
use crate::document::{Decode, Node, Table};
use crate::failure::Retry;
use crate::model::{AgentName, BusinessName, Endpoint, HostName, ProjectName, Target};
use crate::parser::{Format, ParseError};
use crate::resolver::{AgentResolver, ResolveError};
use crate::secret::Secret;

/// Agents, hosts and projects: an [`AgentResolver`] from a file.
///
/// What it holds fits together: every agent that a host names is there, every pattern of a project
/// matches a host, and no two projects share a root on a host.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Inventory {
    agents: Vec<Agent>,
    hosts: Vec<Host>,
    projects: Vec<Project>,
    /// The directory that token files are relative to.
    directory: PathBuf,
}

impl Inventory {
    /// Reads an inventory from a document. Token files are relative to the present directory.
    ///
    /// # Errors
    ///
    /// [`ParseError`] with all faults at once, also those that span several entries.
    pub fn parse(format: Format, document: &[u8]) -> Result<Self, ParseError> {
        format.read(document)
    }

    /// Reads an inventory from a file, whose ending names its format. Token files are relative to
    /// its directory.
    ///
    /// # Errors
    ///
    /// [`InventoryError`] when the file cannot be read, is of no known format, or not an inventory.
    pub fn load(path: &Path) -> Result<Self, InventoryError> {
        let of = |path: &Path| path.display().to_string();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let format = Format::of_file(name)
            .ok_or_else(|| InventoryError::UnknownFormat { path: of(path) })?;
        let document = std::fs::read(path)
            .map_err(|source| InventoryError::Unreadable { path: of(path), source })?;
        let mut inventory = Self::parse(format, &document)
            .map_err(|source| InventoryError::Invalid { path: of(path), source })?;
        inventory.directory = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(inventory)
    }

    /// The agents.
    #[must_use]
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// The hosts.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The projects.
    #[must_use]
    pub fn projects(&self) -> &[Project] {
        &self.projects
    }

    /// Reads the token files: the token of each agent that has one, by its endpoint. White space at
    /// the ends is not part of a token.
    ///
    /// # Errors
    ///
    /// [`InventoryError::Unreadable`] for the first file that cannot be read or is empty.
    pub fn tokens(&self) -> Result<Vec<(Endpoint, Secret)>, InventoryError> {
        let mut tokens = Vec::new();
        for agent in &self.agents {
            let Some(file) = &agent.token_file else {
                continue;
            };
            let path = self.directory.join(file);
            let unreadable =
                |source| InventoryError::Unreadable { path: path.display().to_string(), source };
            let token = std::fs::read_to_string(&path).map_err(unreadable)?;
            if token.trim().is_empty() {
                return Err(unreadable(io::Error::other("the token file is empty")));
            }
            tokens.push((agent.endpoint.clone(), Secret::new(token.trim())));
        }
        Ok(tokens)
    }

    /// The hosts of a project, in the order of its patterns and then of the inventory.
    #[must_use]
    pub fn targets(&self, business: &BusinessName, project: &ProjectName) -> Option<Vec<Target>> {
        let named = |p: &&Project| p.business == *business && p.name == *project;
        let project = self.projects.iter().find(named)?;
        let hosts = self.hosts_of(project);
        let target = |host: &&Host| {
            let agent = host.agent.as_ref().and_then(|name| self.agent(name));
            let endpoint = agent.map(|agent| &agent.endpoint).or(host.endpoint.as_ref())?.clone();
            let mut target = Target::new(
                host.name.clone(),
                host.address.clone(),
                endpoint,
                project.root.clone(),
            );
            target.agent.clone_from(&host.agent);
            target.zone.clone_from(&host.zone);
            Some(target.with_tags(host.tags.clone()))
        };
        Some(hosts.iter().filter_map(target).collect())
    }

    fn agent(&self, name: &AgentName) -> Option<&Agent> {
        self.agents.iter().find(|agent| agent.name == *name)
    }

    fn hosts_of(&self, project: &Project) -> Vec<&Host> {
        let mut found: Vec<&Host> = Vec::new();
        for pattern in &project.hosts {
            for host in &self.hosts {
                if pattern.matches(host) && !found.iter().any(|known| known.name == host.name) {
                    found.push(host);
                }
            }
        }
        found
    }

    /// Finds what does not fit together.
    fn check(&self, table: &Table<'_>) {
        let mut names = BTreeMap::new();
        for (index, agent) in self.agents.iter().enumerate() {
            if let Some(first) = names.insert(agent.name.as_str(), index) {
                let allowed = format!("a name of its own: agent[{first}] has this one");
                table.fault(&format!("agent[{index}].name"), format!("{:?}", agent.name), allowed);
            }
        }
        let mut names = BTreeMap::new();
        for (index, host) in self.hosts.iter().enumerate() {
            if let Some(first) = names.insert(host.name.as_str(), index) {
                let allowed = format!("a name of its own: host[{first}] has this one");
                table.fault(&format!("host[{index}].name"), format!("{:?}", host.name), allowed);
            }
            if let Some(agent) = &host.agent
                && self.agent(agent).is_none()
            {
                let known: Vec<_> = self.agents.iter().map(|a| a.name.as_str()).collect();
                let allowed = format!("an agent of this inventory: {}", known.join(", "));
                table.fault(&format!("host[{index}].agent"), format!("{agent:?}"), allowed);
            }
        }
        for (index, project) in self.projects.iter().enumerate() {
            self.check_project(table, index, project);
        }
    }

    fn check_project(&self, table: &Table<'_>, index: usize, project: &Project) {
        for (number, pattern) in project.hosts.iter().enumerate() {
            if !self.hosts.iter().any(|host| pattern.matches(host)) {
                let path = format!("project[{index}].hosts[{number}]");
                table.fault(&path, format!("{pattern:?}"), "a pattern that matches a host");
            }
        }
        let hosts: Vec<&HostName> = self.hosts_of(project).iter().map(|host| &host.name).collect();
        for (first, other) in self.projects[..index].iter().enumerate() {
            if other.business == project.business && other.name == project.name {
                let allowed = format!("another project than project[{first}]");
                table.fault(
                    &format!("project[{index}].name"),
                    format!("{:?}", project.name),
                    allowed,
                );
            } else if other.root == project.root
                && self.hosts_of(other).iter().any(|host| hosts.contains(&&host.name))
            {
                let allowed =
                    format!("a root of its own: project[{first}] has it on the same host");
                table.fault(
                    &format!("project[{index}].root"),
                    format!("{:?}", project.root),
                    allowed,
                );
            }
        }
    }
}

impl Decode for Inventory {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let agents = table.or("agent", Vec::new());
        let hosts = table.or("host", Vec::new());
        let projects = table.or("project", Vec::new());
        let inventory = match (agents, hosts, projects) {
            (Some(agents), Some(hosts), Some(projects)) => {
                Some(Self { agents, hosts, projects, directory: PathBuf::new() })
            }
            _ => None,
        };
        if let Some(inventory) = &inventory {
            inventory.check(&table);
        }
        table.finish();
        inventory
    }
}

#[async_trait]
impl AgentResolver for Inventory {
    async fn resolve(
        &self,
        _cx: Context,
        business: BusinessName,
        project: ProjectName,
    ) -> Result<Vec<Target>, ResolveError> {
        match self.targets(&business, &project) {
            None => Err(ResolveError::Unknown { business, project }),
            Some(targets) if targets.is_empty() => Err(ResolveError::NoHosts { business, project }),
            Some(targets) => Ok(targets),
        }
    }
}

/// Why an inventory file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// A file cannot be read.
    #[error("{path} could not be read")]
    Unreadable {
        /// The file.
        path: String,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// The ending of the file names no known format.
    #[error(
        "{path} has no ending of a known format: .json, .toml, .yaml or .yml, each where its feature is on"
    )]
    UnknownFormat {
        /// The file.
        path: String,
    },
    /// The file holds something else.
    #[error("{path} is not an inventory")]
    Invalid {
        /// The file.
        path: String,
        /// What is wrong with it: all faults at once.
        #[source]
        source: ParseError,
    },
}

impl InventoryError {
    /// Whether the same file is worth reading again: never as it is.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Inventory, Vec<String>> {
        Inventory::parse(Format::Json, text.as_bytes()).map_err(|error| {
            error.faults().unwrap().as_slice().iter().map(ToString::to_string).collect()
        })
    }

    fn names(inventory: &Inventory) -> Vec<String> {
        let business = BusinessName::new("payments").unwrap();
        let project = ProjectName::new("api").unwrap();
        let targets = inventory.targets(&business, &project).unwrap();
        targets.iter().map(|target| target.host.to_string()).collect()
    }

    const HOSTS: &str = r#""host": [
        {"name": "db-1", "address": "10.0.0.9", "endpoint": "local:/srv/db", "tags": ["db"]},
        {"name": "web-1", "address": "10.0.0.1", "agent": "east", "zone": "a", "tags": ["web"]},
        {"name": "web-2", "address": "10.0.0.2", "agent": "east", "tags": ["web", "canary"]}
    ], "agent": [{"name": "east", "cloud": "public", "endpoint": "http://127.0.0.1:7070"}]"#;

    #[test]
    fn names_globs_and_tags_select_hosts_once_in_their_order() {
        let project = |hosts: &str| {
            let root = r#""root": "/srv/api""#;
            parse(&format!(
                r#"{{{HOSTS}, "project": [{{"business": "payments", "name": "api", {root}, "hosts": {hosts}}}]}}"#
            ))
            .unwrap()
        };
        assert_eq!(names(&project(r#"["web-*"]"#)), ["web-1", "web-2"]);
        assert_eq!(
            names(&project(r#"["tag:canary", "web-?", "db-1"]"#)),
            ["web-2", "web-1", "db-1"]
        );
        assert_eq!(names(&project(r#""*""#)), ["db-1", "web-1", "web-2"]);
    }

    #[test]
    fn a_host_is_reached_through_its_agent_or_directly() {
        let inventory = parse(&format!(
            r#"{{{HOSTS}, "project": [{{"business": "b", "name": "p", "root": "/srv/p", "hosts": ["*"]}}]}}"#
        ))
        .unwrap();
        let name = |text: &str| (BusinessName::new("b").unwrap(), ProjectName::new(text).unwrap());
        let (business, project) = name("p");
        let targets = inventory.targets(&business, &project).unwrap();
        let schemes: Vec<_> = targets.iter().map(|target| target.endpoint.scheme()).collect();
        assert_eq!(schemes, ["local", "http", "http"]);
        let zones: Vec<_> = targets.iter().map(|t| t.zone.as_ref().map(|z| z.as_str())).collect();
        assert_eq!(zones, [None, Some("a"), None]);
        assert_eq!(inventory.targets(&business, &name("other").1), None);
    }

    #[test]
    fn what_does_not_fit_together_is_found_all_at_once() {
        let faults = parse(
            r#"{"host": [
                {"name": "a", "address": "10.0.0.1", "agent": "west"},
                {"name": "a", "address": "10.0.0.2", "endpoint": "local:/a"},
                {"name": "c", "address": "10.0.0.3"},
                {"name": "d", "address": "10.0.0.4", "endpoint": "local:/d", "tag": ["x"]}
            ], "project": [
                {"business": "b", "name": "p", "root": "/srv/p", "hosts": ["zz-*"]}
            ], "agents": []}"#,
        )
        .unwrap_err();
        let text = faults.join("\n");
        assert!(text.contains("host[2]: "), "{text}");
        assert!(text.contains("host[3].tag: found an unknown key"), "{text}");
        assert!(text.contains("did you mean \"tags\"?"), "{text}");
        assert!(text.contains("agents: found an unknown key"), "{text}");
        let faults = parse(
            r#"{"host": [
                {"name": "a", "address": "10.0.0.1", "agent": "west"},
                {"name": "a", "address": "10.0.0.2", "endpoint": "local:/a"}
            ], "project": [
                {"business": "b", "name": "p", "root": "/srv/p", "hosts": ["zz-*"]},
                {"business": "b", "name": "q", "root": "/srv/q", "hosts": ["a"]},
                {"business": "b", "name": "r", "root": "/srv/q", "hosts": ["*"]},
                {"business": "b", "name": "q", "root": "/srv/s", "hosts": ["*"]}
            ]}"#,
        )
        .unwrap_err();
        let paths: Vec<_> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
        let expected = [
            "host[0].agent",
            "host[1].name",
            "project[0].hosts[0]",
            "project[2].root",
            "project[3].name",
        ];
        assert_eq!(paths, expected, "{faults:#?}");
    }
}
