//! The stream of a task's events, as it comes from the agent.

use std::collections::VecDeque;
use std::time::Duration;

use deploy_core::Event;
use reqwest::Response;

use super::agent::Cause;
use crate::transport::cause;
use crate::wire::sse::{Message, Reader};

/// What a stream says next.
#[derive(Debug)]
pub(super) enum Signal {
    /// An event.
    Event(Box<Event>),
    /// Something that is no event as we know them.
    Strange,
    /// A sign of life.
    Alive,
    /// The stream ended in order.
    End,
}

/// A stream of events.
#[derive(Debug)]
pub(super) struct Feed {
    response: Response,
    quiet: Duration,
    reader: Reader,
    messages: VecDeque<Message>,
}

impl Feed {
    pub(super) fn new(response: Response, quiet: Duration) -> Self {
        Self {
            response,
            quiet,
            reader: Reader::default(),
            messages: VecDeque::new(),
        }
    }

    /// The next signal; an error when the stream breaks off, or stays quiet for too long.
    pub(super) async fn next(&mut self) -> Result<Signal, Cause> {
        if let Some(message) = self.messages.pop_front() {
            let event = serde_json::from_str(&message.data);
            return Ok(event.map_or(Signal::Strange, |event| Signal::Event(Box::new(event))));
        }
        let chunk = tokio::time::timeout(self.quiet, self.response.chunk()).await;
        let chunk = chunk.map_err(|_| "the stream of events fell silent")?;
        let Some(chunk) = chunk.map_err(cause)? else {
            return Ok(Signal::End);
        };
        self.messages.extend(self.reader.take(&chunk)?);
        Ok(Signal::Alive)
    }
}
