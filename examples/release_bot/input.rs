//! Reading what the command line names, and saying what is wrong with it.

use std::error::Error;
use std::fmt;
use std::path::Path;

use deploy_core::document::Decode;
use deploy_core::gate::GatePolicy;
use deploy_core::model::DeploymentRequest;
use deploy_core::{Drift, Faults, Format, Inventory, InventoryError, ParseError, Plan, Secret};
use deploy_examples::wiring::AgentTls;
use deploy_examples::{SshHosts, SshOptions, ssh_hosts};
use deploy_http::{HttpExecutor, TlsIdentity};

use crate::args::{AgentTlsArgs, IdentityArgs};

/// An error of any part.
pub(crate) type AnyError = Box<dyn Error + Send + Sync>;

/// The input is bad: exit status 2.
#[derive(Debug)]
pub(crate) struct BadInput(String);

impl BadInput {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BadInput {}

/// Both of two inputs. Where both are bad, both are told.
pub(crate) fn both<A, B>(
    one: Result<A, impl Into<AnyError>>,
    other: Result<B, impl Into<AnyError>>,
) -> Result<(A, B), AnyError> {
    match (one.map_err(Into::into), other.map_err(Into::into)) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(one), Err(other)) if one.is::<BadInput>() && other.is::<BadInput>() => {
            Err(BadInput(format!("{one}\n{other}")).into())
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

/// A plan does not hold any more: exit status 2.
#[derive(Debug)]
pub(crate) struct Drifted(pub(crate) Vec<Drift>);

impl fmt::Display for Drifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the plan does not hold any more, and nothing was filed:")?;
        self.0.iter().try_for_each(|drift| write!(f, "\n  {drift}"))
    }
}

impl Error for Drifted {}

/// Reads a plan from a file.
pub(crate) fn plan(path: &Path) -> Result<Plan, BadInput> {
    let shown = path.display();
    let text = read(path)?;
    serde_json::from_slice(&text)
        .map_err(|error| BadInput(format!("{shown} is no plan: {error}; `plan --out` writes one")))
}

/// Reads a request from a file.
pub(crate) fn request(path: &Path) -> Result<DeploymentRequest, BadInput> {
    document(path)
}

/// Reads gates from a file.
pub(crate) fn gates(path: &Path) -> Result<GatePolicy, BadInput> {
    document(path)
}

fn document<T: Decode>(path: &Path) -> Result<T, BadInput> {
    let shown = path.display();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let format = Format::of_file(name)
        .ok_or_else(|| BadInput(format!("{shown} does not end in .json, .toml, .yaml or .yml")))?;
    let document = read(path)?;
    format.read(&document).map_err(|error| BadInput(faults(&shown.to_string(), &error)))
}

/// Reads an inventory from a file.
pub(crate) fn inventory(path: &Path) -> Result<Inventory, BadInput> {
    Inventory::load(path).map_err(|error| match &error {
        InventoryError::Invalid { path, source } => BadInput(faults(path, source)),
        _ => BadInput(chain(&error)),
    })
}

/// Finds out whether the token files of an inventory can be read.
pub(crate) fn tokens(inventory: &Inventory) -> Result<(), BadInput> {
    inventory.tokens().map(drop).map_err(|error| match &error {
        InventoryError::Tokens(all) => BadInput(refused("the inventory", all)),
        _ => BadInput(chain(&error)),
    })
}

/// Finds out how the hosts of an inventory are reached over SSH.
pub(crate) fn ssh(
    inventory: &Inventory,
    options: impl Into<SshOptions>,
) -> Result<SshHosts, BadInput> {
    ssh_hosts(inventory, &options.into()).map_err(BadInput)
}

/// Reads what the command line names of TLS on the way to agents.
pub(crate) fn agent_tls(args: &AgentTlsArgs) -> Result<AgentTls, AnyError> {
    let authorities = args.agent_ca.as_deref().map(authorities).transpose();
    let (authorities, identity) = both(authorities, identity(&args.identity))?;
    Ok(AgentTls { authorities, identity })
}

/// Reads the certificates of authorities.
fn authorities(path: &Path) -> Result<Vec<u8>, BadInput> {
    let pem = read(path)?;
    let checked = HttpExecutor::builder().root_certificate_pem(pem.clone()).build();
    checked.map_err(|error| BadInput(format!("{}: {}", path.display(), chain(&error))))?;
    Ok(pem)
}

/// Reads a certificate and its key.
pub(crate) fn identity(args: &IdentityArgs) -> Result<Option<TlsIdentity>, BadInput> {
    let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) else { return Ok(None) };
    let pem = read(certificate)?;
    let secret = Secret::new(String::from_utf8(read(key)?).unwrap_or_default());
    let identity = TlsIdentity::from_pem(&pem, &secret);
    let files = || format!("{} and {}", certificate.display(), key.display());
    identity.map(Some).map_err(|error| BadInput(format!("{}: {}", files(), chain(&error))))
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, BadInput> {
    std::fs::read(path)
        .map_err(|error| BadInput(format!("{} could not be read: {error}", path.display())))
}

/// Why a document cannot be read.
fn faults(path: &str, error: &ParseError) -> String {
    match error.faults() {
        Some(faults) => refused(path, faults),
        None => format!("{path} is refused: {error}"),
    }
}

/// All faults of a document, a line each.
fn refused(path: &str, faults: &Faults) -> String {
    let lines: Vec<_> = faults.as_slice().iter().map(|f| format!("  {f}")).collect();
    format!("{path} is refused:\n{}", lines.join("\n"))
}

/// An error and its causes, joined by colons.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// An error as data: what happened, and of a plan that does not hold each thing that has changed.
pub(crate) fn as_json(error: &AnyError) -> serde_json::Value {
    match error.downcast_ref::<Drifted>() {
        Some(Drifted(drifts)) => {
            serde_json::json!({"error": "the plan does not hold any more", "drifts": drifts})
        }
        None => serde_json::json!({"error": chain(&**error)}),
    }
}
