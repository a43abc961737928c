//! Which cores share a cache, and so which thread goes where.
//!
//! Books that an idle shard steals come with their cache lines: within one L3 that costs tens of nanoseconds a line,
//! between two some hundred. So shards fill one L3 first, and the second hardware thread of a core is used when there
//! is no whole core left.
//!
//! The facts come from Linux, `/sys/devices/system/cpu/cpuN/`:
//! * `cache/indexI/level` and `cache/indexI/shared_cpu_list`: with whom the L3 is shared;
//! * `topology/thread_siblings_list`: which hardware threads are one core.
//!
//! A machine that does not say (a container without the files, a processor without an L3) counts as one domain of whole
//! cores.

use std::{collections::BTreeMap, path::Path};

/// Where Linux says what its processors share.
pub(crate) const SYSTEM: &str = "/sys/devices/system/cpu";

/// The level of the cache that stealing stays within.
const LEVEL: &str = "3";

/// A core that the process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Core {
    /// The system's number.
    id: usize,
    /// Which L3 it uses: the lowest number of all cores that share it.
    domain: usize,
    /// Another hardware thread of the same core, which the process may use too, has a lower number.
    second_thread: bool,
}

/// The cores that the process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topology {
    cores: Vec<Core>,
}

/// Which thread goes where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) front: usize,
    /// By shard: its core.
    pub(crate) shards: Vec<usize>,
    /// By shard: its L3, numbered from 0 in the order in which they come up.
    pub(crate) domains: Vec<u16>,
}

impl Topology {
    /// Asks the system about these cores.
    pub(crate) fn read(system: &Path, cores: &[usize]) -> Self {
        let facts = cores
            .iter()
            .map(|core| {
                let dir = system.join(format!("cpu{core}"));
                Facts {
                    core: *core,
                    cache: cache_list(&dir),
                    threads: list_in(&dir.join("topology/thread_siblings_list")),
                }
            })
            .collect::<Vec<_>>();
        Self::new(&facts)
    }

    fn new(facts: &[Facts]) -> Self {
        let cores = facts
            .iter()
            .map(|Facts { core, cache, threads }| Core {
                id: *core,
                domain: cache.iter().min().copied().unwrap_or(0),
                second_thread: facts.iter().any(|other| other.core < *core && threads.contains(&other.core)),
            })
            .collect();
        Self { cores }
    }

    /// Places the front and `shards` shards on cores of their own, and leaves one core to the disk thread; `None` when
    /// there are too few.
    ///
    /// Whole cores come before second threads. The smallest L3 that has room for all takes all; if none has, the
    /// smallest that has room for the shards takes those; if none has, the largest are filled first.
    pub(crate) fn plan(&self, shards: usize) -> Option<Plan> {
        /// The front and the disk thread.
        const BESIDE: usize = 2;
        if self.cores.len() < shards + BESIDE {
            return None;
        }
        let mut sizes = BTreeMap::<usize, usize>::new();
        for core in self.cores.iter().filter(|core| !core.second_thread) {
            *sizes.entry(core.domain).or_default() += 1;
        }
        let size = |core: &Core| sizes.get(&core.domain).copied().unwrap_or(0);
        let rank = |core: &Core| match size(core) {
            size if size >= shards + BESIDE => (0, size),
            size if size >= shards => (1, size),
            size => (2, usize::MAX - size),
        };
        let mut cores = self.cores.clone();
        cores.sort_by_key(|core| (core.second_thread, rank(core), core.domain, core.id));
        // Where all fit, the lowest core of the L3 is left to the disk thread and to what else the system runs there.
        let (beside, chosen) = if size(&cores[0]) >= shards + BESIDE {
            (&cores[1..BESIDE], &cores[BESIDE..BESIDE + shards])
        } else {
            (&cores[shards..], &cores[..shards])
        };
        let mut seen = Vec::new();
        let domains = chosen
            .iter()
            .map(|core| {
                let place = seen.iter().position(|domain| *domain == core.domain).unwrap_or_else(|| {
                    seen.push(core.domain);
                    seen.len() - 1
                });
                // There are at most as many as shards, of which there are fewer than 2^16.
                place as u16
            })
            .collect();
        Some(Plan { front: beside[0].id, shards: chosen.iter().map(|core| core.id).collect(), domains })
    }
}

/// What the system says of one core.
#[derive(Clone, Debug)]
struct Facts {
    core: usize,
    /// Who shares its L3; empty when the system does not say.
    cache: Vec<usize>,
    /// Who is another thread of the same core, itself included; empty when the system does not say.
    threads: Vec<usize>,
}

/// Who shares the L3 of a core.
fn cache_list(core: &Path) -> Vec<usize> {
    // The indices are dense; more than eight caches has no processor.
    (0..8)
        .map(|index| core.join(format!("cache/index{index}")))
        .find(|cache| std::fs::read_to_string(cache.join("level")).is_ok_and(|level| level.trim() == LEVEL))
        .map(|cache| list_in(&cache.join("shared_cpu_list")))
        .unwrap_or_default()
}

fn list_in(file: &Path) -> Vec<usize> {
    std::fs::read_to_string(file).ok().and_then(|text| parse_list(&text)).unwrap_or_default()
}

