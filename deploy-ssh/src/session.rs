//! An open session on a host.

use std::fmt;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use deploy_core::{
    CommandIo, Context, Exit, PipeReader, PipeWriter, SESSION_GRACE, Session, SessionError,
};
use tokio::sync::{mpsc, oneshot};

use crate::bootstrap::{Marks, Nonces, command_line, preamble};
use crate::other_user::Become;
use crate::transport::{CommandOrder, Ended, Link, Order, Waker};

/// How many chunks of output wait between the thread and a pipe, each of 64 KiB at most.
const CHUNKS: usize = 2;

/// How many chunks of input wait for the thread. They are as large as whoever writes makes them, and one
/// more waits in [`feed`].
const INPUT_CHUNKS: usize = 1;

/// Between TERM and KILL, and between KILL and giving the connection up.
const PATIENCE: Duration = Duration::from_secs(5);

/// A session on a host, over one SSH connection. Commands may run in it at the same time.
///
/// The connection ends when the session is dropped.
pub struct SshSession {
    link: Link,
    host: String,
    other: Option<Become>,
}

impl fmt::Debug for SshSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshSession").field("host", &self.host).finish_non_exhaustive()
    }
}

impl SshSession {
    pub(crate) fn new(link: Link, host: String, other: Option<Become>) -> Self {
        Self { link, host, other }
    }

    /// Has a script started: what carries its streams and tells its end.
    fn start(&self, script: &str) -> Result<Started<'_>, SessionError> {
        if script.contains('\0') {
            let nul = io::Error::new(io::ErrorKind::InvalidInput, "the script holds a NUL");
            return Err(not_started(nul));
        }
        let nonces = Nonces::new().map_err(not_started)?;
        let marks = || Marks::new(&nonces.start, &nonces.end);
        let (stdin, their_stdin) = mpsc::channel(INPUT_CHUNKS);
        let (their_stdout, stdout) = mpsc::channel(CHUNKS);
        let (their_stderr, stderr) = mpsc::channel(CHUNKS);
        let (said, ended) = oneshot::channel();
        let id = self.link.number();
        let other = self.other.as_ref();
        let order = Order::Run(Box::new(CommandOrder {
            id,
            line: command_line(other),
            preamble: preamble(other, &nonces, script),
            marks: [marks(), marks()],
            stdin: their_stdin,
            outputs: [their_stdout, their_stderr],
            ended: said,
            other: other.cloned(),
        }));
        if !self.link.order(order) {
            return Err(SessionError::Closed);
        }
        Ok(Started {
            running: Running { link: &self.link, id: Some(id) },
            stdin,
            stdout,
            stderr,
            ended,
        })
    }
}

#[async_trait]
impl Session for SshSession {
    async fn run(&self, cx: Context, script: String, io: CommandIo) -> Result<Exit, SessionError> {
        let Started { mut running, stdin, stdout, stderr, ended } = self.start(&script)?;
        drop(script);
        let waker = self.link.waker();
        let (over, mut until) = oneshot::channel::<()>();
        let waiting = async {
            let ended = running.wait(&cx, ended).await;
            drop(over);
            ended
        };
        let feeding = async {
            tokio::select! {
                biased;
                _ = &mut until => {}
                () = cx.cancel.cancelled() => {}
                () = feed(stdin, io.stdin, &waker) => {}
            }
            waker.wake();
        };
        let (ended, (), (), ()) = tokio::join!(
            waiting,
            feeding,
            pass_on(stdout, io.stdout, &waker),
            pass_on(stderr, io.stderr, &waker),
        );
        ended
    }
}

/// A command that was handed to the thread.
struct Started<'a> {
    running: Running<'a>,
    stdin: mpsc::Sender<Vec<u8>>,
    stdout: mpsc::Receiver<Vec<u8>>,
    stderr: mpsc::Receiver<Vec<u8>>,
    ended: oneshot::Receiver<Ended>,
}

/// A command that runs. When it is dropped before its end, its process group is killed.
struct Running<'a> {
    link: &'a Link,
    id: Option<u64>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

impl Running<'_> {
    fn signal(&self, signal: &'static str) {
        if let Some(id) = self.id {
            self.link.order(Order::Signal(id, signal));
        }
    }

    /// Waits for the end. When the work must stop: the end of the input, TERM, KILL, and the end of
    /// the connection.
    async fn wait(
        &mut self,
        cx: &Context,
        mut ended: oneshot::Receiver<Ended>,
    ) -> Result<Exit, SessionError> {
        let said = tokio::select! {
            biased;
            said = &mut ended => said,
            () = must_stop(cx) => self.stop(&mut ended).await,
        };
        self.id = None;
        match said {
            Ok(Ok(exit)) => Ok(exit),
            Ok(Err(why)) => Err(not_started(io::Error::other(why))),
            Err(_) => Err(SessionError::Closed),
        }
    }

    async fn stop(
        &self,
        ended: &mut oneshot::Receiver<Ended>,
    ) -> Result<Ended, oneshot::error::RecvError> {
        if let Some(id) = self.id {
            self.link.order(Order::CutInput(id));
        }
        for (patience, signal) in [(SESSION_GRACE, "TERM"), (PATIENCE, "KILL")] {
            if let Ok(said) = tokio::time::timeout(patience, &mut *ended).await {
                return said;
            }
            self.signal(signal);
        }
        if let Ok(said) = tokio::time::timeout(PATIENCE, &mut *ended).await {
            return said;
        }
        self.link.sever();
        ended.await
    }
}

/// Ends when the work is cancelled or its deadline has passed.
async fn must_stop(cx: &Context) {
    tokio::select! {
        () = cx.cancel.cancelled() => {}
        () = cx.deadline_passed() => {}
    }
}

/// Hands the thread what the command is to read, as fast as the host takes it. The end is the end.
async fn feed(to: mpsc::Sender<Vec<u8>>, mut from: PipeReader, waker: &Waker) {
    while let Some(chunk) = from.read().await {
        // A command that has ended reads no more.
        if !chunk.is_empty() && to.send(chunk).await.is_err() {
            return;
        }
        waker.wake();
    }
}

/// Passes on what the command writes.
async fn pass_on(mut from: mpsc::Receiver<Vec<u8>>, to: PipeWriter, waker: &Waker) {
    while let Some(chunk) = from.recv().await {
        waker.wake();
        if to.write(chunk).await.is_err() {
            // What nobody reads is dropped, and does not hold the command up.
            from.close();
        }
    }
    waker.wake();
}

fn not_started(source: io::Error) -> SessionError {
    SessionError::NotStarted { source: Box::new(source) }
}
