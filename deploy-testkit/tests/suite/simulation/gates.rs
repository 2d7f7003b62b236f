//! A gate that is shut at times, and sometimes cannot be asked.

use std::time::Duration;

use async_trait::async_trait;
use deploy_core::model::{DeploymentId, DeploymentRequest};
use deploy_core::{Clock, Context, Gate, GateDecision, GateError};
use deploy_testkit::Dice;

use super::clock::MachineClock;
use super::flaw::Flaw;
use super::history::{Happening, History};

#[derive(Clone, Debug)]
pub(super) struct TimedGate {
    pub(super) number: usize,
    pub(super) shut: Vec<(Duration, Duration)>,
    pub(super) clock: MachineClock,
    pub(super) dice: Dice,
    pub(super) history: History,
    pub(super) flaw: Option<Flaw>,
}

#[async_trait]
impl Gate for TimedGate {
    async fn check(
        &self,
        _cx: Context,
        id: DeploymentId,
        _request: DeploymentRequest,
    ) -> Result<GateDecision, GateError> {
        tokio::time::sleep(self.dice.millis(1..300)).await;
        let answer = |open| {
            let gate = self.number;
            self.history.note(Happening::Asked { gate, id: id.clone(), open });
        };
        if self.dice.chance(30) {
            answer(false);
            return Err(GateError::new("nobody answers"));
        }
        let now = self.history.start().elapsed();
        let shut = self.shut.iter().find(|(from, to)| (*from..*to).contains(&now));
        answer(shut.is_none());
        Ok(match shut {
            Some((_, to)) if self.flaw != Some(Flaw::IgnoresGates) => {
                let reason = format!("gate {} is shut", self.number);
                let again = (*to - now).min(self.dice.millis(10_000..300_000));
                GateDecision::Held { reason, until: self.clock.now().plus(again) }
            }
            _ => GateDecision::Open,
        })
    }
}
