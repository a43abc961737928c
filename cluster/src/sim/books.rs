//! What stands for the books and the sessions: a fold of commands into a hash, and of both families into sessions.

use std::collections::{BTreeMap, VecDeque};

use super::journal::{Kind, Record, mix};

/// A report, as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) client_ref: u32,
    /// What the books made of it.
    pub(crate) value: u64,
}

/// Of a report on somebody else's order.
pub(crate) const OTHERS: u32 = 0;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Session {
    /// The highest number that is used up.
    pub(crate) last_ref: u32,
    /// What was numbered, from 1 on, and where in the log it is.
    pub(crate) reports: Vec<(u64, Report)>,
}

/// Books and sessions after some prefix of the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) hash: u64,
    pub(crate) sessions: BTreeMap<u32, Session>,
    /// Caused, and not numbered yet, in the order of their commands.
    pub(crate) owed: VecDeque<(u32, Report)>,
    sessions_max: u32,
}

impl Books {
    pub(crate) fn new(sessions_max: u32) -> Self {
        Self { sessions_max, ..Self::default() }
    }

    /// A record of the log at `position`. A report must be one that is owed, under its session's next number.
    pub(crate) fn apply(&mut self, position: u64, record: &Record) -> Result<(), String> {
        match record.kind {
            Kind::EpochStart => {}
            Kind::Command => {
                let session = self.sessions.entry(record.session).or_default();
                if record.client_ref <= session.last_ref {
                    return Err(format!(
                        "order {} of session {} at {position}, after {}",
                        record.client_ref, record.session, session.last_ref
                    ));
                }
                session.last_ref = record.client_ref;
                let key = u64::from(record.session) << 32 | u64::from(record.client_ref);
                self.hash = mix(mix(self.hash, key), record.value);
                let report = Report { client_ref: record.client_ref, value: self.hash };
                self.owed.push_back((record.session, report));
                // Every third trades with somebody.
                if self.hash.is_multiple_of(3) {
                    let other = (self.hash >> 8) as u32 % self.sessions_max;
                    self.owed.push_back((other, Report { client_ref: OTHERS, value: self.hash }));
                }
            }
            Kind::Report => {
                let report = Report { client_ref: record.client_ref, value: record.value };
                let wanted = (record.session, report);
                let Some(at) = self.owed.iter().position(|owed| *owed == wanted) else {
                    return Err(format!("a report at {position} that no command causes: {record:?}"));
                };
                self.owed.remove(at);
                let session = self.sessions.entry(record.session).or_default();
                session.reports.push((position, report));
                if record.number != session.reports.len() as u64 {
                    return Err(format!(
                        "number {} of session {} at {position} should be {}",
                        record.number,
                        record.session,
                        session.reports.len()
                    ));
                }
            }
        }
        Ok(())
    }

    pub(crate) fn fold(
        sessions_max: u32,
        records: impl IntoIterator<Item = (u64, Record)>,
    ) -> Result<Self, String> {
        let mut books = Self::new(sessions_max);
        for (position, record) in records {
            books.apply(position, &record)?;
        }
        Ok(books)
    }

    pub(crate) fn next_number(&self, session: u32) -> u64 {
        self.sessions.get(&session).map_or(0, |session| session.reports.len() as u64) + 1
    }
}
