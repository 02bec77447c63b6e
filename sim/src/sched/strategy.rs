//! Strategies: which task goes on at a scheduling point.
//!
//! # Method
//!
//! At each point a strategy proposes one alternative: 0 is the running task, `k` the task
//! `ready[k - 1]`; where the running task cannot go on, `k` is `ready[k]`. What it proposes is
//! recorded, its own draws are not. A replayed or fuzzed run asks no strategy; one that is driven by bytes,
//! exceptions or an enumerator has the alternatives in the order of [`Turn::order`].
//!
//! No strategy finds every kind of bug soonest, so a swarm draws one for each seed.

use falconry_seam::hook::{Point, TaskId};
use serde::{Deserialize, Serialize};

use crate::choice::{Choices, Draws, Kind};
use crate::trace::DiskOp;

/// A strategy by name, with what is drawn for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyKind {
    /// Each task that can run is as likely as any other; with `stay` (of 64) the running one goes on.
    Random {
        /// How many of 64 points pass without a decision.
        stay: u32,
    },
    /// Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi and Nagarakatte, ASPLOS
    /// 2010): random priorities, lowered at `changes` random points of the first `steps`.
    Pct {
        /// Points at which the running task falls behind all others.
        changes: u32,
        /// Steps over which those points are spread.
        steps: u64,
    },
    /// Every point gives the turn to the next task in order.
    RoundRobin,
    /// The turn changes after so much virtual time, as under an interpreter's global lock.
    Quantum {
        /// Length of a turn in nanoseconds.
        ns: u64,
    },
    /// Random, but one task after the other gets no turn for a while (log-uniform, up to so many
    /// steps).
    Starve {
        /// The longest window in steps.
        steps: u64,
    },
    /// The running task goes on while it can: what a recording, a fuzzer's bytes or an enumerator
    /// leave undecided.
    Replay,
    /// Offers every alternative to an enumerator until so many preemptions were taken, then none.
    Exhaustive {
        /// How many times a task that could go on is preempted at most.
        preemptions: u32,
    },
}

impl StrategyKind {
    /// Draws one of those that suit a swarm, with its parameters.
    pub fn draw(choices: &mut Choices) -> StrategyKind {
        match choices.weighted("strategy/kind", &[1, 4, 3, 1, 2, 2]) {
            0 => StrategyKind::Replay,
            1 => StrategyKind::Random {
                stay: [0, 32, 60, 63][choices.choose("strategy/stay", 4) as usize],
            },
            2 => StrategyKind::Pct {
                changes: 1 + choices.choose("strategy/changes", 5) as u32,
                steps: choices.log_uniform("strategy/steps", 64, 16 * 1024),
            },
            3 => StrategyKind::RoundRobin,
            4 => StrategyKind::Quantum {
                ns: choices.log_uniform("strategy/quantum", 1_000, 20_000_000),
            },
            _ => StrategyKind::Starve { steps: choices.log_uniform("strategy/steps", 16, 4_096) },
        }
    }

    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            StrategyKind::Random { .. } => "random",
            StrategyKind::Pct { .. } => "pct",
            StrategyKind::RoundRobin => "round-robin",
            StrategyKind::Quantum { .. } => "quantum",
            StrategyKind::Starve { .. } => "starve",
            StrategyKind::Replay => "replay",
            StrategyKind::Exhaustive { .. } => "exhaustive",
        }
    }

    pub(super) fn start(self) -> Strategy {
        match self {
            StrategyKind::Random { stay } => Strategy::Random(Random { stay }),
            StrategyKind::Pct { changes, steps } => Strategy::Pct(Pct::new(changes, steps)),
            StrategyKind::RoundRobin => Strategy::RoundRobin,
            StrategyKind::Quantum { ns } => Strategy::Quantum(Quantum { ns, until_ns: ns }),
            StrategyKind::Starve { steps } => Strategy::Starve(Starve::new(steps)),
            StrategyKind::Replay => Strategy::Stay,
            StrategyKind::Exhaustive { preemptions } => {
                Strategy::Exhaustive(Exhaustive { left: preemptions })
            }
        }
    }
}

