//! Waking the thread of a session out of its waiting.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// Wakes one thread, at no cost while it is awake and told already.
#[derive(Debug)]
pub(crate) struct Waker {
    theirs: UnixStream,
    ours: UnixStream,
    armed: AtomicBool,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let (theirs, ours) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        ours.set_nonblocking(true)?;
        Ok(Self { theirs, ours, armed: AtomicBool::new(false) })
    }

    /// There is news. It was laid down before.
    pub(crate) fn wake(&self) {
        if self.armed.swap(false, Ordering::SeqCst) {
            // A full pipe wakes as well.
            let _ = (&self.theirs).write(&[0]);
        }
    }

    /// The thread looks for news after this; what comes later wakes it.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// It was woken.
    pub(crate) fn clear(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.ours).read(&mut bytes), Ok(read) if read == bytes.len()) {}
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}
