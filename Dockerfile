# The server alone: no compiler, no pip cache, no root.

FROM python:3.13-bookworm AS build
RUN python -m venv /opt/server
WORKDIR /source
COPY LICENSE README.md pyproject.toml setup.py ./
COPY rfc6455 rfc6455
COPY server server
# This image has a compiler, so both accelerators are built.
RUN /opt/server/bin/pip install --no-cache-dir '.[server]'

FROM python:3.13-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin server
COPY --from=build /opt/server /opt/server
ENV PATH=/opt/server/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RFC6455_SERVER_HOST=0.0.0.0 \
    RFC6455_SERVER_PORT=8765
WORKDIR /
# By number, so that an orchestrator can tell that it isn't root.
USER 10001
EXPOSE 8765
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD \
    ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['RFC6455_SERVER_PORT'] + '/healthz', timeout=2)"]
# The options stand behind the image's name: docker run -p 8765:8765 IMAGE --max-rooms 10
ENTRYPOINT ["python", "-m", "server"]
