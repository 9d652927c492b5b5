//! Labels, and which of them names the service.

use super::refusal::Refusal;

/// Names and values.
pub type Labels = Vec<(String, String)>;

/// Labels that name a service, the first that is there: Pyroscope's agents send `service_name`, those of
/// Parca what they were configured with, or Prometheus' `job`.
const NAMING: [&str; 3] = ["service_name", "service", "job"];

/// The service that labels name.
pub fn service(labels: &Labels) -> Result<&str, Refusal> {
    let value = |name: &str| labels.iter().find(|(key, _)| key == name);
    let found = NAMING.into_iter().find_map(value);
    found.map(|(_, value)| value.as_str()).ok_or_else(|| {
        Refusal::unprocessable(
            "the labels name no service: have the agent send a label `service_name` (or `service`, or `job`)",
        )
    })
}

/// Pyroscope's `application.name{label=value,other=value}`.
pub fn application(text: &str) -> (&str, Labels) {
    let Some((name, rest)) = text.split_once('{') else {
        return (text, Vec::new());
    };
    let inside = rest.strip_suffix('}').unwrap_or(rest);
    let labels = inside.split(',').filter_map(|label| {
        let (key, value) = label.split_once('=')?;
        Some((
            key.trim().to_owned(),
            value.trim().trim_matches('"').to_owned(),
        ))
    });
    (name, labels.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_has_a_name_and_labels() {
        let (name, labels) = application("shop.checkout{__session_id__=1f,region=eu}");
        assert_eq!(name, "shop.checkout");
        let expected = [("__session_id__", "1f"), ("region", "eu")];
        assert_eq!(labels, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(application("shop"), ("shop", Vec::new()));
        assert_eq!(application("shop{"), ("shop", Vec::new()));
        assert_eq!(application("").0, "");
    }

    #[test]
    fn the_first_label_that_names_a_service_counts() {
        let labels = |names: &[&str]| -> Labels {
            let names = names.iter();
            names
                .map(|name| ((*name).to_owned(), format!("by-{name}")))
                .collect()
        };
        assert_eq!(
            service(&labels(&["job", "service_name"])).expect("named"),
            "by-service_name"
        );
        assert_eq!(service(&labels(&["pod", "job"])).expect("named"), "by-job");
        assert!(service(&labels(&["pod"])).is_err());
    }
}
