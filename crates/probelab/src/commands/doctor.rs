//! `lab doctor`.

use console::style;
use labcheck::machine::{self, State};

use crate::{
    check::needs_privilege,
    site::Site,
    trouble::{Exit, Outcome},
    vm,
};

/// Runs the command.
pub fn run(site: &Site, lab: Option<&str>) -> Outcome {
    let mut exit = Exit::Pass;
    for finding in machine::findings() {
        let mark = match finding.state {
            State::Good => style("ok  ").green(),
            State::Warning => style("warn").yellow(),
            State::Bad => style("bad ").red(),
        };
        outln!("{mark}  {:<16} {}", finding.what, finding.found);
        if !finding.fix.is_empty() {
            outln!("      {:<16} {}", "", finding.fix);
        }
        if finding.state == State::Bad {
            exit = Exit::Infrastructure;
        }
    }
    let machines = vm::obstacle();
    match &machines {
        None => outln!(
            "{}  {:<16} {}",
            style("ok  ").green(),
            "virtual machines",
            vm::describe()
        ),
        Some(why) => {
            outln!(
                "{}  {:<16} {why}",
                style("warn").yellow(),
                "virtual machines"
            );
            outln!("      {:<16} `./lab setup` installs what they need", "");
        }
    }
    if exit != Exit::Pass && machines.is_none() {
        // What is bad above matters to checks on this machine only.
        outln!("\nChecks can run in virtual machines here: `lab check --on vm`.");
        exit = Exit::Pass;
    }
    if let Some(name) = lab {
        let course = site.course()?;
        let lab = course.find(name)?;
        outln!("\n{} needs:", lab.slug);
        if let Some(kernel) = lab.needs.kernel {
            outln!("      Linux {kernel} or newer");
        }
        if needs_privilege(lab) {
            let names: Vec<String> = lab
                .needs
                .capabilities
                .iter()
                .map(|capability| capability.kernel_name())
                .collect();
            outln!(
                "      root for the check; your program keeps only {}",
                names.join(", ")
            );
        } else {
            outln!("      no root");
            // What only BPF needs does not matter here.
            exit = Exit::Pass;
        }
        if lab.needs.btf {
            outln!("      BTF");
        }
        for tool in &lab.needs.tools {
            outln!("      the program {tool}");
        }
    }
    Ok(exit)
}
