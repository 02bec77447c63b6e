//! Strategies: which task goes on at a scheduling point.
//!
//! # Method
//!
//! At each point a strategy proposes one alternative: 0 is the running task, `k` the task
//! `ready[k - 1]`; where the running task cannot go on, `k` is `ready[k]`. What it proposes is
//! recorded, its own draws are not. A replayed or fuzzed run asks no strategy; one that is driven by bytes,
//! exceptions or an enumerator has the alternatives in the order of [`Turn::order`].
//!
//! No strategy finds every kind of bug soonest, so a swarm draws one for each seed. None of them knows
//! how long the run will be, so whatever is a length is drawn log-uniformly: a program of ten steps and
//! an engine's of ten thousand are both explored at their own scale. The weights are those with which
//! the concurrency specimens are found about as soon as by the best single scheduler of a peer
//! (`models/benches/strategies`); small changes of them make no difference beyond noise.

use falconry_seam::hook::{Point, TaskId};
use serde::{Deserialize, Serialize};

use crate::choice::{Choices, Draws, Kind};
use crate::trace::DiskOp;

/// A strategy by name, with what is drawn for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StrategyKind {
    /// Each task that can run is as likely as any other; whoever is taken then goes on for a while
    /// (log-uniform, up to `stretch` steps).
    Random {
        /// The longest stretch without a decision in steps; 1 decides at every point.
        stretch: u64,
    },
    /// Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi and Nagarakatte, ASPLOS
    /// 2010): random priorities, lowered at `changes` random points of the first `steps`. They are
    /// spread log-uniformly, not evenly as there: the length of the run is not known before.
    Pct {
        /// Points at which the running task falls behind all others.
        changes: u32,
        /// Steps over which those points are spread.
        steps: u64,
    },
    /// Partial order sampling (Yuan, Yang and Gu, CAV 2018), in its basic form: each event of a task
    /// has a random priority of its own, and whatever has the highest comes first. A task may so be
    /// held back for long at a single event, whatever the others do meanwhile.
    Pos,
    /// Every point gives the turn to the next task in order.
    RoundRobin,
    /// The turn changes after a span of virtual time (log-uniform, up to so much), as under an
    /// interpreter's global lock.
    Quantum {
        /// The longest turn in nanoseconds.
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
        match choices.weighted("strategy/kind", &[1, 9, 4, 1, 2, 3, 5]) {
            0 => StrategyKind::Replay,
            1 => StrategyKind::Random {
                stretch: [1, 1, 1, 512][choices.choose("strategy/stretch", 4) as usize],
            },
            2 => StrategyKind::Pct {
                changes: 1 + choices.choose("strategy/changes", 5) as u32,
                steps: choices.log_uniform("strategy/steps", 16, 16 * 1024),
            },
            3 => StrategyKind::RoundRobin,
            4 => StrategyKind::Quantum {
                ns: choices.log_uniform("strategy/quantum", 1_000, 20_000_000),
            },
            5 => StrategyKind::Starve { steps: choices.log_uniform("strategy/steps", 16, 4_096) },
            _ => StrategyKind::Pos,
        }
    }

    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            StrategyKind::Random { .. } => "random",
            StrategyKind::Pct { .. } => "pct",
            StrategyKind::Pos => "pos",
            StrategyKind::RoundRobin => "round-robin",
            StrategyKind::Quantum { .. } => "quantum",
            StrategyKind::Starve { .. } => "starve",
            StrategyKind::Replay => "replay",
            StrategyKind::Exhaustive { .. } => "exhaustive",
        }
    }

    pub(super) fn start(self) -> Strategy {
        match self {
            StrategyKind::Random { stretch } => Strategy::Random(Random { stretch, until_step: 0 }),
            StrategyKind::Pct { changes, steps } => Strategy::Pct(Pct::new(changes, steps)),
            StrategyKind::Pos => Strategy::Pos(Pos::default()),
            StrategyKind::RoundRobin => Strategy::RoundRobin,
            StrategyKind::Quantum { ns } => Strategy::Quantum(Quantum { ns, until_ns: 0 }),
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
    Pos(Pos),
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
            Strategy::Quantum(quantum) => quantum.next(turn, draws),
            Strategy::Pct(pct) => pct.next(turn, draws),
            Strategy::Pos(pos) => pos.next(turn, draws),
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
    stretch: u64,
    until_step: u64,
}

impl Random {
    #[inline]
    fn next(&mut self, turn: &Turn<'_>, draws: &mut Draws<'_>) -> usize {
        if self.stretch > 1 {
            if turn.can_stay && !turn.gives_way() && turn.step < self.until_step {
                return 0;
            }
            self.until_step = turn.step + 1 + draws.log_below(self.stretch);
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
    fn next(&mut self, turn: &Turn<'_>, draws: &mut Draws<'_>) -> usize {
        if turn.can_stay && turn.time_ns < self.until_ns && !turn.gives_way() {
            return 0;
        }
        self.until_ns = turn.time_ns + draws.log_below(self.ns);
        draws.below(turn.alternatives() as u64) as usize
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

/// Every priority that is drawn is at least this; what falls behind or gives way is below.
const DRAWN_ABOVE: u64 = 1 << 32;

impl Pct {
    fn new(changes: u32, steps: u64) -> Self {
        Pct { changes, steps, planned: None, priority: Vec::new(), lowest: DRAWN_ABOVE }
    }

    fn meet(&mut self, task: TaskId, draws: &mut Draws<'_>) {
        while self.priority.len() <= task as usize {
            self.priority.push(DRAWN_ABOVE + u64::from(draws.bits()));
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
        let planned = self.planned.get_or_insert_with(|| {
            (0..changes).map(|_| turn.step + draws.log_below(steps)).collect()
        });
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

/// The priority of each task's next event.
pub(super) struct Pos {
    priority: Vec<u64>,
    /// Below every priority given so far: of the task that was last to give way.
    lowest: u64,
}

impl Default for Pos {
    fn default() -> Self {
        Pos { priority: Vec::new(), lowest: DRAWN_ABOVE }
    }
}

impl Pos {
    fn next(&mut self, turn: &Turn<'_>, draws: &mut Draws<'_>) -> usize {
        let highest = turn.ready.iter().fold(turn.current, |highest, task| highest.max(*task));
        while self.priority.len() <= highest as usize {
            self.priority.push(DRAWN_ABOVE + u64::from(draws.bits()));
        }
        // What the running task did before this point is over. Were those that give way no worse than
        // each other, two that wait actively could keep a third from its turn for ever.
        self.priority[turn.current as usize] = if turn.gives_way() {
            self.lowest -= 1;
            self.lowest
        } else {
            DRAWN_ABOVE + u64::from(draws.bits())
        };
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
