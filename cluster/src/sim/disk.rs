//! A disk that keeps what was synced and does as it likes with the rest.
//!
//! A crash of the machine keeps or loses every block of what was written since the file's last sync, each for itself, in
//! blocks of 512 bytes or 4 KiB; and every change of the directory since the directory's last sync. A crash of the
//! process loses nothing: the kernel has it.

use std::collections::BTreeMap;

use rand::RngExt;

use super::Random;

/// What a journal needs of a disk.
pub(crate) trait Storage {
    /// The bytes of a file; `None` when there is none of this name.
    fn read(&self, name: &str) -> Option<&[u8]>;
    /// The names that are there, in order.
    fn names(&self) -> Vec<String>;
    /// Carries out one step.
    fn step(&mut self, step: &Step);
}

/// What is done to a disk, one at a time: a crash may come between any two.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// An empty file is made, or an old one emptied.
    Create(String),
    /// Bytes are written; the file grows as it must.
    Write { name: String, at: usize, bytes: Vec<u8> },
    /// What was written to the file is on the disk.
    Sync(String),
    /// The name is changed; what had the new one is gone.
    Rename { from: String, to: String },
    /// The name is gone.
    Remove(String),
    /// Names are on the disk.
    SyncDirectory,
    /// The tail, which is no part of the disk, is cut; an intent that is still there vouches for it.
    CutTail(u64),
    /// The same, and a new one, empty, takes its place.
    NewTail { cluster: u64, base: u64 },
}

#[derive(Clone, Debug, Default)]
struct File {
    live: Vec<u8>,
    synced: Vec<u8>,
    /// Where something was written since the last sync: offset and length.
    dirty: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Inode(u64);

#[derive(Clone, Debug)]
enum Change {
    Link(String, Inode),
    Rename(String, String, Inode),
    Unlink(String),
}

/// A disk with one directory.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<Inode, File>,
    names: BTreeMap<String, Inode>,
    synced_names: BTreeMap<String, Inode>,
    changes: Vec<Change>,
    inodes: u64,
}

impl Storage for Disk {
    fn read(&self, name: &str) -> Option<&[u8]> {
        self.names.get(name).map(|inode| &self.files[inode].live[..])
    }

    fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Create(name) => {
                self.inodes += 1;
                let inode = Inode(self.inodes);
                self.files.insert(inode, File::default());
                self.change(Change::Link(name.clone(), inode));
            }
            Step::Write { name, at, bytes } => {
                let Some(file) = self.file(name) else { return };
                let end = at + bytes.len();
                if file.live.len() < end {
                    file.live.resize(end, 0);
                }
                file.live[*at..end].copy_from_slice(bytes);
                file.dirty.push((*at, bytes.len()));
            }
            Step::Sync(name) => {
                let Some(file) = self.file(name) else { return };
                file.synced = file.live.clone();
                file.dirty.clear();
            }
            Step::Rename { from, to } => {
                if let Some(&inode) = self.names.get(from) {
                    self.change(Change::Rename(from.clone(), to.clone(), inode));
                }
            }
            // The machine's.
            Step::CutTail(_) | Step::NewTail { .. } => {}
            Step::Remove(name) => self.change(Change::Unlink(name.clone())),
            Step::SyncDirectory => {
                self.synced_names = self.names.clone();
                self.changes.clear();
                let kept: Vec<Inode> = self.names.values().copied().collect();
                self.files.retain(|inode, _| kept.contains(inode));
            }
        }
    }
}

impl Disk {
    fn file(&mut self, name: &str) -> Option<&mut File> {
        self.names.get(name).and_then(|inode| self.files.get_mut(inode))
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.changes.push(change);
    }

    /// The machine stops: what was not synced is a matter of luck.
    pub(crate) fn lose_power(&mut self, random: &mut Random) {
        let all = random.random_range(0..8);
        let luck = |random: &mut Random| match all {
            0 => false,
            1 => true,
            _ => random.random(),
        };
        let block = if random.random_range(0..4) > 0 { 512 } else { 4096 };
        let mut names = self.synced_names.clone();
        for change in core::mem::take(&mut self.changes) {
            if luck(random) {
                apply(&mut names, &change);
            }
        }
        for file in self.files.values_mut() {
            let mut bytes = file.synced.clone();
            for &(at, length) in &file.dirty {
                for block_index in at / block..(at + length).div_ceil(block) {
                    if luck(random) {
                        let from = at.max(block_index * block);
                        let to = (at + length).min((block_index + 1) * block);
                        if bytes.len() < to {
                            bytes.resize(to, 0);
                        }
                        bytes[from..to].copy_from_slice(&file.live[from..to]);
                    }
                }
            }
            file.live = bytes.clone();
            file.synced = bytes;
            file.dirty.clear();
        }
        self.names = names.clone();
        self.synced_names = names;
    }
}

fn apply(names: &mut BTreeMap<String, Inode>, change: &Change) {
    match change {
        Change::Link(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        Change::Rename(from, to, inode) => {
            names.remove(from);
            names.insert(to.clone(), *inode);
        }
        Change::Unlink(name) => {
            names.remove(name);
        }
    }
}
