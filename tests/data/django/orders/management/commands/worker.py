import signal
import time

from django.core.management.base import BaseCommand

from orders.models import Order


class Command(BaseCommand):
    help = "Handles one queued order, or with --loop every order until SIGTERM or SIGINT."

    def add_arguments(self, parser):
        parser.add_argument("--loop", action="store_true", help="go on until SIGTERM or SIGINT")

    def handle(self, *args, loop, **options):
        if loop:
            self.loop()
        elif not self.handle_next():
            self.say("no order queued")

    def loop(self):
        # A plain flag: setting an Event in a handler can wait for a lock that
        # the interrupted code holds.
        stopping = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.append(True))
        self.say("worker ready")
        while not stopping:
            if not self.handle_next():
                time.sleep(0.1)
        self.say("worker stopped")

    def handle_next(self):
        order = Order.handle_next()
        if order:
            self.say(f"handled order {order}")
        return order

    def say(self, line):
        self.stdout.write(line)
        self.stdout.flush()
