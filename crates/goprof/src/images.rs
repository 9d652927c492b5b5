//! Which program each process was at what time, and where it had its code.

use std::collections::{BTreeMap, HashMap};

use crate::MapEntry;

/// How far back a process that has become no program of its own is followed: to the parent it was
/// copied from, and that one's.
const MAX_FORKS: usize = 32;

/// What happened to a process's code.
#[derive(Clone, Debug)]
pub enum Event {
    /// It began anew, with nothing: it became another program (execve(2)).
    Begun,
    /// It was made as a copy of this process (fork(2)).
    Copied { parent: u32 },
    /// Something was mapped, where something else may have been before.
    Mapped(MapEntry),
}

/// What happened to all processes. Events may come in any order.
#[derive(Debug, Default)]
pub struct Images {
    /// By process and time, in nanoseconds; a number tells those of the same time apart.
    events: HashMap<u32, BTreeMap<(u64, u64), Event>>,
    number: u64,
}

impl Images {
    pub fn add(&mut self, time: u64, process: u32, event: Event) {
        self.number += 1;
        let events = self.events.entry(process).or_default();
        events.insert((time, self.number), event);
    }

    /// What the program had mapped that the process had become at `since`, at any time until it became
    /// another one; by address. Where things were mapped one over the other, the last. Empty for a
    /// process of which nothing is known.
    pub fn mapped(&self, process: u32, since: u64) -> Vec<MapEntry> {
        let Some(events) = self.events.get(&process) else {
            return Vec::new();
        };
        // Of one that was made later the first.
        let mut begins = events
            .iter()
            .filter(|(_, event)| !matches!(event, Event::Mapped(_)))
            .map(|((time, _), _)| *time);
        begins.next();
        let until = begins.find(|time| *time > since).unwrap_or(u64::MAX);
        let mut mapped = BTreeMap::new();
        self.replay(process, until, &mut mapped, MAX_FORKS);
        mapped.into_values().collect()
    }

    /// Makes `mapped` what `process` had mapped before `until`.
    fn replay(&self, process: u32, until: u64, mapped: &mut BTreeMap<u64, MapEntry>, forks: usize) {
        let Some(events) = self.events.get(&process) else {
            return;
        };
        for ((time, _), event) in events.range(..(until, 0)) {
            match event {
                Event::Begun => mapped.clear(),
                Event::Copied { parent } => {
                    mapped.clear();
                    if let Some(forks) = forks.checked_sub(1) {
                        self.replay(*parent, *time, mapped, forks);
                    }
                }
                Event::Mapped(entry) => {
                    mapped.retain(|_, other| {
                        other.mapping.end <= entry.mapping.start
                            || other.mapping.start >= entry.mapping.end
                    });
                    mapped.insert(entry.mapping.start, entry.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gosym::Mapping;

    const PROCESS: u32 = 7;

    fn entry(start: u64, path: &str) -> MapEntry {
        MapEntry {
            mapping: Mapping {
                start,
                end: start + 0x1000,
                offset: 0,
            },
            executable: true,
            inode: 1,
            device: (8, 0),
            path: path.to_owned(),
            deleted: false,
        }
    }

    fn images(events: &[(u64, u32, Event)]) -> Images {
        let mut images = Images::default();
        for (time, process, event) in events {
            images.add(*time, *process, event.clone());
        }
        images
    }

    fn paths(images: &Images, process: u32, since: u64) -> Vec<String> {
        let mapped = images.mapped(process, since).into_iter();
        mapped.map(|entry| entry.path).collect()
    }

    /// The kernel tells of a new program first, of its files then, and the time that goes with its samples
    /// is later than both.
    #[test]
    fn samples_belong_to_the_program_that_the_process_was_then() {
        let images = images(&[
            (10, PROCESS, Event::Begun),
            (11, PROCESS, Event::Mapped(entry(0x1000, "/first"))),
            (20, PROCESS, Event::Begun),
            (21, PROCESS, Event::Mapped(entry(0x1000, "/second"))),
            (30, PROCESS, Event::Begun),
            (31, PROCESS, Event::Mapped(entry(0x1000, "/third"))),
        ]);
        for (since, want) in [(12, "/first"), (22, "/second"), (32, "/third")] {
            assert_eq!(paths(&images, PROCESS, since), [want], "{since}");
        }
    }

    #[test]
    fn what_is_mapped_later_is_there_too() {
        let images = images(&[
            (10, PROCESS, Event::Begun),
            (11, PROCESS, Event::Mapped(entry(0x1000, "/program"))),
            (99, PROCESS, Event::Mapped(entry(0x9000, "/plugin.so"))),
        ]);
        assert_eq!(paths(&images, PROCESS, 12), ["/program", "/plugin.so"]);
    }

    #[test]
    fn what_is_mapped_over_something_takes_its_place() {
        let images = images(&[
            (10, PROCESS, Event::Begun),
            (11, PROCESS, Event::Mapped(entry(0x1000, "/old"))),
            (12, PROCESS, Event::Mapped(entry(0x1800, "/new"))),
        ]);
        assert_eq!(paths(&images, PROCESS, 13), ["/new"]);
    }

    #[test]
    fn a_copy_has_what_its_parent_had_then() {
        let images = images(&[
            (10, 1, Event::Begun),
            (11, 1, Event::Mapped(entry(0x1000, "/server"))),
            (20, PROCESS, Event::Copied { parent: 1 }),
            (30, 1, Event::Begun),
            (31, 1, Event::Mapped(entry(0x1000, "/other"))),
        ]);
        assert_eq!(paths(&images, PROCESS, 5), ["/server"]);
    }

    #[test]
    fn a_copy_that_becomes_a_program_is_two_things() {
        let images = images(&[
            (10, 1, Event::Begun),
            (11, 1, Event::Mapped(entry(0x1000, "/shell"))),
            (20, PROCESS, Event::Copied { parent: 1 }),
            (25, PROCESS, Event::Begun),
            (26, PROCESS, Event::Mapped(entry(0x1000, "/command"))),
        ]);
        assert_eq!(paths(&images, PROCESS, 5), ["/shell"]);
        assert_eq!(paths(&images, PROCESS, 27), ["/command"]);
    }

    #[test]
    fn a_number_that_is_used_again_is_another_process() {
        let images = images(&[
            (10, 1, Event::Begun),
            (11, 1, Event::Mapped(entry(0x1000, "/shell"))),
            (12, PROCESS, Event::Begun),
            (13, PROCESS, Event::Mapped(entry(0x1000, "/first"))),
            (20, PROCESS, Event::Copied { parent: 1 }),
            (25, PROCESS, Event::Begun),
            (26, PROCESS, Event::Mapped(entry(0x1000, "/second"))),
        ]);
        assert_eq!(paths(&images, PROCESS, 14), ["/first"]);
        assert_eq!(paths(&images, PROCESS, 27), ["/second"]);
    }

    #[test]
    fn of_a_process_never_heard_of_nothing_is_known() {
        assert!(Images::default().mapped(PROCESS, 0).is_empty());
    }

    /// Copies of copies that name each other, as records that were lost can leave them.
    #[test]
    fn copies_in_a_circle_end() {
        let images = images(&[
            (10, PROCESS, Event::Copied { parent: 8 }),
            (9, 8, Event::Copied { parent: PROCESS }),
        ]);
        assert!(images.mapped(PROCESS, 50).is_empty());
    }
}
