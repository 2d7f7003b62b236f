//! The load: so many producers or workers at once, on the floor and on a store.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deploy_core::model::TaskId;
use deploy_core::{Queue, Settlement, TaskRecord};
use deploy_queue::{DiskStore, QueueConfig};

use crate::AnyError;
use crate::floor::Groups;

/// The size of a payload and of a record of the floor, in bytes.
pub(crate) const PAYLOAD: usize = 1024;

/// The size of the record with which the floor notes that a task is done, in bytes.
pub(crate) const DONE: usize = 32;

const LEASE: Duration = Duration::from_secs(600);

/// The task of a number.
pub(crate) fn task(prefix: &str, number: usize) -> Result<TaskRecord, AnyError> {
    let id = TaskId::new(format!("{prefix}-{number:09}"))?;
    Ok(TaskRecord::new(id, "work", vec![number.to_le_bytes()[0]; PAYLOAD]))
}

/// Opens a store that holds two million tasks at most.
pub(crate) async fn open(path: &Path) -> Result<Arc<DiskStore>, AnyError> {
    let config = QueueConfig::new().with_capacity(2_000_000);
    Ok(Arc::new(DiskStore::open(path, config).await?))
}

/// Does something `count` times, shared among `parties` who do it at once; gives how often in a
/// second.
async fn share<W>(parties: usize, count: usize, work: impl Fn(usize) -> W) -> Result<f64, AnyError>
where
    W: Future<Output = Result<(), AnyError>> + Send + 'static,
{
    let begun = Instant::now();
    let parties: Vec<_> = (0..parties).map(|party| tokio::spawn(work(party))).collect();
    for party in parties {
        party.await??;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// Records in a second that producers append to one file in groups.
pub(crate) async fn floor(
    path: &Path,
    parties: usize,
    size: usize,
    count: usize,
) -> Result<f64, AnyError> {
    let (groups, thread) = Groups::start(path)?;
    let groups = Arc::new(groups);
    let each = count / parties;
    let speed = share(parties, each * parties, |_| {
        let groups = Arc::clone(&groups);
        async move {
            for _ in 0..each {
                groups.append(vec![7; size]).await?;
            }
            Ok(())
        }
    })
    .await?;
    drop(groups);
    thread.join().map_err(|_| "the file's thread panicked")??;
    std::fs::remove_file(path)?;
    Ok(speed)
}

/// Tasks in a second that producers push.
pub(crate) async fn push(
    store: &Arc<DiskStore>,
    prefix: &str,
    parties: usize,
    count: usize,
) -> Result<f64, AnyError> {
    let each = count / parties;
    share(parties, each * parties, |party| {
        let (store, prefix) = (Arc::clone(store), format!("{prefix}-{party}"));
        async move {
            for number in 0..each {
                store.push(task(&prefix, number)?).await?;
            }
            Ok(())
        }
    })
    .await
}

/// Tasks in a second that workers claim and settle.
pub(crate) async fn work(
    store: &Arc<DiskStore>,
    parties: usize,
    count: usize,
) -> Result<f64, AnyError> {
    let each = count / parties;
    share(parties, each * parties, |party| {
        let store = Arc::clone(store);
        async move {
            for _ in 0..each {
                let claim = store.claim(format!("worker-{party}"), vec![], LEASE).await?;
                store.settle(claim.token, Settlement::Done).await?;
            }
            Ok(())
        }
    })
    .await
}

/// Puts so many tasks into a store, a thousand at a time.
pub(crate) async fn fill(store: &DiskStore, prefix: &str, count: usize) -> Result<(), AnyError> {
    for first in (0..count).step_by(1000) {
        let tasks = (first..count.min(first + 1000)).map(|number| task(prefix, number));
        store.push_many(tasks.collect::<Result<_, _>>()?).await?;
    }
    Ok(())
}
