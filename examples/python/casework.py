"""A morning's casework against tsio from Python, with nothing but grpcio.

Lists offers as a service with a certificate; then, as an officer with a token, accepts an offer, makes an award, reads
why a second one is refused, and watches the programme until delivery of the offer starts.

    mkdir -p stubs
    python -m grpc_tools.protoc -I proto --python_out=stubs --grpc_python_out=stubs proto/tsio/v1/*.proto
    PYTHONPATH=stubs python casework.py

The environment names the server (TSIO_TARGET, host:port), the authority that signed its certificate (TSIO_CA), a
certificate of this service and its key (TSIO_CERT, TSIO_KEY), and where tokens come from (TSIO_TOKEN_URL).
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
DEADLINE = 30  # seconds a call
ATTEMPTS = 6  # of a call, or of a stream without a message between


def say(*what):
    print(*what, flush=True)


def read(name):
    with open(os.environ[name], "rb") as file:
        return file.read()


def connect(certificate=None, key=None):
    """A connection over TLS; with a certificate, it says who calls."""
    credentials = grpc.ssl_channel_credentials(read("TSIO_CA"), key, certificate)
    return grpc.secure_channel(os.environ["TSIO_TARGET"], credentials)


class Tokens:
    """Asks the issuer for a token, and for another once one has expired."""

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
    """The one detail of this type that travels with a status, or None."""
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
    """What may be tried again, and after how long. Make one for a call or a stream."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.started_over()

    def started_over(self):
        self.failed, self.renewed = 0, False

    def after(self, error):
        """Returns when the call may be made again; raises what no repetition mends, a refusal above all."""
        code = error.code()
        if code == grpc.StatusCode.UNAUTHENTICATED and reason(error) == "TOKEN_EXPIRED" and not self.renewed:
            self.renewed = True
            return self.tokens.renew()
        again = code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.failed += 1
        if not again or self.failed == ATTEMPTS:
            raise error
        time.sleep(random.uniform(0, min(5, 0.1 * 2**self.failed)))  # all at once would only meet again
        return None


def call(method, request, tokens):
    """A read, or a mutation, which is as safe: each try carries the same `request_id`, so it is done once."""
    retry = Retry(tokens)
    while True:
        try:
            return method(request, timeout=DEADLINE, metadata=tokens.metadata())
        except grpc.RpcError as error:
            retry.after(error)


def changes(offers, tokens):
    """Every change of the programme from its first, each once: a stream that breaks goes on after its last message."""
    start, retry = {"after_sequence": 0}, Retry(tokens)
    while True:
        request = offers_pb2.WatchOffersRequest(programme=PROGRAMME, **start)
        try:
            for message in offers.WatchOffers(request, metadata=tokens.metadata()):
                yield message
                start = {"resume_token": message.resume_token}  # keep it with what you made of the message
                retry.started_over()
        except grpc.RpcError as error:
            retry.after(error)
            say("watching again")


def credit(offer, pence, date):
    """A new award of credit. The request id is made once, with the request, and never again."""
    support = awards_pb2.CreditSupport(partner_uid=90001, suitable_because="strong on early reading")
    award = awards_pb2.NewAward(amount_pence=pence, credit=support)
    return awards_pb2.CreateAwardsRequest(request_id=str(uuid.uuid4()), offer=offer, awards=[award], date=date)


def refused(awards, request, tokens):
    """Makes a call that must be refused, and gives what the refusal says."""
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
            if message.WhichOneof("told") != "change":
                say("up to", message.sequence)
                continue
            say("change", message.sequence)
            changed = message.change.offer
            if changed.offer == offer and changed.state == offers_pb2.OFFER_STATE_DELIVERING:
                break
    say("done")


if __name__ == "__main__":
    main()
