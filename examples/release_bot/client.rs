//! Asking the bot that has a state directory open, or the directory itself when none has.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deploy_core::ControlNode;
use deploy_examples::wiring;
use deploy_queue::OpenError;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::input::{AnyError, BadInput, Drifted};
use crate::message::{Answer, Ask};
use crate::{caller, desk, socket};

/// How long is waited for a program that has the directory open and is not to be talked to: one that
/// has just begun, or asks after something as this one does.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// The same, for a bot that ends: it lets come to their end the hosts that are being done.
pub(crate) const ENDING: Duration = Duration::from_secs(60);

/// How often the same is asked when the other side hangs up.
const TRIES: usize = 5;

/// How often it is looked whether a directory is free.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A state directory, reached.
#[derive(Debug)]
pub(crate) enum Reached<T> {
    /// A bot has it open.
    Bot(Call),
    /// Nobody else had it open; we have.
    Free(T),
}

/// Reaches a state directory: calls the bot that has it open, or opens it.
pub(crate) async fn reach<T>(
    directory: &Path,
    patience: Duration,
    open: impl AsyncFn() -> Result<T, AnyError>,
) -> Result<Reached<T>, AnyError> {
    let begun = Instant::now();
    loop {
        if let Some(stream) = socket::connect(directory).await? {
            return Ok(Reached::Bot(Call::new(stream)));
        }
        match open().await {
            Ok(open) => return Ok(Reached::Free(open)),
            // There is nothing that could be awaited: locks of other processes say nothing.
            Err(error) if is_locked(&error) && begun.elapsed() < patience => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Calls the bot that has a directory open once more.
pub(crate) async fn call(directory: &Path) -> Result<Option<Call>, AnyError> {
    Ok(socket::connect(directory).await?.map(Call::new))
}

fn is_locked(error: &AnyError) -> bool {
    matches!(error.downcast_ref(), Some(OpenError::Locked { .. }))
}

/// What is answered, and whether a bot did: one that acts on it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) by_bot: bool,
}

/// Asks for what has one answer.
pub(crate) async fn ask(directory: &Path, ask: &Ask) -> Result<Answered, AnyError> {
    if !wiring::store_path(directory).is_dir() {
        let shown = directory.display();
        return Err(BadInput::new(format!("{shown} is not the state directory of a bot")).into());
    }
    let mut patience = SOON;
    for _ in 0..TRIES {
        match reach(directory, patience, async || Ok(wiring::store(directory).await?)).await? {
            Reached::Bot(mut call) => match call.ask(ask).await {
                Some(answer) => return refuse(Answered { answer, by_bot: true }),
                None => patience = ENDING,
            },
            Reached::Free(store) => {
                let store = Arc::new(store);
                let node = ControlNode::builder().queue(Arc::clone(&store)).journal(store);
                let node = node.build_at_rest().await?;
                let who = caller::name_of(caller::own_uid());
                let answer = desk::answer(&node, ask.clone(), &who).await;
                node.shutdown().await;
                return refuse(Answered { answer, by_bot: false });
            }
        }
    }
    Err("the bot that has the state directory open hangs up".into())
}

/// A refusal is an error.
fn refuse(answered: Answered) -> Result<Answered, AnyError> {
    match answered.answer {
        Answer::Refused { .. } | Answer::Drifted { .. } => Err(refusal(answered.answer)),
        _ => Ok(answered),
    }
}

/// What a refusal is as an error.
pub(crate) fn refusal(answer: Answer) -> AnyError {
    match answer {
        Answer::Refused { message, bad_input: true } => BadInput::new(message).into(),
        Answer::Refused { message, bad_input: false } => message.into(),
        Answer::Drifted { drifts } => Drifted(drifts).into(),
        _ => "the bot that has the state directory open answers something else".into(),
    }
}

/// A call to a bot.
#[derive(Debug)]
pub(crate) struct Call {
    answers: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Call {
    fn new(stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { answers: BufReader::new(reader).lines(), writer }
    }

    /// Asks, and gives the first answer; `None` when the other side hangs up.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> Option<Answer> {
        self.say(ask).await.ok()?;
        self.next().await
    }

    /// Asks for what has many answers.
    pub(crate) async fn say(&mut self, ask: &Ask) -> io::Result<()> {
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        self.writer.write_all(&line).await
    }

    /// The next answer; `None` when the other side has hung up, or says what is none. Cancel safety:
    /// safe.
    pub(crate) async fn next(&mut self) -> Option<Answer> {
        let line = self.answers.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }
}
