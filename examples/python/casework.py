"""Calls tsio from Python, with grpcio only.

First, a service with a certificate lists offers. Then an officer with a token accepts an offer, makes an award, and reads
why a second award is refused. At the end the officer watches the programme until delivery of the offer starts.

    mkdir -p stubs
    python -m grpc_tools.protoc -I proto --python_out=stubs --grpc_python_out=stubs proto/tsio/v1/*.proto
    PYTHONPATH=stubs python casework.py

Environment variables: the server as host:port (TSIO_TARGET), the authority that signed its certificate (TSIO_CA), the
certificate of this service and its key (TSIO_CERT, TSIO_KEY), and the URL that returns a token (TSIO_TOKEN_URL).
"""

import os
import random
import time
import urllib.request
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tsio.v1 import awards_pb2, awards_pb2_grpc, common_pb2, offers_pb2, offers_pb2_grpc

PROGRAMME = "2021-22"
DEADLINE = 30  # seconds for each call
ATTEMPTS = 6  # tries of a call, or of a stream that receives no message
# A call that ended in one of these ways may be repeated with the same request id.
REPEATABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
}
# Without pings, a watch would not notice a connection that died silently.
KEEPALIVE = [
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
]


def say(*what):
    print(*what, flush=True)


def read(name):
    with open(os.environ[name], "rb") as file:
        return file.read()


def connect(certificate=None, key=None):
    """Connects over TLS. The certificate, if there is one, says who calls."""
    credentials = grpc.ssl_channel_credentials(read("TSIO_CA"), key, certificate)
    return grpc.secure_channel(os.environ["TSIO_TARGET"], credentials, KEEPALIVE)


class Tokens:
    """Gets a token from the issuer, and a new one when it has expired."""

    def __init__(self):
        self.token = None

    def metadata(self):
        if self.token is None:
            with urllib.request.urlopen(os.environ["TSIO_TOKEN_URL"], timeout=DEADLINE) as answer:
                self.token = answer.read().decode().strip()
        return [("authorization", f"Bearer {self.token}")]

    def renew(self):
        self.token = None
        say("token expired: asking for another")


def details(error, kind):
    """Returns the detail of this type in the status of an error, or None."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else []:
        message = kind()
        if detail.Unpack(message):
            return message
    return None


def reason(error):
    info = details(error, error_details_pb2.ErrorInfo)
    return info.reason if info else ""


class Retry:
    """Decides whether to try again, and waits. Create one for each call or stream."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.reset()

    def reset(self):
        self.failed, self.renewed = 0, False

    def after(self, error):
        """Waits until the call may be repeated. Raises the error if it must not be repeated, such as a refusal."""
        code = error.code()
        if code == grpc.StatusCode.UNAUTHENTICATED and reason(error) == "TOKEN_EXPIRED" and not self.renewed:
            self.renewed = True
            return self.tokens.renew()
        if code not in REPEATABLE:
            raise error
        return self.pause(error)

    def pause(self, error):
        """Waits before the next try. Raises the error after the last try."""
        self.failed += 1
        if self.failed == ATTEMPTS:
            raise error
        time.sleep(random.uniform(0, 0.1 * 2**self.failed))  # clients that failed together must not return together


def call(method, request, tokens):
    """Calls a method, and repeats it if that is safe. A change has the same `request_id` in each try, so it is made once."""
    retry = Retry(tokens)
    while True:
        try:
            return method(request, timeout=DEADLINE, metadata=tokens.metadata())
        except grpc.RpcError as error:
            retry.after(error)


def changes(offers, tokens):
    """Yields every change of the programme once, from the first. Resumes a broken stream after the last message."""
    start, retry = {"after_sequence": 0}, Retry(tokens)
    while True:
        request = offers_pb2.WatchOffersRequest(programme=PROGRAMME, **start)
        try:
            for message in offers.WatchOffers(request, metadata=tokens.metadata()):
                yield message
                start = {"resume_token": message.resume_token}  # store it together with your data from the message
                retry.reset()
            retry.pause(ConnectionError("the server ended the stream"))
        except grpc.RpcError as error:
            retry.after(error)
        say("watching again")


def credit(offer, pence, date):
    """Creates a request for an award of credit. Its request id is created here, and stays the same in each try."""
    support = awards_pb2.CreditSupport(partner_uid=90001, suitable_because="strong on early reading")
    award = awards_pb2.NewAward(amount_pence=pence, credit=support)
    return awards_pb2.CreateAwardsRequest(request_id=str(uuid.uuid4()), offer=offer, awards=[award], date=date)


def refused(awards, request, tokens):
    """Makes a call that must be refused, and returns the refusal."""
    try:
        call(awards.CreateAwards, request, tokens)
    except grpc.RpcError as error:
        if refusal := details(error, common_pb2.Refusal):
            return refusal
        raise
    raise SystemExit("an award above its limits was made")


def main():
    listing = offers_pb2.ListOffersRequest(programme=PROGRAMME, state=offers_pb2.OFFER_STATE_CONTACTED)
    with connect(read("TSIO_CERT"), read("TSIO_KEY")) as service:
        found = offers_pb2_grpc.OfferServiceStub(service).ListOffers(listing, timeout=DEADLINE).offers
    say("listed", len(found))
    offer = found[0].offer

    tokens = Tokens()
    with connect() as channel:
        offers = offers_pb2_grpc.OfferServiceStub(channel)
        awards = awards_pb2_grpc.AwardServiceStub(channel)

        accept = offers_pb2.AcceptOfferRequest(
            request_id=str(uuid.uuid4()), offer=offer, acceptor=offers_pb2.ACCEPTOR_SCHOOL, date="2021-09-20"
        )
        accepted = call(offers.AcceptOffer, accept, tokens)
        say("accepted", offer, offers_pb2.OfferState.Name(accepted.offer.state))
        if call(offers.AcceptOffer, accept, tokens) != accepted:
            raise SystemExit("the same request id must answer the same")

        award = call(awards.CreateAwards, credit(offer, 300_000, "2021-11-01"), tokens).awards[0]
        say("awarded", award.awarded)

        refusal = refused(awards, credit(offer, 800_000, "2021-11-01"), tokens)
        say("refused", refusal.reason, "largest", refusal.largest)
        for limit in refusal.limits:
            say("limit", limit.kind, "requested", limit.requested, "largest", limit.largest)

        for message in changes(offers, tokens):
            if message.WhichOneof("update") != "change":
                say("up to", message.sequence)
                continue
            say("change", message.sequence)
            changed = message.change.offer
            if changed.offer == offer and changed.state == offers_pb2.OFFER_STATE_DELIVERING:
                break
    say("done")


if __name__ == "__main__":
    main()
