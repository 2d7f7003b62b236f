//! What stands for something else in a value: `~` and `%` with a letter.

use std::path::PathBuf;

use super::LocalUser;

/// What the letters stand for, when all else of a host is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tokens<'a> {
    /// The name that was asked for.
    pub(super) alias: &'a str,
    pub(super) host: &'a str,
    /// The name by which its key is known, or the one that was asked for.
    pub(super) key_alias: &'a str,
    pub(super) port: u16,
    pub(super) user: &'a str,
    pub(super) local: &'a LocalUser,
}

impl Tokens<'_> {
    /// A path: `~/` in front is the home directory, and all letters count.
    pub(super) fn path(&self, text: &str) -> Result<PathBuf, String> {
        let text = tilde(text, self.local)?;
        if text.contains("${") {
            return Err("${…}: the environment is not read".to_owned());
        }
        let filled = fill(&text, |letter| match letter {
            'k' => Some(self.key_alias.to_owned()),
            'd' => Some(self.local.home.display().to_string()),
            'u' => Some(self.local.name.clone()),
            letter => self.remote(letter),
        })?;
        Ok(PathBuf::from(filled))
    }

    /// A jump host: the letters that tell of the host count.
    pub(super) fn jump(&self, text: &str) -> Result<String, String> {
        fill(text, |letter| self.remote(letter))
    }

    fn remote(&self, letter: char) -> Option<String> {
        match letter {
            'h' => Some(self.host.to_owned()),
            'n' => Some(self.alias.to_owned()),
            'p' => Some(self.port.to_string()),
            'r' => Some(self.user.to_owned()),
            _ => None,
        }
    }
}

/// The name of a host: `%h` is the one that was asked for.
pub(super) fn host_name(text: &str, alias: &str) -> Result<String, String> {
    fill(text, |letter| (letter == 'h').then(|| alias.to_owned()))
}

/// Puts the home directory where `~/` stands in front. The homes of others are not known.
pub(super) fn tilde(text: &str, local: &LocalUser) -> Result<String, String> {
    match text.strip_prefix('~') {
        None => Ok(text.to_owned()),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            Ok(format!("{}{rest}", local.home.display()))
        }
        Some(_) => Err(format!("{text:?}: the home of another person is not known")),
    }
}

/// Puts in what the letters stand for; `%%` is a percent sign.
fn fill(text: &str, of: impl Fn(char) -> Option<String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            filled.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => filled.push('%'),
            Some(letter) => match of(letter) {
                Some(value) => filled.push_str(&value),
                None => return Err(format!("%{letter} in {text:?} is not supported here")),
            },
            None => return Err(format!("{text:?} ends in the middle of a placeholder")),
        }
    }
    Ok(filled)
}
