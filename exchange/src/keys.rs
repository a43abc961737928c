//! `exchange keys` and `exchange dev-cert`: what the exchanges of a cluster know each other by, and certificates to try TLS
//! toward clients with.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use link::{
    Identity,
    clients::{TRIAL_DAYS, TrialFiles, create_trial},
    identity::{Files, create},
};
use serde_json::json;

use crate::{
    cli::{DevCert, Keys},
    say::say,
};

/// The command.
pub(crate) fn keys(args: &Keys) -> Result<(), String> {
    let now = SystemTime::now();
    let created = create(&args.dir, &args.nodes, now).map_err(|error| error.to_string())?;
    let mut nodes = Vec::with_capacity(created.nodes.len());
    for (name, certificate, key) in &created.nodes {
        // As the exchange will, so that what it would refuse is not handed out.
        let identity = Identity::load(&Files::of(&args.dir, name), name, now)
            .map_err(|error| format!("what was made cannot be used: {error}"))?;
        nodes.push((name, certificate, key, identity.expires()));
    }
    let (ca, ca_key) = &created.ca;
    if args.json {
        let nodes: Vec<_> = nodes
            .iter()
            .map(|(name, certificate, key, expires)| {
                let expires = expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                json!({ "node": name, "certificate": certificate, "key": key, "expires_epoch_seconds": expires })
            })
            .collect();
        say!("{}", json!({ "ca": ca, "ca_key": ca_key, "ca_is_new": created.new_ca, "nodes": nodes }));
        return Ok(());
    }
    say!(
        "{} in {}",
        if created.new_ca { "a new cluster" } else { "more nodes of the cluster" },
        args.dir.display()
    );
    for (name, certificate, key, expires) in &nodes {
        let until = humantime::format_rfc3339_seconds(*expires).to_string();
        let until = until.split('T').next().unwrap_or_default();
        say!(
            "node {name}: give it {}, {} and {} (valid until {until})",
            file_name(ca),
            file_name(certificate),
            file_name(key),
        );
    }
    say!("Keys stay with their node, mode 0600; nothing else may read them.");
    say!(
        "{} makes more certificates and no exchange needs it: keep it away from all of them.",
        file_name(ca_key)
    );
    Ok(())
}

/// The command that makes certificates to try TLS toward clients with.
pub(crate) fn dev_cert(args: &DevCert) -> Result<(), String> {
    let TrialFiles { ca, server, client } =
        create_trial(&args.dir, &args.name, SystemTime::now()).map_err(|error| error.to_string())?;
    if args.json {
        say!(
            "{}",
            json!({
                "ca": ca, "certificate": server.0, "key": server.1, "client_certificate": client.0, "client_key": client.1,
            })
        );
        return Ok(());
    }
    say!("certificates for a trial in {}, valid for {TRIAL_DAYS} days", args.dir.display());
    say!("The exchange's configuration:\n");
    say!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"", server.0.display(), server.1.display());
    say!("# client_ca = \"{}\" lets only clients in that have a certificate\n", ca.display());
    say!("Clients trust {}; where they have to show a certificate:", ca.display());
    say!("{} with its key {}.", client.0.display(), client.1.display());
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
