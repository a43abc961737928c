//! What `exchange top` draws.
//!
//! ```text
//!  header       who, how fast, sessions, log
//!  pair         what this node is, how the other one is; only in a pair
//!  balance      mode, θ, steals, moves, imbalance
//!  ┌ shards ─────────────┐   at most half of what is left
//!  ┌ hottest books ──────┐   as many as leave room for
//!  ┌ what happened ──────┐   two lines or more
//! ```

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph, Row, Table, Widget},
};
use serde_json::Value;

use crate::status::{ShardStatus, Status, micros, pair::PairStatus, percent};

/// Lines of events that are kept.
const EVENTS_MAX: usize = 64;
/// The longest bar of a shard's load, in cells.
const BAR: usize = 10;
/// Lines of a block around its rows, its heads not counted.
const FRAME: u16 = 2;
/// The least that is left to events: their title and two lines.
const EVENTS_MIN: u16 = 3;

const WARN: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const SOFT: Style = Style::new().fg(Color::DarkGray);
const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);

/// The latest status, and what has happened.
pub(super) struct View {
    data: PathBuf,
    status: Option<Status>,
    /// The latest first.
    events: VecDeque<Value>,
}

impl View {
    pub(super) fn new(data: &Path) -> Self {
        Self { data: data.to_owned(), status: None, events: VecDeque::new() }
    }

    /// Takes a status in.
    pub(super) fn take(&mut self, mut status: Status) {
        for event in status.recent.drain(..) {
            self.events.push_front(event);
        }
        self.events.truncate(EVENTS_MAX);
        self.status = Some(status);
    }
}

impl Widget for &View {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let Some(status) = &self.status else { return };
        let pair = u16::from(status.pair.is_some());
        let left = area.height.saturating_sub(2 + pair);
        let shards = (status.shards.len() as u16).saturating_add(FRAME + 1).min((left / 2).max(FRAME + 2));
        let books = (status.balance.hottest.len().max(1) as u16).saturating_add(FRAME + 1);
        let books = books.min(left.saturating_sub(shards + EVENTS_MIN));
        let [header, in_pair, balance, shards, books, events] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(pair),
            Constraint::Length(1),
            Constraint::Length(shards),
            Constraint::Length(books),
            Constraint::Min(0),
        ])
        .areas(area);
        header_line(status, &self.data).render(header, buffer);
        if let Some(pair) = &status.pair {
            pair_line(pair).render(in_pair, buffer);
        }
        balance_line(status).render(balance, buffer);
        render_shards(&status.shards, shards, buffer);
        render_books(status, books, buffer);
        self.render_events(events, buffer);
    }
}

fn header_line<'a>(status: &Status, data: &Path) -> Line<'a> {
    let mut spans = vec![
        Span::styled("exchange ", HEAD),
        Span::raw(format!(
            "{:.0} commands/s, {} sessions, {} connections, log {} B behind",
            status.per_second, status.logged_in, status.connections, status.unsynced_bytes
        )),
    ];
    if status.cancel_only {
        spans.push(Span::styled("  DISK SHORT OF ROOM", WARN));
    }
    spans.push(Span::styled(format!("  {}", data.display()), SOFT));
    Line::from(spans)
}

fn pair_line<'a>(pair: &PairStatus) -> Line<'a> {
    let mut spans = vec![Span::styled("pair    ", HEAD)];
    // Where there is not room for all, trouble matters more.
    if let Some(trouble) = pair.trouble() {
        spans.push(Span::styled(format!("{trouble}  "), WARN));
    }
    spans.push(Span::raw(pair.text()));
    Line::from(spans)
}

