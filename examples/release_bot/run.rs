//! `run`: goes on with what is unfinished, and takes what other calls file, until it is told to stop.

use std::process::ExitCode;
use std::sync::Mutex;

use deploy_core::{Event, FnObserver};
use deploy_examples::wiring;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::RunArgs;
use crate::bot::{Bot, Parts};
use crate::display::Display;
use crate::input::AnyError;

pub(crate) async fn run(args: RunArgs) -> Result<ExitCode, AnyError> {
    let parts = Parts::read(args.bot)?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let state = wiring::State::open(Some(&args.state)).await?;
    let display = Mutex::new(Display::log(args.json));
    let observer = FnObserver::new(move |event: &Event| {
        // There is nobody to tell when the terminal is gone; the journal has it all.
        if let Ok(mut display) = display.lock() {
            let _ = display.event(event);
        }
    });
    let bot = Bot::start(&parts, &state, Some(&args.state), observer).await?;
    for earlier in bot.unfinished().await? {
        eprintln!("release_bot: going on with deployment {}", earlier.task);
    }
    eprintln!("release_bot: ready in {}", args.state.display());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    bot.stop().await;
    Ok(ExitCode::SUCCESS)
}
