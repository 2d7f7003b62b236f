//! The known key that a misspelt one is most like.

/// The key of `known` nearest to `key`, if one is near enough to be meant.
///
/// Near enough is an edit distance (insert, delete, replace, swap neighbours) of at most a third of
/// the longer key's length, and at least one.
pub(crate) fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let key: Vec<char> = key.chars().take(64).collect();
    known
        .iter()
        .map(|candidate| {
            let candidate_chars: Vec<char> = candidate.chars().collect();
            let allowed = (key.len().max(candidate_chars.len()) / 3).max(1);
            (distance(&key, &candidate_chars), allowed, *candidate)
        })
        .filter(|(distance, allowed, _)| distance <= allowed)
        .min_by_key(|(distance, _, _)| *distance)
        .map(|(_, _, candidate)| candidate)
}

/// The edit distance of two words, where swapping two neighbours counts as one edit.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(from != to);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["business", "project", "package", "monitor", "md5"];

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        assert_eq!(nearest("buisness", KNOWN), Some("business"));
        assert_eq!(nearest("packge", KNOWN), Some("package"));
        assert_eq!(nearest("m5d", KNOWN), Some("md5"));
    }

    #[test]
    fn a_foreign_key_finds_nothing() {
        assert_eq!(nearest("kubernetes", KNOWN), None);
        assert_eq!(nearest("", KNOWN), None);
    }
}
