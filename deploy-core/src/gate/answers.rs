//! What several gates say together.

use super::{GateDecision, GateError};
use crate::failure::Failure;
use crate::model::Timestamp;

/// The answers of the gates that were asked, folded: all closed ones have their say.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    refused: Vec<String>,
    held: Vec<String>,
    until: Option<Timestamp>,
}

impl Answers {
    /// Takes the answer of one gate. One that could not be asked holds until `ask_again`.
    pub(crate) fn hear(&mut self, answer: Result<GateDecision, GateError>, ask_again: Timestamp) {
        match answer {
            Ok(GateDecision::Open) => {}
            Ok(GateDecision::Held { reason, until }) => self.hold(reason, until),
            Ok(GateDecision::Refused { reason }) => self.refused.push(reason),
            Err(error) => self.hold(Failure::from(&error).message, ask_again),
        }
    }

    /// Before the last of the closed gates can be open there is no use in asking again.
    fn hold(&mut self, reason: String, until: Timestamp) {
        self.held.push(reason);
        self.until = self.until.max(Some(until));
    }

    /// What they say together: one that refuses decides, then those that hold.
    pub(crate) fn decision(self) -> GateDecision {
        match self.until {
            _ if !self.refused.is_empty() => {
                GateDecision::Refused { reason: self.refused.join("; ") }
            }
            Some(until) => GateDecision::Held { reason: self.held.join("; "), until },
            None => GateDecision::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_micros(second * 1_000_000).unwrap()
    }

    fn held(reason: &str, until: i64) -> Result<GateDecision, GateError> {
        Ok(GateDecision::Held { reason: reason.to_owned(), until: at(until) })
    }

    #[test]
    fn every_closed_gate_has_its_say_and_the_last_one_decides_when() {
        let mut answers = Answers::default();
        answers.hear(held("frozen", 50), at(30));
        answers.hear(Ok(GateDecision::Open), at(30));
        answers.hear(Err(GateError::new("the ticket system is down")), at(30));
        let reason = "frozen; the gate could not be asked: the ticket system is down".to_owned();
        assert_eq!(answers.decision(), GateDecision::Held { reason, until: at(50) });
    }

    #[test]
    fn one_that_refuses_outweighs_those_that_hold() {
        let mut answers = Answers::default();
        answers.hear(held("frozen", 50), at(30));
        answers.hear(Ok(GateDecision::Refused { reason: "never".to_owned() }), at(30));
        assert_eq!(answers.decision(), GateDecision::Refused { reason: "never".to_owned() });
    }

    #[test]
    fn without_a_closed_gate_the_way_is_open() {
        assert_eq!(Answers::default().decision(), GateDecision::Open);
    }
}
