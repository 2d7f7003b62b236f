//! Durations as people write them: `250ms`, `30s`, `5m`, `1h30m`.

use std::time::Duration;

use jiff::SignedDuration;

use crate::document::Invalid;

/// The longest duration that is accepted. Ten years; beyond it lies a mistake, or an overflow.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Reads a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, Invalid> {
    let invalid =
        || Invalid::new(text, "a duration such as \"250ms\", \"30s\", \"5m\" or \"1h30m\"");
    let span: SignedDuration = text.parse().map_err(|_| invalid())?;
    let span = Duration::try_from(span).map_err(|_| invalid())?;
    if span > LONGEST { Err(invalid()) } else { Ok(span) }
}

/// Writes a duration so that [`parse`] reads the same.
pub(crate) fn format(span: Duration) -> String {
    let span = SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    format!("{span:#}")
}

/// Serializes a duration as text, for `#[serde(serialize_with)]`.
pub(crate) fn serialize<S: serde::Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format(*span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_it_is_read() {
        for (text, millis) in
            [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000)]
        {
            let span = parse(text).unwrap();
            assert_eq!(span, Duration::from_millis(millis));
            assert_eq!(parse(&format(span)), Ok(span), "{}", format(span));
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for bad in ["", "30", "-5s", "5 parsecs", "9999999999h"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
