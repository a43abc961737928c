//! Logs on with FIX, enters an order, prints what the exchange says of it, cancels it and logs out.
//!
//! ```sh
//! cargo run -p client --example fix_order -- 127.0.0.1:9878 DEV1 dev AAPL 100 150.25 [CA_FILE]
//! ```
#![forbid(unsafe_code)]

use std::{error::Error, net::SocketAddr, time::Duration};

use client::{
    Tls, User,
    fix::{
        Cancel, CancelReject, Connection, ExecutionReport, Incoming, Memory, NewOrder, Request, Settings,
        TimeInForce,
    },
};
use domain::Side;
use wire::fix::value;

const PATIENCE: Duration = Duration::from_secs(5);
/// How the exchange is called unless its configuration says otherwise.
const EXCHANGE: &str = "FULCRUM";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, name, password, symbol, quantity, price, rest @ ..] = &words[..] else {
        return Err("usage: fix_order ADDRESS USER PASSWORD SYMBOL QUANTITY PRICE [CA_FILE]".into());
    };
    let address: SocketAddr = address.parse()?;
    let limit = value::decimal(price.as_bytes()).map_err(|fault| format!("{price}: {fault:?}"))?;
    let tls = rest.first().map(|file| Tls::from_ca_file(file, None)).transpose()?;

    // A new session each time, since this program forgets its numbers when it ends.
    let user = User { name: name.clone(), password: password.clone() };
    let settings = Settings { reset: true, ..Settings::new(user, EXCHANGE) };
    let mut connection = Connection::open(address, tls.as_ref(), settings, Memory::default(), PATIENCE)?;
    connection.logon(PATIENCE)?;
    println!("logged on as {name}");

    // An exchange takes each ClOrdID once, whenever it was used.
    let nanos = std::time::UNIX_EPOCH.elapsed()?.as_nanos();
    let (id, cancel_id) = (format!("{nanos:X}"), format!("{:X}", nanos + 1));
    let (symbol, side) = (symbol.as_str(), Side::Buy);
    connection.request(&Request::New(NewOrder {
        id: &id,
        symbol,
        side,
        quantity: quantity.parse()?,
        limit_e4: Some(limit),
        time_in_force: TimeInForce::Day,
        more: &[],
    }))?;
    while let Some(incoming) = connection.receive(Duration::from_secs(1))? {
        print(&incoming)?;
    }
    connection.request(&Request::Cancel(Cancel { id: &cancel_id, original: &id, symbol, side }))?;
    while let Some(incoming) = connection.receive(Duration::from_secs(1))? {
        print(&incoming)?;
    }
    connection.logout(PATIENCE)?;
    println!("logged out");
    Ok(())
}

fn print(incoming: &Incoming<'_>) -> Result<(), Box<dyn Error>> {
    let text = String::from_utf8_lossy;
    match incoming.msg_type {
        b"8" => {
            let report = ExecutionReport::read(incoming.body)?;
            println!(
                "{}: ExecType {} OrdStatus {} leaves {} executed {} {}",
                text(report.id),
                char::from(report.exec_type),
                char::from(report.status),
                report.leaves,
                report.executed,
                text(report.text)
            );
        }
        b"9" => {
            let reject = CancelReject::read(incoming.body)?;
            println!("{}: not canceled, reason {:?} {}", text(reject.id), reject.reason, text(reject.text));
        }
        other => println!("{}: {}", text(other), text(incoming.body).replace('\x01', "|")),
    }
    Ok(())
}
