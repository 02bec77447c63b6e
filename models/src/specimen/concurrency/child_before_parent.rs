//! A writer's task looks up its own entry in a table, where whoever started it enters it after the
//! start.

use falconry_seam::sync::Mutex;
use falconry_seam::{always, planted, thread};

use super::lock;
use crate::specimen::{Body, Family, Specimen};

pub(super) static SPECIMEN: Specimen = Specimen {
    name: "child_before_parent",
    family: Family::Concurrency,
    source: "order violation: used before it is set up (Lu et al., ASPLOS 2008)",
    bug: "a task is started before what it looks for is in place",
    faults: &[],
    body: Body::Program(program),
};

fn program() {
    let writers: Mutex<Vec<&str>> = Mutex::default();
    let register = || lock(&writers).push("flusher");
    thread::scope(|scope| {
        if !planted!("child_before_parent") {
            register();
        }
        scope.spawn(|| {
            let is_known = lock(&writers).contains(&"flusher");
            always!(is_known, "a writer that runs is registered");
        });
        if planted!("child_before_parent") {
            register();
        }
    });
}
