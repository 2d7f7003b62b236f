//! Making an unpacked tree survive a power loss.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::{Errno, Result};

/// Returns once every file, directory and link below `root`, and `root` itself, is on the disk.
///
/// One `syncfs` costs what the kernel has not yet written; a thousand calls of `fsync` cost a
/// thousand commits of the file system's journal. Since Linux 5.8 it reports failed writes, too.
#[cfg(target_os = "linux")]
pub(super) fn make_durable(root: BorrowedFd<'_>) -> Result<()> {
    match rustix::fs::syncfs(root) {
        // A sandbox may not know the call.
        Err(Errno::NOSYS | Errno::PERM) => sync_tree(root),
        done => done,
    }
}

/// Returns once every file, directory and link below `root`, and `root` itself, is on the disk.
#[cfg(not(target_os = "linux"))]
pub(super) fn make_durable(root: BorrowedFd<'_>) -> Result<()> {
    sync_tree(root)
}

/// Syncs file by file; a symbolic link is durable with the directory it is in.
fn sync_tree(directory: BorrowedFd<'_>) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let fd = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Err(Errno::LOOP) => continue,
            opened => opened?,
        };
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
        if kind == FileType::Directory {
            sync_tree(fd.as_fd())?;
        } else {
            rustix::fs::fsync(&fd)?;
        }
    }
    rustix::fs::fsync(directory)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn a_tree_is_synced_file_by_file_past_links_that_lead_nowhere() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("a/b/f"), "x").unwrap();
        std::os::unix::fs::symlink("nowhere", root.path().join("a/l")).unwrap();
        let opened = File::open(root.path()).unwrap();
        assert_eq!(sync_tree(opened.as_fd()), Ok(()));
        assert_eq!(make_durable(opened.as_fd()), Ok(()));
    }
}
