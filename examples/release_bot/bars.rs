//! A progress bar per host, on a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_core::model::{HostName, HostStatus};
use deploy_core::{Event, Fact, Step};
use deploy_examples::show;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The bars of a deployment's hosts, below the lines of what concerns them all.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    all: MultiProgress,
    hosts: BTreeMap<HostName, ProgressBar>,
}

impl Bars {
    /// Shows an event.
    pub(crate) fn event(&mut self, event: &Event) {
        match &event.fact {
            Fact::HostStarted { host } => {
                self.bar(host).enable_steady_tick(Duration::from_millis(120));
            }
            Fact::StepStarted { host, step } => {
                let done = Step::ALL.iter().position(|s| s == step).unwrap_or_default();
                let bar = self.bar(host);
                bar.set_position(done as u64);
                bar.set_message(step.to_string());
            }
            Fact::Output { host, text, .. } => {
                if let Some(line) = text.lines().rfind(|line| !line.trim().is_empty()) {
                    let line: String = line.chars().filter(|c| !c.is_control()).take(60).collect();
                    self.bar(host).set_message(line);
                }
            }
            Fact::HostFinished { result } => {
                let bar = self.bar(&result.host);
                let line = result.to_string();
                let message = line.trim_start_matches(&format!("{}: ", result.host)).to_owned();
                if result.status == HostStatus::Succeeded {
                    bar.finish_with_message(message);
                } else {
                    // It stays where it came to.
                    bar.abandon_with_message(message);
                }
            }
            Fact::StepFinished { .. } => {}
            _ => {
                if let Some(line) = show::line(event) {
                    // A terminal that is gone is noticed by whoever reads it.
                    let _ = self.all.println(line);
                }
            }
        }
    }

    /// Leaves the bars as they are.
    pub(crate) fn end(&mut self) {
        for bar in self.hosts.values().filter(|bar| !bar.is_finished()) {
            bar.abandon();
        }
    }

    fn bar(&mut self, host: &HostName) -> &ProgressBar {
        let all = &self.all;
        self.hosts.entry(host.clone()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new(Step::ALL.len() as u64));
            // The template is a constant that is right.
            if let Ok(style) = ProgressStyle::with_template("{prefix:16} {bar:13} {msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(host.to_string());
            bar
        })
    }
}
