//! Attending to a child process: its three streams, its end, and the end of its process group.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};
use tokio_util::sync::CancellationToken;

use crate::connector::{CommandIo, Exit, SESSION_GRACE, SessionError};
use crate::context::Context;
use crate::pipe::{PipeReader, PipeWriter};

/// How much is read at once: what a Linux pipe holds.
const CHUNK: usize = 64 * 1024;

/// The most that a pipe can hold unless root made it larger. More than this was written after the
/// command's end, by what it left behind.
const LARGEST_PIPE: usize = 1024 * 1024;

/// Between TERM and KILL.
const TERM_TO_KILL: Duration = Duration::from_secs(5);

/// Carries a command's streams until it ends, and ends its group when the context says so.
pub(crate) async fn attend(
    cx: Context,
    mut child: Child,
    io: CommandIo,
) -> Result<Exit, SessionError> {
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(SessionError::Closed);
    };
    let stop = CancellationToken::new();
    let ended = CancellationToken::new();
    let waiting = async {
        let status = wait(&cx, &mut child, &group, &stop).await;
        ended.cancel();
        status
    };
    let feeding = async {
        tokio::select! {
            biased;
            () = ended.cancelled() => {}
            () = stop.cancelled() => {}
            () = feed(stdin, io.stdin) => {}
        }
    };
    let (status, (), (), ()) = tokio::join!(
        waiting,
        feeding,
        pass_on(stdout, io.stdout, &ended, tokio::process::ChildStdout::into_owned_fd),
        pass_on(stderr, io.stderr, &ended, tokio::process::ChildStderr::into_owned_fd),
    );
    group.leave();
    Ok(status.map_or(Exit::Unknown, exit_of))
}

/// Waits for the command's end. When the work must stop: the end of its input, TERM, KILL.
async fn wait(
    cx: &Context,
    child: &mut Child,
    group: &Group,
    stop: &CancellationToken,
) -> io::Result<ExitStatus> {
    let deadline = async {
        match cx.remaining() {
            Some(left) => tokio::time::sleep(left).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        status = child.wait() => return status,
        () = cx.cancel.cancelled() => {}
        () = deadline => {}
    }
    stop.cancel();
    if let Some(status) = within(SESSION_GRACE, child.wait()).await {
        return status;
    }
    group.signal(Signal::TERM);
    if let Some(status) = within(TERM_TO_KILL, child.wait()).await {
        return status;
    }
    group.signal(Signal::KILL);
    child.wait().await
}

async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(time, work).await.ok()
}

/// Passes on what the command is to read, as fast as it takes it. Its end closes the stream.
async fn feed(mut stdin: ChildStdin, mut from: PipeReader) {
    while let Some(chunk) = from.read().await {
        // A command that reads no more, or has ended, is no error here.
        if stdin.write_all(&chunk).await.is_err() {
            return;
        }
    }
}

/// Passes on what the command writes until it has ended; then what is there already, and no more.
async fn pass_on<S: AsyncRead + Unpin>(
    mut stream: S,
    to: PipeWriter,
    ended: &CancellationToken,
    into_fd: fn(S) -> io::Result<OwnedFd>,
) {
    let mut buffer = vec![0; CHUNK];
    loop {
        tokio::select! {
            biased;
            read = stream.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                // What nobody reads is dropped, and does not hold the command up.
                Ok(read) => { let _ = to.write(buffer[..read].to_vec()).await; }
            },
            () = ended.cancelled() => break,
        }
    }
    // Others may still hold the stream open, and write to it. What the command itself wrote is in
    // the pipe by now, so that is read without waiting, past the runtime, which may not know yet
    // that there is something to read.
    let Ok(fd) = into_fd(stream) else { return };
    let flags = rustix::fs::fcntl_getfl(&fd).map(|flags| flags | rustix::fs::OFlags::NONBLOCK);
    if flags.and_then(|flags| rustix::fs::fcntl_setfl(&fd, flags)).is_err() {
        return;
    }
    let mut file = File::from(fd);
    let mut left = LARGEST_PIPE;
    while left > 0 {
        match file.read(&mut buffer) {
            Ok(read) if read > 0 => {
                let _ = to.write(buffer[..read].to_vec()).await;
                left = left.saturating_sub(read);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return,
        }
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Exited(code),
        (None, Some(signal)) => Exit::Signalled(format!("signal {signal}")),
        (None, None) => Exit::Unknown,
    }
}

/// A process group, killed when it is dropped before its leader was seen to end.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended in the meantime.
            let _ = kill_process_group(group, signal);
        }
    }

    /// The leader has ended: what it left behind stays, as it does on any host.
    fn leave(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
