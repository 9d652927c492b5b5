//! Forms with files (multipart/form-data, RFC 7578), of a body that was read whole. The crates for it
//! read from a stream, and bring the tables of all character sets along.

/// The content of the first part with a name. `None` where there is none, or the form is damaged.
pub fn part<'a>(content_type: &str, body: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let boundary = format!("--{}", boundary(content_type)?);
    let mut rest = after(body, boundary.as_bytes())?;
    loop {
        // `--` behind the boundary ends the form.
        rest = rest.strip_prefix(b"\r\n")?;
        let end = find(rest, format!("\r\n{boundary}").as_bytes())?;
        let inside = &rest[..end];
        let head = find(inside, b"\r\n\r\n")?;
        if is_named(&inside[..head], name) {
            return Some(&inside[head + 4..]);
        }
        rest = &rest[end + 2 + boundary.len()..];
    }
}

fn boundary(content_type: &str) -> Option<&str> {
    let mut parameters = content_type.split(';').skip(1);
    let value = parameters.find_map(|parameter| {
        let (key, value) = parameter.trim().split_once('=')?;
        key.eq_ignore_ascii_case("boundary").then_some(value)
    })?;
    let value = value.trim_matches('"');
    (1..=70).contains(&value.len()).then_some(value)
}

/// Whether a part's head names it so.
fn is_named(head: &[u8], name: &str) -> bool {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    lines.any(|line| {
        let Some((key, value)) = line.split_once(':') else {
            return false;
        };
        let mut parameters = value.split(';').map(str::trim);
        key.eq_ignore_ascii_case("content-disposition")
            && parameters.next() == Some("form-data")
            && parameters.any(|parameter| {
                let found = parameter.strip_prefix("name=");
                found.is_some_and(|found| found.trim_matches('"') == name)
            })
    })
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

fn after<'a>(text: &'a [u8], part: &[u8]) -> Option<&'a [u8]> {
    find(text, part).map(|at| &text[at + part.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=xyz";
    const BODY: &[u8] = b"--xyz\r\nContent-Disposition: form-data; name=\"profile\"; filename=\"profile.pprof\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n\x1f\x8b--xy\r\n\xff\r\n--xyz\r\n\
        content-disposition: form-data; name=other\r\n\r\n\r\n--xyz--\r\n";

    #[test]
    fn parts_are_found_by_name_byte_for_byte() {
        assert_eq!(
            part(TYPE, BODY, "profile"),
            Some(&b"\x1f\x8b--xy\r\n\xff"[..])
        );
        assert_eq!(part(TYPE, BODY, "other"), Some(&b""[..]));
        assert_eq!(
            part("multipart/form-data; Boundary=\"xyz\"", BODY, "other"),
            Some(&b""[..])
        );
    }

    #[test]
    fn what_is_damaged_has_no_parts() {
        assert_eq!(part(TYPE, BODY, "absent"), None);
        assert_eq!(part("multipart/form-data", BODY, "profile"), None);
        assert_eq!(
            part("multipart/form-data; boundary=", BODY, "profile"),
            None
        );
        assert_eq!(
            part("multipart/form-data; boundary=abc", BODY, "profile"),
            None
        );
        for end in 0..BODY.len() {
            // Whole parts may be found in the rest, and nothing panics.
            let found = part(TYPE, &BODY[..end], "profile");
            assert!(
                found.is_none_or(|found| found == b"\x1f\x8b--xy\r\n\xff"),
                "{end}"
            );
        }
    }
}
