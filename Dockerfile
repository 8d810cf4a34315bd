# docker build -t strep . && docker run --rm -p 9000:9000/udp -p 9001:9001 -e STREP_WS_TOKEN --user "$(id -u)" -v "$PWD/recordings:/data" strep
# Any option of `strep serve` can be given behind that, or as a STREP_* variable.
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/strep
COPY requirements requirements
RUN /opt/strep/bin/pip install --require-hashes -r requirements/server.txt \
 && pip install --require-hashes -r requirements/build.txt
COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/strep/bin/pip install --no-deps /wheels/*.whl

FROM python:3.12-slim
RUN useradd --system --create-home --home-dir /data strep
COPY --from=build /opt/strep /opt/strep
ENV PATH=/opt/strep/bin:$PATH PYTHONUNBUFFERED=1
USER strep
WORKDIR /data
VOLUME /data
ENV STREP_UDP=0.0.0.0:9000 STREP_WS=0.0.0.0:9001 STREP_RECORD=/data
EXPOSE 9000/udp 9001/tcp
ENTRYPOINT ["strep", "serve"]
