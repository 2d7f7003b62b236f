//! The monitoring address of a project, and what it must answer before a host counts as healthy.

mod json_check;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use json_check::JsonChecks;
pub use json_check::{JsonCheck, JsonScalar};

use super::{HostAddress, HostName, span};
use crate::document::{Decode, Invalid, Node, Value, decode_text, deserialize_by_decode};

/// The monitoring address and when a host counts as healthy.
///
/// The address is a template: `{host.address}` and `{host.name}` stand for the host's. It is probed
/// every `interval`, until it answered as expected `successes` times in a row over at least
/// `stable_for`, or `deadline` has passed: from the node that installs the release, or from the host
/// itself, as [`from`](Self::from) says.
///
/// An http or https address is asked and its answer looked at; a `tcp://{host.address}:8080` must take
/// a connection, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Monitor {
    url: MonitorUrl,
    /// Where it is asked from: the node by default. Left out of what is sent when it is, so that older
    /// agents understand it.
    #[serde(skip_serializing_if = "ProbedFrom::is_node")]
    pub from: ProbedFrom,
    /// The HTTP status that counts as healthy. 200 to 299 by default, because a redirect to a log-in
    /// page is not health.
    pub status: StatusRange,
    /// A text that the body must contain, within its first 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// What must stand in the body, which is JSON then and no longer than 64 KiB.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub json: Vec<JsonCheck>,
    /// How many healthy answers in a row are needed: 1 by default.
    pub successes: u32,
    /// How long the answers must stay healthy: not at all by default.
    #[serde(serialize_with = "span::serialize")]
    pub stable_for: Duration,
    /// The pause between two probes: 1 s by default, which a small service does not notice.
    #[serde(serialize_with = "span::serialize")]
    pub interval: Duration,
    /// How long one probe may take: 5 s by default.
    #[serde(serialize_with = "span::serialize")]
    pub timeout: Duration,
    /// When to give up: 60 s by default, which gives a service of ordinary size time to start.
    #[serde(serialize_with = "span::serialize")]
    pub deadline: Duration,
}

impl Monitor {
    /// Takes a template of an address, with the defaults for all else.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it gives no http, https or tcp address, or names an unknown placeholder.
    pub fn new(url: &str) -> Result<Self, Invalid> {
        Ok(Self::with_defaults(url.parse()?))
    }

    fn with_defaults(url: MonitorUrl) -> Self {
        Self {
            url,
            from: ProbedFrom::Node,
            status: StatusRange::SUCCESS,
            contains: None,
            json: Vec::new(),
            successes: 1,
            stable_for: Duration::ZERO,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(60),
        }
    }

    /// Sets where it is asked from.
    #[must_use]
    pub fn with_from(mut self, from: ProbedFrom) -> Self {
        self.from = from;
        self
    }

    /// Sets the HTTP status that counts as healthy.
    #[must_use]
    pub fn with_status(mut self, status: StatusRange) -> Self {
        self.status = status;
        self
    }

    /// Sets a text that the body must contain.
    #[must_use]
    pub fn with_contains(mut self, text: impl Into<String>) -> Self {
        self.contains = Some(text.into());
        self
    }

    /// Sets how long one probe may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how many healthy answers in a row are needed, and over how long.
    #[must_use]
    pub fn with_successes(mut self, successes: u32, stable_for: Duration) -> Self {
        self.successes = successes;
        self.stable_for = stable_for;
        self
    }

    /// Sets the pause between two probes, and when to give up.
    #[must_use]
    pub fn with_timing(mut self, interval: Duration, deadline: Duration) -> Self {
        self.interval = interval;
        self.deadline = deadline;
        self
    }

    /// Adds what must stand in the body, which is JSON.
    #[must_use]
    pub fn with_json(mut self, check: JsonCheck) -> Self {
        self.json.push(check);
        self
    }

    /// Says whether the address has only to take a connection.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        self.template().starts_with(MonitorUrl::TCP)
    }

    /// The template of the address, as it was given.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.url.0
    }

    /// The address for one host.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the host's name or address gives no valid URL in the template's place.
    pub fn url_for(&self, name: &HostName, address: &HostAddress) -> Result<Url, Invalid> {
        self.url.fill(name.as_str(), address.as_str())
    }
}

