//! The nearest spelling of a word, for "did you mean".

/// The choice that is most like `word`, if any is like enough to be a slip of the fingers.
pub(crate) fn nearest<'a>(
    word: &str,
    choices: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    choices
        .into_iter()
        .map(|choice| {
            (
                strsim::normalized_damerau_levenshtein(&word, choice),
                choice,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, choice)| choice)
}

/// The nearest choice, and every choice while that is a short list.
pub(crate) fn suggest(word: &str, choices: &[&str], no_choice: &str) -> String {
    match (nearest(word, choices.iter().copied()), choices) {
        (_, []) => no_choice.to_owned(),
        (_, [only]) => format!("the only choice is `{only}`"),
        (Some(near), _) if choices.len() > 8 => format!("did you mean `{near}`?"),
        (Some(near), _) => format!("did you mean `{near}`? The choices are {}", list(choices)),
        (None, _) => format!("the choices are {}", list(choices)),
    }
}

/// "`a`, `b` and `c`".
pub(crate) fn list<S: AsRef<str>>(words: &[S]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("`{}`", w.as_ref())).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [start @ .., last] => format!("{} and {last}", start.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_different_word_is_not() {
        let choices = ["title", "part", "revision"];
        assert_eq!(nearest("tilte", choices), Some("title"));
        assert_eq!(nearest("Revison", choices), Some("revision"));
        assert_eq!(nearest("zebra", choices), None);
    }
}
