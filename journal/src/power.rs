//! A filesystem whose power may go between any two calls, for trials of what works on whole files.
//!
//! [`Power`] carries calls out and writes them down. [`Power::outcomes`] then gives every directory that the disk may have
//! been left with: for each number of calls that were made before the power went, what was synced is there, and of the
//! rest any part, in any combination. That all of it is there is one of these: so stops of the process alone are among
//! them.
//!
//! What is held against a disk is what POSIX promises and no more: a file's sync brings its bytes and not its name; a
//! directory's sync brings the names in it, gone and new. A rename is one change, and may last from the moment that it is
//! made; it lasts for sure when both directories have been synced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

use crate::storage::{Files, Storage, missing_dirs};

/// Changes that may each be lost or not are tried in all combinations up to so many; beyond, all, none, each alone, and
/// all but each.
const LOOSE_MAX: usize = 8;

/// A fault of ours, to see that trials find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Directories are not synced.
    SkippedDirectorySync,
    /// A file gets its name before its bytes are synced.
    RenameBeforeSync,
}

/// A directory for a trial, in memory where there is such a place: thousands of syncs that nobody needs.
pub(crate) fn place() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

type FileId = u64;

#[derive(Clone, Debug)]
enum Change {
    Directory(PathBuf),
    Name(PathBuf, FileId),
    Rename(PathBuf, PathBuf, FileId),
    Remove(PathBuf),
    Bytes(FileId, u64, Arc<[u8]>),
}

#[derive(Clone, Debug)]
enum Call {
    Change(Change),
    SyncFile(FileId),
    SyncDirectory(PathBuf),
}

/// How bytes came to the disk that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsynced {
    Whole,
    /// The first half of each write.
    Torn,
    /// The file has its length, and zeros.
    Zeros,
}

/// What a disk has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    directories: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, FileId>,
    files: BTreeMap<FileId, Vec<u8>>,
}

impl Tree {
    /// What is below `root`; each file is another.
    pub(crate) fn of(root: &Path) -> Self {
        let mut tree = Self::default();
        let mut left = vec![root.to_path_buf()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(&directory).expect("lists") {
                let path = entry.expect("an entry").path();
                let name = path.strip_prefix(root).expect("below").to_path_buf();
                if path.is_dir() {
                    tree.directories.insert(name);
                    left.push(path);
                } else {
                    let id = tree.files.len() as FileId;
                    tree.names.insert(name, id);
                    tree.files.insert(id, fs::read(&path).expect("reads"));
                }
            }
        }
        tree
    }

    fn apply(&mut self, change: &Change, unsynced: Unsynced) {
        match change {
            Change::Directory(path) => {
                self.directories.insert(path.clone());
            }
            Change::Name(path, id) => {
                self.names.insert(path.clone(), *id);
                self.files.entry(*id).or_default();
            }
            Change::Rename(from, to, id) => {
                if self.names.get(from) == Some(id) {
                    self.names.remove(from);
                }
                self.names.insert(to.clone(), *id);
                self.files.entry(*id).or_default();
            }
            Change::Remove(path) => {
                self.names.remove(path);
            }
            Change::Bytes(id, offset, bytes) => {
                let file = self.files.entry(*id).or_default();
                let kept = if unsynced == Unsynced::Torn { &bytes[..bytes.len() / 2] } else { bytes };
                let (from, to) = (*offset as usize, *offset as usize + kept.len());
                file.resize(file.len().max(to), 0);
                if unsynced != Unsynced::Zeros {
                    file[from..to].copy_from_slice(kept);
                }
            }
        }
    }

    fn is_reached(&self, path: &Path) -> bool {
        path.ancestors().skip(1).all(|dir| dir.as_os_str().is_empty() || self.directories.contains(dir))
    }

    /// The files that have a way to them from the root.
    fn reached(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        let files = self.names.iter().filter(|(path, _)| self.is_reached(path));
        files.map(|(path, id)| (&**path, &*self.files[id]))
    }

    /// A number that differs where what is reached does.
    fn digest(&self) -> u64 {
        let mut all = Vec::new();
        for directory in &self.directories {
            all.extend_from_slice(directory.as_os_str().as_encoded_bytes());
            all.push(0);
        }
        for (path, bytes) in self.reached() {
            all.extend_from_slice(path.as_os_str().as_encoded_bytes());
            all.extend_from_slice(&xxh3_64(bytes).to_le_bytes());
        }
        xxh3_64(&all)
    }

    /// Makes it, in an empty directory.
    pub(crate) fn make(&self, root: &Path) {
        for directory in self.directories.iter().filter(|path| self.is_reached(path)) {
            fs::create_dir(root.join(directory)).expect("makes a directory");
        }
        for (path, bytes) in self.reached() {
            fs::write(root.join(path), bytes).expect("writes");
        }
    }
}

/// The filesystem below one directory.
#[derive(Debug)]
pub(crate) struct Power {
    root: PathBuf,
    mutation: Option<Mutation>,
    before: Tree,
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    calls: Vec<Call>,
    /// Everything, synced or not.
    now: Tree,
    /// Files that were made here, by their inodes.
    ids: BTreeMap<u64, FileId>,
    /// Syncs that come late.
    late: Vec<FileId>,
}

impl Log {
    fn change(&mut self, change: Change) {
        self.now.apply(&change, Unsynced::Whole);
        self.calls.push(Call::Change(change));
    }
}

