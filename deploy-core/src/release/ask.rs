//! Asking a monitoring address once: from the node, or from the host itself over its session.

use std::sync::Arc;

use uuid::Uuid;

use super::host_answer::answer_of;
use super::script::ask_script;
use crate::connector::{CommandIo, Exit, Session};
use crate::context::Context;
use crate::failure::{Failure, FailureCode};
use crate::pipe::{PipeReader, pipe};
use crate::prober::{ProbeAnswer, ProbeError, ProbeQuestion, Prober};
use crate::release_step::Step;

/// How much of an answer's head is looked at, and of what the tool says of itself.
const HEAD: usize = 64 * 1024;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Asker {
    /// The node.
    Node(Arc<dyn Prober>),
    /// The host.
    Host(Arc<dyn Session>),
}

/// Why no answer came.
#[derive(Debug)]
pub(crate) enum AskError {
    /// None came this time.
    Failed(ProbeError),
    /// None ever will.
    Hopeless(Failure),
}

impl Asker {
    /// Asks once. Cancel safety: dropping the future ends what was begun.
    pub(crate) async fn ask(
        &self,
        cx: Context,
        question: ProbeQuestion,
    ) -> Result<ProbeAnswer, AskError> {
        match self {
            Self::Node(prober) => prober.probe(cx, question).await.map_err(AskError::Failed),
            Self::Host(session) => ask_host(&**session, cx, question).await,
        }
    }
}

async fn ask_host(
    session: &dyn Session,
    cx: Context,
    question: ProbeQuestion,
) -> Result<ProbeAnswer, AskError> {
    let nonce = Uuid::now_v7().simple().to_string();
    let wanted = question.max_body + HEAD;
    let script = ask_script(&question, wanted, &nonce).map_err(|nul| {
        let failure = Failure::of(FailureCode::Invalid, &nul);
        AskError::Hopeless(failure.with_step(Step::Probe))
    })?;
    let (stdout, answered) = pipe(1);
    let (stderr, said) = pipe(1);
    let io = CommandIo::new(PipeReader::empty(), stdout, stderr);
    let (exit, answered, said) = tokio::join!(
        session.run(cx, script, io),
        beginning(answered, wanted),
        beginning(said, HEAD)
    );
    let unreachable =
        |reason: String| AskError::Failed(ProbeError::Unreachable { source: reason.into() });
    match exit {
        Ok(Exit::Exited(_)) => answer_of(&answered, &said, &nonce, question.max_body),
        Ok(exit) => Err(unreachable(format!("asking from the host broke off: {exit:?}"))),
        Err(error) => Err(AskError::Failed(ProbeError::Unreachable { source: error.into() })),
    }
}

/// The first bytes of a stream, which is read to its end.
async fn beginning(mut from: PipeReader, most: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    while let Some(chunk) = from.read().await {
        let room = most - kept.len();
        kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    kept
}
