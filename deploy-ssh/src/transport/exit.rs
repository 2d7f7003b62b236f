//! How a command ended, as the marks in its streams tell it.

use deploy_core::Exit;

/// Judges the words of the two marks. One is enough when the other stream has ended without its own; two
/// that differ prove nothing.
pub(crate) fn proved(words: &[Option<String>; 2]) -> Option<Exit> {
    let [out, err] = words;
    match (out.as_deref(), err.as_deref()) {
        (None, None) => None,
        (Some(word), other) if other.is_none_or(|other| other == word) => {
            Some(word.parse().map_or(Exit::Unknown, exit_of))
        }
        _ => Some(Exit::Unknown),
    }
}

/// What a shell's status says: 128 and a number is what it says of a command that a signal ended.
fn exit_of(status: i32) -> Exit {
    let signal = match status - 128 {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        5 => "TRAP",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        _ => return Exit::Exited(status),
    };
    Exit::Signalled(signal.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(out: Option<&str>, err: Option<&str>) -> Option<Exit> {
        proved(&[out.map(str::to_owned), err.map(str::to_owned)])
    }

    #[test]
    fn an_end_is_proved_by_words_that_agree() {
        assert_eq!(judged(Some("0"), Some("0")), Some(Exit::Exited(0)));
        assert_eq!(judged(Some("3"), None), Some(Exit::Exited(3)));
        assert_eq!(judged(Some("143"), Some("143")), Some(Exit::Signalled("TERM".to_owned())));
        assert_eq!(judged(Some("200"), Some("200")), Some(Exit::Exited(200)));
        assert_eq!(judged(None, None), None);
    }

    #[test]
    fn words_that_differ_or_are_no_status_prove_nothing() {
        for (out, err) in [(Some("0"), Some("1")), (None, Some("0")), (Some(""), Some(""))] {
            assert_eq!(judged(out, err), Some(Exit::Unknown), "{out:?} {err:?}");
        }
    }
}
