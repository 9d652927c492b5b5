//! JUnit XML against the rules of the schema that Ant's JUnit task is held to.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::{Need, Test, checkout::repository};

pub const TESTS: &[Test] = &[(
    "junit_rules_refuse_what_they_should",
    Need::Xmllint,
    junit_rules_refuse_what_they_should,
)];

/// Whether `document` keeps to the rules, and what xmllint says.
fn check(document: &str) -> (bool, String) {
    let schema = repository().join("crates/probelab/tests/screens/junit.xsd");
    let mut xmllint = Command::new("xmllint")
        .args(["--noout", "--schema"])
        .arg(schema)
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xmllint starts");
    xmllint
        .stdin
        .take()
        .expect("its input")
        .write_all(document.as_bytes())
        .expect("written");
    let output = xmllint.wait_with_output().expect("xmllint ends");
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Panics when `document` breaks the rules.
pub fn assert_valid(document: &str) {
    let (valid, why) = check(document);
    assert!(valid, "{why}\n{document}");
}

const GOOD: &str = "<testsuites><testsuite id=\"0\" package=\"p\" name=\"n\" timestamp=\"2026-01-02T03:04:05\" \
     hostname=\"localhost\" tests=\"1\" failures=\"1\" errors=\"0\" time=\"0.1\"><properties/>\
     <testcase classname=\"a\" name=\"b\" time=\"0.1\"><failure type=\"fail\" message=\"m\">text</failure></testcase>\
     <system-out/><system-err/></testsuite></testsuites>";

fn junit_rules_refuse_what_they_should() {
    assert_valid(GOOD);
    for (what, broken) in [
        (
            "a zone in the time",
            GOOD.replace("03:04:05\"", "03:04:05Z\""),
        ),
        ("no package", GOOD.replace(" package=\"p\"", "")),
        ("an unknown attribute", GOOD.replace("hostname", "host")),
        ("no type of failure", GOOD.replace(" type=\"fail\"", "")),
        (
            "output before the cases",
            GOOD.replace("<properties/>", "<system-out/><properties/>"),
        ),
        (
            "an unknown element",
            GOOD.replace("<failure", "<skipped/><failure"),
        ),
    ] {
        assert!(!check(&broken).0, "{what} was let through");
    }
}
