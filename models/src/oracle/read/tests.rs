//! The sequential model fires on any read that is not of one state.

use std::sync::Arc;

use super::*;
use crate::engine::{Contract, Promise};
use crate::oracle::history::HEAD_KEY;

fn history() -> (History, VersionId, VersionId) {
    let mut history = History::new(Contract::Durable);
    let mut ids = [VersionId::ROOT; 2];
    let mut parent = VersionId::ROOT;
    for (index, id) in ids.iter_mut().enumerate() {
        let head: Arc<[u8]> = Arc::from(History::head_value(history.next_id()));
        let value: Arc<[u8]> = Arc::from([index as u8]);
        let writes = BTreeMap::from([
            (HEAD_KEY.to_vec(), Some(head)),
            (b"both".to_vec(), Some(value.clone())),
            (format!("own{index}").into_bytes(), Some(value)),
        ]);
        *id = history.enter(parent, 0, 1, 1, writes);
        history.acknowledge(*id, Promise::Durable, 1).unwrap_or_else(|b| panic!("{b:?}"));
        parent = *id;
    }
    (history, ids[0], ids[1])
}

#[test]
fn a_state_older_than_an_acknowledged_one_fires() {
    let (history, one, two) = history();
    let head = |id| Some(History::head_value(id));
    let judge = |id, acked| judge_head(&history, head(id).as_ref().map(|h| h.as_slice()), acked);
    assert_eq!(judge(two, two), Ok(two));
    assert_eq!(judge(two, one), Ok(two));
    assert!(judge(one, two).is_err());
    assert!(judge_head(&history, Some(b"12345678"), one).is_err());
    assert!(judge_head(&history, None, one).is_err());
}

#[test]
fn a_head_of_which_one_half_is_another_ones_names_no_state() {
    let (history, one, two) = history();
    let [older, newer] = [one, two].map(History::head_value);
    for torn in [[&older[..4], &newer[4..]].concat(), [&newer[..4], &older[4..]].concat()] {
        let breach = judge_head(&history, Some(&torn), VersionId::ROOT).expect_err("it is torn");
        assert_eq!(breach.property, Property::Model);
    }
}

#[test]
fn a_value_of_another_state_fires() {
    let (history, one, two) = history();
    let none = BTreeMap::new();
    assert_eq!(judge_get(&history, one, &none, b"both", Some(&[0])), Ok(()));
    assert_eq!(judge_get(&history, two, &none, b"both", Some(&[1])), Ok(()));
    assert!(judge_get(&history, one, &none, b"both", Some(&[1])).is_err());
    assert!(judge_get(&history, one, &none, b"own1", Some(&[1])).is_err());
    let own = BTreeMap::from([(b"both".to_vec(), None)]);
    assert_eq!(judge_get(&history, two, &own, b"both", None), Ok(()));
    assert!(judge_get(&history, two, &own, b"both", Some(&[1])).is_err());
}

#[test]
fn a_scan_with_a_pair_missing_added_changed_or_out_of_order_fires() {
    let (history, _, two) = history();
    let own: BTreeMap<Vec<u8>, Write> =
        BTreeMap::from([(b"c".to_vec(), Some(Arc::from([9]))), (b"own0".to_vec(), None)]);
    let pair = |key: &str, value: u8| (key.as_bytes().to_vec(), vec![value]);
    let right = vec![pair("both", 1), pair("c", 9), pair("own1", 1)];
    let judge = |found: &[Pair]| judge_range(&history, two, &own, (b"a", None), found);
    assert_eq!(judge(&right), Ok(()));
    for index in 0..3 {
        let mut wrong = right.clone();
        wrong.remove(index);
        assert!(judge(&wrong).is_err(), "without {index}");
        let mut wrong = right.clone();
        wrong[index].1 = vec![77];
        assert!(judge(&wrong).is_err(), "changed {index}");
        let mut wrong = right.clone();
        wrong.insert(index, pair("own0", 0));
        assert!(judge(&wrong).is_err(), "added at {index}");
    }
    let mut wrong = right.clone();
    wrong.swap(0, 1);
    assert!(judge(&wrong).is_err());
    let below = judge_range(&history, two, &own, (b"a", Some(b"c")), &right[..1]);
    assert_eq!(below, Ok(()));
}
