//! The processes of a host: found by their parents and by a mark in their environment, and signalled.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// The variable that marks what runs on a host; its value is the host's own directory.
pub(super) const MARK: &str = "DEPLOY_TESTKIT_HOST";

/// A process as `/proc` shows it.
#[derive(Clone, Debug)]
struct Process {
    id: i32,
    parent: i32,
    name: String,
    zombie: bool,
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn read(id: i32) -> Option<Process> {
    // id (name) state parent …, where the name may hold anything.
    let stat = fs::read(format!("/proc/{id}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut rest = rest.split_whitespace();
    let zombie = matches!(rest.next()?, "Z" | "X");
    Some(Process { id, parent: rest.next()?.parse().ok()?, name: name.to_owned(), zombie })
}

/// The processes of `roots` and all that descend from them.
fn descendants(processes: &[Process], roots: impl Iterator<Item = i32>) -> BTreeSet<i32> {
    let mut found: BTreeSet<i32> = roots.collect();
    loop {
        let new = processes.iter().filter(|p| found.contains(&p.parent) && !found.contains(&p.id));
        let new: Vec<i32> = new.map(|p| p.id).collect();
        if new.is_empty() {
            return found;
        }
        found.extend(new);
    }
}

fn is_sshd(process: &Process) -> bool {
    process.name.starts_with("sshd")
}

/// The sshd's among the processes of `roots` and their children.
pub(super) fn sshds(roots: &[i32]) -> BTreeSet<i32> {
    let processes = all();
    let family = descendants(&processes, roots.iter().copied());
    let ours = |p: &&Process| family.contains(&p.id) && is_sshd(p) && !p.zombie;
    processes.iter().filter(ours).map(|p| p.id).collect()
}

/// What runs on a host beside its sshd's.
pub(super) fn on_host(mark: &Path) -> BTreeSet<i32> {
    let processes = all();
    let entry = format!("{MARK}={}", mark.display()).into_bytes();
    let marked = |p: &&Process| {
        let environment = fs::read(format!("/proc/{}/environ", p.id)).unwrap_or_default();
        !is_sshd(p) && environment.split(|&byte| byte == 0).any(|variable| variable == entry)
    };
    let roots: Vec<i32> = processes.iter().filter(marked).map(|p| p.id).collect();
    let family = descendants(&processes, roots.into_iter());
    processes.iter().filter(|p| family.contains(&p.id) && !p.zombie).map(|p| p.id).collect()
}

/// Sends a signal to all that `find` finds, until it finds no other: who was about to fork has.
pub(super) fn signal_all(signal: Signal, find: impl Fn() -> BTreeSet<i32>) {
    let mut seen = BTreeSet::new();
    loop {
        let new: Vec<i32> = find().difference(&seen).copied().collect();
        if new.is_empty() {
            return;
        }
        for id in new {
            if let Some(pid) = Pid::from_raw(id) {
                // It may have ended by now.
                let _ = kill_process(pid, signal);
            }
            seen.insert(id);
        }
    }
}
