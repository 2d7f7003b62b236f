//! `run`: goes on with what is unfinished, and takes what other calls file, by the directory's socket or
//! over HTTP, until it is told to stop.

use std::process::ExitCode;
use std::sync::Mutex;

use deploy_core::{Event, FnObserver};
use deploy_examples::wiring;
use deploy_http::{AccessTokens, Scope, control_router, serve};

use crate::args::RunArgs;
use crate::bot::{Bot, Parts};
use crate::display::Display;
use crate::door;
use crate::input::AnyError;

pub(crate) async fn run(args: RunArgs) -> Result<ExitCode, AnyError> {
    let tls = door::tls(&args.bot.tls.identity, args.api.client_ca.as_deref())?;
    let access = door::tokens(AccessTokens::new(), &args.api.token_file, Scope::Deploy)?;
    let access = door::tokens(access, &args.api.read_token_file, Scope::Read)?;
    let parts = Parts::read(args.bot)?;
    let stop = door::stop_on_signal()?;
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
    match args.api.listen {
        Some(address) => {
            let (listener, config, url) = door::listen(address, tls).await?;
            eprintln!("release_bot: listening on {url}");
            serve(listener, control_router(bot.node.clone(), access), config, stop).await?;
        }
        None => stop.cancelled().await,
    }
    bot.stop().await;
    Ok(ExitCode::SUCCESS)
}
