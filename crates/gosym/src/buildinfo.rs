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

/// The version text in the contents of `.go.buildinfo`. Since Go 1.18 it is stored inline, as a
/// varint length and the bytes, after a header of 32 bytes.
pub(crate) fn version_text(section: &[u8]) -> Option<String> {
    if !section.starts_with(MAGIC) || section.get(FLAGS_AT)? & INLINE_STRINGS == 0 {
        return None;
    }
    let mut len = 0usize;
    let mut at = HEADER_LEN;
    for shift in (0..28).step_by(7) {
        let byte = *section.get(at)?;
        at += 1;
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let text = section.get(at..at.checked_add(len)?)?;
            return String::from_utf8(text.to_vec()).ok();
        }
    }
    None
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
        assert_eq!(version_text(&section), None);
    }
}