/// The kernel's lists of processors: `0-3,8,10-11`.
fn parse_list(text: &str) -> Option<Vec<usize>> {
    /// More processors has no Linux.
    const MAX: usize = 1 << 16;
    let mut list = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MAX {
            return None;
        }
        list.extend(first..=last);
    }
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cores by their L3 and the core that they are a thread of.
    fn machine(cores: impl IntoIterator<Item = (usize, Vec<usize>, Vec<usize>)>) -> Topology {
        let facts: Vec<_> =
            cores.into_iter().map(|(core, cache, threads)| Facts { core, cache, threads }).collect();
        Topology::new(&facts)
    }

    /// Two L3 of four cores each; core n and core n + 8 are threads of one core.
    fn two_by_four_by_two() -> Topology {
        machine((0..16).map(|id| {
            let first = id % 8 / 4 * 4;
            let cache = (first..first + 4).chain(first + 8..first + 12).collect();
            (id, cache, vec![id % 8, id % 8 + 8])
        }))
    }

    #[test]
    fn lists_of_processors_parse_and_nonsense_does_not() {
        assert_eq!(parse_list("0-3,8,10-11\n"), Some(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(parse_list("5"), Some(vec![5]));
        assert_eq!(parse_list(""), Some(vec![]));
        for wrong in ["a", "1-", "-1", "3-1", "0-99999999999", "1,b"] {
            assert_eq!(parse_list(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shards_stay_in_one_cache_while_it_has_cores() {
        let topology = two_by_four_by_two();
        let plan = |shards| topology.plan(shards).unwrap();
        // All in the first L3, whose core 0 is left to the disk thread and the system.
        assert_eq!(plan(1), Plan { front: 1, shards: vec![2], domains: vec![0] });
        assert_eq!(plan(2), Plan { front: 1, shards: vec![2, 3], domains: vec![0, 0] });
        // Four shards fill an L3, the front is in the other.
        assert_eq!(plan(4), Plan { front: 4, shards: vec![0, 1, 2, 3], domains: vec![0; 4] });
        // Six go over, still one a core.
        let six = Plan { front: 6, shards: vec![0, 1, 2, 3, 4, 5], domains: vec![0, 0, 0, 0, 1, 1] };
        assert_eq!(plan(6), six);
        // Second threads come last, those of the first L3 before those of the other.
        assert_eq!(plan(10).shards, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(plan(10).domains, [0, 0, 0, 0, 1, 1, 1, 1, 0, 0]);
        assert!(topology.plan(14).is_some());
        assert_eq!(topology.plan(15), None);
    }

    #[test]
    fn the_smallest_cache_that_has_room_is_taken() {
        // An L3 of eight cores and one of four.
        let topology = machine((0..12).map(|id| {
            let cache = if id < 8 { (0..8).collect() } else { (8..12).collect() };
            (id, cache, vec![id])
        }));
        assert_eq!(topology.plan(2).unwrap().shards, [10, 11]);
        assert_eq!(topology.plan(2).unwrap().front, 9);
        assert_eq!(topology.plan(5).unwrap().shards, [2, 3, 4, 5, 6]);
        // None has room for nine: the larger is filled first.
        assert_eq!(topology.plan(9).unwrap().domains, [0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_machine_that_does_not_say_is_one_domain_of_whole_cores() {
        let dir = tempfile::tempdir().unwrap();
        let topology = Topology::read(dir.path(), &[3, 4, 5, 9]);
        assert_eq!(topology.plan(2), Some(Plan { front: 4, shards: vec![5, 9], domains: vec![0, 0] }));
        assert_eq!(topology.plan(3), None);
        assert_eq!(Topology::read(dir.path(), &[]).plan(1), None);
    }

    #[test]
    fn what_the_system_says_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for core in 0..8 {
            write(&format!("cpu{core}/cache/index0/level"), "1\n");
            write(&format!("cpu{core}/cache/index0/shared_cpu_list"), &format!("{core}\n"));
            write(&format!("cpu{core}/cache/index3/level"), "3\n");
            let l3 = if core % 4 < 2 { "0-1,4-5\n" } else { "2-3,6-7\n" };
            write(&format!("cpu{core}/cache/index3/shared_cpu_list"), l3);
            let threads = format!("{},{}\n", core % 4, core % 4 + 4);
            write(&format!("cpu{core}/topology/thread_siblings_list"), &threads);
        }
        let topology = Topology::read(dir.path(), &(0..8).collect::<Vec<_>>());
        // Two cores an L3: two shards share one, the front is in the other.
        let two = Plan { front: 2, shards: vec![0, 1], domains: vec![0, 0] };
        assert_eq!(topology.plan(2), Some(two));
        assert_eq!(topology.plan(4).unwrap().shards, [0, 1, 2, 3]);
        assert_eq!(topology.plan(6).unwrap().shards, [0, 1, 2, 3, 4, 5]);
        // Where only second threads are left to the process, they are as good as cores.
        let topology = Topology::read(dir.path(), &[4, 5, 6, 7]);
        assert_eq!(topology.plan(2).unwrap().shards, [4, 5]);
    }

    #[test]
    fn this_machine_has_a_plan() {
        let cores = engine::runtime::cores();
        let topology = Topology::read(Path::new(SYSTEM), &cores);
        for shards in 1..=cores.len() {
            let plan = topology.plan(shards);
            assert_eq!(plan.is_some(), shards + 2 <= cores.len());
            if let Some(plan) = plan {
                let mut used = plan.shards.clone();
                used.push(plan.front);
                used.sort_unstable();
                used.dedup();
                assert_eq!(used.len(), shards + 1, "one thread a core: {plan:?}");
                assert!(used.iter().all(|core| cores.contains(core)), "{plan:?}");
            }
        }
    }
}
