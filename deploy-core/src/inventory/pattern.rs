//! Which hosts a project has: by name, by glob, by tag.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::Host;
use crate::document::{Decode, Invalid, Node, decode_text};
use crate::model::Tag;

/// Selects hosts: a name, a glob of names (`*` is any text, `?` any one character), or `tag:` and a
/// tag.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct HostPattern(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Glob(String),
    Tag(Tag),
}

impl HostPattern {
    /// Says whether the pattern selects a host.
    #[must_use]
    pub fn matches(&self, host: &Host) -> bool {
        match &self.0 {
            Kind::Glob(glob) => matches(glob.as_bytes(), host.name.as_str().as_bytes()),
            Kind::Tag(tag) => host.tags.contains(tag),
        }
    }
}

/// Matches a name against a glob, in time proportional to the product of their lengths at worst.
fn matches(glob: &[u8], name: &[u8]) -> bool {
    let (mut g, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                g += 1;
                n += 1;
            }
            _ => match star {
                // The last star takes one character more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    g = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|c| *c == b'*')
}

impl FromStr for HostPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(tag) = text.strip_prefix("tag:") {
            return Tag::new(tag).map(|tag| Self(Kind::Tag(tag)));
        }
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-*?".contains(&c);
        if (1..=63).contains(&text.len()) && text.bytes().all(plain) {
            return Ok(Self(Kind::Glob(text.to_owned())));
        }
        Err(Invalid::new(text, "a host name, a glob such as \"web-*\", or \"tag:\" and a tag"))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Glob(glob) => f.write_str(glob),
            Kind::Tag(tag) => write!(f, "tag:{tag}"),
        }
    }
}

impl fmt::Debug for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl Decode for HostPattern {
    fn decode(node: &Node<'_>) -> Option<Self> {
        decode_text(node)
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs_match_whole_names() {
        for (glob, name, expected) in [
            ("web-1", "web-1", true),
            ("web-1", "web-11", false),
            ("web-*", "web-", true),
            ("*-1", "a-1-1", true),
            ("w*b?", "wb1", true),
            ("w*b?", "wb", false),
            ("*", "anything", true),
            ("**a*", "bab", true),
        ] {
            assert_eq!(matches(glob.as_bytes(), name.as_bytes()), expected, "{glob} {name}");
        }
    }

    #[test]
    fn a_glob_of_many_stars_ends_soon() {
        let glob = "*a".repeat(30);
        assert!(!matches(glob.as_bytes(), "a".repeat(29).as_bytes()));
    }
}
