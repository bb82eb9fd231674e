"""Transfers between two members by psycopg2's two-phase commit, as an application would write them.

    transfers.py CONNINFO0 CONNINFO1 STOPFILE

Each transfer writes (id, delta) into the table ledger of both members; the branches' qualifiers are the members'
names. "ok ID" is printed when both have committed, "no ID" when both have rolled back. When STOPFILE is there, one
transfer is left half committed ("half ID") and one only prepared ("open ID").
"""
import os
import random
import sys
import threading
import time

import psycopg2

conninfo = sys.argv[1:3]
stop = sys.argv[3]
say = threading.Lock()


def tell(word, number):
    with say:
        print(word, number, flush=True)


def prepare(connections, number):
    for i, connection in enumerate(connections):
        connection.tpc_begin(connection.xid(42, f"transfer/{number} _", f"member {i}"))
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO ledger VALUES (%s, %s)", (number, 7 if i else -7))
    for connection in connections:
        connection.tpc_prepare()


def client(worker):
    connections = [psycopg2.connect(one) for one in conninfo]
    chance = random.Random(worker)
    number = worker * 1_000_000
    while not os.path.exists(stop):
        number += 1
        prepare(connections, number)
        if chance.random() < 0.1:
            for connection in connections:
                connection.tpc_rollback()
            tell("no", number)
            continue
        order = connections if chance.random() < 0.5 else connections[::-1]
        order[0].tpc_commit()
        if chance.random() < 0.3:
            time.sleep(0.05)
        order[1].tpc_commit()
        tell("ok", number)
    if worker == 1:
        prepare(connections, 1)
        connections[0].tpc_commit()
        tell("half", 1)
        others = [psycopg2.connect(one) for one in conninfo]
        prepare(others, 2)
        tell("open", 2)
        for connection in others:
            connection.close()
    for connection in connections:
        connection.close()


threads = [threading.Thread(target=client, args=(i,)) for i in (1, 2, 3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