impl Decode for Monitor {
    fn decode(node: &Node<'_>) -> Option<Self> {
        if matches!(node.value(), Value::Text(_)) {
            return decode_text(node).map(Self::with_defaults);
        }
        let mut table = node.table()?;
        let url: Option<MonitorUrl> = table.required("url");
        let default = Self::with_defaults(MonitorUrl(String::new()));
        if url.as_ref().is_some_and(|url| url.0.starts_with(MonitorUrl::TCP)) {
            for key in ["contains", "json"] {
                if table.node(key).is_some() {
                    table.fault(key, "something", "nothing: a tcp address gives no answer");
                }
            }
        }
        let from = table.or("from", default.from);
        let status = table.or("status", default.status);
        let contains = table.optional("contains");
        let json = table.or("json", JsonChecks(default.json));
        let successes = table.or("successes", default.successes);
        let stable_for = table.or("stable_for", default.stable_for);
        let interval = table.or("interval", default.interval);
        let timeout = table.or("timeout", default.timeout);
        let deadline = table.or("deadline", default.deadline);
        if successes == Some(0) {
            table.fault("successes", "the number 0", "at least 1");
        }
        for (key, value) in [("timeout", timeout), ("deadline", deadline), ("interval", interval)] {
            if value == Some(Duration::ZERO) {
                table.fault(key, "no time at all", "more than \"0s\"");
            }
        }
        if let (Some(stable_for), Some(deadline)) = (stable_for, deadline)
            && stable_for >= deadline
        {
            let allowed = format!("less than the deadline of {}", span::format(deadline));
            table.fault("stable_for", span::format(stable_for), allowed);
        }
        table.finish();
        Some(Self {
            url: url?,
            from: from?,
            status: status?,
            contains: contains?,
            json: json?.0,
            successes: successes?,
            stable_for: stable_for?,
            interval: interval?,
            timeout: timeout?,
            deadline: deadline?,
        })
    }
}

deserialize_by_decode!(Monitor, ProbedFrom);

/// Where a monitoring address is asked from, written as `"node"` or `"host"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProbedFrom {
    /// The node that the host is reached from.
    #[default]
    Node,
    /// The host itself, by a command: what listens on its loopback alone can be asked so. It needs curl,
    /// wget or busybox there; for a tcp address bash, nc or busybox. The address stands in its list of
    /// processes meanwhile.
    Host,
}

impl ProbedFrom {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_node(&self) -> bool {
        *self == Self::Node
    }
}

impl Decode for ProbedFrom {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.value() {
            Value::Text(text) if text == "node" => Some(Self::Node),
            Value::Text(text) if text == "host" => Some(Self::Host),
            _ => node.refuse("\"node\" or \"host\""),
        }
    }
}

/// A template of an http, https or tcp address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
struct MonitorUrl(String);

impl MonitorUrl {
    const TCP: &str = "tcp://";

    fn fill(&self, name: &str, address: &str) -> Result<Url, Invalid> {
        const ALLOWED: &str = "an http or https URL without credentials, or tcp:// with a host and a port; {host.address} and {host.name} are filled in";
        // An IPv6 address stands in brackets in a URL.
        let address =
            if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
        let filled = self.0.replace("{host.address}", &address).replace("{host.name}", name);
        let invalid = || Invalid::new(self.0.split(['?', '@']).next().unwrap_or(""), ALLOWED);
        if filled.contains(['{', '}']) {
            return Err(invalid());
        }
        let url = Url::parse(&filled).map_err(|_| invalid())?;
        let clean = url.username().is_empty() && url.password().is_none();
        if matches!(url.scheme(), "http" | "https") && url.has_host() && clean {
            return Ok(url);
        }
        let bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if filled.starts_with(Self::TCP) && url.has_host() && url.port().is_some() && clean && bare
        {
            return Ok(url);
        }
        Err(invalid())
    }
}

impl FromStr for MonitorUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let template = Self(text.to_owned());
        template.fill("host", "192.0.2.1")?;
        Ok(template)
    }
}

