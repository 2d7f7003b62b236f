//! The floor: a file that is appended to and synced, record by record or in groups.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::AnyError;

/// Appends and syncs records one by one, and gives how many there were in a second.
pub(crate) fn each(path: &Path, size: usize, count: usize) -> Result<f64, AnyError> {
    let mut file = File::create(path)?;
    let record = vec![7; size];
    let begun = Instant::now();
    for _ in 0..count {
        file.write_all(&record)?;
        file.sync_data()?;
    }
    let took = begun.elapsed();
    std::fs::remove_file(path)?;
    Ok(count as f64 / took.as_secs_f64())
}

/// A record on its way to the file.
type Message = (Vec<u8>, oneshot::Sender<()>);

/// A file that is synced once for all who wrote while it was synced the last time.
#[derive(Debug)]
pub(crate) struct Groups {
    messages: mpsc::Sender<Message>,
}

impl Groups {
    /// Starts a file and the thread that writes it, which ends with the last sender.
    pub(crate) fn start(path: &Path) -> Result<(Self, JoinHandle<std::io::Result<()>>), AnyError> {
        let mut file = File::create(path)?;
        let (messages, inbox) = mpsc::channel::<Message>();
        let thread = std::thread::spawn(move || {
            let (mut bytes, mut answers) = (Vec::new(), Vec::new());
            while let Ok(first) = inbox.recv() {
                for (record, answer) in std::iter::once(first).chain(inbox.try_iter()) {
                    bytes.extend_from_slice(&record);
                    answers.push(answer);
                }
                file.write_all(&bytes)?;
                file.sync_data()?;
                bytes.clear();
                for answer in answers.drain(..) {
                    // A producer that is gone does not want to know.
                    let _ = answer.send(());
                }
            }
            Ok(())
        });
        Ok((Self { messages }, thread))
    }

    /// Appends a record and waits until it is on disk.
    pub(crate) async fn append(&self, record: Vec<u8>) -> Result<(), AnyError> {
        let (answer, answered) = oneshot::channel();
        self.messages.send((record, answer)).map_err(|_| "the file's thread has ended")?;
        Ok(answered.await?)
    }
}
