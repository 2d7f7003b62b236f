//! Logins that the machine does not have: other shells, users with passwords, in a mount namespace of
//! their own.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools::{self, error};

/// A user that only the hosts of the fleet have. It takes root to make one.
///
/// Its `Debug` leaves the password out.
#[derive(Clone)]
pub struct FleetUser {
    name: String,
    password: Option<String>,
    sudo: Option<String>,
}

impl FleetUser {
    /// Names a user. It logs in with the fleet's key.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), password: None, sudo: None }
    }

    /// Lets it log in with a password, too.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Gives it a rule in sudoers, such as `ALL=(ALL:ALL) ALL` or `ALL=(app) NOPASSWD: ALL`.
    #[must_use]
    pub fn with_sudo(mut self, rule: impl Into<String>) -> Self {
        self.sudo = Some(rule.into());
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn has_password(&self) -> bool {
        self.password.is_some()
    }
}

impl std::fmt::Debug for FleetUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The first id of our users: far from those of systems, and below the 65,534 of nobody.
const FIRST_ID: usize = 61_000;

/// Mounts pairs of paths over each other up to `--`, then becomes the command that follows.
const ENTER: &str = "while [ \"$1\" != -- ]; do mount --bind \"$1\" \"$2\" || exit 1; shift 2; done; shift; exec \"$@\"";

/// Files that a host's sshd sees in place of the machine's: what to show, and where.
#[derive(Debug, Default)]
pub(super) struct Masks(Vec<(PathBuf, PathBuf)>);

impl Masks {
    /// Writes the files of a shell and of users into a directory.
    pub(super) fn make(
        dir: &Path,
        me: &str,
        shell: Option<&Path>,
        users: &[FleetUser],
    ) -> io::Result<Self> {
        let machine = fs::read_to_string("/etc/passwd")?;
        let shell = shell.map(|shell| by_its_name(dir, shell)).transpose()?;
        if users.is_empty() && shell.as_deref().is_none_or(|shell| has_shell(&machine, me, shell)) {
            return Ok(Self::default());
        }
        check_privileges()?;
        let mut masks = Self::default();
        let mut passwd = with_shell(&machine, me, shell.as_deref());
        let mut group = fs::read_to_string("/etc/group")?;
        let mut shadow = fs::read_to_string("/etc/shadow")?;
        let mut sudoers = String::new();
        let shell = shell.unwrap_or_else(|| "/bin/sh".into());
        for (id, user) in (FIRST_ID..).zip(users) {
            let name = &user.name;
            passwd += &format!("{name}:x:{id}:{id}::{}:{}\n", dir.display(), shell.display());
            group += &format!("{name}:x:{id}:\n");
            let hash = user.password.as_deref().map_or(Ok("*".to_owned()), hash)?;
            shadow += &format!("{name}:{hash}:19000:0:99999:7:::\n");
            if let Some(rule) = &user.sudo {
                sudoers += &format!("{name} {rule}\n");
            }
        }
        masks.show(dir.join("passwd"), "/etc/passwd", &passwd, 0o644)?;
        if !users.is_empty() {
            masks.show(dir.join("group"), "/etc/group", &group, 0o644)?;
            masks.show(dir.join("shadow"), "/etc/shadow", &shadow, 0o600)?;
        }
        if !sudoers.is_empty() {
            if !Path::new("/etc/sudoers.d").is_dir() {
                return Err(error("sudo is missing; apt-get install sudo"));
            }
            let rules = dir.join("sudoers.d");
            fs::create_dir(&rules)?;
            write(&rules.join("fleet"), &sudoers, 0o440)?;
            masks.0.push((rules, "/etc/sudoers.d".into()));
        }
        Ok(masks)
    }

    fn show(&mut self, file: PathBuf, at: &str, text: &str, mode: u32) -> io::Result<()> {
        write(&file, text, mode)?;
        self.0.push((file, at.into()));
        Ok(())
    }

    /// The words that start a program where the files are seen.
    pub(super) fn command(&self, program: &Path) -> Command {
        if self.0.is_empty() {
            return Command::new(program);
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--", "/bin/sh", "-c", ENTER, "sh"]);
        command.args(self.0.iter().flat_map(|(file, at)| [file, at]));
        command.args([OsString::from("--"), program.into()]);
        command
    }
}

fn check_privileges() -> io::Result<()> {
    const NEED: &str = "another login shell or another user takes a mount namespace";
    if !tools::is_root() {
        return Err(error(format!("{NEED}, which root alone may make: run the test as root")));
    }
    let mut try_it = Command::new("unshare");
    try_it.args(["--mount", "--propagation", "private", "--", "/bin/sh", "-c"]);
    try_it.arg("mount --bind /etc/passwd /etc/passwd");
    let tried = tools::run("util-linux mount", &mut try_it, "");
    tried.map(drop).map_err(|cause| error(format!("{NEED}, and that failed: {cause}")))
}

/// A path at which a shell behaves as one: busybox does under the name `sh` alone.
fn by_its_name(dir: &Path, shell: &Path) -> io::Result<PathBuf> {
    if !shell.exists() {
        let name = shell.file_name().unwrap_or(shell.as_os_str()).display();
        return Err(error(format!("{} is missing; apt-get install {name}", shell.display())));
    }
    if shell.file_name().is_none_or(|name| name != "busybox") {
        return Ok(shell.to_owned());
    }
    let link = dir.join("sh");
    symlink(shell, &link)?;
    Ok(link)
}

fn has_shell(passwd: &str, user: &str, shell: &Path) -> bool {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(user));
    line.and_then(|line| line.rsplit(':').next()).is_some_and(|has| Path::new(has) == shell)
}

fn with_shell(passwd: &str, user: &str, shell: Option<&Path>) -> String {
    let lines = passwd.lines().map(|line| match (line.rsplit_once(':'), shell) {
        (Some((rest, _)), Some(shell)) if line.split(':').next() == Some(user) => {
            format!("{rest}:{}\n", shell.display())
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// The password as shadow holds it.
fn hash(password: &str) -> io::Result<String> {
    let mut command = Command::new("openssl");
    command.args(["passwd", "-6", "-stdin"]);
    Ok(tools::run("openssl", &mut command, password)?.trim().to_owned())
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
