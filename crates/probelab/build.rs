//! Links every lab's `check.rs` into `lab`: one static program holds all checks, so that the
//! verdict on a learner's machine is the graded verdict. Adding a lab needs no edit here.

use std::{env, error::Error, fmt::Write as _, fs, path::Path};

/// Folders that hold labs, relative to the repository.
const PLACES: [&str; 2] = ["labs", "fixtures/course/labs"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?)
        .join("../..")
        .canonicalize()?;
    let mut modules = String::new();
    let mut table = String::new();
    for place in PLACES {
        let folder = root.join(place);
        println!("cargo:rerun-if-changed={}", folder.display());
        let mut labs: Vec<_> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join("check.rs").is_file())
            .collect();
        labs.sort();
        for lab in labs {
            // NNN-slug
            let Some((_, slug)) = lab
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.split_once('-'))
            else {
                continue;
            };
            let module = slug.replace('-', "_");
            let check = lab.join("check.rs");
            println!("cargo:rerun-if-changed={}", check.display());
            writeln!(
                modules,
                "#[path = {:?}]\nmod lab_{module};",
                check.display().to_string()
            )?;
            // Read in earnest when the course is loaded; here only for whether there is a second table.
            let declared = fs::read_to_string(lab.join("lab.toml")).unwrap_or_default();
            let on_host = if declared
                .lines()
                .any(|line| line.trim() == "where = \"split\"")
            {
                format!("lab_{module}::ON_HOST")
            } else {
                "&[]".to_owned()
            };
            writeln!(
                table,
                "    ({slug:?}, labcheck::Checks {{ steps: lab_{module}::STEPS, on_host: {on_host} }}),"
            )?;
            println!("cargo:rerun-if-changed={}", lab.join("lab.toml").display());
        }
    }
    let text = format!(
        "{modules}\n/// Checks by slug.\npub const ALL: &[(&str, labcheck::Checks)] = &[\n{table}];\n"
    );
    fs::write(Path::new(&env::var("OUT_DIR")?).join("registry.rs"), text)?;
    Ok(())
}
