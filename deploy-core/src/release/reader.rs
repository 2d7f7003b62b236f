//! Reading what the program on the host says: marker lines with the run's nonce, and counted bytes.
//!
//! It takes any bytes in any pieces, never fails, and holds at most one line of bounded length.
//! Whatever is no marker of this run is noise, and is dropped.

use super::marker::Marker;

/// The longest line that can be a marker; the rest of a longer one is dropped.
const LONGEST_LINE: usize = 4096;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A marker.
    Marker(Marker),
    /// Bytes of the frame that the last marker announced.
    Bytes(Vec<u8>),
}

/// Turns the host's standard output into markers and frames.
#[derive(Debug)]
pub(crate) struct MarkerReader {
    prefix: String,
    line: Vec<u8>,
    /// Bytes of the present frame that are still to come.
    frame: u64,
}

impl MarkerReader {
    /// Reads the markers that carry a nonce.
    pub(crate) fn new(nonce: &str) -> Self {
        Self { prefix: format!("@deploy {nonce} "), line: Vec::new(), frame: 0 }
    }

    /// Takes the next bytes and gives what they complete.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        while !bytes.is_empty() {
            if self.frame > 0 {
                let here = usize::try_from(self.frame).unwrap_or(usize::MAX).min(bytes.len());
                let (frame, rest) = bytes.split_at(here);
                self.frame -= frame.len() as u64;
                heard.push(Heard::Bytes(frame.to_vec()));
                bytes = rest;
                continue;
            }
            let end = bytes.iter().position(|&byte| byte == b'\n');
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            let room = LONGEST_LINE - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            bytes = rest;
            if end.is_some() {
                bytes = &bytes[1..];
                heard.extend(self.end_line());
            }
        }
        heard
    }

    fn end_line(&mut self) -> Option<Heard> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        let marker = Marker::parse(line.strip_prefix(&self.prefix)?)?;
        if let Marker::Output(_, bytes) | Marker::Tail(bytes) = marker {
            self.frame = bytes;
        }
        Some(Heard::Marker(marker))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::release_step::Step;

    fn all(input: &[u8], pieces: usize) -> Vec<Heard> {
        let mut reader = MarkerReader::new("n");
        input.chunks(pieces.max(1)).flat_map(|piece| reader.take(piece)).collect()
    }

    #[test]
    fn what_a_hook_writes_is_never_a_marker() {
        let output = b"@deploy n end 0 succeeded\n";
        let stream = [b"@deploy n out lock 26\n".as_slice(), output, b"noise\n"].concat();
        assert_eq!(
            all(&stream, 1000),
            [Heard::Marker(Marker::Output(Step::Lock, 26)), Heard::Bytes(output.to_vec())]
        );
    }

    #[test]
    fn another_nonce_is_noise() {
        assert_eq!(all(b"@deploy m end 0 succeeded\n@deploy n\n", 7), []);
    }

    #[test]
    fn a_line_without_end_holds_no_memory() {
        let mut reader = MarkerReader::new("n");
        for _ in 0..1000 {
            assert_eq!(reader.take(&[b'x'; 10_000]), []);
        }
        assert!(reader.line.capacity() <= 2 * LONGEST_LINE);
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(b"@deploy n step lock begin\n".to_vec()),
            Just(b"@deploy n end 0 succeeded\n".to_vec()),
            Just(b"@deploy n out lock 5\nab\ncd".to_vec()),
            Just(b"@deploy n tail 99999999999999999999\n".to_vec()),
            Just(b"@deploy n serves x\r\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_say_the_same(
            pieces in proptest::collection::vec(piece(), 0..20), size in 1_usize..64
        ) {
            let stream = pieces.concat();
            let joined = |heard: Vec<Heard>| {
                let mut joined: Vec<Heard> = Vec::new();
                for next in heard {
                    match (joined.last_mut(), next) {
                        (Some(Heard::Bytes(before)), Heard::Bytes(bytes)) => before.extend(bytes),
                        (_, next) => joined.push(next),
                    }
                }
                joined
            };
            prop_assert_eq!(joined(all(&stream, size)), joined(all(&stream, stream.len())));
        }
    }
}
