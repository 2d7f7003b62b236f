//! A host's file system of its own: small, so that it can be full, and read-only when asked.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools::{self, error};

/// A file system in memory, mounted over a host's directory, and unmounted on drop.
#[derive(Debug)]
pub(super) struct Disk(PathBuf);

impl Disk {
    pub(super) fn mount(at: &Path, bytes: u64) -> io::Result<Self> {
        if !tools::is_root() {
            return Err(error(
                "a disk takes a mount, which root alone may make: run the test as root",
            ));
        }
        let options = format!("size={bytes},mode=0777");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "deploy-testkit"]).arg(at);
        tools::run("mount", &mut mount, "")?;
        Ok(Self(at.to_owned()))
    }

    pub(super) fn read_only(&self, yes: bool) -> io::Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-o", if yes { "remount,ro" } else { "remount,rw" }]).arg(&self.0);
        tools::run("mount", &mut mount, "").map(drop)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what still has a file open there is about to be killed.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
