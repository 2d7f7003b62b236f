//! Answering other calls of the bot while this one has the state directory open.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::DeploymentId;
use deploy_core::{ControlNode, Sequence};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{RwLock, oneshot};
use tokio::task::JoinSet;

use crate::caller;
use crate::desk;
use crate::message::{Answer, Ask};
use crate::socket::{self, LONGEST_LINE, Socket};

/// How long a caller may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long those who have asked may still take to be answered when the bot ends.
const GRACE: Duration = Duration::from_secs(5);

/// How many callers are served at once.
const CALLERS: usize = 256;

/// Who is being answered at the moment, followers aside: each holds it for reading.
type Answering = Arc<RwLock<()>>;

/// Answers until it is dropped; then the socket is gone, and who is still being answered is cut off.
#[derive(Debug)]
pub(crate) struct Server {
    serving: JoinSet<()>,
    stop: oneshot::Sender<()>,
}

impl Server {
    /// Begins to answer for a node whose state directory this process has open.
    pub(crate) fn start(directory: &Path, node: ControlNode) -> io::Result<Self> {
        let socket = Socket::bind(directory)?;
        let mut serving = JoinSet::new();
        let (stop, stopped) = oneshot::channel();
        serving.spawn(serve(socket, node, stopped));
        Ok(Self { serving, stop })
    }

    /// Answers those who have asked, cuts off those who follow, and ends when the socket is gone.
    pub(crate) async fn stop(mut self) {
        // It is heard also when it is dropped.
        drop(self.stop);
        self.serving.join_next().await;
    }
}

async fn serve(socket: Socket, node: ControlNode, mut stopped: oneshot::Receiver<()>) {
    let mut callers = JoinSet::new();
    let answering = Answering::default();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = socket.accept() => match accepted {
                Ok(stream) if callers.len() < CALLERS => {
                    let (node, answering) = (node.clone(), Arc::clone(&answering));
                    callers.spawn(async move {
                        // Who has hung up needs no answer.
                        let _ = talk(stream, &node, &answering).await;
                    });
                }
                // It asks again.
                Ok(stream) => drop(stream),
                Err(error) => {
                    eprintln!("release_bot: a caller could not be answered: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            },
            Some(_) = callers.join_next() => {}
        }
    }
    drop(socket);
    // Nobody hears that a store is closed while what was asked for is done.
    let _nobody = tokio::time::timeout(GRACE, answering.write()).await;
    callers.shutdown().await;
}

/// Answers one caller.
async fn talk(stream: UnixStream, node: &ControlNode, answering: &Answering) -> io::Result<()> {
    let Some(uid) = socket::peer(&stream)? else { return Ok(()) };
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader.take(LONGEST_LINE));
    let mut line = String::new();
    let Ok(read) = tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await else {
        return Ok(());
    };
    read?;
    let asked = answering.read().await;
    let answer = match serde_json::from_str(&line) {
        Ok(Ask::Follow { deployment, after }) => {
            drop(asked);
            return tokio::select! {
                told = tell(&mut writer, node, deployment, after) => told,
                // A caller that has asked says nothing more, and hangs up at some time.
                _ = reader.read_u8() => Ok(()),
            };
        }
        Ok(ask) => desk::answer(node, ask, &caller::name_of(uid)).await,
        Err(error) => Answer::Refused { message: error.to_string(), bad_input: true },
    };
    write(&mut writer, &answer).await
}

/// Writes the events of a deployment up to its end.
async fn tell(
    writer: &mut OwnedWriteHalf,
    node: &ControlNode,
    deployment: DeploymentId,
    after: Sequence,
) -> io::Result<()> {
    let mut events = node.deployment(deployment).events(after);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => write(writer, &Answer::Event { event: Box::new(event) }).await?,
            Err(error) => return write(writer, &desk::refused(&error)).await,
        }
    }
    write(writer, &Answer::End).await
}

async fn write(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    writer.write_all(&line).await
}
