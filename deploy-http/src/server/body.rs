//! Reading a request's body: bounded in size and in time.

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use deploy_core::MAX_DOCUMENT;
use http_body_util::BodyExt;

use crate::wire::JSON;
use crate::wire::problem::{Problem, ProblemKind};

/// How long a body may take to arrive: a megabyte over a line of 300 kbit/s.
const LONGEST: Duration = Duration::from_secs(30);

/// Reads a JSON body of at most [`MAX_DOCUMENT`] bytes.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Box<Problem>> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next();
    if !kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(JSON)) {
        return Err(Problem::new(ProblemKind::NotJson));
    }
    let announced = headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > MAX_DOCUMENT) {
        return Err(too_large());
    }
    tokio::time::timeout(LONGEST, collect(body))
        .await
        .unwrap_or_else(|_| Err(Problem::new(ProblemKind::TooSlow)))
}

async fn collect(mut body: Body) -> Result<Vec<u8>, Box<Problem>> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(ProblemKind::Malformed))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > MAX_DOCUMENT {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

fn too_large() -> Box<Problem> {
    let detail = format!("at most {MAX_DOCUMENT} bytes are taken");
    Problem::new(ProblemKind::TooLarge).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use bytes::Bytes;

    /// A body that gives nothing and never ends.
    #[derive(Debug)]
    struct Silent;

    impl hyper::body::Body for Silent {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }

    fn json() -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up() {
        let problem = read(&json(), Body::new(Silent)).await.unwrap_err();
        assert_eq!(problem.status, 408);
    }

    #[tokio::test]
    async fn a_body_is_cut_off_at_its_limit_with_or_without_a_length() {
        let large = || Body::from(vec![b' '; MAX_DOCUMENT + 1]);
        let problem = read(&json(), large()).await.unwrap_err();
        assert_eq!(problem.status, 413);
        let mut headers = json();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(MAX_DOCUMENT as u64 + 1));
        // The length alone decides: the body would never come.
        let problem = read(&headers, Body::new(Silent)).await.unwrap_err();
        assert_eq!(problem.status, 413);
    }
}
