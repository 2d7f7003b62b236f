//! One request for a package: redirects, credentials, and what the answer's head says.

use deploy_core::VerifyError;
use reqwest::header::{
    AUTHORIZATION, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LOCATION, RANGE,
};
use reqwest::{Response, StatusCode};
use url::Url;

use super::Inner;
use crate::backoff::retry_after;
use crate::policy::{Authority, Forbidden};
use crate::transport::cause;

use std::error::Error;
use std::time::Duration;

/// Why a try did not give the package.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another try is worth it.
    Passing { source: Box<dyn Error + Send + Sync>, wait: Option<Duration> },
    /// Another try is worth it, from the first byte on: what is there is of no use any more.
    Changed { source: Box<dyn Error + Send + Sync> },
    /// It is not.
    Final(VerifyError),
}

impl Trouble {
    pub(super) fn passing(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Passing { source: source.into(), wait: None }
    }

    fn changed(source: &str) -> Self {
        Self::Changed { source: source.into() }
    }

    pub(super) fn refused(url: &str, reason: impl Into<String>) -> Self {
        Self::Final(VerifyError::Refused { url: url.to_owned(), reason: reason.into() })
    }

    pub(super) fn of_request(url: &str, error: reqwest::Error) -> Self {
        match Forbidden::find(&error) {
            Some(reason) => Self::refused(url, reason.to_string()),
            None => Self::passing(cause(error)),
        }
    }
}

/// From where on the package is wanted, and that it must still be the same.
#[derive(Clone, Debug)]
pub(super) struct Resume {
    pub(super) offset: u64,
    pub(super) validator: HeaderValue,
}

/// An answer that brings bytes.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) response: Response,
    /// At which byte of the package the answer begins.
    pub(super) offset: u64,
    /// The whole package's size, where the answer says it.
    pub(super) total: Option<u64>,
    /// The strong name of the package's bytes, where the server has one.
    pub(super) validator: Option<HeaderValue>,
}

impl Inner {
    /// Asks for a package, or for the rest of it. `shown` is its address for messages.
    pub(super) async fn fetch(
        &self,
        url: &Url,
        shown: &str,
        resume: Option<Resume>,
    ) -> Result<Answer, Trouble> {
        let mut url = url.clone();
        for _ in 0..=self.limits.redirects {
            let response = self.send(&url, shown, resume.as_ref()).await?;
            let Some(next) = redirect_of(&url, &response, shown)? else {
                return answer(response, resume.as_ref(), shown);
            };
            url = next;
        }
        Err(Trouble::refused(
            shown,
            match self.limits.redirects {
                0 => "it redirects to another address, and redirects are not followed",
                _ => "it redirects more often than is followed",
            },
        ))
    }

    async fn send(
        &self,
        url: &Url,
        shown: &str,
        resume: Option<&Resume>,
    ) -> Result<Response, Trouble> {
        let client = self.transport.client(url);
        let client = client.map_err(|reason| Trouble::refused(shown, reason.to_string()))?;
        let mut headers = HeaderMap::new();
        if takes_tokens(url)
            && let Some(token) = Authority::of(url).and_then(|to| self.credentials.get(&to))
        {
            headers.insert(AUTHORIZATION, token.clone());
        }
        if let Some(resume) = resume {
            if let Ok(range) = HeaderValue::try_from(format!("bytes={}-", resume.offset)) {
                headers.insert(RANGE, range);
            }
            headers.insert(IF_RANGE, resume.validator.clone());
        }
        let request = client.get(url.clone()).headers(headers).send();
        tokio::time::timeout(self.limits.idle, request)
            .await
            .map_err(|_| Trouble::passing("the server did not answer in time"))?
            .map_err(|error| Trouble::of_request(shown, error))
    }
}

/// Whether a token may go there. Whoever asks for http at the port of https, or redirects to it,
/// wants to see the token on the way.
fn takes_tokens(url: &Url) -> bool {
    url.scheme() == "https" || url.port_or_known_default() != Some(443)
}

/// Where an answer redirects to, if it does.
fn redirect_of(from: &Url, response: &Response, shown: &str) -> Result<Option<Url>, Trouble> {
    let status = response.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    let Some(to) = location.and_then(|location| from.join(location).ok()) else {
        return Err(Trouble::refused(shown, "it redirects to no address"));
    };
    if from.scheme() == "https" && to.scheme() != "https" {
        return Err(Trouble::refused(shown, "it redirects from https to something else"));
    }
    Ok(Some(to))
}

/// Reads the head of an answer.
fn answer(response: Response, resume: Option<&Resume>, shown: &str) -> Result<Answer, Trouble> {
    let status = response.status();
    let length = response.content_length();
    let validator = strong_etag(response.headers());
    match (status, resume) {
        (StatusCode::OK, _) => Ok(Answer { response, offset: 0, total: length, validator }),
        (StatusCode::PARTIAL_CONTENT, Some(resume)) => {
            let range = response.headers().get(CONTENT_RANGE);
            let range = range.and_then(|range| content_range(range.to_str().ok()?));
            match range {
                Some((first, total))
                    if first == resume.offset && validator.as_ref() == Some(&resume.validator) =>
                {
                    Ok(Answer { response, offset: first, total, validator })
                }
                _ => Err(Trouble::changed("the server sent another part than asked")),
            }
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
            Err(Trouble::changed("the server has no such part any more"))
        }
        (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS, _) => Err(busy(&response)),
        _ if status.is_server_error() => Err(busy(&response)),
        _ => Err(Trouble::refused(shown, status.to_string())),
    }
}

fn busy(response: &Response) -> Trouble {
    Trouble::Passing {
        source: format!("the server answered {}", response.status()).into(),
        wait: retry_after(response.headers()),
    }
}

/// An `ETag` that names bytes, not merely a meaning (`W/"…"`).
fn strong_etag(headers: &HeaderMap) -> Option<HeaderValue> {
    let etag = headers.get(ETAG)?;
    let strong = etag.as_bytes().starts_with(b"\"") && etag.as_bytes().ends_with(b"\"");
    (strong && etag.len() > 2).then(|| etag.clone())
}

/// Reads `bytes 5-9/10` as where the part begins and how long the whole is.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_strong_etag_names_bytes() {
        let etag = |text: &'static str| {
            let headers = HeaderMap::from_iter([(ETAG, HeaderValue::from_static(text))]);
            strong_etag(&headers).is_some()
        };
        assert!(etag("\"a1\""));
        for weak in ["W/\"a1\"", "a1", "\"\"", "\""] {
            assert!(!etag(weak), "{weak}");
        }
    }

    #[test]
    fn no_token_goes_in_the_clear_to_the_port_of_https() {
        let takes = |url: &str| takes_tokens(&Url::parse(url).unwrap());
        assert!(takes("https://h/a") && takes("http://h/a") && takes("http://h:8443/a"));
        assert!(!takes("http://h:443/a"));
    }

    #[test]
    fn a_content_range_is_read_or_not() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for bad in ["", "bytes */10", "5-9/10", "bytes -9/10", "bytes x-9/10"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
