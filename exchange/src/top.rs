//! `exchange top`: watches an exchange on this machine, live in the terminal.
//!
//! It reads the status socket of the data directory and draws each line that comes. It asks nothing of the exchange but
//! to be told: watching costs the front one snapshot of its counters a quarter of a second.

mod feed;
mod view;

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::TryRecvError;
use ratatui::{
    buffer::Buffer,
    crossterm::{
        event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
        terminal,
    },
    layout::Rect,
    widgets::Widget,
};

use self::view::View;
use crate::{cli, say::say};

/// How long the keyboard is waited for before the next look at the status.
const LOOK_EACH: Duration = Duration::from_millis(50);
/// What a frame measures where there is no terminal to measure.
const SIZE: (u16, u16) = (80, 24);

/// The command.
pub(crate) fn top(args: &cli::Top) -> Result<(), String> {
    let to_terminal = std::io::stdout().is_terminal();
    if !args.once && !to_terminal {
        return Err("standard output is no terminal: print one frame with --once".into());
    }
    let lines = feed::open(&args.data)?;
    let mut view = View::new(&args.data);
    view.take(feed::first(&lines)?);
    if args.once {
        let (width, height) = if to_terminal { terminal::size().unwrap_or(SIZE) } else { SIZE };
        say!("{}", plain(&view, width, height));
        return Ok(());
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|error| format!("cannot watch signals: {error}"))?;
    }
    // Puts the terminal back when this program panics, too.
    let mut screen = ratatui::try_init().map_err(|error| format!("cannot take the terminal: {error}"))?;
    let result = watch(&mut screen, &mut view, &lines, &stop);
    ratatui::restore();
    result
}

/// Draws until a key, a signal or the end of the exchange ends it.
fn watch(
    screen: &mut ratatui::DefaultTerminal,
    view: &mut View,
    lines: &crossbeam_channel::Receiver<Result<crate::status::Status, feed::FeedError>>,
    stop: &AtomicBool,
) -> Result<(), String> {
    let say = |error: std::io::Error| format!("the terminal: {error}");
    let mut changed = true;
    while !stop.load(Ordering::Relaxed) {
        match lines.try_recv() {
            Ok(line) => {
                view.take(line.map_err(|error| error.to_string())?);
                changed = true;
            }
            Err(TryRecvError::Disconnected) => return Err(feed::FeedError::Ended.to_string()),
            Err(TryRecvError::Empty) => {}
        }
        if changed {
            screen.draw(|frame| frame.render_widget(&*view, frame.area())).map_err(say)?;
            changed = false;
        }
        if event::poll(LOOK_EACH).map_err(say)? {
            match event::read().map_err(say)? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    let control = key.modifiers.contains(KeyModifiers::CONTROL);
                    match key.code {
                        KeyCode::Char('c') if control => return Ok(()),
                        KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                        _ => {}
                    }
                }
                Event::Resize(..) => changed = true,
                _ => {}
            }
        }
    }
    Ok(())
}

/// A frame as lines of text.
fn plain(view: &View, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view.render(area, &mut buffer);
    let lines: Vec<String> = (0..height)
        .map(|y| {
            let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
            line.trim_end().to_owned()
        })
        .collect();
    lines.join("\n").trim_end().to_owned()
}
