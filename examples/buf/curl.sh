#!/usr/bin/env bash
# Calls tsio with `buf curl`, which reads the contract from the server by reflection.
#
# usage: TSIO_URL=http://127.0.0.1:50051 curl.sh ACTOR                     for a server in development mode, where callers name themselves
#        TSIO_URL=https://... TSIO_CA=ca.pem TSIO_HEADER_FILE=FILE curl.sh       for any other server: FILE contains `authorization: Bearer ...`
#
# The token is in a file, because other users of the machine may read the arguments of a process.
set -euo pipefail

options=(--protocol grpc --http2-prior-knowledge --reflect-header '*')
if [[ -n ${TSIO_HEADER_FILE-} ]]; then
  options+=(--cacert "$TSIO_CA" --header "@$TSIO_HEADER_FILE")
else
  options+=(--header "x-tsio-actor: $1" --header "x-tsio-roles: case-officer")
fi

buf curl "${options[@]}" --list-services "$TSIO_URL"

buf curl "${options[@]}" --data '{"programme": "2021-22", "state": "OFFER_STATE_CONTACTED"}' \
  "$TSIO_URL/tsio.v1.OfferService/ListOffers"

# If the call is refused, buf exits with the gRPC code times 8. Use -v to show the details.
buf curl "${options[@]}" --data '{"offer": "no-such-offer"}' "$TSIO_URL/tsio.v1.OfferService/GetOffer" || echo "ended with $?"