impl Decode for MonitorUrl {
    fn decode(node: &Node<'_>) -> Option<Self> {
        decode_text(node)
    }
}

/// A range of HTTP statuses, both ends included, written as `200` or `200-299`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    first: u16,
    last: u16,
}

impl StatusRange {
    /// 200 to 299.
    pub const SUCCESS: Self = Self { first: 200, last: 299 };

    /// Says whether a status lies in the range.
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for StatusRange {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| text.parse().ok().filter(|s| (100..=599).contains(s));
        match (status(first), status(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(Invalid::new(text, "an HTTP status or a range of them: \"200\", \"200-299\"")),
        }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Decode for StatusRange {
    fn decode(node: &Node<'_>) -> Option<Self> {
        if let Value::Integer(status) = node.value() {
            return status.to_string().parse().map_or_else(|i| node.invalid(i), Some);
        }
        decode_text(node)
    }
}

deserialize_by_decode!(StatusRange);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_filled_in_for_each_host() {
        let monitor = Monitor::new("http://{host.address}:8080/{host.name}").unwrap();
        let name = HostName::new("web-1").unwrap();
        let url = |address: &str| monitor.url_for(&name, &HostAddress::new(address).unwrap());
        assert_eq!(url("10.0.0.1").unwrap().as_str(), "http://10.0.0.1:8080/web-1");
        assert_eq!(url("::1").unwrap().as_str(), "http://[::1]:8080/web-1");
    }

    #[test]
    fn where_it_is_asked_from_is_written_when_it_is_not_the_node() {
        let host = Monitor::new("http://h/").unwrap().with_from(ProbedFrom::Host);
        let text = serde_json::to_string(&host).unwrap();
        assert!(text.contains(r#""from":"host""#), "{text}");
        assert_eq!(serde_json::from_str::<Monitor>(&text).unwrap(), host);
        let node: Monitor =
            serde_json::from_str(r#"{"url": "http://h/", "from": "node"}"#).unwrap();
        assert!(!serde_json::to_string(&node).unwrap().contains("from"));
        let bad = serde_json::from_str::<Monitor>(r#"{"url": "http://h/", "from": "moon"}"#);
        assert!(bad.unwrap_err().to_string().contains("\"node\" or \"host\""));
    }

    #[test]
    fn a_tcp_address_has_a_host_and_a_port() {
        let monitor = Monitor::new("tcp://{host.address}:8080").unwrap();
        assert!(monitor.is_tcp());
        let name = HostName::new("web-1").unwrap();
        let url = monitor.url_for(&name, &HostAddress::new("::1").unwrap()).unwrap();
        assert_eq!((url.as_str(), url.port()), ("tcp://[::1]:8080", Some(8080)));
    }

    #[test]
    fn what_cannot_be_checked_is_refused_with_all_faults() {
        let faults = |document: &str| -> Vec<String> {
            let read = crate::Format::Json.read::<Monitor>(document.as_bytes());
            let error = read.unwrap_err();
            error.faults().unwrap().as_slice().iter().map(|fault| fault.path.clone()).collect()
        };
        let tcp =
            r#"{"url": "tcp://h:80", "contains": "x", "json": {"pointer": "/a", "equals": 1}}"#;
        assert_eq!(faults(tcp), ["contains", "json"]);
        let json =
            r#"{"url": "http://h/", "json": [{"pointer": "a", "equals": 1.5}, {"equals": "x"}]}"#;
        assert_eq!(faults(json), ["json[0].equals", "json[0].pointer", "json[1].pointer"]);
    }

    #[test]
    fn templates_that_give_no_address_are_refused() {
        for bad in [
            "",
            "{host.ip}",
            "http://{host.ip}/",
            "ftp://{host.address}/",
            "http://u:p@h/",
            "tcp://{host.address}",
            "tcp://:80",
            "tcp://u@h:80",
            "tcp://h:80/x",
            "tcp://h:80?x",
            "TCP://h",
        ] {
            assert!(Monitor::new(bad).is_err(), "{bad}");
        }
    }
}
