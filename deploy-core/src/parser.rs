//! Reading requests from documents.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::document::{Decode, Faults, Value, decode};
use crate::failure::{Failure, FailureCode, Retry};
use crate::model::DeploymentRequest;

/// How large a document may be, in bytes. A request has a few hundred; a megabyte is an attack.
pub const MAX_DOCUMENT: usize = 1024 * 1024;

/// Reads a request from a document.
///
/// # Contract
///
/// 1. What is read is valid: types whose values cannot be invalid see to it.
/// 2. When a document is of the right format but not a request, the error holds **all** its faults.
/// 3. Whatever the bytes, `parse` returns; it does not panic.
///
/// # Implementing
///
/// ```
/// use deploy_core::{FnParser, ParseError, Parser, JsonParser};
///
/// // Tickets of ours are JSON with a comment line on top.
/// let parser = FnParser::new(|bytes: &[u8]| {
///     let start = bytes.iter().position(|&b| b == b'\n').map_or(0, |at| at + 1);
///     JsonParser::new().parse(&bytes[start..])
/// });
/// assert!(parser.parse(b"# ticket\n{}").is_err());
/// ```
#[cfg_attr(
    not(any(test, feature = "mock")),
    diagnostic::on_unimplemented(
        message = "`{Self}` is not a parser",
        note = "use `JsonParser`, `TomlParser` or `YamlParser`, or wrap a closure in `FnParser::new`"
    )
)]
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Parser: fmt::Debug + Send + Sync + 'static {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// `Syntax` when the bytes are not of the format, `Invalid` when they are not a request,
    /// `TooLarge` when there are too many of them.
    fn parse(&self, document: &[u8]) -> Result<DeploymentRequest, ParseError>;
}

crate::wrappers::forward! {
    Parser { fn parse(&self, document: &[u8]) -> Result<DeploymentRequest, ParseError>; }
}

/// Why a document could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The document is not of its format.
    #[error("not valid {format}: {message}")]
    Syntax {
        /// The format.
        format: &'static str,
        /// What is wrong, with line and column where they are known.
        message: String,
    },
    /// The document is of its format, but not what it should be.
    #[error("{0}")]
    Invalid(Faults),
    /// The document is too large.
    #[error("the document has {size} bytes, more than the {MAX_DOCUMENT} allowed")]
    TooLarge {
        /// Its size, in bytes.
        size: usize,
    },
}

impl ParseError {
    /// Whether the same document is worth reading again: never.
    #[must_use]
    pub fn retry(&self) -> Retry {
        Retry::Never
    }

    /// The faults, when the document is of its format.
    #[must_use]
    pub fn faults(&self) -> Option<&Faults> {
        match self {
            Self::Invalid(faults) => Some(faults),
            Self::Syntax { .. } | Self::TooLarge { .. } => None,
        }
    }
}

impl From<&ParseError> for Failure {
    fn from(error: &ParseError) -> Self {
        Self::new(FailureCode::Invalid, error.to_string())
    }
}

/// A format in which documents are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// JSON.
    Json,
    /// TOML.
    #[cfg(feature = "toml")]
    Toml,
    /// YAML.
    #[cfg(feature = "yaml")]
    Yaml,
}

impl Format {
    /// The format that a file of this name has, by its ending: `.json`, `.toml`, `.yaml`, `.yml`.
    /// `None` for other endings, and for formats whose feature is off.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            #[cfg(feature = "toml")]
            "toml" => Some(Self::Toml),
            #[cfg(feature = "yaml")]
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// Reads a document of this format into any type that documents hold.
    ///
    /// # Errors
    ///
    /// As of [`Parser::parse`].
    pub fn read<T: Decode>(self, document: &[u8]) -> Result<T, ParseError> {
        if document.len() > MAX_DOCUMENT {
            return Err(ParseError::TooLarge { size: document.len() });
        }
        let value = self.value(document)?;
        decode(&value).map_err(ParseError::Invalid)
    }

    fn value(self, document: &[u8]) -> Result<Value, ParseError> {
        match self {
            Self::Json => from_json(document),
            #[cfg(feature = "toml")]
            Self::Toml => {
                let syntax = |message| ParseError::Syntax { format: "TOML", message };
                let text = std::str::from_utf8(document).map_err(|e| syntax(e.to_string()))?;
                toml::from_str(text).map_err(|error| {
                    let before = error.span().and_then(|span| text.get(..span.start));
                    let line = before.map(|text| text.matches('\n').count() + 1);
                    let message = error.message();
                    syntax(match line {
                        Some(line) => format!("line {line}: {message}"),
                        None => message.to_owned(),
                    })
                })
            }
            #[cfg(feature = "yaml")]
            Self::Yaml => {
                let syntax = |message| ParseError::Syntax { format: "YAML", message };
                let text = std::str::from_utf8(document).map_err(|e| syntax(e.to_string()))?;
                serde_saphyr::from_str(text).map_err(|error| {
                    let message = error.to_string();
                    syntax(message.lines().next().unwrap_or_default().to_owned())
                })
            }
        }
    }
}

fn from_json<T: DeserializeOwned>(document: &[u8]) -> Result<T, ParseError> {
    serde_json::from_slice(document)
        .map_err(|error| ParseError::Syntax { format: "JSON", message: error.to_string() })
}

/// Defines the parser of one format.
macro_rules! format_parser {
    ($(#[$meta:meta])* $name:ident, $format:expr) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default)]
        #[non_exhaustive]
        pub struct $name;

        $(#[$meta])*
        impl $name {
            /// Makes the parser.
            #[must_use]
            pub fn new() -> Self {
                Self
            }
        }

        $(#[$meta])*
        impl Parser for $name {
            fn parse(&self, document: &[u8]) -> Result<DeploymentRequest, ParseError> {
                $format.read(document)
            }
        }
    };
}

format_parser!(
    /// Reads requests written in JSON.
    JsonParser,
    Format::Json
);
format_parser!(
    /// Reads requests written in TOML.
    #[cfg(feature = "toml")]
    TomlParser,
    Format::Toml
);
format_parser!(
    /// Reads requests written in YAML.
    #[cfg(feature = "yaml")]
    YamlParser,
    Format::Yaml
);

/// A parser made of a closure.
pub struct FnParser<F>(F);

impl<F> FnParser<F>
where
    F: Fn(&[u8]) -> Result<DeploymentRequest, ParseError> + Send + Sync + 'static,
{
    /// Calls `f` for every document.
    pub fn new(f: F) -> Self {
        Self(f)
    }
}

impl<F> fmt::Debug for FnParser<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnParser(…)")
    }
}

impl<F> Parser for FnParser<F>
where
    F: Fn(&[u8]) -> Result<DeploymentRequest, ParseError> + Send + Sync + 'static,
{
    fn parse(&self, document: &[u8]) -> Result<DeploymentRequest, ParseError> {
        (self.0)(document)
    }
}
