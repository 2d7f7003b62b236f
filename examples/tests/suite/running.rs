//! A running bot whose events are waited for, and hosts that are held in their hooks.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use deploy_core::{Event, Fact};

use crate::world::{World, terminate};

/// One host at a time, each of which waits in its hook for a file of its own.
pub(crate) const GATED: &str = r#", "rollout": {"batches": ["1"]}, "release": {"hooks": {
    "after_switch": ["./run; while [ ! -e \"$DEPLOY_ROOT/go\" ]; do sleep 0.05; done"]}}"#;

/// A bot whose events can be waited for.
#[derive(Debug)]
pub(crate) struct Bot {
    child: Child,
    events: Receiver<Event>,
}

impl Bot {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.arg("--json").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // One that was killed may end within a line.
                let Ok(event) = serde_json::from_str(&line) else { return };
                let _ = sender.send(event);
            }
        });
        Self { child, events }
    }

    /// Waits until a fact comes for which `wanted` is true.
    pub(crate) fn until(&self, wanted: impl Fn(&Fact) -> bool) {
        while !wanted(&self.events.recv().expect("the bot ended before that came").fact) {}
    }

    /// Waits for its end, and gives its exit status.
    pub(crate) fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// The next event; none when it has ended.
    #[cfg(feature = "ssh")]
    pub(crate) fn next(&self) -> Option<Event> {
        self.events.recv().ok()
    }

    /// Sends it TERM.
    pub(crate) fn terminate(&self) {
        terminate(&self.child);
    }

    /// Kills it with -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Bot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says whether a host begins with its hook.
pub(crate) fn in_hook(fact: &Fact, host: &str) -> bool {
    matches!(fact, Fact::StepStarted { host: at, step: deploy_core::Step::AfterSwitch } if at.as_str() == host)
}

/// Lets hosts leave their hooks.
pub(crate) fn let_go(world: &World, hosts: std::ops::RangeInclusive<usize>) {
    for host in hosts {
        std::fs::create_dir_all(world.path(&format!("h{host}/srv/app"))).unwrap();
        world.write(&format!("h{host}/srv/app/go"), "");
    }
}

/// Waits until a bot answers in the state directory.
pub(crate) fn until_it_answers(world: &World) {
    while std::os::unix::net::UnixStream::connect(world.path("state/bot.sock")).is_err() {
        std::thread::yield_now();
    }
}
