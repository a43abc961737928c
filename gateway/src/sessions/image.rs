//! Sessions as a snapshot holds them, and back.
//!
//! What is in flight is in no image: it is taken when every command has been answered and every answer
//! numbered, and whoever takes it earlier is told so. An image that is restored comes from outside: what
//! cannot be is an error.

use std::borrow::Cow;

use domain::{ClientRef, Protocol, SessionId, UserName};
use journal::session_log::SessionIndex;

use super::{FixImage, FixState, Session, Sessions, copies::Watcher};
use crate::orders::{LiveOrder, OrderTable};

/// All of a session, at a moment when nothing is in flight.
#[derive(Clone, Debug)]
pub struct SessionImage<'a> {
    /// Whose it is.
    pub user: UserName,
    /// What it speaks.
    pub protocol: Protocol,
    /// The highest number that an order has used up.
    pub consumed: ClientRef,
    /// Its live orders, by its number for them, rising.
    pub orders: Vec<(ClientRef, LiveOrder)>,
    /// Who is told what its orders do, rising.
    pub watchers: Vec<SessionId>,
    /// What a FIX session has besides; every other has none.
    pub fix: Option<FixImage>,
    /// Where its outbound messages stand in the log.
    pub log: Cow<'a, SessionIndex>,
}

/// Why there is no image, or none that a session could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// A replacement of this session has not been answered, or a recovery is not over.
    InFlight(SessionId),
    /// Its orders are not in the order of their numbers.
    Order(SessionId, ClientRef),
    /// An order has a number that has not been used up.
    Unused(SessionId, ClientRef),
}

impl std::fmt::Display for ImageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::InFlight(session) => write!(f, "session {session} has something in flight"),
            Self::Order(session, number) => write!(f, "session {session}: order {number} is out of its turn"),
            Self::Unused(session, number) => {
                write!(f, "session {session}: order {number} has a number that was never used")
            }
        }
    }
}

impl std::error::Error for ImageError {}

impl Sessions {
    /// An image of each session, in their order.
    ///
    /// # Errors
    /// When something is in flight.
    pub fn images(&self) -> Result<Vec<SessionImage<'_>>, ImageError> {
        self.iter()
            .map(|(id, session)| {
                if !session.replacing.is_empty() || !session.asked.is_empty() || self.caught_up().is_err() {
                    return Err(ImageError::InFlight(id));
                }
                let fix = match session.fix.as_deref().map(FixState::image) {
                    Some(None) => return Err(ImageError::InFlight(id)),
                    image => image.flatten(),
                };
                Ok(SessionImage {
                    fix,
                    watchers: session.watchers().collect(),
                    user: session.user,
                    protocol: session.protocol,
                    consumed: session.consumed,
                    orders: session.orders.iter().map(|(number, order)| (number, *order)).collect(),
                    log: Cow::Borrowed(&session.log),
                })
            })
            .collect()
    }

    /// The sessions that were imaged. They go on as if they had never stopped.
    ///
    /// # Errors
    /// When no sessions have these images.
    pub fn restore<'a>(images: impl IntoIterator<Item = SessionImage<'a>>) -> Result<Self, ImageError> {
        let mut sessions = Self::new();
        for (image, id) in images.into_iter().zip((0..).map(SessionId)) {
            let mut orders = OrderTable::default();
            let mut before = None;
            for (number, order) in image.orders {
                if Some(number) <= before {
                    return Err(ImageError::Order(id, number));
                }
                if number > image.consumed {
                    return Err(ImageError::Unused(id, number));
                }
                orders.insert(number, order);
                before = Some(number);
            }
            let fix = image.fix.map(|fix| Box::new(FixState::restore(fix, orders.iter())));
            sessions.sessions.push(Session {
                orders,
                consumed: image.consumed,
                log: image.log.into_owned(),
                watchers: image.watchers.into_iter().map(Watcher::from_before).collect(),
                fix,
                ..Session::new(image.user, image.protocol)
            });
        }
        for at in 0..sessions.sessions.len() {
            let watchers: Vec<_> = sessions.sessions[at].watchers().collect();
            for watcher in watchers {
                if let Some(session) = sessions.sessions.get_mut(watcher.0 as usize) {
                    session.watches += 1;
                }
            }
        }
        Ok(sessions)
    }
}

