//! Which names a package may use.

use super::error::{ArchiveError, Limit};
use super::limits::UnpackLimits;

/// The longest path in bytes: Linux's `PATH_MAX` is 4,096 with the closing NUL.
pub(super) const PATH_BYTES: usize = 4095;

/// A path inside the release: relative, normal (`a/b/c`), and safe to create.
///
/// The release's own directory is the empty path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryPath(String);

impl EntryPath {
    /// Checks a name from a package and brings it into normal form: `./a//b/` is `a/b`.
    pub(super) fn parse(raw: &[u8], limits: &UnpackLimits) -> Result<Self, ArchiveError> {
        let name = text(raw, raw)?;
        if name.starts_with('/') {
            return Err(ArchiveError::escapes(raw, "it is absolute"));
        }
        let mut path = String::with_capacity(name.len());
        let mut depth = 0;
        for component in components(name) {
            if component == ".." {
                return Err(ArchiveError::escapes(raw, "it holds `..`"));
            }
            if component.len() > limits.name_bytes {
                let allowed = limits.name_bytes as u64;
                return Err(ArchiveError::too_large(Limit::NameBytes, allowed));
            }
            depth += 1;
            if depth > limits.depth {
                let allowed = limits.depth as u64;
                return Err(ArchiveError::too_large(Limit::Depth, allowed));
            }
            if path.is_empty() {
                if has_drive_letter(component) {
                    return Err(ArchiveError::escapes(raw, "it has a drive letter"));
                }
            } else {
                path.push('/');
            }
            path.push_str(component);
        }
        Ok(Self(path))
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the target of a symbolic link as far as that is possible without knowing the others.
pub(super) fn link_target<'a>(entry: &[u8], raw: &'a [u8]) -> Result<&'a str, ArchiveError> {
    let target = text(entry, raw)?;
    if target.starts_with('/') {
        return Err(ArchiveError::escapes(entry, "its target is absolute"));
    }
    if components(target).next().is_some_and(has_drive_letter) {
        return Err(ArchiveError::escapes(entry, "its target has a drive letter"));
    }
    Ok(target)
}

/// The components that mean something: empty ones and `.` are dropped.
pub(super) fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !matches!(*part, "" | "."))
}

/// Splits a normal path into the directory it is in (empty for the release itself) and its name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn text<'a>(entry: &[u8], raw: &'a [u8]) -> Result<&'a str, ArchiveError> {
    if raw.is_empty() {
        return Err(ArchiveError::forbidden(entry, "named or aimed at nothing"));
    }
    if raw.len() > PATH_BYTES {
        let allowed = PATH_BYTES as u64;
        return Err(ArchiveError::too_large(Limit::PathBytes, allowed));
    }
    let Ok(name) = str::from_utf8(raw) else {
        return Err(ArchiveError::forbidden(entry, "not named in UTF-8"));
    };
    if name.chars().any(char::is_control) {
        let kind = "named with a control character";
        return Err(ArchiveError::forbidden(entry, kind));
    }
    if name.contains('\\') {
        return Err(ArchiveError::escapes(entry, "it holds a backslash"));
    }
    Ok(name)
}

fn has_drive_letter(component: &str) -> bool {
    matches!(component.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &[u8]) -> Result<EntryPath, ArchiveError> {
        EntryPath::parse(raw, &UnpackLimits::default())
    }

    #[test]
    fn a_safe_name_is_brought_into_normal_form() {
        for (raw, normal) in [
            ("a", "a"),
            ("a/b/", "a/b"),
            ("./a/./b", "a/b"),
            ("a//b", "a/b"),
            ("./", ""),
            (".", ""),
            ("...", "..."),
            ("..a/b..", "..a/b.."),
            ("a. /b.", "a. /b."),
            ("Foo::Bar.3pm", "Foo::Bar.3pm"),
            ("a/C:x", "a/C:x"),
            ("über/ß", "über/ß"),
        ] {
            assert_eq!(parse(raw.as_bytes()).unwrap().as_str(), normal, "{raw}");
        }
    }

    #[test]
    fn a_name_that_could_leave_the_release_is_refused() {
        for raw in [
            "/",
            "/a",
            "//a",
            "..",
            "../a",
            "a/..",
            "a/../b",
            "./..",
            "a\\b",
            "C:",
            "c:/a",
            "./C:x",
            "\\\\host\\share",
            "a/../../x",
        ] {
            let error = parse(raw.as_bytes()).unwrap_err();
            assert!(matches!(error, ArchiveError::Escapes { .. }), "{raw}: {error}");
        }
    }

    #[test]
    fn a_name_that_is_no_plain_text_is_refused() {
        for raw in [&b""[..], b"a\0b", b"\x1b[2J", b"a\nb", b"a\x7f", b"\xff", "\u{85}".as_bytes()]
        {
            let error = parse(raw).unwrap_err();
            assert!(matches!(error, ArchiveError::Forbidden { .. }), "{raw:?}: {error}");
        }
    }

    #[test]
    fn length_and_depth_are_limited_and_their_limits_are_inclusive() {
        let limits = UnpackLimits::new().with_depth(3).with_name_bytes(4);
        assert!(EntryPath::parse(b"abcd/b/c", &limits).is_ok());
        for (raw, limit) in [
            ("abcde", Limit::NameBytes),
            ("a/b/c/d", Limit::Depth),
            (&"a/".repeat(2048), Limit::PathBytes),
        ] {
            let error = EntryPath::parse(raw.as_bytes(), &limits).unwrap_err();
            assert!(
                matches!(error, ArchiveError::TooLarge { limit: found, .. } if found == limit),
                "{error}"
            );
        }
    }

    #[test]
    fn a_link_may_point_up_but_not_to_an_absolute_place() {
        assert_eq!(link_target(b"l", b"../a").unwrap(), "../a");
        for target in ["/a", "C:/a", "a\\b"] {
            let error = link_target(b"l", target.as_bytes()).unwrap_err();
            assert!(matches!(error, ArchiveError::Escapes { .. }), "{target}: {error}");
        }
    }
}
