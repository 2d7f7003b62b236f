//! The socket in a state directory, by which the bot that has it open is reached. It is there for the
//! user whose bot it is, and for root.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::caller;
use crate::input::AnyError;

/// How long a line is at most, in bytes.
pub(crate) const LONGEST_LINE: u64 = 4 * 1024 * 1024;

fn path(directory: &Path) -> PathBuf {
    directory.join("bot.sock")
}

/// A listening socket; its file is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens in a state directory. Only who has the store of the directory open may do so: what is
    /// there of a bot that was killed is taken over.
    ///
    /// The socket is made where nobody else can reach it, and gets its name when its mode is set.
    pub(crate) fn bind(directory: &Path) -> io::Result<Self> {
        let mut private = tempfile::Builder::new();
        let private = private.prefix(".bot-").permissions(Permissions::from_mode(0o700));
        let private = private.tempdir_in(directory)?;
        let made = private.path().join("s");
        let listener = UnixListener::bind(&made)?;
        fs::set_permissions(&made, Permissions::from_mode(0o600))?;
        let path = path(directory);
        fs::rename(&made, &path)?;
        Ok(Self { listener, path })
    }

    /// Waits for the next caller. Cancel safety: safe.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // When it stays, it is taken over.
        let _ = fs::remove_file(&self.path);
    }
}

/// Connects to the bot that has a directory open; `None` when nobody listens there.
pub(crate) async fn connect(directory: &Path) -> Result<Option<UnixStream>, AnyError> {
    let path = path(directory);
    match UnixStream::connect(&path).await {
        Ok(stream) if peer(&stream)?.is_some() => Ok(Some(stream)),
        Ok(_) => Err(format!("{} belongs to another user's program", path.display()).into()),
        Err(error) => match error.kind() {
            // A bot that ends in this very moment resets the connection. A path that is too long for a
            // socket is one on which no bot can listen either.
            ErrorKind::NotFound
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::InvalidInput => Ok(None),
            _ => Err(format!("{}: {error}", path.display()).into()),
        },
    }
}

/// The user at the other end; `None` when it is neither this one nor root.
pub(crate) fn peer(stream: &UnixStream) -> io::Result<Option<u32>> {
    let uid = stream.peer_cred()?.uid();
    Ok(Some(uid).filter(|uid| [0, caller::own_uid()].contains(uid)))
}
