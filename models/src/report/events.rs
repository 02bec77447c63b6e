//! Events as a reader sees them: a step, a lane, a sentence.

use std::collections::BTreeMap;

use falconry_sim::fault::{Fault, When};
use falconry_sim::trace::{Event, What};

use crate::cli::output::grouped;

/// An event as a reader sees it.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    /// The event.
    pub event: &'a Event,
    /// Who did it.
    pub lane: String,
    /// What was done.
    pub sentence: String,
}

/// All events as a reader sees them. A task has the name that it was given in its own boot; another
/// boot's task of the same number is another.
pub fn tell(events: &[Event]) -> Vec<Told<'_>> {
    let mut names = Names::default();
    let mut told = Vec::with_capacity(events.len());
    for event in events {
        names.learn(event);
        told.push(Told { event, lane: names.lane(event), sentence: names.sentence(event) });
    }
    told
}

/// Names of tasks and files, as far as a trace has told them.
#[derive(Debug, Default)]
struct Names {
    tasks: BTreeMap<u32, String>,
    files: BTreeMap<u32, String>,
}

impl Names {
    fn learn(&mut self, event: &Event) {
        match &event.what {
            What::Boot { .. } => self.tasks.clear(),
            What::Spawn { child, name } if !name.is_empty() => {
                self.tasks.insert(*child, name.clone());
            }
            What::File { file, path } => {
                self.files.insert(*file, path.clone());
            }
            _ => {}
        }
    }

    fn lane(&self, event: &Event) -> String {
        match &event.what {
            What::Boot { .. } | What::Down { .. } => "machine".into(),
            What::Fault { fault, .. } => part(*fault).into(),
            What::Settled { .. } => "disk".into(),
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

    fn sentence(&self, event: &Event) -> String {
        match &event.what {
            What::Boot { number } => format!("boot {number}"),
            What::Down { how } => format!("down: {how}"),
            What::Spawn { child, name } if name.is_empty() => format!("spawns task {child}"),
            What::Spawn { child, name } => format!("spawns {name} (task {child})"),
            What::Exit { how } => format!("ends: {how}"),
            What::Preempt { to, at } if at.is_empty() => {
                format!("preempted, {} goes on", self.task(*to))
            }
            What::Preempt { to, at } => {
                let at = at.rsplit('/').next().unwrap_or(at);
                format!("preempted before {at}, {} goes on", self.task(*to))
            }
            What::Wait { on, object } => waits(on, *object),
            What::File { file, path } => format!("{path} is file {file}"),
            What::Disk { op, file, offset, len, errno } => {
                let failure = match errno {
                    0 => String::new(),
                    errno => format!(" fails with errno {errno}"),
                };
                format!("{op} {}{}{failure}", self.file(*file), place(*offset, *len))
            }
            What::Fault { fault, file, offset, len } => {
                self.fault(*fault, *file, place(*offset, *len), *offset)
            }
            What::Settled { file, kept, lost } => format!(
                "{}: of its unsynced sectors {} are new, {} are older",
                self.file(*file),
                grouped(*kept),
                grouped(*lost)
            ),
            What::Site { name } => format!("reaches '{name}'"),
            What::Note { text, .. } => text.clone(),
            other => format!("{other:?}"),
        }
    }

    /// A fault of the disk has a file and a place there, one of a clock an amount of time.
    fn fault(&self, fault: Fault, file: u32, place: String, amount: u64) -> String {
        match (fault.when(), file, amount) {
            (When::Clock, _, 0) | (When::Life | When::Scheduler, ..) => fault.name().into(),
            (When::Clock, _, ns) => format!("{fault}: {} ns", grouped(ns)),
            (_, 0, _) if place.is_empty() => fault.name().into(),
            (_, 0, _) => format!("{fault}:{place}"),
            (_, file, _) => format!("{fault}: {}{place}", self.file(file)),
        }
    }
}

/// The part of the machine that has the fault.
fn part(fault: Fault) -> &'static str {
    match fault.when() {
        When::Life => "machine",
        When::PowerLoss | When::Error | When::Silent | When::Slow => "disk",
        When::Clock => "clock",
        When::Scheduler => "scheduler",
    }
}

/// What a task waits for, as the list of waiting tasks in a report says it.
fn waits(on: &str, object: u64) -> String {
    match on {
        "end of" => format!("waits for end of task {object}"),
        "lock" | "read lock" | "condition" => format!("waits for {on} #{object}"),
        _ => format!("waits for {on}"),
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

/// Whether the machine did something there that hurts.
pub fn is_fault(event: &Event) -> bool {
    match &event.what {
        What::Fault { fault, .. } => !is_end(*fault),
        What::Down { how } => how != "returned",
        _ => false,
    }
}

/// Whether a fault ends a boot: how the machine goes down tells it already.
pub fn is_end(fault: Fault) -> bool {
    matches!(fault, Fault::PowerLoss | Fault::ProcessCrash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use falconry_sim::trace::EventId;

    fn at(task: u32, what: What) -> Event {
        Event { id: EventId(0), step: 1, time_ns: 0, task, cause: None, what }
    }

    fn fault(fault: Fault, file: u32, offset: u64, len: u64) -> Event {
        at(0, What::Fault { fault, file, offset, len })
    }

    /// Each was once told as a fault of the disk, at byte so many of file 0.
    #[test]
    fn a_fault_is_told_in_its_own_lane_and_unit() {
        let rows = [
            (fault(Fault::TornWrite, 1, 512, 9), "disk", "torn_write: log at 512, 9 bytes"),
            (fault(Fault::StallDevice, 0, 0, 0), "disk", "stall_device"),
            (fault(Fault::Suspend, 0, 151_211, 0), "clock", "suspend: 151 211 ns"),
            (fault(Fault::WallCoarse, 0, 0, 0), "clock", "wall_coarse"),
            (fault(Fault::SpuriousWake, 0, 0, 0), "scheduler", "spurious_wake"),
            (fault(Fault::CrashInRecovery, 0, 0, 0), "machine", "crash_in_recovery"),
        ];
        let mut events = vec![at(0, What::File { file: 1, path: "log".into() })];
        events.extend(rows.iter().map(|(event, ..)| event.clone()));
        for (told, (_, lane, sentence)) in tell(&events)[1..].iter().zip(rows) {
            assert_eq!((&*told.lane, &*told.sentence), (lane, sentence));
        }
    }

    /// With one table for all boots, a task bore the name that its number had in the last one.
    #[test]
    fn a_task_bears_the_name_of_its_own_boot() {
        let spawn = |name: &str| at(0, What::Spawn { child: 1, name: name.into() });
        let site = || at(1, What::Site { name: "here".into() });
        let boot = |number| at(0, What::Boot { number });
        let events = [boot(1), spawn("writer"), site(), boot(2), site(), spawn("reader"), site()];
        let lanes: Vec<String> = tell(&events).into_iter().map(|told| told.lane).collect();
        assert_eq!(lanes, ["machine", "main", "writer", "machine", "task 1", "main", "reader"]);
    }
}
