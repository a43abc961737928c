//! etcd's JSON: what is asked and what is answered, as its gateway maps the protocol's messages. Byte strings are
//! base64, 64-bit numbers are strings, and what has its default (0, false, empty) is left out of answers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::kv::{Answer, Compare, KeyValue, LeaseId, Operation, Outcome, Range, Revision};

/// What is wrong with an answer that is JSON.
pub(crate) type Wrong = String;

/// Bytes that are base64 in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(|error| de::Error::custom(format!("no base64: {error}")))
    }
}

/// A 64-bit number that is a string in JSON. A bare number is read as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) i64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a 64-bit number, or a string that is one")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                // Ids of members are unsigned, and may have the highest bit set; only equality is asked of them.
                text.parse()
                    .or_else(|_| text.parse::<u64>().map(u64::cast_signed))
                    .map(Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number.cast_signed()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Header {
    pub(crate) member_id: Number,
    pub(crate) revision: Number,
}

// --- Reads and writes.

#[derive(Serialize)]
pub(crate) struct RangeRequest {
    pub(crate) key: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) range_end: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) limit: Option<Number>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RangeAnswer {
    #[serde(default)]
    header: Header,
    #[serde(default)]
    kvs: Vec<RawKeyValue>,
    #[serde(default)]
    count: Number,
}

#[derive(Debug, Deserialize)]
struct RawKeyValue {
    key: Bytes,
    create_revision: Number,
    mod_revision: Number,
    version: Number,
    #[serde(default)]
    value: Bytes,
    #[serde(default)]
    lease: Number,
}

impl RangeAnswer {
    /// Checked: what is not of the question is not taken.
    pub(crate) fn check(self, from: &[u8], end: Option<&[u8]>) -> Result<Range, Wrong> {
        let mut items = Vec::with_capacity(self.kvs.len());
        for raw in self.kvs {
            let key = raw.key.0;
            let asked = match end {
                None => key == from,
                Some(end) => key.as_slice() >= from && (end == [0] || key.as_slice() < end),
            };
            if !asked {
                return Err("a key that was not asked for".to_owned());
            }
            let (create, modified, version) = (raw.create_revision.0, raw.mod_revision.0, raw.version.0);
            if create < 1 || modified < create || version < 1 {
                return Err(format!(
                    "a key made at revision {create}, changed at {modified}, of version {version}"
                ));
            }
            items.push(KeyValue {
                key,
                value: raw.value.0,
                create_revision: Revision(create),
                mod_revision: Revision(modified),
                version,
                lease: LeaseId::new(raw.lease.0),
            });
        }
        let count = u64::try_from(self.count.0).map_err(|_| format!("a count of {}", self.count.0))?;
        if count < items.len() as u64 {
            return Err(format!("{} keys, and a count of {count}", items.len()));
        }
        Ok(Range { revision: revision(&self.header)?, items, count })
    }
}

#[derive(Serialize)]
pub(crate) struct PutRequest {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lease: Option<Number>,
}

#[derive(Serialize)]
pub(crate) struct DeleteRequest {
    pub(crate) key: Bytes,
}

/// Of a put, of a revocation: that it was done.
#[derive(Debug, Deserialize)]
pub(crate) struct Done {
    header: Header,
}

