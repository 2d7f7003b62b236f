//! Confirming a release over a new connection, and hearing what became of it.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::job::Job;
use super::marker::{Ending, Marker};
use super::reader::{Heard, MarkerReader};
use super::script::confirm_script;
use crate::connector::{CommandIo, Exit, Session};
use crate::context::Context;
use crate::model::{ReleaseId, Target};
use crate::pipe::{PipeReader, pipe};

/// Between two connections that did not come about.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the host may take to its end after the last moment at which a confirmation could come.
const REST: Duration = Duration::from_secs(60);

/// What proves that a confirmation is meant for a run, and where that runs.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(crate) run: String,
    pub(crate) token: String,
    /// The project's root as the shell on the host sees it.
    pub(crate) root: String,
}

/// Opens new sessions until one has confirmed the release, and says whether the host serves it then, as a
/// good one. A host that has not heard of it in time has gone back. Cancel safety: dropping the future
/// closes the session.
pub(crate) async fn confirm(cx: Context, job: &Job, target: &Target, pass: &Pass) -> bool {
    let window = job.task.release.confirm.unwrap_or_default();
    let until = Instant::now() + window + REST;
    let confirming = async {
        loop {
            if let Ok(session) = job.connector.connect(cx.clone(), target.clone()).await
                && let Some(serves) = run(&*session, &cx, job, pass).await
            {
                return serves;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout_at(until, confirming).await.unwrap_or(false)
}

/// One session's words: whether the host serves the release; none when they did not come to their end.
async fn run(session: &dyn Session, cx: &Context, job: &Job, pass: &Pass) -> Option<bool> {
    let nonce = Uuid::now_v7().simple().to_string();
    let script = confirm_script(pass, &job.task, &nonce).ok()?;
    let (stdout, mut said) = pipe(1);
    let (stderr, mut complained) = pipe(1);
    let io = CommandIo::new(PipeReader::empty(), stdout, stderr);
    let hearing = async {
        let mut reader = MarkerReader::new(&nonce);
        let mut markers = Vec::new();
        while let Some(chunk) = said.read().await {
            for heard in reader.take(&chunk) {
                if let (Heard::Marker(marker), true) = (heard, markers.len() < 2) {
                    markers.push(marker);
                }
            }
        }
        markers
    };
    let ignoring = async { while complained.read().await.is_some() {} };
    let (exit, markers, ()) = tokio::join!(session.run(cx.clone(), script, io), hearing, ignoring);
    let ended = Marker::Ended(0, Ending::Checked);
    if !matches!(exit, Ok(Exit::Exited(0))) || markers.last() != Some(&ended) {
        return None;
    }
    let release = ReleaseId::from(&job.task.deployment);
    Some(markers.contains(&Marker::Serves(Some(release))))
}
