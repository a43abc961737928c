//! Standard output of `exchange run`.

use std::{fmt::Display, io::Write};

/// Says things, as text or as JSON, one a line.
pub(super) struct Voice {
    pub(super) json: bool,
}

impl Voice {
    pub(super) fn say(&self, text: &str, event: &serde_json::Value) {
        if self.json {
            self.say_all(&[event]);
        } else {
            self.say_all(&[text]);
        }
    }

    /// Says several things in one go, each in the form that was chosen.
    pub(super) fn say_all<T: Display>(&self, said: &[T]) {
        if said.is_empty() {
            return;
        }
        let mut out = std::io::stdout().lock();
        for what in said {
            // Nobody may be listening any more; the exchange goes on.
            let _ = writeln!(out, "{what}");
        }
        let _ = out.flush();
    }
}
