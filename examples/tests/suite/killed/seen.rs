//! What is seen of a rollout when it is over: on its hosts, in the journals, from its processes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use deploy_core::model::{HostName, TaskId};
use deploy_core::{Event, Fact, Journal, JournalQuery, Sequence, TaskState};
use deploy_examples::wiring;
use deploy_testkit::SshHost;

use super::plan::Plan;

/// Everything of one rollout.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) plan: Plan,
    /// The exit status of the bot that came to the end.
    pub(crate) exit: Option<i32>,
    /// The events that it told.
    pub(crate) told: Vec<Event>,
    /// The journal of the deployment.
    pub(crate) journal: Vec<Event>,
    /// The journals of its tasks on the agent.
    pub(crate) tasks: Vec<Vec<Event>>,
    /// How many deployments and tasks are unfinished.
    pub(crate) unfinished: usize,
    pub(crate) halts: Vec<Halt>,
    pub(crate) hosts: Vec<HostSeen>,
}

/// A process was stopped: how its journal said the hosts were, and what their hooks had done.
#[derive(Clone, Debug)]
pub(crate) struct Halt {
    pub(crate) of_agent: bool,
    /// Whether this process had sessions to the hosts.
    pub(crate) installs: bool,
    pub(crate) gracefully: bool,
    pub(crate) while_recovering: bool,
    /// None where it was killed.
    pub(crate) exit: Option<i32>,
    /// Whether the deployment had reached its end.
    pub(crate) over: bool,
    /// The hosts that had ended, and how many lines their hooks had written.
    pub(crate) finished: BTreeMap<HostName, usize>,
    /// The hosts that were handed out and had not ended.
    pub(crate) in_flight: BTreeSet<HostName>,
}

/// A host when the rollout is over.
#[derive(Clone, Debug)]
pub(crate) struct HostSeen {
    pub(crate) name: HostName,
    /// The release that was current before the rollout.
    pub(crate) before: Option<String>,
    pub(crate) current: Option<String>,
    /// Whether what is current has every byte that it should have.
    pub(crate) whole: bool,
    /// What the hooks of the deployment wrote.
    pub(crate) lines: Vec<Line>,
    /// How the attempts ended, by the history on the host: those that came too late, and so did nothing,
    /// aside.
    pub(crate) history: Vec<String>,
    /// The state of its lock, where it ever had one.
    pub(crate) lock: Option<String>,
    /// Files of an attempt that nobody removed.
    pub(crate) left: Vec<String>,
    /// Processes that still run there.
    pub(crate) processes: Vec<i32>,
}

/// A line that a hook wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The program that did the host.
    pub(crate) attempt: u32,
    pub(crate) end: bool,
    pub(crate) hook: String,
    /// Whether the host was being put back.
    pub(crate) back: bool,
}

/// What the hooks of a deployment have written on a host.
pub(crate) fn lines(root: &Path, deployment: &str) -> Vec<Line> {
    let text = std::fs::read_to_string(root.join("hooks")).unwrap_or_default();
    let line = |line: &str| {
        let [mark, attempt, of, hook, back] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("a hook wrote {line:?}");
        };
        let attempt = attempt.parse().unwrap();
        let line = Line { attempt, end: mark == "end", hook: hook.to_owned(), back: back == "1" };
        (of == deployment).then_some(line)
    };
    text.lines().filter_map(line).collect()
}

/// What is current below a root, and whether it is whole.
pub(crate) fn current(root: &Path, payload: impl Fn(&str) -> Vec<u8>) -> (Option<String>, bool) {
    let Ok(link) = std::fs::read_link(root.join("current")) else { return (None, true) };
    let release = link.file_name().unwrap().to_string_lossy().into_owned();
    let read = |file: &str| std::fs::read(root.join("current").join(file)).unwrap_or_default();
    let whole = read("VERSION") == release.as_bytes() && read("payload") == payload(&release);
    (Some(release), whole)
}

