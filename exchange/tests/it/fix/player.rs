//! Plays scripts of FIX conversations, in the format of QuickFIX's acceptance tests, against an exchange.
//!
//! A line is a step; what begins with `#` is a comment. Fields are divided by SOH. `n,` behind the letter names a connection; it
//! is 1 where none is.
//!
//! | step | |
//! |---|---|
//! | `iCONNECT`, `iDISCONNECT` | opens a connection, closes it |
//! | `eDISCONNECT` | the exchange must close it, without another word |
//! | `I8=FIX.4.4…` | says a message. `<TIME>` and `<TIME+n>` are the time; BodyLength and CheckSum come by themselves |
//! | `E8=FIX.4.4…` | must be the next message: the same fields in any order. `*` is any value, and so are times |
//!
//! Ours besides: `iWATCH` opens a connection for market data; `iKILL` and `iSTOP` end the exchange by SIGKILL and SIGTERM, `iSTART` starts it on the same data; `iSLOWLY` and
//! `iTOGETHER` send what is said from here on a byte at a time, or with the next; `iWAIT n` waits for n seconds.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use domain::Nanos;
use wire::fix::{Frame, TimePrecision, Writer, frame};

use crate::venue::{HUNG, Home, Venue};

const SOH: char = '\x01';
/// Fields that hold a time or are made from the rest.
const VOLATILE: [&str; 6] = ["9", "10", "52", "60", "122", "42"];
/// What a message that does not come is waited for; longer than it may take to say that it is silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection of a script.
struct Line {
    stream: TcpStream,
    inbox: Vec<u8>,
    /// Said, and not sent yet.
    together: Vec<u8>,
}

/// A script that is being played.
pub(crate) struct Player<'a> {
    home: &'a Home,
    venue: Option<Venue>,
    lines: BTreeMap<u8, Line>,
    slowly: bool,
    together: bool,
}

/// A step that did not go as written.
pub(crate) type Failed = String;

impl<'a> Player<'a> {
    /// Plays against this exchange, which it may end and start again.
    pub(crate) fn new(home: &'a Home, venue: Venue) -> Self {
        Self { home, venue: Some(venue), lines: BTreeMap::new(), slowly: false, together: false }
    }

    /// Plays a script. Gives the exchange back.
    pub(crate) fn play(mut self, script: &str) -> Result<Venue, (usize, Failed)> {
        for (number, step) in (1..).zip(script.lines()) {
            let step = step.trim_end_matches(['\r', '\n']);
            if step.is_empty() || step.starts_with('#') {
                continue;
            }
            self.step(step).map_err(|failed| (number, format!("{}: {failed}", shown(step))))?;
        }
        self.venue.take().ok_or((0, "the script leaves no exchange".into()))
    }

    fn step(&mut self, step: &str) -> Result<(), Failed> {
        let (kind, rest) = step.split_at(1);
        let (connection, rest) = match rest.split_once(',') {
            Some((number, rest)) if number.parse::<u8>().is_ok() => (number.parse().unwrap_or(1), rest),
            _ => (1, rest),
        };
        match (kind, rest) {
            ("i", "CONNECT") => {
                let address = self.venue.as_ref().and_then(|venue| venue.fix);
                self.connect(connection, address)
            }
            ("i", "WATCH") => {
                let address = self.venue.as_ref().and_then(Venue::market_data);
                self.connect(connection, address)
            }
            ("i", "DISCONNECT") => {
                self.lines.remove(&connection);
                Ok(())
            }
            ("i", "KILL") => {
                self.venue.take().ok_or("there is none")?.kill();
                Ok(())
            }
            ("i", "STOP") => {
                self.venue.take().ok_or("there is none")?.stop();
                Ok(())
            }
            ("i", "START") => {
                self.venue = Some(self.home.start());
                Ok(())
            }
            ("i", "SLOWLY") => {
                self.slowly = true;
                Ok(())
            }
            ("i", "TOGETHER") => {
                self.together = true;
                Ok(())
            }
            ("i", wait) if wait.starts_with("WAIT ") => {
                std::thread::sleep(Duration::from_secs(wait[5..].parse().map_err(|_| "no number")?));
                Ok(())
            }
            ("e", "DISCONNECT") => self.must_close(connection),
            ("I", message) => {
                let message = Self::filled(message);
                self.say(connection, &message)
            }
            ("E", message) => {
                let message = Self::filled(message);
                self.must_hear(connection, &message)
            }
            _ => Err("no such step".into()),
        }
    }

    fn connect(&mut self, connection: u8, address: Option<SocketAddr>) -> Result<(), Failed> {
        let address = address.ok_or("no exchange listens")?;
        let stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        self.lines.insert(connection, Line { stream, inbox: Vec::new(), together: Vec::new() });
        Ok(())
    }

    /// With the time where it belongs.
    fn filled(text: &str) -> String {
        let mut text = text.to_owned();
        while let Some(begin) = text.find("<TIME")
            && let Some(length) = text[begin..].find('>')
        {
            let shift: i64 = text[begin + 5..begin + length].parse().unwrap_or(0);
            text.replace_range(begin..=begin + length, &time(shift));
        }
        text
    }