/// A scheduling point as a strategy sees it.
pub(super) struct Turn<'a> {
    /// The running task.
    pub(super) current: TaskId,
    /// Whether it can go on.
    pub(super) can_stay: bool,
    /// Whoever else can run.
    pub(super) ready: &'a [TaskId],
    pub(super) step: u64,
    pub(super) time_ns: u64,
    pub(super) point: Point,
}

impl Turn<'_> {
    /// How many alternatives there are.
    pub(super) fn alternatives(&self) -> usize {
        self.ready.len() + usize::from(self.can_stay)
    }

    /// The task behind an alternative.
    fn task(&self, alternative: usize) -> TaskId {
        match (self.can_stay, alternative) {
            (true, 0) => self.current,
            (true, other) => self.ready[other - 1],
            (false, other) => self.ready[other],
        }
    }

    /// The running task offers its turn, or waits actively for another.
    fn gives_way(&self) -> bool {
        matches!(self.point, Point::Yield | Point::Spin)
    }

    /// The first `count` alternatives, the boring one first: to go on, else to give way to the next task
    /// in the order of numbers. All others follow in that order, round.
    #[cold]
    pub(super) fn order(&self, count: usize) -> Vec<u64> {
        let stays = self.can_stay && !self.gives_way();
        let mut order: Vec<u64> = (0..count as u64).collect();
        order.sort_by_key(|alternative| match alternative {
            0 if stays => 0,
            other => 1 + u64::from(self.task(*other as usize).wrapping_sub(self.current + 1)),
        });
        order
    }

    /// The kind of call at which the turn is given, for anchors; `call` is that of the disk.
    pub(super) fn kind(&self, call: Option<DiskOp>) -> Kind {
        Kind::Call(match self.point {
            _ if !self.can_stay => "wait",
            Point::Yield => "yield",
            Point::Spin => "spin",
            Point::Lock => "lock",
            Point::Notify => "notify",
            Point::Atomic => "atomic",
            Point::Cell => "cell",
            Point::Disk => return call.map_or(Kind::None, Kind::Disk),
            Point::Thread => "thread",
        })
    }

    /// The alternative whose task gives the highest key; the first of them when several do.
    fn best_by_key(&self, key: impl Fn(TaskId) -> u64) -> usize {
        let mut best = 0;
        for alternative in 1..self.alternatives() {
            if key(self.task(alternative)) > key(self.task(best)) {
                best = alternative;
            }
        }
        best
    }
}

/// A strategy at work.
pub(super) enum Strategy {
    /// The running task goes on, unless it gives way.
    Stay,
    Random(Random),
    RoundRobin,
    Quantum(Quantum),
    Pct(Pct),
    Starve(Starve),
    Exhaustive(Exhaustive),
}

impl Strategy {
    /// Proposes an alternative.
    #[inline]
    pub(super) fn next(&mut self, turn: &Turn<'_>, draws: &mut Draws<'_>) -> usize {
        match self {
            // Whoever gives way is followed in order: were it always the first of those that are ready,
            // two that wait actively could pass the turn to each other for ever.
            Strategy::Stay if turn.can_stay && turn.gives_way() => next_in_order(turn),
            Strategy::Stay => 0,
            Strategy::Random(random) => random.next(turn, draws),
            Strategy::RoundRobin => next_in_order(turn),
            Strategy::Quantum(quantum) => quantum.next(turn),
            Strategy::Pct(pct) => pct.next(turn, draws),
            Strategy::Starve(starve) => starve.next(turn, draws),
            Strategy::Exhaustive(_) => 0,
        }
    }

    /// How many alternatives a source of choices is offered.
    #[inline]
    pub(super) fn alternatives(&self, turn: &Turn<'_>) -> usize {
        match self {
            Strategy::Exhaustive(exhaustive) => exhaustive.alternatives(turn),
            _ => turn.alternatives(),
        }
    }

    /// An alternative was taken, whoever chose it.
    #[inline]
    pub(super) fn taken(&mut self, turn: &Turn<'_>, alternative: usize) {
        if let Strategy::Exhaustive(exhaustive) = self {
            exhaustive.taken(turn, alternative);
        }
    }
}

