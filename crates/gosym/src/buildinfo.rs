//! The Go version that linked a binary, from `.go.buildinfo` (`debug/buildinfo` in Go's library).

/// `1.26` of `go1.26.8`. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoVersion {
    pub major: u32,
    pub minor: u32,
}

impl GoVersion {
    /// Accepts `go1.26.8`, `go1.27rc1`, `go1.26.1 X:nodwarf5` and `devel go1.27-0123abc`.
    pub fn parse(text: &str) -> Option<GoVersion> {
        let rest = text.split("go").nth(1)?;
        let mut parts = rest.splitn(3, '.');
        let major = leading_number(parts.next()?)?;
        let minor = leading_number(parts.next()?)?;
        Some(GoVersion { major, minor })
    }
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().ok()
}

const MAGIC: &[u8] = b"\xff Go buildinf:";
const FLAGS_AT: usize = 15;
const INLINE_STRINGS: u8 = 2;
const HEADER_LEN: usize = 32;

/// What `.go.buildinfo` holds. Since Go 1.18 both texts are stored inline, each as a varint length and
/// the bytes, after a header of 32 bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    /// `go1.26.8`.
    pub version: Option<String>,
    /// The path of the module that the main package belongs to.
    pub module: Option<String>,
    /// The import path of the main package; `command-line-arguments` if it was built from files.
    pub package: Option<String>,
}

pub(crate) fn texts(section: &[u8]) -> Texts {
    let inline = section
        .get(FLAGS_AT)
        .is_some_and(|flags| flags & INLINE_STRINGS != 0);
    if !section.starts_with(MAGIC) || !inline {
        return Texts::default();
    }
    let (version, at) = text(section, HEADER_LEN).unzip();
    let modules = at.and_then(|at| text(section, at));
    Texts {
        version: version.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()),
        module: modules.and_then(|(bytes, _)| field(bytes, "mod")),
        package: modules.and_then(|(bytes, _)| field(bytes, "path")),
    }
}

/// The text whose length is at `at`, and where it ends.
fn text(section: &[u8], mut at: usize) -> Option<(&[u8], usize)> {
    let mut len = 0usize;
    for shift in (0..28).step_by(7) {
        let byte = *section.get(at)?;
        at += 1;
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let end = at.checked_add(len)?;
            return Some((section.get(at..end)?, end));
        }
    }
    None
}

/// What follows `name` in lines as `mod<TAB>example.com/server<TAB>(devel)<TAB>`, between two marks of 16
/// bytes that are no text (`infoStart`, `cmd/go/internal/modload/build.go`).
fn field(modules: &[u8], name: &str) -> Option<String> {
    const MARK: usize = 16;
    let lines = modules.get(MARK..modules.len().checked_sub(MARK)?)?;
    let lines = std::str::from_utf8(lines).ok()?;
    lines.lines().find_map(|line| {
        let mut fields = line.split('\t');
        (fields.next()? == name).then(|| fields.next().map(str::to_owned))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_toolchain_spells_them() {
        for (text, want) in [
            ("go1.26.8", Some((1, 26))),
            ("go1.27rc1", Some((1, 27))),
            ("go1.20", Some((1, 20))),
            ("go1.26.1 X:nodwarf5", Some((1, 26))),
            ("devel go1.27-0123abc Mon Nov 1", Some((1, 27))),
            ("devel +0123abc", None),
            ("", None),
        ] {
            let got = GoVersion::parse(text).map(|v| (v.major, v.minor));
            assert_eq!(got, want, "{text:?}");
        }
    }

    #[test]
    fn a_length_beyond_the_section_is_refused() {
        let mut section = MAGIC.to_vec();
        section.extend([8, INLINE_STRINGS]);
        section.resize(HEADER_LEN, 0);
        section.extend([0xff, 0x01]);
        section.extend(b"go1.26.8");
        assert_eq!(texts(&section), Texts::default());
    }
}
