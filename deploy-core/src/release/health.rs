//! When a host counts as healthy: pure, from the answers and their times.

use std::time::Duration;

use crate::model::Monitor;
use crate::prober::{ProbeAnswer, ProbeError};

/// How much of an answer's body is looked at.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// What the answers so far mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answered as expected, as often in a row and over as long as asked for.
    Healthy,
    /// Nothing is decided yet.
    KeepTrying,
    /// It did not in time, or never will.
    Unhealthy(String),
}

/// The answers of one host, folded.
#[derive(Clone, Debug)]
pub(crate) struct HealthGate<'a> {
    monitor: &'a Monitor,
    /// Healthy answers in a row, and when the first of them came.
    row: u32,
    since: Duration,
    last: String,
}

impl<'a> HealthGate<'a> {
    /// Has heard nothing yet.
    pub(crate) fn new(monitor: &'a Monitor) -> Self {
        Self { monitor, row: 0, since: Duration::ZERO, last: "there was none".to_owned() }
    }

    /// Takes an answer that came `at` after the first question.
    pub(crate) fn hear(
        &mut self,
        at: Duration,
        answer: &Result<ProbeAnswer, ProbeError>,
    ) -> Health {
        match self.fault(answer) {
            None => {
                if self.row == 0 {
                    self.since = at;
                }
                self.row += 1;
                self.last = "it was as expected, but not for long enough".to_owned();
            }
            Some(fault) => {
                self.row = 0;
                self.last = fault;
            }
        }
        if let Err(ProbeError::Forbidden { .. }) = answer {
            return Health::Unhealthy(format!("it was never asked: {}", self.last));
        }
        let long_enough = at.saturating_sub(self.since) >= self.monitor.stable_for;
        if at > self.monitor.deadline {
            Health::Unhealthy(self.give_up())
        } else if self.row >= self.monitor.successes && self.row > 0 && long_enough {
            Health::Healthy
        } else if at == self.monitor.deadline {
            Health::Unhealthy(self.give_up())
        } else {
            Health::KeepTrying
        }
    }

    /// Why the host is not healthy when the deadline passes.
    pub(crate) fn give_up(&self) -> String {
        format!(
            "it was not healthy within {:?}; its last answer: {}",
            self.monitor.deadline, self.last
        )
    }

    /// What is wrong with an answer by itself.
    pub(crate) fn fault(&self, answer: &Result<ProbeAnswer, ProbeError>) -> Option<String> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Some(with_causes(error)),
        };
        let Some(status) = answer.status else {
            let fault = "it took a connection, which is no answer over HTTP";
            return (!self.monitor.is_tcp()).then(|| fault.to_owned());
        };
        if !self.monitor.status.contains(status) {
            return Some(format!("status {status}, not {}", self.monitor.status));
        }
        let body = &answer.body[..answer.body.len().min(MAX_BODY)];
        if let Some(wanted) = self.monitor.contains.as_deref() {
            let found = wanted.is_empty()
                || body.windows(wanted.len()).any(|window| window == wanted.as_bytes());
            if !found {
                return Some(format!("status {status} without the text {wanted:?}"));
            }
        }
        if self.monitor.json.is_empty() {
            return None;
        }
        match serde_json::from_slice(body) {
            Ok(document) => {
                let fault = self.monitor.json.iter().find_map(|check| check.fault(&document))?;
                Some(format!("status {status}, but {fault}"))
            }
            Err(_) if body.len() == MAX_BODY => {
                Some(format!("status {status} with more than 64 KiB, which is too much JSON"))
            }
            Err(_) => Some(format!("status {status} with a body that is not JSON")),
        }
    }
}

