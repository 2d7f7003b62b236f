//! The rows of the database and their bytes: the on-disk format. FORMAT.md describes it.

use deploy_core::model::{TaskId, Timestamp};
use deploy_core::{Event, Failure, Sequence, TaskRecord};
use redb::TableDefinition;

use super::error::StoreError;
use crate::catalog::Card;
use crate::ledger::{Change, Death, Limits};

/// One row: how far the store has come.
pub(super) const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// What was pushed, by order.
pub(super) const TASKS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("tasks");
/// What became of it since, by order; no row for a task that was never claimed or put off.
pub(super) const STATES: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("states");
/// What the journal knows of each task.
pub(super) const CARDS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("cards");
/// The journal's events, by task and number.
pub(super) const EVENTS: TableDefinition<'static, (&str, u64), &[u8]> =
    TableDefinition::new("events");

/// How many bytes a payload has at most, whatever a store is told: the database takes rows of
/// 3 GiB, and what was acknowledged has to get there.
const MOST_PAYLOAD: u64 = 1 << 30;

/// The key of the one row of `meta`.
pub(super) const META_KEY: &str = "store";

/// How far a store has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// The number of the last commit.
    pub(super) commits: u64,
    /// How often the store was opened: the upper half of the numbers of its claims.
    pub(super) openings: u32,
}

impl Meta {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut body = self.commits.to_le_bytes().to_vec();
        body.extend(self.openings.to_le_bytes());
        seal("meta", META_KEY.as_bytes(), &body)
    }

    pub(super) fn decode(row: &[u8]) -> Result<Self, StoreError> {
        let mut fields = open("meta", META_KEY.as_bytes(), row)?;
        let meta = (|| {
            Some(Self {
                commits: u64::from_le_bytes(take(&mut fields)?),
                openings: u32::from_le_bytes(take(&mut fields)?),
            })
        })();
        whole(meta, fields, || "the row of the table meta".to_owned())
    }
}

/// The limits of a store that is told these.
pub(super) fn within(limits: Limits) -> Limits {
    Limits { max_payload: limits.max_payload.min(MOST_PAYLOAD), ..limits }
}

/// A task as it was pushed: when, and its content.
pub(super) fn encode_task(order: u64, pushed: Timestamp, task: &TaskRecord) -> Vec<u8> {
    let mut body = Vec::with_capacity(task.payload.len() + 128);
    put_time(&mut body, pushed);
    body.push(u8::from(task.due.is_some()));
    put_time(&mut body, task.due.unwrap_or(pushed));
    body.extend(task.priority.to_le_bytes());
    put_bytes(&mut body, task.id.as_str().as_bytes());
    put_bytes(&mut body, task.kind.as_bytes());
    body.push(u8::from(task.exclusive_key.is_some()));
    put_bytes(&mut body, task.exclusive_key.as_deref().unwrap_or("").as_bytes());
    put_bytes(&mut body, &task.payload);
    seal("tasks", &order.to_le_bytes(), &body)
}

/// Reads a task, and when it is due for the first time.
pub(super) fn decode_task(order: u64, row: &[u8]) -> Result<(TaskRecord, Timestamp), StoreError> {
    let mut fields = open("tasks", &order.to_le_bytes(), row)?;
    let task = (|| {
        let _pushed = take_time(&mut fields)?;
        let [delayed] = take(&mut fields)?;
        let due = take_time(&mut fields)?;
        let priority = i32::from_le_bytes(take(&mut fields)?);
        let id = TaskId::new(take_text(&mut fields)?).ok()?;
        let kind = take_text(&mut fields)?;
        let [exclusive] = take(&mut fields)?;
        let key = take_text(&mut fields)?;
        let payload = take_bytes(&mut fields)?;
        let mut task = TaskRecord::new(id, kind, payload).with_priority(priority);
        if delayed == 1 {
            task = task.with_due(due);
        }
        if exclusive == 1 {
            task = task.with_exclusive_key(key);
        }
        Some((task, due))
    })();
    whole(task, fields, || format!("the row {order} of the table tasks"))
}

/// What became of a task that was pushed; `None` when it is gone.
pub(super) fn encode_state(change: &Change) -> Option<(u64, Vec<u8>)> {
    let (order, due, attempts, death) = match change {
        Change::Waits { order, due, attempts } => (*order, *due, *attempts, None),
        Change::Dies { order, due, attempts, death } => (*order, *due, *attempts, Some(death)),
        Change::Goes { .. } => return None,
    };
    let mut body = Vec::with_capacity(64);
    put_time(&mut body, due);
    body.extend(attempts.to_le_bytes());
    body.push(u8::from(death.is_some()));
    if let Some(death) = death {
        put_time(&mut body, death.at);
        put_bytes(&mut body, &to_json(&death.failure));
    }
    Some((order, seal("states", &order.to_le_bytes(), &body)))
}

