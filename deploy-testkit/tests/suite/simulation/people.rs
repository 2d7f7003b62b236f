//! People: they file requests, wait for them, and do this and that to them meanwhile.

use std::sync::Arc;
use std::time::Duration;

use deploy_core::model::{Actor, DeploymentId, RollbackTarget};
use deploy_core::{Clock, Deployment, NodeError, Phase, TaskState};
use deploy_testkit::{Dice, samples};

use super::history::Happening;
use super::scenario::Filed;
use super::world::World;

/// Files a request, as often as it takes to hear that it is kept.
pub(super) async fn file(world: Arc<World>, filed: Filed) {
    let id = filed.request.id.clone().unwrap();
    let dice = world.dice.fork(&format!("client {id}"));
    tokio::time::sleep(filed.after).await;
    world.history.note(Happening::Filed { request: Box::new(filed.request.clone()) });
    loop {
        let (node, life) = world.control(&dice).await;
        match life.of(node.submit(filed.request.clone())).await {
            Some(Ok(_)) => break accepted(&world, &id),
            Some(Err(error @ NodeError::Invalid(_))) => {
                world.history.note(Happening::Refused { id, why: error.to_string() });
                return;
            }
            Some(Err(_)) | None => tokio::time::sleep(dice.millis(500..30_000)).await,
        }
    }
}

/// A control node has said that a deployment is kept: somebody waits for it from now on.
fn accepted(world: &Arc<World>, id: &DeploymentId) {
    world.history.note(Happening::Acknowledged { id: id.clone() });
    let mut known = world.known.lock().unwrap();
    if !known.contains(id) {
        known.push(id.clone());
        tokio::spawn(wait(Arc::clone(world), id.clone()));
    }
}

async fn wait(world: Arc<World>, id: DeploymentId) {
    let dice = world.dice.fork(&format!("waits {id}"));
    loop {
        let (node, life) = world.control(&dice).await;
        if let Some(Ok(report)) = life.of(node.deployment(id.clone()).wait()).await {
            let outcome = report.outcome;
            return world.history.note(Happening::Told { id, outcome });
        }
        tokio::time::sleep(dice.millis(500..60_000)).await;
    }
}

/// Does this and that, as often as the scenario says, until everything is mended.
pub(super) async fn meddle(world: Arc<World>) {
    let dice = world.dice.fork("people");
    let an_hour = world.scenario.levels.people;
    while an_hour > 0 && world.chaos_for(dice.millis(0..7_200_000 / an_hour)).await {
        let known = world.known.lock().unwrap().clone();
        if known.is_empty() {
            continue;
        }
        let id = dice.pick(&known).clone();
        let verb = *dice.pick(&[
            "cancel",
            "pause",
            "pause",
            "resume",
            "resume",
            "promote",
            "skip",
            "extend",
            "retry",
            "roll back",
            "recheck",
            "file again",
        ]);
        act(&world, &dice, &id, verb).await;
    }
}

/// Sees to it that nothing waits for a person, until all is over.
pub(super) async fn see_to_it(world: Arc<World>) {
    let dice = world.dice.fork("operator");
    loop {
        tokio::time::sleep(dice.millis(20_000..90_000)).await;
        let known = world.known.lock().unwrap().clone();
        for id in known {
            let (node, life) = world.control(&dice).await;
            let Some(Ok(state)) = life.of(node.deployment(id.clone()).state()).await else {
                continue;
            };
            if let Some(verb) = wanted(&state, &dice) {
                act(&world, &dice, &id, verb).await;
            }
        }
    }
}

fn wanted(state: &TaskState, dice: &Dice) -> Option<&'static str> {
    if state.phase == Phase::Finished {
        return None;
    }
    if state.paused.is_some() {
        return Some(*dice.pick(&["resume", "resume", "retry", "cancel", "roll back"]));
    }
    let held = state.gap.as_ref().is_some_and(|gap| gap.until.is_none() && !gap.promoted);
    held.then(|| *dice.pick(&["promote", "promote", "cancel", "roll back"]))
}

async fn act(world: &Arc<World>, dice: &Dice, id: &DeploymentId, verb: &str) {
    let (node, life) = world.control(dice).await;
    let deployment = node.deployment(id.clone());
    let host = samples::host(usize::try_from(dice.within(1..7)).unwrap());
    let later = world.controls[0].clock.now().plus(dice.millis(0..7_200_000));
    let by = Actor::new("anna", "as the dice say");
    let to = dice.pick(&[RollbackTarget::LastGood, RollbackTarget::Previous]).clone();
    let doing = async {
        Ok(match verb {
            "cancel" => deployment.cancel(by).await.map(|()| None)?,
            "pause" => deployment.pause(by).await.map(|()| None)?,
            "resume" => deployment.resume(by).await.map(|()| None)?,
            "promote" => deployment.promote(by).await.map(|()| None)?,
            "skip" => deployment.skip(host, by).await.map(|()| None)?,
            "extend" => deployment.extend(later, by).await.map(|()| None)?,
            "retry" => Some(deployment.retry_failed(by).await?),
            "roll back" => Some(deployment.roll_back(to.clone(), by).await?),
            "recheck" => deployment.recheck().await.map(|()| None)?,
            _ => {
                let filed = world.scenario.filed.iter().map(|filed| &filed.request);
                match filed.into_iter().find(|request| request.id.as_ref() == Some(id)) {
                    Some(request) => node.submit(request.clone()).await.map(Some)?,
                    None => None,
                }
            }
        })
    };
    let mut answer: Option<Result<Option<Deployment>, NodeError>> = life.of(doing).await;
    // What files a deployment is asked for until it is clear whether that is kept.
    while matches!(verb, "retry" | "roll back")
        && let Some(Err(NodeError::Storage { .. })) = answer
    {
        tokio::time::sleep(dice.millis(500..30_000)).await;
        let (node, life) = world.control(dice).await;
        let deployment = node.deployment(id.clone());
        let by = Actor::new("anna", "asked again");
        answer = match verb {
            "retry" => life.of(deployment.retry_failed(by)).await,
            _ => life.of(deployment.roll_back(to.clone(), by)).await,
        }
        .map(|answer| answer.map(Some));
    }
    let said = match &answer {
        None => "no answer".to_owned(),
        Some(Ok(_)) => "yes".to_owned(),
        Some(Err(error)) => error.to_string(),
    };
    let (id, verb) = (id.clone(), verb.to_owned());
    world.history.note(Happening::Verb { id, verb, answer: said });
    if let Some(Ok(Some(follower))) = answer {
        accepted(world, follower.id());
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}