pub(super) struct Random {
    stay: u32,
}

impl Random {
    #[inline]
    fn next(&mut self, turn: &Turn<'_>, draws: &mut Draws<'_>) -> usize {
        if self.stay > 0
            && turn.can_stay
            && !turn.gives_way()
            && draws.below(64) < u64::from(self.stay)
        {
            return 0;
        }
        draws.below(turn.alternatives() as u64) as usize
    }
}

/// The alternative that comes next after the running task in the order of numbers, round.
fn next_in_order(turn: &Turn<'_>) -> usize {
    turn.best_by_key(|task| u64::from(u32::MAX - task.wrapping_sub(turn.current + 1)))
}

pub(super) struct Quantum {
    ns: u64,
    until_ns: u64,
}

impl Quantum {
    fn next(&mut self, turn: &Turn<'_>) -> usize {
        if turn.can_stay && turn.time_ns < self.until_ns && !turn.gives_way() {
            return 0;
        }
        self.until_ns = turn.time_ns + self.ns;
        next_in_order(turn)
    }
}

pub(super) struct Pct {
    changes: u32,
    steps: u64,
    /// Steps at which the running task falls behind; planned at the first decision.
    planned: Option<Vec<u64>>,
    /// Of each task met so far; higher runs first.
    priority: Vec<u64>,
    lowest: u64,
}

/// Above every priority that falling behind can give.
const PCT_START: u64 = 1 << 32;

impl Pct {
    fn new(changes: u32, steps: u64) -> Self {
        Pct { changes, steps, planned: None, priority: Vec::new(), lowest: PCT_START }
    }

    fn meet(&mut self, task: TaskId, draws: &mut Draws<'_>) {
        while self.priority.len() <= task as usize {
            self.priority.push(PCT_START + 1 + u64::from(draws.bits()));
        }
    }

    fn fall_behind(&mut self, task: TaskId) {
        self.lowest -= 1;
        self.priority[task as usize] = self.lowest;
    }
}

impl Pct {
    fn next(&mut self, turn: &Turn<'_>, draws: &mut Draws<'_>) -> usize {
        let (changes, steps) = (self.changes, self.steps);
        let planned = self
            .planned
            .get_or_insert_with(|| (0..changes).map(|_| turn.step + draws.below(steps)).collect());
        let before = planned.len();
        planned.retain(|step| *step > turn.step);
        let is_due = planned.len() < before;
        self.meet(turn.current, draws);
        turn.ready.iter().for_each(|task| self.meet(*task, draws));
        if is_due || turn.gives_way() {
            self.fall_behind(turn.current);
        }
        turn.best_by_key(|task| self.priority[task as usize])
    }
}

pub(super) struct Starve {
    steps: u64,
    victim: Option<TaskId>,
    until_step: u64,
}

impl Starve {
    fn new(steps: u64) -> Self {
        Starve { steps, victim: None, until_step: 0 }
    }
}

impl Starve {
    fn next(&mut self, turn: &Turn<'_>, draws: &mut Draws<'_>) -> usize {
        if turn.step >= self.until_step {
            let alternative = draws.below(turn.alternatives() as u64) as usize;
            self.victim = draws.below(2).eq(&0).then(|| turn.task(alternative));
            self.until_step = turn.step + 1 + draws.log_below(self.steps);
        }
        // It proposes another task rather than hide one: a recording must fit without its memory.
        let count = turn.alternatives();
        let picked = draws.below(count as u64) as usize;
        let is_victim = self.victim == Some(turn.task(picked));
        if is_victim { (picked + 1) % count } else { picked }
    }
}

pub(super) struct Exhaustive {
    left: u32,
}

impl Exhaustive {
    fn alternatives(&self, turn: &Turn<'_>) -> usize {
        if turn.can_stay && self.left == 0 && !turn.gives_way() { 1 } else { turn.alternatives() }
    }

    fn taken(&mut self, turn: &Turn<'_>, alternative: usize) {
        let preempted = turn.can_stay && alternative > 0 && !turn.gives_way();
        self.left = self.left.saturating_sub(u32::from(preempted));
    }
}