/// Reads what became of a task.
pub(super) fn decode_state(order: u64, row: &[u8]) -> Result<Change, StoreError> {
    let mut fields = open("states", &order.to_le_bytes(), row)?;
    let change = (|| {
        let due = take_time(&mut fields)?;
        let attempts = u32::from_le_bytes(take(&mut fields)?);
        let [dead] = take(&mut fields)?;
        if dead == 0 {
            return Some(Change::Waits { order, due, attempts });
        }
        let at = take_time(&mut fields)?;
        let failure: Failure = serde_json::from_slice(take_bytes(&mut fields)?).ok()?;
        let death = Death { failure, at };
        Some(Change::Dies { order, due, attempts, death })
    })();
    whole(change, fields, || format!("the row {order} of the table states"))
}

/// What the journal knows of a task.
pub(super) fn encode_card(task: &TaskId, card: &Card) -> Vec<u8> {
    seal("cards", task.as_str().as_bytes(), &to_json(card))
}

/// Reads what the journal knows of a task.
pub(super) fn decode_card(task: &str, row: &[u8]) -> Result<(TaskId, Card), StoreError> {
    let body = open("cards", task.as_bytes(), row)?;
    let card = serde_json::from_slice(body).ok();
    let id = TaskId::new(task).ok();
    whole(id.zip(card), &[], || format!("the row {task} of the table cards"))
}

/// An event. It is refused when it could not be read again: then it would look like damage.
pub(super) fn encode_event(event: &Event) -> serde_json::Result<Vec<u8>> {
    let (key, json) = (event_key(event.task.as_str(), event.sequence), to_json(event));
    serde_json::from_slice::<Event>(&json)?;
    Ok(seal("events", &key, &json))
}

/// Reads an event. One that is whole and says what is not known here is no damage: a newer version
/// has recorded it.
pub(super) fn decode_event(
    task: &TaskId,
    number: Sequence,
    row: &[u8],
) -> Result<serde_json::Result<Event>, StoreError> {
    let body = open("events", &event_key(task.as_str(), number), row)?;
    Ok(serde_json::from_slice(body))
}

fn event_key(task: &str, number: Sequence) -> Vec<u8> {
    let mut key = task.as_bytes().to_vec();
    key.push(0);
    key.extend(number.number().to_le_bytes());
    key
}

/// Puts the checksum before a row's body. It covers the table and the key too, so that a row that
/// strayed to another place is noticed.
fn seal(table: &str, key: &[u8], body: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(body.len() + 4);
    row.extend(checksum(table, key, body).to_le_bytes());
    row.extend_from_slice(body);
    row
}

/// Checks a row's checksum, and takes it off.
fn open<'a>(table: &str, key: &[u8], mut row: &'a [u8]) -> Result<&'a [u8], StoreError> {
    match take(&mut row).map(u32::from_le_bytes) {
        Some(found) if found == checksum(table, key, row) => Ok(row),
        _ => Err(StoreError::Corrupt {
            what: format!("the row {:?} of the table {table}", String::from_utf8_lossy(key)),
        }),
    }
}

fn checksum(table: &str, key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [table.as_bytes(), &[0], key, &[0], body] {
        hasher.update(part);
    }
    hasher.finalize()
}

/// What was read, when it was all there and nothing is left over.
fn whole<T>(read: Option<T>, rest: &[u8], what: impl FnOnce() -> String) -> Result<T, StoreError> {
    match read {
        Some(read) if rest.is_empty() => Ok(read),
        _ => Err(StoreError::Corrupt { what: what() }),
    }
}

fn to_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    // Our types have text keys and no failing serializer, which is all that could go wrong.
    serde_json::to_vec(value).unwrap_or_else(|error| unreachable!("a row is valid JSON: {error}"))
}

fn put_time(body: &mut Vec<u8>, time: Timestamp) {
    body.extend(time.unix_micros().to_le_bytes());
}

pub(super) fn put_bytes(body: &mut Vec<u8>, bytes: &[u8]) {
    // A payload is limited to far less, and names are shorter still.
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    body.extend(length.to_le_bytes());
    body.extend_from_slice(bytes);
}

pub(super) fn take<const N: usize>(fields: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = fields.split_first_chunk()?;
    *fields = rest;
    Some(*head)
}

fn take_time(fields: &mut &[u8]) -> Option<Timestamp> {
    Timestamp::from_unix_micros(i64::from_le_bytes(take(fields)?)).ok()
}

pub(super) fn take_bytes<'a>(fields: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_le_bytes(take(fields)?)).ok()?;
    let (head, rest) = fields.split_at_checked(length)?;
    *fields = rest;
    Some(head)
}

pub(super) fn take_text(fields: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_bytes(fields)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::QueueConfig;

    #[test]
    fn a_payload_is_never_larger_than_a_row_of_the_database() {
        let limits = |bytes| within(QueueConfig::new().with_max_payload(bytes).limits());
        assert_eq!(limits(1024).max_payload, 1024);
        assert_eq!(limits(u64::MAX).max_payload, MOST_PAYLOAD);
    }
}
