# The server, `asmlp serve` (docs/guide/deploy.md):
#   docker build -f docker/serve.Dockerfile -t asmlp-serve .
#   docker run --rm -p 8080:8080 -v "$PWD/model.safetensors:/models/model.safetensors:ro" asmlp-serve --model /models/model.safetensors
FROM debian:bookworm AS build
WORKDIR /src
# Packages first: they are installed again only when this script changes.
COPY scripts/install_deps.sh scripts/
RUN scripts/install_deps.sh --torch-free && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset torch-free -DCMAKE_INSTALL_PREFIX=/usr -DASMLP_TESTS=OFF -DASMLP_PYTHON=OFF \
    && cmake --build build-torch-free --parallel \
    && cd build-torch-free && cpack -G DEB -B packages

FROM debian:bookworm-slim
# What the packages need is in their Depends.
RUN --mount=type=bind,from=build,source=/src/build-torch-free/packages,target=/packages \
    apt-get update \
    && apt-get install -y --no-install-recommends /packages/libasmlp0*.deb /packages/asmlp_*.deb \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home asmlp
USER asmlp
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /v2/health/ready HTTP/1.0\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
# SIGTERM, which `docker stop` sends, lets what was accepted be answered.
STOPSIGNAL SIGTERM
ENTRYPOINT ["asmlp", "serve", "--host", "0.0.0.0", "--port", "8080", "--log", "json"]
