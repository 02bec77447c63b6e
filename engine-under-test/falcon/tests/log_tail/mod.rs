//! Where the log of a test ends.

use std::ops::Range;

/// Which file has the block with the highest epoch and number, and at which bytes, as the dump tells. Blocks
/// are aligned to 512.
pub fn last_block(text: &str, names: [&str; 2]) -> (usize, Range<usize>) {
    let mut file = 0;
    let mut found = ((0, 0), 0, 0..0);
    for line in text.lines() {
        if line.starts_with(names[1]) {
            file = 1;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["block", block, "epoch", epoch, first, "to", end, ..] = words.get(1..).unwrap_or(&[])
        else {
            continue;
        };
        let number = |word: &str| word.trim_matches(',').parse::<u64>().expect("a number");
        let (first, end) = (number(first), number(end));
        let bytes = (64 + end - first).next_multiple_of(512) as usize;
        let from = number(words[0]) as usize;
        let age = (number(epoch), number(block));
        if age > found.0 {
            found = (age, file, from..from + bytes);
        }
    }
    (found.1, found.2)
}
