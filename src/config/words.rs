//! Words for messages: what was found, shown safely, and what may have been meant.

/// `text` between backticks, cut where it is long, on one line.
pub(crate) fn shown(text: &str) -> String {
    format!("`{}`", bounded(text))
}

/// `text` cut where it is long, on one line.
pub(crate) fn bounded(text: &str) -> String {
    const MOST: usize = 80;
    let mut line: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        line.push('…');
    }
    line
}

/// What to say about the key `name` where only those of `known` mean something.
pub(crate) fn unknown(name: &str, known: &[&str]) -> String {
    if name == "<<" {
        return "merge keys (`<<`) are not supported; write the keys out".into();
    }
    format!("unknown key; {}", suggestion(name, known))
}

/// The word of `words` that `word` is close to, or all of them.
pub(crate) fn suggestion(word: &str, words: &[&str]) -> String {
    let nearest = words
        .iter()
        .map(|known| (distance(word, known), *known))
        .min();
    match nearest {
        Some((distance, known)) if distance * 3 <= known.len() => {
            format!("did you mean `{known}`?")
        }
        _ => format!(
            "known here: {}",
            words
                .iter()
                .map(|known| format!("`{known}`"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

/// How many characters must be changed, added or removed to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 8 {
        return a.len().max(b.len());
    }
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.chars().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    *row.last().expect("a row has a first column")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_recognised_and_a_far_one_gets_the_list() {
        assert_eq!(
            suggestion("max_agee", &["max_age", "mode"]),
            "did you mean `max_age`?"
        );
        assert_eq!(suggestion("poll", &["v3", "v2"]), "known here: `v3`, `v2`");
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
