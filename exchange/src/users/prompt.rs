//! A password from a person, or from a program: by a terminal that does not show it, or the first line of standard input. Never
//! from the command line, which every process of a machine can read.

use std::{
    fs::File,
    io::{BufRead, IsTerminal, Read, Write},
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// No password is longer, with its line's end.
const BYTES_MAX: u64 = 1_024;

/// Asks for the password of `name`, twice where a person is asked.
pub(super) fn password(name: &str) -> Result<String, String> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return line();
    }
    let password = asked(&format!("password of {name}: "))?;
    if asked("the same again: ")? != password {
        return Err("the two differ; nothing was changed".into());
    }
    Ok(password)
}

/// The password in the first line of a file, which nobody but its owner may read.
///
/// # Errors
/// When there is none, or others may read it.
pub(crate) fn password_file(path: &Path) -> Result<String, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("password file {}: {what}", path.display());
    let file = File::open(path).map_err(|error| wrong(&error))?;
    // Asked of the open file: the one at this path may be another by now.
    let mode = file.metadata().map_err(|error| wrong(&error))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(wrong(&format!("mode {mode:04o}: others can get at it. Run chmod 600")));
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(|error| wrong(&error))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(wrong(&"no password in its first line")),
    }
}

fn asked(prompt: &str) -> Result<String, String> {
    let mut stderr = std::io::stderr();
    // Without a prompt it can be typed all the same.
    let _ = write!(stderr, "{prompt}").and_then(|()| stderr.flush());
    let quiet = Quiet::new()?;
    let line = line();
    drop(quiet);
    let _ = writeln!(stderr);
    line
}

fn line() -> Result<String, String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(BYTES_MAX)
        .read_until(b'\n', &mut bytes)
        .map_err(|error| format!("no password on standard input: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "the password is not printable ASCII".to_owned())?;
    let text = text.trim_end_matches(['\n', '\r']).to_owned();
    if text.is_empty() {
        return Err(
            "no password on standard input: give it in one line, or let one be made with --generate".into()
        );
    }
    Ok(text)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet(Termios);

impl Quiet {
    fn new() -> Result<Self, String> {
        let stdin = std::io::stdin();
        let wrong = |error: rustix::io::Errno| {
            format!("the terminal cannot be kept from showing a password: {error}")
        };
        let before = tcgetattr(&stdin).map_err(wrong)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        quiet.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&stdin, OptionalActions::Flush, &quiet).map_err(wrong)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // There is nothing else to be done about it.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
