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
//! root = "/srv/checkout-api"              # "{host.name}" in it stands for the host's name
//!
//! [ssh]                                   # for hosts with an endpoint = "ssh://user@host:port"
//! user = "deploy"
//! identity = "keys/deploy"                # one or a list, as known_hosts and jump
//! known_hosts = "known_hosts"
//! jump = "ssh://gate.example.org:2022"
//! sudo = "root"
//! ```

mod entry;
mod pattern;
mod root;
mod ssh;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

pub use entry::{Agent, Cloud, Host, Project};
pub use pattern::HostPattern;
pub use root::RootTemplate;
pub use ssh::{SshSecrets, SshSettings};

use crate::context::Context;
use crate::document::{Decode, Fault, Faults, Node, Table};
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
    ssh: Option<SshSettings>,
    /// The directory that token files are relative to.
    directory: PathBuf,
}

impl Inventory {
    /// Reads an inventory from a document. Files that it names are relative to the present directory.
    ///
    /// # Errors
    ///
    /// [`ParseError`] with all faults at once, also those that span several entries, where these have
    /// none of their own.
    pub fn parse(format: Format, document: &[u8]) -> Result<Self, ParseError> {
        format.read(document)
    }

    /// Reads an inventory from a file, whose ending names its format. Files that it names are
    /// relative to its directory.
    ///
    /// # Errors
    ///
    /// [`InventoryError`] when the file cannot be read, is of no known format, or not an inventory.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, InventoryError> {
        let path = path.as_ref();
        let of = |path: &Path| path.display().to_string();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let format = Format::of_file(name)
            .ok_or_else(|| InventoryError::UnknownFormat { path: of(path) })?;
        let document = std::fs::read(path)
            .map_err(|source| InventoryError::Unreadable { path: of(path), source })?;
        let mut inventory = Self::parse(format, &document)
            .map_err(|source| InventoryError::Invalid { path: of(path), source })?;
        inventory.directory = path.parent().unwrap_or(Path::new("")).to_owned();
        if let Some(ssh) = &mut inventory.ssh {
            ssh.relative_to(&inventory.directory);
        }
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

    /// How hosts are reached over SSH, when the inventory says it.
    #[must_use]
    pub fn ssh(&self) -> Option<&SshSettings> {
        self.ssh.as_ref()
    }

