//! Many seeds on all cores: a plan, workers that are processes, and what they found.
//!
//! The runner may look at the real clock to share time and to stop, never inside a run.

mod compare;
mod ill;
mod interrupt;
mod marks;
mod plan;
mod pool;
mod progress;
mod protocol;
mod runner;
mod silence;
mod spread;
mod summary;
mod tally;
mod watchdog;
mod worker;

pub use ill::find as ill_engine;
pub use interrupt::{install as install_interrupts, requested as is_interrupted};
pub use plan::{Seeds, identity};
pub use pool::{Happening, Lost, Pool, SILENCE_MAX, is_worker};
pub use progress::Progress;
pub use protocol::{Examine, Examined, Found, FromWorker, Mode, Shrinking, ToWorker};
pub use runner::{Canary, Ending, Goal, Results, loss, run};
pub use silence::believed_after;
pub use summary::{Row, Summary, summaries, table};
pub use tally::Tally;
pub use worker::main as worker_main;
