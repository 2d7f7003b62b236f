//! What people did to a deployment.

use deploy_core::model::{Actor, HostName, Timestamp};
use deploy_core::{Event, Fact};
use serde::{Deserialize, Serialize};

/// Something that a person did to a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Deed {
    pub(crate) at: Timestamp,
    /// What, by the name of its fact.
    pub(crate) what: String,
    pub(crate) who: String,
    pub(crate) why: String,
    /// The host that it is about, or the time, or what hosts go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<String>,
}

impl Deed {
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let (by, object) = match &event.fact {
            Fact::Paused { by }
            | Fact::Resumed { by, .. }
            | Fact::Promoted { by }
            | Fact::RollbackFiled { by } => (by, None),
            Fact::Retried { by, hosts } => {
                let hosts: Vec<_> = hosts.iter().map(HostName::as_str).collect();
                (by, Some(hosts.join(", ")))
            }
            Fact::Skipped { by, host } => (by, Some(host.to_string())),
            Fact::Extended { by, deadline } => (by, Some(deadline.to_string())),
            Fact::RollbackRequested { by, to } => (by, Some(format!("to {to}"))),
            Fact::CancelRequested { reason, who } => {
                (&Actor::new(who.clone().unwrap_or_default(), reason), None)
            }
            _ => return None,
        };
        let (who, why) = (by.who.clone(), by.why.clone());
        Some(Self { at: event.at, what: event.fact.name().to_owned(), who, why, object })
    }
}