fn balance_line<'a>(status: &Status) -> Line<'a> {
    let balance = &status.balance;
    let mut spans = vec![Span::styled("balance ", HEAD), Span::raw(balance.mode.clone())];
    match (&balance.stealing_off, balance.steal_waiting_min) {
        (Some(why), _) => spans.push(Span::raw(format!(" (stealing off: {why})"))),
        (None, Some(waiting)) => spans.push(Span::raw(format!(", θ {waiting}"))),
        (None, None) => {}
    }
    spans.push(Span::raw(format!(", imbalance {:.2}", balance.imbalance)));
    if balance.one_book_bounds {
        spans.push(Span::styled(" (one book bounds)", WARN));
    }
    // Where nobody steals by itself, what a stalled worker leaves is still taken from it.
    if balance.stealing_off.is_none() || balance.stolen_share > 0.0 {
        spans.push(Span::raw(format!(", stolen {}", percent(balance.stolen_share))));
    }
    spans.push(Span::raw(format!(", moves {}", balance.moves)));
    if balance.frozen {
        spans.push(Span::styled(" FROZEN", WARN));
    }
    if balance.events_lost > 0 {
        spans.push(Span::styled(format!("  {} events lost", balance.events_lost), WARN));
    }
    Line::from(spans)
}

/// As many shards as there is room for: all, or the most loaded ones, stalled ones first.
fn render_shards(shards: &[ShardStatus], area: Rect, buffer: &mut Buffer) {
    let room = usize::from(area.height.saturating_sub(FRAME + 1));
    let mut shown: Vec<(usize, &ShardStatus)> = shards.iter().enumerate().collect();
    let mut title = " shards ".to_owned();
    if shown.len() > room {
        title = format!(" shards: the {room} most loaded of {} ", shards.len());
        shown.sort_by(|(_, a), (_, b)| b.stalled.cmp(&a.stalled).then(b.load.total_cmp(&a.load)));
        shown.truncate(room);
        shown.sort_by_key(|(index, _)| *index);
    }
    let rows = shown.into_iter().map(|(index, shard)| {
        let row = Row::new([
            index.to_string(),
            format!("{:<BAR$} {:>4}", bar(shard.load), percent(shard.load)),
            percent(shard.done),
            percent(shard.busy),
            shard.depth.to_string(),
            if shard.stalled { "STALLED".into() } else { micros(shard.lag_us) },
            shard.books.to_string(),
            format!("{}/{}", short(shard.stolen), short(shard.given)),
            format!("{}/{}", short(shard.moved_in), short(shard.moved_out)),
        ]);
        if shard.stalled { row.style(WARN) } else { row }
    });
    let widths = [
        Constraint::Length(3),
        Constraint::Length(BAR as u16 + 5),
        Constraint::Length(4),
        Constraint::Length(4),
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(7),
        Constraint::Length(11),
        Constraint::Min(7),
    ];
    let head = ["#", "load", "did", "busy", "depth", "lag", "books", "stole/gave", "in/out"];
    Table::new(rows, widths)
        .header(Row::new(head).style(HEAD))
        .block(Block::new().borders(Borders::TOP | Borders::BOTTOM).title(title))
        .render(area, buffer);
}

fn render_books(status: &Status, area: Rect, buffer: &mut Buffer) {
    let block = Block::new().title(" hottest books ");
    let hottest = &status.balance.hottest;
    if hottest.is_empty() {
        Paragraph::new(Span::styled("no arrivals lately", SOFT)).block(block).render(area, buffer);
        return;
    }
    let rows = hottest.iter().map(|hot| {
        Row::new([
            hot.book.clone(),
            hot.home.to_string(),
            format!("{:<BAR$} {:>4}", bar(hot.share), percent(hot.share)),
            format!("{:.0}", hot.per_second),
            hot.stays.as_deref().map(why_it_stays).unwrap_or_default().to_owned(),
        ])
    });
    let widths = [
        Constraint::Length(8),
        Constraint::Length(5),
        Constraint::Length(BAR as u16 + 5),
        Constraint::Length(9),
        Constraint::Min(10),
    ];
    Table::new(rows, widths)
        .header(Row::new(["book", "home", "share", "a second", "why it stays"]).style(HEAD))
        .block(block)
        .render(area, buffer);
}

impl View {
    fn render_events(&self, area: Rect, buffer: &mut Buffer) {
        let lines: Vec<Line<'_>> = self
            .events
            .iter()
            .take(usize::from(area.height.saturating_sub(1)))
            .map(|event| Line::raw(event_line(event)))
            .collect();
        let block = Block::new()
            .borders(Borders::TOP)
            .title(" what happened, the latest first ")
            .title_bottom(Line::styled(" q quits ", SOFT).right_aligned());
        Paragraph::new(lines).block(block).render(area, buffer);
    }
}

