//! What a learner reads on each kernel. A screen is kept once, as the newest kernel has it, and after
//! it the lines that are different on an older one.

use similar::TextDiff;

use crate::{
    Need, Test,
    checkout::{self, in_repository},
};

pub const TESTS: &[Test] = &[(
    "refused_on_each_kernel",
    Need::Guests,
    refused_on_each_kernel,
)];

/// In the order of `lab check --kernel all`.
const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "newest"];

/// The broken programs of verifier-memory, with a right prediction: what the verifier said, explained.
fn refused_on_each_kernel() {
    let mut text = String::new();
    for step in ["opens", "sizes", "paths", "texts"] {
        let answer = format!("labs/410-verifier-memory/wrong/{step}-only-predicted");
        let args = [
            "check",
            "verifier-memory",
            "--step",
            step,
            "--answer",
            &answer,
            "--seed",
            "1",
            "--kernel",
            "all",
            "--format",
            "jsonl",
        ];
        let output = in_repository(&args).output().expect("lab runs");
        let told: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(refusal)
            .collect();
        assert_eq!(
            told.len(),
            KERNELS.len(),
            "{}",
            checkout::screen(&args, &output)
        );
        text += &format!("== {step}\n{}", once(&told));
    }
    checkout::assert_text("refused_on_each_kernel", &text);
}

/// What the one check that failed says, of a report's line.
fn refusal(line: &str) -> String {
    let report: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let failed = report["steps"][0]["checks"]
        .as_array()
        .and_then(|checks| checks.iter().find(|check| check["verdict"] == "fail"));
    let message = failed.and_then(|check| check["message"].as_str());
    format!("{}\n", message.unwrap_or(line))
}

/// The last text, and how the others differ from it.
fn once(told: &[String]) -> String {
    let Some((newest, older)) = told.split_last() else {
        return String::new();
    };
    let mut text = newest.clone();
    for (kernel, other) in KERNELS.iter().zip(older) {
        let difference = TextDiff::from_lines(newest, other)
            .unified_diff()
            .context_radius(0)
            .to_string();
        if difference.is_empty() {
            text += &format!("-- Linux {kernel}: the same\n");
        } else {
            text += &format!("-- Linux {kernel}:\n{difference}");
        }
    }
    text
}
