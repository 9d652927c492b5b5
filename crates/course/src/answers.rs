//! A learner's answers: an `[answer]` table of question to choice.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use toml::de::DeValue;

use crate::near::suggest;
use crate::problem::{Problem, Problems};
use crate::table::{Doc, Table, kind};

/// A question's id and the answers that it takes. No choices: any text will do.
pub type Question<'a> = (&'a str, &'a [&'a str]);

/// Reads the answers of the file at `path`.
///
/// An empty answer (`""`) means not answered yet: it is not in the result, and neither is a
/// question that the file leaves out.
///
/// # Errors
/// Every mistake: no such file, not TOML, an unknown question, an answer that is not a choice.
pub fn read(path: &Path, questions: &[Question<'_>]) -> Result<BTreeMap<String, String>, Problems> {
    let shown = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|e| {
        Problems(vec![Problem::about(
            &shown,
            format!("the answers in {shown} can't be read: {e}"),
            "put the file back (`lab reset` gives a fresh one) and save it as UTF-8".to_owned(),
        )])
    })?;
    let doc = Doc::new(&shown, &text);
    let mut answers = BTreeMap::new();
    if let Some(table) = doc.parse(&text) {
        let mut root = Table::root(&doc, &table, "an answers file");
        match root.table("answer", "[answer]") {
            Some(t) => answers = given(&t, questions),
            None if root.has("answer") => {}
            None => doc.report(
                &(0..0),
                "the file has no table `[answer]`",
                "`[answer]` is missing",
                "start it with a line `[answer]`, then one line `question = \"answer\"` each",
            ),
        }
        root.finish();
    }
    let problems = doc.into_problems();
    if problems.is_empty() {
        Ok(answers)
    } else {
        Err(Problems(problems))
    }
}

fn given(t: &Table<'_>, questions: &[Question<'_>]) -> BTreeMap<String, String> {
    let mut answers = BTreeMap::new();
    let ids: Vec<&str> = questions.iter().map(|(id, _)| *id).collect();
    for (key, value) in t.entries() {
        let Some((id, choices)) = questions.iter().find(|(id, _)| *id == key.value) else {
            t.doc.report(
                &key.span,
                format!("no question is called `{}`", key.value),
                "unknown question",
                suggest(key.value, &ids, "this lab asks no question"),
            );
            continue;
        };
        match value.get_ref() {
            DeValue::String(text) if text.is_empty() => {}
            DeValue::String(text) if choices.is_empty() || choices.contains(&text.as_ref()) => {
                answers.insert((*id).to_owned(), text.as_ref().to_owned());
            }
            DeValue::String(text) => t.doc.report(
                &value.span(),
                format!("`{text}` is not an answer to `{id}`"),
                "not a choice",
                suggest(text, choices, "any text will do"),
            ),
            _ => t.doc.report(
                &value.span(),
                format!(
                    "the answer to `{id}` must be a string, and here it is {}",
                    kind(value)
                ),
                "should be a string",
                "put it in quotation marks",
            ),
        }
    }
    answers
}
