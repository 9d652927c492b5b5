//! Strict reading of TOML tables: every mistake is collected, with its place.
//!
//! Deriving `Deserialize` would stop at the first mistake; an author mends a file faster when
//! shown all of them, so tables are walked here instead.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::near::{nearest, suggest};
use crate::problem::{Problem, Text};

/// The text of one file and the mistakes found in it so far.
pub(crate) struct Doc {
    pub(crate) text: Text,
    problems: RefCell<Vec<Problem>>,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

impl Doc {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self {
            text: Text {
                name: name.to_owned(),
                text: text.into(),
            },
            problems: RefCell::default(),
        }
    }

    /// Records a mistake; `label` stands under the marked text.
    pub(crate) fn report(
        &self,
        span: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        let problem = Problem::at(
            &self.text,
            span.clone(),
            message.into(),
            label.into(),
            help.into(),
        );
        self.problems.borrow_mut().push(problem);
    }

    pub(crate) fn report_about(&self, file: &str, message: String, help: String) {
        self.problems
            .borrow_mut()
            .push(Problem::about(file, message, help));
    }

    /// How many mistakes so far: lets a reader tell whether a part was sound.
    pub(crate) fn count(&self) -> usize {
        self.problems.borrow().len()
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Parses the whole text; a syntax error is the one mistake then reported.
    pub(crate) fn parse<'t>(&self, text: &'t str) -> Option<Spanned<DeTable<'t>>> {
        match DeTable::parse(text) {
            Ok(table) => Some(table),
            Err(e) => {
                self.report(
                    &e.span().unwrap_or(0..0),
                    format!("this is not TOML: {}", e.message().replace('\n', "; ")),
                    "here",
                    "mend the syntax; the rest is read once the file parses",
                );
                None
            }
        }
    }
}

/// One table being read. Every key asked for becomes a known key; `finish` reports the others.
pub(crate) struct Table<'d> {
    pub(crate) doc: &'d Doc,
    /// How messages call it: "a lab", "an artifact".
    pub(crate) what: &'static str,
    pub(crate) span: Range<usize>,
    table: &'d DeTable<'d>,
    known: Vec<&'static str>,
}

impl<'d> Table<'d> {
    pub(crate) fn root(doc: &'d Doc, table: &'d Spanned<DeTable<'d>>, what: &'static str) -> Self {
        // A key that is missing from the whole file is shown at its top.
        Self::new(doc, table.get_ref(), 0..0, what)
    }

    fn new(doc: &'d Doc, table: &'d DeTable<'d>, span: Range<usize>, what: &'static str) -> Self {
        Self {
            doc,
            what,
            span,
            table,
            known: Vec::new(),
        }
    }

    fn find(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str, example: &str) {
        self.doc.report(
            &value.span(),
            format!("`{key}` must be {wanted}, and here it is {}", kind(value)),
            format!("should be {wanted}"),
            format!("write it like `{key} = {example}`"),
        );
    }

    fn missing(&self, key: &str, example: &str) {
        self.doc.report(
            &self.span,
            format!("{} lacks the key `{key}`", self.what),
            format!("`{key}` is missing"),
            format!("add a line like `{key} = {example}`"),
        );
    }

