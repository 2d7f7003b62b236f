//! What the tool said that asked a monitoring address from the host: pure.
//!
//! curl gives the answer's head before its body. wget gives the body alone, and tells the head to its
//! standard error; busybox's gives no body where the status is an error.

use super::ask::AskError;
use super::marker::{Marker, Reason};
use crate::failure::Failure;
use crate::prober::{ProbeAnswer, ProbeError};
use crate::release_step::Step;

/// How much of what a tool complained of is passed on, in characters.
const COMPLAINT: usize = 300;

/// What `answered`, on standard output, and `said`, on standard error, mean.
pub(crate) fn answer_of(
    answered: &[u8],
    said: &[u8],
    nonce: &str,
    max_body: usize,
) -> Result<ProbeAnswer, AskError> {
    let said = String::from_utf8_lossy(said);
    let prefix = format!("@deploy {nonce} ");
    let words = || said.lines().filter_map(|line| line.strip_prefix(prefix.as_str()));
    let complaint = || said.lines().filter(|line| !line.starts_with(&prefix));
    if let Some(Marker::Failed(Reason::Code(code), _, message)) = words().find_map(Marker::parse) {
        return Err(AskError::Hopeless(Failure::new(code, message).with_step(Step::Probe)));
    }
    let by = words().find_map(|word| word.strip_prefix("by "));
    let exit = words().find_map(|word| word.strip_prefix("exit ")?.parse::<u32>().ok());
    // Ended by us, since it had more to say than is wanted.
    let cut = answered.len() > max_body;
    let found = match (by, exit) {
        (Some("tcp"), Some(0)) => Some(ProbeAnswer::connected()),
        (Some("curl"), Some(exit)) if exit == 0 || cut => of_head_and_body(answered),
        (Some("wget"), Some(exit)) => of_wget(complaint(), exit == 0 || cut, answered),
        _ => None,
    };
    let Some(mut answer) = found else {
        let reason = complaint().map(str::trim).rfind(|line| !line.is_empty());
        let reason: String = reason.unwrap_or("it ended early").chars().take(COMPLAINT).collect();
        let source = format!("asked from the host: {reason}").into();
        return Err(AskError::Failed(ProbeError::Unreachable { source }));
    };
    answer.body.truncate(max_body);
    Ok(answer)
}

/// The first answer that the tool told of; a redirect is not followed, or not heard of.
fn of_wget<'a>(
    mut said: impl Iterator<Item = &'a str>,
    whole: bool,
    body: &[u8],
) -> Option<ProbeAnswer> {
    let status = said.find_map(|line| status_of(line.trim()))?;
    // An error of the server is an answer; one in the middle of a body is none.
    (whole || !(200..300).contains(&status)).then(|| ProbeAnswer::new(status, body.to_vec()))
}

/// The answer after those that only say that one comes.
fn of_head_and_body(mut bytes: &[u8]) -> Option<ProbeAnswer> {
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let (head, rest) = bytes.split_at(end);
        let body = &rest[4..];
        let status = status_of(std::str::from_utf8(head).ok()?.lines().next()?)?;
        if status >= 200 {
            return Some(ProbeAnswer::new(status, body.to_vec()));
        }
        bytes = body;
    }
}

/// The status in the first line of an answer: `HTTP/1.1 200 OK`.
fn status_of(line: &str) -> Option<u16> {
    let mut words = line.strip_prefix("HTTP/")?.split(' ');
    words.next()?;
    words.next()?.parse().ok().filter(|status| (100..600).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureCode;

    fn heard(answered: &[u8], said: &str) -> Result<ProbeAnswer, String> {
        answer_of(answered, said.replace("@n", "@deploy n").as_bytes(), "n", 20).map_err(|error| {
            match error {
                AskError::Failed(error) => Failure::of(FailureCode::Unhealthy, &error).message,
                AskError::Hopeless(failure) => format!("{}: {failure}", failure.code),
            }
        })
    }

    #[test]
    fn an_answer_of_any_tool_is_read() {
        let answer = |status, body: &str| Ok(ProbeAnswer::new(status, body.into()));
        let http = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2 503 \r\nA: b\r\n\r\ndown\r\n\r\n";
        assert_eq!(heard(http, "@n by curl\n@n exit 0\n"), answer(503, "down\r\n\r\n"));
        let long = [b"HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 50][..]].concat();
        assert_eq!(heard(&long, "@n by curl\n@n exit 23\n"), answer(200, &"x".repeat(20)));
        let wget = "@n by wget\n  HTTP/1.1 302 Found\n  A: b\n  HTTP/1.1 200 OK\n@n exit 0\n";
        assert_eq!(heard(b"body", wget), answer(302, "body"));
        let wget = "@n by wget\n  HTTP/1.1 503 No\nwget: server returned error\n@n exit 1\n";
        assert_eq!(heard(b"", wget), answer(503, ""));
        let tcp = Ok(ProbeAnswer::connected());
        assert_eq!(heard(b"", "@n by tcp\n@n exit 0\n"), tcp);
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let refused = "@n by curl\ncurl: (7) refused\n@n exit 7\n";
        assert_eq!(
            heard(b"", refused),
            Err("no answer: asked from the host: curl: (7) refused".into())
        );
        let broken = "@n by wget\n  HTTP/1.1 200 OK\nwget: reset\n@n exit 4\n";
        assert!(heard(b"half", broken).unwrap_err().ends_with("wget: reset"));
        // Another run's words are none, and a body that claims to be a head is none.
        let forged = "@deploy m by tcp\n@deploy m exit 0\n";
        assert!(heard(b"HTTP/1.1 200 OK\r\n\r\n", forged).is_err());
        assert!(heard(b"HTTP/1.1 abc\r\n\r\n", "@n by curl\n@n exit 0\n").is_err());
        assert!(heard(b"HTTP/1.1 200 OK", "@n by curl\n@n exit 0\n").is_err());
        let missing = "@n fail tool_missing probe the host lacks curl\n";
        assert_eq!(heard(b"", missing), Err("tool_missing: probe: the host lacks curl".into()));
    }
}
