//! A file system of its own in a file, whose power can be cut.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::process::scratch;

/// Cuts the power when a line comes: the file system then forgets whatever is not on its disk, its
/// own log included. `GOINGDOWN` is `_IOR('X', 125, u32)`, and 2 is "no flush of the log".
const CUT: &str = "\
import fcntl, os, struct, sys
volume = os.open(sys.argv[1], os.O_RDONLY)
print('ready', flush=True)
if sys.stdin.readline():
    fcntl.ioctl(volume, 0x8004587D, struct.pack('I', 2))
";

/// A mounted ext4.
#[derive(Debug)]
pub(crate) struct Volume {
    directory: tempfile::TempDir,
}

/// Somebody with a hand on the switch.
#[derive(Debug)]
pub(crate) struct Switch {
    child: Child,
    line: Option<ChildStdin>,
}

impl Volume {
    pub(crate) fn new() -> Self {
        let directory = scratch();
        let volume = Self { directory };
        let image = std::fs::File::create(volume.image()).unwrap();
        image.set_len(32 * 1024 * 1024).unwrap();
        let image = volume.image();
        run("mkfs.ext4", &["-q", "-F", text(&image)], "`apt-get install e2fsprogs` provides it");
        std::fs::create_dir(volume.path()).unwrap();
        volume.mount();
        volume
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("volume")
    }

    /// Where something can be kept that is not to suffer.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn mount(&self) {
        let (image, path) = (self.image(), self.path());
        let what =
            "run the tests as root, where there are loop devices: `sudo -E ./scripts/test.sh`";
        run("mount", &["-o", "loop", text(&image), text(&path)], what);
    }

    /// How many bytes are free.
    pub(crate) fn room(&self) -> u64 {
        let found = rustix::fs::statvfs(self.path()).unwrap();
        found.f_bavail * found.f_frsize
    }

    /// Mounts it with another option: `ro` or `rw`.
    pub(crate) fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        run("mount", &["-o", &options, text(&self.path())], "run the tests as root");
    }

    /// Puts a hand on the switch.
    pub(crate) fn switch(&self) -> Switch {
        let child = Command::new("python3")
            .args(["-I", "-S", "-c", CUT])
            .arg(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let missing = "`apt-get install python3-minimal` provides python3";
        let mut child = child.unwrap_or_else(|error| panic!("{error}; {missing}"));
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        let line = child.stdin.take();
        Switch { child, line }
    }

    /// Starts the machine again, after everybody on it is gone.
    pub(crate) fn restart(&self) {
        run("umount", &[text(&self.path())], "it is busy, or was not mounted");
        // What is on the disk is copied to another one: a mount namespace that somebody else made
        // meanwhile may still hold the file system without power, and a second mount would be of it.
        let disk = self.directory.path().join("disk");
        std::fs::copy(self.image(), &disk).unwrap();
        std::fs::rename(&disk, self.image()).unwrap();
        self.mount();
    }
}

impl Switch {
    /// Cuts the power.
    pub(crate) fn cut(mut self) {
        self.line.take().unwrap().write_all(b"cut\n").unwrap();
        assert!(self.child.wait().unwrap().success(), "the power could not be cut");
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Also when a test failed while it was in use: nothing is to stay mounted.
        let _ = Command::new("umount").args(["-l", text(&self.path())]).status();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(program: &str, arguments: &[&str], missing: &str) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; {missing}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}; {missing}");
}
