//! Events as a reader sees them: a step, a lane, a sentence.

use std::collections::BTreeMap;

use falconry_sim::trace::{Event, What};

use crate::cli::output::grouped;

/// Names of tasks and files, as a trace tells them.
#[derive(Debug, Default)]
pub struct Lanes {
    tasks: BTreeMap<u32, String>,
    files: BTreeMap<u32, String>,
}

impl Lanes {
    /// The names that `events` tell.
    pub fn of(events: &[Event]) -> Lanes {
        let mut lanes = Lanes::default();
        for event in events {
            match &event.what {
                What::Spawn { child, name } => {
                    lanes.tasks.insert(*child, name.clone());
                }
                What::File { file, path } => {
                    lanes.files.insert(*file, path.clone());
                }
                _ => {}
            }
        }
        lanes
    }

    /// Who did it.
    pub fn lane(&self, event: &Event) -> String {
        match &event.what {
            What::Boot { .. } | What::Down { .. } => "machine".into(),
            What::Fault { .. } | What::Settled { .. } => "disk".into(),
            What::Note { lane, .. } => lane.clone(),
            _ => self.task(event.task),
        }
    }

    fn task(&self, task: u32) -> String {
        match self.tasks.get(&task) {
            Some(name) => name.clone(),
            None if task == 0 => "main".into(),
            None => format!("task {task}"),
        }
    }

    fn file(&self, file: u32) -> String {
        self.files.get(&file).cloned().unwrap_or_else(|| format!("file {file}"))
    }

    /// What was done.
    pub fn sentence(&self, event: &Event) -> String {
        match &event.what {
            What::Boot { number } => format!("boot {number}"),
            What::Down { how } => format!("down: {how}"),
            What::Spawn { child, name } => format!("spawns {name} (task {child})"),
            What::Exit { how } => format!("ends: {how}"),
            What::Preempt { to } => format!("preempted, {} goes on", self.task(*to)),
            What::Wait { on, object } => format!("waits on {on} {object}"),
            What::File { file, path } => format!("{path} is file {file}"),
            What::Disk { op, file, offset, len, errno } => {
                let failure = match errno {
                    0 => String::new(),
                    errno => format!(" fails with errno {errno}"),
                };
                format!("{op} {}{}{failure}", self.file(*file), place(*offset, *len))
            }
            What::Fault { fault, file, offset, len } => {
                format!("{fault}: {}{}", self.file(*file), place(*offset, *len))
            }
            What::Settled { file, kept, lost } => format!(
                "{}: of its unsynced sectors {} are new, {} are older",
                self.file(*file),
                grouped(*kept),
                grouped(*lost)
            ),
            What::Site { name } => format!("reaches {name}"),
            What::Note { text, .. } => text.clone(),
            other => format!("{other:?}"),
        }
    }
}

fn place(offset: u64, len: u64) -> String {
    match (offset, len) {
        (0, 0) => String::new(),
        (_, 0) => format!(" at {offset}"),
        (_, 1) => format!(" at {offset}, 1 byte"),
        _ => format!(" at {offset}, {len} bytes"),
    }
}

/// One event in one line, with names from `events`.
pub fn event_text(event: &Event, events: &[Event]) -> String {
    let lanes = Lanes::of(events);
    format!("{} {}", lanes.lane(event), lanes.sentence(event))
}

/// Whether the machine did something there that hurts.
pub fn is_fault(event: &Event) -> bool {
    match &event.what {
        What::Fault { .. } => true,
        What::Down { how } => how != "returned",
        _ => false,
    }
}
