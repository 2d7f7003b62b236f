//! The mark beside the database: how far it had come, so that an older or empty one is noticed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// How far a store had come: the number of its last commit.
///
/// It is written after each commit, without fsync: it survives kill -9, and after a power loss it is
/// an earlier one at worst. A database that is behind its mark has lost commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) commits: u64,
}

/// What the file begins with.
const MAGIC: &str = "deploy-queue mark";

impl Mark {
    /// That of a store that is being made.
    pub(super) const NEW: Self = Self { commits: 1 };

    /// The file's content: always the same length, so that writing it never changes the file's.
    pub(super) fn encode(self) -> String {
        let text = format!("{MAGIC} {:020}", self.commits);
        let check = crc32fast::hash(text.as_bytes());
        format!("{text} {check:08x}\n")
    }

    /// Reads the file's content; `None` when it is damaged.
    pub(super) fn decode(content: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content).ok()?;
        let number = text.strip_prefix(MAGIC)?.split_ascii_whitespace().next()?;
        let mark = Self { commits: number.parse().ok()? };
        (mark.encode() == text).then_some(mark)
    }

    /// Writes it over the one before.
    pub(super) fn write(self, file: &File) -> io::Result<()> {
        file.write_all_at(self.encode().as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_every_flipped_bit_is_noticed() {
        let mark = Mark { commits: 1_234 };
        let content = mark.encode().into_bytes();
        assert_eq!(Mark::decode(&content), Some(mark));
        for bit in 0..content.len() * 8 {
            let mut damaged = content.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Mark::decode(&damaged), None, "bit {bit}");
        }
        assert_eq!(Mark::decode(&content[..20]), None);
    }
}
