//! A host as the inventory knows it for a project: where it is and how it is reached.

use serde::Serialize;

use super::{AgentName, Endpoint, HostAddress, HostName, HostPath, Tag, ZoneName};
use crate::document::{Decode, Node, deserialize_by_decode};

/// A host that gets the release of a project, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Target {
    /// The name of the host.
    pub host: HostName,
    /// Its address.
    pub address: HostAddress,
    /// How it is reached: an agent's API, or the host itself.
    pub endpoint: Endpoint,
    /// The agent that manages it, when one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The zone that it is in, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
    /// Its tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Where the project's releases live on the host.
    pub root: HostPath,
}

impl Target {
    /// Names a host, its address, how it is reached, and where the project lives on it.
    #[must_use]
    pub fn new(host: HostName, address: HostAddress, endpoint: Endpoint, root: HostPath) -> Self {
        Self { host, address, endpoint, agent: None, zone: None, tags: Vec::new(), root }
    }

    /// Sets the agent that manages the host.
    #[must_use]
    pub fn with_agent(mut self, agent: AgentName) -> Self {
        self.agent = Some(agent);
        self
    }

    /// Sets the zone that the host is in.
    #[must_use]
    pub fn with_zone(mut self, zone: ZoneName) -> Self {
        self.zone = Some(zone);
        self
    }

    /// Sets the tags.
    #[must_use]
    pub fn with_tags(mut self, tags: Vec<Tag>) -> Self {
        self.tags = tags;
        self
    }
}

impl Decode for Target {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let host = table.required("host");
        let address = table.required("address");
        let endpoint = table.required("endpoint");
        let agent = table.optional("agent");
        let zone = table.optional("zone");
        let tags = table.or("tags", Vec::new());
        let root = table.required("root");
        table.finish();
        Some(Self {
            host: host?,
            address: address?,
            endpoint: endpoint?,
            agent: agent?,
            zone: zone?,
            tags: tags?,
            root: root?,
        })
    }
}

deserialize_by_decode!(Target);
