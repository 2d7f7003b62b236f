//! A change of one row, or of the rows of one thing, and its bytes in the log.

use deploy_core::Sequence;
use deploy_core::model::TaskId;

use super::error::StoreError;
use super::rows::{self, put_bytes, take, take_bytes, take_text};
use crate::catalog::Card;

/// A change of one row, or of the rows of one thing.
#[derive(Debug)]
pub(super) enum Row {
    /// A task was pushed.
    Task { order: u64, row: Vec<u8> },
    /// Something became of a task.
    State { order: u64, row: Vec<u8> },
    /// A task is gone.
    Gone { order: u64 },
    /// An event was recorded.
    Event { task: TaskId, number: Sequence, row: Vec<u8> },
    /// The events of a task are gone, up to the last.
    Events { task: TaskId, last: Sequence },
    /// The journal knows something else of a task, or nothing any more. The number is that of the
    /// change in this process.
    Card { task: TaskId, change: u64, card: Option<Card> },
}

impl Row {
    /// About how many bytes it has.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Task { row, .. } | Self::State { row, .. } | Self::Event { row, .. } => row.len(),
            Self::Gone { .. } | Self::Events { .. } | Self::Card { .. } => 0,
        }
    }

    /// Appends the change to the body of a group.
    pub(super) fn encode(&self, body: &mut Vec<u8>) {
        let mut head = |kind, order: &u64| {
            body.push(kind);
            body.extend(order.to_le_bytes());
        };
        match self {
            Self::Task { order, row } => {
                head(1, order);
                put_bytes(body, row);
            }
            Self::State { order, row } => {
                head(2, order);
                put_bytes(body, row);
            }
            Self::Gone { order } => head(3, order),
            Self::Event { task, number, row } => {
                head(4, &number.number());
                put_bytes(body, task.as_str().as_bytes());
                put_bytes(body, row);
            }
            Self::Events { task, last } => {
                head(5, &last.number());
                put_bytes(body, task.as_str().as_bytes());
            }
            Self::Card { task, card: Some(card), .. } => {
                head(6, &0);
                put_bytes(body, task.as_str().as_bytes());
                put_bytes(body, &rows::encode_card(task, card));
            }
            Self::Card { task, card: None, .. } => {
                head(7, &0);
                put_bytes(body, task.as_str().as_bytes());
            }
        }
    }

    /// Reads the changes of a group.
    pub(super) fn decode_all(number: u64, mut body: &[u8]) -> Result<Vec<Self>, StoreError> {
        let mut rows = Vec::new();
        while !body.is_empty() {
            let Some(row) = Self::decode(&mut body) else {
                let what = format!("the commit {number} in the log");
                return Err(StoreError::Corrupt { what });
            };
            rows.push(row);
        }
        Ok(rows)
    }

    fn decode(body: &mut &[u8]) -> Option<Self> {
        let [kind] = take(body)?;
        let order = u64::from_le_bytes(take(body)?);
        let task = |body: &mut &[u8]| TaskId::new(take_text(body)?).ok();
        Some(match kind {
            1 => Self::Task { order, row: take_bytes(body)?.to_vec() },
            2 => Self::State { order, row: take_bytes(body)?.to_vec() },
            3 => Self::Gone { order },
            4 => {
                let (task, number) = (task(body)?, Sequence::new(order));
                Self::Event { task, number, row: take_bytes(body)?.to_vec() }
            }
            5 => Self::Events { task: task(body)?, last: Sequence::new(order) },
            6 => {
                let name = take_text(body)?;
                let (task, card) = rows::decode_card(&name, take_bytes(body)?).ok()?;
                Self::Card { task, change: 0, card: Some(card) }
            }
            7 => Self::Card { task: task(body)?, change: 0, card: None },
            _ => return None,
        })
    }
}
