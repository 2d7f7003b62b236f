//! What a hook writes, as text for people: whole lines where possible, of bounded length.

/// The longest piece of text without a line's end.
const LONGEST: usize = 4096;

/// Joins bytes to text, line by line.
#[derive(Debug, Default)]
pub(crate) struct OutputText {
    held: Vec<u8>,
}

impl OutputText {
    /// Takes the next bytes and gives the lines that they complete, if any.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Option<String> {
        self.held.extend_from_slice(bytes);
        let lines = self.held.iter().rposition(|&byte| byte == b'\n');
        let mut end = lines.map_or(0, |at| at + 1);
        if end == 0 && self.held.len() > LONGEST {
            end = self.held.len() - unfinished(&self.held);
        }
        let text: Vec<u8> = self.held.drain(..end).collect();
        as_text(&text)
    }

    /// Gives what is held, although its line has no end.
    pub(crate) fn flush(&mut self) -> Option<String> {
        as_text(&std::mem::take(&mut self.held))
    }
}

fn as_text(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// How many bytes at the end are the beginning of a character.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(3)..];
    match std::str::from_utf8(tail) {
        Err(error) if error.error_len().is_none() => tail.len() - error.valid_up_to(),
        _ => tail
            .iter()
            .rev()
            .position(|byte| *byte >= 0xc0)
            .filter(|&behind| {
                let start = tail.len() - 1 - behind;
                matches!(std::str::from_utf8(&tail[start..]), Err(e) if e.error_len().is_none())
            })
            .map_or(0, |behind| behind + 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_come_whole_and_the_rest_in_the_end() {
        let mut output = OutputText::default();
        assert_eq!(output.take(b"one\ntw"), Some("one\n".to_owned()));
        assert_eq!(output.take(b"o"), None);
        assert_eq!(output.take(b"\n\xff\nthr"), Some("two\n\u{fffd}\n".to_owned()));
        assert_eq!(output.flush(), Some("thr".to_owned()));
        assert_eq!(output.flush(), None);
    }

    proptest! {
        #[test]
        fn no_character_is_cut_in_two(text in "[aé漢🦀]{0,6000}", size in 1_usize..5000) {
            let mut output = OutputText::default();
            let mut joined = String::new();
            for piece in text.as_bytes().chunks(size) {
                joined.extend(output.take(piece));
                prop_assert!(output.held.len() <= LONGEST + size);
            }
            joined.extend(output.flush());
            prop_assert_eq!(joined, text);
        }
    }
}
