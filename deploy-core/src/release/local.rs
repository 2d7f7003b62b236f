//! This machine as a host, and directories of it that act as hosts.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_trait::async_trait;
use tokio::process::Command;

use super::child;
use crate::connector::{CommandIo, ConnectError, Connector, Exit, Session, SessionError};
use crate::context::Context;
use crate::model::{Endpoint, HostPath, Target};

/// What commands find by default: where systems keep their tools.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Reaches directories of this machine as if they were hosts.
///
/// The endpoint `local:/srv/h1` is the directory `/srv/h1`, which acts as the host's `/`: the root
/// `/srv/app` is `/srv/h1/srv/app`. It is made when it is missing. `local:/` is this machine itself.
/// Nothing keeps a hook inside of the directory: it is a place, not a jail.
///
/// Commands run by `/bin/sh` as the user of this process, with an environment of their own: `PATH`,
/// and what [`variable`](Self::variable) sets. Nothing of this process's environment reaches them.
#[derive(Clone, Debug)]
pub struct LocalConnector {
    shell: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
}

impl Default for LocalConnector {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalConnector {
    /// Runs commands by `/bin/sh`, with the usual `PATH`.
    #[must_use]
    pub fn new() -> Self {
        Self { shell: vec!["/bin/sh".into()], variables: vec![("PATH".into(), PATH.into())] }
    }

    /// Sets the shell, and the words that stand before `-c`, such as `["busybox", "sh"]`.
    ///
    /// # Panics
    ///
    /// When there is no word.
    #[must_use]
    pub fn shell<W: Into<OsString>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.shell = words.into_iter().map(Into::into).collect();
        assert!(!self.shell.is_empty(), "a shell has a name");
        self
    }

    /// Sets a variable of the commands' environment, such as `HOME` or `LANG`.
    #[must_use]
    pub fn variable(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.into()));
        self
    }

    /// Opens the directory of an endpoint.
    ///
    /// # Errors
    ///
    /// `Unsupported` when the endpoint is none of ours; `Unreachable` when the directory cannot be
    /// made.
    pub fn open(&self, endpoint: &Endpoint) -> Result<LocalSession, ConnectError> {
        let base = base_of(endpoint).ok_or_else(|| ConnectError::Unsupported {
            endpoint: endpoint.to_string(),
            allowed: "local:/<directory>".to_owned(),
        })?;
        std::fs::create_dir_all(&base).map_err(|source| ConnectError::Unreachable {
            endpoint: endpoint.to_string(),
            source: Box::new(source),
        })?;
        Ok(LocalSession { connector: self.clone(), base })
    }
}

/// The directory of an endpoint: its path, percent-decoded.
fn base_of(endpoint: &Endpoint) -> Option<PathBuf> {
    let url = endpoint.url();
    if url.scheme() != "local" {
        return None;
    }
    let mut bytes = Vec::new();
    let mut path = url.path().bytes();
    while let Some(byte) = path.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(path.next())?, digit(path.next())?);
                u8::try_from(high * 16 + low).ok().filter(|&byte| byte != 0)?
            }
            byte => byte,
        });
    }
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

#[async_trait]
impl Connector for LocalConnector {
    async fn connect(
        &self,
        _cx: Context,
        target: Target,
    ) -> Result<Box<dyn Session>, ConnectError> {
        Ok(Box::new(self.open(&target.endpoint)?))
    }
}

/// A directory of this machine that acts as a host.
#[derive(Clone, Debug)]
pub struct LocalSession {
    connector: LocalConnector,
    base: PathBuf,
}

impl LocalSession {
    /// The directory that acts as the host's `/`.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }
}

#[async_trait]
impl Session for LocalSession {
    async fn run(&self, cx: Context, script: String, io: CommandIo) -> Result<Exit, SessionError> {
        let [shell, words @ ..] = self.connector.shell.as_slice() else {
            return Err(not_started(io::Error::from(io::ErrorKind::NotFound)));
        };
        let child = Command::new(shell)
            .args(words)
            .args(script_words(script))
            .current_dir(&self.base)
            .env_clear()
            .envs(self.connector.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(not_started)?;
        child::attend(cx, child, io).await
    }

    fn local_path(&self, path: &HostPath) -> Option<PathBuf> {
        Some(self.base.join(path.as_str().trim_start_matches('/')))
    }
}

/// The longest word that Linux starts a program with is 128 KiB with its end (`MAX_ARG_STRLEN`).
const LONGEST_WORD: usize = 128 * 1024 - 1;

/// What follows a shell's name so that it reads a script. A long one goes in parts, which the shell
/// puts together again; all together may have some 2 MB, or the shell is not started.
fn script_words(script: String) -> Vec<OsString> {
    if script.len() <= LONGEST_WORD {
        return vec!["-c".into(), script.into()];
    }
    let script = script.into_bytes();
    let parts = script.chunks(LONGEST_WORD).map(|part| OsString::from_vec(part.to_vec()));
    let names: String = (1..=parts.len()).map(|number| format!("${{{number}}}")).collect();
    let join = format!("set -- \"{names}\"; eval 'set --; '\"$1\"");
    ["-c".into(), join.into(), "sh".into()].into_iter().chain(parts).collect()
}

fn not_started(source: io::Error) -> SessionError {
    SessionError::NotStarted { source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_names_a_directory_and_nothing_else() {
        let base = |text: &str| base_of(&Endpoint::new(text).unwrap());
        assert_eq!(base("local:/srv/h1"), Some("/srv/h1".into()));
        assert_eq!(base("local:/srv/my%20host"), Some("/srv/my host".into()));
        assert_eq!(base("local:/"), Some("/".into()));
        assert_eq!(base("ssh://h"), None);
        assert_eq!(base("local:/a%00b"), None);
    }

    #[test]
    fn the_directory_acts_as_the_hosts_own_root() {
        let session =
            |base: &str| LocalSession { connector: LocalConnector::new(), base: base.into() };
        let path = HostPath::new("/srv/app").unwrap();
        assert_eq!(session("/h1").local_path(&path), Some("/h1/srv/app".into()));
        assert_eq!(session("/").local_path(&path), Some("/srv/app".into()));
    }
}
