//! The link of a node that follows: looked for, read, lost.

use std::os::unix::fs::FileExt;

use cluster::{frame::Message, standby::Work};
use link::{Limits, Stream};
use log::{info, warn};
use mio::Token;

use super::{
    super::{boot_nanos, wire::Wire},
    Driver,
    own_journal::append,
};

const LINK: Token = Token(1);
/// From one attempt to find a leader to the next.
const RETRY_NANOS: u64 = 200_000_000;
/// Bytes of batches that a message may carry: those of a larger ring are refused by their geometry before.
const BYTES_MAX: usize = 1 << 30;

impl Driver {
    /// Looks for a leader, one peer after another.
    pub(super) fn connect(&mut self) {
        let now = boot_nanos();
        if self.link.is_some() || now < self.next_try_nanos || self.of.node.peers.is_empty() {
            return;
        }
        self.next_try_nanos = now + RETRY_NANOS;
        let address = self.of.node.peers[self.next_peer % self.of.node.peers.len()];
        self.next_peer += 1;
        let stream =
            Stream::connect(address, &self.of.node.identity, &self.of.node.peer(), Limits::default(), now);
        let registered = stream.map_err(|error| error.to_string()).and_then(|mut stream| {
            stream.register(self.poll.registry(), LINK).map_err(|error| error.to_string())?;
            Ok(stream)
        });
        match registered {
            Ok(stream) => self.link = Some(Wire::new(stream, BYTES_MAX)),
            Err(why) => self.say(format!("{address}: {why}")),
        }
    }

    /// Says something once, until something else is to be said.
    fn say(&mut self, text: String) {
        if self.said.as_ref() != Some(&text) {
            warn!("replication: {text}");
            self.said = Some(text);
        }
    }

    /// Reads what the leader says, and does what it brings. Says whether there may be more at once.
    pub(super) fn listen(&mut self) -> Result<bool, String> {
        let Some(wire) = &mut self.link else { return Ok(false) };
        let was_handshaking = wire.stream.is_handshaking();
        let now = boot_nanos();
        let step = wire
            .stream
            .check_time(now)
            .map_err(|error| error.to_string())
            .and_then(|()| wire.read())
            .and_then(
                |again| if was_handshaking { wire.flush().map(|more| again | more) } else { Ok(again) },
            );
        let more = match step {
            Ok(more) => more,
            Err(why) => {
                self.lose_link(&why);
                return Ok(false);
            }
        };
        if was_handshaking && !wire.stream.is_handshaking() {
            let address = wire.stream.address();
            self.said = None;
            info!("replication: {} answers at {address}", self.of.node.peer());
            self.handed_over = false;
            self.machine.link_up(now);
            self.act()?;
        }
        while let Self { link: Some(wire), machine, journal, incoming, .. } = self {
            let bytes = match wire.peek() {
                Ok(None) => {
                    if let Some(why) = wire.ended().map(ToOwned::to_owned) {
                        self.lose_link(&why);
                    }
                    break;
                }
                Ok(Some((message, bytes))) => {
                    if let Message::Refused(refused) = &message {
                        let text = format!("refused by the other node: {}", refused.text);
                        if self.said.as_ref() != Some(&text) {
                            warn!("replication: {text}");
                            self.said = Some(text);
                        }
                    }
                    match machine.on_message(boot_nanos(), &message) {
                        None => {}
                        Some(Work::Append { at, bytes }) => append(journal, machine, at, bytes)?,
                        Some(Work::Piece { offset, bytes }) => {
                            if let Some(file) = incoming
                                && let Err(error) = file.write_all_at(bytes, offset)
                            {
                                return Err(format!("writing the snapshot that is being received: {error}"));
                            }
                        }
                    }
                    if let Message::Heartbeat(heartbeat) = &message
                        && machine.follows() == Some(heartbeat.epoch)
                    {
                        self.needs.here(Some(heartbeat.durable));
                    }
                    bytes
                }
                Err(why) => {
                    self.lose_link(&why);
                    break;
                }
            };
            wire.taken(bytes);
            self.act()?;
        }
        Ok(more)
    }

    /// Closes the link, if one is up.
    pub(super) fn close_link(&mut self) {
        if let Some(mut wire) = self.link.take() {
            self.needs.gone();
            // What was queued is sent if it can be at once; the peer does without otherwise.
            let _ = wire.stream.close();
            self.next_try_nanos = boot_nanos() + RETRY_NANOS;
        }
    }

    pub(super) fn lose_link(&mut self, why: &str) {
        if let Some(wire) = self.link.take() {
            self.say(format!("{}: {why}", wire.stream.address()));
            self.needs.gone();
            self.machine.link_down();
            self.next_try_nanos = boot_nanos() + RETRY_NANOS;
        }
    }

    pub(super) fn flush(&mut self) {
        if let Some(wire) = &mut self.link
            && let Err(why) = wire.flush()
        {
            self.lose_link(&why);
        }
    }
}
