//! From a long list of commands that shows a difference to a short one that still does.

use std::collections::BTreeMap;
use std::panic;

use domain::{Command, EnterOrder, OrderId, ReplaceOrder, Sequenced};

use crate::support::INSTRUMENT;

/// Commands that still `differ`, with as many left out as a simple search finds: halves, quarters and so on, down to
/// single commands. Says nothing while it tries.
pub(crate) fn shrunk(
    commands: &[Sequenced<Command>],
    differ: impl Fn(&[Sequenced<Command>]) -> bool,
) -> Vec<Sequenced<Command>> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut rest = commands.to_vec();
    let mut piece = rest.len().div_ceil(2);
    while piece > 0 {
        let mut from = 0;
        let mut less = false;
        while from < rest.len() {
            let to = rest.len().min(from + piece);
            let without: Vec<_> = rest[..from].iter().chain(&rest[to..]).copied().collect();
            if differ(&renumbered(&without)) {
                rest = without;
                less = true;
            } else {
                from = to;
            }
        }
        if piece > 1 || !less {
            piece /= 2;
        }
    }
    panic::set_hook(hook);
    renumbered(&rest)
}

/// The commands with order numbers without gaps, as a book wants them. Who named an order that is gone names none.
fn renumbered(commands: &[Sequenced<Command>]) -> Vec<Sequenced<Command>> {
    let mut numbers: BTreeMap<OrderId, OrderId> = BTreeMap::new();
    let mut commands = commands.to_vec();
    for command in &mut commands {
        let named = |order: &OrderId| numbers.get(order).copied().unwrap_or(OrderId::new(INSTRUMENT, 0));
        let new = match &mut command.command {
            Command::Cancel(cancel) => {
                cancel.order = named(&cancel.order);
                continue;
            }
            Command::Reduce(reduce) => {
                reduce.order = named(&reduce.order);
                continue;
            }
            Command::Replace(replace) => {
                replace.order = named(&replace.order);
                &mut replace.new_order
            }
            Command::ReplaceSpecial(special) => {
                special.replace.order = named(&special.replace.order);
                &mut special.replace.new_order
            }
            Command::Enter(enter) => &mut enter.order,
            Command::EnterSpecial(special) => &mut special.enter.order,
            _ => continue,
        };
        let next = OrderId::new(INSTRUMENT, numbers.len() as u64 + 1);
        numbers.insert(*new, next);
        *new = next;
    }
    commands
}

/// A command in a line: what matters to a book.
pub(crate) fn line(command: &Sequenced<Command>) -> String {
    let enter = |c: &EnterOrder| {
        format!(
            "#{} {:?} {} @ {} {:?} {:?}, session {} calls it {}, account {}",
            c.order.number(),
            c.side,
            c.quantity,
            c.price,
            c.order_type,
            c.time_in_force,
            c.owner.session.0,
            c.owner.client_ref.0,
            c.account.0
        )
    };
    let replace = |c: &ReplaceOrder| {
        format!(
            "#{} (called {}) by #{} {} @ {} {:?} {:?} {:?}, session {} calls it {}",
            c.order.number(),
            c.original.0,
            c.new_order.number(),
            c.total,
            c.price,
            c.order_type,
            c.time_in_force,
            c.priority,
            c.owner.session.0,
            c.owner.client_ref.0
        )
    };
    let asked = match &command.command {
        Command::Enter(c) => format!("enter {}", enter(c)),
        Command::EnterSpecial(c) => format!("enter {}, {:?}", enter(&c.enter), c.instructions),
        Command::Replace(c) => format!("replace {}", replace(c)),
        Command::ReplaceSpecial(c) => format!("replace {}, {:?}", replace(&c.replace), c.instructions),
        other => format!("{other:?}"),
    };
    format!("{} at {}: {asked}", command.sequence.0, command.nanos.0)
}

#[test]
fn a_difference_is_shrunk_to_what_makes_it() {
    use crate::script::parse;
    use domain::{Nanos, Sequence};

    // "Differs" when the order for 3 is there and is canceled by its owner.
    let line = |sequence: u64, text: &str, next| {
        let (sequence, nanos) = (Sequence(sequence), Nanos(sequence));
        Sequenced { sequence, nanos, command: parse(text, next) }
    };
    let commands = [
        line(1, "s1 buy 1 @ 100", 1),
        line(2, "s1 buy 2 @ 100", 2),
        line(3, "s1 cancel #1", 3),
        line(4, "s1 buy 3 @ 100", 3),
        line(5, "s1 replace #2 by 5 @ 100", 4),
        line(6, "s1 cancel #3", 5),
        line(7, "end of day", 5),
    ];
    let differ = |commands: &[Sequenced<Command>]| {
        let three = commands.iter().find_map(|command| match command.command {
            Command::Enter(enter) if enter.quantity.lots() == 3 => Some(enter.order),
            _ => None,
        });
        commands.iter().any(|command| match command.command {
            Command::Cancel(cancel) => Some(cancel.order) == three,
            _ => false,
        })
    };
    let short = shrunk(&commands, differ);
    assert_eq!(short.len(), 2, "{short:?}");
    assert!(differ(&short), "{short:?}");
}
