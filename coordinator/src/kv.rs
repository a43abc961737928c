//! Keys, values, and what can be asked of them.

use std::num::NonZeroI64;

/// A count of etcd's changes: each write of the whole store has the next. Two answers compare by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub i64);

/// A lease's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub(crate) NonZeroI64);

impl LeaseId {
    /// The lease of that number, unless it is 0, which is none.
    pub fn new(id: i64) -> Option<Self> {
        NonZeroI64::new(id).map(Self)
    }

    /// The number.
    pub fn number(self) -> i64 {
        self.0.get()
    }
}

/// A key with what etcd knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Vec<u8>,
    /// What was put there last.
    pub value: Vec<u8>,
    /// The revision at which it came to be.
    pub create_revision: Revision,
    /// The revision of the last put. `create_revision <= mod_revision`
    pub mod_revision: Revision,
    /// How often it was put since it came to be. `1 <= version`
    pub version: i64,
    /// The lease it goes with.
    pub lease: Option<LeaseId>,
}

/// The answer to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The store's revision when it was read.
    pub revision: Revision,
    /// What was found, by key.
    pub items: Vec<KeyValue>,
    /// How many there are; more than `items` where a limit has cut.
    pub count: u64,
}

/// A condition of a transaction. A key that is not there has revisions and version 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    /// The key came to be at that revision; at 0: it is not there.
    CreateRevision {
        /// Which.
        key: Vec<u8>,
        /// Equal to this.
        equals: Revision,
    },
    /// The key was last put at that revision.
    ModRevision {
        /// Which.
        key: Vec<u8>,
        /// Equal to this.
        equals: Revision,
    },
    /// The key has been put so often.
    Version {
        /// Which.
        key: Vec<u8>,
        /// Equal to this.
        equals: i64,
    },
    /// The key is there, and has that value.
    Value {
        /// Which.
        key: Vec<u8>,
        /// Equal to this.
        equals: Vec<u8>,
    },
}

impl Compare {
    /// The key is not there.
    pub fn absent(key: impl Into<Vec<u8>>) -> Self {
        Self::create_revision(key, Revision(0))
    }

    /// The key came to be at that revision.
    pub fn create_revision(key: impl Into<Vec<u8>>, equals: Revision) -> Self {
        Self::CreateRevision { key: key.into(), equals }
    }

    /// The key was last put at that revision.
    pub fn mod_revision(key: impl Into<Vec<u8>>, equals: Revision) -> Self {
        Self::ModRevision { key: key.into(), equals }
    }

    /// The key has been put so often since it came to be.
    pub fn version(key: impl Into<Vec<u8>>, equals: i64) -> Self {
        Self::Version { key: key.into(), equals }
    }

    /// The key has that value.
    pub fn value(key: impl Into<Vec<u8>>, equals: impl Into<Vec<u8>>) -> Self {
        Self::Value { key: key.into(), equals: equals.into() }
    }
}

/// A part of a transaction. etcd refuses two that write the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Read one key.
    Get {
        /// Which.
        key: Vec<u8>,
    },
    /// Write one key.
    Put {
        /// Which.
        key: Vec<u8>,
        /// With what.
        value: Vec<u8>,
        /// The lease it goes with. A put without one takes the key out of the lease it had.
        lease: Option<LeaseId>,
    },
    /// Remove one key.
    Delete {
        /// Which.
        key: Vec<u8>,
    },
}

impl Operation {
    /// Read one key.
    pub fn get(key: impl Into<Vec<u8>>) -> Self {
        Self::Get { key: key.into() }
    }

    /// Write one key.
    pub fn put(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>, lease: Option<LeaseId>) -> Self {
        Self::Put { key: key.into(), value: value.into(), lease }
    }

    /// Remove one key.
    pub fn delete(key: impl Into<Vec<u8>>) -> Self {
        Self::Delete { key: key.into() }
    }

    /// Whether it changes anything.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self, Self::Get { .. })
    }
}

/// What a transaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// All conditions held, and the first list of operations was done; otherwise the second.
    pub succeeded: bool,
    /// The store's revision after it.
    pub revision: Revision,
    /// For each operation that was done, in order.
    pub answers: Vec<Answer>,
}

/// What an operation of a transaction brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Of a read: what is there.
    Got(Option<KeyValue>),
    /// Of a write.
    Put,
    /// Of a removal: how many keys went, 0 or 1.
    Deleted(u64),
}

/// What ends a range that has all keys with a prefix: the first key after them. `[0]`, etcd's word for "no end", where
/// there is none.
pub(crate) fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_key_that_has_it_not() {
        assert_eq!(prefix_end(b"a/"), b"a0");
        assert_eq!(prefix_end(b"a\xff\xff"), b"b");
        assert_eq!(prefix_end(b"\xff"), [0]);
        assert_eq!(prefix_end(b""), [0]);
    }
}
