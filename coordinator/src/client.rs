//! The client: what can be asked of etcd.

use std::time::Duration;

use crate::{
    error::{Error, OptionsError},
    kv::{Compare, KeyValue, LeaseId, Operation, Outcome, Range, Revision, prefix_end},
    tls::Tls,
    transport::{Effect, Transport},
    wire::{
        Bytes, DeleteAnswer, DeleteRequest, Done, GrantRequest, KeepAliveAnswer, LeaseAnswer, LeaseRequest,
        Number, PutRequest, RangeAnswer, RangeRequest, StatusAnswer, StatusRequest, TransactionAnswer,
        TransactionRequest,
    },
};

/// etcd's code for what is not there, as gRPC numbers it.
const NOT_FOUND: i64 = 5;

/// Whom to ask, and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// The members, as `http://10.0.0.1:2379`. Each is asked once in a call, beginning with the one after the last
    /// that failed.
    pub endpoints: Vec<String>,
    /// How long one endpoint may take, connecting included.
    pub attempt: Duration,
    /// How long a call may take over all endpoints. `attempt <= call`; with three endpoints three times as long lets
    /// each of them be asked, though two of them swallow the request.
    pub call: Duration,
    /// Longer answers are not read.
    pub answer_bytes_max: usize,
    /// Needed if endpoints are `https`.
    pub tls: Option<Tls>,
}

impl Options {
    /// These endpoints, half a second for each and 1.5 s for all, answers of at most 4 MiB, no TLS.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            attempt: Duration::from_millis(500),
            call: Duration::from_millis(1_500),
            answer_bytes_max: 4 << 20,
            tls: None,
        }
    }
}

/// A lease as it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub id: LeaseId,
    /// How many seconds it lives without a keepalive. etcd may grant more than was asked.
    pub ttl_seconds: u32,
}

/// What came of a keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// The lease lives for so many seconds more, counted from some moment after the call began and before it ended.
    Renewed {
        /// So many.
        ttl_seconds: u32,
    },
    /// The lease has expired or was revoked, and its keys are gone or go now.
    Gone,
}

/// How long a lease has to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeToLive {
    /// Seconds left, rounded as etcd does.
    pub remaining_seconds: u32,
    /// Seconds that a keepalive gives.
    pub granted_seconds: u32,
}

/// What a member says of itself. It is its own view, which need not be that of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The member that answered.
    pub member: u64,
    /// The member that it takes for the leader; none in an election.
    pub leader: Option<u64>,
    /// Its version of etcd.
    pub version: String,
}

/// A client. It may be used by several threads at once; each call blocks its own thread, and no longer than
/// [`Options::call`] by much.
pub struct Client {
    transport: Transport,
}

impl Client {
    /// A client with these options. Nothing is connected yet.
    ///
    /// # Errors
    /// When an option cannot be, or a file of TLS cannot be read.
    pub fn new(options: &Options) -> Result<Self, OptionsError> {
        Ok(Self { transport: Transport::new(options)? })
    }

    /// Makes a lease. Whatever becomes of the call, a lease that nobody knows of only expires.
    ///
    /// # Errors
    /// See [`Error`]; never ambiguous.
    pub fn lease_grant(&self, ttl_seconds: u32) -> Result<Lease, Error> {
        let request = GrantRequest { ttl: Number(i64::from(ttl_seconds)) };
        self.transport.call("/v3/lease/grant", &request, Effect::Repeatable, |answer: LeaseAnswer| {
            let id = LeaseId::new(answer.id.0).ok_or("a lease of number 0")?;
            match seconds(answer.ttl.0)? {
                0 => Err("a lease of 0 seconds".to_owned()),
                ttl_seconds => Ok(Lease { id, ttl_seconds }),
            }
        })
    }

    /// Gives a lease its full time again. Who reckons with it counts from *before* the call.
    ///
    /// A keepalive is not a read: a member that was the leader and does not know yet that it no longer is may answer
    /// one. It says that the lease lives by that member's clock, not that its key is still there.
    ///
    /// # Errors
    /// See [`Error`]; never ambiguous.
    pub fn lease_keepalive(&self, lease: LeaseId) -> Result<Renewal, Error> {
        let request = LeaseRequest { id: Number(lease.number()) };
        let check = |answer: KeepAliveAnswer| {
            same_lease(lease, &answer.result)?;
            Ok(match seconds(answer.result.ttl.0)? {
                0 => Renewal::Gone,
                ttl_seconds => Renewal::Renewed { ttl_seconds },
            })
        };
        match self.transport.call("/v3/lease/keepalive", &request, Effect::Repeatable, check) {
            Err(Error::Refused { code: NOT_FOUND, .. }) => Ok(Renewal::Gone),
            other => other,
        }
    }

    /// Ends a lease and removes its keys. A lease that is gone already is fine.
    ///
    /// # Errors
    /// See [`Error`]. Without an answer it may have happened or not; doing it again does no harm.
    pub fn lease_revoke(&self, lease: LeaseId) -> Result<(), Error> {
        let request = LeaseRequest { id: Number(lease.number()) };
        let check = |answer: Done| answer.check().map(|_| ());
        match self.transport.call("/v3/lease/revoke", &request, Effect::Repeatable, check) {
            Err(Error::Refused { code: NOT_FOUND, .. }) => Ok(()),
            other => other,
        }
    }

