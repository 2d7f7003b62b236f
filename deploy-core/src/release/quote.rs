//! Quoting for a POSIX shell: the one place where text becomes part of a program.

use std::fmt::Write as _;

/// Text that a shell takes as one word, character for character.
///
/// Inside single quotes nothing but the single quote itself has a meaning; that one is written as
/// `'\''`. A NUL can be in no shell word.
pub(crate) fn quote(text: &str) -> Result<String, HasNul> {
    if text.contains('\0') {
        return Err(HasNul);
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

/// Appends the line `name='text'` to a program. The name is ours.
pub(crate) fn assign(program: &mut String, name: &str, text: &str) -> Result<(), HasNul> {
    let quoted = quote(text)?;
    // Writing to a String cannot fail.
    let _ = writeln!(program, "{name}={quoted}");
    Ok(())
}

/// The text holds a NUL, which no shell word can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text holds a NUL character")]
pub(crate) struct HasNul;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "sh"]];

    /// What each shell makes of the words.
    fn echoed(words: &[String]) -> Vec<Vec<u8>> {
        let words: Vec<String> = words.iter().map(|word| quote(word).unwrap()).collect();
        let script = format!("printf '%s\\0' {}", words.join(" "));
        let run = |shell: &&[&str]| {
            let output = Command::new(shell[0]).args(&shell[1..]).args(["-c", &script]).output();
            output
                .unwrap_or_else(|e| panic!("{shell:?}: {e}; apt-get install dash bash busybox"))
                .stdout
        };
        SHELLS.iter().map(run).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_shell_gives_back_every_word_as_it_was(
            words in proptest::collection::vec(
                proptest::string::string_regex("([ -~]|['\"\\\\$`!*?\n\t\r-]|\\PC){0,24}").unwrap(), 1..40)
        ) {
            let expected: Vec<u8> =
                words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
            for found in echoed(&words) {
                prop_assert_eq!(&found, &expected);
            }
        }
    }

    #[test]
    fn every_two_characters_come_back_as_they_were() {
        let all: Vec<String> = (1..128_u8)
            .flat_map(|a| (1..128_u8).map(move |b| String::from_utf8(vec![a, b]).unwrap()))
            .collect();
        for words in all.chunks(5000) {
            let expected: Vec<u8> =
                words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
            for found in echoed(words) {
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_nul_is_refused() {
        assert_eq!(quote("a\0b"), Err(HasNul));
    }
}
