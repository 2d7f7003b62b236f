//! The walk's common half: names, limits and duplicates, whatever the format and the sink.

use super::contents::PackageContents;
use super::error::{ArchiveError, Limit};
use super::format::PackageFormat;
use super::limits::UnpackLimits;
use super::links::Links;
use super::path::{EntryPath, link_target, split};
use super::sink::Sink;
use super::tree::{Node, NodeId, Tree};

/// Takes the entries of a package one by one, checks each against the limits and everything
/// before it, and passes on to the sink only what is safe to create.
#[derive(Debug)]
pub(super) struct Layout<'a, S> {
    pub(super) limits: &'a UnpackLimits,
    sink: S,
    tree: Tree,
    links: Links,
    listed: u64,
    files: u64,
    unpacked_bytes: u64,
    plain_modes: bool,
}

/// Where a new entry goes: its directory exists, its own place is free.
struct Place<'n> {
    directory: NodeId,
    path: &'n str,
    name: &'n str,
}

impl<'a, S: Sink> Layout<'a, S> {
    pub(super) fn new(limits: &'a UnpackLimits, sink: S) -> Self {
        Self {
            limits,
            sink,
            tree: Tree::new(),
            links: Links::default(),
            listed: 0,
            files: 0,
            unpacked_bytes: 0,
            plain_modes: true,
        }
    }

    /// Counts something the package lists, so that not even entries that create nothing (a
    /// directory a second time, an extension header) come without limit.
    pub(super) fn count_listed(&mut self) -> Result<(), ArchiveError> {
        self.listed += 1;
        self.check_entries(self.listed)
    }

    pub(super) fn directory(&mut self, raw: &[u8], mode: u32) -> Result<(), ArchiveError> {
        self.count_listed()?;
        self.plain_modes &= is_plain(mode, 0o700);
        let path = EntryPath::parse(raw, self.limits)?;
        if !path.is_root() {
            let (above, name) = split(path.as_str());
            let parent = self.enter(raw, above)?;
            self.descend(parent, path.as_str(), name)?;
        }
        Ok(())
    }

    /// Begins a file of `size` bytes. Its content follows by [`Self::write`], then
    /// [`Self::close_file`]; the format sees to it that this is what was announced.
    pub(super) fn open_file(
        &mut self,
        raw: &[u8],
        mode: u32,
        size: u64,
    ) -> Result<(), ArchiveError> {
        let path = self.admit(raw)?;
        let place = self.place(raw, &path)?;
        if size > self.limits.file_bytes {
            return Err(ArchiveError::too_large(Limit::FileBytes, self.limits.file_bytes));
        }
        self.count_bytes(size)?;
        self.files += 1;
        self.plain_modes &= is_plain(mode, 0o600);
        self.tree.add_file(place.directory, place.name);
        self.sink.open_file(place.path, mode & 0o755 | 0o600)
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.sink.write(bytes)
    }

    pub(super) fn close_file(&mut self) -> Result<(), ArchiveError> {
        self.sink.close_file()
    }

    pub(super) fn hard_link(&mut self, raw: &[u8], existing: &[u8]) -> Result<(), ArchiveError> {
        let path = self.admit(raw)?;
        let existing = EntryPath::parse(existing, self.limits)?;
        let place = self.place(raw, &path)?;
        match self.tree.find(existing.as_str()).map(|id| self.tree.node(id)) {
            Some(Node::File) => {}
            Some(Node::Directory { .. } | Node::Link(_)) | None => {
                let kind = "a hard link to something else than an earlier file";
                return Err(ArchiveError::forbidden(raw, kind));
            }
        }
        self.files += 1;
        self.tree.add_file(place.directory, place.name);
        self.sink.hard_link(existing.as_str(), place.path)
    }

    pub(super) fn symbolic_link(&mut self, raw: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        let path = self.admit(raw)?;
        let target = link_target(raw, target)?;
        let place = self.place(raw, &path)?;
        self.tree.add_link(place.directory, place.name, self.links.len());
        self.links.add(place.directory, place.path, target)
    }

    /// Follows all symbolic links, creates them, and makes the whole durable.
    pub(super) fn finish(mut self, format: PackageFormat) -> Result<PackageContents, ArchiveError> {
        self.links.check(&self.tree)?;
        for link in self.links.iter() {
            self.sink.symbolic_link(&link.path, &link.target)?;
        }
        self.sink.finish()?;
        let (entries, files, bytes) = (self.tree.len(), self.files, self.unpacked_bytes);
        let mut contents = PackageContents::new(format, entries, files, bytes);
        contents.plain_modes = self.plain_modes && format.is_tar();
        Ok(contents)
    }

    fn admit(&mut self, raw: &[u8]) -> Result<EntryPath, ArchiveError> {
        self.count_listed()?;
        let path = EntryPath::parse(raw, self.limits)?;
        if path.is_root() {
            return Err(ArchiveError::duplicate("."));
        }
        Ok(path)
    }

    fn place<'n>(&mut self, raw: &[u8], path: &'n EntryPath) -> Result<Place<'n>, ArchiveError> {
        let path = path.as_str();
        let (above, name) = split(path);
        let directory = self.enter(raw, above)?;
        if self.tree.child(directory, name).is_some() {
            return Err(ArchiveError::duplicate(path));
        }
        self.check_entries(self.tree.len() + 1)?;
        Ok(Place { directory, path, name })
    }

    /// Walks down a path of directories and creates those that no entry has listed.
    fn enter(&mut self, raw: &[u8], path: &str) -> Result<NodeId, ArchiveError> {
        let mut at = Tree::ROOT;
        let mut end = 0;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            end += name.len() + usize::from(end > 0);
            if let Some(child) = self.tree.child(at, name)
                && matches!(self.tree.node(child), Node::Link(_))
            {
                return Err(ArchiveError::escapes(raw, "it passes through a link"));
            }
            at = self.descend(at, &path[..end], name)?;
        }
        Ok(at)
    }

    fn descend(&mut self, parent: NodeId, path: &str, name: &str) -> Result<NodeId, ArchiveError> {
        if let Some(child) = self.tree.child(parent, name) {
            return match self.tree.node(child) {
                Node::Directory { .. } => Ok(child),
                Node::File | Node::Link(_) => Err(ArchiveError::duplicate(path)),
            };
        }
        self.check_entries(self.tree.len() + 1)?;
        self.sink.directory(path)?;
        Ok(self.tree.add_directory(parent, name))
    }

    fn count_bytes(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        let allowed = self.limits.total_bytes;
        match self.unpacked_bytes.checked_add(bytes) {
            Some(total) if total <= allowed => self.unpacked_bytes = total,
            _ => return Err(ArchiveError::too_large(Limit::TotalBytes, allowed)),
        }
        Ok(())
    }

    fn check_entries(&self, entries: u64) -> Result<(), ArchiveError> {
        if entries > self.limits.entries {
            return Err(ArchiveError::too_large(Limit::Entries, self.limits.entries));
        }
        Ok(())
    }
}

/// Whether the owner may do what is `needed`, nobody else may write, and nothing else is special.
fn is_plain(mode: u32, needed: u32) -> bool {
    mode & needed == needed && mode & 0o7022 == 0
}