    /// Whether the key is there, of whatever type.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Makes the key a known one and says whether it is there.
    pub(crate) fn know(&mut self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    pub(crate) fn opt_str(&mut self, key: &'static str) -> Option<At<&'d str>> {
        let value = self.find(key)?;
        match value.get_ref() {
            DeValue::String(text) if text.trim().is_empty() => {
                self.doc.report(
                    &value.span(),
                    format!("`{key}` is empty"),
                    "nothing here",
                    format!("write some text, or remove `{key}` if it may be left out"),
                );
                None
            }
            DeValue::String(text) => Some(At {
                value: text.as_ref(),
                span: value.span(),
            }),
            _ => {
                self.wrong_type(key, value, "a string", "\"…\"");
                None
            }
        }
    }

    pub(crate) fn str(&mut self, key: &'static str, example: &str) -> Option<At<&'d str>> {
        if !self.know(key) {
            self.missing(key, example);
            return None;
        }
        self.opt_str(key)
    }

    /// A string without its place, empty after a mistake.
    pub(crate) fn text(&mut self, key: &'static str, example: &str) -> String {
        self.str(key, example)
            .map(|at| at.value.to_owned())
            .unwrap_or_default()
    }

    pub(crate) fn opt_bool(&mut self, key: &'static str) -> Option<bool> {
        let value = self.find(key)?;
        match value.get_ref() {
            DeValue::Boolean(b) => Some(*b),
            _ => {
                self.wrong_type(key, value, "true or false", "true");
                None
            }
        }
    }

    pub(crate) fn opt_int(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> Option<At<u32>> {
        let value = self.find(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(key, value, "a whole number", &range.start().to_string());
            return None;
        };
        let parsed = i128::from_str_radix(number.as_str(), number.radix()).ok();
        match parsed.and_then(|n| u32::try_from(n).ok()) {
            Some(n) if range.contains(&n) => Some(At {
                value: n,
                span: value.span(),
            }),
            _ => {
                let limits = format!("from {} to {}", range.start(), range.end());
                self.doc.report(
                    &value.span(),
                    format!("`{key}` must be {limits}, and here it is {number}"),
                    "out of range",
                    format!("choose a whole number {limits}"),
                );
                None
            }
        }
    }

    pub(crate) fn int(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        example: &str,
    ) -> Option<At<u32>> {
        if !self.know(key) {
            self.missing(key, example);
            return None;
        }
        self.opt_int(key, range)
    }

    /// A list of strings; nothing there is an empty list. A string twice is a mistake.
    pub(crate) fn strings(&mut self, key: &'static str) -> Vec<At<&'d str>> {
        let mut seen: Vec<At<&str>> = self.strings_with_repeats(key);
        let mut unique: Vec<At<&str>> = Vec::new();
        for item in seen.drain(..) {
            if unique.iter().any(|u| u.value == item.value) {
                self.doc.report(
                    &item.span,
                    format!("`{}` stands twice in `{key}`", item.value),
                    "the second one",
                    "remove one of the two",
                );
            } else {
                unique.push(item);
            }
        }
        unique
    }

    /// A list of strings in which the same one may stand twice (arguments).
    pub(crate) fn strings_with_repeats(&mut self, key: &'static str) -> Vec<At<&'d str>> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, value, "a list of strings", "[\"…\"]");
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| match item.get_ref() {
                DeValue::String(text) => Some(At {
                    value: text.as_ref(),
                    span: item.span(),
                }),
                _ => {
                    self.doc.report(
                        &item.span(),
                        format!("`{key}` holds strings, and this is {}", kind(item)),
                        "should be a string",
                        "put it in quotation marks",
                    );
                    None
                }
            })
            .collect()
    }

    /// A table under `key`.
    pub(crate) fn table(&mut self, key: &'static str, what: &'static str) -> Option<Table<'d>> {
        let value = self.find(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Table::new(self.doc, table, value.span(), what)),
            _ => {
                self.doc.report(
                    &value.span(),
                    format!("`{key}` must be a table, and here it is {}", kind(value)),
                    "should be a table",
                    format!("start it with a line `[{key}]`"),
                );
                None
            }
        }
    }

    /// The tables of `[[key]]`.
    pub(crate) fn tables(&mut self, key: &'static str, what: &'static str) -> Vec<Table<'d>> {
        let Some(value) = self.find(key) else {
            return Vec::new();
        };
        let help = format!("start each with a line `[[{key}]]`");
        let DeValue::Array(items) = value.get_ref() else {
            self.doc.report(
                &value.span(),
                format!(
                    "`{key}` must be a list of tables, and here it is {}",
                    kind(value)
                ),
                "should be a list of tables",
                help,
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(table) => {
                    tables.push(Table::new(self.doc, table, item.span(), what));
                }
                _ => self.doc.report(
                    &item.span(),
                    format!("`{key}` holds tables, and this is {}", kind(item)),
                    "should be a table",
                    help.clone(),
                ),
            }
        }
        tables
    }

    /// Every entry of a table whose keys are the author's own (environment, weights, tracks).
    pub(crate) fn entries(&self) -> impl Iterator<Item = (At<&'d str>, &'d Spanned<DeValue<'d>>)> {
        self.table.iter().map(|(key, value)| {
            let at = At {
                value: key.get_ref().as_ref(),
                span: key.span(),
            };
            (at, value)
        })
    }

    /// A table that is an entry of this one.
    pub(crate) fn entry(
        &self,
        key: &At<&str>,
        value: &'d Spanned<DeValue<'d>>,
        what: &'static str,
    ) -> Option<Table<'d>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Table::new(self.doc, table, value.span(), what)),
            _ => {
                self.wrong_type(key.value, value, "a table", "{ … }");
                None
            }
        }
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let help = match nearest(name, self.known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => suggest(name, &self.known, "this table takes no keys"),
            };
            self.doc.report(
                &key.span(),
                format!("{} has no key `{name}`", self.what),
                "unknown key",
                help,
            );
        }
    }
}

/// A value's type, with its article, for messages.
pub(crate) fn kind(value: &Spanned<DeValue<'_>>) -> &'static str {
    match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
