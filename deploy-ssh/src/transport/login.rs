//! Proving to a host who we are, after it has proved who it is.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use deploy_core::Secret;

use super::fault::Fault;
use crate::auth::{Method, Question};
use crate::rsa;
use crate::wire::{Wire, WireError};

/// How many keys of an agent are offered: OpenSSH's servers break off after 6 tries.
const AGENT_KEYS: usize = 5;

/// The largest file that is taken for a private key, in bytes.
const LARGEST_KEY: u64 = 64 * 1024;

/// Why one method did not do.
enum Miss {
    /// The host did not accept it.
    Denied,
    /// It was refused, or could not be tried.
    Refused(String),
    /// The connection is over.
    Broken(WireError),
}

impl From<WireError> for Miss {
    fn from(error: WireError) -> Self {
        match error {
            error if error.is_denial() => Self::Denied,
            error if error.is_refusal() => Self::Refused(error.to_string()),
            error => Self::Broken(error),
        }
    }
}

/// Tries the methods in their order.
pub(crate) fn log_in(
    wire: &Wire,
    user: &str,
    methods: &[Method],
    deadline: Instant,
) -> Result<(), Fault> {
    let mut tried = Vec::new();
    for method in methods {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Fault::TimedOut);
        }
        wire.wait_at_most(left);
        wire.acknowledge();
        match offer(wire, user, method) {
            Ok(()) if wire.is_authenticated() => return Ok(()),
            Ok(()) => tried.push(format!("{method}: the host wants more than that")),
            Err(Miss::Denied) => tried.push(format!("the host did not accept {method}")),
            Err(Miss::Refused(why)) => tried.push(format!("{method}: {why}")),
            // Servers break off after too many tries, which is a refusal too.
            Err(Miss::Broken(_)) if !tried.is_empty() && Instant::now() < deadline => {
                tried.push(format!("{method}: not tried any more"));
                return Err(Fault::Rejected(refusal(user, &tried, None)));
            }
            Err(Miss::Broken(_)) if Instant::now() >= deadline => return Err(Fault::TimedOut),
            Err(Miss::Broken(error)) => return Err(Fault::broken(error)),
        }
    }
    wire.wait_at_most(
        deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1)),
    );
    let allowed = wire.allowed(user).ok();
    Err(Fault::Rejected(refusal(user, &tried, allowed.as_deref())))
}

fn refusal(user: &str, tried: &[String], allowed: Option<&[String]>) -> String {
    let tried = tried.join("; ");
    let then = match allowed {
        Some(list) => format!("it takes {}", list.join(", ")),
        None => "then it broke off".to_owned(),
    };
    format!("no login as {user}: {tried}; {then}")
}

fn offer(wire: &Wire, user: &str, method: &Method) -> Result<(), Miss> {
    match method {
        Method::KeyFile { path, passphrase } => {
            offer_key(wire, user, &read_key(path)?, passphrase.as_ref())
        }
        Method::Key { key, passphrase } => offer_key(wire, user, key, passphrase.as_ref()),
        Method::Agent { socket } => match wire.offer_agent(user, socket, AGENT_KEYS) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refused)) => Err(Miss::Refused(format!("{refused} keys were refused"))),
            Err(error) => Err(error.into()),
        },
        Method::Password(password) => Ok(wire.offer_password(user, password.expose())?),
        Method::Interactive(answers) => {
            let mut answer =
                |text: &str, is_public| answers(&Question { text, is_public }).expose().to_owned();
            Ok(wire.answer_questions(user, &mut answer)?)
        }
    }
}

fn offer_key(
    wire: &Wire,
    user: &str,
    key: &Secret,
    passphrase: Option<&Secret>,
) -> Result<(), Miss> {
    let (key, passphrase) = (key.expose(), passphrase.map(Secret::expose));
    let halves = rsa::public_halves(key);
    let Some((last, first)) = halves.split_last() else {
        return Ok(wire.offer_key(user, None, key, passphrase)?);
    };
    for half in first {
        match wire.offer_key(user, Some(half), key, passphrase) {
            Err(error) if error.is_denial() => {}
            offered => return Ok(offered?),
        }
    }
    Ok(wire.offer_key(user, Some(last), key, passphrase)?)
}

fn read_key(path: &Path) -> Result<Secret, Miss> {
    let mut key = String::new();
    match File::open(path).and_then(|file| file.take(LARGEST_KEY).read_to_string(&mut key)) {
        Ok(_) => Ok(Secret::new(key)),
        Err(error) => Err(Miss::Refused(format!("the file could not be read: {error}"))),
    }
}
