//! Every backend keeps the contracts, clause by clause.

use std::path::Path;
use std::sync::Arc;

use deploy_core::{Journal, Queue};
use deploy_queue::{DiskStore, MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::conformance::limits::{CAPACITY, MAX_PAYLOAD};
use deploy_testkit::{
    VirtualClock, durable_journal_conformance, durable_queue_conformance, journal_conformance,
    queue_admin_conformance, queue_conformance, queue_limits_conformance,
};
use tempfile::TempDir;

fn config(clock: VirtualClock) -> QueueConfig {
    QueueConfig::new().with_clock(Arc::new(clock))
}

/// With the limits that the cases of limits are about.
fn limited(clock: VirtualClock) -> QueueConfig {
    config(clock).with_capacity(CAPACITY).with_max_payload(MAX_PAYLOAD)
}

async fn memory(clock: VirtualClock) -> (MemoryQueue, ()) {
    (MemoryQueue::new(config(clock)), ())
}

async fn limited_memory(clock: VirtualClock) -> (MemoryQueue, ()) {
    (MemoryQueue::new(limited(clock)), ())
}

async fn open(path: &Path, clock: VirtualClock) -> DiskStore {
    DiskStore::open(path, config(clock)).await.unwrap()
}

async fn disk(clock: VirtualClock) -> (DiskStore, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (open(directory.path(), clock).await, directory)
}

async fn limited_disk(clock: VirtualClock) -> (DiskStore, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = DiskStore::open(directory.path(), limited(clock)).await.unwrap();
    (store, directory)
}

/// As a host application holds it: nobody knows any more which queue it is.
async fn shared_disk(clock: VirtualClock) -> (Arc<dyn Queue>, TempDir) {
    let (store, directory) = disk(clock).await;
    (Arc::new(store), directory)
}

async fn shared_disk_store(clock: VirtualClock) -> (Arc<DiskStore>, TempDir) {
    let (store, directory) = disk(clock).await;
    (Arc::new(store), directory)
}

async fn shared_disk_journal(clock: VirtualClock) -> (Arc<dyn Journal>, TempDir) {
    let (store, directory) = disk(clock).await;
    (Arc::new(store), directory)
}

queue_conformance!(memory_queue, memory);
queue_conformance!(disk_queue, disk);
queue_conformance!(shared_disk_queue, shared_disk);
queue_limits_conformance!(memory_limits, limited_memory);
queue_limits_conformance!(disk_limits, limited_disk);
queue_admin_conformance!(memory_admin, memory);
queue_admin_conformance!(disk_admin, disk);
queue_admin_conformance!(shared_disk_admin, shared_disk_store);
journal_conformance!(memory_journal, async |_clock| (MemoryJournal::new(), ()));
journal_conformance!(disk_journal, disk);
journal_conformance!(shared_disk_journal, super::shared_disk_journal);
durable_queue_conformance!(durable_disk_queue, open);
durable_journal_conformance!(durable_disk_journal, open);
