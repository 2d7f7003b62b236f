//! `check`: parses, resolves and verifies a request, and touches no host.

use std::process::ExitCode;

use deploy_core::model::TaskId;
use deploy_core::{
    AgentResolver, Context, Failure, FailureCode, Inventory, ResolveError, Verifier,
};
use deploy_examples::wiring;

use crate::args::CheckArgs;
use crate::input::{self, AnyError};

pub(crate) async fn run(args: CheckArgs) -> Result<ExitCode, AnyError> {
    let inventory = input::inventory(&args.inventory);
    let (request, inventory) = input::both(input::request(&args.task), inventory)?;
    let ((), ssh) = input::both(input::tokens(&inventory), input::ssh(&inventory, args.ssh))?;
    let state = wiring::State::open(None).await?;
    let cx = Context::new(TaskId::new("check")?);
    let resolved =
        inventory.resolve(cx.clone(), request.business.clone(), request.project.clone()).await;
    let verified = state.verifier.verify(cx, request.package.clone()).await;
    let mut failures: Vec<Failure> =
        verified.as_ref().err().map(Failure::from).into_iter().collect();
    let resolved = resolved.map_err(|error| match error {
        ResolveError::Unknown { .. } => {
            let message =
                format!("{error}; {} has {}", args.inventory.display(), known(&inventory));
            Failure::new(FailureCode::Unresolved, message)
        }
        error => Failure::from(&error),
    });
    let resolved = resolved.and_then(|targets| request.select(targets));
    for target in resolved.iter().flatten() {
        if !wiring::SCHEMES.contains(&target.endpoint.scheme()) {
            let known = wiring::SCHEMES.join(", ");
            let message = format!("{} has a scheme other than {known}", target.endpoint);
            failures
                .push(Failure::new(FailureCode::Invalid, message).with_host(target.host.clone()));
        }
        if ssh.known_keys(&target.host).is_some_and(<[_]>::is_empty) {
            let message = format!("no key is known of {}: it would be refused", target.endpoint);
            let failure = Failure::new(FailureCode::HostRejected, message);
            failures.push(failure.with_host(target.host.clone()));
        }
    }
    failures.extend(resolved.as_ref().err().cloned());
    if args.json {
        let hosts = resolved.as_ref().ok();
        let package = verified.as_ref().ok().map(|package| package.digests);
        let found = serde_json::json!({
            "request": request, "hosts": hosts, "package": package, "failures": failures,
        });
        println!("{found}");
    } else {
        if let Ok(hosts) = &resolved {
            for target in hosts {
                let keys = ssh.known_keys(&target.host).filter(|keys| !keys.is_empty());
                let keys = keys.map(|keys| format!(", a key on file: {}", keys.join(" and ")));
                let keys = keys.unwrap_or_default();
                println!("{} at {} by {}{keys}", target.host, target.address, target.endpoint);
            }
        }
        if let Ok(package) = &verified {
            let digests = package.digests;
            println!("{} bytes, md5 {}, sha256 {}", digests.size, digests.md5, digests.sha256);
        }
        for failure in &failures {
            eprintln!("release_bot: {}: {failure}", failure.code);
        }
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The projects of an inventory, the first of many.
fn known(inventory: &Inventory) -> String {
    const SHOWN: usize = 10;
    let projects = inventory.projects();
    let shown = projects.iter().take(SHOWN).map(|p| format!("{}/{}", p.business, p.name));
    let shown: Vec<_> = shown.collect();
    match projects.len() {
        0 => "no projects".to_owned(),
        all if all > SHOWN => format!("{} and {} more", shown.join(", "), all - SHOWN),
        _ => shown.join(", "),
    }
}
