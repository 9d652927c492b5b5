//! `lab list`.

use course::Lab;
use serde::Serialize;

use super::progress;
use crate::{
    cli::ListFormat,
    site::Site,
    trouble::{Exit, Outcome},
};

/// A lab in the list. Format `probelab/list/v1`.
#[derive(Debug, Serialize)]
struct Row<'a> {
    lab: &'a str,
    number: u16,
    title: &'a str,
    minutes: u32,
    points: u32,
    of: u32,
    /// `passed`, `started`, `changed` (passed in an older revision) or `new`.
    state: &'static str,
}

/// Runs the command.
pub fn run(site: &Site, track: Option<&str>, format: ListFormat) -> Outcome {
    let course = site.course()?;
    let progress = progress(site)?;
    let labs: Vec<&Lab> = match track {
        None => course.labs.iter().collect(),
        Some(name) => course
            .track(Some(name))?
            .labs
            .iter()
            .filter_map(|slug| course.lab(slug))
            .collect(),
    };
    let rows: Vec<Row<'_>> = labs
        .iter()
        .map(|lab| Row {
            lab: lab.slug.as_str(),
            number: lab.number,
            title: &lab.title,
            minutes: lab.minutes(),
            points: progress.points(lab),
            of: lab.points(),
            state: if progress.is_lab_passed(lab) {
                "passed"
            } else if progress.needs_recheck(lab) {
                "changed"
            } else if site.my_lab(lab).is_dir() {
                "started"
            } else {
                "new"
            },
        })
        .collect();
    match format {
        ListFormat::Json => {
            let object = serde_json::json!({"schema": "probelab/list/v1", "labs": rows});
            outln!(
                "{}",
                serde_json::to_string_pretty(&object).unwrap_or_default()
            );
        }
        ListFormat::Human => {
            for row in &rows {
                outln!(
                    "{:03}  {:<20} {:>3}/{:<3} {:>3} min  {:<8} {}",
                    row.number,
                    row.lab,
                    row.points,
                    row.of,
                    row.minutes,
                    row.state,
                    row.title
                );
            }
            let (points, of): (u32, u32) = rows
                .iter()
                .fold((0, 0), |sum, row| (sum.0 + row.points, sum.1 + row.of));
            outln!("{} labs, {points}/{of} points", rows.len());
        }
    }
    Ok(Exit::Pass)
}