impl Power {
    /// What is there counts as synced.
    pub(crate) fn of(root: &Path, mutation: Option<Mutation>) -> Self {
        let before = Tree::of(root);
        let log = Log { calls: Vec::new(), now: before.clone(), ids: BTreeMap::new(), late: Vec::new() };
        Self { root: root.to_path_buf(), mutation, before, log: Mutex::new(log) }
    }

    fn below(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).expect("below the root").to_path_buf()
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn synced_parents(&self, log: &mut Log, paths: &[&Path]) {
        if self.mutation != Some(Mutation::SkippedDirectorySync) {
            let parents: BTreeSet<PathBuf> =
                paths.iter().filter_map(|path| path.parent()).map(Path::to_path_buf).collect();
            log.calls.extend(parents.into_iter().map(Call::SyncDirectory));
        }
    }

    /// Every directory that may be left, each once, and how many calls had been made.
    pub(crate) fn outcomes(&self, mut each: impl FnMut(&Tree, usize)) {
        let log = self.log();
        let mut seen = BTreeSet::new();
        for made in 0..=log.calls.len() {
            let calls = &log.calls[..made];
            let mut synced = self.before.clone();
            // In order, with what is not sure to be there.
            let mut changes: Vec<(&Change, Option<usize>)> = Vec::new();
            let mut loose = 0;
            for (n, call) in calls.iter().enumerate() {
                let Call::Change(change) = call else { continue };
                let is_synced = lasts(change, &calls[n + 1..]);
                if is_synced && loose == 0 {
                    synced.apply(change, Unsynced::Whole);
                } else {
                    changes.push((change, (!is_synced).then_some(loose)));
                    loose += usize::from(!is_synced);
                }
            }
            for kept in combinations(loose) {
                let is_there = |n: Option<usize>| n.is_none_or(|n| kept & (1 << n) != 0);
                let has_bytes = changes
                    .iter()
                    .any(|(change, n)| n.is_some() && is_there(*n) && matches!(change, Change::Bytes(..)));
                let ways = [Unsynced::Whole, Unsynced::Torn, Unsynced::Zeros];
                for way in &ways[..if has_bytes { 3 } else { 1 }] {
                    let mut tree = synced.clone();
                    for (change, n) in changes.iter().filter(|(_, n)| is_there(*n)) {
                        tree.apply(change, if n.is_some() { *way } else { Unsynced::Whole });
                    }
                    if seen.insert(tree.digest()) {
                        each(&tree, made);
                    }
                }
            }
        }
    }
}

/// Whether a change is sure to be there after these calls.
fn lasts(change: &Change, calls: &[Call]) -> bool {
    let file = |id: FileId| calls.iter().any(|call| matches!(call, Call::SyncFile(of) if *of == id));
    let names = |path: &Path| {
        let parent = path.parent().unwrap_or(Path::new(""));
        calls.iter().any(|call| matches!(call, Call::SyncDirectory(of) if of == parent))
    };
    match change {
        Change::Directory(path) | Change::Name(path, _) | Change::Remove(path) => names(path),
        Change::Rename(from, to, _) => names(from) && names(to),
        Change::Bytes(id, ..) => file(*id),
    }
}

/// Sets of changes that are kept, as bits.
fn combinations(loose: usize) -> Vec<u64> {
    assert!(loose < 64, "{loose} changes without a sync");
    let all = (1u64 << loose) - 1;
    if loose <= LOOSE_MAX {
        return (0..=all).collect();
    }
    let alone = (0..loose).map(|n| 1 << n);
    let without = (0..loose).map(|n| all & !(1 << n));
    [0, all].into_iter().chain(alone).chain(without).collect()
}

impl Storage for Power {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let written = file.write_at(bytes, offset)?;
        let mut log = self.log();
        let id = log.ids[&file.metadata()?.ino()];
        log.change(Change::Bytes(id, offset, bytes[..written].into()));
        Ok(written)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let mut log = self.log();
        let id = log.ids[&file.metadata()?.ino()];
        if self.mutation == Some(Mutation::RenameBeforeSync) {
            log.late.push(id);
        } else {
            log.calls.push(Call::SyncFile(id));
        }
        Ok(())
    }

    fn allocate(&self, file: &File, bytes: u64) -> io::Result<bool> {
        Files.allocate(file, bytes)
    }

    fn available(&self, dir: &Path) -> io::Result<u64> {
        Files.available(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        let (from, to) = (self.below(from), self.below(to));
        let mut log = self.log();
        let id = log.now.names[&from];
        log.change(Change::Rename(from.clone(), to.clone(), id));
        self.synced_parents(&mut log, &[&to, &from]);
        let late = std::mem::take(&mut log.late);
        log.calls.extend(late.into_iter().map(Call::SyncFile));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        let path = self.below(path);
        let mut log = self.log();
        log.change(Change::Remove(path.clone()));
        self.synced_parents(&mut log, &[&path]);
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        // Another file in any case: what an emptied one had is of no use to anyone.
        let _ = fs::remove_file(path);
        let file = File::create(path)?;
        let mut log = self.log();
        let id = log.now.files.len() as FileId;
        log.ids.insert(file.metadata()?.ino(), id);
        log.change(Change::Name(self.below(path), id));
        Ok(file)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        let mut log = self.log();
        for dir in missing_dirs(path) {
            fs::create_dir(dir)?;
            let dir = self.below(dir);
            log.change(Change::Directory(dir.clone()));
            self.synced_parents(&mut log, &[&dir]);
        }
        self.synced_parents(&mut log, &[&self.below(path)]);
        Ok(())
    }
}
