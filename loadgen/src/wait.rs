//! Waiting for sockets and due times at once.
//!
//! The poller's own timeout counts milliseconds, which is ten orders too coarse at 10,000 orders a second. A timer
//! of the kernel (timerfd) that the poller watches as it watches the sockets counts nanoseconds.

use core::time::Duration;
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream, unix::SourceFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::Wait;

/// The timer's token; sockets have their session's index.
const TIMER: Token = Token(usize::MAX);

/// What a socket is ready for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The other side has closed, or the socket has failed: this is said once, though there may be bytes to be read before the
    /// end shows.
    pub(crate) is_over: bool,
}

/// A poller over sockets and a timer.
#[derive(Debug)]
pub(crate) struct Waiter {
    poll: Poll,
    events: Events,
    timer: OwnedFd,
    wait: Wait,
    /// When the timer goes off, in nanoseconds since the start; 0 when it is not set.
    armed: u64,
}

impl Waiter {
    pub(crate) fn new(wait: Wait) -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        poll.registry().register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)?;
        Ok(Self { poll, events: Events::with_capacity(256), timer, wait, armed: 0 })
    }

    /// Watches a socket.
    pub(crate) fn watch(&mut self, stream: &mut TcpStream, session: usize) -> io::Result<()> {
        self.poll.registry().register(stream, Token(session), Interest::READABLE | Interest::WRITABLE)
    }

    /// Waits until `until` (at once when it is not after `now`) or until a socket has something, and calls `ready`
    /// with the index of each socket that has, and what. When spinning, only looks.
    pub(crate) fn wait(
        &mut self,
        now: u64,
        until: u64,
        mut ready: impl FnMut(usize, Ready),
    ) -> io::Result<()> {
        let timeout = if until <= now || self.wait == Wait::Spin {
            Some(Duration::ZERO)
        } else {
            // Setting it anew also clears that it went off: nothing needs to be read from it.
            if self.armed != until || self.armed <= now {
                let after = Duration::from_nanos(until - now);
                let spec = Itimerspec {
                    it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
                    it_value: Timespec::try_from(after).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 }),
                };
                timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec)?;
                self.armed = until;
            }
            None
        };
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            if event.token() == TIMER {
                self.armed = 0;
            } else {
                let is_over = event.is_error() || event.is_read_closed() || event.is_write_closed();
                let ready_for = Ready {
                    readable: event.is_readable() || is_over,
                    writable: event.is_writable(),
                    is_over,
                };
                ready(event.token().0, ready_for);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_due_time_wakes_without_any_socket() {
        let mut waiter = Waiter::new(Wait::Block).unwrap();
        for round in 0..3 {
            // Returns: that is all that can be said without a clock.
            waiter
                .wait(round * 10_000, round * 10_000 + 5_000, |_, _| panic!("no socket is watched"))
                .unwrap();
        }
        waiter.wait(10, 10, |_, _| {}).unwrap();
        waiter.wait(10, 5, |_, _| {}).unwrap();
    }
}
