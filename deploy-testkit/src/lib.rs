//! Fakes, a virtual clock and conformance suites for whoever embeds or extends the deployment engine.
//!
//! | | stands for | does |
//! |---|---|---|
//! | [`VirtualClock`] | `Clock` | stands still until a test moves it |
//! | [`ScriptedExecutor`] | `Executor` | on each host what a [`HostScript`] says: succeed, fail, be slow, hang |
//! | [`ScriptedConnector`] | `Connector` | runs each script by a Rust closure |
//! | [`FakeVerifier`] | `Verifier` | gives bytes from memory, checked as the contract says |
//! | [`SshFleet`] | hosts | real sshd's on loopback, which go down, hang, freeze and change their keys as told |
//! | [`FaultProxy`] | a network | cuts, hangs, delays, slows down and garbles a TCP connection at a given byte |
//! | [`ModelFleet`] | hosts | in memory, with locks, fencing numbers, marks and hooks; they fail, hang, die and lose connections by the dice |
//! | [`LossyLink`] | a network | carries an agent's API between nodes in one process; loses, doubles, delays and reorders by the dice |
//! | [`Dice`] | chance | what a seed repeats |
//! | [`StaticResolver`] | `AgentResolver` | knows its hosts by heart |
//! | [`samples`] | | valid values of the model |
//! | [`queue_conformance!`], [`queue_limits_conformance!`], [`durable_queue_conformance!`], [`queue_admin_conformance!`], [`journal_conformance!`], [`durable_journal_conformance!`], [`connector_conformance!`], [`connector_patience_conformance!`], [`remote_connector_conformance!`], [`resolver_conformance!`] | | one named test for each clause of a contract, for a queue, a journal, a connector or a resolver of yours |
//!
//! # Quick start
//!
//! ```
//! use deploy_core::{Context, Executor, FailureCode, model::{DeploymentId, Fence, ReleaseTask}};
//! use deploy_testkit::{HostScript, ScriptedExecutor, samples};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let executor = ScriptedExecutor::new()
//!     .with_host(samples::host(2), HostScript::fail(FailureCode::HookFailed));
//! let package = samples::package(b"bytes");
//! let (request, hosts) = (samples::request(package.clone()), samples::fleet(2));
//! let (id, deployment) = (samples::task_id("task-1"), DeploymentId::new("deployment-1")?);
//! let task = ReleaseTask::new(id.clone(), deployment, &request, package, hosts, Fence::new(1));
//! let report = executor.execute(Context::new(id), task).await?;
//! assert!(!report.succeeded());
//! assert_eq!(executor.executions(&samples::host(1)), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//!
//! - The fakes keep the contracts of what they stand for.
//! - Each case of a suite is tested against a backend that breaks its clause.
//! - No case sleeps or measures time. A case that hangs fails after a minute.

pub mod conformance;
mod dice;
mod fake_verifier;
mod fault_proxy;
mod host_script;
mod lossy_link;
mod model_fleet;
pub mod samples;
mod scripted_connector;
mod scripted_executor;
mod ssh_fleet;
mod static_resolver;
mod virtual_clock;

pub use dice::Dice;
pub use fake_verifier::FakeVerifier;
pub use fault_proxy::{Direction, Fault, FaultProxy, Faults};
pub use host_script::HostScript;
pub use lossy_link::{LinkExecutor, LinkFaults, LinkFlaw, LossyLink, Patience};
pub use model_fleet::{FleetExecutor, FleetFaults, HostEffect, HostEvent, HostFlaw, ModelFleet};
pub use scripted_connector::{ScriptedCall, ScriptedConnector};
pub use scripted_executor::ScriptedExecutor;
pub use ssh_fleet::{FleetUser, SshFleet, SshFleetBuilder, SshHost};
pub use static_resolver::StaticResolver;
pub use virtual_clock::VirtualClock;
