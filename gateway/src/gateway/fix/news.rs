//! What everybody who speaks FIX is told before something happens to all of them: a stop, numbers that begin anew.

use crate::{gateway::Gateway, venue::Venue};

/// Sessions that are told in one turn.
const SESSIONS_MAX: usize = 8;

/// News on its way round.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct News {
    headline: String,
    text: String,
    /// The next connection to be told.
    next: usize,
}

impl Gateway {
    /// Tells everybody who speaks FIX and is logged on, a few sessions in each turn. Headline and text are printable ASCII.
    pub fn say_news(&mut self, headline: &str, text: &str) {
        self.news.push_back(News { headline: headline.into(), text: text.into(), next: 0 });
    }

    /// Goes on with the oldest news. Says whether anything was done.
    pub(in crate::gateway) fn go_on_with_news<V: Venue>(&mut self, venue: &mut V) -> bool {
        let Some(mut news) = self.news.pop_front() else { return false };
        let mut told = 0;
        while news.next < self.connections.len() {
            let token = news.next;
            let is_there = self.session_of(token).is_some()
                && self.link_mut(token).is_some_and(|link| link.closing.is_none());
            if is_there {
                if told == SESSIONS_MAX || !venue.has_room(None) {
                    self.news.push_front(news);
                    return told > 0;
                }
                told += 1;
                let now = venue.now();
                self.tell(token, b"B", venue, |message| {
                    message.time(42, now).text(148, news.headline.as_bytes());
                    message.number(33, 1).text(58, news.text.as_bytes());
                });
            }
            news.next += 1;
        }
        true
    }
}
