//! What a process costs: its peak of memory and its processor time.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// The peak of a process's resident memory, in KiB, as the kernel counts it (`VmHWM`).
#[must_use]
pub fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Waits for a process, and gives its exit and the last peak of memory that was seen.
///
/// # Errors
///
/// When the process cannot be waited for.
pub fn wait_with_peak(child: &mut Child) -> io::Result<(ExitStatus, u64)> {
    let mut peak = 0;
    loop {
        peak = peak_kib(child.id()).unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait()? {
            return Ok((status, peak));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The middle one of some figures.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
