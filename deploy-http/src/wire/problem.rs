//! Errors on the wire: problem details as of RFC 9457, of a fixed set of types.

use deploy_core::Drift;
use deploy_core::document::Faults;
use serde::{Deserialize, Serialize};

/// The content type of problems.
#[cfg(feature = "server")]
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// Defines the types of problems.
macro_rules! kinds {
    ($($name:ident => $status:literal $slug:literal $title:literal;)*) => {
        /// The type of a problem: a closed set.
        #[allow(dead_code, reason = "a client alone does not use every type")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum ProblemKind {
            $($name,)*
        }

        #[allow(dead_code, reason = "a client alone does not use all of it")]
        impl ProblemKind {
            /// Every type.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// The HTTP status.
            pub(crate) const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The URI that names the type.
            pub(crate) const fn uri(self) -> &'static str {
                match self { $(Self::$name => concat!("urn:deploy:problem:", $slug),)* }
            }

            /// What the type means, in words.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

kinds! {
    Malformed => 400 "malformed" "The request is not well-formed";
    Unauthenticated => 401 "unauthenticated" "No valid token was given";
    NotAllowed => 403 "not-allowed" "The token does not allow this";
    NoSuchRoute => 404 "no-such-route" "There is nothing at this path";
    UnknownTask => 404 "unknown-task" "No such task is known";
    UnknownDeployment => 404 "unknown-deployment" "No such deployment is known";
    NoSuchMethod => 405 "no-such-method" "The path does not know this method";
    TooSlow => 408 "too-slow" "The request took too long to arrive";
    Conflict => 409 "conflict" "The id is taken by another content";
    NotNow => 409 "not-now" "What was asked makes no sense as things are";
    Drifted => 409 "drifted" "The plan does not hold any more";
    TooLarge => 413 "too-large" "The request is too large";
    NotJson => 415 "not-json" "The request is not JSON";
    Invalid => 422 "invalid" "What was sent is not valid";
    Unplannable => 422 "unplannable" "No plan can be made";
    Busy => 429 "busy" "The node has as much work as it can hold";
    Storage => 500 "storage" "The node's store failed";
    ShuttingDown => 503 "shutting-down" "The node shuts down";
}

/// An error as it travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The URI that names the type.
    pub(crate) r#type: String,
    /// What the type means.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// What happened this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// The path that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    /// What is wrong with the document, each with the path of its field.
    #[serde(default, skip_serializing_if = "Faults::is_empty")]
    pub(crate) faults: Faults,
    /// What has changed since a plan was made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) drifts: Vec<Drift>,
    /// When to ask again; it travels in a header.
    #[serde(skip)]
    #[cfg(feature = "server")]
    pub(crate) retry_after: Option<std::time::Duration>,
}

#[cfg(feature = "server")]
impl Problem {
    /// Makes a problem of a type.
    pub(crate) fn new(kind: ProblemKind) -> Box<Self> {
        Box::new(Self {
            r#type: kind.uri().to_owned(),
            title: kind.title().to_owned(),
            status: kind.status(),
            detail: None,
            instance: None,
            faults: Faults::default(),
            drifts: Vec::new(),
            retry_after: None,
        })
    }

    /// Says what happened this time.
    pub(crate) fn with_detail(mut self: Box<Self>, detail: impl Into<String>) -> Box<Self> {
        self.detail = Some(detail.into());
        self
    }
}

#[cfg(feature = "client")]
impl Problem {
    /// The problem in words, as the reason of a refusal.
    pub(crate) fn reason(&self) -> String {
        let mut reason = self.detail.clone().unwrap_or_else(|| self.title.clone());
        if !self.faults.is_empty() {
            reason = format!("{reason}: {}", self.faults);
        }
        reason
    }
}