/// The state of the lock below a root, which is that of the highest number.
fn lock(root: &Path) -> Option<String> {
    let names = names(&root.join(".deploy"));
    let number = |name: &String| name.strip_prefix("lock.")?.parse::<u64>().ok();
    let highest = names.iter().filter_map(number).max()?;
    let text = std::fs::read_to_string(root.join(format!(".deploy/lock.{highest}"))).unwrap();
    let mut states = text.lines().filter(|line| line.starts_with("state "));
    Some(states.next_back().unwrap_or_default().to_owned())
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// What an attempt leaves behind only when it did not come to its end.
fn left(root: &Path) -> Vec<String> {
    let hidden = |name: &String| name.starts_with('.');
    let ours = |name: &String| ["work.", "claim.", ".new-"].iter().any(|p| name.starts_with(p));
    let of_releases = names(&root.join("releases")).into_iter().filter(hidden);
    let of_deploy = names(&root.join(".deploy")).into_iter().filter(ours);
    of_releases.chain(of_deploy).collect()
}

/// How the attempts of a deployment ended that were not fenced off.
fn history(root: &Path, deployment: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root.join(".deploy/history.jsonl")).unwrap_or_default();
    let lines = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
    let ours = lines.filter(|line| line["deployment"] == deployment);
    let ours = ours.filter(|line| line["failure"] != "host_fenced");
    ours.map(|line| line["outcome"].as_str().unwrap().to_owned()).collect()
}

/// How long what was told to end may take. It is no wait for anything that goes on.
const ENDS: Duration = Duration::from_secs(30);

/// Looks at a host.
pub(crate) fn host(
    host: &SshHost,
    root: &Path,
    plan: &Plan,
    before: Option<String>,
    payload: impl Fn(&str) -> Vec<u8>,
) -> HostSeen {
    let begun = Instant::now();
    let mut processes = host.processes();
    while !processes.is_empty() && begun.elapsed() < ENDS {
        std::thread::yield_now();
        processes = host.processes();
    }
    let (current, whole) = current(root, payload);
    HostSeen {
        name: host.name().clone(),
        before,
        current,
        whole,
        lines: lines(root, &plan.id),
        history: history(root, &plan.id),
        lock: lock(root),
        left: left(root),
        processes,
    }
}

/// The journals in a state directory that belong to a deployment, and how many of all are unfinished.
/// The directory is that of a process that is gone; it is left as it is.
pub(crate) async fn journals(directory: &Path, deployment: &str) -> (Vec<Vec<Event>>, usize) {
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("store")).unwrap();
    for name in names(&directory.join("store")) {
        let from = directory.join("store").join(&name);
        std::fs::copy(from, copy.path().join("store").join(&name)).unwrap();
    }
    let store = wiring::store(copy.path()).await.unwrap();
    let query = || JournalQuery::new().with_limit(usize::MAX);
    let unfinished = store.list(query().with_finished(false)).await.unwrap().len();
    let mut journals = Vec::new();
    for summary in store.list(query()).await.unwrap() {
        let read = async |task: TaskId, limit| store.read(task, Sequence::START, limit).await;
        let first = read(summary.task.clone(), 1).await.unwrap();
        let of = match &first[0].fact {
            Fact::Accepted { deployment, .. } => deployment,
            Fact::TaskAccepted { task } => &task.deployment,
            other => panic!("a journal begins with {other:?}"),
        };
        if of.as_str() == deployment {
            journals.push(read(summary.task, usize::MAX).await.unwrap());
        }
    }
    (journals, unfinished)
}

/// The hosts that have ended by some journals, and those that are in flight.
pub(crate) fn standing(journals: &[Vec<Event>]) -> (BTreeSet<HostName>, BTreeSet<HostName>) {
    let (mut finished, mut in_flight) = (BTreeSet::new(), BTreeSet::new());
    for journal in journals {
        let state = TaskState::fold(journal).unwrap();
        finished.extend(state.results().map(|result| result.host.clone()));
        in_flight.extend(state.in_flight().map(|host| host.target.host.clone()));
    }
    (finished, in_flight)
}
