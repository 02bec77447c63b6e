//! What the choices promise.

use super::*;

fn draw_some(choices: &mut Choices) -> Vec<u64> {
    choices.set_task(3);
    let mut values = vec![choices.choose(Label::SCHED_NEXT, 5)];
    for _ in 0..20 {
        values.push(choices.choose("workload/key", 1000));
        values.push(u64::from(choices.chance("disk/op", 500_000)));
        values.push(choices.log_uniform("workload/size", 1, 70_000));
    }
    values
}

#[test]
fn the_same_seed_gives_the_same_choices_and_digest() {
    let (mut a, mut b) = (Choices::from_seed(7), Choices::from_seed(7));
    assert_eq!(draw_some(&mut a), draw_some(&mut b));
    assert_eq!(a.digest(), b.digest());
    let mut c = Choices::from_seed(8);
    assert_ne!(draw_some(&mut a), draw_some(&mut c));
}

#[test]
fn a_component_does_not_shift_another() {
    let mut a = Choices::from_seed(7);
    let mut b = Choices::from_seed(7);
    for _ in 0..100 {
        b.choose("intruder/noise", 10);
        assert_eq!(a.choose("workload/key", 1 << 30), b.choose("workload/key", 1 << 30));
    }
}

#[test]
fn a_recording_replays_through_its_text() {
    let mut a = Choices::from_seed(7);
    let values = draw_some(&mut a);
    let mut recording = a.recording();
    recording.properties.push(("engine".into(), "none at all".into()));
    let again = Recording::from_text(&recording.to_text()).unwrap();
    assert_eq!(again.property("engine"), Some("none at all"));
    let mut b = Choices::from_recording(again);
    assert_eq!(draw_some(&mut b), values);
    assert_eq!(a.digest(), b.digest());
    assert_eq!(b.divergence(), None);
    b.choose("workload/key", 2);
    assert_eq!(b.divergence().unwrap().recorded, "the end");
}

#[test]
fn a_damaged_recording_is_refused() {
    let mut a = Choices::from_seed(7);
    draw_some(&mut a);
    let text = a.recording().to_text();
    for (from, to) in [("falconry", "falcon"), ("recording 1", "recording 2"), ("\n0 3", "\n0 4")] {
        assert!(Recording::from_text(&text.replacen(from, to, 1)).is_err(), "{from}");
    }
    for cut in 0..text.len() {
        assert!(Recording::from_text(&text[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_text_that_was_edited_can_be_sealed() {
    let mut a = Choices::from_seed(7);
    draw_some(&mut a);
    let text = a.recording().to_text();
    let (lines, _) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(Recording::sealed(lines), text);
    let more = Recording::from_text(&Recording::sealed(&format!("{lines}\n0 3 1 x5"))).unwrap();
    assert_eq!(more.len(), a.count() + 5);
}

/// Found by fuzzing: one of two carriage returns at the end of a line was lost.
#[test]
fn a_value_keeps_what_a_line_ends_with() {
    let mut recording = Choices::zeros().recording();
    recording.properties.push(("remark".into(), "two\r\r".into()));
    let read = Recording::from_text(&recording.to_text()).unwrap();
    assert_eq!(read.properties, recording.properties);
    let short = "falconry recording 1\nlabel 0 a\nchoices\n0 0 0 x99999999999\n";
    assert!(Recording::from_text(&Recording::sealed(short)).is_err());
}

#[test]
fn the_bytes_of_a_run_make_it_again() {
    let recorded = Choices::from_recording({
        let mut a = Choices::from_seed(7);
        draw_some(&mut a);
        a.recording()
    });
    for choices in [Choices::from_seed_anchored(7), recorded] {
        let mut written = choices.written_as_bytes();
        let values = draw_some(&mut written);
        let bytes = written.bytes().unwrap().to_vec();
        let mut again = Choices::from_bytes(bytes.clone());
        assert_eq!(draw_some(&mut again), values);
        assert_eq!(again.digest(), written.digest());
        let mut anchored = Choices::from_bytes_anchored(bytes);
        assert_eq!(draw_some(&mut anchored), values);
        let exceptions = anchored.anchored().unwrap().exceptions;
        let recorded = written.recording();
        assert_eq!(exceptions.len(), recorded.iter().filter(|entry| entry.value > 0).count());
        assert_eq!(draw_some(&mut Choices::from_exceptions(&exceptions)), values);
    }
}

#[test]
fn zeros_are_boring_and_bytes_are_used_up() {
    assert!(draw_some(&mut Choices::zeros()).iter().all(|value| *value <= 1));
    let mut choices = Choices::from_bytes(vec![1, 0, 9, 9]);
    assert!((0..4).map(|_| choices.choose("a/b", 10)).any(|value| value > 0));
    assert_eq!(choices.choose("a/b", 10), 0);
}

#[test]
fn log_uniform_reaches_both_ends() {
    let mut choices = Choices::from_seed(1);
    let drawn: Vec<u64> = (0..2000).map(|_| choices.log_uniform("a/b", 3, 11)).collect();
    for value in 3..=11 {
        assert!(drawn.contains(&value), "{value}");
    }
    assert!(drawn.iter().all(|value| (3..=11).contains(value)));
}

/// SQLite marks a journal with a random number, so that what an earlier transaction left in it is not
/// taken for its own. Where every choice was 0 the number was always the same, and SQLite was convicted of
/// losing a commit that it had played back from such a leftover.
#[test]
fn randomness_never_repeats_itself_even_if_choices_do() {
    let fill = |choices: &mut Choices| {
        let mut bytes = [0; 4];
        choices.fill(Label::RANDOM, &mut bytes);
        bytes
    };
    let mut choices = Choices::zeros();
    let all: Vec<[u8; 4]> = (0..100).map(|_| fill(&mut choices)).collect();
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "some bytes came twice");
    // More bytes than the choices need, and all of them the same.
    let mut repeating = Choices::from_bytes([7; 800].into());
    let distinct: std::collections::BTreeSet<_> = (0..100).map(|_| fill(&mut repeating)).collect();
    assert_eq!(distinct.len(), 100, "some bytes came twice");
    let mut again = Choices::zeros();
    assert!(all.iter().all(|bytes| fill(&mut again) == *bytes), "two runs differ");
}
