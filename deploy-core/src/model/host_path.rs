//! A path on a host: absolute, plain, and not the root of the file system.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::name::text_type;
use crate::document::{Decode, Invalid, Node, decode_text, deserialize_by_decode};

text_type!(
    /// An absolute path on a host, where a project's releases live.
    ///
    /// Without `.`, `..`, empty parts or control characters, at most 1,024 bytes long, and never `/`.
    HostPath,
    check
);

fn check(text: &str) -> Result<(), Invalid> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let parts = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain));
    if parts && text.len() <= 1024 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Invalid::new(
        text,
        "an absolute path such as \"/srv/app\", without '.', '..' or an empty part",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths_pass() {
        assert!(HostPath::new("/srv/checkout api").is_ok());
        for bad in ["", "/", "srv", "/srv/", "/srv//a", "/srv/../etc", "/a/./b", "/a\nb"] {
            assert!(HostPath::new(bad).is_err(), "{bad:?}");
        }
    }
}