    /// Reads the token files: the token of each agent that has one, by its endpoint. White space at
    /// the ends is not part of a token.
    ///
    /// # Errors
    ///
    /// [`InventoryError::Tokens`] with every file that cannot be read or is empty.
    pub fn tokens(&self) -> Result<Vec<(Endpoint, Secret)>, InventoryError> {
        let mut tokens = Vec::new();
        let mut faults = Faults::default();
        for (index, agent) in self.agents.iter().enumerate() {
            let Some(file) = &agent.token_file else {
                continue;
            };
            let path = self.directory.join(file);
            let mut fault = |what: &dyn fmt::Display| {
                let found = format!("{}: {what}", path.display());
                let field = format!("agent[{index}].token_file");
                faults.push(Fault::new(field, found, "a file that holds the agent's token"));
            };
            match std::fs::read_to_string(&path) {
                Ok(token) if token.trim().is_empty() => fault(&"it is empty"),
                Ok(token) => tokens.push((agent.endpoint.clone(), Secret::new(token.trim()))),
                Err(error) => fault(&error),
            }
        }
        if faults.is_empty() { Ok(tokens) } else { Err(InventoryError::Tokens(faults)) }
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
                project.root.for_host(&host.name),
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

    /// Finds what does not fit together among the agents.
    fn check_agents(&self, table: &Table<'_>) {
        let mut names = BTreeMap::new();
        for (index, agent) in self.agents.iter().enumerate() {
            if let Some(first) = names.insert(agent.name.as_str(), index) {
                let allowed = format!("a name of its own: agent[{first}] has this one");
                table.fault(&format!("agent[{index}].name"), format!("{:?}", agent.name), allowed);
            }
        }
    }

    /// Finds what does not fit together among the hosts and, where those are known, their agents.
    fn check_hosts(&self, table: &Table<'_>, agents: Option<&[Agent]>) {
        let mut names = BTreeMap::new();
        for (index, host) in self.hosts.iter().enumerate() {
            if let Some(first) = names.insert(host.name.as_str(), index) {
                let allowed = format!("a name of its own: host[{first}] has this one");
                table.fault(&format!("host[{index}].name"), format!("{:?}", host.name), allowed);
            }
            if let (Some(agent), Some(agents)) = (&host.agent, agents)
                && !agents.iter().any(|known| known.name == *agent)
            {
                let known: Vec<_> = agents.iter().map(|a| a.name.as_str()).collect();
                let allowed = match known.as_slice() {
                    [] => "an agent of this inventory, which has none".to_owned(),
                    known => format!("an agent of this inventory: {}", known.join(", ")),
                };
                table.fault(&format!("host[{index}].agent"), format!("{agent:?}"), allowed);
            }
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
            let same_root = |host: &&Host| {
                hosts.contains(&&host.name)
                    && other.root.for_host(&host.name) == project.root.for_host(&host.name)
            };
            if other.business == project.business && other.name == project.name {
                let allowed = format!("another project than project[{first}]");
                table.fault(
                    &format!("project[{index}].name"),
                    format!("{:?}", project.name),
                    allowed,
                );
            } else if self.hosts_of(other).iter().any(same_root) {
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
        let ssh = table.optional("ssh");
        let whole = (agents.is_some(), hosts.is_some(), projects.is_some());
        let inventory = Self {
            agents: agents.unwrap_or_default(),
            hosts: hosts.unwrap_or_default(),
            projects: projects.unwrap_or_default(),
            ssh: ssh.clone().flatten(),
            directory: PathBuf::new(),
        };
        // What has faults of its own is not there, so nothing is held against it.
        if whole.0 {
            inventory.check_agents(&table);
        }
        if whole.1 {
            inventory.check_hosts(&table, whole.0.then_some(&inventory.agents));
        }
        if whole.1 && whole.2 {
            for (index, project) in inventory.projects.iter().enumerate() {
                inventory.check_project(&table, index, project);
            }
        }
        table.finish();
        (whole == (true, true, true) && ssh.is_some()).then_some(inventory)
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
    /// Token files cannot be used: all that cannot.
    #[error("{0}")]
    Tokens(Faults),
}

impl InventoryError {
    /// Whether the same files are worth reading again: never as they are.
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
    fn all_token_files_that_cannot_be_used_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let agent = |name: &str| {
            format!(
                r#"{{"name": "{name}", "endpoint": "http://{name}", "token_file": "{name}.token"}}"#
            )
        };
        let agents = ["east", "west", "north"].map(agent).join(", ");
        let file = directory.path().join("inventory.json");
        std::fs::write(&file, format!(r#"{{"agent": [{agents}]}}"#)).unwrap();
        let inventory = Inventory::load(&file).unwrap();
        std::fs::write(directory.path().join("north.token"), "0123456789abcdef\n").unwrap();
        std::fs::write(directory.path().join("west.token"), " \n").unwrap();
        let InventoryError::Tokens(faults) = inventory.tokens().unwrap_err() else {
            panic!("they are told apart from other errors");
        };
        let found: Vec<_> = faults.as_slice().iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("agent[0].token_file: found "), "{found:?}");
        assert!(found[0].contains("east.token: No such file"), "{found:?}");
        assert!(found[1].contains("west.token: it is empty, allowed is a file"), "{found:?}");
        for name in ["east", "west"] {
            std::fs::write(directory.path().join(format!("{name}.token")), "abc").unwrap();
        }
        let tokens = inventory.tokens().unwrap();
        assert_eq!(tokens[2].1.expose(), "0123456789abcdef");
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
        let zones: Vec<_> =
            targets.iter().map(|t| t.zone.as_ref().map(crate::model::ZoneName::as_str)).collect();
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
                {"business": "b", "name": "p", "root": "srv/p", "hosts": ["zz-*"]}
            ], "ssh": {"usr": "x"}}"#,
        )
        .unwrap_err();
        let paths: Vec<_> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
        assert_eq!(paths, ["project[0].root", "ssh.usr", "host[0].agent", "host[1].name"]);
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

    #[test]
    fn a_root_may_hold_the_name_of_the_host_and_stays_the_project_s_own() {
        let projects = |first: &str, second: &str| {
            let project = |name: &str, root: &str| {
                format!(
                    r#"{{"business": "payments", "name": "{name}", "hosts": "*", "root": "{root}"}}"#
                )
            };
            let (first, second) = (project("api", first), project("web", second));
            parse(&format!(r#"{{{HOSTS}, "project": [{first}, {second}]}}"#))
        };
        let inventory = projects("/srv/{host.name}/api", "/srv/{host.name}/web").unwrap();
        let api = (BusinessName::new("payments").unwrap(), ProjectName::new("api").unwrap());
        let targets = inventory.targets(&api.0, &api.1).unwrap();
        let roots: Vec<_> = targets.iter().map(|target| target.root.as_str()).collect();
        assert_eq!(roots, ["/srv/db-1/api", "/srv/web-1/api", "/srv/web-2/api"]);
        // On web-1 alone these are the same.
        let faults = projects("/srv/{host.name}", "/srv/web-1").unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("project[1].root: "), "{faults:?}");
        let faults = projects("/srv/{host}", "/srv/{name}").unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("the placeholder {host.name} alone"), "{faults:?}");
    }

    #[test]
    fn ssh_settings_are_read_as_one_or_as_lists() {
        let ssh = |text: &str| parse(&format!(r#"{{"ssh": {text}}}"#)).unwrap().ssh().cloned();
        assert_eq!(parse("{}").unwrap().ssh(), None);
        assert_eq!(ssh("{}"), Some(SshSettings::default()));
        let found = ssh(r#"{"user": "deploy", "identity": "keys/a", "known_hosts": ["k1", "/k2"],
                "config": "ssh_config", "jump": "ssh://gate:2022", "sudo": "root",
                "passphrase_file": "p1", "password_file": "p2", "sudo_password_file": "p3"}"#)
        .unwrap();
        assert_eq!((found.user.as_deref(), found.sudo.as_deref()), (Some("deploy"), Some("root")));
        let other = ssh(r#"{"su": "app", "su_password_file": "p4"}"#).unwrap();
        assert_eq!(other.su.as_deref(), Some("app"));
        assert_eq!(other.su_password_file.as_deref(), Some(Path::new("p4")));
        assert_eq!(found.identities, [Path::new("keys/a")]);
        assert_eq!(found.known_hosts, [Path::new("k1"), Path::new("/k2")]);
        assert_eq!(found.jumps[0].to_string(), "ssh://gate:2022");
        let again = serde_json::from_str::<SshSettings>(&serde_json::to_string(&found).unwrap());
        assert_eq!(again.unwrap(), found);
    }

    #[test]
    fn every_fault_of_the_ssh_settings_is_found_at_once() {
        let faults = parse(
            r#"{"ssh": {"user": "-oProxyCommand=x", "identity": ["~/.ssh/id", 7],
                "known_hosts": [], "jump": ["http://gate", "ssh://a:hunter2@b", "ssh://g/x"],
                "sudo": "root; id", "password": "hunter2", "config": "", "passphrase_file": "p"}}"#,
        )
        .unwrap_err();
        let paths: Vec<_> = faults.iter().map(|fault| fault.split(':').next().unwrap()).collect();
        let expected = [
            "ssh.user",
            "ssh.identity[0]",
            "ssh.identity[1]",
            "ssh.known_hosts",
            "ssh.config",
            "ssh.jump[0]",
            "ssh.jump[1]",
            "ssh.jump[2]",
            "ssh.sudo",
            "ssh.password",
        ];
        assert_eq!(paths, expected, "{faults:#?}");
        let text = faults.join("\n");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("passphrase_file, password_file, "), "{text}");
        let faults = parse(r#"{"ssh": {"passphrase_file": "p", "sudo_password_file": "q"}}"#);
        let text = faults.unwrap_err().join("\n");
        assert!(
            text.contains("ssh.passphrase_file: found a file, allowed is none without"),
            "{text}"
        );
        assert!(text.contains("ssh.sudo_password_file: found a file"), "{text}");
        let faults = parse(r#"{"ssh": {"sudo": "a", "su": "b"}}"#).unwrap_err();
        assert_eq!(faults, ["ssh.su: found a user, allowed is none beside the key sudo"]);
        let faults = parse(r#"{"ssh": {"su": "a b", "su_password_file": ""}}"#).unwrap_err();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(parse(r#"{"ssh": {"su_password_file": "q"}}"#).is_err());
    }

    #[test]
    fn the_files_of_the_ssh_settings_are_relative_to_the_inventory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("inventory.json");
        let text = r#"{"ssh": {"identity": ["id", "/k/id"], "known_hosts": "known",
            "config": "c", "password_file": "secret"}}"#;
        std::fs::write(&path, text).unwrap();
        let inventory = Inventory::load(&path).unwrap();
        let ssh = inventory.ssh().unwrap();
        assert_eq!(ssh.identities, [directory.path().join("id"), PathBuf::from("/k/id")]);
        assert_eq!(ssh.known_hosts, [directory.path().join("known")]);
        assert_eq!(ssh.config.as_deref(), Some(&*directory.path().join("c")));

        let secret = |bytes: &str| {
            std::fs::write(directory.path().join("secret"), bytes).unwrap();
            ssh.secrets().map(|secrets| secrets.password.unwrap().expose().to_owned())
        };
        assert_eq!(secret(" with spaces \r\n").unwrap(), " with spaces ");
        assert_eq!(secret("a\n\n").unwrap(), "a\n");
        assert!(secret("\n").is_err());
        std::fs::remove_file(directory.path().join("secret")).unwrap();
        assert!(matches!(ssh.secrets(), Err(InventoryError::Unreadable { .. })));
    }
}
