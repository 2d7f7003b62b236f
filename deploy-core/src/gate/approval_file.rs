//! Approvals in a file, one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::{Approval, ApprovalError, ApprovalStore, ApprovalSubject};
use crate::parser::Format;

/// How long a line may be. Ours have less than 1 KiB.
const LONGEST: u64 = 4096;

/// Approvals in a file, one JSON object a line, which several processes may use at once.
///
/// A file that is not there holds none. A line that a crash cut short was never acknowledged: it is
/// not read, and the next approval takes its place. Any other line that is no approval is an error,
/// and so holds deployments. Who may write to the file may approve in anybody's name.
#[derive(Clone, Debug)]
pub struct FileApprovals {
    path: PathBuf,
}

impl FileApprovals {
    /// Keeps approvals in this file; its directory has to be there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

#[async_trait]
impl ApprovalStore for FileApprovals {
    async fn record(&self, approval: Approval) -> Result<(), ApprovalError> {
        let mut line = serde_json::to_vec(&approval).map_err(ApprovalError::new)?;
        line.push(b'\n');
        let path = self.path.clone();
        apart(move || append(&path, &line)).await
    }

    async fn about(&self, subjects: Vec<ApprovalSubject>) -> Result<Vec<Approval>, ApprovalError> {
        let path = self.path.clone();
        apart(move || read(&path, &subjects)).await
    }
}

/// Runs what blocks where it may.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ApprovalError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(ApprovalError::new)?;
    done.map_err(ApprovalError::new)
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
    file.lock()?;
    let end = end_of_last_line(&mut file)?;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    file.write_all(line)?;
    file.sync_data()?;
    if end == 0 {
        // The file may be new, and is to be found after a loss of power.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Where the last whole line ends.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(LONGEST);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    Read::by_ref(file).take(LONGEST).read_to_end(&mut tail)?;
    match tail.iter().rposition(|&byte| byte == b'\n') {
        Some(index) => Ok(start + index as u64 + 1),
        None if start == 0 => Ok(0),
        None => Err(invalid("its end is no approval".to_owned())),
    }
}

fn read(path: &Path, subjects: &[ApprovalSubject]) -> io::Result<Vec<Approval>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    file.lock_shared()?;
    let mut reader = BufReader::new(file);
    let (mut found, mut line) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        Read::by_ref(&mut reader).take(LONGEST).read_until(b'\n', &mut line)?;
        if line.len() as u64 == LONGEST {
            return Err(invalid(format!("line {number} is too long")));
        }
        if line.last() != Some(&b'\n') {
            break;
        }
        let approval: Approval = Format::Json
            .read(&line)
            .map_err(|error| invalid(format!("line {number} is no approval: {error}")))?;
        if subjects.contains(&approval.subject) {
            found.push(approval);
        }
    }
    Ok(found)
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn approval(by: &str) -> Approval {
        let subject = ApprovalSubject::WorkOrder("WO-7".parse().unwrap());
        Approval::new(subject, by.parse().unwrap(), Timestamp::from_unix_micros(0).unwrap())
    }

    #[tokio::test]
    async fn what_was_recorded_is_read_by_another_in_its_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("approvals.jsonl");
        let other = ApprovalSubject::Deployment("d1".parse().unwrap());
        let subjects = vec![approval("alice").subject];
        assert_eq!(FileApprovals::new(&path).about(subjects.clone()).await.unwrap(), []);
        let recorded = [approval("alice"), approval("bob"), approval("alice").revoked()];
        for approval in &recorded {
            FileApprovals::new(&path).record(approval.clone()).await.unwrap();
        }
        let foreign = Approval { subject: other, ..approval("carol") };
        FileApprovals::new(&path).record(foreign).await.unwrap();
        assert_eq!(FileApprovals::new(&path).about(subjects).await.unwrap(), recorded);
        let text = std::fs::read_to_string(&path).unwrap();
        let first = r#"{"work_order":"WO-7","by":"alice","at":"1970-01-01T00:00:00Z","verdict":"approved"}"#;
        assert_eq!(text.lines().next(), Some(first));
    }

    #[tokio::test]
    async fn a_line_cut_short_is_not_read_and_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("approvals.jsonl");
        let store = FileApprovals::new(&path);
        store.record(approval("alice")).await.unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() {
            std::fs::write(&path, [&whole[..], &whole[..cut]].concat()).unwrap();
            let subjects = vec![approval("alice").subject];
            assert_eq!(store.about(subjects.clone()).await.unwrap().len(), 1, "{cut}");
            store.record(approval("bob")).await.unwrap();
            let names: Vec<_> = store
                .about(subjects)
                .await
                .unwrap()
                .into_iter()
                .map(|a| a.by.to_string())
                .collect();
            assert_eq!(names, ["alice", "bob"], "{cut}");
        }
    }

    #[tokio::test]
    async fn a_line_that_is_no_approval_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("approvals.jsonl");
        for bad in ["{}\n".to_owned(), "\n".to_owned(), "x".repeat(5000)] {
            std::fs::write(&path, bad).unwrap();
            let error = FileApprovals::new(&path).about(Vec::new()).await.unwrap_err();
            assert!(error.source.to_string().starts_with("line 1 is "), "{}", error.source);
        }
    }
}
