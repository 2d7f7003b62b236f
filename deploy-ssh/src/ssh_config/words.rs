//! The words of a line: a keyword and its arguments, quoted where they must be.

/// Splits a line into its keyword, in lower case, and its arguments. `None` for a blank line and for
/// a comment; an error says what is wrong with the quotes.
pub(super) fn split(line: &str) -> Result<Option<(String, Vec<String>)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Ok(Some((keyword.to_ascii_lowercase(), arguments(rest)?)))
}

/// Splits at white space. Quotes, single or double, hold an argument together; a backslash takes the
/// next quote, backslash or, outside of quotes, space as it is; a `#` between arguments begins a comment.
fn arguments(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none_or(|c| *c == '#') {
            return Ok(found);
        }
        let (mut argument, mut quote) = (String::new(), None);
        while let Some(c) = chars.next_if(|c| quote.is_some() || !c.is_whitespace()) {
            let escapes = |c: &char| matches!(c, '"' | '\'' | '\\') || quote.is_none() && *c == ' ';
            match c {
                '\\' => argument.push(chars.next_if(escapes).unwrap_or('\\')),
                '"' | '\'' if quote.is_none() => quote = Some(c),
                c if quote == Some(c) => quote = None,
                c => argument.push(c),
            }
        }
        if quote.is_some() {
            return Err("a quote that is not closed".to_owned());
        }
        found.push(argument);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<(String, Vec<String>)> {
        split(line).unwrap()
    }

    #[test]
    fn a_keyword_and_its_arguments_are_split_as_openssh_does() {
        let expect = |line: &str, keyword: &str, arguments: &[&str]| {
            let arguments = arguments.iter().map(ToString::to_string).collect();
            assert_eq!(words(line), Some((keyword.to_owned(), arguments)), "{line}");
        };
        expect("  Port 22", "port", &["22"]);
        expect("Port=22", "port", &["22"]);
        expect("Port = 22\r", "port", &["22"]);
        expect("Host a  !b\t*.c # the rest", "host", &["a", "!b", "*.c"]);
        expect("IdentityFile \"/a b/c\" d\\ e 'f\"g'", "identityfile", &["/a b/c", "d e", "f\"g"]);
        expect("User a#b", "user", &["a#b"]);
        expect("HostName", "hostname", &[]);
        expect("User \"\"", "user", &[""]);
        assert_eq!(words("  "), None);
        assert_eq!(words(" # Host x"), None);
        assert!(split("User \"joe").is_err());
    }
}
