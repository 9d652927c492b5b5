//! The pinned versions, from the two files that name them.

/// Value of `key` in versions.env.
///
/// The file is compiled in, so a missing key can only be a mistake made here, which the test
/// below finds.
pub fn pinned(key: &str) -> &'static str {
    include_str!("../../../versions.env")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| *name == key)
        .map_or("", |(_, value)| value.trim())
}

/// The stable Rust toolchain: `channel` of rust-toolchain.toml.
pub fn stable() -> &'static str {
    include_str!("../../../rust-toolchain.toml")
        .lines()
        .find_map(|line| line.strip_prefix("channel"))
        .map_or("", |rest| rest.trim_matches([' ', '=', '"']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_asked_for_is_pinned() {
        for key in ["BPF_NIGHTLY", "CLANG", "GO"] {
            assert!(!pinned(key).is_empty(), "versions.env names no {key}");
        }
        assert!(stable().starts_with(|c: char| c.is_ascii_digit()));
    }
}
