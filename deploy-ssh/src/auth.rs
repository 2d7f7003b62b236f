//! How we prove to a host who we are.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use deploy_core::Secret;

/// One way to prove who we are. Those of a connector are tried in the order in which they were given.
#[derive(Clone, Debug)]
pub struct Auth(pub(crate) Method);

#[derive(Clone)]
pub(crate) enum Method {
    KeyFile { path: PathBuf, passphrase: Option<Secret> },
    Key { key: Secret, passphrase: Option<Secret> },
    Agent { socket: PathBuf },
    Password(Secret),
    Interactive(Answers),
}

pub(crate) type Answers = Arc<dyn Fn(&Question<'_>) -> Secret + Send + Sync>;

/// What a host asks in keyboard-interactive authentication.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Question<'a> {
    /// Its text, such as `Password: `.
    pub text: &'a str,
    /// Whether the answer may be shown.
    pub is_public: bool,
}

impl Auth {
    /// A private key in a file, in OpenSSH's or PEM format. It is read at each login. A key of RSA is
    /// offered for SHA-512, and where it is not accepted so, for SHA-256: that may take two of the tries
    /// that a server allows.
    #[must_use]
    pub fn key_file(path: impl Into<PathBuf>) -> Self {
        Self(Method::KeyFile { path: path.into(), passphrase: None })
    }

    /// A private key in a file that is encrypted with a passphrase.
    #[must_use]
    pub fn encrypted_key_file(path: impl Into<PathBuf>, passphrase: Secret) -> Self {
        Self(Method::KeyFile { path: path.into(), passphrase: Some(passphrase) })
    }

    /// A private key, in OpenSSH's or PEM format.
    #[must_use]
    pub fn key(key: Secret) -> Self {
        Self(Method::Key { key, passphrase: None })
    }

    /// A private key that is encrypted with a passphrase.
    #[must_use]
    pub fn encrypted_key(key: Secret, passphrase: Secret) -> Self {
        Self(Method::Key { key, passphrase: Some(passphrase) })
    }

    /// The keys of an ssh-agent, which listens on this socket: the first 5 of them, because servers
    /// break off after 6 tries. The agent is never forwarded.
    #[must_use]
    pub fn agent(socket: impl Into<PathBuf>) -> Self {
        Self(Method::Agent { socket: socket.into() })
    }

    /// A password.
    #[must_use]
    pub fn password(password: Secret) -> Self {
        Self(Method::Password(password))
    }

    /// A password, as the answer to whatever the host asks in keyboard-interactive authentication:
    /// what servers with PAM use for passwords.
    #[must_use]
    pub fn interactive_password(password: Secret) -> Self {
        Self::interactive(move |_| password.clone())
    }

    /// Answers to what the host asks in keyboard-interactive authentication, such as one-time
    /// passwords. It is called in a thread that may block.
    #[must_use]
    pub fn interactive(answer: impl Fn(&Question<'_>) -> Secret + Send + Sync + 'static) -> Self {
        Self(Method::Interactive(Arc::new(answer)))
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What people read when it did not work. It shows no secret.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyFile { path, .. } => write!(f, "the key {}", path.display()),
            Self::Key { .. } => f.write_str("a key"),
            Self::Agent { socket } => write!(f, "the agent {}", socket.display()),
            Self::Password(_) => f.write_str("a password"),
            Self::Interactive(_) => f.write_str("answers to questions"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let canary = || Secret::new("canary");
        for auth in [
            Auth::encrypted_key_file("/k", canary()),
            Auth::encrypted_key(canary(), canary()),
            Auth::password(canary()),
            Auth::interactive_password(canary()),
        ] {
            assert!(!format!("{auth:?}").contains("canary"), "{auth:?}");
        }
    }
}
