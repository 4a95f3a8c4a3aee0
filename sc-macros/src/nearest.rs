//! What somebody who misspelt a word meant.

/// The candidate that fewest typing mistakes turn into `word`, unless they are so many that it is a guess.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate)).min()?;
    let (mistakes, candidate) = near;
    (mistakes <= candidate.len().div_ceil(3)).then_some(candidate)
}

/// How many characters have to be inserted, removed or replaced to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (i, from) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in to.chars().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_typing_mistakes() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "name"), 4);
        assert_eq!(distance("timeout", "timeout"), 0);
        assert_eq!(distance("timout", "timeout"), 1);
        assert_eq!(distance("timeuot", "timeout"), 2);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn guesses_nothing_far_away() {
        assert_eq!(nearest("timout", ["timeout", "name"]), Some("timeout"));
        assert_eq!(nearest("retries", ["timeout", "name"]), None);
        assert_eq!(nearest("", ["timeout", "name"]), None);
    }
}
