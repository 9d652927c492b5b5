//! symbolise: says what addresses in a Go program mean. Yours are `functions.rs`, `lines.rs` and
//! `inlined.rs`; the rest is given.
//!
//! `--program FILE` is the program, `--addresses FILE` has an address in hexadecimal on each line.
//! `--print` says what is printed of each: `functions` (its name), `lines` (name and place) or
//! `calls` (name, place and first line of each call). Tabs stand between them: names have spaces.

mod functions;
mod inlined;
mod lines;
mod tables;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};

use crate::tables::Tables;

fn main() -> anyhow::Result<()> {
    let program: PathBuf = labkit::option("--program")?;
    let addresses: PathBuf = labkit::option("--addresses")?;
    let print: String = labkit::option("--print")?;

    let tables = Tables::open(&program)?;
    let addresses = fs::read_to_string(&addresses)
        .with_context(|| format!("cannot read {}", addresses.display()))?;
    for address in addresses.lines() {
        let pc =
            u64::from_str_radix(address, 16).with_context(|| format!("{address} is no address"))?;
        let mut line = address.to_owned();
        match (functions::find(&tables, pc), print.as_str()) {
            (None, _) => line += "\t?",
            (Some(index), "functions") => {
                line += &format!("\t{}", tables.function(index).name);
            }
            (Some(index), "lines") => {
                let function = tables.function(index);
                let (file, number) = lines::place(&tables, &function, pc);
                line += &format!("\t{}\t{file}:{number}", function.name);
            }
            (Some(index), "calls") => {
                for call in inlined::calls(&tables, &tables.function(index), pc) {
                    let (file, number) = call.place;
                    line += &format!("\t{}\t{file}:{number}\t{}", call.name, call.start_line);
                }
            }
            (_, other) => bail!("--print {other}: functions, lines or calls"),
        }
        println!("{line}");
    }
    Ok(())
}
