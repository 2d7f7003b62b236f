//! How events are shown: as JSON lines, as a bar per host on a terminal, as plain lines otherwise.

use std::io::{IsTerminal, Write};

use deploy_core::Event;
use deploy_examples::show;

use crate::bars::Bars;
use crate::input::AnyError;

/// How events are shown.
#[derive(Debug)]
pub(crate) enum Display {
    Json,
    Bars(Box<Bars>),
    Lines,
    /// Lines that name their deployment.
    Log,
}

impl Display {
    /// For the events of one deployment.
    pub(crate) fn new(json: bool) -> Self {
        match json {
            true => Self::Json,
            false if std::io::stdout().is_terminal() => Self::Bars(Box::default()),
            false => Self::Lines,
        }
    }

    /// For the events of many deployments.
    pub(crate) fn log(json: bool) -> Self {
        if json { Self::Json } else { Self::Log }
    }

    /// Shows an event.
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), AnyError> {
        match self {
            Self::Json => {
                let mut out = std::io::stdout().lock();
                serde_json::to_writer(&mut out, event)?;
                out.write_all(b"\n")?;
            }
            Self::Bars(bars) => bars.event(event),
            Self::Log => {
                if let Some(line) = show::line(event) {
                    writeln!(std::io::stdout().lock(), "{}: {line}", event.task)?;
                }
            }
            Self::Lines => {
                if let Some(line) = show::line(event) {
                    writeln!(std::io::stdout().lock(), "{line}")?;
                }
            }
        }
        Ok(())
    }

    /// Says that nothing more is shown.
    pub(crate) fn end(&mut self) {
        if let Self::Bars(bars) = self {
            bars.end();
        }
    }
}
