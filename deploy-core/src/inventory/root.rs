//! Where a project lives on each of its hosts: a path, which may hold the host's name.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::document::{Decode, Invalid, Node, decode_text, deserialize_by_decode};
use crate::model::{HostName, HostPath};

/// What stands for the host's name: the word that a monitoring address has for it.
const NAME: &str = "{host.name}";

/// A template of a path on a host: `{host.name}` stands for the host's name.
///
/// `/srv/{host.name}/app` keeps hosts apart that share one file system.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RootTemplate(String);

impl RootTemplate {
    /// Takes a template.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when it gives no [`HostPath`], or names an unknown placeholder.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let template = Self(text.into());
        // With the longest name there is, so that every name gives a path.
        let longest = "h".repeat(63);
        if template.0.replace(NAME, "").contains(['{', '}']) {
            let allowed = "a path with the placeholder {host.name} alone";
            return Err(Invalid::new(&template.0, allowed));
        }
        match HostPath::new(template.fill(&longest)) {
            Ok(_) => Ok(template),
            Err(invalid) => Err(Invalid::new(&template.0, invalid.allowed)),
        }
    }

    /// The template, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path on one host.
    #[must_use]
    pub fn for_host(&self, host: &HostName) -> HostPath {
        HostPath::new(self.fill(host.as_str()))
            .expect("a name is a plain part of a path, and new() has tried the longest")
    }

    fn fill(&self, name: &str) -> String {
        self.0.replace(NAME, name)
    }
}

impl fmt::Display for RootTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RootTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl FromStr for RootTemplate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl Decode for RootTemplate {
    fn decode(node: &Node<'_>) -> Option<Self> {
        decode_text(node)
    }
}

deserialize_by_decode!(RootTemplate);

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    #[test]
    fn the_name_of_the_host_is_filled_in() {
        let host = HostName::new("web-1").unwrap();
        let root = |text: &str| RootTemplate::new(text).unwrap().for_host(&host).to_string();
        assert_eq!(root("/srv/{host.name}/app"), "/srv/web-1/app");
        assert_eq!(root("/srv/a-{host.name}-{host.name}"), "/srv/a-web-1-web-1");
        assert_eq!(root("/srv/app"), "/srv/app");
    }

    #[test]
    fn templates_that_give_no_path_are_refused() {
        let long = format!("/{}/{{host.name}}", "a".repeat(970));
        for bad in
            ["", "/", "{host.name}", "/srv/{host}", "/srv/{host.address}", "/srv/{", "/a//b", &long]
        {
            assert!(RootTemplate::new(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_taken_gives_a_path_for_every_name(
            text in "/[a-z.{}]{0,4}(\\{host\\.name\\})?[a-z./{}]{0,6}(\\{host\\.name\\})?",
            name in "[a-z0-9][a-z0-9._-]{0,62}",
        ) {
            if let (Ok(root), Ok(host)) = (RootTemplate::new(text), HostName::new(name)) {
                prop_assert!(root.for_host(&host).as_str().starts_with('/'));
            }
        }
    }
}
