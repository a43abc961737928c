//! A way for datagrams that loses some and lets others overtake them.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// See the module. Ends when dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) lost: Arc<AtomicU64>,
    pub(crate) late: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Passes on what comes to its address: 1 in 100 is lost, 5 in 100 come after up to 8 others.
    pub(crate) fn start(to: SocketAddr, seed: u64) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let address = socket.local_addr().unwrap();
        let (lost, late, stop) = (Arc::default(), Arc::default(), Arc::default());
        let thread = {
            let (lost, late, stop) = (Arc::clone(&lost), Arc::clone(&late), Arc::clone(&stop));
            std::thread::spawn(move || run(&socket, to, seed, &lost, &late, &stop))
        };
        Self { address, lost, late, stop, thread: Some(thread) }
    }
}

fn run(socket: &UdpSocket, to: SocketAddr, seed: u64, lost: &AtomicU64, late: &AtomicU64, stop: &AtomicBool) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut data = [0; 2_048];
    let mut waiting: Vec<(u32, Vec<u8>)> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match socket.recv(&mut data) {
            Ok(length) => {
                match rng.random_range(0..100) {
                    0 => _ = lost.fetch_add(1, Ordering::Relaxed),
                    1..6 => {
                        late.fetch_add(1, Ordering::Relaxed);
                        waiting.push((rng.random_range(1..=8), data[..length].to_vec()));
                        continue;
                    }
                    _ => _ = socket.send_to(&data[..length], to),
                }
                waiting.iter_mut().for_each(|(behind, _)| *behind -= 1);
            }
            // Nothing follows: those that wait have waited long enough.
            Err(_) => waiting.iter_mut().for_each(|(behind, _)| *behind = 0),
        }
        waiting.retain(|(behind, data)| {
            if *behind == 0 {
                let _ = socket.send_to(data, to);
            }
            *behind > 0
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
