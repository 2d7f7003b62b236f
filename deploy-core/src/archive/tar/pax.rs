//! The records of a PAX extension header.

use super::super::error::ArchiveError;

/// Splits a header into its records, `length key=value\n` each, where the length counts itself.
///
/// The crate `tar` splits at line feeds instead, which a value may hold.
#[derive(Debug)]
pub(super) struct Records<'a>(pub(super) &'a [u8]);

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let Some((record, rest)) = first(self.0) else {
            self.0 = &[];
            return Some(Err(ArchiveError::damaged("a pax record is malformed")));
        };
        self.0 = rest;
        Some(Ok(record))
    }
}

fn first(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space])?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let text = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&text[..equals], &text[equals + 1..]);
    (!key.is_empty()).then_some((Record { key, value }, rest))
}

/// Reads a number of digits only: no sign, no blank.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_split_by_their_length() {
        let records: Vec<_> =
            Records(b"12 path=a=b\n15 comment=\n\n\n\n").map(Result::unwrap).collect();
        assert_eq!(records[0].key, b"path");
        assert_eq!(records[0].value, b"a=b");
        assert_eq!(records[1].value, b"\n\n\n");
    }

    #[test]
    fn a_malformed_record_is_refused_and_ends_the_reading() {
        for bytes in [
            &b"x"[..],
            b"9 path=a",
            b"11 path=a\n",
            b"8 path=a\n",
            b"+9 path=a\n",
            b"99999999999999999999 path=a\n",
            b"0 path=a\n",
            b"5 =a\n",
            b"7 path\n",
            b"\0\0\0",
        ] {
            let mut records = Records(bytes);
            assert!(records.next().unwrap().is_err(), "{bytes:?}");
            assert!(records.next().is_none());
        }
    }
}
