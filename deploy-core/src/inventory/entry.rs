//! The entries of an inventory.

use serde::Serialize;

use super::{HostPattern, RootTemplate};
use crate::document::{Decode, Invalid, Node, Table, Value, deserialize_by_decode};
use crate::model::{
    AgentName, BusinessName, Endpoint, HostAddress, HostName, ProjectName, Tag, ZoneName,
};

/// Where an agent, and the hosts it manages, are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// In a private cloud. The default.
    #[default]
    Private,
    /// In a public cloud.
    Public,
}

impl Decode for Cloud {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Text(text) if text == "private" => Some(Self::Private),
            Value::Text(text) if text == "public" => Some(Self::Public),
            _ => node.refuse("\"private\" or \"public\""),
        }
    }
}

/// An agent node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Agent {
    /// Its name.
    pub name: AgentName,
    /// Where it is.
    pub cloud: Cloud,
    /// Its API, over http or https.
    pub endpoint: Endpoint,
    /// The file that holds the token for its API, relative to the inventory's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<String>,
}

impl Decode for Agent {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let name = table.required("name");
        let cloud = table.or("cloud", Cloud::default());
        let endpoint = table.required("endpoint").map(|AgentEndpoint(endpoint)| endpoint);
        let token_file = table.optional("token_file");
        table.finish();
        Some(Self { name: name?, cloud: cloud?, endpoint: endpoint?, token_file: token_file? })
    }
}

/// The endpoint of an agent's API.
struct AgentEndpoint(Endpoint);

impl Decode for AgentEndpoint {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.text()?.parse::<Endpoint>() {
            Ok(endpoint) if matches!(endpoint.scheme(), "http" | "https") => Some(Self(endpoint)),
            _ => node.refuse("a URL of the scheme http or https, such as \"https://agent:7443\""),
        }
    }
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Host {
    /// Its name.
    pub name: HostName,
    /// Its address.
    pub address: HostAddress,
    /// The agent that manages it. Either this or `endpoint` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// How it is reached without an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// The zone that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
    /// Its tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

impl Decode for Host {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let name = table.required("name");
        let address = table.required("address");
        let agent: Option<Option<AgentName>> = table.optional("agent");
        let endpoint: Option<Option<Endpoint>> = table.optional("endpoint");
        let zone = table.optional("zone");
        let tags = table.or("tags", Vec::new());
        table.finish();
        match (&agent, &endpoint) {
            (Some(Some(_)), Some(Some(_))) => {
                return refuse_way(node, "both agent and endpoint");
            }
            (Some(None), Some(None)) => {
                return refuse_way(node, "neither agent nor endpoint");
            }
            (_, Some(Some(endpoint))) if matches!(endpoint.scheme(), "http" | "https") => {
                return node.refuse("an agent for a host that is reached over http or https");
            }
            _ => {}
        }
        Some(Self {
            name: name?,
            address: address?,
            agent: agent?,
            endpoint: endpoint?,
            zone: zone?,
            tags: tags?,
        })
    }
}

/// Refuses a host that is not reached in one way.
fn refuse_way<T>(node: &Node<'_>, found: &str) -> Option<T> {
    node.invalid(Invalid { found: found.to_owned(), allowed: "one of the two".to_owned() })
}

/// A project, and where it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Project {
    /// The business that it belongs to.
    pub business: BusinessName,
    /// Its name.
    pub name: ProjectName,
    /// The hosts that it has. Written as one pattern or as a list.
    pub hosts: Vec<HostPattern>,
    /// Where its releases live on each host.
    pub root: RootTemplate,
}

impl Decode for Project {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let business = table.required("business");
        let name = table.required("name");
        let hosts = one_or_more(&mut table, "hosts");
        if matches!(hosts, Some(None)) {
            table.fault("hosts", "nothing", "a value: it is required");
        }
        let root = table.required("root");
        table.finish();
        Some(Self { business: business?, name: name?, hosts: hosts??, root: root? })
    }
}

/// Reads a key that holds a list, or the one item of it as a text.
pub(super) fn one_or_more<T: Decode>(
    table: &mut Table<'_>,
    key: &'static str,
) -> Option<Option<Vec<T>>> {
    match table.node(key) {
        None => Some(None),
        Some(node) if matches!(node.value(), Value::Text(_)) => {
            T::decode(&node).map(|item| Some(vec![item]))
        }
        Some(node) => Vec::decode(&node).map(Some),
    }
}

deserialize_by_decode!(Cloud, Agent, Host, Project);
