#!/usr/bin/env python3
"""Logs on to an exchange with QuickFIX, enters an order, prints what is said of it, cancels it and logs out.

    pip install quickfix          # 1.16; builds from source for some minutes
    python3 docs/fix/example.py --port 9878 --user DEV1 --password dev --symbol AAPL --quantity 100 --price 150.25

QuickFIX checks every message of the exchange against the dictionary beside this file. As PyPI builds it, it has no TLS:
clients.md says how to put stunnel before it.
"""

import argparse
import os
import queue
import sys
import tempfile
import time

import quickfix as fix

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 10  # seconds


class Client(fix.Application):
    """What QuickFIX calls, on a thread of its own; messages go to the main thread through a queue, as text: the objects that
    it hands out are gone when the call returns."""

    def __init__(self, user, password):
        super().__init__()
        self.user, self.password = user, password
        self.heard = queue.Queue()

    def onCreate(self, session):
        pass

    def onLogon(self, session):
        self.heard.put("logon")

    def onLogout(self, session):
        self.heard.put("logout")

    def toAdmin(self, message, session):
        if message.getHeader().getField(fix.MsgType().getTag()) == fix.MsgType_Logon:
            message.setField(fix.StringField(553, self.user))  # Username
            message.setField(fix.StringField(554, self.password))  # Password

    def fromAdmin(self, message, session):
        if message.getHeader().getField(fix.MsgType().getTag()) == fix.MsgType_Reject:
            self.heard.put(message.toString())

    def toApp(self, message, session):
        pass

    def fromApp(self, message, session):
        self.heard.put(message.toString())

    def next(self, what):
        """What comes next, or an error that says what did not."""
        try:
            return self.heard.get(timeout=PATIENCE)
        except queue.Empty:
            sys.exit(f"{what} did not come within {PATIENCE} s")

    def report(self, what):
        message = self.next(what)
        if not message.startswith("8="):
            sys.exit(f"{message} instead of {what}")
        print(message.replace("\x01", "|"))
        return {int(tag): value for tag, _, value in (field.partition("=") for field in message.split("\x01")[:-1])}


def send(options, msg_type, fields):
    message = fix.Message()
    message.getHeader().setField(fix.BeginString(begin_string(options)))
    message.getHeader().setField(fix.MsgType(msg_type))
    for tag, value in fields.items():
        message.setField(fix.StringField(tag, str(value)))
    message.setField(fix.TransactTime())
    fix.Session.sendToTarget(message, options.user, options.target)


def begin_string(options):
    return "FIX.4.4" if options.version == "4.4" else "FIXT.1.1"


def settings(options, directory):
    # Numbers are in files below --store. With a directory that goes away, each run must begin a new session.
    store = options.store or directory
    lines = [
        "[DEFAULT]",
        "ConnectionType=initiator",
        f"SocketConnectHost={options.host}",
        f"SocketConnectPort={options.port}",
        f"FileStorePath={os.path.join(store, 'store')}",
        f"FileLogPath={os.path.join(directory, 'log')}",
        "StartTime=00:00:00",
        "EndTime=00:00:00",
        "HeartBtInt=30",
        "ReconnectInterval=1",
        f"ResetOnLogon={'N' if options.store else 'Y'}",
        "[SESSION]",
        f"SenderCompID={options.user}",
        f"TargetCompID={options.target}",
        "SocketNodelay=Y",
        f"BeginString={begin_string(options)}",
    ]
    if options.version == "4.4":
        lines += [f"DataDictionary={HERE}/FIX44.xml"]
    else:
        lines += [
            "DefaultApplVerID=FIX.5.0SP2",
            f"TransportDataDictionary={HERE}/FIXT11.xml",
            f"AppDataDictionary={HERE}/FIX50SP2.xml",
        ]
    path = os.path.join(directory, "settings")
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    return fix.SessionSettings(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user", required=True, help="the CompID, and the user name")
    parser.add_argument("--password", required=True)
    parser.add_argument("--target", default="FULCRUM", help="the exchange's CompID (default: %(default)s)")
    parser.add_argument("--version", default="4.4", choices=["4.4", "5.0SP2"])
    parser.add_argument("--symbol", default="AAPL")
    parser.add_argument("--quantity", type=int, default=100)
    parser.add_argument("--price", default="1.00")
    parser.add_argument("--store", metavar="DIR", help="keep sequence numbers there; without it, each run begins anew")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as directory:
        client = Client(options.user, options.password)
        configured = settings(options, directory)
        store = fix.FileStoreFactory(configured)
        initiator = fix.SocketInitiator(client, store, configured, fix.FileLogFactory(configured))
        initiator.start()
        try:
            if client.next("the logon") != "logon":
                sys.exit("the exchange closed the connection: check the name, the password and --target")
            order_id = f"PY{time.time_ns():x}"
            instrument = {55: options.symbol, 54: fix.Side_BUY}
            order = {11: order_id, 38: options.quantity, 40: fix.OrdType_LIMIT, 44: options.price, 59: fix.TimeInForce_DAY}
            send(options, "D", {**order, **instrument})
            entered = client.report("an answer to the order")
            if entered.get(150) != fix.ExecType_NEW:
                sys.exit("the order was not accepted")
            cancel = {11: order_id + "C", 41: order_id}
            send(options, "F", {**cancel, **instrument})
            while True:
                said = client.report("an answer to the cancel")
                # Canceled, or not to be canceled any more.
                if said.get(150) == fix.ExecType_CANCELED or said[35] != "8":
                    break
        finally:
            initiator.stop()
    if said[35] != "8":
        sys.exit("the order was not canceled")


if __name__ == "__main__":
    main()
