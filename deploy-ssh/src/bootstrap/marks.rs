//! Finding the marks of a run in a stream of any bytes, and passing on the rest unharmed.

/// The first byte of a mark: "record separator", which is rare in what commands write.
const MARK: u8 = 0x1e;

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
        let mark = |nonce: &str| [&[MARK], nonce.as_bytes(), b" "].concat();
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
            let Some(at) = rest[from..].iter().position(|&byte| byte == MARK) else { break };
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
