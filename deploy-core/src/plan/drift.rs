//! What has changed since a plan was made.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Plan, PlannedHost};
use crate::model::{HostFound, HostName, Timestamp};

/// A thing that is not as it was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Drift {
    /// Which, by the path of the plan's field, such as `hosts.web-1.current`.
    pub path: String,
    /// What was planned with.
    pub planned: String,
    /// What is there now.
    pub found: String,
}

impl Drift {
    pub(crate) fn new(
        path: impl Into<String>,
        planned: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), planned: planned.into(), found: found.into() }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} now, planned with {}", self.path, self.found, self.planned)
    }
}

impl Plan {
    /// What keeps the plan from being applied at a time, whatever the world is like.
    pub(crate) fn stale(&self, now: Timestamp) -> Option<Drift> {
        let planned = format!("{} to {}", self.made_at, self.valid_until);
        let fresh = self.made_at <= now && now <= self.valid_until;
        (!fresh).then(|| Drift::new("valid_until", planned, now.to_string()))
    }

    /// What has changed between this plan and the one that would be made now: everything at once.
    pub(crate) fn drifts(&self, now: &Self) -> Vec<Drift> {
        let mut drifts = Vec::new();
        let mut differ = |path: String, planned: String, found: String| {
            if planned != found {
                drifts.push(Drift::new(path, planned, found));
            }
        };
        let digest = |plan: &Self| match &plan.package {
            Some(package) => format!("SHA-256 {}, {} bytes", package.sha256, package.size),
            None => "none".to_owned(),
        };
        differ("package".to_owned(), digest(self), digest(now));
        for planned in &self.hosts {
            let name = &planned.target.host;
            let path = |field: &str| format!("hosts.{name}{field}");
            match now.host(name) {
                None => differ(path(""), "a host of the project".into(), "none any more".into()),
                Some(found) => {
                    for (field, look) in LOOKS {
                        differ(path(field), look(planned), look(found));
                    }
                }
            }
        }
        for host in now.hosts.iter().filter(|host| self.host(&host.target.host).is_none()) {
            let path = format!("hosts.{}", host.target.host);
            differ(path, "no host of the project".to_owned(), "one".to_owned());
        }
        if self.batches != now.batches {
            differ("batches".to_owned(), batches(&self.batches), batches(&now.batches));
        }
        drifts
    }
}

/// Tells something of a host in words.
type Look = fn(&PlannedHost) -> String;

/// What of a host has to be as it was, by the name of the field.
const LOOKS: [(&str, Look); 4] = [
    (".endpoint", |host| host.target.endpoint.to_string()),
    (".root", |host| host.target.root.to_string()),
    (".current", |host| match &host.found {
        Some(HostFound { current: Some(release), .. }) => format!("release {release}"),
        Some(_) => "no release".to_owned(),
        None => "out of reach".to_owned(),
    }),
    (".releases", |host| {
        let found = host.found.iter().flat_map(|found| &found.releases);
        let named = found.map(|known| format!("{} ({})", known.release, known.state.as_str()));
        match named.collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "none".to_owned(),
            some => some,
        }
    }),
];

/// Batches in a line.
fn batches(batches: &[Vec<HostName>]) -> String {
    let batch =
        |hosts: &Vec<HostName>| hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join(" ");
    batches.iter().map(batch).collect::<Vec<_>>().join(" | ")
}