/// What the event stream's names of reasons mean.
fn why_it_stays(name: &str) -> &str {
    match name {
        "alone" => "alone more than a shard's share",
        "gain" => "a move would gain too little",
        "budget" => "this second's moves are used up",
        "frozen" => "moves are frozen",
        "hint" => "pinned, or kept by a hint",
        other => other,
    }
}

fn event_line(event: &Value) -> String {
    let text = |key: &str| event[key].as_str().unwrap_or("?").to_owned();
    let number = |key: &str| event[key].as_u64().unwrap_or(0);
    // Times are fractions of a microsecond; whole ones are enough here.
    let time = |key: &str| micros(event[key].as_f64().unwrap_or(0.0) as u64);
    match event["event"].as_str().unwrap_or_default() {
        "steal" => format!(
            "steal    {:<8} {} commands, shard {} for {} ({}), waited {}",
            text("book"),
            number("commands"),
            number("to"),
            number("from"),
            text("why"),
            time("still_us")
        ),
        "migration" => format!(
            "moved    {:<8} shard {} to {} ({}), stood still {}",
            text("book"),
            number("from"),
            number("to"),
            text("why"),
            time("still_us")
        ),
        "frozen" => format!("frozen   no moves for {}", time("for_us")),
        "thawed" => "thawed   books may move again".into(),
        "stalled" => format!("STALLED  shard {} for {}", number("shard"), time("for_us")),
        "resumed" => format!("resumed  shard {} after {}", number("shard"), time("after_us")),
        _ => event.to_string(),
    }
}

/// A share as a bar.
fn bar(share: f64) -> String {
    "█".repeat(((share * BAR as f64).round() as usize).min(BAR))
}

