//! The configuration of a host's sshd.

use std::path::Path;

use super::processes::MARK;

/// What the configuration of a host says.
#[derive(Debug)]
pub(super) struct SshdConfig<'a> {
    pub(super) extra: &'a [String],
    pub(super) host_key: &'a Path,
    pub(super) authorized_keys: &'a Path,
    pub(super) home: &'a Path,
    pub(super) mark: &'a Path,
    pub(super) users: &'a [&'a str],
    pub(super) passwords: bool,
}

impl SshdConfig<'_> {
    /// The text of the file. What a test adds comes first, since of two settings the first counts.
    pub(super) fn text(&self) -> String {
        let mut lines = self.extra.to_vec();
        let answer = if self.passwords { "yes" } else { "no" };
        lines.extend([
            format!("HostKey \"{}\"", self.host_key.display()),
            format!("AuthorizedKeysFile \"{}\"", self.authorized_keys.display()),
            format!("AllowUsers {}", self.users.join(" ")),
            // A login that is not the machine's: no one's start files, and a mark to find it by.
            format!("SetEnv {MARK}=\"{}\" HOME=\"{}\"", self.mark.display(), self.home.display()),
            format!("PasswordAuthentication {answer}"),
        ]);
        let fixed = "KbdInteractiveAuthentication no\nPermitRootLogin yes\nPermitUserRC no\nUsePAM no\nStrictModes no\n\
            PidFile none\nUseDNS no\nPrintMotd no\nPrintLastLog no\nX11Forwarding no\nSubsystem sftp internal-sftp\n\
            LogLevel VERBOSE\n";
        lines.join("\n") + "\n" + fixed
    }
}
