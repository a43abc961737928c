//! A session's way to the exchange: requests become messages of its protocol, and messages answers.

mod fix;
mod ids;
mod soup;
mod template;

use std::{net::SocketAddr, time::Duration};

use client::{ClientError, Tls, User, soup::Message};
use domain::{Instrument, Nanos};
use mio::net::TcpStream;

use crate::{Protocol, request::Request, tracker::Answer};

/// One session, logged in.
#[derive(Debug)]
pub(crate) enum Line {
    Soup(Box<soup::SoupLine>),
    Fix(Box<fix::FixLine>),
}

/// What the exchange said.
pub(crate) struct Heard<'a> {
    /// What it means for an order of this run; `None` when it is about none.
    pub(crate) answer: Option<Answer>,
    /// The message, where it can be kept for an audit.
    pub(crate) message: Option<Message<'a>>,
}

/// Whom to connect to, and how.
pub(crate) struct Way<'a> {
    pub(crate) protocol: &'a Protocol,
    pub(crate) target: SocketAddr,
    pub(crate) tls: Option<&'a Tls>,
    pub(crate) instruments: &'a [Instrument],
    /// Orders that are remembered.
    pub(crate) orders: usize,
    pub(crate) timeout: Duration,
}

impl Line {
    /// Connects and logs in.
    pub(crate) fn open(way: &Way<'_>, user: &User) -> Result<Self, ClientError> {
        Ok(match way.protocol {
            Protocol::Soup => Self::Soup(Box::new(soup::SoupLine::open(way, user)?)),
            Protocol::Fix { target, version } => {
                Self::Fix(Box::new(fix::FixLine::open(way, user, target, *version)?))
            }
        })
    }

    /// The socket, to be registered with a poller.
    pub(crate) fn stream(&mut self) -> &mut TcpStream {
        match self {
            Self::Soup(line) => line.connection.stream(),
            Self::Fix(line) => line.connection.stream(),
        }
    }

    /// Whether there is room for a request.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Self::Soup(line) => line.connection.room() >= client::soup::REQUEST_MAX,
            Self::Fix(line) => line.connection.room() >= client::fix::REQUEST_MAX,
        }
    }

    /// Bytes that wait to be written.
    pub(crate) fn unwritten(&self) -> usize {
        match self {
            Self::Soup(line) => line.connection.unwritten(),
            Self::Fix(line) => line.connection.unwritten(),
        }
    }

    /// Encodes a request, for which there is room.
    #[inline]
    pub(crate) fn encode(&mut self, request: &Request, now: Nanos) -> Result<(), ClientError> {
        match self {
            Self::Soup(line) => line.encode(request),
            Self::Fix(line) => line.encode(request, now),
        }
    }

    /// Writes what waits, as far as the kernel takes it; true when nothing waits any more.
    pub(crate) fn flush(&mut self) -> Result<bool, ClientError> {
        match self {
            Self::Soup(line) => line.connection.flush(),
            Self::Fix(line) => line.connection.flush(),
        }
    }

    /// Reads once what has arrived; true when there may be more.
    pub(crate) fn fill(&mut self) -> Result<bool, ClientError> {
        match self {
            Self::Soup(line) => line.connection.fill(),
            Self::Fix(line) => line.connection.fill(),
        }
    }

    /// The next message among what was read.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Heard<'_>>, ClientError> {
        match self {
            Self::Soup(line) => line.next(),
            Self::Fix(line) => line.next(),
        }
    }

    /// Sends a heartbeat when one is due.
    pub(crate) fn keep_alive(&mut self) -> Result<(), ClientError> {
        match self {
            Self::Soup(line) => line.connection.keep_alive(std::time::Instant::now()),
            Self::Fix(line) => line.connection.keep_alive(),
        }
    }

    /// Says goodbye, and does not wait.
    pub(crate) fn leave(&mut self) -> Result<(), ClientError> {
        match self {
            Self::Soup(line) => line.connection.logout(),
            Self::Fix(line) => line.connection.leave(),
        }
    }

    /// Waits until the goodbye is answered, if it is to be: until then a FIX user is not let in again.
    pub(crate) fn has_left(&mut self, timeout: Duration) -> Result<(), ClientError> {
        match self {
            Self::Soup(_) => Ok(()),
            Self::Fix(line) => line.connection.logout(timeout),
        }
    }
}
