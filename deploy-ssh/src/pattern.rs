//! OpenSSH's patterns of names: `*` is any text, `?` any one character, `!` in front excludes.

/// What a list of patterns says of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    /// A pattern matches, and none excludes it.
    Yes,
    /// No pattern matches.
    No,
    /// A pattern with `!` matches: the list is not about this name, whatever else matches.
    Excluded,
}

/// Holds a name against a list of patterns.
pub(crate) fn listed<'a>(patterns: impl IntoIterator<Item = &'a str>, name: &str) -> Listed {
    let mut found = Listed::No;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(excluded, name) => return Listed::Excluded,
            None if matches(pattern, name) => found = Listed::Yes,
            _ => {}
        }
    }
    found
}

/// Matches a whole name, in time proportional to the product of the lengths at worst.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                // The last star takes one character more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_a_whole_name() {
        for (pattern, name, expected) in [
            ("web-1", "web-1", true),
            ("web-1", "web-11", false),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("10.0.?.1", "10.0.2.1", true),
            ("10.0.?.1", "10.0.22.1", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("**a*", "bab", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn an_exclusion_wins_wherever_it_stands() {
        assert_eq!(listed(["*", "!web-9"], "web-9"), Listed::Excluded);
        assert_eq!(listed(["!web-9", "*"], "web-9"), Listed::Excluded);
        assert_eq!(listed(["!web-9", "*"], "web-1"), Listed::Yes);
        assert_eq!(listed(["!web-9"], "web-1"), Listed::No);
    }

    #[test]
    fn a_pattern_of_many_stars_ends_soon() {
        assert!(!matches(&"*a".repeat(30), &"a".repeat(29)));
    }
}
