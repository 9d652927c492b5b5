//! A page of the book, and what can be asked of it. Parsed as mdBook parses it.

use std::{collections::HashSet, fmt, fs, ops::Range, path::Path};

use mdbook_markdown::{
    MarkdownOptions, new_cmark_parser,
    pulldown_cmark::{CodeBlockKind, Event, OffsetIter, Tag, TagEnd},
};

use crate::trouble::{OrTrouble as _, Outcome};

/// Something in the book that has to be mended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// The file, relative to the checkout, with the line where there is one.
    pub place: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl Fault {
    pub fn new(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A Markdown file of the book.
#[derive(Clone, Debug)]
pub struct Page {
    /// Relative to the book's `src`, with `/` between names.
    pub path: String,
    pub text: String,
}

/// A link of a page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    pub to: String,
    pub line: usize,
}

/// A command whose output a page shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShownCommand {
    pub command: String,
    pub line: usize,
    /// Where the output is in the page's text, without the fences.
    pub output: Range<usize>,
}

impl Page {
    /// The page's place for a [`Fault`].
    pub fn at(&self, line: usize) -> String {
        format!("{}/{}:{line}", super::PAGES, self.path)
    }

    /// Number, from 1, of the line that holds the byte at `offset`.
    pub fn line(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    fn events(&self) -> OffsetIter<'_> {
        new_cmark_parser(&self.text, &MarkdownOptions::default()).into_offset_iter()
    }

    /// The ids that mdBook gives to the page's headings: the text in lower case, blanks as
    /// hyphens, and only letters, digits, `_` and `-` kept (`mdbook-html`, `utils.rs`).
    pub fn heading_ids(&self) -> HashSet<String> {
        let mut ids = HashSet::new();
        let mut open: Option<(Option<String>, String)> = None;
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { id, .. }) => {
                    open = Some((id.map(|id| id.to_string()), String::new()));
                }
                Event::Start(Tag::DefinitionListTitle) => open = Some((None, String::new())),
                Event::Text(text) | Event::Code(text) => {
                    if let Some((_, heading)) = &mut open {
                        heading.push_str(&text);
                    }
                }
                Event::End(TagEnd::Heading(_) | TagEnd::DefinitionListTitle) => {
                    if let Some((id, heading)) = open.take() {
                        insert_unique(&mut ids, id.unwrap_or_else(|| id_of(&heading)));
                    }
                }
                _ => {}
            }
        }
        ids
    }

    /// Links and images, in order.
    pub fn links(&self) -> Vec<Link> {
        self.events()
            .filter_map(|(event, range)| match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    Some(Link {
                        to: dest_url.to_string(),
                        line: self.line(range.start),
                    })
                }
                _ => None,
            })
            .collect()
    }

    /// The page's `<!-- cmdrun: COMMAND -->` lines with the fenced blocks that follow them, and
    /// what is wrong with others.
    pub fn commands(&self) -> (Vec<ShownCommand>, Vec<Fault>) {
        const LONELY: &str = "no fenced block follows this cmdrun comment; put ```text and ``` on the \
                              next lines and run `lab book --update`";
        let (mut commands, mut faults) = (Vec::new(), Vec::new());
        let mut pending: Option<(String, usize)> = None;
        for (event, range) in self.events() {
            let line = self.line(range.start);
            match event {
                Event::Html(text) | Event::InlineHtml(text)
                    if text.trim_start().starts_with("<!-- cmdrun") =>
                {
                    if let Some((_, line)) = pending.take() {
                        faults.push(Fault::new(self.at(line), LONELY));
                    }
                    match command_of(&text) {
                        Some(command) => pending = Some((command.to_owned(), line)),
                        None => faults.push(Fault::new(
                            self.at(line),
                            "a cmdrun comment is one line: <!-- cmdrun: COMMAND -->",
                        )),
                    }
                }
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                    let Some((command, line)) = pending.take() else {
                        continue;
                    };
                    match self.inside_fences(&range) {
                        Some(output) => commands.push(ShownCommand {
                            command,
                            line,
                            output,
                        }),
                        None => faults.push(Fault::new(
                            self.at(line),
                            "the block after this cmdrun comment must begin at the line's start and be closed",
                        )),
                    }
                }
                Event::Start(Tag::HtmlBlock)
                | Event::End(TagEnd::HtmlBlock)
                | Event::Html(_)
                | Event::Text(_) => {}
                _ => {
                    if let Some((_, line)) = pending.take() {
                        faults.push(Fault::new(self.at(line), LONELY));
                    }
                }
            }
        }
        if let Some((_, line)) = pending {
            faults.push(Fault::new(self.at(line), LONELY));
        }
        (commands, faults)
    }

    /// What is between the fences of the block at `block`.
    fn inside_fences(&self, block: &Range<usize>) -> Option<Range<usize>> {
        let text = self.text[block.clone()].trim_end_matches('\n');
        let first = text.find('\n')? + 1;
        let last = text.rfind('\n')? + 1;
        let at_start = block.start == 0 || self.text[..block.start].ends_with('\n');
        let closed = text[last..].starts_with("```") || text[last..].starts_with("~~~");
        (at_start && closed && first <= last).then(|| block.start + first..block.start + last)
    }
}

