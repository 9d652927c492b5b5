//! A learner's answers: read, and mistakes told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::Fixture;
use course::answers::{self, Question};

const QUESTIONS: &[Question<'_>] = &[
    ("class", &["null-check", "bounds", "stack-size"]),
    ("line", &[]),
];

fn told(text: &str) -> String {
    let fixture = Fixture::sound();
    fixture.write("answers.toml", text);
    let answers = answers::read(&fixture.path("answers.toml"), QUESTIONS);
    fixture.show(&answers.unwrap_err())
}

#[test]
fn given_answers_are_read_and_empty_ones_left_out() {
    let fixture = Fixture::sound();
    fixture.write(
        "answers.toml",
        "[answer]\nclass = \"bounds\"\nline = \"\"\n",
    );
    let answers = answers::read(&fixture.path("answers.toml"), QUESTIONS).unwrap();
    let answers: Vec<_> = answers
        .iter()
        .map(|(q, a)| (q.as_str(), a.as_str()))
        .collect();
    assert_eq!(answers, [("class", "bounds")]);
}

#[test]
fn mistakes_are_told_with_the_line_and_the_choices() {
    for (case, text) in [
        ("not-a-choice", "[answer]\nclass = \"buonds\"\n"),
        ("unknown-question", "[answer]\nclas = \"bounds\"\n"),
        ("not-a-string", "[answer]\nline = 12\n"),
        ("no-table", "class = \"bounds\"\n"),
        ("syntax", "[answer]\nclass = bounds\n"),
    ] {
        insta::assert_snapshot!(format!("answer-{case}"), told(text));
    }
}

#[test]
fn a_missing_file_is_told() {
    let fixture = Fixture::sound();
    let problems = answers::read(&fixture.path("answers.toml"), QUESTIONS).unwrap_err();
    insta::assert_snapshot!("answer-missing", fixture.show(&problems));
}
