//! Every backend keeps the contracts, clause by clause.

use std::sync::Arc;

use deploy_core::{Journal, Queue};
use deploy_queue::{DiskStore, MemoryJournal, MemoryQueue, QueueConfig};
use deploy_testkit::{
    VirtualClock, journal_conformance, queue_admin_conformance, queue_conformance,
};
use tempfile::TempDir;

async fn memory(clock: VirtualClock) -> (MemoryQueue, ()) {
    (
        MemoryQueue::new(QueueConfig::new().with_clock(Arc::new(clock))),
        (),
    )
}

async fn disk(clock: VirtualClock) -> (DiskStore, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let config = QueueConfig::new().with_clock(Arc::new(clock));
    let store = DiskStore::open(directory.path(), config).await.unwrap();
    (store, directory)
}

async fn shared_disk(clock: VirtualClock) -> (Arc<dyn Queue>, TempDir) {
    let (store, directory) = disk(clock).await;
    (Arc::new(store), directory)
}

queue_conformance!(memory_queue, memory);
queue_conformance!(disk_queue, disk);
queue_conformance!(shared_disk_queue, shared_disk);
queue_admin_conformance!(memory_admin, memory);
queue_admin_conformance!(disk_admin, disk);
journal_conformance!(memory_journal, async |_clock| (MemoryJournal::new(), ()));
journal_conformance!(disk_journal, disk);
journal_conformance!(shared_memory_journal, async |_clock| {
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    (journal, ())
});
