//! Bodies that carry several profiles with labels: Pyroscope's `push.v1.PusherService/Push` as Connect
//! sends it (proto or JSON), and Parca's `writeraw` (JSON).

use std::{fmt, marker::PhantomData};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost::encoding::{WireType, decode_key, decode_varint};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

use super::{labels::Labels, refusal::Refusal};

/// Profiles, and labels of each series, in one body.
pub const MANY: usize = 1000;

/// Profiles that share their labels.
#[derive(Debug, Default, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub profiles: Vec<Vec<u8>>,
}

/// Reads a proto body: `PushRequest { repeated RawProfileSeries series = 1 }`, where a series is
/// `{ repeated LabelPair labels = 1; repeated RawSample samples = 2 }`, a label `{ string name = 1; string
/// value = 2 }` and a sample `{ bytes raw_profile = 1; string id = 2 }` (api/push/v1/push.proto).
pub fn of_proto(body: &[u8]) -> Result<Vec<Series>, Refusal> {
    let mut all = Vec::new();
    let mut count = 0;
    for_each(body, |tag, bytes| {
        if tag == 1 {
            all.push(series(bytes, &mut count)?);
            room(&mut count)?;
        }
        Ok(())
    })?;
    Ok(all)
}

fn series(body: &[u8], count: &mut usize) -> Result<Series, Refusal> {
    let mut series = Series::default();
    for_each(body, |tag, bytes| {
        match tag {
            1 => {
                let (mut name, mut value) = (String::new(), String::new());
                for_each(bytes, |tag, bytes| {
                    let text = String::from_utf8_lossy(bytes);
                    match tag {
                        1 => name = text.into_owned(),
                        2 => value = text.into_owned(),
                        _ => {}
                    }
                    Ok(())
                })?;
                series.labels.push((name, value));
                room(count)?;
            }
            2 => for_each(bytes, |tag, bytes| {
                if tag == 1 {
                    series.profiles.push(bytes.to_vec());
                    room(count)?;
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(series)
}

fn room(count: &mut usize) -> Result<(), Refusal> {
    *count += 1;
    match *count > MANY {
        true => Err(too_many()),
        false => Ok(()),
    }
}

fn too_many() -> Refusal {
    Refusal::new(
        hyper::StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body holds more than {MANY} profiles and labels: send fewer at a time"),
    )
}

/// Calls `each` with the number and content of every field that has a length.
fn for_each<'a>(
    mut rest: &'a [u8],
    mut each: impl FnMut(u32, &'a [u8]) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let damaged =
        || Refusal::bad_request("the body is no PushRequest: its fields can't be told apart");
    while !rest.is_empty() {
        let (tag, wire) = decode_key(&mut rest).map_err(|_| damaged())?;
        let length = match wire {
            WireType::LengthDelimited => decode_varint(&mut rest).map_err(|_| damaged())?,
            WireType::Varint => {
                decode_varint(&mut rest).map_err(|_| damaged())?;
                continue;
            }
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::StartGroup | WireType::EndGroup => return Err(damaged()),
        };
        let length = usize::try_from(length).map_err(|_| damaged())?;
        let (bytes, after) = rest.split_at_checked(length).ok_or_else(damaged)?;
        rest = after;
        if wire == WireType::LengthDelimited {
            each(tag, bytes)?;
        }
    }
    Ok(())
}

/// Reads a JSON body of Pyroscope's or Parca's: they differ in how labels are nested.
pub fn of_json(body: &[u8]) -> Result<Vec<Series>, Refusal> {
    let request: Request = serde_json::from_slice(body).map_err(|error| {
        Refusal::bad_request(format!("the body is not the JSON of a push: {error}"))
    })?;
    let mut all = Vec::new();
    for series in request.series.0 {
        let labels = match series.labels {
            JsonLabels::Flat(labels) => labels,
            JsonLabels::Nested { labels } => labels,
        };
        let labels = labels.0.into_iter();
        let profiles = series.samples.0.iter().map(|sample| {
            BASE64
                .decode(&sample.raw_profile)
                .map_err(|error| Refusal::bad_request(format!("rawProfile is not base64: {error}")))
        });
        all.push(Series {
            labels: labels.map(|label| (label.name, label.value)).collect(),
            profiles: profiles.collect::<Result<_, _>>()?,
        });
    }
    Ok(all)
}

/// Protobuf's JSON takes both alphabets, with padding or without; clients send the standard one.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    series: Few<JsonSeries>,
}

#[derive(Deserialize)]
struct JsonSeries {
    #[serde(default)]
    labels: JsonLabels,
    #[serde(default)]
    samples: Few<Sample>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonLabels {
    /// Pyroscope's.
    Flat(Few<Label>),
    /// Parca's LabelSet.
    Nested { labels: Few<Label> },
}

impl Default for JsonLabels {
    fn default() -> Self {
        Self::Flat(Few::default())
    }
}

#[derive(Deserialize)]
struct Label {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct Sample {
    #[serde(rename = "rawProfile", alias = "raw_profile", default)]
    raw_profile: String,
}

/// A list of at most [`MANY`].
struct Few<T>(Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Counting<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MANY}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    if all.len() == MANY {
                        return Err(de::Error::invalid_length(MANY + 1, &self));
                    }
                    all.push(one);
                }
                Ok(Few(all))
            }
        }

        deserializer.deserialize_seq(Counting(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Vec<Series> {
        let label = |k: &str, v: &str| (k.to_owned(), v.to_owned());
        vec![Series {
            labels: vec![label("service_name", "shop"), label("pod", "a")],
            profiles: vec![b"one".to_vec(), b"two".to_vec()],
        }]
    }

    /// A field with a length.
    fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![tag << 3 | 2];
        prost::encoding::encode_varint(bytes.len() as u64, &mut field);
        field.extend(bytes);
        field
    }

    fn proto() -> Vec<u8> {
        let label = |k: &[u8], v: &[u8]| field(1, &[field(1, k), field(2, v)].concat());
        let sample = |raw: &[u8]| field(2, &[field(1, raw), field(2, b"id")].concat());
        let series = [
            label(b"service_name", b"shop"),
            label(b"pod", b"a"),
            sample(b"one"),
            // Fields of later versions are passed over.
            vec![0x78, 1],
            sample(b"two"),
        ];
        field(1, &series.concat())
    }

    #[test]
    fn all_three_forms_read_the_same() {
        assert_eq!(of_proto(&proto()).expect("proto"), expected());
        let pyroscope = r#"{"series":[{"labels":[{"name":"service_name","value":"shop"},{"name":"pod","value":"a"}],
            "samples":[{"ID":"1","rawProfile":"b25l"},{"rawProfile":"dHdv"}]}]}"#;
        assert_eq!(of_json(pyroscope.as_bytes()).expect("JSON"), expected());
        let parca = r#"{"tenant":"","series":[{"labels":{"labels":[{"name":"service_name","value":"shop"},
            {"name":"pod","value":"a"}]},"samples":[{"rawProfile":"b25l"},{"raw_profile":"dHdv"}]}],"normalized":true}"#;
        assert_eq!(of_json(parca.as_bytes()).expect("JSON"), expected());
        assert_eq!(of_json(b"{}").expect("JSON"), []);
        assert_eq!(of_proto(b"").expect("proto"), []);
    }

    #[test]
    fn damaged_bodies_are_refused_wherever_they_end() {
        let proto = proto();
        for end in 1..proto.len() {
            assert!(of_proto(&proto[..end]).is_err(), "{end}");
        }
        for json in [
            "",
            r#"{"series":1}"#,
            r#"{"series":[{"samples":[{"rawProfile":"!"}]}]}"#,
            r#"{"series":[{"labels":"x"}]}"#,
        ] {
            assert!(of_json(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn more_than_many_are_refused_before_they_are_kept() {
        let series = field(1, &[]).repeat(MANY + 1);
        let samples = field(1, &field(2, &field(1, b"x")).repeat(MANY + 1));
        for body in [series, samples] {
            let refusal = of_proto(&body).expect_err("too many");
            assert_eq!(refusal.status, hyper::StatusCode::PAYLOAD_TOO_LARGE);
        }
        let list = vec!["{}"; MANY + 1].join(",");
        let refusal =
            of_json(format!(r#"{{"series":[{list}]}}"#).as_bytes()).expect_err("too many");
        assert!(
            refusal.message.contains("at most 1000"),
            "{}",
            refusal.message
        );
    }
}