/// A count in four characters or little more.
fn short(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..10_000_000 => format!("{}k", count / 1_000),
        10_000_000..10_000_000_000 => format!("{}M", count / 1_000_000),
        _ => format!("{}G", count / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::json;

    use super::*;
    use crate::{
        status::tests::{fixed, moments},
        top::plain,
    };

    fn view() -> View {
        let (before, now) = moments();
        let mut status = Status::between(&before, &now, &fixed());
        status.recent = vec![
            json!({"event": "steal", "book": "AAPL", "from": 0, "to": 1, "why": "backlog", "commands": 12,
                   "still_us": 1.5}),
            json!({"event": "migration", "book": "SPY", "from": 0, "to": 1, "why": "load", "commands": 3,
                   "still_us": 34.0}),
        ];
        let mut view = View::new(Path::new("/data"));
        view.take(status);
        view
    }

    /// What a terminal of this size shows.
    fn lines(view: &View, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| frame.render_widget(view, frame.area())).unwrap();
        let shown: Vec<String> = terminal
            .backend()
            .buffer()
            .content()
            .chunks(width.into())
            .map(|cells| cells.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned())
            .collect();
        assert_eq!(shown.join("\n").trim_end(), plain(view, width, height), "--once shows the same");
        shown
    }

    #[test]
    fn eighty_by_twenty_four_shows_everything() {
        let shown = lines(&view(), 80, 24);
        let expected = [
            "exchange 10000 commands/s, 0 sessions, 0 connections, log 0 B behind  /data",
            "balance full, θ 16, imbalance 1.60 (one book bounds), stolen 30%, moves 1",
            " shards",
            "#   load            did  busy depth  lag      books   stole/gave  in/out",
            "0   ████████    80% 50%  90%  100    12.7 ms  1       0/3000      0/1",
            "1   ██          20% 50%  50%  0      0 us     2       3000/0      1/0",
            "",
            " hottest books",
            "book     home  share           a second  why it stays",
            "AAPL     0     ███████     70% 7000      alone more than a shard's share",
            "SPY      1     █           10% 1000",
            "",
            " what happened, the latest first",
            "moved    SPY      shard 0 to 1 (load), stood still 34 us",
            "steal    AAPL     12 commands, shard 1 for 0 (backlog), waited 1 us",
        ];
        let shown: Vec<String> =
            shown.iter().map(|line| line.replace('─', " ").trim_end().to_owned()).collect();
        assert_eq!(shown[..expected.len()], expected, "{shown:#?}");
        assert!(
            shown[expected.len()..].iter().all(|line| line.trim().is_empty() || line.contains("q quits"))
        );
    }

    #[test]
    fn ten_books_and_the_latest_events_find_room() {
        let mut view = view();
        let status = view.status.as_mut().unwrap();
        let hot = status.balance.hottest[0].clone();
        status.balance.hottest =
            (0..10).map(|n| crate::status::HotStatus { book: format!("BOOK{n}"), ..hot.clone() }).collect();
        let shown = lines(&view, 80, 24);
        let at = |text: &str| shown.iter().position(|line| line.contains(text));
        assert!(at("BOOK9").is_some() && at("BOOK9") < at("what happened"), "{shown:#?}");
        assert!(at("moved    SPY").is_some() && at("steal    AAPL").is_some(), "{shown:#?}");
    }

    #[test]
    fn many_shards_show_those_that_matter() {
        let mut view = view();
        let status = view.status.as_mut().unwrap();
        status.shards =
            (0..64).map(|n| ShardStatus { load: f64::from(n) / 1e4, ..ShardStatus::default() }).collect();
        status.shards[3].stalled = true;
        status.shards[3].depth = 77;
        let shown = lines(&view, 80, 24);
        assert!(shown[2].contains("the 8 most loaded of 64"), "{shown:#?}");
        assert!(shown[4].starts_with("3 ") && shown[4].contains("STALLED") && shown[4].contains("77"));
        assert!(shown[5].starts_with("57 ") && shown[11].starts_with("63 "), "{shown:#?}");
    }

    #[test]
    fn trouble_is_named() {
        let mut view = view();
        let status = view.status.as_mut().unwrap();
        status.cancel_only = true;
        status.balance.frozen = true;
        status.balance.stealing_off = Some("2 cores for 4 threads".into());
        status.balance.events_lost = 9;
        status.balance.hottest.clear();
        view.events.push_front(json!({"event": "stalled", "shard": 1, "for_us": 120_000.0}));
        let shown = lines(&view, 160, 24).join("\n");
        for part in [
            "DISK SHORT OF ROOM",
            "moves 1 FROZEN",
            "stealing off: 2 cores for 4 threads",
            "9 events lost",
            "no arrivals lately",
            "STALLED  shard 1 for 120.0 ms",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn a_pair_has_a_line_of_its_own() {
        let mut view = view();
        let mut pair = crate::status::pair::tests::leads();
        view.status.as_mut().unwrap().pair = Some(pair.clone());
        let shown = lines(&view, 100, 25);
        let well =
            "pair    node 1 leads in epoch 5, ack disk+replica, standby in sync, 64 B behind, 4096 B on disk";
        assert_eq!(shown[1], well);
        assert!(shown[2].starts_with("balance full"), "{shown:#?}");
        pair.acks = Some(crate::status::pair::Acks::Alone);
        view.status.as_mut().unwrap().pair = Some(pair);
        assert!(
            lines(&view, 80, 25)[1]
                .starts_with("pair    ALONE: acknowledged on this disk only  node 1 leads")
        );
    }

    #[test]
    fn no_size_is_too_small() {
        let mut view = view();
        for _ in 0..2 {
            for (width, height) in [(1, 1), (10, 3), (80, 5), (20, 24), (300, 100)] {
                lines(&view, width, height);
            }
            view.status.as_mut().unwrap().pair = Some(crate::status::pair::tests::leads());
        }
    }

    #[test]
    fn events_are_kept_up_to_a_number() {
        let mut view = view();
        let status = view.status.clone().unwrap();
        for n in 0..100 {
            let recent = vec![json!({"event": "stalled", "shard": n, "for_us": 0.0})];
            view.take(Status { recent, ..status.clone() });
        }
        assert_eq!(view.events.len(), EVENTS_MAX);
        assert_eq!(view.events[0]["shard"], 99);
    }
}
