//! Where the symbolic links of a package lead.

use super::error::{ArchiveError, Limit};
use super::path::components;
use super::tree::{Node, NodeId, Tree};

/// How many links a path may pass through, as in the Linux kernel.
const MOST_HOPS: usize = 40;

/// Bytes of names and targets that are held until the links are created.
const MOST_BYTES: usize = 16 << 20;

/// The symbolic links of a package, in its order.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: Vec<Link>,
    bytes: usize,
}

/// One symbolic link.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) path: Box<str>,
    pub(super) target: Box<str>,
    directory: NodeId,
    end: Option<End>,
}

/// Where a link ends after every other link on the way was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    /// `None` is a place inside the release where the package puts nothing.
    at: Option<NodeId>,
    hops: usize,
}

impl Links {
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }

    pub(super) fn add(
        &mut self,
        directory: NodeId,
        path: &str,
        target: &str,
    ) -> Result<(), ArchiveError> {
        self.bytes += path.len() + target.len();
        if self.bytes > MOST_BYTES {
            return Err(ArchiveError::too_large(Limit::LinkBytes, MOST_BYTES as u64));
        }
        self.links.push(Link { path: path.into(), target: target.into(), directory, end: None });
        Ok(())
    }

    /// Follows every link through all others and refuses those that leave the release.
    ///
    /// A link to a place where nothing is stays allowed, because shared paths are linked into a
    /// release later; but nothing may climb back out of such a place, because what will be there
    /// is not known. Each link is followed once, so the work grows with the bytes of the targets.
    pub(super) fn check(&mut self, tree: &Tree) -> Result<(), ArchiveError> {
        for number in 0..self.links.len() {
            self.follow(tree, number, 0)?;
        }
        Ok(())
    }

    fn follow(&mut self, tree: &Tree, number: usize, depth: usize) -> Result<End, ArchiveError> {
        if let Some(end) = self.links[number].end {
            return Ok(end);
        }
        let link = &self.links[number];
        let target = link.target.clone();
        let mut end = End { at: Some(link.directory), hops: 1 };
        for name in components(&target) {
            end = self.step(tree, number, end, name, depth)?;
            if end.hops > MOST_HOPS {
                return Err(self.refused(number, "it leads through too many links"));
            }
        }
        self.links[number].end = Some(end);
        Ok(end)
    }

    fn step(
        &mut self,
        tree: &Tree,
        number: usize,
        from: End,
        name: &str,
        depth: usize,
    ) -> Result<End, ArchiveError> {
        let directory = from.at.map(|at| (at, tree.node(at)));
        if name == ".." {
            return match directory {
                Some((Tree::ROOT, _)) => Err(self.refused(number, "its target is outside")),
                Some((_, Node::Directory { parent, .. })) => Ok(End { at: Some(*parent), ..from }),
                _ => Err(self.refused(number, "its target climbs out of what is no directory")),
            };
        }
        let Some(child) = directory.and_then(|(at, _)| tree.child(at, name)) else {
            return Ok(End { at: None, ..from });
        };
        let Node::Link(next) = *tree.node(child) else {
            return Ok(End { at: Some(child), ..from });
        };
        if depth >= MOST_HOPS {
            return Err(self.refused(number, "it leads through too many links"));
        }
        let end = self.follow(tree, next, depth + 1)?;
        Ok(End { hops: from.hops + end.hops, ..end })
    }

    fn refused(&self, number: usize, reason: &'static str) -> ArchiveError {
        ArchiveError::escapes(self.links[number].path.as_bytes(), reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::path::split;

    /// Builds the tree `d/e/f` plus the links, and follows them.
    fn check(links: &[(&str, &str)]) -> Result<Links, ArchiveError> {
        let mut tree = Tree::new();
        let d = tree.add_directory(Tree::ROOT, "d");
        let e = tree.add_directory(d, "e");
        tree.add_file(e, "f");
        let mut all = Links::default();
        for (path, target) in links {
            let (directory, name) = split(path);
            let parent = tree.find(directory).unwrap();
            tree.add_link(parent, name, all.len());
            all.add(parent, path, target)?;
        }
        all.check(&tree)?;
        Ok(all)
    }

    fn chain(links: usize) -> Vec<(String, String)> {
        (0..links).map(|i| (format!("l{i}"), format!("l{}", i + 1))).collect()
    }

    fn borrowed(links: &[(String, String)]) -> Vec<(&str, &str)> {
        links.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect()
    }

    #[test]
    fn links_that_stay_inside_are_allowed() {
        for links in [
            &[("l", "d/e/f")][..],
            &[("d/e/l", "../../d/e/f")],
            &[("d/l", "..")],
            &[("l", ".")],
            &[("l", "nothing/here")],
            &[("l", "d/e"), ("m", "l/../e/f")],
            &[("d/up", ".."), ("l", "d/up/d/up/d/e")],
        ] {
            assert!(check(links).is_ok(), "{links:?}");
        }
    }

    #[test]
    fn links_that_leave_are_refused() {
        for links in [
            &[("l", "..")][..],
            &[("l", "d/../..")],
            &[("d/e/l", "../../../x")],
            // Each alone looks fine; together they climb.
            &[("d/l", ".."), ("m", "d/l/..")],
            &[("l", "d/e"), ("d/m", "../l/../../..")],
            // What will be at `later` is not known, so nothing climbs out of it.
            &[("l", "later/../d")],
            &[("l", "later"), ("m", "l/../d")],
            &[("l", "d/e/f/../f")],
        ] {
            let error = check(links).unwrap_err();
            assert!(matches!(error, ArchiveError::Escapes { .. }), "{links:?}: {error}");
        }
    }

    #[test]
    fn a_chain_is_as_long_as_the_kernel_follows_and_no_longer() {
        assert!(check(&borrowed(&chain(40))).is_ok());
        assert!(check(&borrowed(&chain(41))).is_err());
        let mut reversed = chain(41);
        reversed.reverse();
        assert!(check(&borrowed(&reversed)).is_err());
    }

    #[test]
    fn a_circle_is_refused() {
        assert!(check(&[("a", "a")]).is_err());
        assert!(check(&[("a", "b"), ("b", "d/../a")]).is_err());
    }
}
