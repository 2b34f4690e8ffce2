#!/usr/bin/env bash
# Calls tsio with `buf curl`, which learns the messages from the server itself, by reflection.
#
# usage: TSIO_URL=http://127.0.0.1:50051 curl.sh ACTOR                     a server in development mode: callers name themselves
#        TSIO_URL=https://... TSIO_CA=ca.pem TSIO_TOKEN=FILE curl.sh       any other: FILE holds `authorization: Bearer ...`
#
# The token is in a file, as arguments can be read by whoever may list processes.
set -euo pipefail

how=(--protocol grpc --http2-prior-knowledge --reflect-header '*')
if [[ -n ${TSIO_TOKEN-} ]]; then
  how+=(--cacert "$TSIO_CA" --header "@$TSIO_TOKEN")
else
  how+=(--header "x-tsio-actor: $1" --header "x-tsio-roles: case-officer")
fi

buf curl "${how[@]}" --list-services "$TSIO_URL"

buf curl "${how[@]}" --data '{"programme": "2021-22", "state": "OFFER_STATE_CONTACTED"}' \
  "$TSIO_URL/tsio.v1.OfferService/ListOffers"

# A refusal ends the command with its code times 8; -v shows its details.
buf curl "${how[@]}" --data '{"offer": "no-such-offer"}' "$TSIO_URL/tsio.v1.OfferService/GetOffer" || echo "ended with $?"
