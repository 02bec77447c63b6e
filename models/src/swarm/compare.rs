//! Two runs of one case, compared event by event.

use falconry_sim::trace::Event;

use crate::report::tell;
use crate::run::{Finding, Outcome, Property};

/// How the second run differs from the first; their digests do.
pub fn difference(first: &Outcome, second: &Outcome) -> Finding {
    let index = first.trace.iter().zip(&second.trace).take_while(|(a, b)| a == b).count();
    let show = |events: &[Event]| match events.get(index) {
        Some(event) => {
            let told = tell(&events[..=index]).pop().expect("one for each event");
            format!("step {} {} {}", event.step, told.lane, told.sentence)
        }
        None => format!("the end, after {index} events"),
    };
    let same_events = index == first.trace.len() && index == second.trace.len();
    let mut what = vec![("what".to_string(), "one seed gave two traces".to_string())];
    if same_events {
        what.push((
            "differs".into(),
            "a choice, or the text of an event; all kept events agree".into(),
        ));
    } else {
        what.push(("event".into(), format!("{index} is the first that differs")));
        what.push(("first run".into(), show(&first.trace)));
        what.push(("second run".into(), show(&second.trace)));
    }
    what.push(("digests".into(), format!("{:032x} and {:032x}", first.digest, second.digest)));
    Finding {
        property: Property::Nondeterminism,
        sentence: "the same seed gave two traces".into(),
        place: String::new(),
        what,
        expected: None,
        found: None,
        path_of: Vec::new(),
        boot: first.counters.boots as u32,
        step: first.trace.get(index).map_or(first.counters.steps, |event| event.step),
        beyond: Vec::new(),
        expected_finding: false,
    }
}
