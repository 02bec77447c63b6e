//! Anchors: where a choice was made, in words that outlive changes of the code.
//!
//! # Method
//!
//! An anchor is boot / task / span / site # n. Spans are opened by whoever drives a run (an operation of
//! the workload, by its number) and nest; a site is a label, with a word for the kind of call at which
//! it stands; n counts that site within that span of that task. What happens elsewhere moves none of it.
//!
//! A run that is *anchored* keeps the anchor of every choice that was not 0: its *exceptions* from the
//! boring run. Driven by exceptions, a run takes 0 wherever none is named.

use std::collections::BTreeMap;
use std::fmt;

use super::label::Label;
use crate::trace::DiskOp;

/// Where a choice is made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Anchor {
    /// The boot, from 1; 0 before the first.
    pub boot: u32,
    /// The task's name, with a number behind it where several of a boot have the same; `machine` for
    /// what no task decides.
    pub task: String,
    /// The spans around it, outermost first, with `/` between them; empty outside of any.
    pub span: String,
    /// The label, with `@` and the kind of call where there is one.
    pub site: String,
    /// Which choice at that site in that span of that task, from 0.
    pub n: u32,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Anchor { boot, task, span, site, n } = self;
        write!(f, "boot {boot}, {task}, span {span:?}, {site} #{n}")
    }
}

/// A choice that is not the boring one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exception {
    /// Where.
    pub anchor: Anchor,
    /// What was chosen; never 0.
    pub value: u64,
}

/// What kind of call a choice stands at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// None is told.
    #[default]
    None,
    /// A kind of call.
    Call(&'static str),
    /// A call of the disk.
    Disk(DiskOp),
    /// A place of the disk: the file's number and the page's.
    Page(u32, u64),
}

impl Kind {
    fn site(self, label: &str) -> String {
        match self {
            Kind::None => label.into(),
            Kind::Call(call) => format!("{label}@{call}"),
            Kind::Disk(op) => format!("{label}@{op}"),
            Kind::Page(file, page) => format!("{label}@{file}:{page}"),
        }
    }
}

/// What an anchored run came to.
#[derive(Clone, Debug, Default)]
pub struct Anchored {
    /// Every choice that was not 0, in the order in which they were made.
    pub exceptions: Vec<Exception>,
    /// For each exception that drove the run, in its order, whether its anchor was met.
    pub met: Vec<bool>,
    /// How many of those had a value that the choice could not have, and got the highest one.
    pub clipped: usize,
    /// How many choices each site had; the anchor's `n` is 0.
    pub sites: BTreeMap<Anchor, u32>,
}

/// The name of what is no task.
const MACHINE: &str = "machine";

/// An exception of a site: its number, its value, its index among all.
type Wanted = (u32, u64, usize);

/// Boot, task and span.
type Key = (u32, String, String);

#[derive(Debug, Default)]
struct Site {
    count: u32,
    /// Of the exceptions that drive the run those at this site: number, value, index; sorted.
    wanted: Vec<Wanted>,
}

#[derive(Debug, Default)]
struct Context {
    key: Key,
    sites: BTreeMap<(Label, Kind), Site>,
}

#[derive(Debug)]
struct Task {
    name: String,
    spans: Vec<String>,
    context: usize,
}

/// Follows a run, so that each choice has its anchor.
#[derive(Debug, Default)]
pub(super) struct Anchors {
    /// Whether the exceptions drive the run; else the seed does.
    pub(super) drives: bool,
    boot: u32,
    runs: bool,
    tasks: Vec<Task>,
    contexts: Vec<Context>,
    by_key: BTreeMap<Key, usize>,
    /// By boot, task, span and site.
    wanted: BTreeMap<(Key, String), Vec<Wanted>>,
    met: Vec<bool>,
    clipped: usize,
    /// Context, label, kind, number, value.
    taken: Vec<(usize, Label, Kind, u32, u64)>,
    /// Of the next choice alone.
    kind: Kind,
    /// The call of the disk that is being served.
    call: Option<DiskOp>,
}

impl Anchors {
    pub(super) fn drive(exceptions: &[Exception]) -> Self {
        let mut anchors =
            Anchors { drives: true, met: vec![false; exceptions.len()], ..Anchors::default() };
        for (index, exception) in exceptions.iter().enumerate() {
            let Anchor { boot, task, span, site, n } = exception.anchor.clone();
            let at = anchors.wanted.entry(((boot, task, span), site)).or_default();
            at.push((n, exception.value, index));
        }
        anchors.wanted.values_mut().for_each(|at| at.sort_unstable());
        anchors
    }

    pub(super) fn boot_begins(&mut self, number: u32) {
        self.boot = number;
        self.tasks.clear();
        self.runs = true;
    }

