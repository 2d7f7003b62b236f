//! Server-sent events: writing and reading them, as of the WHATWG HTML standard.

/// How long a message may be, in bytes. The largest event holds a task, whose document has a
/// megabyte at most.
#[cfg(feature = "client")]
pub(crate) const LONGEST: usize = 2 * 1024 * 1024;

/// A comment, which says that the stream still lives.
#[cfg(feature = "server")]
pub(crate) const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// Writes a message. Neither part holds a line break: ids are numbers, names are words of ours, and
/// JSON escapes them.
#[cfg(feature = "server")]
pub(crate) fn format(id: u64, event: &str, data: &str) -> String {
    format!("id: {id}\nevent: {event}\ndata: {data}\n\n")
}

/// A message of a stream.
#[cfg(feature = "client")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) data: String,
}

/// The stream holds a message that is longer than allowed, or not UTF-8.
#[cfg(feature = "client")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamError {
    #[error("a message of the event stream is longer than {LONGEST} bytes")]
    TooLong,
    #[error("the event stream is not UTF-8")]
    NotUtf8,
}

/// Reads a stream as it comes, in whatever pieces: total, and of bounded memory.
#[cfg(feature = "client")]
#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    data: String,
    has_data: bool,
    after_return: bool,
    begun: bool,
}

#[cfg(feature = "client")]
impl Reader {
    /// Takes the next bytes, and gives the messages that end in them.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Message>, StreamError> {
        let mut messages = Vec::new();
        for &byte in bytes {
            // A line ends with LF, CR or CRLF.
            let ends = match byte {
                b'\n' if self.after_return => {
                    self.after_return = false;
                    continue;
                }
                b'\n' | b'\r' => true,
                _ => false,
            };
            self.after_return = byte == b'\r';
            if ends {
                messages.extend(self.end_line()?);
            } else {
                self.line.push(byte);
                if self.line.len() + self.data.len() > LONGEST {
                    return Err(StreamError::TooLong);
                }
            }
        }
        Ok(messages)
    }

    fn end_line(&mut self) -> Result<Option<Message>, StreamError> {
        let line = std::mem::take(&mut self.line);
        let mut line = std::str::from_utf8(&line).map_err(|_| StreamError::NotUtf8)?;
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            let ended = std::mem::take(&mut self.has_data);
            return Ok(ended.then_some(Message { data }));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        // The id and the name stand in the data too; a line without a field is a comment.
        if field == "data" {
            if self.has_data {
                self.data.push('\n');
            }
            self.has_data = true;
            self.data.push_str(value);
        }
        Ok(None)
    }
}

#[cfg(all(test, feature = "client", feature = "server"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Vec<String> {
        let messages = Reader::default().take(text).unwrap_or_default();
        messages.into_iter().map(|message| message.data).collect()
    }

    #[test]
    fn lines_end_in_any_of_three_ways_and_comments_are_nothing() {
        let text =
            b"\xef\xbb\xbfdata: a\r\n\r\n: hello\n\ndata:b\ndata: c\n\ndata\rid: 4\r\rdata: open";
        assert_eq!(read(text), ["a", "b\nc", ""]);
    }

    #[test]
    fn a_message_without_end_is_refused() {
        let mut reader = Reader::default();
        let piece = vec![b'x'; LONGEST];
        assert_eq!(reader.take(&piece), Ok(Vec::new()));
        assert_eq!(reader.take(b"x"), Err(StreamError::TooLong));
        let mut reader = Reader::default();
        let line = [b"data:".as_slice(), &[b'x'; 1000], b"\n"].concat();
        let refused = (0..LONGEST / 900).any(|_| reader.take(&line).is_err());
        assert!(refused);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            texts in proptest::collection::vec("[^\r\n]{0,40}", 0..8),
            cuts in proptest::collection::vec(0_usize..400, 0..8),
        ) {
            let mut stream = String::new();
            for (index, text) in texts.iter().enumerate() {
                stream.push_str(KEEP_ALIVE);
                stream.push_str(&format(index as u64, "fact", text));
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
            cuts.sort_unstable();
            let mut reader = Reader::default();
            let (mut found, mut from) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([stream.len()]) {
                found.extend(reader.take(&stream.as_bytes()[from..cut]).unwrap());
                from = cut;
            }
            let found: Vec<String> = found.into_iter().map(|message| message.data).collect();
            prop_assert_eq!(found, texts);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Reader::default().take(&bytes);
        }
    }
}