fn with_causes(error: &ProbeError) -> String {
    crate::Failure::of(crate::FailureCode::Unhealthy, error).message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(successes: u32, stable_for: u64, deadline: u64) -> Monitor {
        let mut monitor = Monitor::new("http://h/").unwrap();
        monitor.successes = successes;
        monitor.stable_for = Duration::from_secs(stable_for);
        monitor.deadline = Duration::from_secs(deadline);
        monitor
    }

    /// What the last of the answers means: (second, status).
    fn judge(monitor: &Monitor, answers: &[(u64, u16)]) -> Health {
        let mut gate = HealthGate::new(monitor);
        let mut health = Health::KeepTrying;
        for (at, status) in answers {
            health =
                gate.hear(Duration::from_secs(*at), &Ok(ProbeAnswer::new(*status, b"ok".to_vec())));
        }
        health
    }

    #[test]
    fn one_answer_is_enough_by_default() {
        assert_eq!(judge(&monitor(1, 0, 60), &[(0, 200)]), Health::Healthy);
    }

    #[test]
    fn answers_count_only_in_a_row() {
        let monitor = monitor(3, 0, 60);
        let flapping = [(0, 200), (1, 200), (2, 500), (3, 200), (4, 200)];
        assert_eq!(judge(&monitor, &flapping), Health::KeepTrying);
        assert_eq!(judge(&monitor, &[(0, 500), (1, 200), (2, 200), (3, 200)]), Health::Healthy);
    }

    #[test]
    fn answers_count_only_over_the_whole_time() {
        let monitor = monitor(1, 5, 60);
        assert_eq!(judge(&monitor, &[(0, 500), (1, 200), (5, 200)]), Health::KeepTrying);
        assert_eq!(judge(&monitor, &[(0, 500), (1, 200), (6, 200)]), Health::Healthy);
    }

    #[test]
    fn an_answer_after_the_deadline_comes_too_late() {
        let monitor = monitor(1, 0, 10);
        assert_eq!(judge(&monitor, &[(10, 200)]), Health::Healthy);
        let Health::Unhealthy(reason) = judge(&monitor, &[(9, 503), (11, 200)]) else { panic!() };
        assert!(reason.contains("within 10s"), "{reason}");
        let Health::Unhealthy(reason) = judge(&monitor, &[(10, 503)]) else { panic!() };
        assert!(reason.contains("status 503, not 200-299"), "{reason}");
    }

    #[test]
    fn the_body_must_hold_the_text_within_its_beginning() {
        let mut monitor = monitor(1, 0, 60);
        monitor.contains = Some("ready".to_owned());
        let mut gate = HealthGate::new(&monitor);
        let mut hear = |body: Vec<u8>| gate.hear(Duration::ZERO, &Ok(ProbeAnswer::new(200, body)));
        assert_eq!(hear(b"not yet".to_vec()), Health::KeepTrying);
        assert_eq!(hear([vec![b' '; MAX_BODY], b"ready".to_vec()].concat()), Health::KeepTrying);
        assert_eq!(hear(b"we are ready.".to_vec()), Health::Healthy);
    }

    #[test]
    fn every_place_of_a_json_body_must_hold_what_is_expected() {
        let document = r#"{"url": "http://h/", "json": [
            {"pointer": "/status", "equals": "UP"}, {"pointer": "/db/0/ready", "equals": true},
            {"pointer": "/version", "equals": 7}]}"#;
        let monitor: Monitor = serde_json::from_str(document).unwrap();
        let written = serde_json::to_string(&monitor).unwrap();
        assert_eq!(serde_json::from_str::<Monitor>(&written).unwrap(), monitor);
        let hear = |body: &str| {
            let mut gate = HealthGate::new(&monitor);
            let health = gate.hear(Duration::ZERO, &Ok(ProbeAnswer::new(200, body.into())));
            (health == Health::Healthy).then(String::new).unwrap_or_else(|| gate.last.clone())
        };
        assert_eq!(hear(r#"{"status": "UP", "db": [{"ready": true}], "version": 7}"#), "");
        for (body, fault) in [
            (r#"{"status": "DOWN"}"#, "status 200, but /status is \"DOWN\", not \"UP\""),
            (r#"{"status": ["UP"]}"#, "status 200, but /status is a list, not \"UP\""),
            (
                r#"{"status": "UP", "db": []}"#,
                "status 200, but /db/0/ready is not there, and not true",
            ),
            (
                r#"{"status": "UP", "db": [{"ready": true}], "version": "7"}"#,
                "status 200, but /version is \"7\", not 7",
            ),
            ("UP", "status 200 with a body that is not JSON"),
        ] {
            assert_eq!(hear(body), fault);
        }
    }

    #[test]
    fn a_connection_is_health_for_a_tcp_address_alone() {
        let connected = Ok(ProbeAnswer::connected());
        let tcp = Monitor::new("tcp://h:80").unwrap();
        assert_eq!(HealthGate::new(&tcp).hear(Duration::ZERO, &connected), Health::Healthy);
        let http = Monitor::new("http://h:80").unwrap();
        assert_eq!(HealthGate::new(&http).hear(Duration::ZERO, &connected), Health::KeepTrying);
    }

    #[test]
    fn an_address_that_is_forbidden_is_not_asked_again() {
        let monitor = monitor(1, 0, 60);
        let forbidden = Err(ProbeError::Forbidden { reason: "loopback".to_owned() });
        let health = HealthGate::new(&monitor).hear(Duration::ZERO, &forbidden);
        assert!(matches!(health, Health::Unhealthy(reason) if reason.contains("loopback")));
    }
}
