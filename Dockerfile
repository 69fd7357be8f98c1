# frontgate in a container: compiled in one image, run by a user without rights in another.
#
#     docker build -t frontgate .
#     docker run -p 80:8080 -p 443:8443 -v ./frontgate.toml:/etc/frontgate/frontgate.toml:ro frontgate
#
# Listen above 1024 in the file, and keep [acme] folder in a volume (/var/lib/frontgate). Applications that frontgate is to
# run itself (`frontgate run`) want an image of their own: FROM frontgate, pip install what they need.
FROM python:3.13-slim AS build
WORKDIR /source
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY pyproject.toml setup.py README.md LICENSE ./
COPY proxy proxy
RUN python -m venv /opt/frontgate \
    && /opt/frontgate/bin/pip install --no-cache-dir --disable-pip-version-check '.[http2,dns,redis]'

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/frontgate --create-home frontgate
COPY --from=build /opt/frontgate /opt/frontgate
ENV PATH=/opt/frontgate/bin:$PATH
USER 10001
WORKDIR /etc/frontgate
VOLUME /var/lib/frontgate
EXPOSE 8080 8443
# The health check asks the admin door: keep [admin] in the file (listen = "127.0.0.1:9000"), or run with
# --no-healthcheck.
# SIGQUIT lets requests finish; docker waits ten seconds for it unless told otherwise (--stop-timeout).
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=3s CMD ["frontgate", "status", "-c", "/etc/frontgate/frontgate.toml"]
ENTRYPOINT ["frontgate"]
CMD ["serve", "-c", "/etc/frontgate/frontgate.toml"]
