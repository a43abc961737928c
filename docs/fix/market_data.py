#!/usr/bin/env python3
"""Asks an exchange for a book with QuickFIX, keeps it as it changes, and prints its best prices and its trades.

    pip install quickfix          # 1.16; builds from source for some minutes
    python3 docs/fix/market_data.py --port 9104 --user DEV1 --password dev --symbol AAPL --changes 100

The port is that of feed.fix.address, and users are those whose protocol is FIX. It ends after so many changes, or with an
error when a number is missing or a change does not fit what it has: a program that goes on would ask for the book anew.
"""

import argparse
import sys
import tempfile
from decimal import Decimal

import quickfix as fix
from example import Client, begin_string, settings

REQUEST = "book"


def request(options):
    message = fix.Message()
    message.getHeader().setField(fix.BeginString(begin_string(options)))
    message.getHeader().setField(fix.MsgType(fix.MsgType_MarketDataRequest))
    # MDReqID, snapshot and updates, depth, incremental.
    for tag, value in {262: REQUEST, 263: "1", 264: str(options.depth), 265: "1"}.items():
        message.setField(fix.StringField(tag, value))
    for entry in "012":  # bids, offers, trades
        group = fix.Group(267, 269)
        group.setField(fix.StringField(269, entry))
        message.addGroup(group)
    group = fix.Group(146, 55)
    group.setField(fix.StringField(55, options.symbol))
    message.addGroup(group)
    fix.Session.sendToTarget(message, options.user, options.target)


class Book:
    """Prices and quantities of both sides, by MDEntryType."""

    def __init__(self):
        self.sides = {"0": {}, "1": {}}
        self.number = None

    def take(self, message):
        """Takes a message; says how many changes were in it, and which trades."""
        fields = [field.partition("=")[::2] for field in message.split("\x01")[:-1]]
        head = dict(fields)
        if head["35"] == "W":
            self.sides, self.number = {"0": {}, "1": {}}, int(head["83"])
        elif head["35"] != "X":
            sys.exit(f"{message} instead of market data")
        changes, trades = 0, []
        for entry in entries(fields, "269" if head["35"] == "W" else "279"):
            if head["35"] == "X":
                changes += 1
                if int(entry["83"]) != self.number + 1:
                    sys.exit(f"entry {entry['83']} came, and {self.number + 1} was next")
                self.number += 1
            price = Decimal(entry["270"])
            if entry["269"] == "2":
                trades.append(f"{entry['271']} at {price}")
                continue
            side, action = self.sides[entry["269"]], entry.get("279", "0")
            if (price in side) != (action != "0"):
                sys.exit(f"action {action} does not fit: {message}")
            if action == "2":
                del side[price]
            else:
                side[price] = Decimal(entry["271"])
        return changes, trades

    def best(self):
        bid, offer = max(self.sides["0"], default=None), min(self.sides["1"], default=None)
        if bid is not None and offer is not None and bid >= offer:
            sys.exit(f"the book is crossed: {bid} is bid, and {offer} is offered")
        shown = lambda side, price: "-" if price is None else f"{self.sides[side][price]} at {price}"
        return f"{shown('0', bid)} | {shown('1', offer)}"


def entries(fields, first):
    """The entries of a group, each of which begins with the same field."""
    entry = None
    for tag, value in fields:
        if tag == first:
            if entry:
                yield entry
            entry = {}
        if entry is not None and tag != "10":
            entry[tag] = value
    if entry:
        yield entry


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", required=True, help="the CompID, and the user name")
    parser.add_argument("--password", required=True)
    parser.add_argument("--target", default="FULCRUM-MD", help="the exchange's CompID (default: %(default)s)")
    parser.add_argument("--version", default="4.4", choices=["4.4", "5.0SP2"])
    parser.add_argument("--symbol", default="AAPL")
    parser.add_argument("--depth", type=int, default=0, help="levels of a side; 0 for all (default)")
    parser.add_argument("--changes", type=int, default=100, help="ends after so many (default: %(default)s)")
    options = parser.parse_args()
    options.store = None  # numbers begin anew with each logon

    with tempfile.TemporaryDirectory() as directory:
        client = Client(options.user, options.password)
        configured = settings(options, directory)
        store = fix.FileStoreFactory(configured)
        initiator = fix.SocketInitiator(client, store, configured, fix.FileLogFactory(configured))
        initiator.start()
        try:
            if client.next("the logon") != "logon":
                sys.exit("the exchange closed the connection: check the name, the password and --target")
            request(options)
            book, left = Book(), options.changes
            while left > 0:
                changes, trades = book.take(client.next("a change"))
                left -= changes
                for trade in trades:
                    print(f"{options.symbol} traded {trade}")
                print(f"{options.symbol} {book.best()}", flush=True)
        finally:
            initiator.stop()


if __name__ == "__main__":
    main()