    pub(super) fn boot_ends(&mut self) {
        self.runs = false;
    }

    pub(super) fn task_begins(&mut self, id: u32, name: &str) {
        // A capsule's lines take a name apart at commas.
        let name =
            if name.is_empty() { "task".into() } else { name.replace([',', '~', '\n'], "_") };
        let same = |task: &&Task| task.name.split('~').next() == Some(&name);
        let before = self.tasks.iter().filter(same).count();
        let name = if before == 0 { name } else { format!("{name}~{}", before + 1) };
        let context = self.context((self.boot, name.clone(), String::new()));
        debug_assert_eq!(
            self.tasks.len(),
            id as usize,
            "tasks begin in the order of their numbers"
        );
        self.tasks.push(Task { name, spans: Vec::new(), context });
    }

    pub(super) fn span_begins(&mut self, task: u32, name: String) {
        if let Some(task) = self.tasks.get_mut(task as usize) {
            task.spans.push(name);
        }
        self.enter(task);
    }

    pub(super) fn span_ends(&mut self, task: u32) {
        if let Some(task) = self.tasks.get_mut(task as usize) {
            task.spans.pop();
        }
        self.enter(task);
    }

    fn enter(&mut self, task: u32) {
        let Some(at) = self.tasks.get(task as usize) else { return };
        let key = (self.boot, at.name.clone(), at.spans.join("/"));
        let context = self.context(key);
        self.tasks[task as usize].context = context;
    }

    fn context(&mut self, key: Key) -> usize {
        if let Some(context) = self.by_key.get(&key) {
            return *context;
        }
        self.by_key.insert(key.clone(), self.contexts.len());
        self.contexts.push(Context { key, sites: BTreeMap::new() });
        self.contexts.len() - 1
    }

    pub(super) fn set_kind(&mut self, kind: Kind) {
        self.kind = kind;
    }

    pub(super) fn set_call(&mut self, call: DiskOp) {
        self.call = Some(call);
    }

    /// The call of the disk that the running task is in, or enters.
    pub(super) fn call(&self) -> Option<DiskOp> {
        self.call
    }

    /// A choice is made: its context, kind and number, and the value that an exception has for it.
    fn site(&mut self, task: u32, label: Label, name: &str) -> (usize, Kind, u32, u64) {
        let mut kind = std::mem::take(&mut self.kind);
        if kind == Kind::None && name.starts_with("disk/") {
            kind = self.call.map_or(Kind::None, Kind::Disk);
        }
        let context = match self.tasks.get(task as usize).filter(|_| self.runs) {
            Some(task) => task.context,
            None => self.context((self.boot, MACHINE.into(), String::new())),
        };
        let Context { key, sites } = &mut self.contexts[context];
        let site = sites.entry((label, kind)).or_insert_with(|| {
            let wanted = self.wanted.get(&(key.clone(), kind.site(name)));
            Site { count: 0, wanted: wanted.cloned().unwrap_or_default() }
        });
        let n = site.count;
        site.count += 1;
        let found = site.wanted.binary_search_by_key(&n, |(n, ..)| *n);
        let value = found.map_or(0, |at| {
            let (_, value, index) = site.wanted[at];
            self.met[index] = true;
            value
        });
        (context, kind, n, value)
    }

    /// A choice below `bound` is made; `draw` gives its value unless exceptions drive the run.
    pub(super) fn choose(
        &mut self,
        task: u32,
        (label, name): (Label, &str),
        bound: u64,
        draw: impl FnOnce() -> u64,
    ) -> u64 {
        let (context, kind, n, wanted) = self.site(task, label, name);
        let value = if self.drives { wanted.min(bound - 1) } else { draw() };
        self.clipped += usize::from(value < wanted);
        if value > 0 {
            self.taken.push((context, label, kind, n, value));
        }
        value
    }

    /// What came of it. `name` gives the path of a label.
    pub(super) fn result(&self, name: impl Fn(Label) -> &'static str) -> Anchored {
        let anchor = |context: usize, label: Label, kind: Kind, n: u32| {
            let (boot, task, span) = self.contexts[context].key.clone();
            Anchor { boot, task, span, site: kind.site(name(label)), n }
        };
        let taken = self.taken.iter().map(|(context, label, kind, n, value)| Exception {
            anchor: anchor(*context, *label, *kind, *n),
            value: *value,
        });
        let sites = self.contexts.iter().enumerate().flat_map(|(context, known)| {
            let counts = known.sites.iter();
            counts.map(move |((label, kind), site)| (context, *label, *kind, site.count))
        });
        Anchored {
            exceptions: taken.collect(),
            met: self.met.clone(),
            clipped: self.clipped,
            sites: sites
                .map(|(at, label, kind, count)| (anchor(at, label, kind, 0), count))
                .collect(),
        }
    }
}
