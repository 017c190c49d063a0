"""The brain in a platform of one's own: Flux posts its events, CI registers a commit and waits for it.

uvicorn brain_service:app --workers 2
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from gitops_brain import (
    Ancestry,
    Fact,
    FactError,
    GitopsBrainError,
    Ignored,
    QueryError,
    Settlement,
    SignatureError,
    Status,
    Verifier,
    ingest,
)
from pydantic import Base64Bytes, BaseModel
from starlette.middleware.base import RequestResponseEndpoint

from replica import Replica

DATABASE = os.environ.get("BRAIN_DATABASE", "brain.db")
POLICY = json.loads(os.environ.get("BRAIN_POLICY", "{}"))
KEYS = json.loads(os.environ["BRAIN_FLUX_KEYS"])
CI_TOKEN = os.environ["BRAIN_CI_TOKEN"].encode()

MAX_BODY_BYTES = 3 * 1024 * 1024
"""What notification-controller takes in itself."""

STATUS_CODES = {SignatureError: 401, QueryError: 404, FactError: 503}
"""Of errors. The others are the sender's: 400."""

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s: %(message)s")
log = logging.getLogger("brain")


def notify(settlement: Settlement) -> None:
    """Tells people what a rollout came to. The journal waits for it: queue what takes long."""
    name = f"{settlement.environment}/{settlement.commit}/{settlement.n}"
    log.info("notify %s: %s", name, settlement.outcome)


replica = Replica(DATABASE, POLICY, notify)
brain = replica.brain
verifiers = {cluster: Verifier(keys) for cluster, keys in KEYS.items()}
stranger = Verifier([secrets.token_bytes(32)])  # a key that nobody has


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with replica.running():
        yield


app = FastAPI(lifespan=lifespan, max_body_size=MAX_BODY_BYTES, redirect_slashes=False)


@app.middleware("http")
async def name_worker(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers["X-Worker"] = str(os.getpid())
    return response


@app.exception_handler(GitopsBrainError)
async def refuse(_: Request, error: GitopsBrainError) -> Response:
    content = {"code": error.code, "message": str(error)}
    return JSONResponse(content, STATUS_CODES.get(type(error), 400))


@app.exception_handler(sqlite3.Error)
async def not_stored(_: Request, error: sqlite3.Error) -> Response:
    """Flux and CI try again."""
    log.error("the journal does not answer: %s", error)
    return JSONResponse({"code": "store.unavailable"}, 503, {"Retry-After": "2"})


@app.post("/flux/{cluster}")
async def event(
    cluster: str, request: Request, x_signature: Annotated[str | None, Header()] = None
) -> Response:
    """What Flux posts: 202 says that it is stored. Flux tries for 15 seconds, and takes neither a 204
    nor a redirect for an answer."""
    body = await request.body()
    if cluster not in verifiers:
        stranger.verify(x_signature, body)  # refuses it in the same words as a known cluster does
    fact = ingest(verifiers[cluster], cluster, x_signature, body)
    if isinstance(fact, Ignored):
        return JSONResponse({"result": "ignored", "code": fact.code})
    if await replica.record(fact):
        return JSONResponse({"result": "accepted"}, 202)
    return JSONResponse({"result": "known"})


class Wanted(BaseModel, extra="forbid"):
    """What CI says of a rollout."""

    expect: list[str] = []
    timeout: str | None = None
    labels: dict[str, str] = {}
    objects: list[Base64Bytes] = []
    """Commits as `git cat-file commit` prints them: they prove what descends from what."""


async def check_token(
    bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> None:
    if not secrets.compare_digest(bearer.credentials.encode(), CI_TOKEN):
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})


def answer(status: Status) -> Response:
    return Response(status.to_json(), media_type="application/json")


rollouts = APIRouter(prefix="/rollouts/{environment}/{commit}", dependencies=[Depends(check_token)])


@rollouts.put("")
async def register(environment: str, commit: str, wanted: Wanted) -> Response:
    brain.status(environment, commit)  # refuses an environment that is not declared
    registration = brain.registration(
        environment, commit, expect=wanted.expect, timeout=wanted.timeout, labels=wanted.labels
    )
    if wanted.objects:
        await replica.record(Fact(Ancestry.from_objects(wanted.objects)))
    await replica.record(Fact(registration))
    return answer(brain.status(environment, commit))


@rollouts.get("")
async def status(
    environment: str,
    commit: str,
    wait: Annotated[float, Query(ge=0, le=300)] = 0,
    since: str | None = None,
) -> Response:
    """Where a rollout stands: with `wait`, as soon as it is settled; with `since`, at any change."""
    await replica.catch_up()
    return answer(await brain.wait(environment, commit, wait, since=since))


app.include_router(rollouts)
