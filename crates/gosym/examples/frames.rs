//! Prints the frames at addresses of a Go binary: `frames BINARY HEX…`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: frames BINARY HEX…")?;
    let bin = gosym::Binary::open(path)?;
    println!(
        "{} {:?}, {} functions",
        bin.go_version_text().unwrap_or("unknown version"),
        bin.arch(),
        bin.functions().count()
    );
    for arg in args {
        let pc = u64::from_str_radix(arg.trim_start_matches("0x"), 16)?;
        println!("{pc:#x} stack delta {:?}", bin.sp_delta(pc));
        for frame in bin.frames_at(pc) {
            println!("  {frame:?}");
        }
    }
    Ok(())
}