    fn say(&mut self, connection: u8, message: &str) -> Result<(), Failed> {
        let (slowly, together) = (self.slowly, self.together);
        let line = self.lines.get_mut(&connection).ok_or("not connected")?;
        let bytes = sealed(message);
        if together {
            // With the next one.
            line.together.extend_from_slice(&bytes);
            self.together = false;
            return Ok(());
        }
        let bytes = [std::mem::take(&mut line.together), bytes].concat();
        let sent = if slowly {
            bytes.iter().try_for_each(|byte| line.stream.write_all(&[*byte]))
        } else {
            line.stream.write_all(&bytes)
        };
        sent.map_err(|error| error.to_string())
    }

    /// The next message that comes; `None` at the end.
    fn heard(&mut self, connection: u8) -> Result<Option<String>, Failed> {
        let line = self.lines.get_mut(&connection).ok_or("not connected")?;
        loop {
            match frame(&line.inbox, 100_000) {
                Ok(Frame::Message(_, length)) => {
                    let message = String::from_utf8_lossy(&line.inbox[..length]).into_owned();
                    line.inbox.drain(..length);
                    return Ok(Some(message));
                }
                Ok(Frame::Incomplete) => {}
                _ => return Err(format!("no message: {}", String::from_utf8_lossy(&line.inbox))),
            }
            let mut bytes = [0; 4_096];
            match line.stream.read(&mut bytes) {
                Ok(0) if line.inbox.is_empty() => return Ok(None),
                Ok(0) => return Err("half a message".into()),
                Ok(n) => line.inbox.extend_from_slice(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err("nothing comes".into());
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn must_close(&mut self, connection: u8) -> Result<(), Failed> {
        match self.heard(connection)? {
            None => {
                self.lines.remove(&connection);
                Ok(())
            }
            Some(message) => Err(format!("it says {}", shown(&message))),
        }
    }

    fn must_hear(&mut self, connection: u8, expected: &str) -> Result<(), Failed> {
        let Some(heard) = self.heard(connection)? else { return Err("it closes the connection".into()) };
        let (want, have) = (fields(expected), fields(&heard));
        for (tag, values) in &want {
            let Some(found) = have.get(tag) else {
                return Err(format!("lacks {tag}={}: {}", values.join(","), shown(&heard)));
            };
            let is_volatile = VOLATILE.contains(&tag.as_str());
            let same = |(found, value): (&String, &String)| found == value || value == "*" || is_volatile;
            if found.len() != values.len() || !found.iter().zip(values).all(same) {
                let (found, values) = (found.join(","), values.join(","));
                return Err(format!("{tag}={found} instead of {values}: {}", shown(&heard)));
            }
        }
        for tag in have.keys().filter(|tag| !["9", "10"].contains(&tag.as_str())) {
            if !want.contains_key(tag) {
                return Err(format!("has {tag}={} besides: {}", have[tag].join(","), shown(&heard)));
            }
        }
        Ok(())
    }
}

/// A script in which one value that a message must have is another one, or a field must be there that is not: played, it must
/// fail. `which` chooses among all there are; `None` when there are not so many.
pub(crate) fn mutated(script: &str, which: usize) -> Option<String> {
    let mut seen = 0;
    let mut lines: Vec<String> = script.lines().map(ToOwned::to_owned).collect();
    for line in &mut lines {
        if !line.starts_with('E') {
            continue;
        }
        let message = line.find("8=").map_or("", |at| &line[at..]);
        for (tag, value) in fields(message)
            .into_iter()
            .flat_map(|(tag, values)| values.into_iter().map(move |value| (tag.clone(), value)))
        {
            if value == "*" || VOLATILE.contains(&tag.as_str()) || tag == "8" {
                continue;
            }
            if seen == which {
                let (from, to) = (format!("{SOH}{tag}={value}{SOH}"), format!("{SOH}{tag}={value}0{SOH}"));
                *line = line.replacen(&from, &to, 1);
                return Some(lines.join("\n"));
            }
            seen += 1;
        }
    }
    None
}

/// The values of each field, in their order.
fn fields(message: &str) -> BTreeMap<String, Vec<String>> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tag, value) in message.split(SOH).filter_map(|field| field.split_once('=')) {
        fields.entry(tag.to_owned()).or_default().push(value.to_owned());
    }
    fields
}

fn shown(message: &str) -> String {
    message.replace(SOH, "|")
}

/// With a BodyLength and a CheckSum, where it has none.
fn sealed(message: &str) -> Vec<u8> {
    let Some((begin, rest)) = message.split_once(SOH).filter(|_| message.starts_with("8=")) else {
        return message.as_bytes().to_vec();
    };
    let mut text = if rest.starts_with("9=") {
        message.to_owned()
    } else {
        format!("{begin}{SOH}9={}{SOH}{rest}", rest.len())
    };
    if !rest.contains(&format!("{SOH}10=")) {
        let sum = text.bytes().fold(0u8, u8::wrapping_add);
        text += &format!("10={sum:03}{SOH}");
    }
    text.into_bytes()
}

/// The time, so many seconds from now, as FIX writes it.
fn time(shift: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = i64::try_from(now.as_nanos()).unwrap_or(0) + shift * 1_000_000_000;
    let mut out = Vec::new();
    let mut message = Writer::new(TimePrecision::Millis);
    let mut message = message.begin(&mut out, b"FIX.4.4", b"0");
    message.time(52, Nanos(nanos.unsigned_abs()));
    message.end();
    let text = String::from_utf8(out).unwrap_or_default();
    fields(&text).remove("52").and_then(|mut times| times.pop()).unwrap_or_default()
}

const _: () = assert!(PATIENCE.as_secs() < HUNG.as_secs());
