//! Two byte strings, line by line, where they differ.

/// Bytes of one line.
const LINE: usize = 16;

/// Lines that differ and are shown.
const SHOWN_MAX: usize = 8;

/// The lines in which `expected` and `found` differ, marked with `-` and `+`, under a heading.
pub fn diff(expected: &[u8], found: &[u8]) -> Vec<String> {
    let lines = expected.len().max(found.len()).div_ceil(LINE);
    let differing: Vec<usize> =
        (0..lines).filter(|line| part(expected, *line) != part(found, *line)).collect();
    let (count, verb) = (differing.len(), if differing.len() == 1 { "differs" } else { "differ" });
    let noun = if lines == 1 { "line" } else { "lines" };
    let mut text = vec![format!("expected and found ({count} of {lines} {noun} {verb})")];
    for line in differing.iter().take(SHOWN_MAX) {
        text.push(format!("  - {}", hex(expected, *line)));
        text.push(format!("  + {}", hex(found, *line)));
    }
    if count > SHOWN_MAX {
        text.push(format!("    and {} more lines", count - SHOWN_MAX));
    }
    text
}

fn part(bytes: &[u8], line: usize) -> &[u8] {
    let from = (line * LINE).min(bytes.len());
    &bytes[from..(from + LINE).min(bytes.len())]
}

fn hex(bytes: &[u8], line: usize) -> String {
    let part = part(bytes, line);
    let mut text = format!("{:04x} ", line * LINE);
    for index in 0..LINE {
        if index == LINE / 2 {
            text.push(' ');
        }
        text += &part.get(index).map_or("   ".into(), |byte| format!(" {byte:02x}"));
    }
    let letters = part.iter().map(|byte| match byte {
        0x20..=0x7E => char::from(*byte),
        _ => '.',
    });
    format!("{text}  {}", letters.collect::<String>()).trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::diff;

    #[test]
    fn only_lines_that_differ_are_shown() {
        let expected: Vec<u8> = (0x30..0x60).collect();
        let mut found = expected.clone();
        found[17] = 0;
        found.truncate(40);
        assert_eq!(
            diff(&expected, &found),
            [
                "expected and found (2 of 3 lines differ)",
                "  - 0010  40 41 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f  @ABCDEFGHIJKLMNO",
                "  + 0010  40 00 42 43 44 45 46 47  48 49 4a 4b 4c 4d 4e 4f  @.BCDEFGHIJKLMNO",
                "  - 0020  50 51 52 53 54 55 56 57  58 59 5a 5b 5c 5d 5e 5f  PQRSTUVWXYZ[\\]^_",
                "  + 0020  50 51 52 53 54 55 56 57                           PQRSTUVW",
            ]
        );
    }

    #[test]
    fn nothing_found_leaves_the_expected_bytes() {
        assert_eq!(
            diff(&[7], &[]),
            [
                "expected and found (1 of 1 line differs)",
                "  - 0000  07                                                .",
                "  + 0000",
            ]
        );
    }
}
