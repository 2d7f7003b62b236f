//! How far a task has come.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::Fact;
use crate::model::AfterBudget;

/// How far a task has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// It is accepted, and prepared: hosts are resolved, the package is verified.
    #[default]
    Preparing,
    /// It waits in line, behind another deployment of its project.
    InLine,
    /// It waits for its scheduled time.
    Waiting,
    /// A gate holds it, or a pause between two batches, or its canary waits to be promoted.
    Held,
    /// Hosts are being done.
    RollingOut,
    /// The hosts that serve its release, or may, are put back, or are about to be.
    RollingBack,
    /// It starts nothing new until a person says what becomes of it: somebody paused it, or its
    /// failure budget was passed.
    Paused,
    /// It has reached its terminal state.
    Finished,
}

impl Phase {
    /// The phase after a fact.
    pub(crate) fn after(self, fact: &Fact) -> Self {
        match fact {
            _ if self == Self::Finished => self,
            Fact::Finished { .. } => Self::Finished,
            Fact::Paused { .. } | Fact::BudgetPassed { then: AfterBudget::Wait, .. } => {
                Self::Paused
            }
            Fact::RollbackRequested { .. }
            | Fact::RollbackStarted { .. }
            | Fact::BudgetPassed { then: AfterBudget::RollBack, .. } => Self::RollingBack,
            Fact::Resumed { phase, .. } => *phase,
            Fact::BatchStarted { .. } if self == Self::RollingBack => self,
            Fact::Retried { .. } if self == Self::Paused => Self::RollingOut,
            _ if self == Self::Paused => self,
            Fact::Resolved { .. } | Fact::Verified { .. } => Self::Preparing,
            Fact::InLine { .. } => Self::InLine,
            Fact::Waiting { .. } => Self::Waiting,
            Fact::Held { .. } | Fact::BatchHeld { .. } => Self::Held,
            Fact::RolloutStarted { .. } | Fact::BatchStarted { .. } => Self::RollingOut,
            _ => self,
        }
    }
}

/// The phase in words.
impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preparing => "being prepared",
            Self::InLine => "in line",
            Self::Waiting => "waiting for its time",
            Self::Held => "held",
            Self::RollingOut => "rolling out",
            Self::RollingBack => "rolling back",
            Self::Paused => "paused",
            Self::Finished => "finished",
        })
    }
}
