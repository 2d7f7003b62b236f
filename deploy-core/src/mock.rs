//! mockall mocks of every trait, for tests of host applications.
//!
//! Mock where the interaction is the assertion. Where behaviour matters (a queue, a clock, a slow
//! host), deploy-testkit has fakes.
//!
//! ```
//! use deploy_core::mock::MockParser;
//! use deploy_core::{ParseError, Parser};
//!
//! let mut parser = MockParser::new();
//! parser.expect_parse().times(1).returning(|_| Err(ParseError::TooLarge { size: 0 }));
//! assert!(parser.parse(b"").is_err());
//! ```

pub use crate::clock::MockClock;
pub use crate::connector::{MockConnector, MockSession};
pub use crate::executor::MockExecutor;
pub use crate::gate::{MockApprovalStore, MockGate};
pub use crate::journal::MockJournal;
pub use crate::observer::MockObserver;
pub use crate::parser::MockParser;
pub use crate::prober::MockProber;
pub use crate::queue::{MockQueue, MockQueueAdmin};
pub use crate::resolver::MockAgentResolver;
pub use crate::task::MockTask;
pub use crate::verifier::MockVerifier;
