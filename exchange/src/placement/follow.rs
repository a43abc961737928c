//! Follows the placement map: a thread that reads it again and again, keeps the newest in a file of its own, and hands
//! on what is newer. Nobody who has known a generation goes back to an older one, not even after a restart.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use log::{info, warn};

use super::{map::PlacementMap, source::Source};

/// The file, in a data directory.
const NAME: &str = "placement.json";
/// From one look to the next.
const EVERY: Duration = Duration::from_millis(500);

/// What is known of the map.
struct Known {
    source: Source,
    /// Where the newest is kept.
    kept: PathBuf,
    newest: Option<Arc<PlacementMap>>,
    /// The last complaint, so that each is made once.
    complaint: String,
}

impl Known {
    /// Looks once. Gives the map if it is newer than what is known.
    fn look(&mut self) -> Option<Arc<PlacementMap>> {
        match self.read() {
            Ok(newer) => {
                if newer.is_some() {
                    self.complaint.clear();
                }
                newer
            }
            Err(error) => {
                if error != self.complaint {
                    warn!("{error}");
                    self.complaint = error;
                }
                None
            }
        }
    }

    fn read(&mut self) -> Result<Option<Arc<PlacementMap>>, String> {
        let read = self
            .source
            .read()?
            .ok_or("there is no placement map yet: exchange placement set FILE sets one")?;
        if let Some(newest) = &self.newest {
            if read.generation < newest.generation {
                return Err(format!(
                    "placement map: generation {} is there, and {} is known already: the older one is refused",
                    read.generation, newest.generation
                ));
            }
            if read.generation == newest.generation {
                return if read == **newest {
                    Ok(None)
                } else {
                    Err(format!(
                        "placement map: generation {} says something else than it did: refused. A change needs a higher \
                         generation",
                        read.generation
                    ))
                };
            }
        }
        keep(&self.kept, &read)?;
        info!("placement map: generation {}", read.generation);
        let read = Arc::new(read);
        self.newest = Some(Arc::clone(&read));
        Ok(Some(read))
    }
}

/// Writes the map, durably.
fn keep(path: &Path, map: &PlacementMap) -> Result<(), String> {
    let draft = path.with_extension("tmp");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&draft)?;
        file.write_all(map.json().as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}

/// What an earlier run has kept.
fn kept(path: &Path) -> Result<Option<PlacementMap>, String> {
    match fs::read(path) {
        Ok(bytes) => PlacementMap::parse(&bytes).map(Some).map_err(|error| {
            format!(
                "{}: {error}. It is the newest placement map that was known here; remove it if no older one can come back",
                path.display()
            )
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// The thread. It ends with this.
pub(crate) struct Follow {
    /// `None` when it is being ended. A message: look now.
    look: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Follow {
    /// Begins with what is kept in the directory `dir`, which is made if it is not there, and gives each map that is
    /// newer to `take`, the first one before this returns if there is one.
    ///
    /// # Errors
    /// When what is kept cannot be read, or nothing can be kept.
    pub(crate) fn start(
        source: Source,
        dir: &Path,
        mut take: impl FnMut(Arc<PlacementMap>) + Send + 'static,
    ) -> Result<Self, String> {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let path = dir.join(NAME);
        let newest = kept(&path)?.map(Arc::new);
        if let Some(map) = &newest {
            take(Arc::clone(map));
        }
        let mut known = Known { source, kept: path, newest, complaint: String::new() };
        if let Some(map) = known.look() {
            take(map);
        }
        let (look, looks) = bounded(1);
        let thread = std::thread::Builder::new()
            .name("placement".into())
            .spawn(move || {
                while let Ok(()) | Err(RecvTimeoutError::Timeout) = looks.recv_timeout(EVERY) {
                    if let Some(map) = known.look() {
                        take(map);
                    }
                }
            })
            .map_err(|error| format!("no thread for the placement map: {error}"))?;
        Ok(Self { look: Some(look), thread: Some(thread) })
    }

    /// Asks for a look at once: somebody knows of a newer map.
    pub(crate) fn look_now(&self) {
        if let Some(look) = &self.look {
            // One that waits already serves.
            let _ = look.try_send(());
        }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.look = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Instant};

    use super::*;

    fn text(generation: u64, pair: &str) -> String {
        format!(
            "{{\"version\":1,\"generation\":{generation},\"pairs\":{{\"east\":[\"127.0.0.1:1\"],\
             \"west\":[\"127.0.0.1:2\"]}},\"instruments\":{{\"AAPL\":\"{pair}\"}}}}"
        )
    }

    #[test]
    fn newer_maps_are_handed_on_and_older_ones_are_refused_even_by_the_next_run() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("map.json");
        // As whoever changes it should: whole.
        let write = |text: &str| {
            let draft = dir.path().join("draft");
            fs::write(&draft, text).unwrap();
            fs::rename(&draft, &file).unwrap();
        };
        let data = dir.path().join("data");
        let start = || {
            let (to, taken) = mpsc::channel();
            let take = move |map: Arc<PlacementMap>| {
                let _ = to.send(map.generation);
            };
            (Follow::start(Source::File(file.clone()), &data, take).unwrap(), taken)
        };
        let hung = Duration::from_secs(30);
        let (follow, taken) = start();
        assert!(taken.try_recv().is_err(), "there is none");
        write(&text(3, "east"));
        assert_eq!(taken.recv_timeout(hung), Ok(3));
        write(&text(2, "west"));
        follow.look_now();
        write(&text(3, "west"));
        follow.look_now();
        write("nonsense");
        follow.look_now();
        write(&text(5, "west"));
        assert_eq!(taken.recv_timeout(hung), Ok(5), "neither 2, nor 3 again");
        drop(follow);
        write(&text(4, "east"));
        let begun = Instant::now();
        let (follow, taken) = start();
        assert_eq!(taken.try_recv(), Ok(5), "what was kept");
        follow.look_now();
        assert!(taken.recv_timeout(Duration::from_millis(300)).is_err());
        write(&text(6, "east"));
        assert_eq!(taken.recv_timeout(hung), Ok(6));
        assert!(begun.elapsed() < hung);
        drop(follow);
        fs::write(data.join(NAME), "nonsense").unwrap();
        let error = Follow::start(Source::File(file.clone()), &data, |_| {}).err().unwrap();
        assert!(error.contains("placement.json"), "{error}");
    }
}
