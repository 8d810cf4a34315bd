# docker build -t strep . && docker run --rm --read-only --tmpfs /tmp -p 9000:9000/udp -p 9001:9001 -e STREP_WS_TOKEN \
#   --user "$(id -u)" --stop-timeout 60 -v "$PWD/recordings:/data" strep
# Any option of `strep serve` can be given behind that, or as a STREP_* variable.
#
# Pin the base by what you have verified: --build-arg BASE=python:3.12-slim@sha256:...
# No digest stands here, since this file was written where no registry of images can be reached.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/strep
COPY requirements requirements
RUN /opt/strep/bin/pip install --require-hashes -r requirements/server.txt \
 && pip install --require-hashes -r requirements/build.txt
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/strep/bin/pip install --no-deps /wheels/*.whl \
 && mkdir -m 700 /data && chown 10001:10001 /data

FROM ${BASE}
COPY --from=build /opt/strep /opt/strep
COPY --from=build --chown=10001:10001 /data /data
# It writes to /data and to what options name, to /tmp with --workers and signed tokens, and nowhere else.
ENV PATH=/opt/strep/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
ENV STREP_UDP=0.0.0.0:9000 STREP_WS=0.0.0.0:9001 STREP_RECORD=/data STREP_HTTP=127.0.0.1:9080
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 9000/udp 9001/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", \
  "import os, urllib.request; urllib.request.urlopen('http://' + os.environ['STREP_HTTP'] + '/healthz', timeout=4)"]
ENTRYPOINT ["strep", "serve"]
