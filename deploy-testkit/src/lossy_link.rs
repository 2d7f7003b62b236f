//! A network between a control node and its agents that loses, doubles, delays and reorders.

mod call;
mod executor;
mod faults;
mod feed;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deploy_core::model::Endpoint;
use deploy_core::{AgentNode, CancelToken};

pub use self::executor::LinkExecutor;
pub use self::faults::{LinkFaults, LinkFlaw, Patience};
use crate::dice::Dice;

/// A network between control nodes and agents that loses, doubles, delays and reorders what is sent.
///
/// It carries the three calls of an agent's API to agent nodes in the same process: giving a task,
/// following its numbered events, cancelling it. A call may be lost on its way, or done and its answer
/// lost; it may arrive twice, or long after its caller has given up. A stream of events may break off
/// or fall silent. An agent that is not there refuses connections; behind a partition nothing arrives
/// and nobody is told.
///
/// Its [executor](Self::executor) is what the control node gets. It does what `deploy_http::HttpExecutor`
/// does: a call is made again until a window is over, following goes on behind the last event, and what
/// is not known is said to be lost.
///
/// Time is tokio's, which a test pauses; all chance comes from the [`Dice`]. Clones share the network.
///
/// ```
/// use deploy_testkit::{Dice, LinkFaults, LossyLink};
///
/// let link = LossyLink::new(&Dice::new(7));
/// link.set_faults(LinkFaults::everything(50));
/// // let node = ControlNode::builder().executor(link.executor()) …
/// // link.connect(&endpoint, &agent);
/// # let _ = link.executor();
/// ```
#[derive(Clone)]
pub struct LossyLink {
    shared: Arc<Shared>,
}

struct Shared {
    dice: Dice,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    agents: BTreeMap<Endpoint, Listening>,
    cut: BTreeSet<Endpoint>,
    faults: LinkFaults,
    patience: Patience,
    flaw: Option<LinkFlaw>,
}

/// An agent that is there. The token ends what it was asked for when it goes.
#[derive(Clone, Debug)]
struct Listening {
    node: AgentNode,
    gone: CancelToken,
}

impl fmt::Debug for LossyLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LossyLink").finish_non_exhaustive()
    }
}

impl LossyLink {
    /// Makes a network that loses nothing and reaches nobody yet.
    #[must_use]
    pub fn new(dice: &Dice) -> Self {
        Self { shared: Arc::new(Shared { dice: dice.fork("link"), state: Mutex::default() }) }
    }

    /// Lets an agent be reached at an endpoint.
    pub fn connect(&self, endpoint: &Endpoint, node: &AgentNode) {
        let listening = Listening { node: node.clone(), gone: CancelToken::new() };
        if let Some(before) = self.shared.lock().agents.insert(endpoint.clone(), listening) {
            before.gone.cancel("another one has its place");
        }
    }

    /// The agent at an endpoint has gone: every connection to it breaks, and new ones are refused.
    pub fn disconnect(&self, endpoint: &Endpoint) {
        if let Some(listening) = self.shared.lock().agents.remove(endpoint) {
            listening.gone.cancel("it has gone");
        }
    }

    /// Cuts the network before an agent, or mends it.
    pub fn set_cut(&self, endpoint: &Endpoint, cut: bool) {
        let mut state = self.shared.lock();
        if cut {
            state.cut.insert(endpoint.clone())
        } else {
            state.cut.remove(endpoint)
        };
    }

    /// Sets what goes wrong, and how often, from now on.
    pub fn set_faults(&self, faults: LinkFaults) {
        self.shared.lock().faults = faults;
    }

    /// Sets how long its executors wait for what.
    pub fn set_patience(&self, patience: Patience) {
        self.shared.lock().patience = patience;
    }

    /// Gives its executors a flaw, to see whether a test notices.
    pub fn set_flaw(&self, flaw: LinkFlaw) {
        self.shared.lock().flaw = Some(flaw);
    }

    /// An executor that reaches the agents over this network.
    #[must_use]
    pub fn executor(&self) -> LinkExecutor {
        LinkExecutor::new(Arc::clone(&self.shared))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agent at an endpoint.
    fn agent(&self, endpoint: &Endpoint) -> Option<Listening> {
        self.lock().agents.get(endpoint).cloned()
    }

    /// Says whether something that is sent now is lost on its way to or from an agent.
    fn loses(&self, endpoint: &Endpoint, per_mille: u32) -> bool {
        let cut = self.lock().cut.contains(endpoint);
        cut || self.dice.chance(per_mille)
    }
}
