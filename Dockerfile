# syntax=docker/dockerfile:1
#
#   docker build --tag syncd .
#   docker run --detach --name syncd --publish 8000:8000 --volume syncd-data:/data --env SYNCD_TOKEN syncd
#
# Inside of a container the server listens on every address, so it does not start without SYNCD_TOKEN: a long random
# text that every device knows too. `--env SYNCD_TOKEN` without a value takes it from your environment and keeps it out
# of the shell's history. For an app, name it: `… syncd serve syncd.apps.grassroots:app`. For one of your own:
#
#   FROM syncd
#   COPY kit.py ./
#   CMD ["serve", "kit:app"]
#
# The data file is /data/syncd.db, with others of its own beside it: keep the whole folder, on a local disk. A folder
# of the host that is mounted there must belong to the user 10001.

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY conflict_rules/ conflict_rules/
COPY client_sdk/ client_sdk/
COPY syncd/ syncd/
COPY migrations/ migrations/
COPY fixtures/ fixtures/
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
RUN python -m venv --without-pip /opt/syncd \
 && python -m pip --python /opt/syncd/bin/python install --no-cache-dir /wheels/*.whl

FROM python:3.11-slim-bookworm
RUN groupadd --system --gid 10001 syncd \
 && useradd --system --uid 10001 --gid syncd --no-create-home --home-dir /data --shell /usr/sbin/nologin syncd \
 && install --directory --owner syncd --group syncd --mode 0750 /data
COPY --from=build /opt/syncd /opt/syncd
ENV PATH=/opt/syncd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SYNCD_HOST=0.0.0.0 \
    SYNCD_PORT=8000 \
    SYNCD_DATABASE=/data/syncd.db
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# http.client takes no proxy from the environment. For another port set SYNCD_PORT rather than --port, so that this
# asks the right one.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import http.client, os, sys; server = http.client.HTTPConnection('127.0.0.1', int(os.environ['SYNCD_PORT']), timeout=4); server.request('GET', '/health/ready'); sys.exit(server.getresponse().status != 200)"]
ENTRYPOINT ["syncd"]
CMD ["serve"]
