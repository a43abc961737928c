//! `[fix]`: where clients that speak FIX come, and how.

use std::{net::SocketAddr, time::Duration};

use gateway::fix::Settings;
use link::clients::ServerFiles;
use serde::Deserialize;
use wire::fix::TimePrecision;

use super::{TlsFile, time_of_day, tls};

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FixFile {
    pub(super) address: String,
    pub(super) comp_id: String,
    pub(super) heartbeat_s: [u32; 2],
    pub(super) times: String,
    pub(super) roll_over_utc: String,
    pub(super) roll_over_news_s: Vec<u32>,
    pub(super) stop_news_s: u32,
    pub(super) orders_per_s: u32,
    pub(super) tls: TlsFile,
}

impl Default for FixFile {
    fn default() -> Self {
        Self {
            address: String::new(),
            comp_id: "FULCRUM".into(),
            heartbeat_s: [1, 300],
            times: "ms".into(),
            roll_over_utc: String::new(),
            roll_over_news_s: vec![600, 60, 10],
            stop_news_s: 0,
            orders_per_s: 0,
            tls: TlsFile::default(),
        }
    }
}

/// Where clients that speak FIX come, and how.
#[derive(Clone, Debug)]
pub(crate) struct Fix {
    pub(crate) address: SocketAddr,
    pub(crate) comp_id: String,
    /// The lowest and the highest HeartBtInt, in seconds.
    pub(crate) heartbeat: (u32, u32),
    pub(crate) precision: TimePrecision,
    /// When the sessions' numbers begin anew, each day, since midnight UTC.
    pub(crate) roll_over: Option<Duration>,
    /// How long before that clients are told.
    pub(crate) roll_over_news: Vec<Duration>,
    /// How long clients are told of a stop before it begins.
    pub(crate) stop_news: Duration,
    /// 0 for any number.
    pub(crate) orders_per_second: u32,
    pub(crate) tls: Option<ServerFiles>,
}

pub(super) fn fix(file: &FixFile) -> Result<Option<Fix>, String> {
    if file.address.is_empty() {
        return Ok(None);
    }
    let address = file.address.parse().map_err(|_| {
        format!("fix.address: \"{}\" is no address and port, such as 127.0.0.1:9002", file.address)
    })?;
    comp_id("fix.comp_id", &file.comp_id)?;
    let Settings { heartbeat, precision } = fix_session(file)?;
    let tls = tls("fix.tls", &file.tls)?;
    let roll_over = time_of_day("fix.roll_over_utc", &file.roll_over_utc)?;
    if file.roll_over_news_s.len() > 16
        || file.roll_over_news_s.iter().any(|before| *before == 0 || *before >= 86_400)
    {
        return Err("fix.roll_over_news_s: up to 16 times of 1 s to a day before the roll-over".into());
    }
    let seconds = |seconds: &u32| Duration::from_secs(u64::from(*seconds));
    if file.stop_news_s > 3_600 {
        return Err(format!("fix.stop_news_s: {} s is more than an hour", file.stop_news_s));
    }
    Ok(Some(Fix {
        address,
        comp_id: file.comp_id.clone(),
        heartbeat,
        precision,
        roll_over,
        roll_over_news: file.roll_over_news_s.iter().map(seconds).collect(),
        stop_news: seconds(&file.stop_news_s),
        orders_per_second: file.orders_per_s,
        tls,
    }))
}

/// How FIX sessions are driven.
pub(super) fn fix_session(file: &FixFile) -> Result<Settings, String> {
    let [least, most] = file.heartbeat_s;
    if least == 0 || most < least {
        return Err(format!("fix.heartbeat_s: [{least}, {most}] holds no interval of 1 s or more"));
    }
    let precision = match file.times.as_str() {
        "s" => TimePrecision::Seconds,
        "ms" => TimePrecision::Millis,
        "us" => TimePrecision::Micros,
        "ns" => TimePrecision::Nanos,
        other => return Err(format!("fix.times: no such choice \"{other}\": use s, ms, us or ns")),
    };
    Ok(Settings { heartbeat: (least, most), precision })
}

/// That a name can stand in a CompID.
pub(super) fn comp_id(key: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{key}: printable ASCII characters, no space"));
    }
    Ok(())
}
