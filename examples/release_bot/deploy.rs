//! `deploy`: files a request, shows what happens, and ends with its outcome.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use deploy_core::gate::{FileApprovals, MemoryApprovals};
use deploy_core::{
    Deployment, DeploymentReport, Event, Gate, JournalQuery, NodeError, Sequence, SystemClock,
};
use deploy_examples::{show, wiring};

use crate::DeployArgs;
use crate::bars::Bars;
use crate::input::{self, AnyError, BadInput};

pub(crate) async fn run(args: DeployArgs) -> Result<ExitCode, AnyError> {
    let request = input::request(&args.task)?;
    let inventory = input::inventory(&args.inventory)?;
    inventory.tokens().map_err(|error| BadInput::new(input::chain(&error)))?;
    let gates = gates(&args)?;
    let ssh = input::ssh(&inventory, args.ssh)?;
    let state = wiring::State::open(args.state.as_deref()).await?;
    let node = wiring::control_node(inventory, ssh, &state, gates).await?;
    for earlier in node.history(JournalQuery::new().with_finished(false)).await? {
        if request.id.as_ref().is_none_or(|id| id.as_str() != earlier.task.as_str()) {
            eprintln!("release_bot: going on with deployment {} first", earlier.task);
        }
    }
    let deployment = match node.submit(request).await {
        Err(error @ NodeError::Conflict { .. }) => Err(BadInput::new(error.to_string()))?,
        Err(NodeError::Invalid(faults)) => Err(BadInput::new(faults.to_string()))?,
        submitted => submitted?,
    };
    let mut display = Display::new(args.json);
    let report = follow(&deployment, &mut display).await;
    display.end();
    node.shutdown().await;
    let Some(report) = report? else {
        eprintln!("release_bot: stopped; {}", resume_hint(args.state.is_some()));
        return Ok(ExitCode::FAILURE);
    };
    if !args.json {
        println!("{}", show::report(&report));
    }
    Ok(if report.succeeded() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The gates of the command line: none where none are named.
fn gates(args: &DeployArgs) -> Result<Vec<Arc<dyn Gate>>, AnyError> {
    let Some(path) = &args.gates else { return Ok(Vec::new()) };
    let policy = input::gates(path)?;
    match &args.approvals {
        Some(approvals) => Ok(policy.gates(FileApprovals::new(approvals), SystemClock::new())),
        None if policy.needs_approvals() => Err(BadInput::new(format!(
            "{} needs approvals: name their file with --approvals",
            path.display()
        )))?,
        None => Ok(policy.gates(MemoryApprovals::new(), SystemClock::new())),
    }
}

fn resume_hint(kept: bool) -> &'static str {
    if kept { "the next start with the same --state goes on" } else { "nothing was kept" }
}

/// Shows the events up to the end. The first Ctrl-C cancels the deployment, the second one, or TERM,
/// leaves it as it is: then there is no report.
async fn follow(
    deployment: &Deployment,
    display: &mut Display,
) -> Result<Option<DeploymentReport>, AnyError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut events = deployment.events(Sequence::START);
    let mut cancelled = false;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => display.event(&event?)?,
                None => return Ok(Some(deployment.wait().await?)),
            },
            _ = interrupt.recv() => {
                if std::mem::replace(&mut cancelled, true) {
                    return Ok(None);
                }
                deployment.cancel("interrupted at the terminal").await?;
            }
            _ = terminate.recv() => return Ok(None),
        }
    }
}

/// How events are shown: as JSON lines, as a bar per host on a terminal, as plain lines otherwise.
#[derive(Debug)]
enum Display {
    Json,
    Bars(Box<Bars>),
    Lines,
}

impl Display {
    fn new(json: bool) -> Self {
        match json {
            true => Self::Json,
            false if std::io::stdout().is_terminal() => Self::Bars(Box::default()),
            false => Self::Lines,
        }
    }

    fn event(&mut self, event: &Event) -> Result<(), AnyError> {
        match self {
            Self::Json => {
                let mut out = std::io::stdout().lock();
                serde_json::to_writer(&mut out, event)?;
                out.write_all(b"\n")?;
            }
            Self::Bars(bars) => bars.event(event),
            Self::Lines => {
                if let Some(line) = show::line(event) {
                    writeln!(std::io::stdout().lock(), "{line}")?;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Self::Bars(bars) = self {
            bars.end();
        }
    }
}
