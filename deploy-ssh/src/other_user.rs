//! Running commands as another user than the one who logs in.

use deploy_core::Secret;

use crate::bootstrap::BOOT;

/// Runs commands as another user of the host, by `sudo` or by `su`.
///
/// The whole script runs as that user, and is signalled as that user. A password goes over standard
/// input; it stands on no command line, in no environment and in no file.
#[derive(Clone, Debug)]
pub struct Become {
    by: Program,
    user: String,
    password: Option<Secret>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Sudo,
    Su,
}

impl Become {
    /// Runs commands as `user` by `sudo`, which must ask for no password unless one is
    /// [set](Self::with_password).
    #[must_use]
    pub fn sudo(user: impl Into<String>) -> Self {
        Self { by: Program::Sudo, user: user.into(), password: None }
    }

    /// Runs commands as `user` by `su`, which asks root for nothing. Everybody else needs the
    /// [password](Self::with_password) of that user, and a `su` that reads it from standard input: that of
    /// util-linux does, those of the BSDs want a terminal.
    #[must_use]
    pub fn su(user: impl Into<String>) -> Self {
        Self { by: Program::Su, user: user.into(), password: None }
    }

    /// Sets the password, which is sent whether or not it is asked for: in most set-ups `sudo` asks for
    /// that of the user who logs in, and `su` for that of the user to become.
    #[must_use]
    pub fn with_password(mut self, password: Secret) -> Self {
        self.password = Some(password);
        self
    }

    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let user = !self.user.is_empty() && !self.user.starts_with('-');
        if !user || !self.user.chars().all(plain) {
            return Some("the user to become is a plain name");
        }
        let refused = |password: &Secret| {
            let password = password.expose();
            password.contains(['\n', '\0']) || password.starts_with(BOOT)
        };
        let refused = self.password.as_ref().is_some_and(refused);
        refused.then_some("the password for becoming another user is one line")
    }

    pub(crate) fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The line by which the password is given.
    pub(crate) fn password_line(&self) -> Option<Vec<u8>> {
        Some([self.password.as_ref()?.expose().as_bytes(), b"\n"].concat())
    }

    /// The words that have `/bin/sh` run a program as that user. The program holds no single quote.
    pub(crate) fn command(&self, program: &str) -> String {
        let user = &self.user;
        match (self.by, &self.password) {
            (Program::Sudo, None) => format!("sudo -n -u {user} -- /bin/sh -c '{program}'"),
            (Program::Sudo, Some(_)) => {
                format!("sudo -S -p \"\" -u {user} -- /bin/sh -c '{program}'")
            }
            (Program::Su, _) => format!("su -s /bin/sh {user} -c '{program}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_a_plain_name_and_the_password_a_line() {
        assert_eq!(Become::sudo("web-1.x_y").fault(), None);
        for bad in ["", "-u", "a b", "a;b", "$x", "a'b"] {
            assert!(Become::sudo(bad).fault().is_some(), "{bad}");
            assert!(Become::su(bad).fault().is_some(), "{bad}");
        }
        for bad in ["a\nb", "a\0b", "deploy-boot rm"] {
            assert!(Become::su("root").with_password(Secret::new(bad)).fault().is_some());
        }
    }

    #[test]
    fn the_password_stands_on_no_command_line() {
        for other in [Become::sudo("root"), Become::su("root")] {
            let other = other.with_password(Secret::new("canary"));
            let line = other.command("true");
            assert!(line.contains(" root ") && line.ends_with(" -c 'true'"), "{line}");
            assert!(!line.contains("canary") && !format!("{other:?}").contains("canary"));
        }
    }
}
