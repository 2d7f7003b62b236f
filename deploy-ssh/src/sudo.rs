//! Running commands as another user than the one who logs in.

use deploy_core::Secret;

/// Runs commands as another user of the host.
///
/// The whole script runs as that user. `su` is not offered: it wants a terminal for its password.
#[derive(Clone, Debug)]
pub struct Become {
    user: String,
    password: Option<Secret>,
}

impl Become {
    /// Runs commands as `user` by `sudo`, which must ask for no password.
    #[must_use]
    pub fn sudo(user: impl Into<String>) -> Self {
        Self { user: user.into(), password: None }
    }

    /// Sets the password that `sudo` asks for: in most set-ups that of the user who logs in. It goes
    /// over standard input, and stands on no command line.
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
            password.contains(['\n', '\0']) || password.starts_with(": deploy-boot;")
        };
        let refused = self.password.as_ref().is_some_and(refused);
        refused.then_some("the password for sudo is one line")
    }

    pub(crate) fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The line by which the password is given.
    pub(crate) fn password_line(&self) -> Option<Vec<u8>> {
        Some([self.password.as_ref()?.expose().as_bytes(), b"\n"].concat())
    }

    /// What stands before a command.
    pub(crate) fn prefix(&self) -> String {
        let how = if self.password.is_some() { "-S -p \"\"" } else { "-n" };
        format!("sudo {how} -u {} -- ", self.user)
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
        }
        for bad in ["a\nb", "a\0b", ": deploy-boot; rm"] {
            assert!(Become::sudo("root").with_password(Secret::new(bad)).fault().is_some());
        }
    }

    #[test]
    fn the_password_stands_on_no_command_line() {
        let other = Become::sudo("root").with_password(Secret::new("canary"));
        assert_eq!(other.prefix(), "sudo -S -p \"\" -u root -- ");
        assert!(!format!("{other:?}").contains("canary"));
    }
}
