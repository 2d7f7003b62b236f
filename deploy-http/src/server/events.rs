//! Sending the events of a task as they happen.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use deploy_core::{Event, EventStream, NodeError};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

use crate::wire::sse;

/// How long a stream stays silent at most, so that both sides know that the other lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many events wait for a slow reader at most.
const WAITING: usize = 16;

/// A body that sends events; between them, now and then, a sign of life.
#[derive(Debug)]
pub(super) struct EventBody(mpsc::Receiver<Result<Bytes, NodeError>>);

impl EventBody {
    /// Sends a task's events up to its end.
    pub(super) fn new(events: EventStream) -> Self {
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

impl Body for EventBody {
    type Data = Bytes;
    type Error = NodeError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NodeError>>> {
        self.0
            .poll_recv(cx)
            .map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