impl Done {
    pub(crate) fn check(&self) -> Result<Revision, Wrong> {
        revision(&self.header)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteAnswer {
    #[serde(default)]
    header: Header,
    #[serde(default)]
    deleted: Number,
}

impl DeleteAnswer {
    pub(crate) fn check(&self) -> Result<u64, Wrong> {
        revision(&self.header)?;
        u64::try_from(self.deleted.0).map_err(|_| format!("{} keys deleted", self.deleted.0))
    }
}

// --- Transactions.

#[derive(Serialize)]
pub(crate) struct TransactionRequest {
    compare: Vec<CompareRequest>,
    success: Vec<OperationRequest>,
    failure: Vec<OperationRequest>,
}

#[derive(Serialize)]
struct CompareRequest {
    result: &'static str,
    target: &'static str,
    key: Bytes,
    #[serde(flatten)]
    operand: Operand,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Operand {
    CreateRevision(Number),
    ModRevision(Number),
    Version(Number),
    Value(Bytes),
}

#[derive(Serialize)]
enum OperationRequest {
    #[serde(rename = "request_range")]
    Range(RangeRequest),
    #[serde(rename = "request_put")]
    Put(PutRequest),
    #[serde(rename = "request_delete_range")]
    Delete(DeleteRequest),
}

impl TransactionRequest {
    pub(crate) fn new(compares: &[Compare], success: &[Operation], failure: &[Operation]) -> Self {
        let operations = |list: &[Operation]| list.iter().map(OperationRequest::new).collect();
        Self {
            compare: compares.iter().map(CompareRequest::new).collect(),
            success: operations(success),
            failure: operations(failure),
        }
    }
}

impl CompareRequest {
    fn new(compare: &Compare) -> Self {
        let (target, key, operand) = match compare {
            Compare::CreateRevision { key, equals } => {
                ("CREATE", key, Operand::CreateRevision(Number(equals.0)))
            }
            Compare::ModRevision { key, equals } => ("MOD", key, Operand::ModRevision(Number(equals.0))),
            Compare::Version { key, equals } => ("VERSION", key, Operand::Version(Number(*equals))),
            Compare::Value { key, equals } => ("VALUE", key, Operand::Value(Bytes(equals.clone()))),
        };
        Self { result: "EQUAL", target, key: Bytes(key.clone()), operand }
    }
}

impl OperationRequest {
    fn new(operation: &Operation) -> Self {
        match operation {
            Operation::Get { key } => {
                Self::Range(RangeRequest { key: Bytes(key.clone()), range_end: None, limit: None })
            }
            Operation::Put { key, value, lease } => Self::Put(PutRequest {
                key: Bytes(key.clone()),
                value: Bytes(value.clone()),
                lease: lease.map(|lease| Number(lease.number())),
            }),
            Operation::Delete { key } => Self::Delete(DeleteRequest { key: Bytes(key.clone()) }),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct TransactionAnswer {
    header: Header,
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    responses: Vec<OperationAnswer>,
}

#[derive(Debug, Deserialize)]
enum OperationAnswer {
    #[serde(rename = "response_range")]
    Range(RangeAnswer),
    #[serde(rename = "response_put")]
    Put(de::IgnoredAny),
    #[serde(rename = "response_delete_range")]
    Delete(InnerDelete),
}

#[derive(Debug, Deserialize)]
struct InnerDelete {
    #[serde(default)]
    deleted: Number,
}

impl TransactionAnswer {
    /// Checked against what was asked: as many answers as operations, each of its kind.
    pub(crate) fn check(self, success: &[Operation], failure: &[Operation]) -> Result<Outcome, Wrong> {
        let revision = revision(&self.header)?;
        let asked = if self.succeeded { success } else { failure };
        if self.responses.len() != asked.len() {
            return Err(format!("{} answers to {} operations", self.responses.len(), asked.len()));
        }
        let mut answers = Vec::with_capacity(asked.len());
        for (operation, answer) in asked.iter().zip(self.responses) {
            answers.push(match (operation, answer) {
                (Operation::Get { key }, OperationAnswer::Range(mut range)) => {
                    // The answers inside have revisions of their own that may be 0; the transaction's serves.
                    range.header.revision = Number(revision.0);
                    Answer::Got(range.check(key, None)?.items.pop())
                }
                (Operation::Put { .. }, OperationAnswer::Put(_)) => Answer::Put,
                (Operation::Delete { .. }, OperationAnswer::Delete(inner)) => {
                    let deleted = inner.deleted.0;
                    Answer::Deleted(u64::try_from(deleted).map_err(|_| format!("{deleted} keys deleted"))?)
                }
                _ => return Err("an answer to another kind of operation".to_owned()),
            });
        }
        Ok(Outcome { succeeded: self.succeeded, revision, answers })
    }
}

// --- Leases.

#[derive(Serialize)]
pub(crate) struct GrantRequest {
    #[serde(rename = "TTL")]
    pub(crate) ttl: Number,
}

#[derive(Serialize)]
pub(crate) struct LeaseRequest {
    #[serde(rename = "ID")]
    pub(crate) id: Number,
}

/// Of a grant, of a keepalive, of a question for the time to live.
#[derive(Debug, Deserialize)]
pub(crate) struct LeaseAnswer {
    #[serde(rename = "ID")]
    pub(crate) id: Number,
    /// Left out or not above 0: the lease is gone.
    #[serde(rename = "TTL", default)]
    pub(crate) ttl: Number,
    #[serde(rename = "grantedTTL", default)]
    pub(crate) granted: Number,
}

/// A keepalive is a stream of answers, each in an envelope.
#[derive(Debug, Deserialize)]
pub(crate) struct KeepAliveAnswer {
    pub(crate) result: LeaseAnswer,
}

// --- The endpoint itself.

#[derive(Serialize)]
pub(crate) struct StatusRequest {}

#[derive(Debug, Deserialize)]
pub(crate) struct StatusAnswer {
    pub(crate) header: Header,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) leader: Number,
}

// --- Refusals.

/// An error as the gateway says it: flat, or, of a stream, in an object.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    error: Option<RefusalError>,
    #[serde(default)]
    code: Option<i64>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RefusalError {
    Text(String),
    Object {
        #[serde(default, alias = "grpc_code")]
        code: Option<i64>,
        #[serde(default)]
        message: Option<String>,
    },
}

impl Refusal {
    /// The code and etcd's words; none if this is no refusal.
    pub(crate) fn parts(self) -> Option<(i64, String)> {
        /// Nobody needs more of a message.
        const MESSAGE_CHARS_MAX: usize = 300;
        let (code, message) = match self.error {
            Some(RefusalError::Object { code, message }) => (code.or(self.code)?, message.or(self.message)),
            Some(RefusalError::Text(text)) => (self.code?, self.message.or(Some(text))),
            None => (self.code?, self.message),
        };
        Some((code, message.unwrap_or_default().chars().take(MESSAGE_CHARS_MAX).collect()))
    }
}

/// Every answer of etcd's tells the store's revision, and a store begins with 1.
fn revision(header: &Header) -> Result<Revision, Wrong> {
    match header.revision.0 {
        revision @ 1.. => Ok(Revision(revision)),
        other => Err(format!("a revision of {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_the_gateway_reads_them() {
        let request = TransactionRequest::new(
            &[Compare::absent("k"), Compare::mod_revision("k", Revision(1 << 60)), Compare::value("k", "v")],
            &[Operation::put("k", "v", LeaseId::new(-7)), Operation::delete("d")],
            &[Operation::get("k")],
        );
        let expected = r#"{"compare":[{"result":"EQUAL","target":"CREATE","key":"aw==","create_revision":"0"},{"result":"EQUAL","target":"MOD","key":"aw==","mod_revision":"1152921504606846976"},{"result":"EQUAL","target":"VALUE","key":"aw==","value":"dg=="}],"success":[{"request_put":{"key":"aw==","value":"dg==","lease":"-7"}},{"request_delete_range":{"key":"ZA=="}}],"failure":[{"request_range":{"key":"aw=="}}]}"#;
        assert_eq!(serde_json::to_string(&request).unwrap(), expected);
    }

    #[test]
    fn numbers_are_read_as_strings_and_as_numbers() {
        let read = |text: &str| serde_json::from_str::<Number>(text).map(|number| number.0);
        assert_eq!(read(r#""-5""#).unwrap(), -5);
        assert_eq!(read("7").unwrap(), 7);
        assert_eq!(read(r#""18446744073709551615""#).unwrap(), -1);
        assert!(read(r#""1e3""#).is_err());
        assert!(read("null").is_err());
        assert!(read("1.5").is_err());
    }

    #[test]
    fn what_contradicts_the_question_is_no_answer() {
        let range = |text: &str| {
            serde_json::from_str::<RangeAnswer>(text).map_err(|e| e.to_string())?.check(b"k", None)
        };
        let whole = r#"{"header":{"revision":"9"},"kvs":[{"key":"aw==","create_revision":"3","mod_revision":"5","version":"2","value":"dg=="}],"count":"1"}"#;
        assert_eq!(range(whole).unwrap().items[0].value, b"v");
        assert!(range(&whole.replace("aw==", "ZA==")).unwrap_err().contains("not asked for"));
        assert!(range(&whole.replace(r#""5""#, r#""2""#)).unwrap_err().contains("changed at 2"));
        assert!(
            range(&whole.replace(r#""count":"1""#, r#""count":"0""#)).unwrap_err().contains("count of 0")
        );
        assert!(range(&whole.replace("dg==", "dg=")).unwrap_err().contains("base64"));
        assert!(range("{}").unwrap_err().contains("revision of 0"));

        let get = [Operation::get("k")];
        let answer = |text: &str| serde_json::from_str::<TransactionAnswer>(text).unwrap().check(&get, &[]);
        let failed = r#"{"header":{"revision":"9"}}"#;
        assert!(!answer(failed).unwrap().succeeded);
        let short = r#"{"header":{"revision":"9"},"succeeded":true}"#;
        assert_eq!(answer(short).unwrap_err(), "0 answers to 1 operations");
        let other = r#"{"header":{"revision":"9"},"succeeded":true,"responses":[{"response_put":{}}]}"#;
        assert!(answer(other).unwrap_err().contains("another kind"));
    }

    #[test]
    fn refusals_are_read_flat_and_from_a_stream() {
        let read = |text: &str| serde_json::from_str::<Refusal>(text).unwrap().parts();
        let flat = r#"{"error":"etcdserver: no","code":5,"message":"etcdserver: no"}"#;
        assert_eq!(read(flat), Some((5, "etcdserver: no".to_owned())));
        let stream = r#"{"error":{"grpc_code":14,"http_code":503,"message":"m","http_status":"s"}}"#;
        assert_eq!(read(stream), Some((14, "m".to_owned())));
        assert_eq!(read(r#"{"code":3,"message":"m","details":[]}"#), Some((3, "m".to_owned())));
        assert_eq!(read(r#"{"result":{}}"#), None);
        let long = format!(r#"{{"code":3,"message":"{}"}}"#, "x".repeat(5_000));
        assert_eq!(read(&long).unwrap().1.len(), 300);
    }
}
