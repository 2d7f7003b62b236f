//! Finding the marks of a run in a stream of any bytes, and passing on the rest unharmed.

/// The first byte of a mark: "record separator", which is rare in what commands write.
pub(super) const MARK: char = '\x1e';

/// The longest word in a mark.
const LONGEST_WORD: usize = 20;

/// How much of what comes before the start is kept, for whoever wants to know why there was no start.
const KEPT_NOISE: usize = 1024;

/// What one piece of a stream was.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Passage {
    /// What the command wrote.
    pub(crate) data: Vec<u8>,
    /// The word of the start, when it was in this piece.
    pub(crate) started: Option<String>,
    /// The word of the end, when it was in this piece.
    pub(crate) ended: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Within,
    After,
}

/// Finds the marks of one stream.
///
/// Before the start is the noise of login shells, which is dropped; after the end is what processes
/// write that the command left behind, which is dropped too.
#[derive(Debug)]
pub(crate) struct Marks {
    start: Vec<u8>,
    end: Vec<u8>,
    place: Place,
    /// What may turn out to be a mark: it begins with the first byte of one.
    held: Vec<u8>,
    noise: Vec<u8>,
}

enum Found {
    /// A mark, its word, and the length of both.
    Whole(String, usize),
    /// It may become one.
    Partial,
    None,
}

impl Marks {
    pub(crate) fn new(start: &str, end: &str) -> Self {
        let mark = |nonce: &str| format!("{MARK}{nonce} ").into_bytes();
        Self {
            start: mark(start),
            end: mark(end),
            place: Place::Before,
            held: Vec::new(),
            noise: Vec::new(),
        }
    }

    /// Takes the next piece of the stream.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Passage {
        let mut passage = Passage::default();
        if self.held.is_empty() {
            self.search(piece, &mut passage);
        } else {
            let mut joined = std::mem::take(&mut self.held);
            joined.extend_from_slice(piece);
            self.search(&joined, &mut passage);
        }
        passage
    }

    /// The stream is over: what was held back is no mark.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        if self.place == Place::Within { held } else { Vec::new() }
    }

    pub(crate) fn has_started(&self) -> bool {
        self.place != Place::Before
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.place == Place::After
    }

    /// The last of what came before the start.
    pub(crate) fn noise(&self) -> String {
        String::from_utf8_lossy(&self.noise).trim().to_owned()
    }

    fn search(&mut self, mut rest: &[u8], passage: &mut Passage) {
        let mut from = 0;
        while self.place != Place::After {
            let mark = if self.place == Place::Before { &self.start } else { &self.end };
            let Some(at) = rest[from..].iter().position(|&byte| byte == MARK as u8) else { break };
            let at = from + at;
            match look(mark, &rest[at..]) {
                Found::None => from = at + 1,
                Found::Partial => {
                    self.held = rest[at..].to_vec();
                    rest = &rest[..at];
                    break;
                }
                Found::Whole(word, length) => {
                    self.pass(&rest[..at], passage);
                    rest = &rest[at + length..];
                    from = 0;
                    if self.place == Place::Before {
                        self.place = Place::Within;
                        passage.started = Some(word);
                    } else {
                        self.place = Place::After;
                        passage.ended = Some(word);
                    }
                }
            }
        }
        self.pass(rest, passage);
    }

    fn pass(&mut self, bytes: &[u8], passage: &mut Passage) {
        match self.place {
            Place::Before => {
                let kept = &bytes[bytes.len().saturating_sub(KEPT_NOISE)..];
                self.noise.extend_from_slice(kept);
                let beyond = self.noise.len().saturating_sub(KEPT_NOISE);
                self.noise.drain(..beyond);
            }
            Place::Within => passage.data.extend_from_slice(bytes),
            Place::After => {}
        }
    }
}

/// Whether a mark stands at the beginning of `bytes`.
fn look(mark: &[u8], bytes: &[u8]) -> Found {
    let common = mark.len().min(bytes.len());
    if mark[..common] != bytes[..common] {
        return Found::None;
    }
    let rest = &bytes[common..];
    let word: Vec<u8> = rest.iter().copied().take_while(u8::is_ascii_digit).collect();
    match rest.get(word.len()) {
        _ if word.len() > LONGEST_WORD => Found::None,
        None => Found::Partial,
        Some(b'\n') => {
            let length = common + word.len() + 1;
            Found::Whole(String::from_utf8_lossy(&word).into_owned(), length)
        }
        Some(_) => Found::None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: &str = "aa";
    const END: &str = "bb";

    /// What comes of a stream in pieces: the data, and the words of start and end.
    fn read(pieces: &[&[u8]]) -> (Vec<u8>, Option<String>, Option<String>) {
        let mut marks = Marks::new(START, END);
        let (mut data, mut started, mut ended) = (Vec::new(), None, None);
        for piece in pieces {
            let passage = marks.take(piece);
            data.extend(passage.data);
            started = started.or(passage.started);
            ended = ended.or(passage.ended);
        }
        data.extend(marks.finish());
        assert_eq!((marks.has_started(), marks.has_ended()), (started.is_some(), ended.is_some()));
        (data, started, ended)
    }

    #[test]
    fn noise_is_kept_for_whoever_asks_and_is_no_data() {
        let mut marks = Marks::new(START, END);
        let passage = marks.take(&[b"x".repeat(5000), b"closed\n".to_vec()].concat());
        assert_eq!(passage, Passage::default());
        assert!(marks.noise().ends_with("xclosed") && marks.noise().len() <= KEPT_NOISE);
    }

    #[test]
    fn the_end_is_no_end_before_the_start_and_nothing_comes_after_it() {
        assert_eq!(read(&[b"\x1ebb 0\n"]), (Vec::new(), None, None));
        let (data, _, ended) = read(&[b"\x1eaa 1\nx\x1ebb 3\ny\x1ebb 4\n"]);
        assert_eq!((data.as_slice(), ended.as_deref()), (&b"x"[..], Some("3")));
    }

    #[test]
    fn a_mark_that_is_cut_off_is_data() {
        let (data, _, ended) = read(&[b"\x1eaa 1\nx\x1ebb 3"]);
        assert_eq!((data.as_slice(), ended), (&b"x\x1ebb 3"[..], None));
    }

    /// Bytes of which marks are made, so that chance comes close to one.
    fn close_to_marks() -> impl Strategy<Value = Vec<u8>> {
        let bytes = prop::sample::select(b"\x1eab 01\n".to_vec());
        prop::collection::vec(bytes, 0..60)
    }

    fn holds(bytes: &[u8], mark: &[u8]) -> bool {
        (0..bytes.len()).any(|at| matches!(look(mark, &bytes[at..]), Found::Whole(..)))
    }

    proptest! {
        #[test]
        fn any_data_between_the_marks_passes_in_any_pieces(
            noise in close_to_marks(),
            data in close_to_marks(),
            rest in close_to_marks(),
            cuts in prop::collection::vec(0_usize..200, 0..8),
        ) {
            // What holds a mark by chance is what nonces of 128 bits make impossible.
            prop_assume!(!holds(&noise, b"\x1eaa ") && !holds(&data, b"\x1ebb "));
            let whole = [&noise[..], b"\x1eaa 12\n", &data, b"\x1ebb 7\n", &rest].concat();
            prop_assume!(!holds(&whole[..noise.len() + 3], b"\x1eaa "));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
            cuts.extend([0, whole.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &whole[cut[0]..cut[1]]).collect();
            let expected = (data, Some("12".to_owned()), Some("7".to_owned()));
            prop_assert_eq!(read(&pieces), expected);
        }
    }
}
