//! The sink of an unpacking: creates everything below one directory and follows no link.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::durable::make_durable;
use super::error::ArchiveError;
use super::path::split;
use super::sink::Sink;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const NEW_FILE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Creates files relative to open directories, one component at a time: no name is ever resolved
/// by the system through more than one step, so nothing that happens to the tree meanwhile can
/// lead outside.
#[derive(Debug)]
pub(super) struct Disk {
    into: PathBuf,
    root: OwnedFd,
    /// The directories from the root down to where the last entry was; neighbours share them.
    open: Vec<OpenDirectory>,
    file: Option<(File, Box<str>)>,
}

#[derive(Debug)]
struct OpenDirectory {
    name: Box<str>,
    fd: OwnedFd,
}

impl Disk {
    /// Opens the directory to unpack into, which has to be there and empty.
    pub(super) fn open(into: &Path) -> Result<Self, ArchiveError> {
        let failed = |source: io::Error| ArchiveError::Io { path: into.into(), source };
        let root = rustix::fs::openat(CWD, into, DIRECTORY, Mode::empty())
            .map_err(|errno| failed(errno.into()))?;
        for entry in rustix::fs::Dir::read_from(&root).map_err(|errno| failed(errno.into()))? {
            let entry = entry.map_err(|errno| failed(errno.into()))?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                return Err(failed(io::ErrorKind::DirectoryNotEmpty.into()));
            }
        }
        Ok(Self { into: into.into(), root, open: Vec::new(), file: None })
    }

    /// Makes the directory at `path` the last of [`Self::open`].
    fn enter(&mut self, path: &str) -> rustix::io::Result<&OwnedFd> {
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        let mut shared = 0;
        while let (Some(open), Some(name)) = (self.open.get(shared), names.peek())
            && *open.name == **name
        {
            shared += 1;
            names.next();
        }
        self.open.truncate(shared);
        for name in names {
            let fd = rustix::fs::openat(self.last(), name, DIRECTORY, Mode::empty())?;
            self.open.push(OpenDirectory { name: name.into(), fd });
        }
        Ok(self.last())
    }

    fn last(&self) -> &OwnedFd {
        self.open.last().map_or(&self.root, |open| &open.fd)
    }

    fn create_directory(&mut self, path: &str) -> rustix::io::Result<()> {
        let (above, name) = split(path);
        let parent = self.enter(above)?;
        rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
        // The mode is set afterwards, because creation leaves it to the umask.
        rustix::fs::fchmod(self.enter(path)?, Mode::from_raw_mode(0o755))
    }

    fn create_file(&mut self, path: &str, mode: u32) -> rustix::io::Result<File> {
        let (above, name) = split(path);
        let parent = self.enter(above)?;
        let fd = rustix::fs::openat(parent, name, NEW_FILE, Mode::RUSR | Mode::WUSR)?;
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(mode & 0o755))?;
        Ok(fd.into())
    }

    fn create_hard_link(&mut self, existing: &str, path: &str) -> rustix::io::Result<()> {
        let (above, existing) = split(existing);
        let from = rustix::io::dup(self.enter(above)?)?;
        let (above, name) = split(path);
        let parent = self.enter(above)?;
        // Without `AtFlags::SYMLINK_FOLLOW` a link would be linked, not what it points to.
        rustix::fs::linkat(&from, existing, parent, name, AtFlags::empty())
    }

    fn create_symbolic_link(&mut self, path: &str, target: &str) -> rustix::io::Result<()> {
        let (above, name) = split(path);
        let parent = self.enter(above)?;
        rustix::fs::symlinkat(target, parent, name)
    }

    fn failed(&self, path: &str, source: impl Into<io::Error>) -> ArchiveError {
        ArchiveError::Io { path: self.into.join(path), source: source.into() }
    }
}

impl Sink for Disk {
    fn directory(&mut self, path: &str) -> Result<(), ArchiveError> {
        self.create_directory(path).map_err(|errno| self.failed(path, errno))
    }

    fn open_file(&mut self, path: &str, mode: u32) -> Result<(), ArchiveError> {
        let file = self.create_file(path, mode).map_err(|errno| self.failed(path, errno))?;
        self.file = Some((file, path.into()));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        let Some((file, path)) = &mut self.file else {
            return Ok(());
        };
        file.write_all(bytes)
            .map_err(|source| ArchiveError::Io { path: self.into.join(&**path), source })
    }

    fn close_file(&mut self) -> Result<(), ArchiveError> {
        self.file = None;
        Ok(())
    }

    fn hard_link(&mut self, existing: &str, path: &str) -> Result<(), ArchiveError> {
        self.create_hard_link(existing, path).map_err(|errno| self.failed(path, errno))
    }

    fn symbolic_link(&mut self, path: &str, target: &str) -> Result<(), ArchiveError> {
        self.create_symbolic_link(path, target).map_err(|errno| self.failed(path, errno))
    }

    fn finish(&mut self) -> Result<(), ArchiveError> {
        make_durable(self.root.as_fd()).map_err(|errno| self.failed("", errno))
    }
}
