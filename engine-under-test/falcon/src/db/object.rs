//! The rows of the catalogue: what each tells.
//!
//! # Method
//!
//! ```text
//! numbers         0, the next number that a table or a sequence may have
//! table           1, number, section, name, columns, and for each index: name, whether it is unique,
//!                 the columns of its keys as bytes (u16 each), number
//! dropped table   2, as a table
//! sequence        3, number, place among the values on sequence pages, name
//! ```
//!
//! Numbers and places are unsigned, names are text.
//!
//! # Invariant
//!
//! A number is of one table or sequence for ever. Sections, indexes and places of values are used again, but only
//! when the row of who had them is gone.

use crate::page::SectionId;
use crate::page::index::IndexId;
use crate::page::key::KeyValue;
use crate::{SequenceId, TableId, row};

use super::schema::TableSpec;

/// What a row of the catalogue tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Object {
    /// The next number that a table or a sequence may have.
    Numbers(u32),
    /// A table.
    Table(TableObject),
    /// A sequence.
    Sequence { id: SequenceId, place: u32, name: String },
}

/// A table by its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableObject {
    pub(crate) id: TableId,
    pub(crate) section: SectionId,
    /// Whether it was dropped; the row then tells which pages are to be free.
    pub(crate) is_dropped: bool,
    /// The numbers of its indexes, in the order of the description.
    pub(crate) indexes: Vec<IndexId>,
    pub(crate) spec: TableSpec,
}

const NUMBERS: u32 = 0;
const TABLE: u32 = 1;
const DROPPED: u32 = 2;
const SEQUENCE: u32 = 3;

type Told<T> = std::result::Result<T, String>;

impl Object {
    /// The row, encoded.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let number = |number: u32| KeyValue::U64(number.into());
        match self {
            Object::Numbers(next) => row::encode(&[number(NUMBERS), number(*next)]),
            Object::Table(table) => row::encode(&table.to_row()),
            Object::Sequence { id, place, name } => row::encode(&[
                number(SEQUENCE),
                number(id.0),
                number(*place),
                KeyValue::Text(name.as_str().into()),
            ]),
        }
    }

    /// What an encoded row tells, or what is wrong with it.
    pub(crate) fn decode(encoded: &[u8]) -> Told<Object> {
        let row = row::decode(encoded).map_err(|error| error.to_string())?;
        let (kind, rest) = row.split_first().ok_or("a row without columns")?;
        match (number(kind)?, rest) {
            (NUMBERS, [next]) => Ok(Object::Numbers(number(next)?)),
            (kind @ (TABLE | DROPPED), rest) => {
                TableObject::from_row(rest, kind == DROPPED).map(Object::Table)
            }
            (SEQUENCE, [id, place, KeyValue::Text(name)]) => Ok(Object::Sequence {
                id: SequenceId(number(id)?),
                place: number(place)?,
                name: name.to_string(),
            }),
            (kind, rest) => Err(format!("kind {kind} with {} columns more", rest.len())),
        }
    }
}

impl TableObject {
    fn to_row(&self) -> Vec<KeyValue<'static>> {
        let mut row = vec![
            KeyValue::U64(if self.is_dropped { DROPPED } else { TABLE }.into()),
            KeyValue::U64(self.id.0.into()),
            KeyValue::U64(self.section.0.into()),
            KeyValue::Text(self.spec.name.clone().into()),
            KeyValue::U64(self.spec.columns.into()),
        ];
        for (index, id) in self.spec.indexes.iter().zip(&self.indexes) {
            row.push(KeyValue::Text(index.name.clone().into()));
            row.push(KeyValue::U64(index.is_unique.into()));
            let columns: Vec<u8> =
                index.columns.iter().flat_map(|column| column.to_le_bytes()).collect();
            row.push(KeyValue::Bytes(columns.into()));
            row.push(KeyValue::U64(id.0.into()));
        }
        row
    }

    fn from_row(row: &[KeyValue<'_>], is_dropped: bool) -> Told<TableObject> {
        let [id, section, KeyValue::Text(name), columns, indexes @ ..] = row else {
            return Err(format!("{} columns do not describe a table", row.len()));
        };
        let columns = u16::try_from(number(columns)?).map_err(|error| error.to_string())?;
        let mut spec = TableSpec::new(name.as_ref(), columns);
        let mut ids = Vec::new();
        let groups = indexes.chunks_exact(4);
        if !groups.remainder().is_empty() {
            return Err(format!("{} columns do not describe indexes", indexes.len()));
        }
        for group in groups {
            let [KeyValue::Text(name), is_unique, KeyValue::Bytes(columns), id] = group else {
                return Err(format!("{group:?} describe no index"));
            };
            let (pairs, rest) = columns.as_chunks();
            if !rest.is_empty() {
                return Err(format!("{} bytes do not name columns", columns.len()));
            }
            let columns: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
            spec = spec.index(name.as_ref(), &columns, number(is_unique)? != 0);
            ids.push(IndexId(number(id)?));
        }
        spec.check().map_err(|error| error.to_string())?;
        let (id, section) = (TableId(number(id)?), SectionId(number(section)?));
        Ok(TableObject { id, section, is_dropped, indexes: ids, spec })
    }
}

fn number(value: &KeyValue<'_>) -> Told<u32> {
    match value {
        KeyValue::U64(number) => u32::try_from(*number).map_err(|error| error.to_string()),
        other => Err(format!("{other:?} is no number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(is_dropped: bool) -> Object {
        let spec = TableSpec::new("t", 3).index("a", &[0], true).index("b", &[2, 1], false);
        let indexes = vec![IndexId(7), IndexId(2)];
        Object::Table(TableObject {
            id: TableId(9),
            section: SectionId(4),
            is_dropped,
            indexes,
            spec,
        })
    }

    #[test]
    fn what_is_written_is_read() {
        let sequence = Object::Sequence { id: SequenceId(5), place: 3, name: "s".into() };
        for object in [Object::Numbers(8), table(false), table(true), sequence] {
            assert_eq!(Object::decode(&object.encode()), Ok(object));
        }
    }

    #[test]
    fn a_row_of_another_form_is_none() {
        let one = KeyValue::U64(1);
        let text = || KeyValue::Text("t".into());
        let rows: [(&[KeyValue<'_>], &str); 7] = [
            (&[], "a row without columns"),
            (&[KeyValue::Null], "Null is no number"),
            (&[KeyValue::U64(9)], "kind 9 with 0 columns more"),
            (&[KeyValue::U64(3), one.clone()], "kind 3 with 1 columns more"),
            (&[one.clone(), one.clone()], "1 columns do not describe a table"),
            (
                &[one.clone(), one.clone(), one.clone(), text(), one.clone(), text()],
                "1 columns do not describe indexes",
            ),
            (
                &[one.clone(), one.clone(), one.clone(), text(), KeyValue::U64(70_000)],
                "out of range integral type conversion attempted",
            ),
        ];
        for (row, expected) in rows {
            assert_eq!(Object::decode(&row::encode(row)), Err(expected.to_string()), "{row:?}");
        }
    }
}
