//! What a command and all that it starts cost: wall time, processor time, peak of memory.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// What a run cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time, in user and kernel mode.
    pub processor: f64,
}

/// Runs a program with words, and tells what it cost with all that it started and waited for. The
/// kernel counts, as bash's `time` says it, in milliseconds.
///
/// # Errors
///
/// When it cannot be started or fails.
pub fn timed(program: &Path, words: &[String]) -> Result<(Cost, String), AnyError> {
    let script = r#"TIMEFORMAT='%3R %3U %3S'; { time "$@" 2>&3; } 3>&2 2>"$COST"; exit "$?""#;
    let report = tempfile::NamedTempFile::new()?;
    let output = Command::new("bash")
        .args(["-c", script, "timed"])
        .arg(program)
        .args(words)
        .env("COST", report.path())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(format!("{} ended with {}: {said}", program.display(), output.status).into());
    }
    let figures = std::fs::read_to_string(report.path())?;
    let figures: Vec<f64> = figures.split_whitespace().filter_map(|f| f.parse().ok()).collect();
    let [wall, user, system] = figures[..] else {
        return Err("bash did not say what it cost".into());
    };
    Ok((Cost { wall, processor: user + system }, said))
}

/// Runs a program with words, and gives the peak of the resident memory of all its processes together,
/// in KiB, looked at every 5 ms.
///
/// # Errors
///
/// When it cannot be started or fails.
pub fn peak_of_all(program: &Path, words: &[String]) -> Result<u64, AnyError> {
    let mut child = Command::new(program).args(words).stdout(Stdio::null()).spawn()?;
    let mut peak = 0;
    loop {
        peak = resident_kib(child.id())?.max(peak);
        if let Some(status) = child.try_wait()? {
            if !status.success() {
                return Err(format!("{} ended with {status}", program.display()).into());
            }
            return Ok(peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The resident memory of a process and all below it.
fn resident_kib(root: u32) -> io::Result<u64> {
    let mut sum = 0;
    let mut left = vec![root];
    while let Some(process) = left.pop() {
        let children = format!("/proc/{process}/task/{process}/children");
        // It may have ended since it was found.
        let children = std::fs::read_to_string(children).unwrap_or_default();
        left.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("");
        let kib = line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
        sum += kib.unwrap_or(0);
    }
    Ok(sum)
}
