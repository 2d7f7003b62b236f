//! Names and ids: the words by which everything is called, safe in paths, URLs and commands.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Serialize;
use uuid::Uuid;

use super::Fence;
use crate::document::{Decode, Invalid, Node, decode_text, deserialize_by_decode};

/// Defines a newtype over a checked text: constructor, access, serde and decoding.
macro_rules! text_type {
    ($(#[$meta:meta])* $name:ident, $check:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks the text and makes the value.
            ///
            /// # Errors
            ///
            /// [`Invalid`] says what was found and what is allowed.
            pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
                let text = text.into();
                let check: fn(&str) -> Result<(), Invalid> = $check;
                check(&text)?;
                Ok(Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::new(text)
            }
        }

        impl Decode for $name {
            fn decode(node: &Node<'_>) -> Option<Self> {
                decode_text(node)
            }
        }

        deserialize_by_decode!($name);
    };
}
pub(super) use text_type;

/// What a name may look like. Lower case, so that two names never differ by case alone on disk;
/// no leading dot or dash, so that none hides in a listing or reads as an option.
const NAME: &str = "1 to 63 of the characters a-z, 0-9, '.', '_' and '-', the first a letter or digit, without '..'";

/// What an id may look like.
const ID: &str =
    "of the characters A-Z, a-z, 0-9, '.', '_' and '-', the first a letter or digit, without '..'";

fn check_name(text: &str) -> Result<(), Invalid> {
    let head = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    check_token(text, 63, head).then_some(()).ok_or_else(|| Invalid::new(text, NAME))
}

fn check_id(text: &str) -> Result<(), Invalid> {
    check_id_of(text, 64)
}

/// A task's id is a deployment's, with the numbers of its parts behind it.
fn check_task_id(text: &str) -> Result<(), Invalid> {
    check_id_of(text, 128)
}

fn check_id_of(text: &str, longest: usize) -> Result<(), Invalid> {
    let head = |c: u8| c.is_ascii_alphanumeric();
    let allowed = || Invalid::new(text, format!("1 to {longest} {ID}"));
    check_token(text, longest, head).then_some(()).ok_or_else(allowed)
}

fn check_token(text: &str, longest: usize, head: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|&c| head(c))
        && bytes.len() <= longest
        && bytes.iter().all(|&c| head(c) || matches!(c, b'.' | b'_' | b'-'))
        && !text.contains("..")
}

text_type!(
    /// The name of a business: the first half of what decides the hosts.
    BusinessName,
    check_name
);
text_type!(
    /// The name of a project: the second half of what decides the hosts.
    ProjectName,
    check_name
);
text_type!(
    /// The name of a host, unique in its inventory.
    HostName,
    check_name
);
text_type!(
    /// The name of an agent node, unique in its inventory.
    AgentName,
    check_name
);
text_type!(
    /// A tag that selects hosts.
    Tag,
    check_name
);
text_type!(
    /// The name of a zone: hosts of one zone may fail at once.
    ZoneName,
    check_name
);
text_type!(
    /// The id of a deployment, chosen by the caller or made by [`DeploymentId::generate`].
    ///
    /// The same id filed again is the same deployment.
    DeploymentId,
    check_id
);
text_type!(
    /// The id of a task, unique in its queue: the same id pushed again is the same task.
    TaskId,
    check_task_id
);
text_type!(
    /// The name of a release's directory on a host.
    ReleaseId,
    check_id
);
text_type!(
    /// The address of a host: an IP address or a host name as of RFC 1123.
    HostAddress,
    check_address
);

impl DeploymentId {
    /// Makes a new id: a UUID of version 7, so that ids sort by the time they were made.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7().to_string())
    }
}

impl TaskId {
    /// The id of the `number`-th part of this task, the same each time it is asked for.
    ///
    /// Parts nest twice: a deployment's part is an agent's task, whose part is an executor's.
    pub(crate) fn part(&self, number: usize) -> Self {
        Self(format!("{}.{number}", self.0))
    }

    /// The id of something that is done for this task and recorded nowhere: another one for each
    /// fencing number.
    pub(crate) fn unrecorded(&self, what: &str, fence: Fence) -> Self {
        Self(format!("{}.{what}-{fence}", self.0))
    }
}

impl From<&DeploymentId> for TaskId {
    /// The task of a deployment on the control node's queue has the deployment's id.
    fn from(id: &DeploymentId) -> Self {
        Self(id.0.clone())
    }
}

impl TryFrom<&TaskId> for DeploymentId {
    type Error = Invalid;

    /// The deployment of a task on the control node's queue, as events and lists of tasks have it.
    fn try_from(id: &TaskId) -> Result<Self, Invalid> {
        Self::new(id.as_str())
    }
}

impl From<&DeploymentId> for ReleaseId {
    /// A deployment makes one release, which has its id.
    fn from(id: &DeploymentId) -> Self {
        Self(id.0.clone())
    }
}

fn check_address(text: &str) -> Result<(), Invalid> {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'-')
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-')
    };
    let name = text.len() <= 253 && text.split('.').all(label);
    if text.parse::<IpAddr>().is_ok() || name {
        return Ok(());
    }
    Err(Invalid::new(text, "an IP address or a host name (letters, digits, '-' and '.')"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_two_character_name_is_decided_as_the_rule_says() {
        for a in 0..=255_u8 {
            for b in 0..=255_u8 {
                let Ok(text) = String::from_utf8(vec![a, b]) else {
                    continue;
                };
                let head = a.is_ascii_lowercase() || a.is_ascii_digit();
                let tail = b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
                assert_eq!(HostName::new(text.clone()).is_ok(), head && tail, "{text:?}");
            }
        }
    }

    #[test]
    fn names_refuse_what_a_shell_or_a_path_could_mistake() {
        for bad in ["", "-rf", ".hidden", "a/b", "a..b", "a b", "a;b", "$(x)", "Ä", &"a".repeat(64)]
        {
            assert!(ProjectName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_address_is_an_ip_or_a_host_name() {
        for good in ["10.0.1.11", "::1", "web-1.example.org", "localhost"] {
            assert!(HostAddress::new(good).is_ok(), "{good:?}");
        }
        for bad in ["", "-a", "a-", "a..b", "a b", "[::1]", "a/b", "x;y"] {
            assert!(HostAddress::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn generated_ids_are_valid_and_sorted() {
        let (first, second) = (DeploymentId::generate(), DeploymentId::generate());
        assert!(first < second);
        assert_eq!(DeploymentId::new(first.as_str()), Ok(first));
    }
}