#[cfg(test)]
mod tests {
    use domain::{
        ClientOrderId, Command, Echo, EnterOrder, InstrumentId, Nanos, OrderId, OrderType, Owner, Price,
        Quantity, ReplaceOrder, ReplacePriority, Sequence, Sequenced, SessionDefinition, Side, TimeInForce,
    };
    use journal::Position;

    use super::*;

    const OWNER: Owner = Owner { session: SessionId(0), client_ref: ClientRef(7) };

    fn sequenced(sequence: u64, command: Command) -> Sequenced<Command> {
        Sequenced { sequence: Sequence(sequence), nanos: Nanos(sequence), command }
    }

    fn order(number: u64) -> OrderId {
        OrderId::new(InstrumentId(0), number)
    }

    /// One session with one live order and one message.
    fn sessions() -> Sessions {
        let mut sessions = Sessions::new();
        let user = UserName::new(b"ALICE").unwrap();
        let definition = SessionDefinition { session: SessionId(0), user, protocol: Protocol::Ouch };
        sessions.define(&definition);
        sessions.on_command(&sequenced(1, Command::DefineSession(definition)), |_| Position(64));
        let enter = EnterOrder {
            order: order(1),
            owner: OWNER,
            account: domain::AccountId(0),
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Day,
            price: Price::new(5).unwrap(),
            quantity: Quantity(3),
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        };
        sessions.on_command(&sequenced(2, Command::Enter(enter)), |_| unreachable!("its book answers"));
        sessions
    }

    #[test]
    fn restored_sessions_are_the_same() {
        let sessions = sessions();
        let restored = Sessions::restore(sessions.images().unwrap()).unwrap();
        let (was, is) = (sessions.get(SessionId(0)).unwrap(), restored.get(SessionId(0)).unwrap());
        assert_eq!((is.user, is.last_ref(), is.next_number()), (was.user, ClientRef(7), 2));
        assert_eq!(is.position_of(1), Some(Position(64)));
        assert!(is.orders.iter().eq(was.orders.iter()));
        assert_eq!(is.order(ClientRef(7)), was.order(ClientRef(7)));
    }

    #[test]
    fn what_is_in_flight_is_in_no_image() {
        let mut sessions = sessions();
        let replace = ReplaceOrder {
            order: order(1),
            original: OWNER.client_ref,
            new_order: order(2),
            owner: Owner { client_ref: ClientRef(8), ..OWNER },
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Day,
            price: Price::new(6).unwrap(),
            total: Quantity(3),
            priority: ReplacePriority::Lose,
            client_order_id: ClientOrderId::BLANK,
            echo: Echo::default(),
        };
        sessions.on_command(&sequenced(3, Command::Replace(replace)), |_| unreachable!("its book answers"));
        assert_eq!(sessions.images().unwrap_err(), ImageError::InFlight(SessionId(0)));
    }

    #[test]
    fn what_no_session_has_is_refused() {
        let sessions = sessions();
        let image = || sessions.images().unwrap().remove(0);
        let twice = SessionImage { orders: [image().orders, image().orders].concat(), ..image() };
        let number = ClientRef(7);
        assert_eq!(Sessions::restore([twice]).unwrap_err(), ImageError::Order(SessionId(0), number));
        let unused = SessionImage { consumed: ClientRef(6), ..image() };
        assert_eq!(
            Sessions::restore([image(), unused]).unwrap_err(),
            ImageError::Unused(SessionId(1), number)
        );
    }
}
