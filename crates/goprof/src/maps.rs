//! `/proc/PID/maps` (proc_pid_maps(5)): what a process has mapped where.

use gosym::Mapping;

use crate::Error;

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapEntry {
    pub mapping: Mapping,
    pub executable: bool,
    /// The file behind it; 0 for anonymous memory.
    pub inode: u64,
    /// Where that is: major and minor number.
    pub device: (u32, u32),
    /// Empty for anonymous memory; `[vdso]` and the like for the kernel's own.
    pub path: String,
    /// The file was removed or replaced since it was mapped.
    pub deleted: bool,
}

impl MapEntry {
    /// Whether a file lies behind it, not anonymous memory or a kernel page.
    pub fn has_file(&self) -> bool {
        self.path.starts_with('/')
    }
}

/// What the kernel appends to the path of a file that is gone.
pub(crate) const DELETED: &str = " (deleted)";

/// Parses the whole text, in its order: by address.
pub fn parse_maps(text: &str) -> Result<Vec<MapEntry>, Error> {
    let lines = text.lines().enumerate();
    lines
        .map(|(index, line)| {
            parse_line(line).map_err(|what| Error::Maps {
                line: index + 1,
                what: what.to_owned(),
            })
        })
        .collect()
}

fn parse_line(line: &str) -> Result<MapEntry, &'static str> {
    // Five fields, then the path, which may hold spaces.
    let mut fields = line.splitn(6, ' ');
    let mut next = |missing| fields.next().ok_or(missing);
    let range = next("it is empty")?;
    let permissions = next("the permissions are missing")?;
    let offset = next("the offset is missing")?;
    let device = next("the device is missing")?;
    let inode = next("the inode is missing")?;
    let path = next("").unwrap_or_default().trim_start();
    let (start, end) = range
        .split_once('-')
        .ok_or("the address range has no `-`")?;
    let hex = |text, wrong| u64::from_str_radix(text, 16).map_err(|_| wrong);
    let device = device.split_once(':').and_then(|(major, minor)| {
        let number = |text| u32::from_str_radix(text, 16).ok();
        Some((number(major)?, number(minor)?))
    });
    let mapping = Mapping {
        start: hex(start, "the start address is not hexadecimal")?,
        end: hex(end, "the end address is not hexadecimal")?,
        offset: hex(offset, "the offset is not hexadecimal")?,
    };
    if mapping.start >= mapping.end {
        return Err("the address range is empty");
    }
    let (path, deleted) = match path.strip_suffix(DELETED) {
        Some(path) => (path, true),
        None => (path, false),
    };
    Ok(MapEntry {
        mapping,
        executable: permissions.contains('x'),
        inode: inode.parse().map_err(|_| "the inode is not a number")?,
        device: device.ok_or("the device is not MAJOR:MINOR")?,
        path: path.to_owned(),
        deleted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_the_kernel_writes_them() {
        let text = "\
00400000-00589000 r-xp 00001000 fe:00 1234                       /srv/my app
7f00-7f80 rw-p 00000000 00:00 0 
7ffc1000-7ffc3000 r-xp 00000000 00:00 0                          [vdso]
9000-a000 r-xp 00002000 fe:00 99                         /tmp/old (deleted)
";
        let entries = parse_maps(text).expect("it parses");
        let told: Vec<_> = entries
            .iter()
            .map(|e| (e.mapping.start, e.executable, e.path.as_str(), e.deleted))
            .collect();
        let want = [
            (0x40_0000, true, "/srv/my app", false),
            (0x7f00, false, "", false),
            (0x7ffc_1000, true, "[vdso]", false),
            (0x9000, true, "/tmp/old", true),
        ];
        assert_eq!(told, want);
        assert_eq!(entries[0].mapping.end, 0x58_9000);
        assert_eq!(entries[0].mapping.offset, 0x1000);
        assert_eq!((entries[0].device, entries[0].inode), ((0xfe, 0), 1234));
    }

    #[test]
    fn a_bad_line_is_named() {
        for (line, want) in [
            ("nonsense", "the permissions are missing"),
            ("400000 r-xp 0 0:0 0", "the address range has no `-`"),
            ("4z-5 r-xp 0 0:0 0", "the start address is not hexadecimal"),
            ("5-5 r-xp 0 0:0 0", "the address range is empty"),
            ("4-5 r-xp 0 0 0", "the device is not MAJOR:MINOR"),
            ("4-5 r-xp 0 0:0 x", "the inode is not a number"),
        ] {
            let text = format!("1-2 r-xp 0 0:0 0\n{line}\n");
            let error = parse_maps(&text).expect_err(want).to_string();
            assert!(error.contains("line 2") && error.contains(want), "{error}");
        }
    }
}
