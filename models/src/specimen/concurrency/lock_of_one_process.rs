//! Two processes append to a file, each under a lock that only its own tasks know.

use falconry_seam::sync::{Arc, Mutex};
use falconry_seam::{always, planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "lock_of_one_process",
    family: Family::Concurrency,
    source: "a lock in memory where a lock of the file is needed; a class",
    bug: "two processes exclude their own tasks and not each other's",
    faults: &[],
    body: Body::Program(program),
};

const PROCESSES: usize = 2;
const TASKS: usize = 2;

/// A file that is read and written as a whole.
#[derive(Default)]
struct File {
    records: Mutex<Vec<usize>>,
    lock: Arc<Mutex<()>>,
}

impl File {
    fn read(&self) -> Vec<usize> {
        lock(&self.records).clone()
    }

    fn write(&self, records: Vec<usize>) {
        *lock(&self.records) = records;
    }
}

struct Process<'a> {
    file: &'a File,
    writer: Arc<Mutex<()>>,
}

impl<'a> Process<'a> {
    fn start(file: &'a File) -> Self {
        let writer =
            if planted!("lock_of_one_process") { Arc::default() } else { Arc::clone(&file.lock) };
        Process { file, writer }
    }

    fn append(&self, record: usize) {
        let _alone = lock(&self.writer);
        let mut records = self.file.read();
        records.push(record);
        self.file.write(records);
    }
}

fn program() {
    let file = File::default();
    let processes: [Process<'_>; PROCESSES] = std::array::from_fn(|_| Process::start(&file));
    thread::scope(|scope| {
        for process in &processes {
            for task in 0..TASKS {
                scope.spawn(move || process.append(task));
            }
        }
    });
    let count = file.read().len();
    always!(count == PROCESSES * TASKS, "all records are in the file", "{count}");
}