    /// How long a lease has to live; none if it is gone.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn lease_time_to_live(&self, lease: LeaseId) -> Result<Option<TimeToLive>, Error> {
        let request = LeaseRequest { id: Number(lease.number()) };
        let check = |answer: LeaseAnswer| {
            same_lease(lease, &answer)?;
            if answer.ttl.0 < 0 {
                return Ok(None);
            }
            let granted_seconds = seconds(answer.granted.0)?;
            Ok(Some(TimeToLive { remaining_seconds: seconds(answer.ttl.0)?, granted_seconds }))
        };
        match self.transport.call("/v3/lease/timetolive", &request, Effect::Repeatable, check) {
            Err(Error::Refused { code: NOT_FOUND, .. }) => Ok(None),
            other => other,
        }
    }

    /// Reads a key; none if it is not there.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn get(&self, key: impl Into<Vec<u8>>) -> Result<Option<KeyValue>, Error> {
        let request = RangeRequest { key: Bytes(key.into()), range_end: None, limit: None };
        let check = |answer: RangeAnswer| answer.check(&request.key.0, None);
        let mut range = self.transport.call("/v3/kv/range", &request, Effect::Repeatable, check)?;
        Ok(range.items.pop())
    }

    /// Reads all keys with a prefix, by key, and no more than `limit` of them.
    ///
    /// # Errors
    /// See [`Error`]. What is larger than [`Options::answer_bytes_max`] is malformed: ask for fewer.
    pub fn range(&self, prefix: impl Into<Vec<u8>>, limit: u32) -> Result<Range, Error> {
        let prefix = prefix.into();
        let end = prefix_end(&prefix);
        // The empty key is none; all keys begin with this one.
        let from = if prefix.is_empty() { vec![0] } else { prefix };
        // 0 is etcd's word for "all".
        let limit = limit.max(1);
        let request = RangeRequest {
            key: Bytes(from),
            range_end: Some(Bytes(end)),
            limit: Some(Number(i64::from(limit))),
        };
        let check = |answer: RangeAnswer| {
            answer.check(&request.key.0, request.range_end.as_ref().map(|end| end.0.as_slice()))
        };
        self.transport.call("/v3/kv/range", &request, Effect::Repeatable, check)
    }

    /// Writes a key. Without a lease, the key leaves the one it had.
    ///
    /// # Errors
    /// See [`Error`]; it may have happened if [`Error::may_have_happened`].
    pub fn put(
        &self,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
        lease: Option<LeaseId>,
    ) -> Result<Revision, Error> {
        let request = PutRequest {
            key: Bytes(key.into()),
            value: Bytes(value.into()),
            lease: lease.map(|lease| Number(lease.number())),
        };
        self.transport.call("/v3/kv/put", &request, Effect::Once, |answer: Done| answer.check())
    }

    /// Removes a key. Returns whether it was there.
    ///
    /// # Errors
    /// See [`Error`]; it may have happened if [`Error::may_have_happened`].
    pub fn delete(&self, key: impl Into<Vec<u8>>) -> Result<bool, Error> {
        let request = DeleteRequest { key: Bytes(key.into()) };
        let check = |answer: DeleteAnswer| answer.check().map(|deleted| deleted > 0);
        self.transport.call("/v3/kv/deleterange", &request, Effect::Once, check)
    }

    /// Does one of two lists of operations, in one step: `success` if all conditions hold, otherwise `failure`.
    ///
    /// # Errors
    /// See [`Error`]; it may have happened if [`Error::may_have_happened`]. To find out, read a key that it writes.
    pub fn transaction(
        &self,
        compares: &[Compare],
        success: &[Operation],
        failure: &[Operation],
    ) -> Result<Outcome, Error> {
        let writes = success.iter().chain(failure).any(Operation::writes);
        let effect = if writes { Effect::Once } else { Effect::Repeatable };
        let request = TransactionRequest::new(compares, success, failure);
        let check = |answer: TransactionAnswer| answer.check(success, failure);
        self.transport.call("/v3/kv/txn", &request, effect, check)
    }

    /// Asks whichever member answers for its view of the cluster.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn status(&self) -> Result<Status, Error> {
        let check = |answer: StatusAnswer| {
            let leader = answer.leader.0.cast_unsigned();
            Ok(Status {
                member: answer.header.member_id.0.cast_unsigned(),
                leader: (leader != 0).then_some(leader),
                version: answer.version,
            })
        };
        self.transport.call("/v3/maintenance/status", &StatusRequest {}, Effect::Repeatable, check)
    }
}

fn same_lease(asked: LeaseId, answer: &LeaseAnswer) -> Result<(), String> {
    if answer.id.0 == asked.number() {
        Ok(())
    } else {
        Err(format!("lease {}, and {} was asked for", answer.id.0, asked.number()))
    }
}

fn seconds(number: i64) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("a lease of {number} seconds"))
}