fn command_of(comment: &str) -> Option<&str> {
    let command = comment
        .trim()
        .strip_prefix("<!-- cmdrun:")?
        .strip_suffix("-->")?
        .trim();
    (!command.is_empty()).then_some(command)
}

fn id_of(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
            c if c.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect()
}

/// The second heading of one name gets `-1`, the third `-2`.
fn insert_unique(ids: &mut HashSet<String>, id: String) {
    let free = (0u32..)
        .map(|n| match n {
            0 => id.clone(),
            n => format!("{id}-{n}"),
        })
        .find(|candidate| !ids.contains(candidate));
    ids.extend(free);
}

/// Every Markdown file under `folder`, in the order of their paths.
pub fn read_all(folder: &Path) -> Outcome<Vec<Page>> {
    let mut pages = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        let entries = fs::read_dir(&current)
            .or_infrastructure(|| format!("cannot read {}", current.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "md") {
                let text = fs::read_to_string(&path)
                    .or_infrastructure(|| format!("cannot read {}", path.display()))?;
                pages.push(Page {
                    path: path
                        .strip_prefix(folder)
                        .unwrap_or(&path)
                        .display()
                        .to_string(),
                    text,
                });
            }
        }
    }
    pages.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(pages)
}

#[cfg(test)]
pub fn page(path: &str, text: &str) -> Page {
    Page {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_have_the_ids_that_mdbook_gives_them() {
        for (heading, expected) in [
            ("# The idea", "the-idea"),
            ("## `run_cnt`, and why", "run_cnt-and-why"),
            ("## What it can't do", "what-it-cant-do"),
            ("## Named {#short}", "short"),
            ("Title\n=====", "title"),
        ] {
            let ids = page("a.md", heading).heading_ids();
            assert!(ids.contains(expected), "{heading}: {ids:?}");
        }
    }

    #[test]
    fn headings_of_one_name_are_numbered() {
        let ids = page("a.md", "## Next\n\n## Next\n\n## Next\n").heading_ids();
        assert_eq!(
            ids,
            HashSet::from(["next", "next-1", "next-2"].map(String::from))
        );
    }

    #[test]
    fn links_are_those_of_the_text_and_not_of_code() {
        let text = "# T\n\n[a](b.md#c) `[x](y)`\n\n![i](i.png)\n\n```\n[n](no.md)\n```\n";
        let links = page("a.md", text).links();
        let found: Vec<_> = links.iter().map(|l| (l.to.as_str(), l.line)).collect();
        assert_eq!(found, [("b.md#c", 3), ("i.png", 5)]);
    }

    #[test]
    fn a_command_is_found_with_its_output() {
        let text = "Text:\n<!-- cmdrun: lab next -->\n```text\none\ntwo\n```\nMore.\n";
        let page = page("a.md", text);
        let (commands, faults) = page.commands();
        assert_eq!(faults, []);
        assert_eq!(commands.len(), 1);
        assert_eq!(
            (commands[0].command.as_str(), commands[0].line),
            ("lab next", 2)
        );
        assert_eq!(&page.text[commands[0].output.clone()], "one\ntwo\n");
    }

    #[test]
    fn an_empty_block_can_be_filled() {
        let page = page("a.md", "<!-- cmdrun: lab next -->\n\n```text\n```\n");
        let (commands, faults) = page.commands();
        assert_eq!(faults, []);
        assert_eq!(&page.text[commands[0].output.clone()], "");
    }

    #[test]
    fn a_comment_shown_in_a_block_is_no_command() {
        let (commands, faults) =
            page("a.md", "````\n<!-- cmdrun: x -->\n```\n```\n````\n").commands();
        assert_eq!((commands.len(), faults.len()), (0, 0));
    }

    #[test]
    fn cmdrun_mistakes_are_told_with_their_line() {
        for (text, line, part) in [
            (
                "\n<!-- cmdrun: lab next -->\n\nText.\n",
                2,
                "no fenced block follows",
            ),
            ("<!-- cmdrun: lab next -->\n", 1, "no fenced block follows"),
            ("<!-- cmdrun lab next -->\n```\n```\n", 1, "one line"),
            ("<!-- cmdrun: -->\n```\n```\n", 1, "one line"),
            ("<!-- cmdrun: a\nb -->\n```\n```\n", 1, "one line"),
            (
                "- x\n\n  <!-- cmdrun: a -->\n  ```\n  ```\n",
                3,
                "line's start",
            ),
            ("<!-- cmdrun: a -->\n```\nopen\n", 1, "closed"),
        ] {
            let (commands, faults) = page("a.md", text).commands();
            assert_eq!(
                (commands.len(), faults.len()),
                (0, 1),
                "{text:?}: {faults:?}"
            );
            assert_eq!(faults[0].place, format!("book/src/a.md:{line}"), "{text:?}");
            assert!(faults[0].what.contains(part), "{text:?}: {}", faults[0]);
        }
    }
}
