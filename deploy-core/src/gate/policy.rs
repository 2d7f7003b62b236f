//! Gates as a document has them.

use std::sync::Arc;

use super::{ApprovalRule, ApprovalStore, Approvals, FreezeWindows, Gate};
use crate::clock::Clock;
use crate::document::{Decode, Node};
use crate::parser::{Format, ParseError};

/// The gates of a document: windows, and approvals that are needed.
///
/// The tables `freeze` and `allow` are those of [`FreezeWindows`], `approval` those of
/// [`ApprovalRule`].
///
/// ```
/// use deploy_core::Format;
/// use deploy_core::gate::GatePolicy;
///
/// let policy = GatePolicy::parse(Format::Json, br#"{
///     "freeze": [{"reason": "weekend", "zone": "Asia/Shanghai",
///                 "weekly": {"from": "fri 18:00", "until": "mon 08:00"}}],
///     "approval": [{"need": 2, "of": ["alice", "bob", "carol"], "not_requester": true}]
/// }"#)?;
/// assert!(policy.needs_approvals());
/// # Ok::<(), deploy_core::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GatePolicy {
    windows: FreezeWindows,
    approvals: Vec<ApprovalRule>,
}

impl GatePolicy {
    /// Reads a document.
    ///
    /// # Errors
    ///
    /// [`ParseError`] with all faults at once.
    pub fn parse(format: Format, document: &[u8]) -> Result<Self, ParseError> {
        format.read(document)
    }

    /// Says whether it has rules that need approvals, and so a store of them.
    #[must_use]
    pub fn needs_approvals(&self) -> bool {
        !self.approvals.is_empty()
    }

    /// Makes the gates, for [`ControlNodeBuilder::gate`](crate::ControlNodeBuilder::gate): one of the
    /// windows, one of the approvals.
    pub fn gates(self, approvals: impl ApprovalStore, clock: impl Clock) -> Vec<Arc<dyn Gate>> {
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let windows = self.windows.with_clock(Arc::clone(&clock));
        let approvals = Approvals::new(self.approvals, approvals).with_clock(clock);
        vec![Arc::new(windows), Arc::new(approvals)]
    }
}

impl Decode for GatePolicy {
    fn decode(node: &Node<'_>) -> Option<Self> {
        let mut table = node.table()?;
        let windows = FreezeWindows::read(&mut table);
        let approvals = table.or("approval", Vec::new());
        table.finish();
        Some(Self { windows: windows?, approvals: approvals? })
    }
}
