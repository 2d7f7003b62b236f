//! Who may do what: bearer tokens, kept as hashes and compared in constant time.

use deploy_core::Secret;
use deploy_core::model::Sha256Digest;
use subtle::{Choice, ConstantTimeEq};

use crate::error::ConfigureError;
use crate::wire::route::Scope;

/// How short a token may be, in bytes: 128 bits when it is random.
const SHORTEST: usize = 16;

/// The tokens that a node believes. Without any, nobody may do anything.
///
/// ```
/// use deploy_core::Secret;
/// use deploy_http::{AccessTokens, Scope};
///
/// let access = AccessTokens::new()
///     .with("control-node", Secret::new("a-long-and-random-text"), Scope::Deploy)?
///     .with("dashboard", Secret::new("another-long-random-text"), Scope::Read)?;
/// # Ok::<(), deploy_http::ConfigureError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccessTokens(Vec<Entry>);

/// A token, of which only the hash is kept.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    hash: Sha256Digest,
    scope: Scope,
}

impl AccessTokens {
    /// Believes nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes whoever has a token. Its name stands in logs.
    ///
    /// # Errors
    ///
    /// `ShortToken` when it has fewer than 16 bytes, `RepeatedToken` when it was given before.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "whoever gives a token away need not keep it"
    )]
    pub fn with(
        mut self,
        name: impl Into<String>,
        token: Secret,
        scope: Scope,
    ) -> Result<Self, ConfigureError> {
        let name = name.into();
        if token.expose().len() < SHORTEST {
            let least = SHORTEST;
            return Err(ConfigureError::ShortToken { name, least });
        }
        let hash = Sha256Digest::of(token.expose().as_bytes());
        if self.find(&hash).is_some() {
            return Err(ConfigureError::RepeatedToken { name });
        }
        self.0.push(Entry { name, hash, scope });
        Ok(self)
    }

    /// Says who asks and what that one may do, from the value of the `Authorization` header.
    pub(super) fn judge(&self, authorization: Option<&[u8]>) -> Option<Caller<'_>> {
        let (scheme, token) = authorization?.split_at_checked(7)?;
        if !scheme.eq_ignore_ascii_case(b"bearer ") {
            return None;
        }
        self.find(&Sha256Digest::of(token))
    }

    /// Compares with every token, in the same time whichever it is.
    fn find(&self, hash: &Sha256Digest) -> Option<Caller<'_>> {
        let mut found = None;
        for entry in &self.0 {
            let same: Choice = entry.hash.as_bytes().ct_eq(hash.as_bytes());
            if bool::from(same) {
                found = Some(Caller {
                    name: &entry.name,
                    scope: entry.scope,
                });
            }
        }
        found
    }
}

/// Somebody whose token is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller<'a> {
    pub(super) name: &'a str,
    pub(super) scope: Scope,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> AccessTokens {
        let with = |access: AccessTokens, name, token, scope| {
            access.with(name, Secret::new(token), scope).unwrap()
        };
        let access = with(
            AccessTokens::new(),
            "reader",
            "reader-0123456789",
            Scope::Read,
        );
        with(access, "robot", "robot-0123456789", Scope::Deploy)
    }

    #[test]
    fn a_token_is_believed_as_a_whole_only() {
        let access = access();
        let scope = |header: &str| access.judge(Some(header.as_bytes())).map(|c| c.scope);
        assert_eq!(scope("Bearer reader-0123456789"), Some(Scope::Read));
        assert_eq!(scope("bearer robot-0123456789"), Some(Scope::Deploy));
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  robot-0123456789",
            "Bearer robot-012345678",
            "Bearer robot-01234567890",
            "Basic robot-0123456789",
            "robot-0123456789",
            "Bearer ROBOT-0123456789",
        ] {
            assert_eq!(scope(bad), None, "{bad:?}");
        }
        assert!(access.judge(None).is_none());
        assert!(AccessTokens::new().judge(Some(b"Bearer ")).is_none());
    }

    #[test]
    fn sec_a05_tokens_are_kept_as_hashes_and_shown_nowhere() {
        let shown = format!("{:?}", access());
        assert!(!shown.contains("0123456789"), "{shown}");
    }

    #[test]
    fn short_and_repeated_tokens_are_refused() {
        let short = access().with("x", Secret::new("fifteen-bytes-x"), Scope::Read);
        assert!(matches!(short, Err(ConfigureError::ShortToken { .. })));
        let again = access().with("x", Secret::new("robot-0123456789"), Scope::Read);
        assert!(matches!(again, Err(ConfigureError::RepeatedToken { .. })));
    }
}
