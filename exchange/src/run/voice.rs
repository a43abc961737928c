//! Standard output of `exchange run`.

use std::io::Write;

/// Says things, as text or as JSON, one a line.
pub(super) struct Voice {
    pub(super) json: bool,
}

impl Voice {
    pub(super) fn say(&self, text: &str, event: &serde_json::Value) {
        self.say_all(&[(text, event)]);
    }

    /// Says several things in one go.
    pub(super) fn say_all(&self, said: &[(&str, &serde_json::Value)]) {
        let mut out = std::io::stdout().lock();
        for (text, event) in said {
            // Nobody may be listening any more; the exchange goes on.
            let _ = if self.json { writeln!(out, "{event}") } else { writeln!(out, "{text}") };
        }
        let _ = out.flush();
    }
}
