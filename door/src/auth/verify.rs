//! The thread that verifies what takes long, and how passwords are hashed.

use std::{
    cell::LazyCell,
    collections::BTreeMap,
    io,
    net::IpAddr,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
    password_hash::SaltString,
};
use domain::UserName;
use mio::Waker;
use ring::{
    rand::{SecureRandom, SystemRandom},
    signature::{ED25519, UnparsedPublicKey},
};
use rustls::pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};

use super::{Digest, Protocol, Ticket};

/// Attempts that wait at most: some seconds of work.
const WAITING_MAX: usize = 256;
/// Attempts from one address that wait at most: others' do not stand behind all that it has.
const WAITING_ADDRESS_MAX: usize = 8;

/// What a hash in a file may cost to verify: it is read from there, and must not stop everybody's logins.
const MEMORY_KIB_MAX: u32 = 256 * 1_024;
const ROUNDS_MAX: u32 = 16;
const LANES_MAX: u32 = 4;
/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// Something to be verified.
pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) token: usize,
    pub(super) from: IpAddr,
    pub(super) user: (Protocol, UserName),
    /// The version of the user's record; 0: there is none.
    pub(super) version: u64,
    /// To be remembered if it is right.
    pub(super) digest: Option<Digest>,
    pub(super) work: Work,
}

pub(super) enum Work {
    /// `hash`: none is nobody's password, and takes as long.
    Password { hash: Option<Arc<str>>, password: Vec<u8> },
    /// `key`: none is nobody's signature, and takes as long.
    Signature { key: Option<[u8; 32]>, of: Box<[u8]>, signature: Box<[u8]> },
}

/// Something that has been verified.
pub(super) struct Done {
    pub(super) job: Job,
    pub(super) is_right: bool,
}

/// The gateway's end of the thread, which ends with it.
pub(super) struct Verifier {
    jobs: SyncSender<Job>,
    done: Receiver<Done>,
    waiting: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

impl Verifier {
    pub(super) fn spawn(waker: Arc<Waker>) -> io::Result<Self> {
        let (jobs, to_do) = sync_channel(WAITING_MAX);
        let (finished, done) = channel();
        std::thread::Builder::new().name("auth".into()).spawn(move || run(&to_do, &finished, &waker))?;
        Ok(Self { jobs, done, waiting: 0, by_address: BTreeMap::new() })
    }

    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether there is room for a job from there.
    pub(super) fn has_room(&self, from: IpAddr) -> bool {
        let of_address = self.by_address.get(&from).copied().unwrap_or(0);
        self.waiting < WAITING_MAX && of_address < WAITING_ADDRESS_MAX
    }

    /// Takes a job that there is room for.
    pub(super) fn take(&mut self, job: Job) {
        *self.by_address.entry(job.from).or_default() += 1;
        self.waiting += 1;
        // It fails only if the thread is dead: then the login's time runs out.
        let _ = self.jobs.try_send(job);
    }

    /// The next that is done.
    #[inline]
    pub(super) fn done(&mut self) -> Option<Done> {
        if self.waiting == 0 {
            return None;
        }
        let done = self.done.try_recv().ok()?;
        self.waiting -= 1;
        if let Some(waiting) = self.by_address.get_mut(&done.job.from) {
            *waiting -= 1;
            if *waiting == 0 {
                self.by_address.remove(&done.job.from);
            }
        }
        Some(done)
    }
}

fn run(jobs: &Receiver<Job>, finished: &Sender<Done>, waker: &Waker) {
    // What a name that nobody has is held against. Made for the first who comes, whoever that is, since many a process has no
    // secret to verify. Without it such a name is refused sooner, which is said.
    let nobody: LazyCell<Option<String>> = LazyCell::new(|| {
        hash_password(b"nobody").inspect_err(|error| log::error!("no hash for unknown users: {error}")).ok()
    });
    while let Ok(job) = jobs.recv() {
        let nobody = nobody.as_deref();
        let is_right = is_right(&job.work, nobody);
        if finished.send(Done { job, is_right }).is_err() {
            return;
        }
        if let Err(error) = waker.wake() {
            log::error!("the front cannot be woken for a login: {error}");
        }
    }
}

fn is_right(work: &Work, nobody: Option<&str>) -> bool {
    match work {
        Work::Password { hash, password } => {
            let against = hash.as_deref().or(nobody);
            let matches = against
                .and_then(|hash| PasswordHash::new(hash).ok())
                .is_some_and(|hash| Argon2::default().verify_password(password, &hash).is_ok());
            matches && hash.is_some()
        }
        Work::Signature { key, of, signature } => {
            // The generator of the curve: verifying takes as long with any key, and whoever signs for this one is not let in.
            const NOBODY: [u8; 32] = [
                0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                0x66, 0x66,
            ];
            let against = UnparsedPublicKey::new(&ED25519, key.unwrap_or(NOBODY));
            against.verify(of, signature).is_ok() && key.is_some()
        }
    }
}

/// The argon2id hash of a password (19 MiB, 2 rounds, 1 lane) with a salt of its own, in the PHC string format. Takes tens of
/// milliseconds.
///
/// # Errors
/// When the system has no random bytes, or the password is none that can be hashed.
pub fn hash_password(password: &[u8]) -> Result<String, String> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| "the system has no random bytes".to_owned())?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| error.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
    argon2.hash_password(password, &salt).map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Checks that a text is an argon2id hash that can be verified with bounded effort.
///
/// # Errors
/// Says what it is instead.
pub fn check_hash(text: &str) -> Result<(), String> {
    let hash =
        PasswordHash::new(text).map_err(|error| format!("no hash in the PHC string format: {error}"))?;
    let algorithm = Algorithm::try_from(hash.algorithm).map_err(|error| error.to_string())?;
    if algorithm != Algorithm::Argon2id {
        return Err(format!("a hash of {algorithm}, and argon2id is taken"));
    }
    if hash.hash.is_none() {
        return Err("parameters of argon2id without a hash".to_owned());
    }
    let params = Params::try_from(&hash).map_err(|error| error.to_string())?;
    let (memory, rounds, lanes) = (params.m_cost(), params.t_cost(), params.p_cost());
    if memory > MEMORY_KIB_MAX || rounds > ROUNDS_MAX || lanes > LANES_MAX {
        return Err(format!(
            "a hash of {memory} KiB, {rounds} rounds and {lanes} lanes; at most {MEMORY_KIB_MAX} KiB, {ROUNDS_MAX} rounds and \
             {LANES_MAX} lanes are taken"
        ));
    }
    Ok(())
}

/// The Ed25519 key in a PEM file, as `openssl pkey -pubout` writes it.
///
/// # Errors
/// Says what is there instead.
pub fn public_key_from_pem(pem: &[u8]) -> Result<[u8; 32], String> {
    // A SubjectPublicKeyInfo of Ed25519 is this and the key (RFC 8410).
    const PREFIX: [u8; 12] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00];
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem)
        .map_err(|error| format!("no public key in PEM: {error}"))?;
    der.strip_prefix(&PREFIX[..])
        .and_then(|key| key.try_into().ok())
        .ok_or_else(|| "a public key, and none of Ed25519".to_owned())
}
