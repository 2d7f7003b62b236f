//! One run: things break for a while, then everything is mended and has to come to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::{Journal, JournalQuery, Sequence};

use super::check::Record;
use super::flaw::Flaw;
use super::history::Happening;
use super::world::World;
use super::{nodes, people};

/// How long everything that was accepted may take to its end once everything is mended: more than all
/// deadlines and pauses of the longest line of deployments together.
const BOUND: Duration = Duration::from_secs(36 * 3600);

/// How long is waited for what still travels when everything has ended.
const AFTERWARDS: Duration = Duration::from_secs(1_200);

/// Runs what a seed stands for, perhaps with a flaw planted in it.
pub(super) fn simulate(seed: u64, flaw: Option<Flaw>) -> Record {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let record = runtime.block_on(run(seed, flaw));
    // What still runs is dropped here, with its time.
    drop(runtime);
    record
}

async fn run(seed: u64, flaw: Option<Flaw>) -> Record {
    let world = World::new(seed, flaw);
    world.break_down();
    for number in 0..world.controls.len() {
        tokio::spawn(nodes::control(Arc::clone(&world), number));
    }
    for number in 0..world.agents.len() {
        tokio::spawn(nodes::agent(Arc::clone(&world), number));
    }
    for filed in world.scenario.filed.clone() {
        tokio::spawn(people::file(Arc::clone(&world), filed));
    }
    tokio::spawn(people::meddle(Arc::clone(&world)));
    let mend = async {
        tokio::time::sleep(world.scenario.chaos).await;
        world.heal();
    };
    tokio::join!(mend, world.kills(), world.cuts(), world.jumps());
    tokio::spawn(people::see_to_it(Arc::clone(&world)));
    let _ = tokio::time::timeout(BOUND, until_all_has_ended(&world)).await;
    tokio::time::sleep(AFTERWARDS).await;
    world.history.note(Happening::Over);
    collect(&world).await
}

/// Waits until every request is answered, and every task in every journal is finished.
async fn until_all_has_ended(world: &World) {
    let filed: BTreeSet<_> =
        world.scenario.filed.iter().filter_map(|filed| filed.request.id.clone()).collect();
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        if !filed.is_subset(&world.history.answered()) {
            continue;
        }
        let mut open = 0;
        for disk in world.disks() {
            let unfinished = JournalQuery::new().with_finished(false);
            open += disk.journal.list(unfinished).await.unwrap().len();
        }
        if open == 0 {
            return;
        }
    }
}

async fn collect(world: &World) -> Record {
    let mut journals = BTreeMap::new();
    for disk in world.disks() {
        let all = disk.journal.list(JournalQuery::new().with_limit(usize::MAX)).await.unwrap();
        let mut tasks = BTreeMap::new();
        for summary in all {
            let task = summary.task.clone();
            let events =
                disk.journal.read(task.clone(), Sequence::START, usize::MAX).await.unwrap();
            tasks.insert(task, events);
        }
        journals.insert(disk.name.clone(), tasks);
    }
    Record { entries: world.history.entries(), journals }
}
