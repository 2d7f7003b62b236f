//! Sending the events of a task as they happen.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap};
use axum::http::{HeaderValue, Response};
use bytes::Bytes;
use deploy_core::{Event, EventStream, NodeError, Phase, Sequence, TaskState};
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::wire::problem::{Problem, ProblemKind};
use crate::wire::{EVENT_STREAM, LAST_EVENT_ID, sse};

/// How long a stream stays silent at most, so that both sides know that the other lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many events wait for a slow reader at most.
const WAITING: usize = 16;

/// A body that sends events; between them, now and then, a sign of life.
#[derive(Debug)]
struct EventBody(mpsc::Receiver<Result<Bytes, NodeError>>);

impl EventBody {
    /// Sends a task's events up to its end.
    fn new(events: EventStream) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            tokio::select! {
                // The reader went away.
                () = sender.closed() => {}
                () = pump(events, &sender) => {}
            }
        });
        Self(receiver)
    }
}

/// The number of the last event that the asker has seen.
pub(super) fn last_event(headers: &HeaderMap) -> Result<Sequence, Box<Problem>> {
    let Some(last) = headers.get(LAST_EVENT_ID) else { return Ok(Sequence::START) };
    let last = last.to_str().ok().and_then(|last| last.parse().ok());
    last.map(Sequence::new).ok_or_else(|| {
        Problem::new(ProblemKind::Malformed).with_detail("Last-Event-ID is the number of an event")
    })
}

/// The stream of a task's events after a number. Where it has none of this number, the asker has seen
/// another journal, and the rest of that never comes: it is unknown then, in the API's own word.
pub(super) fn stream(
    known: &TaskState,
    after: Sequence,
    events: impl FnOnce() -> EventStream,
    unknown: ProblemKind,
) -> Result<Response<Body>, Box<Problem>> {
    if after > known.last {
        return Err(Problem::new(unknown).with_detail("no event of this number is known of it"));
    }
    let body = if after == known.last && known.phase == Phase::Finished {
        Body::empty()
    } else {
        Body::new(EventBody::new(events()))
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn pump(mut events: EventStream, sender: &mpsc::Sender<Result<Bytes, NodeError>>) {
    loop {
        let piece = match tokio::time::timeout(KEEP_ALIVE, events.next()).await {
            Err(_silence) => Ok(Bytes::from_static(sse::KEEP_ALIVE.as_bytes())),
            Ok(None) => return,
            Ok(Some(Ok(event))) => Ok(written(&event)),
            // The stream breaks off, and the reader comes back for the rest.
            Ok(Some(Err(error))) => Err(error),
        };
        let broken = piece.is_err();
        if sender.send(piece).await.is_err() || broken {
            return;
        }
    }
}

fn written(event: &Event) -> Bytes {
    // An event is a table with text keys.
    let data = serde_json::to_string(event).unwrap_or_default();
    sse::format(event.sequence.number(), event.fact.name(), &data).into()
}

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = NodeError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NodeError>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
