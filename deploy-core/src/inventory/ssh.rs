//! How hosts are reached over SSH: the table `[ssh]` of an inventory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::InventoryError;
use super::entry::one_or_more;
use crate::document::{Decode, Invalid, Node, Table, deserialize_by_decode};
use crate::model::Endpoint;
use crate::secret::Secret;

/// How hosts are reached over SSH, where their endpoints do not say it. Plain data: whoever makes
/// the connections reads it. It holds no secret, but may name files that do.
///
/// Paths are relative to the inventory's directory in the document, and complete once the inventory
/// was [loaded](super::Inventory::load) from a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SshSettings {
    /// Who logs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The files with private keys, in the order in which they are tried. Written as one or as a list.
    #[serde(rename = "identity", skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<PathBuf>,
    /// The file with the passphrase of the keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// The file with the password to log in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The files with the keys of the hosts. Written as one or as a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_hosts: Vec<PathBuf>,
    /// An ssh config, which says more of single hosts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// The hosts to go through, from the nearest to the last. Written as one or as a list.
    #[serde(rename = "jump", skip_serializing_if = "Vec::is_empty")]
    pub jumps: Vec<Endpoint>,
    /// The user to become on the host, by sudo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sudo: Option<String>,
    /// The file with the password that sudo asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sudo_password_file: Option<PathBuf>,
    /// The user to become on the host, by su: in the place of `sudo`, not beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub su: Option<String>,
    /// The file with the password of that user, which su asks for unless root logs in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub su_password_file: Option<PathBuf>,
}

/// The secrets that the files of an [`SshSettings`] hold.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SshSecrets {
    /// The passphrase of the keys.
    pub passphrase: Option<Secret>,
    /// The password to log in with.
    pub password: Option<Secret>,
    /// The password that sudo asks for.
    pub sudo_password: Option<Secret>,
    /// The password that su asks for.
    pub su_password: Option<Secret>,
}

impl SshSettings {
    /// Reads the files that hold secrets. A line's end at their end is not part of them.
    ///
    /// # Errors
    ///
    /// [`InventoryError::Unreadable`] for the first file that cannot be read or is empty.
    pub fn secrets(&self) -> Result<SshSecrets, InventoryError> {
        let read = |path: &Option<PathBuf>| path.as_deref().map(secret).transpose();
        Ok(SshSecrets {
            passphrase: read(&self.passphrase_file)?,
            password: read(&self.password_file)?,
            sudo_password: read(&self.sudo_password_file)?,
            su_password: read(&self.su_password_file)?,
        })
    }

    /// Completes the paths.
    pub(super) fn relative_to(&mut self, directory: &Path) {
        let files = [
            &mut self.passphrase_file,
            &mut self.password_file,
            &mut self.config,
            &mut self.sudo_password_file,
            &mut self.su_password_file,
        ];
        let lists = self.identities.iter_mut().chain(&mut self.known_hosts);
        for path in files.into_iter().flatten().chain(lists) {
            *path = directory.join(&*path);
        }
    }
}

fn secret(path: &Path) -> Result<Secret, InventoryError> {
    let unreadable =
        |source| InventoryError::Unreadable { path: path.display().to_string(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(unreadable(io::Error::other("the file of a secret is empty")));
    }
    Ok(Secret::new(line))
}

impl Decode for SshSettings {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let user = table.optional("user");
        let identities = some_or_none::<FilePath>(&mut table, "identity");
        let passphrase_file = file(&mut table, "passphrase_file");
        let password_file = file(&mut table, "password_file");
        let known_hosts = some_or_none::<FilePath>(&mut table, "known_hosts");
        let config = file(&mut table, "config");
        let jumps = some_or_none::<Jump>(&mut table, "jump");
        let sudo = table.optional("sudo");
        let sudo_password_file = file(&mut table, "sudo_password_file");
        let su = table.optional("su");
        let su_password_file = file(&mut table, "su_password_file");
        for (key, value, needs, needed) in [
            ("passphrase_file", &passphrase_file, "identity", given(identities.as_ref())),
            ("sudo_password_file", &sudo_password_file, "sudo", !matches!(sudo, Some(None))),
            ("su_password_file", &su_password_file, "su", !matches!(su, Some(None))),
        ] {
            if matches!(value, Some(Some(_))) && !needed {
                table.fault(key, "a file", format!("none without the key {needs}"));
            }
        }
        if matches!((&sudo, &su), (Some(Some(_)), Some(Some(_)))) {
            table.fault("su", "a user", "none beside the key sudo".to_owned());
        }
        table.finish();
        let text = |UserName(name)| name;
        Some(Self {
            user: user?.map(text),
            identities: identities?.into_iter().map(|FilePath(path)| path).collect(),
            passphrase_file: passphrase_file?,
            password_file: password_file?,
            known_hosts: known_hosts?.into_iter().map(|FilePath(path)| path).collect(),
            config: config?,
            jumps: jumps?.into_iter().map(|Jump(endpoint)| endpoint).collect(),
            sudo: sudo?.map(text),
            sudo_password_file: sudo_password_file?,
            su: su?.map(text),
            su_password_file: su_password_file?,
        })
    }
}

/// A list that may be absent, but not empty.
fn some_or_none<T: Decode>(table: &mut Table<'_>, key: &'static str) -> Option<Vec<T>> {
    let found: Option<Vec<T>> = one_or_more(table, key)?;
    if found.as_ref().is_some_and(Vec::is_empty) {
        table.fault(key, "an empty list", "at least one, or no such key");
        return None;
    }
    Some(found.unwrap_or_default())
}

/// Whether a list is there, or at fault anyhow.
fn given<T>(list: Option<&Vec<T>>) -> bool {
    list.is_none_or(|list| !list.is_empty())
}

fn file(table: &mut Table<'_>, key: &'static str) -> Option<Option<PathBuf>> {
    table.optional(key).map(|path| path.map(|FilePath(path)| path))
}

/// The path of a file of this machine.
struct FilePath(PathBuf);

impl Decode for FilePath {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let text = node.text()?;
        if text.is_empty() || text.starts_with('~') || text.contains('\0') {
            // The environment is not read, so nobody knows what ~ would stand for.
            return node.refuse("a path, absolute or relative to the inventory, without ~");
        }
        Some(Self(PathBuf::from(text)))
    }
}

/// The name of a user on a host.
struct UserName(String);

impl Decode for UserName {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let text = node.text()?;
        let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let plain = |c: char| first(c) || "-.@+".contains(c);
        if text.len() <= 64 && text.starts_with(first) && text.chars().all(plain) {
            return Some(Self(text.to_owned()));
        }
        node.refuse(
            "a user's name: 1 to 64 of the characters A-Z, a-z, 0-9, '_', '-', '.', '@' and '+'",
        )
    }
}

/// A host to go through.
struct Jump(Endpoint);

impl Decode for Jump {
    fn decode(node: &Node<'_>) -> Option<Self> {
        match node.text()?.parse::<Endpoint>() {
            Ok(endpoint)
                if endpoint.scheme() == "ssh" && matches!(endpoint.url().path(), "" | "/") =>
            {
                Some(Self(endpoint))
            }
            // It may hold a password, so it is not repeated.
            _ => {
                let allowed = "an endpoint such as \"ssh://user@host:22\", without a password";
                node.invalid(Invalid { found: "another text".to_owned(), allowed: allowed.into() })
            }
        }
    }
}

deserialize_by_decode!(SshSettings);
