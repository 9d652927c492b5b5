//! The parameters behind the `?`.

use std::{borrow::Cow, time::Duration};

use hyper::Uri;

use super::refusal::Refusal;

pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn of(uri: &Uri) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(
            pairs
                .map(|(k, v): (Cow<'_, str>, _)| (k.into(), v.into()))
                .collect(),
        )
    }

    /// The first with a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// `true`, `1` or nothing behind the name.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(_) => Err(Refusal::bad_request(format!("`{name}` is true or false"))),
        }
    }

    pub fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let number = |text: &str| {
            text.parse()
                .map_err(|_| Refusal::bad_request(format!("`{name}` is a whole number")))
        };
        self.get(name).map(number).transpose()
    }

    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Refusal> {
        let duration = |text: &str| {
            duration(text).ok_or_else(|| {
                Refusal::bad_request(format!(
                    "`{name}` is a length of time, such as 90m, 12h or 14d"
                ))
            })
        };
        self.get(name).map(duration).transpose()
    }
}

/// A length of time: a whole number of seconds, minutes, hours or days.
pub fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = number.parse::<u32>().ok()?;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds) * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_the_first_counts() {
        let uri: Uri = "/x?name=a%7Bb%3D1%7D&name=c&window=36h&own&version=x"
            .parse()
            .expect("a URI");
        let query = Query::of(&uri);
        assert_eq!(query.get("name"), Some("a{b=1}"));
        assert_eq!(
            query.duration("window").expect("a duration"),
            Some(Duration::from_secs(129_600))
        );
        assert!(query.flag("own").expect("a flag"));
        assert!(query.number("version").is_err());
        assert_eq!(query.get("absent"), None);
    }

    #[test]
    fn lengths_of_time_have_a_number_and_a_unit() {
        assert_eq!(duration("90m"), Some(Duration::from_secs(5_400)));
        assert_eq!(duration("14d"), Some(Duration::from_secs(1_209_600)));
        for wrong in [
            "",
            "14",
            "d",
            "0d",
            "-1d",
            "1w",
            "1.5h",
            "99999999999d",
            "1 d",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
